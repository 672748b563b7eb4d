"""Slack bits: how the room that a row leaves is written in binary variables, every value from 0 to b exactly.

unary         b bits worth 1
binary        bits worth 1, 2, 4, ... and the remainder; coefficients may be bounded, then the largest is repeated
              (Karimi and Ronagh 2019)
domain-wall   b bits worth 1, of which those that are 1 come first (Chancellor 2019): one value has one encoding. Any
              positive penalty on bits out of order will do, as the sum of bits counts and can always be put in order
"""

from __future__ import annotations

import numpy as np

UNBALANCED = (0.3, 0.1)  # weights of -h and h^2, in units of the penalty, where h is the room left


def worths(room: int, encoding: str, largest: int | None = None) -> np.ndarray:
    """What each bit is worth, for a row that leaves `room` >= 1; `largest` bounds the coefficients of ``binary``."""
    if encoding != "binary":
        return np.ones(0 if encoding == "unbalanced" else room)
    bits, left, next_one = [], room, 1
    while left > 0:
        bits.append(min(next_one, left))
        left -= bits[-1]
        next_one = 2 * next_one if largest is None else min(2 * next_one, largest)
    return np.array(bits, dtype=float)


def slack(rooms: np.ndarray, encoding: str, largest: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """What the bits of rows that leave `rooms` (R,) are worth, as compressed rows (R + 1,), (bits,)."""
    different, which = np.unique(rooms, return_inverse=True)
    bits = [worths(int(room), encoding, largest) for room in different.tolist()]
    sizes = np.array([len(some) for some in bits], dtype=np.int64)
    starts, lengths = np.cumsum(sizes) - sizes, sizes[which]
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    place = np.arange(indptr[-1]) + np.repeat(starts[which] - indptr[:-1], lengths)
    return indptr, np.concatenate([np.zeros(0), *bits])[place]
