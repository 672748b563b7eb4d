"""Oracles: for one coefficient c_e per link, the best decision x*(c), as how often it counts each link.

An oracle answers argmax of c x + constant(x) over the feasible decisions of one problem, again and again for other c.
Losses that are made from decisions (`qnroute.learning.links.losses`) ask for nothing else.

`SelectionOracle` and `PackingOracle` keep a program whose costs alone change (`qnroute.learning.links.warm`).
`RoutingOracle` generates columns, so it knows every route, but c beyond 0 is no logarithm of a probability. For
training, `PackingOracle` is the one to take: what is proven of the losses holds for it without reserve, and on networks
of some 20 nodes it is ten times as fast. From some 60 nodes on the other one is the faster.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
import scipy.sparse as sparse

from qnroute.allocation import Allocation
from qnroute.errors import ProblemError, SolverError
from qnroute.fields import brief
from qnroute.learning.links.warm import WarmProgram
from qnroute.models.link_selection import LinkSelection
from qnroute.models.path_packing import PathPacking
from qnroute.problem import Problem
from qnroute.routes import RouteTable, enumerate_routes
from qnroute.solvers.column_generation import ColumnGeneration
from qnroute.solvers.odd_sets import Graph, broken

_LEAST_LOG = -700.0  # of a p that floating point holds


class Decision(NamedTuple):
    """x (m,): how often each link counts; `constant`: what the decision is worth besides c x."""

    x: np.ndarray
    constant: float

    def worth(self, c: np.ndarray) -> float:
        """c x + constant."""
        return float(c @ self.x) + self.constant


class Oracle(Protocol):
    """What losses ask."""

    n_links: int

    def best(self, c: np.ndarray) -> Decision:
        """A feasible decision worth most for the coefficients c (m,), to proof."""

    def allocation(self, c: np.ndarray) -> Allocation:
        """The same decision as an allocation."""


class SelectionOracle:
    """Link selection: c are the scores, x is 0 or 1; scores of any sign.

    Parameters
    ----------
    problem
        Task ``link-selection``; its own scores do not matter.
    """

    def __init__(self, problem: Problem):
        _require(problem.task == "link-selection", "SelectionOracle", "the task link-selection", problem.task)
        self.n_links = problem.network.n_links
        self._model = LinkSelection(problem)
        bound = np.minimum(problem.degree_bounds, self.n_links)
        graph = Graph(problem.network.source, problem.network.target, bound)
        closed = (bound[problem.network.source] == 0) | (bound[problem.network.target] == 0)
        matrix = self._model.matrix
        matrix = replace(matrix, upper=np.where(closed, 0.0, matrix.upper))
        self._program = WarmProgram(matrix, lambda x: broken(graph, x))

    def best(self, c: np.ndarray) -> Decision:
        """See `Oracle.best`."""
        return Decision(self._program.solve(_coefficients(c, self.n_links)), 0.0)

    def allocation(self, c: np.ndarray) -> Allocation:
        """See `Oracle.allocation`."""
        return self._model.decode(self.best(c).x)


class PackingOracle:
    """Routing among fixed candidate routes under ``log-success``: c_e = ln p_e, of any sign.

    A route r of request k is worth weight_k (R + sum_v ln swap_v + sum_e c_e), so x_e adds up the weights of the routes
    over link e. The set of decisions is the same for every c, which the theory of decision losses assumes.

    Parameters
    ----------
    problem
        Objective ``log-success``.
    routes
        The candidates; by default the `per_request` most probable ones of each request under the problem's own p.
    """

    def __init__(self, problem: Problem, routes: RouteTable | None = None, *, per_request: int = 20):
        _require_log_success(problem, "PackingOracle")
        self.n_links = problem.network.n_links
        self.routes = _candidates(problem, per_request) if routes is None else routes
        self._model = PathPacking(problem, self.routes)
        self._weight, self._constant = _fixed_worth(problem, self.routes)
        route, link, _ = self.routes.steps
        shape = self.n_links, len(self.routes)
        self._over = sparse.csr_array((self._weight[route], (link, route)), shape=shape)  # x = over @ z
        self._program = WarmProgram(self._model.matrix)

    def best(self, c: np.ndarray) -> Decision:
        """See `Oracle.best`."""
        z = self._best(c)
        return Decision(self._over @ z, float(self._constant @ z))

    def allocation(self, c: np.ndarray) -> Allocation:
        """See `Oracle.allocation`."""
        return self._model.decode(self._best(c))

    def _best(self, c: np.ndarray) -> np.ndarray:
        return self._program.solve(self._constant + _coefficients(c, self.n_links) @ self._over)


class RoutingOracle:
    """Routing among all routes under ``log-success``, by column generation that goes on from its last solve.

    p_e = exp(min(c_e, 0)), because no probability is above 1. Where some c_e > 0, as SPO+ asks for with 2 c_hat - c,
    the decision is the best for min(c, 0) alone, and is none the loss speaks of: the loss is then no longer convex in
    c_hat, nor sure to be above the regret, and 2 (x*(2 c_hat - c) - x*(c)) is a direction that prefers c, but no
    subgradient. `PackingOracle` knows no such cut.

    Parameters
    ----------
    problem
        Objective ``log-success``; its own p do not matter.
    """

    def __init__(self, problem: Problem):
        _require_log_success(problem, "RoutingOracle")
        self.n_links = problem.network.n_links
        self._problem = problem
        self._solver = ColumnGeneration(problem, workers=1)

    def best(self, c: np.ndarray) -> Decision:
        """See `Oracle.best`."""
        network, requests = self._problem.network, self._problem.requests
        x, constant = np.zeros(self.n_links), 0.0
        for route in self.allocation(c).routes:
            weight = requests[self._problem.request_index[route.request]].weight
            at = [network.index[v] for v in route.nodes]
            x[[network.link_index[pair] for pair in itertools.pairwise(at)]] += weight
            constant += weight * (self._problem.objective.serve_reward + float(np.log(network.swap[at[1:-1]]).sum()))
        return Decision(x, constant)

    def allocation(self, c: np.ndarray) -> Allocation:
        """See `Oracle.allocation`."""
        p = np.exp(np.clip(_coefficients(c, self.n_links), _LEAST_LOG, 0.0))
        self._solver.update(self._problem.replace(network=self._problem.network.replace(p=p)))
        result = self._solver.solve()
        if result.status != "optimal":
            raise SolverError(f"RoutingOracle: ended {result.status}, expected a proven optimum")
        return result.allocation


def _candidates(problem: Problem, per_request: int) -> RouteTable:
    """The most probable routes, also those that the problem's own p make worthless: other p need not."""
    generous = replace(problem.objective, serve_reward=1e6)
    table = enumerate_routes(problem.replace(objective=generous), per_request=per_request)
    return replace(table, problem=problem)


def _fixed_worth(problem: Problem, table: RouteTable) -> tuple[np.ndarray, np.ndarray]:
    """(J,) weight of each route, and (J,) what it is worth besides its links: weight (R + sum of ln swap)."""
    weight = problem.weights[table.request]
    route, _, tail = table.steps
    passed = tail != table.nodes[table.indptr[:-1]][route]
    swaps = np.bincount(route[passed], np.log(problem.network.swap[tail[passed]]), len(table))
    return weight, weight * (problem.objective.serve_reward + swaps)


def _coefficients(c: np.ndarray, n_links: int) -> np.ndarray:
    found = np.asarray(c, dtype=float)
    if found.shape != (n_links,) or not np.isfinite(found).all():
        raise ProblemError(f"c: found {brief(c)}, expected {n_links} finite coefficients, one for each link")
    return found


def _require_log_success(problem: Problem, name: str) -> None:
    found = problem.objective.kind if problem.task == "allocation" else problem.task
    _require(found == "log-success", name, "the objective log-success", found)


def _require(fits: bool, name: str, expected: str, found: str) -> None:
    if not fits:
        raise ProblemError(f"{name}: found {found}, expected {expected}")
