"""A quadratic model with charged rows as a mixed-integer linear program, whose optimum is a ground state, proven.

    max  -(linear x + bias y + penalty e)     y_ij = x_i x_j,   e_r >= load_r - capacity_r,   e >= 0,   x binary

A coupler that costs needs y >= x_i + x_j - 1, one that pays y <= x_i and y <= x_j (Fortet 1960).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from qnroute.models.linear import Matrix
from qnroute.models.quadratic import Quadratic


def linearized(
    quadratic: Quadratic,
    rows: sparse.csr_array | None = None,
    capacity: np.ndarray | None = None,
    penalty: np.ndarray | None = None,
) -> Matrix:
    """The program, without the offset; its first columns are the variables of the model.

    `rows` (R, N) are charged `penalty` (R,) for each unit above `capacity` (R,) >= 0.
    """
    n, q = len(quadratic), len(quadratic.bias)
    rows = sparse.csr_array((0, n)) if rows is None else rows
    capacity, penalty = (np.zeros(0) if part is None else part for part in (capacity, penalty))
    r, y = rows.shape[0], n + np.arange(q)
    costs = np.flatnonzero(quadratic.bias > 0.0)
    pays = np.flatnonzero(quadratic.bias < 0.0)
    parts = [
        _rows([quadratic.row[costs], quadratic.col[costs], y[costs]], [1.0, 1.0, -1.0], n + q + r),
        *(_rows([end[pays], y[pays]], [-1.0, 1.0], n + q + r) for end in (quadratic.row, quadratic.col)),
        sparse.hstack([rows, sparse.csr_array((r, q)), -sparse.eye_array(r)]),
    ]
    upper = np.concatenate([np.ones(n + q), np.full(r, np.inf)])
    limits = np.concatenate([np.ones(len(costs)), np.zeros(2 * len(pays)), capacity])
    return Matrix(
        cost=-np.concatenate([quadratic.linear, quadratic.bias, penalty]),
        lower=np.zeros(n + q + r),
        upper=upper,
        integer=np.arange(n + q + r) < n,
        row_lower=np.full(len(limits), -np.inf),
        row_upper=limits,
        a=sparse.csc_array(sparse.vstack(parts)),
    )


def _rows(columns: list[np.ndarray], amounts: list[float], width: int) -> sparse.csr_array:
    """One row for each entry of the columns."""
    count = len(columns[0])
    entries = np.concatenate(columns), np.repeat(amounts, count)
    return sparse.csr_array((entries[1], (np.tile(np.arange(count), len(columns)), entries[0])), (count, width))
