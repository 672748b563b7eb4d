"""A quadratic model as a mixed-integer linear program, whose optimum is a ground state, proven.

    max  -(linear x + bias y)     y_ij = x_i x_j,   x binary

A coupler that costs needs y >= x_i + x_j - 1, one that pays y <= x_i and y <= x_j (Fortet 1960).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from qnroute.models.linear import Matrix
from qnroute.models.quadratic import Quadratic


def linearized(quadratic: Quadratic) -> Matrix:
    """The program, without the offset; its first columns are the variables of the model."""
    n, q = len(quadratic), len(quadratic.bias)
    y = n + np.arange(q)
    costs, pays = np.flatnonzero(quadratic.bias > 0.0), np.flatnonzero(quadratic.bias < 0.0)
    parts = [
        _rows([quadratic.row[costs], quadratic.col[costs], y[costs]], [1.0, 1.0, -1.0], n + q),
        *(_rows([end[pays], y[pays]], [-1.0, 1.0], n + q) for end in (quadratic.row, quadratic.col)),
    ]
    limits = np.concatenate([np.ones(len(costs)), np.zeros(2 * len(pays))])
    return Matrix(
        cost=-np.concatenate([quadratic.linear, quadratic.bias]),
        lower=np.zeros(n + q),
        upper=np.ones(n + q),
        integer=np.arange(n + q) < n,
        row_lower=np.full(len(limits), -np.inf),
        row_upper=limits,
        a=sparse.csc_array(sparse.vstack(parts)),
    )


def _rows(columns: list[np.ndarray], amounts: list[float], width: int) -> sparse.csr_array:
    """One row for each entry of the columns."""
    count = len(columns[0])
    entries = np.concatenate(columns), np.repeat(amounts, count)
    return sparse.csr_array((entries[1], (np.tile(np.arange(count), len(columns)), entries[0])), (count, width))
