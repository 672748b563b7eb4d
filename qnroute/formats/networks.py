"""Networks and demands from the catalogue or from a file of any format, and networks into a file."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.formats import json_text
from qnroute.formats.cleaning import clean
from qnroute.formats.demands import Demands, requests_of
from qnroute.formats.equipment import Equipment
from qnroute.formats.foreign import NETWORK_FORMAT, read_content
from qnroute.formats.raw import RawNetwork
from qnroute.formats.reading import read_bytes, source_of
from qnroute.formats.writing import STANDARD, write_text
from qnroute.hardware import Preset
from qnroute.network import Network
from qnroute.problem import Problem


@dataclass(frozen=True)
class Source:
    """What stands under a bundled name or in a file, read once for its network and its demands.

    Attributes
    ----------
    held
        A foreign network as it stands there, or a network or problem in the contract's own words.
    called
        Its name in messages.
    """

    held: RawNetwork | Network | Problem
    called: str

    def network(
        self,
        *,
        hardware: Preset | str | None = None,
        repeater_km: float | None = None,
        slot_s: float | None = None,
    ) -> Network:
        """The network, as `load_network` makes it."""
        equipment = Equipment.of(hardware, repeater_km, slot_s)
        try:
            if isinstance(self.held, RawNetwork):
                return clean(self.held, equipment)
            return equipment.equip(self.held.network if isinstance(self.held, Problem) else self.held)
        except ProblemError as error:
            raise error.at(self.called) from None

    @property
    def has_demands(self) -> bool:
        """Whether requests can be made of it."""
        return bool(self.held.demands) if isinstance(self.held, RawNetwork) else isinstance(self.held, Problem)

    def demands(self, *, min_fidelity: float | None = None, routes: int | None = None) -> Demands:
        """The requests, as `load_demands` makes them."""
        try:
            if not self.has_demands:
                raise ProblemError("holds no demands")
            if isinstance(self.held, RawNetwork):
                floor = 0.0 if min_fidelity is None else min_fidelity
                return requests_of(self.held, min_fidelity=floor, routes=1 if routes is None else routes)
            for option, value in (("min_fidelity", min_fidelity), ("routes", routes)):
                if value is not None:
                    found = f"found {fields.brief(value)}, expected none"
                    raise ProblemError(f"{option}: {found}: the requests of a problem file have their own")
            return Demands(self.held.requests, ())
        except ProblemError as error:
            raise error.at(self.called) from None


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
        No such name or file, not a format that is read, faults in it, an option out of range, or one without effect.
    """
    Equipment.of(hardware, repeater_km, slot_s)  # faults of the options come before those of the file
    return read_source(name_or_path).network(hardware=hardware, repeater_km=repeater_km, slot_s=slot_s)


def load_demands(
    path: str | os.PathLike[str], *, min_fidelity: float | None = None, routes: int | None = None
) -> Demands:
    """Requests from the demands of an SNDlib file (or a problem file's own requests).

    Weights are proportional to the demands and 1 on average. Ends are named as `load_network` names the nodes.
    Demands of nothing, or of a node from itself, are dropped and noted; both directions of a pair stay two requests.

    Parameters
    ----------
    path
        As in `load_network`.
    min_fidelity, routes
        Of every request, 0 and 1 if not given; an SNDlib file does not say them, and a problem file says its own.
    """
    return read_source(path).demands(min_fidelity=min_fidelity, routes=routes)


def save_network(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a ``qnroute.network/1`` file with the network and its notes; ``-`` is standard output."""
    document = {"format": NETWORK_FORMAT, **network.to_dict()}
    if network.notes:
        document["notes"] = list(network.notes)
    write_text(path, json_text.render(document))


def read_source(name_or_path: str | os.PathLike[str]) -> Source:
    """Read what stands under a bundled name, in a file, or in standard input where that is ``-``."""
    from qnroute import catalog

    if isinstance(name_or_path, str) and name_or_path in catalog.names():
        return Source(catalog.load(name_or_path), f"network {name_or_path}")
    path, source = Path(name_or_path), source_of(name_or_path)
    if isinstance(name_or_path, str) and _is_word(name_or_path) and not os.path.exists(path):
        raise ProblemError(_unknown(name_or_path, catalog.names()))
    content = read_bytes(name_or_path)
    try:
        held = read_content(content, name="" if name_or_path == STANDARD else path.stem, suffix=path.suffix)
        return Source(held, source)
    except ProblemError as error:
        raise error.at(source) from None


def _is_word(name: str) -> bool:
    return name not in ("", STANDARD) and not Path(name).suffix and Path(name).name == name and "\0" not in name


def _unknown(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(close)}?" if close else f"bundled are {', '.join(names)}"
    return f"network: no file and no bundled network is called {fields.brief(name)}; {hint}"
