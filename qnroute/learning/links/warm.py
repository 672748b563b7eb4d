"""One packing solved again and again for other costs: what oracles are made of.

The linear relaxation stays in HiGHS, whose simplex goes on from the last basis. Where its optimum is not whole, valid
inequalities are added and kept, then whole numbers are enforced by branching on the same program, each node from the
basis of the one before. Small packings need a handful of nodes, much less than a mixed-integer solver takes to begin;
where they need many, it takes over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import highspy
import numpy as np

from qnroute.errors import SolverError
from qnroute.models.exports import to_highs
from qnroute.models.linear import Matrix
from qnroute.settings import Settings
from qnroute.solvers.highs import RELIABLE, solve_matrix
from qnroute.solvers.odd_sets import OddSet

_WHOLE = 1e-6  # as near to a whole number as a column must be
_SAME = 1e-10  # of the largest cost: a node that promises no more than this above the best is closed
_MOST_NODES = 100
_MOST_CUTS = 4  # for each column, kept from solve to solve; beyond, the program is slower with them than without


class WarmProgram:
    """max cost x over one program of whole columns in which all zero is feasible.

    Parameters
    ----------
    matrix
        Its own costs do not matter.
    cuts
        For a fractional x, inequalities that it breaks and that every whole feasible one keeps.
    """

    def __init__(self, matrix: Matrix, cuts: Callable[[np.ndarray], list[OddSet]] | None = None):
        self._matrix, self._cuts = matrix, cuts
        self._columns = np.arange(len(matrix.cost), dtype=np.int32)
        continuous = np.zeros(len(matrix.cost), dtype=bool)
        self._highs = to_highs(replace(matrix, cost=np.zeros(len(matrix.cost)), integer=continuous))
        for option in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
            self._highs.setOptionValue(option, RELIABLE[option])
        self._highs.setOptionValue("threads", 1)
        self._highs.setOptionValue("presolve", "off")  # it would forget the basis

    def solve(self, cost: np.ndarray) -> np.ndarray:
        """Whole x of an optimum, exact up to HiGHS's tolerances.

        Raises
        ------
        SolverError
            HiGHS failed.
        """
        if not (cost > 0.0).any():
            return np.zeros(len(cost))
        self._forget()
        self._highs.changeColsCost(len(cost), self._columns, cost / np.abs(cost).max())
        found = self._cut()
        if found is None:
            found = self._branched()
        return self._packed(cost) if found is None else found

    def _forget(self) -> None:
        """Drop all cuts, once there are too many."""
        own, rows = len(self._matrix.row_upper), self._highs.getNumRow()
        if rows - own > _MOST_CUTS * len(self._columns):
            self._highs.deleteRows(rows - own, np.arange(own, rows, dtype=np.int32))

    def _cut(self) -> np.ndarray | None:
        """Whole x, as far as cuts bring it there."""
        while True:
            relaxed = self._relaxed(self._matrix.lower, self._matrix.upper)
            if relaxed is None or _whole(relaxed[0]):
                return None if relaxed is None else np.rint(relaxed[0])
            found = self._cuts(relaxed[0]) if self._cuts else []
            if not found:
                return None
            for cut in found:
                links = cut.links.astype(np.int32)
                self._highs.addRow(-highspy.kHighsInf, float(cut.most), len(links), links, np.ones(len(links)))

    def _branched(self) -> np.ndarray | None:
        """Whole x by depth-first branching, upwards first; None beyond some nodes."""
        best, most, nodes = np.zeros(len(self._columns)), 0.0, 0
        stack = [(self._matrix.lower, self._matrix.upper)]
        while stack and nodes < _MOST_NODES:
            low, high = stack.pop()
            nodes += 1
            relaxed = self._relaxed(low, high)
            if relaxed is None:
                if self._highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
                    continue
                return None
            x, value = relaxed
            if value <= most + _SAME:
                continue
            if _whole(x):
                best, most = np.rint(x), value
                continue
            j = int(np.argmax(np.abs(x - np.rint(x))))
            below, above = high.copy(), low.copy()
            below[j], above[j] = np.floor(x[j]), np.ceil(x[j])
            stack += [(low, below), (above, high)]
        return None if stack else best

    def _relaxed(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, float] | None:
        """x and value of the relaxation's optimum within these bounds, or None."""
        self._highs.changeColsBounds(len(low), self._columns, low, high)
        self._highs.run()
        if self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        value = self._highs.getInfo().objective_function_value
        return np.array(self._highs.getSolution().col_value), value

    def _packed(self, cost: np.ndarray) -> np.ndarray:
        """Whole x by the mixed-integer solver."""
        self._highs.clearSolver()
        outcome = solve_matrix(replace(self._matrix, cost=cost), Settings())
        if outcome.values is None or outcome.stopped:
            raise SolverError(f"oracle: the packing ended with {outcome.stopped or 'no answer'}")
        return np.rint(outcome.values)


def _whole(x: np.ndarray) -> bool:
    return bool(np.abs(x - np.rint(x)).max(initial=0.0) <= _WHOLE)
