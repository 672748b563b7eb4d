"""Who is near whom: links that share a node in the same window, as a sparse pattern among rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from qnroute.errors import ProblemError


class Neighbours(NamedTuple):
    """Of row i those at ``indices[indptr[i]:indptr[i + 1]]``."""

    indptr: np.ndarray  # (n + 1,) int64
    indices: np.ndarray  # (E,) int64

    def mean(self) -> sparse.csr_array:
        """(n, n) the operator that takes the mean over each row's neighbours; 0 where there are none."""
        degree = np.diff(self.indptr)
        data = np.repeat(1.0 / np.maximum(degree, 1), degree)
        n = degree.size
        return sparse.csr_array((data, self.indices, self.indptr), shape=(n, n))

    def blocks(self) -> np.ndarray:
        """(n,) the connected block of each row."""
        n = self.indptr.size - 1
        pattern = sparse.csr_array((np.ones(self.indices.size, np.int8), self.indices, self.indptr), shape=(n, n))
        return csgraph.connected_components(pattern, directed=False)[1]

    def cuts(self, size: int) -> np.ndarray:
        """Where rows can be cut into runs of `size` or more that nobody is near across: from 0 to n, ascending."""
        n = self.indptr.size - 1
        row = np.repeat(np.arange(n), np.diff(self.indptr))
        last = np.arange(n)
        np.maximum.at(last, np.minimum(row, self.indices), np.maximum(row, self.indices))
        found = [0]
        for end in np.flatnonzero(np.maximum.accumulate(last) == np.arange(n)) + 1:
            if end - found[-1] >= size or end == n:
                found.append(int(end))
        return np.array(found)


def neighbours_of(given: Any, n: int) -> Neighbours | None:
    """The neighbours among n rows.

    Parameters
    ----------
    given
        A scipy.sparse (n, n) array, of which the pattern counts, or a pair (indptr, indices) as in CSR; None for none.

    Raises
    ------
    ProblemError
        It is neither, or does not fit the rows.
    """
    if given is None:
        return None
    if sparse.issparse(given):
        if given.shape != (n, n):
            raise ProblemError(f"neighbours: found shape {given.shape}, expected ({n}, {n})")
        given = given.tocsr()
        indptr, indices = given.indptr, given.indices
    else:
        try:
            indptr, indices = (np.asarray(part) for part in given)
        except (TypeError, ValueError):
            raise ProblemError(
                f"neighbours: found {type(given).__name__}, expected a sparse array or (indptr, indices)"
            ) from None
    if indptr.shape != (n + 1,) or indices.ndim != 1 or indptr.dtype.kind not in "iu" or indices.dtype.kind not in "iu":
        raise ProblemError(
            f"neighbours: found shapes {indptr.shape} and {indices.shape} of {indptr.dtype} and {indices.dtype}, "
            f"expected integers of shapes ({n + 1},) and (edges,)"
        )
    indptr, indices = indptr.astype(np.int64), indices.astype(np.int64)
    if indptr[0] != 0 or indptr[-1] != indices.size or (np.diff(indptr) < 0).any():
        raise ProblemError(f"neighbours: found an indptr that is no ascent from 0 to the {indices.size} indices")
    if indices.size and (indices.min() < 0 or indices.max() >= n):
        raise ProblemError(f"neighbours: found indices outside 0 to {n - 1}")
    return Neighbours(indptr, indices)
