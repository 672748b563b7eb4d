"""Real networks that come with qnroute, as compact tables of facts; their sources are in ``ATTRIBUTION.md``.

A table lists sites and links and says where each length comes from. What it lacks (lengths, hardware) is filled in,
and noted, when `qnroute.load_network` makes a network of it.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qnroute import fields
from qnroute.errors import ProblemError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from qnroute.formats.raw import RawNetwork

__all__ = ["Description", "describe", "load", "names"]


@dataclass(frozen=True)
class Description:
    """What a bundled network is and where it comes from."""

    name: str
    title: str
    kind: str
    year: int
    n_sites: int
    n_links: int
    lengths: str
    citation: str
    source: str
    licence: str
    changes: tuple[str, ...]


def names() -> tuple[str, ...]:
    """The names of all bundled networks, in alphabetical order."""
    return tuple(
        sorted(entry.name.removesuffix(".json") for entry in _folder().iterdir() if entry.name[-5:] == ".json")
    )


def describe(name: str) -> Description:
    """Title, size, sources and licence of a bundled network."""
    table = _table(name)
    about = {field: table[field] for field in ("title", "kind", "year", "lengths", "citation", "source", "licence")}
    return Description(
        name, n_sites=len(table["sites"]), n_links=len(table["links"]), changes=tuple(table["changes"]), **about
    )


def load(name: str) -> RawNetwork:
    """The table of a bundled network as it stands, for `qnroute.formats` to complete.

    Raises
    ------
    ProblemError
        No bundled network has this name.
    """
    from qnroute.formats.raw import RawLink, RawNetwork, RawNode

    table = _table(name)
    sites = [dict(zip(table["site_columns"], row)) for row in table["sites"]]
    links = [dict(zip(table["link_columns"], row)) for row in table["links"]]
    for link in links:
        link |= {"source": str(link["source"]), "target": str(link["target"])}
        link["own"] = {"channels": link.pop("channels")} if "channels" in link else {}
    nodes = [RawNode(str(i), **site) for i, site in enumerate(sites)]
    notes = [f"catalogue: {table['lengths']}", *(f"catalogue: {change}" for change in table["changes"])]
    return RawNetwork(name, nodes, [RawLink(**link) for link in links], notes=notes)


def _folder() -> Traversable:
    return importlib.resources.files(__name__).joinpath("networks")


@functools.cache
def _table(name: str) -> dict[str, Any]:
    if name not in names():
        raise ProblemError(
            f"network: no bundled network is called {fields.brief(name)}; there are {', '.join(names())}"
        )
    return json.loads(_folder().joinpath(f"{name}.json").read_text(encoding="utf-8"))
