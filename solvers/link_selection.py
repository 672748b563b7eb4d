"""Method ``exact`` for link selection: the degree-bounded linear program, and odd-set inequalities as they are broken.

The relaxation of `qnroute.models.LinkSelection` is solved by HiGHS and cut by `qnroute.solvers.odd_sets` until its
optimum is whole, which it must become: with all odd sets the relaxation is exact. With prices y >= 0 of degree bounds
and odd sets,

    U = sum_i b_i y_i + sum_e max(s_e - a_e y, 0)

bounds every selection: weak duality, by arithmetic alone.
"""

from __future__ import annotations

from dataclasses import replace

import highspy
import numpy as np
import scipy.sparse as sparse

from qnroute.models.exports import to_highs
from qnroute.models.linear import Matrix
from qnroute.models.link_selection import LinkSelection
from qnroute.problem import Problem
from qnroute.result import PROVEN, closed
from qnroute.settings import Answer, Settings, Trace
from qnroute.solvers.highs import RELIABLE, cost_scale, nothing_to_gain, run, solve_matrix
from qnroute.solvers.odd_sets import Graph, OddSet, broken
from qnroute.solvers.search import within

_WHOLE = 1e-6  # x at least so near to 1 is taken


class _Relaxation:
    """The linear program, kept warm, in units that bring its costs near 1."""

    def __init__(self, matrix: Matrix):
        self.matrix, self._scale = matrix, cost_scale(matrix)
        self.a, self.upper = sparse.csr_array(matrix.a), matrix.row_upper
        self._highs = to_highs(replace(matrix, integer=np.zeros(len(matrix.cost), dtype=bool)), scale=self._scale)
        for option in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
            self._highs.setOptionValue(option, RELIABLE[option])
        self._highs.setOptionValue("threads", 1)

    def solve(self, settings: Settings) -> tuple[np.ndarray, float] | None:
        """x of an optimum and the bound that its prices prove; None where time ran out first."""
        run(self._highs, settings)
        if self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        solution = self._highs.getSolution()
        price = np.maximum(np.array(solution.row_dual) * self._scale, 0.0)
        bound = self.upper @ price + np.maximum(self.matrix.cost - self.a.T @ price, 0.0) @ self.matrix.upper
        return np.array(solution.col_value), float(bound)

    def add(self, cuts: list[OddSet]) -> None:
        """Append a row for each odd set."""
        columns = np.concatenate([cut.links for cut in cuts]).astype(np.int32)
        starts = np.concatenate([[0], np.cumsum([len(cut.links) for cut in cuts])]).astype(np.int32)
        most = np.array([cut.most for cut in cuts], dtype=float)
        low, ones = np.full(len(cuts), -highspy.kHighsInf), np.ones(len(columns))
        self._highs.addRows(len(cuts), low, most, len(columns), starts[:-1], columns, ones)
        more = sparse.csr_array((ones, columns, starts), shape=(len(cuts), self.a.shape[1]))
        self.a = sparse.csr_array(sparse.vstack([self.a, more], format="csr"))
        self.upper = np.concatenate([self.upper, most])

    def whole(self) -> Matrix:
        """The integer program with all rows."""
        low = np.full(len(self.upper), -np.inf)
        return replace(self.matrix, row_lower=low, row_upper=self.upper, a=sparse.csc_array(self.a))


def select_links(problem: Problem, settings: Settings, *, threads: int) -> Answer:
    """Solve to proof, or to the proven gap where time runs out."""
    model, goal = LinkSelection(problem), max(settings.gap, PROVEN / 2)
    graph = Graph(problem.network.source, problem.network.target, np.minimum(problem.degree_bounds, model.n_columns))
    matrix, trace = _of_use(model.matrix, graph), []
    cost = matrix.cost
    best, bound, stopped = _rounded(graph, cost, np.zeros(len(cost))), _half_of_the_best(graph, cost), None

    def seen() -> None:
        trace.append((settings.elapsed(), float(cost @ best), bound))
        if settings.progress is not None:
            settings.progress(*trace[-1])

    seen()
    relaxation = None if nothing_to_gain(matrix) else _Relaxation(matrix)
    while relaxation is not None and not closed(cost @ best, bound, goal):
        found = relaxation.solve(settings)
        if found is None or settings.stopped:
            stopped = settings.stopped or "time-limit"
            break
        x, proven = found
        bound, best = min(bound, proven), max(best, _rounded(graph, cost, x), key=lambda taken: cost @ taken)
        seen()
        if closed(cost @ best, bound, goal):
            break
        cuts = broken(graph, x)
        if not cuts:  # what is left hides in tolerances
            best, bound, stopped = _branched(relaxation, best, bound, trace, settings, threads)
            break
        relaxation.add(cuts)
    proven = stopped or closed(cost @ best, bound, max(settings.gap, PROVEN))
    remarks = () if proven else ("not proven optimal: scores are too far apart for HiGHS's tolerances",)
    return Answer(model.decode(best), bound, trace, stopped, remarks)


def _of_use(matrix: Matrix, graph: Graph) -> Matrix:
    """The program with links left out that no selection needs, whatever size their scores are."""
    some = (matrix.cost > 0.0) & (graph.bound[graph.source] > 0) & (graph.bound[graph.target] > 0)
    return replace(matrix, cost=np.where(some, matrix.cost, 0.0), upper=np.where(some, matrix.upper, 0.0))


def _half_of_the_best(graph: Graph, cost: np.ndarray) -> float:
    """Half of what all nodes' best links are worth: no selection is worth more."""
    node = np.concatenate([graph.source, graph.target])
    worth = np.concatenate([cost, cost])
    order = np.lexsort((-worth, node))
    rank = np.arange(len(node)) - np.searchsorted(node[order], node[order])
    within = rank < graph.bound[node[order]]
    return 0.5 * float(np.maximum(worth[order][within], 0.0).sum())


def _rounded(graph: Graph, cost: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Links taken where x is 1, then the most valuable of the others that fit, as zeros and ones."""
    taken = x > 1.0 - _WHOLE
    used = np.bincount(graph.source[taken], minlength=len(graph.bound))
    left = graph.bound - used - np.bincount(graph.target[taken], minlength=len(graph.bound))
    fits = ~taken & (cost > 0.0) & (left[graph.source] > 0) & (left[graph.target] > 0)
    others = np.flatnonzero(fits)
    others = others[np.argsort(-cost[others], kind="stable")]
    room = left.tolist()
    for e, u, v in zip(others.tolist(), graph.source[others].tolist(), graph.target[others].tolist()):
        if room[u] > 0 and room[v] > 0:
            room[u] -= 1
            room[v] -= 1
            taken[e] = True
    return taken.astype(float)


def _branched(
    relaxation: _Relaxation, best: np.ndarray, bound: float, trace: Trace, settings: Settings, threads: int
) -> tuple[np.ndarray, float, str | None]:
    """The integer program with every odd set found, by HiGHS."""
    cost = relaxation.matrix.cost
    seen = within(float(cost @ best), bound)
    outcome = solve_matrix(relaxation.whole(), settings.through(seen), threads=threads)
    trace += [seen(*point) for point in outcome.trace]
    if outcome.values is not None:
        best = max(best, np.rint(outcome.values), key=lambda taken: cost @ taken)
    return best, min(bound, max(outcome.bound, float(cost @ best))), outcome.stopped
