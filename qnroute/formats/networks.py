"""Networks and demands from the catalogue or from a file of any format, and networks into a file."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.formats import json_text
from qnroute.formats.checking import require_sound
from qnroute.formats.cleaning import clean
from qnroute.formats.equipment import Equipment
from qnroute.formats.foreign import NETWORK_FORMAT, read_content
from qnroute.formats.naming import distinct, name_nodes
from qnroute.formats.raw import RawDemand, RawNetwork, count
from qnroute.formats.reading import read_bytes, source_of
from qnroute.formats.writing import STANDARD, write_text
from qnroute.hardware import Preset
from qnroute.network import Network
from qnroute.problem import Problem, Request


class Demands(NamedTuple):
    """Requests made of the demands of a file, and what was dropped on the way."""

    requests: tuple[Request, ...]
    notes: tuple[str, ...]


def load_network(
    name_or_path: str | os.PathLike[str],
    *,
    hardware: Preset | str | None = None,
    repeater_km: float | None = None,
    slot_s: float | None = None,
) -> Network:
    """A bundled network, or the network of a file.

    Parameters
    ----------
    name_or_path
        A name from `qnroute.catalog.names`, a file in any format that is read, or ``-`` for standard input.
    hardware
        A preset (or its name) that makes p, fidelity and loss of all links and the swap of all nodes. If not given,
        what the file says holds; where a foreign file says nothing the preset ``repeater`` stands in.
    repeater_km
        Put repeater stations on all links longer than this.
    slot_s
        Length of a slot in seconds, where a preset is used; its own if not given.

    Returns
    -------
    Network
        `Network.notes` says what was merged, dropped, imputed or is doubtful.

    Raises
    ------
    ProblemError
        No such name or file, not a format that is read, faults in it, or an option out of range.
    """
    equipment = Equipment.of(hardware, repeater_km, slot_s)
    found, source = _find(name_or_path)
    try:
        if isinstance(found, RawNetwork):
            return clean(found, equipment)
        return equipment.equip(found.network if isinstance(found, Problem) else found)
    except ProblemError as error:
        raise error.at(source) from None


def load_demands(path: str | os.PathLike[str], *, min_fidelity: float = 0.0, routes: int = 1) -> Demands:
    """Requests from the demands of an SNDlib file (or a problem file's own requests).

    Weights are proportional to the demands and 1 on average. Ends are named as `load_network` names the nodes.
    Demands of nothing, or of a node from itself, are dropped and noted; both directions of a pair stay two requests.

    Parameters
    ----------
    path
        As in `load_network`.
    min_fidelity, routes
        Of every request; a file does not say them.
    """
    found, source = _find(path)
    try:
        if isinstance(found, Problem):
            return Demands(found.requests, ())
        if not isinstance(found, RawNetwork) or not found.demands:
            raise ProblemError("holds no demands")
        return _requests(found, min_fidelity=min_fidelity, routes=routes)
    except ProblemError as error:
        raise error.at(source) from None


def save_network(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a ``qnroute.network/1`` file with the network and its notes; ``-`` is standard output."""
    document = {"format": NETWORK_FORMAT, **network.to_dict()}
    if network.notes:
        document["notes"] = list(network.notes)
    write_text(path, json_text.render(document))


def _find(name_or_path: str | os.PathLike[str]) -> tuple[RawNetwork | Network | Problem, str]:
    """What stands under a bundled name or in a file, and what messages call it."""
    from qnroute import catalog

    if isinstance(name_or_path, str) and name_or_path in catalog.names():
        return catalog.load(name_or_path), f"network {name_or_path}"
    path, source = Path(name_or_path), source_of(name_or_path)
    if isinstance(name_or_path, str) and _is_word(name_or_path) and not os.path.exists(path):
        raise ProblemError(_unknown(name_or_path, catalog.names()))
    content = read_bytes(name_or_path)
    try:
        return read_content(content, name="" if name_or_path == STANDARD else path.stem, suffix=path.suffix), source
    except ProblemError as error:
        raise error.at(source) from None


def _is_word(name: str) -> bool:
    return name not in ("", STANDARD) and not Path(name).suffix and Path(name).name == name and "\0" not in name


def _unknown(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(close)}?" if close else f"bundled are {', '.join(names)}"
    return f"network: no file and no bundled network is called {fields.brief(name)}; {hint}"


def _requests(raw: RawNetwork, *, min_fidelity: float, routes: int) -> Demands:
    require_sound(raw)
    names = dict(zip((node.key for node in raw.nodes), name_nodes(raw.nodes)[0]))
    unknown = {end for demand in raw.demands for end in (demand.source, demand.target) if end not in names}
    if unknown:
        raise ProblemError([f"demands: no node is called {fields.brief(end)}" for end in sorted(unknown)])
    kept = [demand for demand in raw.demands if demand.value > 0 and demand.source != demand.target]
    if not kept:
        raise ProblemError("holds no demand above 0 between two nodes")
    mean = sum(demand.value for demand in kept) / len(kept)
    requests = [
        Request(
            id=name,
            source=names[demand.source],
            target=names[demand.target],
            weight=demand.value / mean,
            min_fidelity=min_fidelity,
            routes=routes,
        )
        for name, demand in zip(distinct([demand.id for demand in kept]), kept)
    ]
    return Demands(tuple(requests), tuple(_dropped(raw.demands)))


def _dropped(demands: Sequence[RawDemand]) -> list[str]:
    at_home = sum(demand.source == demand.target for demand in demands)
    nothing = sum(demand.value <= 0 and demand.source != demand.target for demand in demands)
    notes = [f"dropped: {count(nothing, 'demand')} of 0 or less"] if nothing else []
    return notes + ([f"dropped: {count(at_home, 'demand')} of a node from itself"] if at_home else [])
