"""How long it takes to state route choice as a binary quadratic model: ours, dimod's part of it, and dictionaries.

Each way starts from the same candidate routes, as the label search lists them, and ends with dimod's model; only
`from_numpy_vectors` starts from finished arrays, and so shows what dimod takes in any case: once with couplers in the
order of our model, once as they come up row by row. All ways run in turn, in one process.
"""

from __future__ import annotations

import gc
import itertools
import math
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from qnroute import generate
from qnroute.interruption import noted
from qnroute.models import RouteChoiceQubo
from qnroute.problem import Problem
from qnroute.routes import RouteTable, enumerate_routes

NODES, REQUESTS, CANDIDATES = 40_000, 16_150, 5  # so that there are about 100,000 variables and 500,000 couplers
_HOPS = 2  # between the ends of a request
_MARGIN, _MARGIN_OF_PAIRS = 0.001, 0.05  # those of `RouteChoiceQubo`: where a row needs slack, where none does


@dataclass(frozen=True)
class Stating:
    """Median CPU milliseconds of one way; `ratio` is its time over that of ``from_numpy_vectors``."""

    way: str
    variables: int
    couplers: int
    runs: int
    cpu_ms: float
    ratio: float


def instance(nodes: int = NODES, requests: int = REQUESTS, seed: int = 0) -> RouteTable:
    """Candidate routes in a geometric network of mean degree 8, one to three channels a link, between near nodes."""
    how = {"p": (0.5, 0.95), "fidelity": (0.9, 0.99), "channels": (1, 3), "swap": (0.85, 0.98)}
    network = generate.random_geometric(nodes, 100.0 * math.sqrt(8.0 / math.pi / nodes), seed=seed, **how)
    asked = generate.requests(network, requests, seed=seed, within=_HOPS)
    return enumerate_routes(Problem(network, asked), per_request=CANDIDATES)


def measure(
    *,
    runs: int = 7,
    nodes: int = NODES,
    requests: int = REQUESTS,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[Stating]:
    """All ways, `runs` times in turn; fewer times where it is interrupted, none where it is before all had a turn."""
    interrupted = interrupted or threading.Event()
    with noted(interrupted):
        if doing is not None:
            doing("candidate routes")
        routes = instance(nodes, requests)
        ways, size = _ways(routes)
        seen: dict[str, list[float]] = {way: [] for way in ways}
        for run in range(1, runs + 1):
            for way, work in ways.items():
                if interrupted.is_set():
                    break
                if doing is not None:
                    doing(f"{way}, run {run} of {runs}")
                seen[way].append(_timed(work))
    if not all(seen.values()):
        return []
    times = {way: statistics.median(found) for way, found in seen.items()}
    base = times["from_numpy_vectors"]
    return [Stating(way, *size, len(seen[way]), 1e3 * times[way], times[way] / base) for way in ways]


def _ways(routes: RouteTable) -> tuple[dict[str, Callable[[], object]], tuple[int, int]]:
    """What is timed, and how many variables and couplers the model has; done once here, so that all is compiled."""
    import dimod

    model, (_, quadratic, _) = stated(routes).quadratic, dictionaries(routes)
    ends, bias = np.array(list(quadratic)), np.array(list(quadratic.values()))
    in_order, by_row = model.couplers, (ends[:, 0].copy(), ends[:, 1].copy(), bias)
    hand_over = dimod.BinaryQuadraticModel.from_numpy_vectors
    ways: dict[str, Callable[[], object]] = {
        "from_numpy_vectors": lambda: hand_over(model.linear, in_order, model.offset, dimod.BINARY),
        "from_numpy_vectors, row by row": lambda: hand_over(model.linear, by_row, model.offset, dimod.BINARY),
        "arrays": lambda: stated(routes).to_bqm(),
        "arrays, without dimod": lambda: stated(routes).quadratic,
        "dictionaries": lambda: dimod.BinaryQuadraticModel(*dictionaries(routes), dimod.BINARY),
    }
    return ways, (len(model), len(model.bias))


def stated(routes: RouteTable) -> RouteChoiceQubo:
    """Our model; a copy of the table remembers nothing of earlier runs."""
    return RouteChoiceQubo(routes.problem, replace(routes))


def dictionaries(routes: RouteTable) -> tuple[dict[int, float], dict[tuple[int, int], float], float]:
    """The same model as one would write it down in plain Python: linear, quadratic, offset.

    For requests of one route each, and channels alone.
    """
    value, request, users = routes.value.tolist(), routes.request.tolist(), _users(routes)
    rows = [(room, js) for room, js in users if len({request[j] for j in js}) > room]
    heavy = [row for row in rows if row[0] > 1]
    extra = (_MARGIN if heavy else _MARGIN_OF_PAIRS) * max(value)
    linear, quadratic, offset = {j: -worth for j, worth in enumerate(value)}, {}, 0.0
    of_request = defaultdict(list)
    for j, k in enumerate(request):
        of_request[k].append(j)
    for js in [*of_request.values(), *(js for room, js in rows if room == 1)]:
        for i, j in itertools.combinations(js, 2):
            quadratic[i, j] = min(value[i], value[j]) + extra
    for room, js in heavy:
        terms, left, worth = [(j, 1) for j in js], room, 1
        while left > 0:  # slack bits worth 1, 2, 4, ... and the remainder
            terms.append((len(linear), min(worth, left)))
            linear[len(linear)] = 0.0
            left, worth = left - min(worth, left), 2 * worth
        strength = _least(js, room, value, request) + extra
        offset += strength * room**2
        for i, uses in terms:
            linear[i] += strength * uses * (uses - 2 * room)
        for (i, one), (j, other) in itertools.combinations(terms, 2):
            quadratic[i, j] = quadratic.get((i, j), 0.0) + 2 * strength * one * other
    return linear, quadratic, offset


def _users(routes: RouteTable) -> list[tuple[int, list[int]]]:
    """Channels of each link that is used, and the routes that use it."""
    network, users = routes.problem.network, defaultdict(list)
    nodes, indptr, channels = routes.nodes.tolist(), routes.indptr.tolist(), network.channels.tolist()
    for j in range(len(routes)):
        path = nodes[indptr[j] : indptr[j + 1]]
        for ends in itertools.pairwise(path):
            users[network.link_index[ends]].append(j)
    return [(channels[e], users[e]) for e in sorted(users)]


def _least(js: list[int], room: int, value: list[float], request: list[int]) -> float:
    """What a penalty on this row must exceed: of each request's best route, the most valuable one beyond the room."""
    best: dict[int, float] = {}
    for j in js:
        best[request[j]] = max(best.get(request[j], 0.0), value[j])
    return sorted(best.values(), reverse=True)[room]


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    start = time.process_time()
    made = work()
    spent = time.process_time() - start
    del made  # clearing up is no part of it
    return spent
