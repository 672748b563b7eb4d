"""The relaxation over all routes: priced until no route improves it, cut as long as that pays.

Whatever the prices of resources and cuts, with m_k the best price of any route of request k,

    U = sum_i b_i y_i + sum_k routes_k max(m_k, 0)

bounds every allocation (weak duality).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qnroute.allocation import Allocation
from qnroute.completion import Prices
from qnroute.pricing import ALL, BEST, FOLLOWED, Priced, Pricer, joined
from qnroute.problem import Problem
from qnroute.result import PROVEN
from qnroute.routes import RouteTable, table_of
from qnroute.settings import MOST_PACKED, Settings
from qnroute.solvers.branching import Case
from qnroute.solvers.master import Master
from qnroute.solvers.proof import Proof
from qnroute.solvers.rounding import filled, repaired
from qnroute.solvers.search import Search

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
_LISTED = 5_000  # routes of a request that avoids or takes links
_NEAR = 1 / 16  # share of the room within which routes are packed beside whole ones
_SLIGHT = 1e-9  # share of its worth by which a route must beat the price of its request
_LEAST = 1e-12  # the same where a route is asked to pay anything: rounding, whatever the gap
_SPENT = 0.05  # but all requests together no more than this share of the gap at which it ends

ROUNDING = 1e-9  # relative room for rounding in prices and U


class Relaxation:
    """A problem, the routes and cuts known of it, their prices, and the best allocation and bound.

    Parameters
    ----------
    workers
        Threads that price routes.

    Attributes
    ----------
    goal : the gap at which it ends
    """

    def __init__(self, problem: Problem, workers: int):
        self.problem = problem
        self._pricer = Pricer(problem, workers)
        self._master = Master(problem)
        self._search = Search(Allocation(), 0.0)
        self._proof: Proof | None = None
        self._case, self._elsewhere = Case(), None  # what is searched, and the bound of all if that is not all
        self._aside: Search | None = None  # the search of all, while some is searched
        self._begin(Settings())

    def _renew(self, problem: Problem) -> None:
        """Go on with another problem on the same nodes and links, with all that still holds."""
        was = self._pricer, self._master
        now = self._pricer.renewed(problem), self._master.renewed(problem)
        proof = self._proof and self._proof.renewed(problem, was, now)
        search = Search(Allocation(), 0.0)
        self.problem, (self._pricer, self._master), self._proof, self._search = problem, now, proof, search

    def _mend(self) -> None:
        """Go on from the routes, the best allocation and the bound alone, where a Ctrl-C may have come at any point."""
        routes = self._master.table
        master = Master(self.problem)
        master.add(routes.request, routes.nodes, routes.indptr)
        search = replace(self._of_all(), best=None, prices=None, weak=np.inf)
        self._master, self._proof, self._search, self._aside = master, None, search, None
        self._case, self._elsewhere, self._relaxed = Case(), None, None

    def _begin(self, settings: Settings) -> None:
        self._settings, self.goal, self._relaxed = settings, max(settings.gap, PROVEN / 2), None
        self._search = replace(self._search, trace=[], stopped=None, open="")

    @property
    def search(self) -> Search:
        """Where it stands."""
        return self._search

    def fractions(self) -> tuple[RouteTable, np.ndarray]:
        """The routes known, and (J,) how much of each the relaxation takes."""
        return self._master.table, self._relaxed.z

    def within(self, case: Case, bound: float, elsewhere: float) -> Search | None:
        """Search some of all allocations, with a bound on them and one on all; None where time ran out.

        The best allocation found stays.
        """
        self._aside = self._aside or self._search
        self._case, self._elsewhere = case, elsewhere
        self._master.restrict(case, float(self._pricer.worth.max()))
        self._search = replace(self._search, bound=np.inf, weak=np.inf, best=None, prices=None)
        self._solve_master()
        self._relax()
        self._repair()
        return None if self._search.stopped or self._relaxed is None else self._search.bounded(bound)

    def tried(self, request: int) -> np.ndarray | None:
        """What `Master.tried` says; None where time ran out."""
        return self._master.tried(request, self._settings) if self._going() else None

    def everywhere(self) -> None:
        """Go on with all allocations, and the bound that was known of them before."""
        self._search, self._aside = self._of_all(), None
        self._case, self._relaxed, self._elsewhere = Case(), None, None
        self._master.restrict(self._case, 0.0)

    def _of_all(self) -> Search:
        """The search of all allocations, with what was found where only some were searched."""
        now = self._search
        found = {"allocation": now.allocation, "value": now.value, "trace": now.trace, "stopped": now.stopped}
        return replace(self._aside or now, **found)

    def _going(self) -> bool:
        """Whether there is time, and a gap to close."""
        if self._search.stopped is None and self._settings.stopped:
            self._search = replace(self._search, stopped=self._settings.stopped)
        return self._search.stopped is None and not self._search.closed(self.goal)

    def _seen(self, search: Search) -> None:
        self._search = search.seen(self._settings, self._elsewhere)

    def _start(self) -> None:
        """A few routes of every request where nothing costs anything yet, part by part, and what they show at once."""
        pricer, master = self._pricer, self._master
        allowed, free = self.problem.most_routes.astype(float), np.zeros(len(master.resources.capacity))
        best, none = np.maximum(pricer.worth, 0.0), np.zeros(len(pricer.worth))
        self._bound_at_once()
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

    def _bound_at_once(self) -> None:
        """A bound before anything is solved: as if every request had perfect routes."""
        worth = np.maximum(self._pricer.worth, 0.0)
        self._seen(self._search.bounded(float(self.problem.most_routes @ worth)))

    def _resume(self) -> None:
        """The relaxation over the routes that are known already."""
        self._bound_at_once()
        self._pricer.explore(self._settings)
        self._solve_master()
        self._rounded()

    def _priced(self, prices: np.ndarray, floor: np.ndarray, effort: int, among: np.ndarray | None) -> Priced | None:
        met, choosy = self._master.resources.prices(prices), self._case.choosy
        if choosy or self._case.out:
            others = np.setdiff1d(np.arange(len(floor)) if among is None else among, [*choosy, *self._case.out])
            choosy = choosy if among is None else [k for k in choosy if k in among]
        else:
            others = among
        priced = self._pricer.search(met, floor, self._settings, effort=effort, among=others)
        if priced is not None and choosy:
            priced = self._with_choosy(priced, met, floor, np.array(choosy))
        return priced if self._going() else None

    def _with_choosy(self, priced: Priced, met: Prices, floor: np.ndarray, choosy: np.ndarray) -> Priced | None:
        """With routes of requests that avoid or take links: all that are worth more are listed, and some are left."""
        more = self._pricer.search(met, floor, self._settings, effort=ALL, among=choosy, count=_LISTED)
        if more is None:
            return None
        fine = self._case.allows(table_of(self.problem, more.request, more.nodes, more.indptr))
        more, most = more.taken(fine), priced.most.copy()
        most[choosy] = more.rest[choosy]
        np.maximum.at(most, more.request, more.price)
        return joined([priced, more])._replace(most=most)

    def _solve_master(self) -> None:
        self._relaxed = self._master.solve(self._settings)

    def _tighten(self) -> bool:
        """Cut with cuts of cuts, and price routes again; whether that paid."""
        before = self._search.bound
        if self._relaxed is None or not (self._cut(nested=False) or self._cut(nested=True)):
            return False
        self._relax()
        return before - self._search.bound >= _NESTED_PAYS * (before - self._search.value)

    def _relax(self) -> None:
        """Price routes until none improves the relaxation, and cut it as long as that pays."""
        if self._going() and self._relaxed is not None and self._proof is None:
            self._approach()
        if self._proof is None:
            return
        cuts, before, seen = 0, np.inf, self._proof.most.copy()  # the most a route was worth when last looked for
        while self._going() and self._relaxed is not None:
            new = self._improve(BEST, self._asked_less(seen), seen)
            if new is None:
                return
            if len(new):
                continue
            if not self._proof.stale and cuts < _CUTS_BETWEEN and self._cut(nested=False):
                cuts += 1
                continue
            new = self._prove()
            if new is None:
                return
            seen = self._proof.most.copy()
            if len(new) and not self._settled():
                continue
            if before - self._search.bound < _PAYS * (self._search.bound - self._search.value):
                break
            before, cuts = self._search.bound, 0
            if not self._cut(nested=False):
                break
        self._rounded()

    def _asked_less(self, most: np.ndarray) -> np.ndarray:
        """The requests of which less is asked now than the most (K,) that a route was worth."""
        return np.flatnonzero(self._pricer.open & ~self._master.closed & (most > self._floor(self._relaxed.price, 2.0)))

    def _approach(self) -> None:
        """Price routes until a first search for the best routes of all requests.

        Before it only those are searched that lately had new routes.
        """
        quiet = np.zeros(len(self.problem.requests), np.int64)
        effort, full, few, partial = FOLLOWED, True, 0.0, 0
        while self._going() and self._relaxed is not None and self._proof is None:
            new = self._improve(effort, None if full else np.flatnonzero(quiet < _PATIENCE))
            if new is None:
                return
            quiet += 1
            quiet[new] = 0
            partial = 0 if full else partial + 1
            dry = not len(new) if full else len(new) <= few or partial == _PARTIAL
            if full:
                few = _WORTHWHILE * len(new)
            if self._settled(_ROUGH) or len(new) <= 0.01 * len(quiet):
                effort = BEST
            full = dry

    def _improve(self, effort: int, among: np.ndarray | None, seen: np.ndarray | None = None) -> np.ndarray | None:
        """Price the routes of some requests, or all; gives the requests of new routes, None where time ran out.

        What they are worth at most is filled in where it was `seen` (K,) before, if that is given.
        """
        prices = self._relaxed.price
        priced = self._priced(prices, self._floor(prices), effort, among)
        if priced is None:
            return None
        if seen is not None:
            seen[among] = priced.most[among]
        if among is None:
            self._rounded()
            if effort == BEST:
                self._proven(priced.most, prices)
            else:
                self._bound(priced.most, prices)
        return self._added(priced)

    def _added(self, priced: Priced) -> np.ndarray:
        """Add routes to the relaxation and solve it; gives the requests of new ones."""
        new = self._master.add(priced.request, priced.nodes, priced.indptr)
        if len(new):
            self._solve_master()
            self._seen(self._search)
        if self._settled():  # with an older incumbent it might only seem so
            self._rounded()
        return new

    def _floor(self, prices: np.ndarray, slack: float = 1.0) -> np.ndarray:
        """(K,) the price above which a route improves the relaxation by more than so many times what is slight."""
        asked, worth = prices[self._master.resources.requests], self._pricer.worth
        slight = np.minimum(_SLIGHT * worth, _SPENT * self.goal * self._search.value / max(len(worth), 1))
        least = np.where(asked > 0.0, _LEAST * worth, 0.0)
        return asked + slack * np.maximum(slight, least) - self._master.bonus

    def _prove(self) -> np.ndarray | None:
        """Price the routes of requests for which the last proof may not hold.

        It holds where nothing that a route can meet has become cheaper, and not less is asked. Gives the requests of
        new routes, None where time ran out.
        """
        if self._relaxed is None:  # since the last cut
            return None
        proof, prices, master = self._proof, self._relaxed.price, self._master
        again = proof.doubtful(prices, master.resources, self._pricer) & self._pricer.open & ~master.closed
        again[self._asked_less(proof.most)] = True
        priced = self._priced(prices, self._floor(prices), BEST, np.flatnonzero(again))
        if priced is None:
            return None
        self._rounded()
        self._proven(np.where(again, priced.most, proof.most), prices)
        return self._added(priced)

    def _proven(self, most: np.ndarray, prices: np.ndarray) -> None:
        """Keep what a search for the best routes of all requests has shown, with its bound; stay near its prices."""
        self._bound(most, prices)
        unknown = self._master.closed.copy()
        unknown[self._case.choosy] = True  # of some routes only
        self._proof = None  # it is kept only with the prices that the relaxation stays near
        self._master.stay(prices)
        self._proof = Proof(np.where(unknown, np.inf, most), prices, ~unknown)

    def _settled(self, share: float = _SETTLED) -> bool:
        """Whether the bound is so near to the relaxation that pricing more would hardly lower it."""
        if self._relaxed is None or not np.isfinite(self._search.bound):
            return False
        room = self._search.bound - self._relaxed.value
        return room <= max(share * self._search.bound, _CLOSE * (self._relaxed.value - self._search.value))

    def _bound(self, most: np.ndarray, prices: np.ndarray) -> None:
        """Take the bound that prices prove, with the most (K,) that routes are worth at them, if it is a better one."""
        master, resources = self._master, self._master.resources
        paid = prices > 0.0
        paid[resources.requests] = False
        served = self._pricer.open & ~master.closed
        best = np.where(served, np.maximum(most + master.bonus, 0.0), 0.0)
        allowed = resources.capacity[resources.requests]
        bound = float(prices[paid] @ resources.capacity[paid] + allowed @ best - master.bonus.sum())
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

    def _repair(self) -> None:
        """Keep the whole routes of the relaxation, and pack the best of the others beside them."""
        if self._going() and self._relaxed is not None:
            master, near, plain = self._master, self._needed(self._short(), _NEAR), self._master.resources.plain
            quiet = self._settings.through(lambda *_: self._search.point(self._settings, self._elsewhere))
            used, capacity = master.used[:, :plain], master.resources.capacity[:plain]  # cuts would only slow it down
            found = repaired(master.table, used, capacity, self._relaxed.z, near, quiet)
            if found is not None:
                self._seen(self._search.better(self.problem, master.table.allocation(found)))

    def _short(self) -> np.ndarray:
        """(J,) what the price of each route known falls short of the best of its request."""
        table = self._master.table
        return self._search.best[table.request] - (table.value - self._master.used @ self._prices())

    def _needed(self, short: np.ndarray, share: float = 1.0) -> np.ndarray:
        """Routes that could improve on the best known, given what each falls short of; the nearest if too many."""
        room = share * (self._search.weak - self._search.value) + ROUNDING * abs(self._search.weak)
        needed = np.flatnonzero(short <= room)
        if len(needed) <= MOST_PACKED:
            return needed
        return np.sort(needed[np.argsort(short[needed], kind="stable")[:MOST_PACKED]])

    def _prices(self) -> np.ndarray:
        """(R,) prices of the bound, 0 for cuts that are newer and for requests."""
        prices = np.zeros(len(self._master.resources.capacity))
        prices[: len(self._search.prices)] = self._search.prices
        prices[self._master.resources.requests] = 0.0
        return prices

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
