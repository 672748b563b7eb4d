"""Annealing sweeps over large plain models (compiled): a variable's states in all lanes are the bits of one word.

What a variable meets is summed up from its neighbours' bits each time, instead of being kept and changed with every
flip: that is more arithmetic, but next to no memory, and so several times faster where fields do not fit into the
cache. Draws and Metropolis' rule are those of `qnroute.solvers.lanes`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from qnroute.solvers.lanes import LANES, draw_all, weight

_BIT = np.uint32(1)


def packed(x: np.ndarray) -> np.ndarray:
    """(N,) words of states (N, LANES) of zeros and ones."""
    return (x.astype(np.uint32) << np.arange(LANES, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)


def unpacked(words: np.ndarray) -> np.ndarray:
    """(N, LANES) states of zeros and ones of words (N,)."""
    return ((words[:, None] >> np.arange(LANES, dtype=np.uint32)) & _BIT).astype(np.float32)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def sweep_words(model, words, random, temperatures):
    """One sweep for each inverse temperature over words (N,), which change, as `random` (2, LANES) does.

    `model` has neither rows nor blocks.
    """
    draw, meets = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    for b in temperatures:
        for i in range(words.size):
            draw_all(random, draw)
            _look(model, i, words, meets)
            words[i] ^= _flips(words[i], b, meets, draw)


@njit(nogil=True, fastmath=True, error_model="numpy", forceinline=True)
def _look(model, i, words, meets):
    for lane in range(meets.size):
        meets[lane] = model.linear[i]
    for e in range(model.nb_ptr[i], model.nb_ptr[i + 1]):
        word, bias = words[model.nb[e]], model.bias[e]
        for lane in range(meets.size):
            meets[lane] += bias * np.float32((word >> np.uint32(lane)) & _BIT)


@njit(nogil=True, fastmath=True, error_model="numpy", forceinline=True)
def _flips(word, b, meets, draw):
    """The bits that Metropolis' rule turns."""
    flips = np.uint32(0)
    for lane in range(draw.size):
        rise = -meets[lane] if (word >> np.uint32(lane)) & _BIT else meets[lane]
        flip = _BIT if draw[lane] < weight(b * rise) else np.uint32(0)
        flips |= flip << np.uint32(lane)
    return flips
