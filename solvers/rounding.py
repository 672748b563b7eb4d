"""Routes taken one after the other while they fit (compiled): how fractions become an allocation."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse
from numba import njit


def filled(used: sparse.csr_array, capacity: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(J,) how often each route is taken, each in its turn as often as what is left of capacity (R,) allows.

    Parameters
    ----------
    used
        (J, R) what each route takes.
    order
        Numbers of routes, the first to be taken first.
    """
    return _filled(used.indptr, used.indices, used.data, capacity.copy(), order)


@njit(cache=True)
def _filled(indptr, indices, amount, left, order):
    times = np.zeros(indptr.size - 1, np.int64)
    for j in order:
        fits = np.inf
        for i in range(indptr[j], indptr[j + 1]):
            fits = min(fits, np.floor(left[indices[i]] / amount[i]))
        if fits > 0.0:
            times[j] = int(fits)
            for i in range(indptr[j], indptr[j + 1]):
                left[indices[i]] -= fits * amount[i]
    return times
