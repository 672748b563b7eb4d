"""Actions drawn by scores, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit


def drawn(scores: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(n,) int64 actions of what is possible, scores being log-odds, and (n,) float32 logarithms of their chances.

    One random number for each row.

    Parameters
    ----------
    scores, mask : (n, C + 1), what is possible in every row something
    """
    return _drawn(scores, mask, rng.random(len(scores)))


@njit(cache=True, error_model="numpy")
def _drawn(scores, mask, at):
    n, width = mask.shape
    action, chance = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.float32)
    weight = np.empty(width)
    for i in range(n):
        high = -np.inf
        for c in range(width):
            if mask[i, c]:
                high = max(high, scores[i, c])
        total = 0.0
        for c in range(width):
            weight[c] = np.exp(scores[i, c] - high) if mask[i, c] else 0.0
            total += weight[c]
        left, taken = at[i] * total, -1
        for c in range(width):
            if mask[i, c]:
                if taken < 0 or left >= 0.0:
                    taken = c
                left -= weight[c]
                if left < 0.0:
                    break
        action[i], chance[i] = taken, scores[i, taken] - high - np.log(total)
    return action, chance
