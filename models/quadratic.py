"""Quadratic: a binary quadratic model as arrays, and how rows of a packing become its terms.

    E(x) = offset + sum_i linear_i x_i + sum_{i<j} bias_ij x_i x_j,   x binary,  to be minimised

Arrays go to dimod in one call; nothing here loops over variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sparse

from qnroute.errors import SolverError

if TYPE_CHECKING:
    import dimod

LARGEST = 50_000_000  # couplers; beyond this a model is refused rather than built


@dataclass(frozen=True)
class Quadratic:
    """A binary quadratic model with N variables and Q couplers, each pair once.

    Attributes
    ----------
    linear : (N,) biases
    row, col : (Q,) the variables that each coupler joins, row < col
    bias : (Q,) biases of couplers
    offset : energy of x = 0
    """

    linear: np.ndarray
    row: np.ndarray
    col: np.ndarray
    bias: np.ndarray
    offset: float = 0.0

    def __post_init__(self):
        for name in ("linear", "bias", "offset"):
            if not np.all(np.isfinite(getattr(self, name))):
                raise SolverError(f"quadratic model: a number in {name} is not finite")

    def __len__(self) -> int:
        return len(self.linear)

    @property
    def couplers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Both ends and the bias of each."""
        return self.row, self.col, self.bias

    def energies(self, samples: np.ndarray) -> np.ndarray:
        """(S,) energies of samples (S, N) of zeros and ones."""
        x = np.asarray(samples, dtype=float)
        couplers = sparse.csr_array((self.bias, (self.row, self.col)), shape=(len(self), len(self)))
        return self.offset + x @ self.linear + np.einsum("sn,sn->s", x, (couplers.T @ x.T).T)

    def to_bqm(self) -> dimod.BinaryQuadraticModel:
        """As dimod's model; variables are numbered from 0."""
        import dimod

        return dimod.BinaryQuadraticModel.from_numpy_vectors(self.linear, self.couplers, self.offset, dimod.BINARY)


def merged(linear: np.ndarray, parts: list[tuple[np.ndarray, ...]], offset: float) -> Quadratic:
    """A model of couplers given in parts (one end, the other end, bias), those of the same pair summed."""
    n = len(linear)
    none = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    one, other, bias = (np.concatenate([part[i] for part in [none, *parts]]) for i in range(3))
    key = np.minimum(one, other).astype(np.int64) * n + np.maximum(one, other)
    if len(key):
        order = np.argsort(key)  # the stable kind takes five times longer
        key, bias = key[order], bias[order]
        first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        key, bias = key[first], np.add.reduceat(bias, first)
    return Quadratic(linear, key // max(n, 1), key % max(n, 1), bias, float(offset))


def pairs_within(indptr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of entries of the same row, as two arrays of entry numbers, for rows given by `indptr` (R + 1,).

    Raises
    ------
    SolverError
        There are more than `LARGEST`.
    """
    lengths = np.diff(indptr).astype(np.int64)
    total = int((lengths * (lengths - 1) // 2).sum())
    if total > LARGEST:
        raise SolverError(f"quadratic model: rows would need {total:,} couplers, more than {LARGEST:,}")
    entry = np.arange(indptr[-1])
    after = np.repeat(indptr[1:], lengths) - entry - 1  # entries of its row that come later
    one = np.repeat(entry, after)
    return one, one + 1 + np.arange(total) - np.repeat(np.cumsum(after) - after, after)


def squares(rows: sparse.csr_array, target: np.ndarray, strength: np.ndarray) -> tuple[np.ndarray, tuple, float]:
    """What sum_r strength_r (rows_r x - target_r)^2 adds: linear biases (N,), couplers and offset."""
    row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    amount, scale = rows.data, strength[row]
    linear = np.bincount(rows.indices, scale * amount * (amount - 2.0 * target[row]), minlength=rows.shape[1])
    one, other = pairs_within(rows.indptr)
    couplers = rows.indices[one], rows.indices[other], 2.0 * scale[one] * amount[one] * amount[other]
    return linear, couplers, float(strength @ target**2)
