"""Routes fixed before a run begins: what `shortest-path` and `static` keep to, and where `lookahead` expects demand."""

from __future__ import annotations

import numpy as np
from numba import njit

from qnroute.network import Network
from qnroute.problem import Problem, Request
from qnroute.routes import RouteTable, enumerate_routes
from qnroute.simulation.physics import Physics
from qnroute.simulation.rules import Plan
from qnroute.simulation.world import World


def shortest_plan(world: World) -> Plan:
    """One route of fewest links for each request, the same for all requests of two nodes and both ways round.

    It is found from the lower of the two nodes, by breadth first, neighbours in the order of links.
    """
    low, high = np.minimum(world.source, world.target), np.maximum(world.source, world.target)
    order = np.lexsort((high, low))
    lengths = np.zeros(len(low), dtype=np.int64)
    links = _fewest(world.indptr, world.neighbour, world.via, low, high, order, world.source, lengths)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    routes = np.arange(len(low) + 1)
    return Plan(routes, indptr, links)


@njit(cache=True, error_model="numpy")
def _fewest(indptr, neighbour, via, low, high, order, source, lengths):
    """Links of each request's route, from its source; `lengths` is filled in. One search for each lower node."""
    n = len(indptr) - 1
    parent, step, queue = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    depth = np.full(n, -1, dtype=np.int64)
    reached = 0
    for turn in range(2):
        root = -1
        if turn == 1:
            start = np.cumsum(lengths) - lengths
            links = np.empty(lengths.sum(), dtype=np.int64)
        for k in order:
            if low[k] != root:
                for i in range(reached):
                    depth[queue[i]] = -1
                root, reached = low[k], 1
                queue[0], depth[root], at = root, 0, 0
                while at < reached:
                    node = queue[at]
                    at += 1
                    for i in range(indptr[node], indptr[node + 1]):
                        there = neighbour[i]
                        if depth[there] < 0:
                            depth[there], parent[there], step[there] = depth[node] + 1, node, via[i]
                            queue[reached] = there
                            reached += 1
            length = max(depth[high[k]], 0)
            if turn == 0:
                lengths[k] = length
                continue
            node = high[k]
            for i in range(length):
                place = length - 1 - i if source[k] == root else i
                links[start[k] + place] = step[node]
                node = parent[node]
        for i in range(reached):
            depth[queue[i]] = -1
        reached = 0
    return links


def static_plan(world: World, networks: list[Network], physics: Physics, *, candidates: int) -> Plan:
    """The most likely routes of each request on the empty network, at most so many, the likeliest first.

    Floors are looked at when a request is served.
    """
    routes, hops, links = [], [], []
    for run, network in enumerate(networks):
        requests = slice(world.requests[run], world.requests[run + 1])
        start, n = world.nodes[run], network.n_nodes
        source, target = world.source[requests] - start, world.target[requests] - start
        key = np.minimum(source, target) * n + np.maximum(source, target)
        known, number = np.unique(key, return_inverse=True)
        table = likely_routes(network, physics, known // n, known % n, 0.0, candidates)
        begin = np.searchsorted(table.request, np.arange(len(known) + 1))
        steps = np.concatenate([[0], np.cumsum(table.hops)])
        for k, j in enumerate(number.tolist()):
            several = range(begin[j], begin[j + 1])
            routes.append(len(several))
            for route in several:
                part = table.links[steps[route] : steps[route + 1]] + world.links[run]
                links.append(part if source[k] < target[k] else part[::-1])
                hops.append(len(part))
    whole = lambda sizes: np.concatenate([[0], np.cumsum(np.array(sizes, dtype=np.int64))]).astype(np.int64)  # noqa: E731
    return Plan(whole(routes), whole(hops), np.concatenate([np.zeros(0, np.int64), *links]).astype(np.int64))


def likely_routes(
    network: Network, physics: Physics, low: np.ndarray, high: np.ndarray, floor: float, count: int
) -> RouteTable:
    """The routes of pairs of nodes that most likely stand at once, by nominal p and swaps, if fresh pairs keep a floor.

    Parameters
    ----------
    low, high : (P,) node indices
    count
        Of each pair, at most.
    """
    return routes_between(freshly_stored(network, physics), physics, low, high, floor, count)


def freshly_stored(network: Network, physics: Physics) -> Network:
    """The network whose links have the fidelity that stands for the quality of a fresh pair, and no other limits."""
    quality = physics.law(network.fidelity)
    fresh = np.clip(quality.scale[0] + quality.shift, 1e-9, 1.0)
    fidelity = np.maximum((1.0 + 3.0 * fresh) / 4.0, 0.2500001)
    return network.replace(fidelity=fidelity, memory=None, degree=None, score=None)


def routes_between(
    fresh: Network, physics: Physics, low: np.ndarray, high: np.ndarray, floor: float, count: int
) -> RouteTable:
    """`likely_routes` on a network that is `freshly_stored` already."""
    need = float(physics.quality(floor))
    ids = fresh.node_ids
    asked = [
        Request(f"{u}-{v}", ids[u], ids[v], min_fidelity=float(np.clip((1.0 + 3.0 * need) / 4.0, 0.0, 1.0)))
        for u, v in zip(low.tolist(), high.tolist())
    ]
    return enumerate_routes(Problem(fresh, asked), per_request=count)
