"""Method ``column-generation``: routes are made as prices call for them, and the optimum is proven from the prices.

The relaxation of path packing is solved over the routes known (`qnroute.solvers.master`); its prices y >= 0 send a
search for routes worth more than what they use (`qnroute.pricing`). Whatever the prices, with m_k the best price of
any route of request k,

    U = sum_i b_i y_i + sum_k routes_k max(m_k, 0)

bounds every allocation (weak duality), and an allocation that uses a route of price p is worth at most U - (m_k - p).
So once an allocation worth z is known, routes with p < m_k - (U - z) cannot improve on it. The others are listed and
packed by HiGHS; where they are too many, those listed prove U - t, with t the least m_k - p of a route left out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

import numpy as np

from qnroute.allocation import Allocation, value
from qnroute.errors import SolverError
from qnroute.models.path_packing import PathPacking
from qnroute.pricing import ALL, BEST, FOLLOWED, Pricer
from qnroute.problem import Problem
from qnroute.result import PROVEN, relative_gap
from qnroute.routes import RouteTable, table_of
from qnroute.settings import Answer, Point, Settings, Trace
from qnroute.solvers.baselines import densest_first, in_order
from qnroute.solvers.highs import solve_matrix
from qnroute.solvers.master import Master, Relaxed

MOST_PACKED = 20_000  # columns given to HiGHS at once; its presolve minds no time limit, and grows with them
_ROUGH = 0.3  # relative gap of the relaxation up to which a few routes followed are enough
_SETTLED = 1e-8  # relative gap at which the relaxation counts as solved
_LISTED = 2_000  # routes of a request listed at most
_LABELS = 200_000  # partial paths of a request held at most
_TINY = 1e-12  # share of its worth by which a route must beat the price of its request
_ROUNDING = 1e-9  # relative room for rounding in prices and U


@dataclass(frozen=True)
class Search:
    """Where the search stands: the best allocation, the best bound, and the prices that gave it."""

    allocation: Allocation
    value: float
    bound: float = np.inf
    prices: Relaxed | None = None  # requests: their best price, at least 0
    open: str = ""
    trace: Trace = field(default_factory=list)
    stopped: str | None = None

    def better(self, problem: Problem, found: Allocation) -> Search:
        """With an allocation that is no worse."""
        worth = value(problem, found)
        return replace(self, allocation=found, value=worth) if worth > self.value else self

    def bounded(self, bound: float) -> Search:
        """With a bound that is no worse."""
        return replace(self, bound=min(self.bound, bound))

    def seen(self, settings: Settings) -> Search:
        """With a point more in its trace."""
        point = settings.elapsed(), self.value, self.bound if np.isfinite(self.bound) else None
        if settings.progress is not None:
            settings.progress(*point)
        return replace(self, trace=[*self.trace, point])

    def closed(self, gap: float) -> bool:
        """Whether the gap is no wider than this."""
        found = relative_gap(self.value, self.bound)
        return found is not None and found <= gap


def column_generation(
    problem: Problem, settings: Settings, *, workers: int = 0, threads: int = 1, max_routes: int = 200_000
) -> Answer:
    """Solve to a proven optimum, or to a proven gap.

    Parameters
    ----------
    workers
        Threads that price routes; 0 for as many as there are cores.
    threads
        Of HiGHS.
    max_routes
        Routes listed at the end to close the gap.
    """
    if problem.objective.kind == "link-sum":
        raise SolverError("column-generation: link-sum rewards detours, which prices cannot bound; use exact")
    search = generate(problem, settings, workers=workers, threads=threads, max_routes=max_routes)
    remarks = (f"not proven optimal: {search.open}",) if search.open and not search.stopped else ()
    return Answer(search.allocation, search.bound, search.trace, search.stopped, remarks)


def generate(problem: Problem, settings: Settings, *, workers: int, threads: int, max_routes: int) -> Search:
    """The search behind the method."""
    pricer = Pricer(problem, workers or len(os.sched_getaffinity(0)))
    master = Master(problem)
    goal = max(settings.gap, PROVEN / 2)
    search = _relaxed(Search(Allocation(), 0.0), master, pricer, settings, goal)
    if search.stopped or search.closed(goal) or not len(master.table):
        return search
    search = _packed(search, master.table, master, settings, threads)
    if search.stopped or search.closed(goal):
        return search
    return _listed(search, master, pricer, settings, threads, max_routes)


def _relaxed(search: Search, master: Master, pricer: Pricer, settings: Settings, goal: float) -> Search:
    """The relaxation by pricing; the incumbents are routes of high z, then of high density, while they fit."""
    problem, capacity = master.problem, master.resources.capacity
    requests = np.zeros(len(problem.requests))
    prices, relaxed, effort = np.zeros(len(capacity)), None, FOLLOWED
    while True:
        floor = np.where(requests > 0.0, requests + _TINY * pricer.worth, 0.0)
        priced = pricer.search(master.resources.prices(prices), floor, settings, effort=effort)
        if priced is None:
            return replace(search, stopped=settings.stopped)
        best = np.maximum(priced.most, 0.0)
        paid = prices > 0.0
        bound = float(prices[paid] @ capacity[paid] + master.allowed @ best)
        if bound < search.bound:
            known = Relaxed(0.0 if relaxed is None else relaxed.value, np.zeros(0), best, prices)
            search = replace(search, bound=bound, prices=known)
        added = master.add(priced.request, priced.nodes, priced.indptr)
        search = _rounded(search, master, relaxed, settings) if relaxed is None else search.seen(settings)
        if not added and effort == BEST:
            break
        if added:
            relaxed = master.solve(settings)
            if relaxed is None:
                return replace(search, stopped=settings.stopped)
            requests, prices = relaxed.request, relaxed.resource
        room = search.bound - (relaxed.value if relaxed else 0.0)
        if room <= _SETTLED * search.bound or search.closed(goal):
            break
        if room <= _ROUGH * search.bound or added <= 0.01 * len(problem.requests):
            effort = BEST
    return _rounded(search, master, relaxed, settings)


def _rounded(search: Search, master: Master, relaxed: Relaxed | None, settings: Settings) -> Search:
    table = master.table
    if len(table):
        if relaxed is None:
            found = densest_first(table, settings)
        else:
            z = np.zeros(len(table))
            z[: len(relaxed.z)] = relaxed.z
            found = in_order(table, np.lexsort((-table.value / np.sqrt(table.hops), -np.round(z, 6))), settings)
        search = search.better(master.problem, found.allocation)
    return search.seen(settings)


def _packed(search: Search, table: RouteTable, master: Master, settings: Settings, threads: int) -> Search:
    """The best packing of the routes of a table that could improve on the best known, the most promising if too many.

    The bound of HiGHS is one on packings of these routes; `search.bound` is left as it is.
    """
    search, _ = _packing(search, table, master, settings, threads)
    return search


def _packing(
    search: Search, table: RouteTable, master: Master, settings: Settings, threads: int
) -> tuple[Search, float]:
    """`_packed`, and a bound on all packings of routes of the table."""
    short = _shortfall(search, table, master)
    needed = np.flatnonzero(short <= _room(search))
    whole = len(needed) <= MOST_PACKED
    if not whole:
        needed = np.sort(needed[np.argsort(short[needed], kind="stable")[:MOST_PACKED]])
    part = table.taken(needed)

    def seen(seconds: float, objective: float | None, _: float | None) -> Point:
        return seconds, max(search.value, objective or 0.0), search.bound

    outcome = solve_matrix(PathPacking(master.problem, part).matrix, settings.through(seen), threads=threads)
    trace = [*search.trace, *(seen(*point) for point in outcome.trace)]
    search = replace(search, trace=trace, stopped=outcome.stopped)
    if outcome.values is not None:
        search = search.better(master.problem, part.allocation(np.rint(outcome.values).astype(np.int64)))
    bound = max(outcome.bound, search.value) if whole else np.inf
    return search.seen(settings), bound


def _room(search: Search) -> float:
    """How far a route's price may fall short of its request's best one in anything better than what is known."""
    return search.bound - search.value + _ROUNDING * abs(search.bound)


def _shortfall(search: Search, table: RouteTable, master: Master) -> np.ndarray:
    """(J,) m_k - p of the routes of a table, at the prices of the bound."""
    route, resource, amount = master.resources.used(table)
    paid = np.bincount(route, weights=amount * search.prices.resource[resource], minlength=len(table))
    return search.prices.request[table.request] - (table.value - paid)


def _listed(
    search: Search, master: Master, pricer: Pricer, settings: Settings, threads: int, max_routes: int
) -> Search:
    """List every route that could still matter, as far as they go, and pack them."""
    problem, best = master.problem, search.prices.request
    room = _room(search)
    floor = best - room
    priced = pricer.search(
        master.resources.prices(search.prices.resource), floor, settings, effort=ALL,
        count=min(_LISTED, max_routes), max_labels=_LABELS,
    )  # fmt: skip
    if priced is None:
        return replace(search, stopped=settings.stopped)
    left_out = float((best - priced.rest).min(initial=np.inf))
    complete = bool((priced.rest <= floor + _ROUNDING * abs(search.bound)).all())
    table = table_of(problem, priced.request, priced.nodes, priced.indptr)
    search, bound = _packing(search, table, master, settings, threads)
    search = search.bounded(max(bound, search.value if complete else search.bound - left_out)).seen(settings)
    if search.stopped or search.closed(max(settings.gap, PROVEN / 2)):
        return search
    many = int((priced.rest > floor + _ROUNDING * abs(search.bound)).sum())
    told = "the integer program left a gap" if complete else f"{many} requests have more useful routes than were listed"
    return replace(search, open=told)
