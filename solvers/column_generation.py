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

import numpy as np

from qnroute.allocation import Allocation
from qnroute.errors import SolverError
from qnroute.pricing import ALL, BEST, FOLLOWED, Pricer
from qnroute.problem import Problem
from qnroute.result import PROVEN
from qnroute.routes import RouteTable, table_of
from qnroute.settings import MAX_ROUTES, Answer, Point, Settings
from qnroute.solvers.baselines import in_order
from qnroute.solvers.highs import solve_matrix
from qnroute.solvers.master import Master, Relaxed, packing
from qnroute.solvers.search import Search

MOST_PACKED = 20_000  # columns given to HiGHS at once; its presolve minds no time limit, and grows with them
_ROUGH = 0.3  # relative gap of the relaxation up to which a few routes followed are enough
_SETTLED = 1e-8  # relative gap at which the relaxation counts as solved
_CLOSE = 0.02  # or share of the gap to the incumbent
_PATIENCE = 2  # searches without a new route after which a request is left out until all are searched again
_WORTHWHILE = 0.25  # share of the new routes of a full search below which the next one is full again
_PARTIAL = 8  # searches for some requests only, one after the other
_CUT_ROUNDS = 30  # of cuts over the routes known, before routes are priced again
_PAYS = 0.1  # share of the gap that cuts, and routes priced with them, must close to be looked for again
_STEPS = (1 / 64, 1 / 8, 1.0)  # shares of the room within which routes are listed, one after the other
_LABELS = 20_000_000  # partial paths held at most while routes are listed
_FEWEST_LABELS, _MOST_LABELS = 2_000, 500_000  # of one request
_TINY = 1e-12  # share of its worth by which a route must beat the price of its request
_ROUNDING = 1e-9  # relative room for rounding in prices and U


def column_generation(
    problem: Problem, settings: Settings, *, workers: int = 0, threads: int = 1, max_routes: int = MAX_ROUTES
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
    return generate(problem, settings, workers=workers, threads=threads, max_routes=max_routes).answer()


def generate(problem: Problem, settings: Settings, *, workers: int, threads: int, max_routes: int) -> Search:
    """The search behind the method."""
    pricer = Pricer(problem, workers or len(os.sched_getaffinity(0)))
    master = Master(problem)
    goal = max(settings.gap, PROVEN / 2)
    search, relaxed = _relaxed(Search(Allocation(), 0.0), None, master, pricer, settings, goal)
    while relaxed is not None and not search.closed(goal):
        before = search.bound
        relaxed = _cut(relaxed, master, settings)
        if relaxed is None:
            break
        search, relaxed = _relaxed(search, relaxed, master, pricer, settings, goal)
        if before - search.bound < _PAYS * (search.bound - search.value):
            break
    if search.stopped or search.closed(goal) or not len(master.table):
        return search
    search, _ = _packing(search, master.table, master, settings, threads)
    if search.stopped or search.closed(goal):
        return search
    return _listed(search, master, pricer, settings, threads, max_routes)


def _cut(relaxed: Relaxed, master: Master, settings: Settings) -> Relaxed | None:
    """The relaxation over the routes known with cuts; None where there are none, or time ran out."""
    cut = 0
    for _ in range(_CUT_ROUNDS):
        more = 0 if settings.stopped else master.cut(relaxed.z)
        if not more:
            break
        cut += more
        relaxed = master.solve(settings)
        if relaxed is None:
            return None
    return relaxed if cut else None


def _relaxed(
    search: Search, relaxed: Relaxed | None, master: Master, pricer: Pricer, settings: Settings, goal: float
) -> tuple[Search, Relaxed | None]:
    """The relaxation by pricing, from one over the routes known; None in its place where time ran out.

    Between searches for all requests, which alone give bounds, only those are searched that lately had new routes.
    The incumbents are routes of high z, then of high density, while they fit.
    """
    problem, resources = master.problem, master.resources
    prices = np.zeros(len(resources.capacity)) if relaxed is None else relaxed.price
    quiet, full, enough, partial = np.zeros(len(problem.requests), np.int64), True, 0.0, 0
    effort = FOLLOWED if relaxed is None else BEST
    while True:
        among = None if full else np.flatnonzero(quiet < _PATIENCE)
        asked = prices[resources.requests]
        floor = np.where(asked > 0.0, asked + _TINY * pricer.worth, 0.0)
        priced = pricer.search(resources.prices(prices), floor, settings, effort=effort, among=among)
        if priced is None:
            return replace(search, stopped=settings.stopped), None
        if full:
            if relaxed is None:
                pricer.cap(priced.most)
            else:
                search = _rounded(search, master, relaxed, settings)
            search = _priced(search, np.maximum(priced.most, 0.0), prices, master)
        new = master.add(priced.request, priced.nodes, priced.indptr)
        quiet += 1
        quiet[new] = 0
        if not len(new) and full and effort == BEST:
            break
        if len(new):
            first = relaxed is None
            relaxed = master.solve(settings)
            if relaxed is None:
                return replace(search, stopped=settings.stopped), None
            prices = relaxed.price
            search = _rounded(search, master, relaxed, settings) if first else search.seen(settings)
        reached = relaxed.value if relaxed else 0.0
        room = search.bound - reached
        if room <= _CLOSE * (reached - search.value):
            search = _rounded(search, master, relaxed, settings)
        if room <= max(_SETTLED * search.bound, _CLOSE * (reached - search.value)) or search.closed(goal):
            break
        if full:
            enough = _WORTHWHILE * len(new)
            if room <= _ROUGH * search.bound or len(new) <= 0.01 * len(quiet):
                effort = BEST
        partial = 0 if full else partial + 1
        full = len(new) <= enough or partial == _PARTIAL if not full else not len(new)
    return _rounded(search, master, relaxed, settings), relaxed


def _priced(search: Search, best: np.ndarray, prices: np.ndarray, master: Master) -> Search:
    """The search with the bound that prices prove, if it is a better one."""
    capacity, resources = master.resources.capacity, master.resources
    paid = prices > 0.0
    paid[resources.requests] = False
    bound = float(prices[paid] @ capacity[paid] + capacity[resources.requests] @ best)
    if bound >= search.bound:
        return search
    return replace(search, bound=bound, weak=bound, best=best, prices=prices)


def _rounded(search: Search, master: Master, relaxed: Relaxed | None, settings: Settings) -> Search:
    """The search with the routes known tried in order of z, and in order of density alone."""
    table = master.table
    if relaxed is None or len(relaxed.z) < len(table):
        return search.seen(settings)
    density = -table.value / np.sqrt(table.hops)
    for first in (-np.round(relaxed.z, 6), np.zeros(len(table))):
        found = in_order(table, np.lexsort((density, first)), settings)
        search = search.better(master.problem, found.allocation)
    return search.seen(settings)


def _packing(
    search: Search, table: RouteTable, master: Master, settings: Settings, threads: int
) -> tuple[Search, float]:
    """The best packing of the routes of a table that could improve on the best known, the most promising if too many.

    The second of what is returned bounds all packings of routes of the table.
    """
    used, prices = master.resources.used(table), _padded(search, master)
    short = search.best[table.request] - (table.value - used @ prices)
    needed = np.flatnonzero(short <= _room(search))
    whole = len(needed) <= MOST_PACKED
    if not whole:
        needed = np.sort(needed[np.argsort(short[needed], kind="stable")[:MOST_PACKED]])
    part = table.taken(needed)

    def seen(seconds: float, objective: float | None, _: float | None) -> Point:
        return seconds, max(search.value, objective or 0.0), search.bound

    program = packing(part, used[needed], master.resources.capacity)
    outcome = solve_matrix(program, settings.through(seen), threads=threads)
    trace = [*search.trace, *(seen(*point) for point in outcome.trace)]
    search = replace(search, trace=trace, stopped=outcome.stopped)
    if outcome.values is not None:
        search = search.better(master.problem, part.allocation(np.rint(outcome.values).astype(np.int64)))
    bound = max(outcome.bound, search.value) if whole else np.inf
    return search.seen(settings), bound


def _room(search: Search) -> float:
    """How far a route's price may fall short of its request's best one in anything better than what is known."""
    return search.weak - search.value + _ROUNDING * abs(search.weak)


def _padded(search: Search, master: Master) -> np.ndarray:
    """(R,) prices of the bound, 0 for cuts that are newer and for requests."""
    prices = np.zeros(len(master.resources.capacity))
    prices[: len(search.prices)] = search.prices
    prices[master.resources.requests] = 0.0
    return prices


def _listed(
    search: Search, master: Master, pricer: Pricer, settings: Settings, threads: int, max_routes: int
) -> Search:
    """List the routes that could still matter, those nearest to their request's best price first, and pack them."""
    problem, best, prices = master.problem, search.best, master.resources.prices(_padded(search, master))
    goal, rounding = max(settings.gap, PROVEN / 2), _ROUNDING * abs(search.weak)
    for step in _STEPS:
        within = step * (search.weak - search.value) + rounding
        floor = best - within
        near = pricer.search(prices, floor, settings, effort=FOLLOWED)
        if near is None:
            return replace(search, stopped=settings.stopped)
        among = np.flatnonzero(near.most > floor)
        share = max(len(among), 1)
        priced = pricer.search(
            prices, floor, settings, effort=ALL, among=among, count=max(max_routes // share, 1),
            max_labels=min(max(_LABELS // share, _FEWEST_LABELS), _MOST_LABELS),
        )  # fmt: skip
        if priced is None:
            return replace(search, stopped=settings.stopped)
        cut = priced.rest > floor + rounding
        left_out = float((best - priced.rest)[cut].min(initial=within))
        table = table_of(problem, priced.request, priced.nodes, priced.indptr)
        search, bound = _packing(search, table, master, settings, threads)
        search = search.bounded(max(bound, search.value, search.weak - left_out)).seen(settings)
        if search.stopped or search.closed(goal):
            return search
        if cut.any():
            return replace(search, open=f"{cut.sum()} requests have more useful routes than were listed")
    return replace(search, open="the integer program left a gap")
