"""Pairs of nodes that few links part."""

from __future__ import annotations

import numpy as np

from qnroute.errors import ProblemError

MOST_PAIRS = 50_000_000
_AT_ONCE = 1_000  # nodes whose surroundings are held together


def near_pairs(n: int, links: np.ndarray, hops: int) -> np.ndarray:
    """(m, 2) pairs i < j of `n` nodes at most so many `links` (k, 2) apart, in order.

    Raises
    ------
    ProblemError
        There are more than `MOST_PAIRS`.
    """
    import scipy.sparse as sparse

    ends = np.concatenate([links, links[:, ::-1]])
    step = sparse.csr_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(n, n))
    step = sparse.csr_array(step + sparse.eye_array(n, dtype=bool, format="csr"))
    found, total = [np.empty((0, 2), dtype=np.int64)], 0
    for first in range(0, n, _AT_ONCE):
        reach = step[first : first + _AT_ONCE]
        for _ in range(hops - 1):
            before, reach = reach.nnz, sparse.csr_array(reach @ step)
            if reach.nnz == before:
                break
        reach.sort_indices()
        source, target = (ends.astype(np.int64) for ends in reach.nonzero())
        later = target > source + first
        found.append(np.column_stack([source[later] + first, target[later]]))
        total += len(found[-1])
        if total > MOST_PAIRS:
            raise ProblemError(f"within: more than {MOST_PAIRS:,} pairs of nodes are at most {hops} hops apart")
    return np.concatenate(found)
