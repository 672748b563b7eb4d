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
from qnroute.models.couplers import coupled, summed

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
    none = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    one, other, bias = (np.concatenate([part[i] for part in [none, *parts]]) for i in range(3))
    return Quadratic(linear, *summed(one, other, bias, len(linear)), float(offset))


def squares(rows: sparse.csr_array, target: np.ndarray, strength: np.ndarray) -> tuple[np.ndarray, tuple, float]:
    """What sum_r strength_r (rows_r x - target_r)^2 adds: linear biases (N,), couplers and offset."""
    none = sparse.csr_array((0, rows.shape[1]))
    couplers = products(none, np.zeros(0), np.zeros(rows.shape[1]), rows, strength)
    return linear_of_squares(rows, target, strength), couplers, float(strength @ target**2)


def linear_of_squares(rows: sparse.csr_array, target: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """The linear biases (N,) of these squares."""
    lengths = np.diff(rows.indptr)
    scale, twice = np.repeat(strength, lengths), np.repeat(2.0 * target, lengths)
    return np.bincount(rows.indices, scale * rows.data * (rows.data - twice), minlength=rows.shape[1])


def products(
    conflicts: sparse.csr_array,
    limit: np.ndarray,
    penalty: np.ndarray,
    rows: sparse.csr_array,
    strength: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Couplers (both ends, bias) of conflicts and of squares, each pair once, those of the lower variable together.

    Parameters
    ----------
    conflicts, limit
        (C, at most N) and (C,): two variables conflict if together they exceed the limit of some row.
    penalty
        (N,) two that conflict get the smaller of theirs, once, however many rows say so.
    rows, strength
        (R, N) and (R,): what `squares` has.

    Raises
    ------
    SolverError
        There would be more than `LARGEST`.
    """
    parts = [some if some.has_sorted_indices else some.sorted_indices() for some in (conflicts, rows)]
    sizes = [np.diff(some.indptr).astype(np.int64) for some in parts]
    total = sum(int((size * (size - 1) // 2).sum()) for size in sizes)
    if total > LARGEST:
        raise SolverError(f"quadratic model: rows would need {total:,} couplers, more than {LARGEST:,}")
    first, second = ((some.indptr, some.indices, some.data) for some in parts)
    ends, bias = np.empty((2, total), np.int64), np.empty(total)  # numpy's memory is the cheapest to fill first
    count = coupled(first, limit, penalty, second, strength, ends, bias)
    return ends[0, :count], ends[1, :count], bias[:count]
