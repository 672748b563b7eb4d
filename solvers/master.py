"""The restricted master of column generation: routes found so far, one linear program kept warm in HiGHS.

    max sum_r v_r z_r    subject to    sum_{r of k} z_r <= routes_k,    sum_r a_ir z_r <= b_i,    z_r >= 0

over the resources i: channels of a link, memory of a node (1 qubit at an end, 2 passing), routes leaving a bounded
node, and routes passing a node, at most half of what its memory and the channels around it hold, rounded down (a
cut that the integer program satisfies and its relaxation does not). A resource gets its row when it is first
overdrawn; until then its dual price is 0.
"""

from __future__ import annotations

from typing import NamedTuple

import highspy
import numpy as np

from qnroute.completion import Prices
from qnroute.errors import SolverError
from qnroute.fields import UNLIMITED
from qnroute.problem import Problem
from qnroute.routes import RouteTable, joined, table_of
from qnroute.settings import Settings
from qnroute.solvers.highs import RELIABLE, run

_PRIMAL, _DUAL = 4, 1  # simplex strategies of HiGHS
_OVERDRAWN = 1e-7


class Relaxed(NamedTuple):
    """An optimum of the restricted master: its value, z of every route, prices of requests (K,) and resources."""

    value: float
    z: np.ndarray
    request: np.ndarray
    resource: np.ndarray


class Resources:
    """What routes use, numbered through: links, memory of nodes, passing at nodes, leaving nodes."""

    def __init__(self, problem: Problem):
        network = problem.network
        self.n, self.m = network.n_nodes, network.n_links
        around = np.zeros(self.n)
        for end in (network.source, network.target):
            around += np.bincount(end, weights=network.channels.astype(float), minlength=self.n)
        memory = np.where(network.memory == UNLIMITED, np.inf, network.memory)
        degree = np.where(problem.degree_bounds == UNLIMITED, np.inf, problem.degree_bounds)
        passing = np.floor(np.minimum(memory, around) / 2)
        self.capacity = np.concatenate([network.channels.astype(float), memory, passing, degree])

    def used(self, table: RouteTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(route, resource, amount) of everything that the routes of a table use."""
        route, link, tail = table.steps
        of_node = np.repeat(np.arange(len(table)), np.diff(table.indptr))
        inside = np.ones(len(table.nodes), dtype=bool)
        inside[table.indptr[:-1]] = inside[table.indptr[1:] - 1] = False
        passed = table.nodes[inside]
        parts = [
            (route, link, np.ones(len(link))),
            (of_node, self.m + table.nodes, 1.0 + inside),
            (of_node[inside], self.m + self.n + passed, np.ones(len(passed))),
            (route, self.m + 2 * self.n + tail, np.ones(len(tail))),
        ]
        route, resource, amount = (np.concatenate(part) for part in zip(*parts))
        finite = np.isfinite(self.capacity[resource])
        return route[finite], resource[finite], amount[finite]

    def prices(self, resource: np.ndarray) -> Prices:
        """Prices of resources as routes meet them."""
        link, memory, passing, degree = np.split(resource, [self.m, self.m + self.n, self.m + 2 * self.n])
        return Prices(link, 2.0 * memory + passing + degree, memory + degree, memory)


class Master:
    """Routes as columns, rows as they begin to bind."""

    def __init__(self, problem: Problem):
        self.problem = problem
        self.resources = Resources(problem)
        self.allowed = problem.most_routes.astype(float)
        self.table = table_of(problem, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(1, np.int64))
        self._known: set[tuple[int, bytes]] = set()
        self._used = [np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)]
        self._row = np.full(len(self.resources.capacity), -1)  # row of each resource, where it has one
        self._rows: list[int] = []
        self._scale = 2.0 ** np.floor(np.log2(max(float(problem.weights.max(initial=0.0)), 1e-300)))
        if problem.objective.kind == "log-success":
            self._scale *= max(abs(problem.objective.serve_reward), 1.0)
        self._highs = self._empty()

    def _empty(self) -> highspy.Highs:
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        for option in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
            highs.setOptionValue(option, RELIABLE[option])
        highs.setOptionValue("threads", 1)
        highs.changeObjectiveSense(highspy.ObjSense.kMaximize)
        nothing = np.zeros(0, np.int32), np.zeros(0)
        count = len(self.allowed)
        low = np.full(count, -highspy.kHighsInf)
        highs.addRows(count, low, self.allowed, 0, np.zeros(count, np.int32), *nothing)
        return highs

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
        route, resource, amount = self.resources.used(table)
        self._add_columns(table, route, self._row[resource], amount)
        for i, part in enumerate((route + len(self.table), resource, amount)):
            self._used[i] = np.concatenate([self._used[i], part])
        self.table = joined(self.table, table)
        return table.request

    def _add_columns(self, table: RouteTable, route: np.ndarray, row: np.ndarray, amount: np.ndarray) -> None:
        has = row >= 0
        count = len(table)
        column = np.concatenate([np.arange(count), route[has]])
        rows = np.concatenate([table.request, row[has]])
        values = np.concatenate([np.ones(count), amount[has]])
        order = np.argsort(column, kind="stable")
        starts = np.searchsorted(column[order], np.arange(count))
        self._highs.addCols(
            count, table.value / self._scale, np.zeros(count), np.full(count, highspy.kHighsInf), len(order),
            starts.astype(np.int32), rows[order].astype(np.int32), values[order],
        )  # fmt: skip
        self._highs.setOptionValue("simplex_strategy", _PRIMAL)  # the basis stays primal feasible

    def solve(self, settings: Settings) -> Relaxed | None:
        """The optimum over the routes known, all resources kept; None where time ran out first."""
        highs = self._highs
        route, resource, amount = self._used
        while True:
            run(highs, settings)
            if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
                if settings.stopped:
                    return None
                raise SolverError(f"HiGHS ended with {highs.modelStatusToString(highs.getModelStatus())}")
            solution = highs.getSolution()
            z = np.array(solution.col_value)
            total = np.bincount(resource, weights=amount * z[route], minlength=len(self._row))
            overdrawn = np.flatnonzero((total > self.resources.capacity + _OVERDRAWN) & (self._row < 0))
            if not len(overdrawn):
                break
            self._add_rows(overdrawn)
        dual = np.maximum(np.array(solution.row_dual) * self._scale, 0.0)
        prices = np.zeros(len(self._row))
        prices[self._rows] = dual[len(self.allowed) :]
        value = highs.getInfo().objective_function_value * self._scale
        return Relaxed(value, z, dual[: len(self.allowed)], prices)

    def _add_rows(self, resources: np.ndarray) -> None:
        route, resource, amount = self._used
        first = len(self.allowed) + len(self._rows)
        self._row[resources] = first + np.arange(len(resources))
        self._rows += resources.tolist()
        inside = self._row[resource] >= first
        row = self._row[resource[inside]] - first
        order = np.argsort(row, kind="stable")
        starts = np.searchsorted(row[order], np.arange(len(resources)))
        low = np.full(len(resources), -highspy.kHighsInf)
        self._highs.addRows(
            len(resources), low, self.resources.capacity[resources], len(order), starts.astype(np.int32),
            route[inside][order].astype(np.int32), amount[inside][order],
        )  # fmt: skip
        self._highs.setOptionValue("simplex_strategy", _DUAL)  # the basis stays dual feasible
