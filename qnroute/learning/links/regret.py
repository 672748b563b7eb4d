"""What a decision made with predicted links is worth on the true ones, and how much less that is than the best."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np

from qnroute.allocation import Allocation, Route, check, route_figures, value
from qnroute.errors import ProblemError, SolverError
from qnroute.fidelity import TOLERANCE
from qnroute.fields import brief
from qnroute.methods import solve
from qnroute.network import LINK_COLUMNS, NODE_COLUMNS, Network
from qnroute.problem import Problem


def worth(truth: Problem, allocation: Allocation, *, floor: float | None = None) -> float:
    """What an allocation brings where links are as in `truth`.

    The sum over routes of what each is worth to the objective, and over selected links of their scores. A route whose
    true fidelity misses its request's floor is not served: it brings 0, under ``log-success`` too, where a served one
    may bring less than that.

    Parameters
    ----------
    truth
        The problem with true p, fidelities and scores.
    floor
        Links of less fidelity than this are of no use: neither are routes over them.

    Raises
    ------
    InfeasibleAllocation
        A rule other than floors is broken; those are of the network, which is known, and not of what is predicted.
    ProblemError
        A floor outside [0, 1].
    """
    usable = _usable(truth.network, floor)
    if truth.task == "link-selection":
        check(truth, allocation)
        kept = tuple(pair for pair in allocation.links if usable[_link(truth, *pair)])
        return value(truth, Allocation(links=kept))
    check(truth.replace(requests=[replace(request, min_fidelity=0.0) for request in truth.requests]), allocation)
    return math.fsum(_brought(truth, route, usable) for route in allocation.routes)


def best_worth(truth: Problem, *, floor: float | None = None, time_limit: float | None = None) -> float:
    """The most that any allocation brings, proven by method ``exact``; `floor` as in `worth`.

    Raises
    ------
    SolverError
        The optimum was not proven.
    """
    result = solve(_with_usable_links(truth, floor), "exact", time_limit=time_limit)
    if result.status != "optimal":
        why = f": {'; '.join(result.remarks)}" if result.remarks else ""
        raise SolverError(f"best_worth: {result.method} ended {result.status}, expected a proven optimum{why}")
    return result.objective


def regret(truth: Problem, allocation: Allocation, best: float | None = None, *, floor: float | None = None) -> float:
    """1 - worth / best worth: 0 for the best decision, 1 for one that brings nothing, more for one that costs.

    Where nothing can be gained, 0 for a decision that brings nothing and infinite for one that costs.

    Parameters
    ----------
    best
        What `best_worth` gave, if known.
    """
    best = best_worth(truth, floor=floor) if best is None else best
    return relative_regret(worth(truth, allocation, floor=floor), best)


def relative_regret(brought: float, best: float) -> float:
    """1 - brought / best, with the cases of nothing to gain as in `regret`."""
    if best > 0.0:
        return 1.0 - brought / best
    return 0.0 if brought >= 0.0 else math.inf


def only_links(network: Network, kept: np.ndarray) -> Network:
    """The network with the links where `kept` (m,) is true, and all nodes."""
    if kept.all():
        return network
    columns = {name: getattr(network, name) for name in NODE_COLUMNS}
    columns |= {name: getattr(network, name)[kept] for name in LINK_COLUMNS}
    ends = network.source[kept], network.target[kept]
    return Network.from_columns(network.node_ids, *ends, name=network.name, notes=network.notes, **columns)


def _brought(truth: Problem, route: Route, usable: np.ndarray) -> float:
    """What one route brings."""
    figures = route_figures(truth, route)
    floor = truth.requests[truth.request_index[route.request]].min_fidelity
    links = [_link(truth, *pair) for pair in itertools.pairwise(route.nodes)]
    return figures.value if figures.fidelity >= floor - TOLERANCE and usable[links].all() else 0.0


def _link(problem: Problem, u: str, v: str) -> int:
    network = problem.network
    return network.link_index[network.index[u], network.index[v]]


def _usable(network: Network, floor: float | None) -> np.ndarray:
    """(m,) whether each link's fidelity reaches the floor."""
    if floor is None:
        return np.ones(network.n_links, dtype=bool)
    if not 0.0 <= floor <= 1.0:
        raise ProblemError(f"floor: found {brief(floor)}, expected a number in [0, 1]")
    return network.fidelity >= floor - TOLERANCE


def _with_usable_links(problem: Problem, floor: float | None) -> Problem:
    """The problem without the links below the floor."""
    return problem.replace(network=only_links(problem.network, _usable(problem.network, floor)))
