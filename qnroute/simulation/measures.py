"""What a run came to: the four measures of paper C (C12), and a few that tell why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qnroute.simulation import world as columns
from qnroute.simulation.simulator import Simulator


@dataclass(frozen=True)
class Measures:
    """One run under one policy.

    Attributes
    ----------
    requests, served
        How many there were, and how many were served by their deadline at their floor.
    success
        Served of all requests.
    latency
        Mean slots from arrival to service, of those served; None where none was.
    fidelity
        Mean end-to-end fidelity of those served.
    utilisation
        Stored pairs that routes used, of all that were made: the printed measure. Pairs count, too, that went into a
        held pair which served nobody.
    useful
        Stored pairs that went into what served a request, of all that were made.
    worth
        Sum of the weights of served requests, of the sum of all.
    throughput
        Requests served per slot.
    by_held
        Of those served, the share that a pre-positioned pair served.
    made, held
        Stored pairs and pre-positioned ones that were made.
    swap_failures, below_floor
        Routes that came to nothing because a swap failed, or because their true fidelity was too low.
    """

    requests: int
    served: int
    success: float | None
    latency: float | None
    fidelity: float | None
    utilisation: float | None
    useful: float | None
    worth: float | None
    throughput: float
    by_held: float | None
    made: int
    held: int
    swap_failures: int
    below_floor: int


METRICS = {
    "success": "success rate",
    "latency": "latency (slots)",
    "fidelity": "end-to-end fidelity",
    "utilisation": "pairs used of made",
}
"""The four of C12, in words."""


def measures(simulator: Simulator, run: int = 0) -> Measures:
    """What a run has come to by now."""
    w, s = simulator.world, simulator.state
    mine = slice(w.requests[run], w.requests[run + 1])
    done = s.served[mine] >= 0
    requests, served = len(done), int(done.sum())
    counts = s.counts[run]
    made = int(counts[columns.MADE])
    latency = (s.served[mine] - w.arrival[mine])[done]
    weight = w.weight[mine]
    return Measures(
        requests=requests,
        served=served,
        success=_share(served, requests),
        latency=float(latency.mean()) if served else None,
        fidelity=float(s.fidelity[mine][done].mean()) if served else None,
        utilisation=_share(int(counts[columns.USED]), made),
        useful=_share(int(s.hops[mine][done].sum()), made),
        worth=_share(float(weight[done].sum()), float(weight.sum())),
        throughput=served / max(simulator.slot, 1),
        by_held=_share(int(s.by_held[mine].sum()), served),
        made=made,
        held=int(counts[columns.HELD]),
        swap_failures=int(counts[columns.SWAP_FAILURES]),
        below_floor=int(counts[columns.BELOW_FLOOR]),
    )


def latencies(simulator: Simulator, run: int = 0) -> np.ndarray:
    """Slots from arrival to service of the requests served, in the order of requests."""
    w, s = simulator.world, simulator.state
    mine = slice(w.requests[run], w.requests[run + 1])
    done = s.served[mine] >= 0
    return (s.served[mine] - w.arrival[mine])[done]


def fidelities(simulator: Simulator, run: int = 0) -> np.ndarray:
    """End-to-end fidelities of the requests served, in the order of requests."""
    s, w = simulator.state, simulator.world
    found = s.fidelity[w.requests[run] : w.requests[run + 1]]
    return found[~np.isnan(found)]


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
