"""Method ``column-generation``: routes are made as prices call for them, and the optimum is proven from the prices.

The relaxation of path packing is solved over the routes known (`qnroute.solvers.master`); its prices y >= 0 send a
search for routes worth more than what they use (`qnroute.pricing`). Cuts bring the relaxation close to what whole
routes allow. Whatever the prices of resources and cuts, with m_k the best price of any route of request k,

    U = sum_i b_i y_i + sum_k routes_k max(m_k, 0)

bounds every allocation (weak duality), and an allocation that uses a route of price p is worth at most U - (m_k - p).
So once an allocation worth z is known, routes with p < m_k - (U - z) cannot improve on it. The others are listed and
packed by HiGHS; where they are too many, those listed prove U - t, with t the least m_k - p of a route left out.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np

from qnroute.allocation import Allocation
from qnroute.errors import SolverError
from qnroute.methods import method, solve_with
from qnroute.pricing import BEST, FOLLOWED, Priced, Pricer
from qnroute.problem import Problem
from qnroute.result import PROVEN, Result
from qnroute.routes import RouteTable, table_of
from qnroute.settings import MAX_ROUTES, MOST_PACKED, Answer, Point, Settings
from qnroute.solvers.highs import solve_matrix
from qnroute.solvers.listing import listed
from qnroute.solvers.master import Master, packing
from qnroute.solvers.rounding import filled, repaired
from qnroute.solvers.search import Search

NAME = "column-generation"
_PART = 500  # requests searched at once at first, so that there is soon something to show
_ROUGH = 0.3  # relative gap of the relaxation up to which a few routes followed are enough
_SETTLED = 1e-8  # relative gap at which the relaxation counts as solved
_CLOSE = 0.02  # or share of the gap to the incumbent
_PATIENCE = 2  # searches without a new route after which a request is left out until all are searched again
_WORTHWHILE = 0.25  # share of the new routes of a full search below which the next one is full again
_PARTIAL = 8  # searches for some requests only, one after the other
_CUTS_BETWEEN = 5  # times that the relaxation is cut between searches for all requests
_CUT_ROUNDS = 30  # of cuts over the routes known, before routes are priced again
_PAYS = 0.1  # share of the gap that cuts, and routes priced with them, must close to be looked for again
_NESTED_PAYS = 0.03  # the same for cuts of cuts
_NEAR = 1 / 4  # share of the room within which routes are packed beside whole ones
_STEPS = (1 / 64, 1 / 8, 1.0)  # shares of the room within which routes are listed, one after the other
_TINY = 1e-12  # share of its worth by which a route must beat the price of its request
_ROUNDING = 1e-9  # relative room for rounding in prices and U


def column_generation(problem: Problem, settings: Settings, **options: int) -> Answer:
    """Solve to a proven optimum, or to a proven gap; the options are those of `ColumnGeneration`."""
    return ColumnGeneration(problem, **options).run(settings).answer()


class ColumnGeneration:
    """A problem and all that is known of it: routes, cuts, prices and the best allocation, kept between solves.

    >>> solver = ColumnGeneration(problem)
    >>> result = solver.solve(time_limit=10)
    >>> solver.update(problem.replace(requests=others))
    >>> result = solver.solve(time_limit=1)

    Parameters
    ----------
    workers
        Threads that price routes; 0 for as many as there are cores.
    threads
        Of HiGHS.
    max_routes
        Routes listed at the end to close the gap.

    Raises
    ------
    SolverError
        The objective is link-sum, or the task is not allocation.
    """

    def __init__(self, problem: Problem, *, workers: int = 0, threads: int = 1, max_routes: int = MAX_ROUTES):
        if problem.task != "allocation" or problem.objective.kind == "link-sum":
            raise SolverError(f"{NAME}: is for allocations, and not for link-sum: link-sum rewards detours; use exact")
        self.problem = problem
        self._options = {"workers": workers, "threads": threads, "max_routes": max_routes}
        self._pricer = Pricer(problem, workers or len(os.sched_getaffinity(0)))
        self._master = Master(problem)
        self._search = Search(Allocation(), 0.0)
        self._begin(Settings())

    def _begin(self, settings: Settings) -> None:
        self._settings, self._goal, self._relaxed = settings, max(settings.gap, PROVEN / 2), None
        self._search = replace(self._search, trace=[], stopped=None, open="")

    def solve(self, **common: Any) -> Result:
        """A checked answer, from where the last one ended; `common` are the settings of `qnroute.solve`."""
        own = replace(method(NAME), solve=lambda problem, settings, **_: self.run(settings).answer())
        return solve_with(self.problem, own, self._options, **common)

    def update(self, problem: Problem) -> None:
        """Go on with another problem on the same nodes and links.

        Probabilities, fidelities, capacities, rules and requests may differ. Routes that are still allowed, cuts, the
        basis and the best allocation are kept, so that a small change costs little.

        Raises
        ------
        SolverError
            The problem has other nodes or links; make a new solver.
        """
        kept = self._search.allocation
        self._master = self._master.renewed(problem)
        self._pricer = self._pricer.renewed(problem)
        self.problem = problem
        self._search = Search(Allocation(), 0.0)
        self._take(self._of(kept))

    def _of(self, kept: Allocation) -> np.ndarray:
        """The routes known that an allocation uses, the most valuable ones first."""
        table, index = self._master.table, self.problem.network.index
        known = {(route.request, tuple(index[v] for v in route.nodes)) for route in kept.routes}
        ids = [request.id for request in self.problem.requests]
        bounds = zip(table.request.tolist(), table.indptr[:-1].tolist(), table.indptr[1:].tolist())
        used = [(ids[k], tuple(table.nodes[start:end].tolist())) in known for k, start, end in bounds]
        order = np.flatnonzero(used)
        return order[np.argsort(-table.value[order], kind="stable")]

    def run(self, settings: Settings) -> Search:
        """The search as far as settings allow; interrupted at any point it keeps what it has."""
        self._begin(settings)
        try:
            self._run()
        except KeyboardInterrupt:  # a second Ctrl-C: what is proven stays proven
            self._search = replace(self._search, stopped="interrupted")
        return self._search

    def _run(self) -> None:
        if len(self._master.table):
            self._resume()
        else:
            self._start()
        self._relax()
        if not len(self._master.table):
            return
        self._repair()
        while self._going() and self._tighten():
            self._repair()
        self._pack_known()
        if self._going():
            self._list()

    def _going(self) -> bool:
        """Whether there is time, and a gap to close."""
        if self._search.stopped is None and self._settings.stopped:
            self._search = replace(self._search, stopped=self._settings.stopped)
        return self._search.stopped is None and not self._search.closed(self._goal)

    def _seen(self, search: Search) -> None:
        self._search = search.seen(self._settings)

    # --- the relaxation ---

    def _start(self) -> None:
        """A few routes of every request where nothing costs anything yet, part by part, and what they show at once."""
        pricer, master = self._pricer, self._master
        allowed, free = self.problem.most_routes.astype(float), np.zeros(len(master.resources.capacity))
        best, none = np.maximum(pricer.worth, 0.0), np.zeros(len(pricer.worth))
        self._seen(self._search.bounded(float(allowed @ best)))
        for part in np.array_split(np.arange(len(none)), max(-(-len(none) // _PART), 1)):
            priced = self._priced(free, none, FOLLOWED, part)
            if priced is None:
                return
            best[part] = np.where(pricer.open[part], priced.most[part], 0.0)
            master.add(priced.request, priced.nodes, priced.indptr)
            self._search = self._search.proven(float(allowed @ best), best, free)
            self._rounded()
        pricer.cap(best)
        pricer.explore(self._settings)
        self._solve_master()

    def _resume(self) -> None:
        """The relaxation over the routes that are known already."""
        self._solve_master()
        self._rounded()

    def _priced(self, prices: np.ndarray, floor: np.ndarray, effort: int, among: np.ndarray | None) -> Priced | None:
        met = self._master.resources.prices(prices)
        priced = self._pricer.search(met, floor, self._settings, effort=effort, among=among)
        return priced if self._going() else None

    def _solve_master(self) -> None:
        self._relaxed = self._master.solve(self._settings)

    def _tighten(self) -> bool:
        """Cut with cuts of cuts, and price routes again; whether that paid."""
        before = self._search.bound
        if self._relaxed is None or not (self._cut(nested=False) or self._cut(nested=True)):
            return False
        self._relax(cut=True)
        return before - self._search.bound >= _NESTED_PAYS * (before - self._search.value)

    def _relax(self, *, cut: bool = False) -> None:
        """Price routes until none improves the relaxation (`cut` just now), and cut it as long as that pays.

        Between searches for all requests, which alone give bounds, only those are searched that lately had new routes,
        and after a cut those whose routes compete.
        """
        quiet = np.zeros(len(self.problem.requests), np.int64)
        effort, full, few, partial, cuts, before = FOLLOWED, True, 0.0, 0, _CUTS_BETWEEN, np.inf
        if cut or not np.isfinite(self._search.bound):  # most routes, and cuts, are there
            new = np.zeros(0, np.int64) if cut else self._improve(FOLLOWED, None)
            if new is None or self._relaxed is None:
                return
            effort, full, cuts = BEST, False, 0
            quiet[:] = self._quiet()
            quiet[new] = 0
        while self._going() and self._relaxed is not None:
            new = self._improve(effort, None if full else np.flatnonzero(quiet < _PATIENCE))
            if new is None:
                return
            quiet += 1
            quiet[new] = 0
            done = self._settled() or (full and effort == BEST and not len(new))
            partial = 0 if full else partial + 1
            dry = not len(new) if full else len(new) <= few or partial == _PARTIAL
            if full:
                few = _WORTHWHILE * len(new)
            if self._settled(_ROUGH) or len(new) <= 0.01 * len(quiet):
                effort = BEST
            if done and before - self._search.bound < _PAYS * (self._search.bound - self._search.value):
                break
            if done or (dry and not full and cuts < _CUTS_BETWEEN):
                before, cuts = (self._search.bound, 0) if done else (before, cuts + 1)
                if self._cut(nested=False):
                    quiet[:], full, partial = self._quiet(), False, 0
                    continue
                if done:
                    break
            full = dry
        self._rounded()

    def _quiet(self) -> np.ndarray:
        """(K,) 0 for requests whose routes compete with one another or others', else so much that they are left out."""
        return np.where(self._relaxed.price[self._master.resources.requests] > 0.0, 0, _PATIENCE)

    def _improve(self, effort: int, among: np.ndarray | None) -> np.ndarray | None:
        """Price the routes of some requests, or all; gives the requests of new routes, None where time ran out."""
        prices = self._relaxed.price
        asked = prices[self._master.resources.requests]
        floor = np.where(asked > 0.0, asked + _TINY * self._pricer.worth, 0.0)
        priced = self._priced(prices, floor, effort, among)
        if priced is None:
            return None
        if among is None:
            self._rounded()
            self._bound(np.maximum(priced.most, 0.0), prices)
        new = self._master.add(priced.request, priced.nodes, priced.indptr)
        if len(new):
            self._solve_master()
            self._seen(self._search)
        if self._settled():  # with an older incumbent it might only seem so
            self._rounded()
        return new

    def _settled(self, share: float = _SETTLED) -> bool:
        """Whether the bound is so near to the relaxation that pricing more would hardly lower it."""
        if self._relaxed is None or not np.isfinite(self._search.bound):
            return False
        room = self._search.bound - self._relaxed.value
        return room <= max(share * self._search.bound, _CLOSE * (self._relaxed.value - self._search.value))

    def _bound(self, best: np.ndarray, prices: np.ndarray) -> None:
        """Take the bound that prices prove, if it is a better one."""
        capacity, resources = self._master.resources.capacity, self._master.resources
        paid = prices > 0.0
        paid[resources.requests] = False
        bound = float(prices[paid] @ capacity[paid] + capacity[resources.requests] @ best)
        self._search = self._search.proven(bound, best, prices)

    def _rounded(self) -> None:
        """Try the routes known in order of z, and in order of density alone, while they fit."""
        table = self._master.table
        density = -table.value / np.sqrt(table.hops)
        orders = [density]
        if self._relaxed is not None and len(self._relaxed.z) == len(table):
            orders.append(-np.round(self._relaxed.z, 6))
        for first in orders:
            self._take(np.lexsort((density, first)))
        self._seen(self._search)

    def _take(self, order: np.ndarray) -> None:
        """Take the routes known in this order while they fit, if that is better than the best allocation."""
        table, resources = self._master.table, self._master.resources
        times = filled(self._master.used, resources.capacity, order)
        if table.value @ times > self._search.value:
            self._search = self._search.better(self.problem, table.allocation(times))

    def _cut(self, *, nested: bool) -> bool:
        """Cut the relaxation over the routes known; whether it could be. Cuts of cuts come where others do not do."""
        cut = 0
        for _ in range(_CUT_ROUNDS):
            more = self._master.cut(self._relaxed.z, nested=nested) if self._going() else 0
            if not more:
                break
            cut += more
            self._solve_master()
            if self._relaxed is None:
                return False
        return cut > 0

    # --- whole routes ---

    def _repair(self) -> None:
        """Keep the whole routes of the relaxation, and pack the best of the others beside them."""
        if self._going() and self._relaxed is not None:
            table, used, near = self._master.table, self._master.used, self._needed(self._short(), _NEAR)
            found = repaired(table, used, self._master.resources.capacity, self._relaxed.z, near, self._settings)
            if found is not None:
                self._seen(self._search.better(self.problem, table.allocation(found)))

    def _pack_known(self) -> None:
        """Pack all routes known that could improve on the best allocation."""
        if self._going():
            self._pack(self._master.table.taken(self._needed(self._short())))

    def _short(self) -> np.ndarray:
        """(J,) what the price of each route known falls short of the best of its request."""
        table = self._master.table
        return self._search.best[table.request] - (table.value - self._master.used @ self._prices())

    def _needed(self, short: np.ndarray, share: float = 1.0) -> np.ndarray:
        """Routes that could improve on the best known, given what each falls short of; the nearest if too many."""
        room = share * (self._search.weak - self._search.value) + _ROUNDING * abs(self._search.weak)
        needed = np.flatnonzero(short <= room)
        if len(needed) <= MOST_PACKED:
            return needed
        return np.sort(needed[np.argsort(short[needed], kind="stable")[:MOST_PACKED]])

    def _pack(self, table: RouteTable) -> float:
        """Pack routes; gives the bound on all packings of them."""
        start = self._search

        def seen(seconds: float, objective: float | None, _: float | None) -> Point:
            return seconds, max(start.value, objective or 0.0), start.bound

        resources = self._master.resources
        program = packing(table, resources.used(table), resources.capacity)
        outcome = solve_matrix(program, self._settings.through(seen), threads=self._options["threads"])
        search = replace(start, trace=[*start.trace, *(seen(*point) for point in outcome.trace)])
        if outcome.values is not None:
            search = search.better(self.problem, table.allocation(np.rint(outcome.values).astype(np.int64)))
        self._seen(replace(search, stopped=outcome.stopped))
        return max(outcome.bound, search.value)

    def _prices(self) -> np.ndarray:
        """(R,) prices of the bound, 0 for cuts that are newer and for requests."""
        prices = np.zeros(len(self._master.resources.capacity))
        prices[: len(self._search.prices)] = self._search.prices
        prices[self._master.resources.requests] = 0.0
        return prices

    def _list(self) -> None:
        """List the routes that could still matter, those nearest to their request's best price first, and pack them."""
        best, prices = self._search.best, self._prices()
        rounding = _ROUNDING * abs(self._search.weak)
        for step in _STEPS:
            within = step * (self._search.weak - self._search.value) + rounding
            floor = best - within
            near = self._priced(prices, floor, BEST, None)
            if near is None:
                return
            met, most = self._master.resources.prices(prices), self._options["max_routes"]
            priced = listed(self._pricer, met, floor, near, self._settings, max_routes=most, slight=rounding)
            if priced is None or not self._going():
                return
            cut = priced.rest > floor + rounding
            left_out = float((best - priced.rest)[cut].min(initial=within))
            short = best[priced.request] - priced.price
            needed = self._needed(short)
            if len(needed) == MOST_PACKED:
                left_out = min(left_out, float(short[needed].max()))
            table = table_of(self.problem, priced.request, priced.nodes, priced.indptr, needed)
            bound = self._pack(table)
            self._seen(self._search.bounded(max(bound, self._search.value, self._search.weak - left_out)))
            if not self._going():
                return
            if cut.any():
                self._search = replace(
                    self._search, open=f"{cut.sum()} requests have more useful routes than were listed"
                )
                return
        self._search = replace(self._search, open="the integer program left a gap")
