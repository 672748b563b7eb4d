"""Candidate routes of a problem as one table: what the path-packing model and the simple methods choose from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numba import njit

from qnroute.allocation import Allocation, Route
from qnroute.costs import NOTHING, closed, most_useful_cost, path_costs, search_costs, value_at_cost
from qnroute.errors import SolverError
from qnroute.fidelity import noise_budget
from qnroute.paths import Paths, cheapest_paths
from qnroute.problem import Problem
from qnroute.settings import Settings

MOST_WRITTEN = 1_000_000  # routes of an answer that is still written down one by one
_LABELS_PER_ROUTE = 50  # partial paths a search may hold for each route it is asked for
_FEWEST_LABELS = 20_000
_MOST_LABELS = 4_000_000
_MANY = 32  # links of a node, beyond which a link is looked for at its other end


@dataclass(frozen=True)
class RouteTable:
    """J candidate routes of the K requests of a problem, most valuable first within a request.

    Attributes
    ----------
    request : (J,) index of the request each route serves
    nodes, indptr : node indices in compressed rows, route j at ``nodes[indptr[j]:indptr[j + 1]]``
    links : (sum of hops,) the links between these nodes, one route after the other
    value : (J,) what each is worth to the objective, > 0
    rest : (K,) upper bound on the value of any route of the request not listed; 0 where all are
    """

    problem: Problem
    request: np.ndarray
    nodes: np.ndarray
    indptr: np.ndarray
    links: np.ndarray
    value: np.ndarray
    rest: np.ndarray

    def __len__(self) -> int:
        return len(self.request)

    @cached_property
    def hops(self) -> np.ndarray:
        """(J,) links of each route."""
        return np.diff(self.indptr) - 1

    @cached_property
    def steps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every link that every route takes, as (route, link, node it leaves), each (sum of hops,)."""
        tail = np.ones(len(self.nodes), dtype=bool)
        tail[self.indptr[1:] - 1] = False
        return np.repeat(np.arange(len(self)), self.hops), self.links, self.nodes[tail]

    @property
    def incomplete(self) -> np.ndarray:
        """(K,) bool: whether a request may have routes of any worth that are not listed."""
        return self.rest > NOTHING * self.problem.weights

    def first(self, count: int) -> RouteTable:
        """The `count` most valuable routes of each request, the others counted in `rest`."""
        rank = np.arange(len(self)) - np.searchsorted(self.request, self.request)
        rest = self.rest.copy()
        np.maximum.at(rest, self.request[rank >= count], self.value[rank >= count])
        return replace(self.taken(np.flatnonzero(rank < count)), rest=rest)

    def taken(self, routes: np.ndarray) -> RouteTable:
        """The routes of these numbers, in that order; `rest` is kept as it is."""
        hops, begin = self.hops[routes], self.indptr[routes]
        return replace(
            self,
            request=self.request[routes],
            nodes=self.nodes[_runs(begin, hops + 1)],
            indptr=_offsets(hops + 1),
            links=self.links[_runs(begin - routes, hops)],
            value=self.value[routes],
        )

    def route(self, j: int) -> Route:
        """Route j with the names of its request and nodes."""
        names = self.problem.network.node_ids
        row = self.nodes[self.indptr[j] : self.indptr[j + 1]]
        return Route(self.problem.requests[self.request[j]].id, tuple(names[v] for v in row.tolist()))

    def allocation(self, times: np.ndarray) -> Allocation:
        """The allocation that uses route j `times[j]` times, in the order of requests, each one's best route first."""
        if times.sum() > MOST_WRITTEN:
            raise SolverError(f"the answer would hold more than {MOST_WRITTEN:,} routes; lower the requests' routes")
        order = np.lexsort((-self.value, self.request))
        return Allocation(tuple(self.route(j) for j in np.repeat(order, times[order]).tolist()))


def enumerate_routes(
    problem: Problem,
    *,
    per_request: int | np.ndarray,
    pool: int = 1,
    settings: Settings | None = None,
) -> RouteTable:
    """The most valuable routes of every request, up to `per_request` each, with a bound on the rest.

    Hop limits, fidelity floors and what a node or link can carry at all are kept by every route listed.
    Routes worth 0 or less are never worth using and not listed.

    Parameters
    ----------
    per_request
        One number for all, or (K,) one for each request.
    pool
        Under link-sum routes are found by hops, not by value: look at so many times more than are kept.
    settings
        Requests whose turn comes after the time limit are not searched.
    """
    costs = closed(problem, search_costs(problem))
    dearest, max_hops = most_useful_cost(problem), problem.max_hops
    kept = np.broadcast_to(np.asarray(per_request, dtype=np.int64), len(problem.requests))
    count = kept * (pool if problem.objective.kind == "link-sum" else 1)
    found = []
    for k, (source, target) in enumerate(zip(problem.sources.tolist(), problem.targets.tolist())):
        if not can_end(problem, source, target):
            found.append(_NONE)
        elif settings is not None and settings.remaining() <= 0.0:
            found.append(_NOT_SEARCHED)
        else:
            paths = cheapest_paths(
                problem.network,
                costs,
                source,
                target,
                count=max(int(count[k]), 2),  # one path alone would be searched with dominance, and so have no `rest`
                max_cost=dearest,
                max_noise=noise_budget(problem.requests[k].min_fidelity),
                max_hops=max_hops,
                max_labels=min(max(_LABELS_PER_ROUTE * int(count[k]), _FEWEST_LABELS), _MOST_LABELS),
            )
            found.append(paths)
    return _table(problem, found, kept)


def table_of(
    problem: Problem, request: np.ndarray, nodes: np.ndarray, indptr: np.ndarray, routes: np.ndarray | None = None
) -> RouteTable:
    """Routes given by their nodes as a table, or those of some numbers; `rest` is 0 and says nothing of others."""
    links = np.empty(len(nodes) - len(request), np.int64)
    _find_links(*problem.network.adjacency, nodes, indptr, links)
    table = RouteTable(problem, request, nodes, indptr, links, np.zeros(len(request)), np.zeros(len(problem.requests)))
    table = table if routes is None else table.taken(routes)
    if problem.objective.kind == "link-sum":
        return replace(table, value=_values(table, table.value))
    costs = path_costs(problem)
    route, link, tail = table.steps
    passed = np.where(tail == table.nodes[table.indptr[:-1]][route], 0.0, costs.node[tail])
    cost = np.bincount(route, weights=costs.link[link] + passed, minlength=len(table))
    return replace(table, value=_values(table, cost))


def keeps_limits(table: RouteTable) -> np.ndarray:
    """(J,) bool: whether each route keeps its request's floor and the hop limit, and could be used and worth it at all.

    Not for link-sum.
    """
    problem = table.problem
    costs = closed(problem, path_costs(problem))
    route, link, tail = table.steps
    first = table.nodes[table.indptr[:-1]]
    cost = np.bincount(route, costs.link[link] + np.where(tail == first[route], 0.0, costs.node[tail]), len(table))
    noise = np.bincount(route, costs.noise[link], len(table))
    budget = np.array([noise_budget(request.min_fidelity) for request in problem.requests])[table.request]
    usable = can_end(problem, first, table.nodes[table.indptr[1:] - 1])
    worth = np.isfinite(cost) & (table.value > 0.0)
    return usable & worth & (noise <= budget) & (table.hops <= problem.max_hops)


def joined(one: RouteTable, other: RouteTable) -> RouteTable:
    """The routes of two tables of one problem, one after the other; `rest` is that of the second."""
    return RouteTable(
        one.problem,
        np.concatenate([one.request, other.request]),
        np.concatenate([one.nodes, other.nodes]),
        np.concatenate([one.indptr, one.indptr[-1] + other.indptr[1:]]),
        np.concatenate([one.links, other.links]),
        np.concatenate([one.value, other.value]),
        other.rest,
    )


def with_new(table: RouteTable, request: np.ndarray, nodes: np.ndarray, indptr: np.ndarray) -> RouteTable:
    """The table, with those of other routes before it, given by their nodes, that it does not list."""
    known = set(_keys(table.request, table.nodes, table.indptr))
    new = [j for j, key in enumerate(_keys(request, nodes, indptr)) if key not in known]
    return joined(table_of(table.problem, request, nodes, indptr, np.array(new)), table) if new else table


def numbers_of(table: RouteTable, request: np.ndarray, nodes: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """The number in a table of each of some routes given by their nodes, -1 for those that it does not list."""
    number = {key: j for j, key in enumerate(_keys(table.request, table.nodes, table.indptr))}
    return np.array([number.get(key, -1) for key in _keys(request, nodes, indptr)], dtype=np.int64)


def nodes_of(problem: Problem, allocation: Allocation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The routes of an allocation as rows: request, nodes, indptr as in a `RouteTable`."""
    index, number = problem.network.index, problem.request_index
    request = np.array([number[route.request] for route in allocation.routes], dtype=np.int64)
    nodes = np.array([index[v] for route in allocation.routes for v in route.nodes], dtype=np.int64)
    return request, nodes, _offsets(np.array([len(route.nodes) for route in allocation.routes], dtype=np.int64))


def _keys(request: np.ndarray, nodes: np.ndarray, indptr: np.ndarray) -> list[tuple[int, bytes]]:
    """What tells routes apart."""
    rows, width = nodes.tobytes(), nodes.itemsize
    bounds = (width * indptr).tolist()
    return [(k, rows[begin:end]) for k, begin, end in zip(request.tolist(), bounds, bounds[1:])]


def enumerate_all(problem: Problem, *, max_routes: int, settings: Settings | None = None) -> RouteTable:
    """Every route of any worth, as far as `max_routes` in all allow.

    What few-routed requests leave over goes to those that have more. `RouteTable.incomplete` tells which
    requests were cut short.
    """
    limit = np.full(len(problem.requests), max(max_routes // max(len(problem.requests), 1), 1))
    while True:
        table = enumerate_routes(problem, per_request=limit, settings=settings)
        more = table.incomplete
        spare = max_routes - np.bincount(table.request[~more[table.request]]).sum() if len(table) else max_routes
        share = spare // max(more.sum(), 1)
        if not more.any() or share < 1.5 * limit[more].max():
            return table
        limit = np.where(more, share, limit)


_NONE = Paths(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(0), np.inf)
_NOT_SEARCHED = _NONE._replace(rest=0.0)


def _table(problem: Problem, found: list[Paths], per_request: np.ndarray) -> RouteTable:
    """Values of all paths found, sorted by value within each request and cut to `per_request`."""
    sizes = np.array([len(paths.cost) for paths in found], dtype=np.int64)
    request = np.repeat(np.arange(len(found)), sizes)
    nodes = np.concatenate([paths.nodes for paths in found]) if found else np.zeros(0, np.int64)
    links = np.concatenate([paths.links for paths in found]) if found else np.zeros(0, np.int64)
    lengths = np.concatenate([np.diff(paths.indptr) for paths in found]) if found else np.zeros(0, np.int64)
    cost = np.concatenate([paths.cost for paths in found]) if found else np.zeros(0)
    table = RouteTable(problem, request, nodes, _offsets(lengths), links, cost, np.zeros(len(found)))
    value = _values(table, cost)
    order = np.lexsort((-value, request))
    rank = np.arange(len(order)) - _offsets(sizes)[request]  # position within its request
    within = rank < per_request[request[order]]
    kept = order[within & (value[order] > 0.0)]
    rest = _rest_values(problem, np.array([paths.rest for paths in found]))
    left_out = order[~within]
    np.maximum.at(rest, request[left_out], value[left_out])
    return replace(table, value=value, rest=np.maximum(rest, 0.0)).taken(kept)


def _values(table: RouteTable, cost: np.ndarray) -> np.ndarray:
    """(J,) values; `cost` is -ln P except under link-sum."""
    problem = table.problem
    if problem.objective.kind != "link-sum":
        return value_at_cost(problem, table.request, cost)
    route, link, _ = table.steps
    return problem.weights[table.request] * np.bincount(route, problem.network.coefficient[link], minlength=len(table))


def _rest_values(problem: Problem, rest_cost: np.ndarray) -> np.ndarray:
    """(K,) upper bounds on the value of routes that cost at least `rest_cost`."""
    if problem.objective.kind != "link-sum":
        return value_at_cost(problem, np.arange(len(rest_cost)), rest_cost)
    best = np.sort(np.maximum(problem.network.coefficient, 0.0))[::-1][: problem.max_hops].sum()
    return np.where(np.isinf(rest_cost), 0.0, problem.weights * best)


def can_end(problem: Problem, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Whether memory and degree let any route start at the one and end at the other, for nodes (...) each."""
    memory = problem.network.memory
    return (memory[source] >= 1) & (memory[target] >= 1) & (problem.degree_bounds[source] >= 1)


def _runs(begin: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Whole numbers from each beginning on, so many each, joined."""
    offsets = _offsets(lengths)
    return np.arange(offsets[-1]) + np.repeat(begin - offsets[:-1], lengths)


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


@njit(cache=True)
def _find_links(indptr, neighbour, link, nodes, starts, found):
    """Write the link of each step of routes whose nodes, given in compressed rows, are joined."""
    step = 0
    for j in range(starts.size - 1):
        for i in range(starts[j], starts[j + 1] - 1):
            u, v = nodes[i], nodes[i + 1]
            many = indptr[u + 1] - indptr[u]
            if many > _MANY and many > indptr[v + 1] - indptr[v]:
                u, v = v, u
            for a in range(indptr[u], indptr[u + 1]):
                if neighbour[a] == v:
                    found[step] = link[a]
                    break
            step += 1
