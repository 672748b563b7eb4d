"""Requests made of the traffic demands that a file of a foreign format states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.formats.checking import require_sound
from qnroute.formats.naming import distinct, name_nodes
from qnroute.formats.raw import RawDemand, RawNetwork, count
from qnroute.problem import Request


class Demands(NamedTuple):
    """Requests made of the demands of a file, and what was dropped on the way."""

    requests: tuple[Request, ...]
    notes: tuple[str, ...]


def requests_of(raw: RawNetwork, *, min_fidelity: float, routes: int) -> Demands:
    """A request for every demand above 0 between two nodes.

    Weights are proportional to the demands and 1 on average; ends are named as the nodes of the network are.
    """
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
