"""Method ``column-generation``: routes are made as prices call for them, and the optimum is proven from the prices.

The relaxation of path packing is solved over the routes known (`qnroute.solvers.master`); its prices y >= 0 send a
search for routes worth more than what they use (`qnroute.pricing`). Cuts bring the relaxation close to what whole
routes allow, and branching closer (`qnroute.solvers.branching`). With m_k the best price of any route of request k, and
U the bound that prices prove (`qnroute.solvers.relaxation`), an allocation that uses a route of price p is worth at
most U - (m_k - p). So once an allocation worth z is known, routes with p < m_k - (U - z) cannot improve on it. The
others are listed and packed by HiGHS; where they are too many, those listed prove U - t, with t the least m_k - p of a
route left out.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np

from qnroute.allocation import Allocation
from qnroute.errors import SolverError
from qnroute.interruption import came_of_interrupt
from qnroute.methods import method, solve_with
from qnroute.pricing import BEST
from qnroute.problem import Problem
from qnroute.result import Result
from qnroute.routes import RouteTable, table_of
from qnroute.settings import MAX_ROUTES, MOST_PACKED, Answer, Point, Settings
from qnroute.solvers.branching import branched
from qnroute.solvers.highs import solve_matrix
from qnroute.solvers.listing import listed
from qnroute.solvers.master import packing
from qnroute.solvers.relaxation import ROUNDING, Relaxation
from qnroute.solvers.search import Search, within

NAME = "column-generation"
_STEPS = (1 / 64, 1 / 8, 1.0)  # shares of the room within which routes are listed, one after the other


def column_generation(problem: Problem, settings: Settings, **options: int) -> Answer:
    """Solve to a proven optimum, or to a proven gap; the options are those of `ColumnGeneration`."""
    return ColumnGeneration(problem, **options).run(settings).answer()


class ColumnGeneration(Relaxation):
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
        super().__init__(problem, workers or len(os.sched_getaffinity(0)))
        self._options = {"workers": workers, "threads": threads, "max_routes": max_routes}
        self._torn = False  # whether a Ctrl-C may have left anything half done

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
        if self._torn:
            self._mend()
        self._torn = True
        self._renew(problem)
        self._take(self._of(kept))
        self._torn = False

    def _of(self, kept: Allocation) -> np.ndarray:
        """The routes known that an allocation uses, the most valuable ones first."""
        table, index = self._master.table, self.problem.network.index
        known = {(route.request, tuple(index[v] for v in route.nodes)) for route in kept.routes}
        ids = [request.id for request in self.problem.requests]
        bounds = zip(table.request.tolist(), table.indptr[:-1].tolist(), table.indptr[1:].tolist())
        used = [(ids[k], tuple(table.nodes[start:end].tolist())) in known for k, start, end in bounds]
        order = np.flatnonzero(used)
        return order[np.argsort(-table.value[order], kind="stable")]

    def columns(self, settings: Settings) -> tuple[RouteTable, float | None]:
        """Routes of the relaxation, as far as time allows, that reduced costs do not rule out, and the bound."""
        self._begin(settings)
        self._start()
        self._relax()
        table = self._master.table
        some = np.arange(len(table)) if self._search.prices is None else self._needed(self._short())
        bound = self._search.bound if np.isfinite(self._search.bound) else None
        return table.taken(some[np.lexsort((-table.value[some], table.request[some]))]), bound

    def run(self, settings: Settings) -> Search:
        """The search as far as settings allow; interrupted at any point it keeps what it has."""
        try:
            if self._torn:
                self._mend()
            self._torn = True
            self._begin(settings)
            self._run()
            self._torn = False
        except BaseException as error:  # a second Ctrl-C: what is proven stays proven
            if not came_of_interrupt(error):
                raise
            self._search = replace(self._of_all(), stopped="interrupted")
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
        if self._going():
            self._search = branched(self)
        self._pack_known()
        if self._going():
            self._list()

    def _pack_known(self) -> None:
        """Pack all routes known that could improve on the best allocation."""
        if self._going():
            self._pack(self._master.table.taken(self._needed(self._short())))

    def _pack(self, table: RouteTable) -> float:
        """Pack routes; gives the bound on all packings of them."""
        start = self._search

        def seen(seconds: float, objective: float | None, _: float | None) -> Point:
            return within(start.value, start.bound)(seconds, objective, None)

        resources = self._master.resources
        program = packing(table, resources.used(table), resources.capacity)
        outcome = solve_matrix(program, self._settings.through(seen), threads=self._options["threads"])
        search = replace(start, trace=[*start.trace, *(seen(*point) for point in outcome.trace)])
        if outcome.values is not None:
            search = search.better(self.problem, table.allocation(np.rint(outcome.values).astype(np.int64)))
        self._seen(replace(search, stopped=outcome.stopped))
        return max(outcome.bound, search.value)

    def _list(self) -> None:
        """List the routes that could still matter, those nearest to their request's best price first, and pack them."""
        best, prices = self._search.best, self._prices()
        rounding = ROUNDING * abs(self._search.weak)
        for step in _STEPS:
            within = step * (self._search.weak - self._search.value) + rounding
            floor = best - within
            near = self._priced(prices, floor, BEST, None)
            if near is None:
                return
            met, most = self._master.resources.prices(prices), self._options["max_routes"]
            priced = listed(self._pricer, met, floor, near, self._settings, max_routes=most, slight=rounding)
            if not self._going() or priced is None:
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
