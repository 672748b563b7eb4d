"""Branching where cuts are exhausted: the relaxation is priced again for one case, and for the other.

A request served in part is left out, or served. Served, every route of it is worth a bonus M more and M is taken off
the value: with its one route it is worth what it was, and for any M >= 0 the relaxation bounds all allocations that
serve it. A request with parts of several routes avoids a link, or takes it.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qnroute.result import closed
from qnroute.routes import RouteTable
from qnroute.solvers.search import Search

if TYPE_CHECKING:
    from qnroute.solvers.relaxation import Relaxation

_NODES = 200  # relaxations at most
_TRIED = 20  # after so many each time
_PAYS = 0.05  # this share of the gap must have closed
_IN_PART = 1e-6
_TRIALS = 10  # requests tried each time
_FIRST_TRIALS = 30  # and at first
_LITTLE = 1e-6  # of the gap: what a case closes at least, when both are weighed


class Case(NamedTuple):
    """Some of all allocations: requests that are left out, or served, and requests with links to avoid, or to take.

    A request that is served gets a bonus, twice as much each time that it is named again.
    """

    out: tuple[int, ...] = ()
    served: tuple[int, ...] = ()
    avoid: tuple[tuple[int, int], ...] = ()
    take: tuple[tuple[int, int], ...] = ()

    @property
    def choosy(self) -> list[int]:
        """Requests that avoid or take links."""
        return sorted({k for k, _ in (*self.avoid, *self.take)})

    def allows(self, table: RouteTable) -> np.ndarray:
        """(J,) whether each route avoids and takes the links that it has to."""
        fine = np.ones(len(table), dtype=bool)
        if self.avoid or self.take:
            route, link, _ = table.steps
            for wanted, pairs in ((False, self.avoid), (True, self.take)):
                for k, e in pairs:
                    has = np.zeros(len(table), dtype=bool)
                    has[route[link == e]] = True
                    fine &= (table.request != k) | (has == wanted)
        return fine


def branched(relaxation: Relaxation) -> Search:
    """The search with the bound and the allocation that branching leads to."""
    root, order, least = relaxation.search, itertools.count(), relaxation.search.value
    waiting: list[tuple[float, int, Case]] = []
    tried: dict[int, float] = {}

    def split(bound: float, case: Case) -> bool:
        """Put the parts of a case on the heap; whether there are any."""
        parts = _parts(relaxation, case, tried)
        for part in parts:
            heapq.heappush(waiting, (-bound, next(order), part))
        return bool(parts)

    if not split(root.bound, Case()):
        return root
    before = root.bound
    try:
        for node in range(_NODES):
            if not waiting:
                break
            bound, _, case = heapq.heappop(waiting)
            if closed(relaxation.search.value, -bound, relaxation.goal):  # and so is what still waits
                least = max(least, -bound)
                waiting.clear()
                break
            if node and node % _TRIED == 0:
                if before + bound < _PAYS * (root.bound - relaxation.search.value):
                    heapq.heappush(waiting, (bound, next(order), case))
                    break
                before = -bound
            found = relaxation.within(case, -bound, max(least, -bound))
            if found is None:
                least = max(least, -bound)
                break
            if found.closed(relaxation.goal) or not split(found.bound, case):
                least = max(least, found.bound)
    finally:
        relaxation.everywhere()
    return relaxation.search.bounded(max([least, relaxation.search.value, *(-each[0] for each in waiting)]))


def _parts(relaxation: Relaxation, case: Case, tried: dict[int, float]) -> tuple[Case, ...]:
    """Cases that together are this one, all without the relaxation at hand; none if that is whole."""
    table, z = relaxation.fractions()
    single = relaxation.problem.most_routes[table.request] == 1
    part = np.flatnonzero(single & (np.abs(z - np.rint(z)) > _IN_PART))
    count = len(relaxation.problem.requests)
    served, worth = (np.bincount(table.request, weights, count) for weights in (z, z * table.value))
    for k in case.served:
        if served[k] < 1.0 - _IN_PART:
            return (case._replace(served=(*case.served, k)),)
    some = np.unique(table.request[part])
    unsure = some[served[some] < 1.0 - _IN_PART]
    if len(unsure):
        order = np.argsort(-np.minimum(1.0, 1.0 / served[unsure] - 1.0) * worth[unsure], kind="stable")
        k = _chosen(relaxation, unsure[order].tolist(), tried)
        return case._replace(out=(*case.out, k)), case._replace(served=(*case.served, k))
    some = some[np.bincount(table.request[part], minlength=count)[some] > 1]
    if not len(some):
        return ()
    k = int(some[np.argmax(worth[some])])
    routes = part[table.request[part] == k]
    one, other = routes[np.argsort(-z[routes], kind="stable")[:2]]
    route, link, _ = table.steps
    e = int(next(e for e in link[route == one] if e not in set(link[route == other].tolist())))
    return case._replace(avoid=(*case.avoid, (k, e))), case._replace(take=(*case.take, (k, e)))


def _chosen(relaxation: Relaxation, unsure: list[int], tried: dict[int, float]) -> int:
    """The request for which both cases close most of the gap, as far as `tried`: their product, when last looked at."""
    table, z = relaxation.fractions()
    value = float(z @ table.value)
    room = max(value - relaxation.search.value, np.finfo(float).tiny)
    known = sorted((k for k in unsure if k in tried), key=lambda k: -tried[k])[: _TRIALS // 2]
    new = [k for k in unsure if k not in tried]
    some = (known + new)[: _TRIALS if tried else _FIRST_TRIALS]
    for k in some:
        found = relaxation.tried(k)
        if found is None:
            break
        tried[k] = float(np.prod(np.clip((value - found) / room, _LITTLE, 1.0)))
    return max(some, key=lambda k: tried.get(k, 0.0))
