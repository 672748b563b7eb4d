"""The restricted master of column generation: routes found so far, one linear program kept warm in HiGHS.

    max sum_r v_r z_r    subject to    sum_r a_ir z_r <= b_i for all resources and cuts i,    z_r >= 0

A resource (see `qnroute.solvers.resources`) gets its row when it is first overdrawn; until then its dual price is 0.
Dual prices are seldom unique. A little capacity can be sold at prices told (`Master.stay`), so that of all optimal
prices those are found that hardly fall below them: then most of what was proven at these prices still holds.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import highspy
import numpy as np
import scipy.sparse as sparse

from qnroute.errors import SolverError
from qnroute.models.linear import Matrix
from qnroute.problem import Problem
from qnroute.routes import RouteTable, joined, keeps_limits, table_of
from qnroute.settings import Settings
from qnroute.solvers.branching import Case
from qnroute.solvers.cuts import zero_half
from qnroute.solvers.highs import RELIABLE, run, run_once
from qnroute.solvers.resources import Resources

_PRIMAL, _DUAL = 4, 1  # simplex strategies of HiGHS
_OVERDRAWN = 1e-7
_SOLD = 1e-7  # capacity that can be sold
_SAME = 1e-11  # difference of prices by rounding
_STEPS_TRIED = 200  # of the simplex method
_OFTEN, _OFTEN_NESTED = 3, 1  # cuts of a round that share a resource; nested ones pile up


class Relaxed(NamedTuple):
    """An optimum of the restricted master: a bound on its value, z of every route, the price of resources and cuts."""

    value: float
    z: np.ndarray
    price: np.ndarray


class Master:
    """Routes as columns, rows as they begin to bind.

    Attributes
    ----------
    table, used : the routes and (J, R) what they use
    closed, bonus : (K,) requests that get no route, and what routes of others are worth beyond their value
    prior : (R,) prices told to stay near to, at which a little of each resource can be sold; 0 for requests
    """

    def __init__(self, problem: Problem):
        self.problem = problem
        self.resources = Resources(problem)
        self.table = table_of(problem, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(1, np.int64))
        self.used = self.resources.used(self.table)
        self._known: set[tuple[int, bytes]] = set()
        self.closed, self.bonus = np.zeros(len(problem.requests), dtype=bool), np.zeros(len(problem.requests))
        self._barred = np.zeros(0, np.int64)  # routes that do not fit the case
        count = len(self.resources.capacity)
        self._row = np.full(count, -1, np.int32)  # of each resource, where it has one
        self._column = np.zeros(0, np.int32)  # of each route
        self._sale = np.full(count, -1, np.int32)  # and of selling each resource, where it can be sold
        self.prior = np.zeros(count)
        self._scale = 2.0 ** np.floor(np.log2(max(float(problem.weights.max(initial=0.0)), 1e-300)))
        if problem.objective.kind == "log-success":
            self._scale *= max(abs(problem.objective.serve_reward), 1.0)
        self._highs = highspy.Highs()
        self._highs.setOptionValue("output_flag", False)
        for option in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
            self._highs.setOptionValue(option, RELIABLE[option])
        self._highs.setOptionValue("threads", 1)
        self._highs.changeObjectiveSense(highspy.ObjSense.kMaximize)
        self._add_rows(np.arange(count)[self.resources.requests])

    def add(self, request: np.ndarray, nodes: np.ndarray, indptr: np.ndarray) -> np.ndarray:
        """Add routes given as in a `RouteTable`, those that are known left out; gives the requests of the new ones."""
        new = []
        for j, k in enumerate(request.tolist()):
            key = k, nodes[indptr[j] : indptr[j + 1]].tobytes()
            if key not in self._known:
                self._known.add(key)
                new.append(j)
        if not new:
            return np.zeros(0, np.int64)
        table = table_of(self.problem, request, nodes, indptr).taken(np.array(new))
        self._append(table)
        return table.request

    def _append(self, table: RouteTable) -> None:
        used, count, first = self.resources.used(table), len(table), self._highs.getNumCol()
        bound = np.flatnonzero(self._row >= 0)
        within = sparse.csr_array(used[:, bound])
        worth = (table.value + self.bonus[table.request]) / self._scale
        self._highs.addCols(
            count, worth, np.zeros(count), np.full(count, highspy.kHighsInf), within.nnz,
            within.indptr[:-1].astype(np.int32), self._row[bound][within.indices], within.data,
        )  # fmt: skip
        self._column = np.append(self._column, first + np.arange(count, dtype=np.int32))
        self.used = sparse.csr_array(sparse.vstack([self.used, used], format="csr")) if len(self.table) else used
        self.table = joined(self.table, table) if len(self.table) else table
        self._highs.setOptionValue("simplex_strategy", _PRIMAL)  # the basis stays primal feasible

    def _add_rows(self, resources: np.ndarray) -> None:
        first, rows = self._highs.getNumRow(), sparse.csr_array(self.used[:, resources].T)
        low = np.full(len(resources), -highspy.kHighsInf)
        self._highs.addRows(
            len(resources), low, self.resources.capacity[resources], rows.nnz, rows.indptr[:-1].astype(np.int32),
            self._column[rows.indices], rows.data,
        )  # fmt: skip
        self._row[resources] = first + np.arange(len(resources))
        self._highs.setOptionValue("simplex_strategy", _DUAL)  # the basis stays dual feasible

    def solve(self, settings: Settings) -> Relaxed | None:
        """The optimum over the routes known, all resources and cuts kept; None where time ran out first."""
        highs = self._highs
        if not len(self.table):
            return Relaxed(0.0, np.zeros(0), np.zeros(len(self._row)))
        while True:
            if not self._solved(settings):
                return None
            solution = highs.getSolution()
            z = np.array(solution.col_value)[self._column]
            overdrawn = (self.used.T @ z > self.resources.capacity + _OVERDRAWN) & (self._row < 0)
            if not overdrawn.any():
                break
            self._add_rows(np.flatnonzero(overdrawn))
        price = np.zeros(len(self._row))
        bound = self._row >= 0
        price[bound] = np.maximum(np.array(solution.row_dual)[self._row[bound]] * self._scale, 0.0)
        same = np.abs(price - self.prior) <= _SAME * self._scale
        price[same] = self.prior[same]
        paid, right = price > 0.0, self.resources.capacity.copy()
        right[self.resources.requests][self.closed] = 0.0
        return Relaxed(float(price[paid] @ right[paid]) - self.bonus.sum(), z, price)

    def _solved(self, settings: Settings) -> bool:
        """Run HiGHS to an optimum, from no basis where it finds none from the one at hand; False where time ran out."""
        highs = self._highs
        for _ in range(2):
            run(highs, settings)
            if highs.getModelStatus() == highspy.HighsModelStatus.kOptimal:
                return True
            if settings.stopped:
                return False
            ended = highs.modelStatusToString(highs.getModelStatus())
            highs.clearSolver()
        raise SolverError(f"HiGHS ended with {ended}")

    def stay(self, prices: np.ndarray) -> None:
        """Of all optimal prices find those that hardly fall below these, (R,) or fewer for cuts that are newer."""
        prior = np.zeros(len(self._row))
        prior[: len(prices)] = prices
        prior[self.resources.requests] = 0.0
        prior[self._row < 0] = 0.0
        new, first = np.flatnonzero((prior > 0.0) & (self._sale < 0)), self._highs.getNumCol()
        each = np.arange(len(new), dtype=np.int32)
        self._highs.addCols(
            len(new), np.zeros(len(new)), np.zeros(len(new)), np.full(len(new), _SOLD), len(new), each, self._row[new],
            np.ones(len(new)),
        )  # fmt: skip
        self._sale[new] = first + each
        changed = np.flatnonzero(prior != self.prior)
        self._highs.changeColsCost(len(changed), self._sale[changed], prior[changed] / self._scale)
        self.prior = prior
        self._highs.setOptionValue("simplex_strategy", _PRIMAL)  # the basis stays primal feasible

    def restrict(self, case: Case, bonus: float) -> None:
        """Keep to a case; routes of requests that it serves are worth a bonus more, less which the value counts."""
        start, allowed, table = self.resources.requests.start, self.problem.most_routes, self.table
        closed, more = np.zeros_like(self.closed), np.zeros_like(self.bonus)
        closed[list(case.out)] = True
        for k, times in Counter(case.served).items():
            more[k] = bonus * 2.0 ** (times - 1)
        barred = ~case.allows(table)
        for k in np.flatnonzero(closed != self.closed).tolist():
            most = 0.0 if closed[k] else float(allowed[k])
            self._highs.changeRowBounds(int(self._row[start + k]), -highspy.kHighsInf, most)
        for j in np.flatnonzero((more != self.bonus)[table.request]).tolist():
            self._highs.changeColCost(int(self._column[j]), (table.value[j] + more[table.request[j]]) / self._scale)
        was = np.zeros(len(table), dtype=bool)
        was[self._barred] = True
        for j in np.flatnonzero(barred != was).tolist():
            self._highs.changeColBounds(int(self._column[j]), 0.0, 0.0 if barred[j] else highspy.kHighsInf)
        self.closed, self.bonus, self._barred = closed, more, np.flatnonzero(barred)
        self._highs.setOptionValue("simplex_strategy", _DUAL)

    def tried(self, request: int, settings: Settings) -> np.ndarray | None:
        """(2,) bounds over the routes known if a request is left out, and if it is served; None where time ran out."""
        highs, row, values = self._highs, int(self._row[self.resources.requests.start + request]), []
        basis, (low, high) = highs.getBasis(), (-highspy.kHighsInf, float(self.problem.most_routes[request]))
        highs.setOptionValue("simplex_strategy", _DUAL)
        highs.setOptionValue("simplex_iteration_limit", _STEPS_TRIED)
        for least, most in ((low, 0.0), (high, high)):
            highs.changeRowBounds(row, least, most)
            run_once(highs, settings)
            none = highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible
            value = highs.getInfo().objective_function_value * self._scale
            values.append(-np.inf if none else value - self.bonus.sum())
            highs.changeRowBounds(row, low, high)
            highs.setBasis(basis)
        highs.setOptionValue("simplex_iteration_limit", highspy.kHighsIInf)
        return None if settings.stopped else np.array(values)

    def cut(self, z: np.ndarray, *, nested: bool) -> int:
        """Add cuts that an optimum breaks; how many there are. Nested ones sum earlier cuts, too."""
        count = len(self._row) if nested else self.resources.plain
        summed = zero_half(
            self.used[:, :count], self.resources.capacity[:count], z, _OFTEN_NESTED if nested else _OFTEN
        )
        self._take(summed)
        return len(summed)

    def _take(self, summed: list[np.ndarray]) -> None:
        if summed:
            self.resources.add_cuts(summed)
            self.used = self.resources.with_cuts(self.used)
            none = np.full(len(summed), -1, np.int32)
            self._row, self._sale = np.concatenate([self._row, none]), np.concatenate([self._sale, none])
            self.prior = np.concatenate([self.prior, np.zeros(len(summed))])

    def renewed(self, problem: Problem) -> Master:
        """A master for another problem on the same nodes and links: routes still allowed, cuts and the basis are kept.

        Raises
        ------
        SolverError
            The nodes or links are others.
        """
        was, now = self.problem.network, problem.network
        same = was.node_ids == now.node_ids and np.array_equal(was.source, now.source)
        if not (same and np.array_equal(was.target, now.target)):
            raise SolverError("update: the problem has other nodes or links; make a new solver")
        new = Master(problem)
        table, origin = _asked_again(self.table, problem)
        fine = keeps_limits(table)
        if not fine.all():
            table, origin = table.taken(np.flatnonzero(fine)), origin[fine]
        rows = zip(table.request.tolist(), table.indptr[:-1].tolist(), table.indptr[1:].tolist())
        new._known = {(k, table.nodes[start:end].tobytes()) for k, start, end in rows}
        new._append(table)
        place = self._places(new)
        new._take([np.sort(place[each]) for each in self.resources.cuts if (place[each] >= 0).all()])
        rows = place[self._row >= 0]
        new._add_rows(np.unique(rows[(rows >= 0) & (new._row[rows] < 0)]))
        kept, prior = place >= 0, np.zeros(len(new._row))
        prior[place[kept]] = self.prior[kept]
        new.stay(prior)
        new._start_from(self, place, origin)
        return new

    def lost(self, new: Master) -> np.ndarray:
        """(places,) of a renewed master that may cost less there because resources or cuts priced here are gone."""
        place = self._places(new)
        cheaper = self.resources.cheaper((place < 0) & (self.prior > 0.0))
        asking = np.zeros(len(new.problem.requests), dtype=bool)
        number = place[self.resources.requests] - new.resources.requests.start
        others = len(cheaper) - len(number)
        asking[number[number >= 0]] = cheaper[others:][number >= 0]
        return np.concatenate([cheaper[:others], asking])

    def _places(self, new: Master) -> np.ndarray:
        """The number in a renewed master of each resource and cut here; -1 where it has gone or has no limit there."""
        place = np.arange(len(self._row))
        block, index = self.resources.requests, new.problem.request_index
        place[block] = [index.get(request.id, -1 - block.start) + block.start for request in self.problem.requests]
        gone = place[: block.stop] < 0
        gone |= ~np.isfinite(new.resources.capacity[np.where(gone, 0, place[: block.stop])])
        place[: block.stop][gone] = -1
        count = 0
        for cut, each in enumerate(self.resources.cuts, start=block.stop):
            kept = (place[each] >= 0).all()
            place[cut] = new.resources.plain + count if kept else -1
            count += kept
        return place

    def _start_from(self, old: Master, place: np.ndarray, origin: np.ndarray) -> None:
        """Begin where another master ended: `place` here of its resources, `origin` there of the routes here."""
        basis, before = highspy.HighsBasis(), old._highs.getBasis()
        if not before.valid:
            return
        kinds = highspy.HighsBasisStatus
        column, row = [kinds.kLower] * self._highs.getNumCol(), [kinds.kBasic] * self._highs.getNumRow()
        columns, rows = list(before.col_status), list(before.row_status)
        for j, i in zip(self._column.tolist(), origin.tolist()):
            column[j] = columns[old._column[i]] if i >= 0 else kinds.kLower
        for i in np.flatnonzero(place >= 0).tolist():
            if old._row[i] >= 0 <= self._row[place[i]]:
                row[self._row[place[i]]] = rows[old._row[i]]
            if old._sale[i] >= 0 <= self._sale[place[i]]:
                column[self._sale[place[i]]] = columns[old._sale[i]]
        basis.col_status, basis.row_status = column, row
        basis.valid, basis.alien = True, True  # it may not be one: HiGHS mends it
        self._highs.setBasis(basis)
        self._highs.setOptionValue("simplex_strategy", _DUAL)  # neither: this takes fewer steps


def _asked_again(table: RouteTable, problem: Problem) -> tuple[RouteTable, np.ndarray]:
    """The routes of a table for all requests of another problem between the same nodes, with their numbers there.

    The number is -1 where a route served another request.
    """
    same = [(request.id, request.source, request.target) for request in problem.requests] == [
        (request.id, request.source, request.target) for request in table.problem.requests
    ]
    if same:
        return table_of(problem, table.request, table.nodes, table.indptr), np.arange(len(table))
    before: dict[tuple[int, int], list[int]] = {}
    for j, ends in enumerate(zip(table.nodes[table.indptr[:-1]].tolist(), table.nodes[table.indptr[1:] - 1].tolist())):
        before.setdefault(ends, []).append(j)
    ids = [table.problem.requests[k].id for k in table.request.tolist()]
    request, origin, number = [], [], []
    for k, ends in enumerate(zip(problem.sources.tolist(), problem.targets.tolist())):
        own = problem.requests[k].id
        seen: dict[bytes, int] = {}
        for j in before.get(ends, ()):
            key = table.nodes[table.indptr[j] : table.indptr[j + 1]].tobytes()
            if key not in seen or ids[j] == own:
                seen[key] = j
        request += [k] * len(seen)
        origin += seen.values()
        number += [j if ids[j] == own else -1 for j in seen.values()]
    kept = table.taken(np.array(origin, dtype=np.int64))
    routes = table_of(problem, np.array(request, dtype=np.int64), kept.nodes, kept.indptr)
    return routes, np.array(number, dtype=np.int64)


def packing(table: RouteTable, used: sparse.csr_array, capacity: np.ndarray) -> Matrix:
    """The integer program over the routes of a table, with a row for every resource and cut that can bind."""
    count = len(table)
    most = np.floor(capacity[used.indices] / used.data)
    upper = np.minimum.reduceat(most, used.indptr[:-1]) if count else np.zeros(0)
    binding = np.flatnonzero(used.T @ upper > capacity)
    a = sparse.csc_array(used[:, binding].T)
    free = np.full(len(binding), -np.inf)
    whole = np.ones(count, dtype=bool)
    return Matrix(table.value, np.zeros(count), upper, whole, free, capacity[binding], a)
