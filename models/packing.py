"""Packing: items of some value, rows that they use up, and groups of which only so many may be chosen.

Link selection and route choice are packings; binary quadratic models and annealers are made from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from qnroute.errors import SolverError
from qnroute.filling import mended
from qnroute.models.linear import LinearModel


@dataclass(frozen=True)
class Packing:
    """max value x, subject to uses x <= capacity, x binary; items of a column stand for one use of it each.

    Attributes
    ----------
    value : (J,) > 0
    uses : (R, J) whole numbers > 0 where an item uses a row
    capacity : (R,) whole numbers
    group, most : (J,) group of each item; (G,) how many of each group may be chosen
    column : (J,) column of the model that an item stands for
    row : (R,) rows of the model
    """

    value: np.ndarray
    uses: sparse.csr_array
    capacity: np.ndarray
    group: np.ndarray
    most: np.ndarray
    column: np.ndarray
    row: np.ndarray

    def __len__(self) -> int:
        return len(self.value)

    @cached_property
    def rows(self) -> sparse.csr_array:
        """(R + G, J) what each item uses of rows, and of groups as rows."""
        uses, sizes = self.uses, np.bincount(self.group, minlength=len(self.most))
        of_group = np.argsort(self.group, kind="stable")
        return sparse.csr_array(
            (
                np.concatenate([uses.data, np.ones(len(self))]),
                np.concatenate([uses.indices, of_group], dtype=np.int32),
                np.concatenate([uses.indptr, uses.nnz + np.cumsum(sizes)], dtype=np.int32, casting="unsafe"),
            ),
            shape=(uses.shape[0] + len(sizes), len(self)),
        )

    @cached_property
    def limits(self) -> np.ndarray:
        """(R + G,) capacities of rows and groups."""
        return np.concatenate([self.capacity, self.most]).astype(float)

    def feasible(self, chosen: np.ndarray) -> np.ndarray:
        """(S,) whether samples (S, J) keep all rows and groups."""
        return ((self.rows @ chosen.T.astype(float)).T <= self.limits).all(axis=1)

    def mended(self, chosen: np.ndarray) -> np.ndarray:
        """(S, J) samples that fit: the least valuable of what conflicts dropped, then filled, the densest first.

        Density is value over the square root of what an item uses in all.
        """
        by_item = sparse.csr_array(self.rows.T)
        by_value = np.argsort(-self.value, kind="stable")
        by_density = np.argsort(-self.value / np.sqrt(np.maximum(by_item.sum(axis=1), 1.0)), kind="stable")
        arrays = by_item.indptr, by_item.indices, by_item.data, self.limits
        wanted, ones = np.ascontiguousarray(chosen, dtype=np.int64), np.ones(len(self), np.int64)
        return mended(*arrays, wanted, ones, by_value, by_density)


def packing_of(model: LinearModel, groups: str | None = None) -> Packing:
    """The packing that a model states: its columns of any worth, one item for each time that a column can be used.

    Parameters
    ----------
    groups
        The block of rows that say how many of a group may be chosen, each column in one of them; none: all are alone.

    Raises
    ------
    SolverError
        Something is not whole, or negative, or not an upper bound.
    """
    matrix = model.matrix
    rows = sparse.csr_array(matrix.a)
    ones = (rows.data == 1.0).all()
    whole = ones or ((rows.data == np.rint(rows.data)).all() and (rows.data >= 0.0).all())
    if not (whole and matrix.integer.all() and np.isneginf(matrix.row_lower).all() and (matrix.lower == 0.0).all()):
        raise SolverError(f"{model.name} is no packing of whole items")
    capacity = np.floor(matrix.row_upper)
    most = np.floor(matrix.upper)
    if capacity.min(initial=np.inf) < most.max(initial=0.0) * rows.data.max(initial=0.0):
        most = np.minimum(most, _most_alone(matrix.a, capacity))
    times = np.where(matrix.cost > 0.0, np.maximum(most, 0.0), 0.0).astype(np.int64)
    column = np.repeat(np.arange(len(times)), times)
    row, item = np.arange(len(capacity)), np.arange(len(column))
    uses = rows if (times == 1).all() else sparse.csr_array(matrix.a[:, column])
    if not ones:
        uses, capacity = _reduced(uses, capacity)
    if groups is None:
        return Packing(matrix.cost[column], uses, capacity, item, np.ones(len(item), np.int64), column, row)
    block = model.rows[groups]
    own = (row >= block.start) & (row < block.stop)
    group = np.full(len(item), -1, np.int64)
    inside = uses[own]
    group[inside.indices] = np.repeat(np.arange(block.size), np.diff(inside.indptr))
    if (group < 0).any():
        raise SolverError(f"{model.name}: a column is in none of the rows {groups}")
    most = np.minimum(capacity[own], len(item)).astype(np.int64)
    return Packing(matrix.cost[column], uses[~own], capacity[~own], group, most, column, row[~own])


def _reduced(uses: sparse.csr_array, capacity: np.ndarray) -> tuple[sparse.csr_array, np.ndarray]:
    """Rows divided by what their numbers have in common: fewer values for slack, and more rows that are pairs."""
    some = np.flatnonzero(np.diff(uses.indptr))
    if not len(some):
        return uses, capacity
    common = np.ones(uses.shape[0])
    common[some] = np.gcd.reduceat(uses.data.astype(np.int64), uses.indptr[:-1][some])
    data = uses.data / np.repeat(common, np.diff(uses.indptr))
    return sparse.csr_array((data, uses.indices, uses.indptr), shape=uses.shape), np.floor(capacity / common)


def _most_alone(a: sparse.csc_array, capacity: np.ndarray) -> np.ndarray:
    """(N,) how often each column fits on its own."""
    most, some = np.full(a.shape[1], np.inf), np.flatnonzero(np.diff(a.indptr))
    if len(some):
        most[some] = np.minimum.reduceat(np.floor(capacity[a.indices] / a.data), a.indptr[:-1][some])
    return most
