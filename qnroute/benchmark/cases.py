"""The named cases of `bench exact`: problems drawn from seeds, and the ways of solving each.

The first way of a case is ours; the others are held against it. What a way is: `qnroute.benchmark.single.WAYS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qnroute import generate
from qnroute.fields import chosen
from qnroute.problem import Problem

GROUPS = {
    "peers": "mid-size problems against the link-flow model: straight to HiGHS, through PuLP, through Pyomo",
    "growth": "geometric networks with as many requests as nodes, between nodes anywhere",
    "growth-near": "the same networks with requests between nodes at most five links apart",
    "update": "a solved problem of 2000 nodes and requests that changes by 1 %: going on against solving anew",
    "selection": "link selection against HiGHS alone",
    "hard": "all links equal: nothing to tell routes apart by",
    "tiny": "seconds in all: does everything work here",
}
PEERS = ("column-generation", "link-flow", "pulp", "pyomo")
SELECTING = ("exact", "highs")
UPDATING = ("update", "column-generation")  # the first goes on from the problem before the change
NEAR = 5  # links
_WANTED = {"weight": (0.5, 2.0), "min_fidelity": (0.6, 0.8)}
SIZES = (50, 100, 200, 500, 1000, 2000, 5000, 10_000)
MOST_FLOW = 100  # nodes of `growth` up to which the flow model is solved too: beyond, a minute finds it no answer


@dataclass(frozen=True)
class Case:
    """A problem by name; `make` draws one of the same kind with any number of nodes."""

    name: str
    group: str
    description: str
    nodes: int
    make: Callable[[int], Problem]
    ways: tuple[str, ...]
    usual: bool = True  # measured where no case is named
    before: Callable[[int], Problem] | None = None  # it, as it was before a change

    def problem(self) -> Problem:
        """The problem itself, the same at every call."""
        return self.make(self.nodes).replace(name=self.name)


def pairs_far(nodes: int) -> Problem:
    """Geometric, product objective, fidelity floors; requests join nodes anywhere."""
    return _geometric(nodes, None)


def pairs_near(nodes: int) -> Problem:
    """Geometric, product objective, fidelity floors; requests join nodes at most `NEAR` links apart."""
    return _geometric(nodes, NEAR)


def drifted(nodes: int) -> Problem:
    """`pairs_far` with 1 % of the links up to 2 % better or worse."""
    return _with_other_links(pairs_far(nodes), lambda p, rng: np.minimum(p * rng.uniform(0.98, 1.02, p.shape), 1.0))


def redrawn(nodes: int) -> Problem:
    """`pairs_far` with 1 % of the links drawn anew."""
    return _with_other_links(pairs_far(nodes), lambda p, rng: rng.uniform(0.5, 0.95, p.shape))


def turned_over(nodes: int) -> Problem:
    """`pairs_far` with 1 % of the requests in the place of others."""
    problem = pairs_far(nodes)
    requests, few = problem.requests, max(nodes // 100, 1)
    new = generate.requests(problem.network, few, seed=2, **_WANTED)
    new = [replace(request, id=f"new {request.id}") for request in new]
    return problem.replace(requests=[*requests[few:], *new])


def regular_log(nodes: int) -> Problem:
    """Eight links at every node, additive objective."""
    return _regular(nodes, "log-success")


def regular_pairs(nodes: int) -> Problem:
    """The same under the product objective."""
    return _regular(nodes, "expected-pairs")


def selection(nodes: int) -> Problem:
    """Link selection, one link at each node at most; 3.72 links at a node on average."""
    drawn = {"p": (0.5, 0.95), "fidelity": (0.9, 0.995), "connected": False}
    network = generate.random_geometric(nodes, _radius(nodes, 3.72), **drawn)
    return Problem(network, task="link-selection")


def selection_regular(nodes: int) -> Problem:
    """Link selection, one link at each node at most, where every node has four: few triangles, so long odd cycles."""
    network = generate.regular(nodes, 4, p=(0.5, 0.95), fidelity=(0.9, 0.995))
    return Problem(network, task="link-selection")


def selection_equal(nodes: int) -> Problem:
    """Link selection on the geometric network, all links worth the same."""
    problem = selection(nodes)
    return problem.replace(network=problem.network.replace(p=0.5, fidelity=1.0))


def equal_grid(nodes: int) -> Problem:
    """A square grid of equal links, three requests for four nodes."""
    side = math.isqrt(nodes)
    network = generate.grid(side, side, p=0.99)
    return Problem(network, generate.requests(network, 3 * side * side // 4, seed=1))


def _with_other_links(problem: Problem, other: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Problem:
    rng, p = np.random.default_rng(2), np.array(problem.network.p)
    some = rng.choice(len(p), max(len(p) // 100, 1), replace=False)
    p[some] = other(p[some], rng)
    return problem.replace(network=problem.network.replace(p=p))


def _geometric(nodes: int, within: int | None) -> Problem:
    drawn = {"p": (0.5, 0.95), "fidelity": (0.94, 0.995), "channels": (1, 3), "memory": (4, 10), "swap": (0.85, 0.98)}
    network = generate.random_geometric(nodes, _radius(nodes, 8.0), **drawn)
    return Problem(network, generate.requests(network, nodes, seed=1, within=within, **_WANTED))


def _regular(nodes: int, objective: str) -> Problem:
    drawn = {"p": (0.5, 0.95), "channels": (1, 3), "memory": (4, 10), "swap": (0.85, 0.98)}
    network = generate.regular(nodes, 8, **drawn)
    return Problem(network, generate.requests(network, min(100, nodes // 4), seed=1), objective=objective)


def _radius(nodes: int, mean_degree: float) -> float:
    """Kilometres within which links give this mean degree in the square of 100 km, but for its rim."""
    return 100.0 * math.sqrt(mean_degree / (math.pi * nodes))


def _cases() -> list[Case]:
    return [
        Case("peers-200", "peers", "200 nodes, 800 links, 50 requests, log-success", 200, regular_log, PEERS),
        Case("peers-500", "peers", "500 nodes, 2000 links, 100 requests, log-success", 500, regular_log, PEERS),
        Case("peers-pairs", "peers", "60 nodes, 240 links, 15 requests, expected-pairs", 60, regular_pairs, PEERS),
        *(_growth("growth", nodes, pairs_far, "anywhere", nodes <= 2000) for nodes in SIZES),
        *(_growth("growth-near", nodes, pairs_near, "near each other", nodes <= 500) for nodes in SIZES),
        _update("update-drift", "links up to 2 % better or worse", drifted),
        _update("update-redraw", "links drawn anew", redrawn),
        _update("update-requests", "requests gone, as many new", turned_over),
        *(_selection("selection", nodes, selection, "geometric", nodes < 100_000) for nodes in (1000, 10_000, 100_000)),
        _selection("selection-regular", 10_000, selection_regular, "four links at every node", True),
        Case("hard-grid", "hard", "a 20 x 20 grid of equal links, 300 requests", 400, equal_grid, PEERS[:1]),
        Case("hard-selection", "hard", "10000 nodes, equal links", 10_000, selection_equal, SELECTING, False),
        Case("tiny-log", "tiny", "24 nodes, 6 requests, log-success", 24, regular_log, PEERS, False),
        Case("tiny-pairs", "tiny", "16 nodes, 16 requests", 16, pairs_near, PEERS[:2], False),
        Case("tiny-selection", "tiny", "40 nodes", 40, selection, SELECTING, False),
    ]


def _growth(group: str, nodes: int, make: Callable[[int], Problem], where: str, usual: bool) -> Case:
    text = f"{nodes} nodes, {nodes} requests between nodes {where}, expected-pairs, floors"
    return Case(f"{group}-{nodes}", group, text, nodes, make, PEERS[: 2 if nodes <= MOST_FLOW else 1], usual)


def _update(name: str, text: str, make: Callable[[int], Problem]) -> Case:
    return Case(name, "update", f"growth-2000 with 1 % of the {text}", 2000, make, UPDATING, before=pairs_far)


def _selection(kind: str, nodes: int, make: Callable[[int], Problem], text: str, usual: bool) -> Case:
    return Case(f"{kind}-{nodes}", "selection", f"{nodes} nodes, {text}", nodes, make, SELECTING, usual)


CASES = {case.name: case for case in _cases()}


def named(names: Sequence[str] | None) -> list[Case]:
    """The cases of these names and groups, in the order of the registry; the usual ones without any.

    Raises
    ------
    ProblemError
        There is no case or group of such a name; it lists those that there are.
    """
    if not names:
        return [case for case in CASES.values() if case.usual]
    for name in names:
        chosen("case", name, {**GROUPS, **CASES})
    return [case for case in CASES.values() if case.name in names or case.group in names]
