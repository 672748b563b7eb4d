"""Taking things in turn while they fit (compiled)."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def take(indptr, indices, amount, left, order, most, times):
    """Take each of `order` in its turn as often as `left` (R,) allows, up to `most` (J,) in all; both arrays change.

    Row j of `indptr`, `indices`, `amount` says what taking j once uses; `times` (J,) counts what was taken.
    """
    for j in order:
        fits = float(most[j] - times[j])
        for i in range(indptr[j], indptr[j + 1]):
            fits = min(fits, np.floor(left[indices[i]] / amount[i]))
        if fits > 0.0:
            times[j] += int(fits)
            for i in range(indptr[j], indptr[j + 1]):
                left[indices[i]] -= fits * amount[i]


@njit(cache=True, nogil=True)
def mended(indptr, indices, amount, capacity, wanted, most, by_value, by_density):
    """(S, J) what fits of each sample `wanted` (S, J), the most valuable first, and then of all, the densest first."""
    times = np.zeros_like(wanted)
    for s in range(wanted.shape[0]):
        left = capacity.copy()
        take(indptr, indices, amount, left, by_value, wanted[s], times[s])
        take(indptr, indices, amount, left, by_density, most, times[s])
    return times
