"""Zero-half cuts: sums of tight resources that are odd, while every route in use takes an even amount (compiled).

A set S of resources cuts off z if (slack of S) + (sum of z_r over routes that use an odd amount of S) < 1 and the sum
of its capacities is odd. Resources are added modulo 2 as in Gaussian elimination, which makes the routes with the
largest z even one after the other, and every sum on the way that cuts is kept (Koster, Zymolka, Kutschka 2009).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sparse
from numba import njit
from scipy.sparse.csgraph import connected_components

_SLACK = 0.95  # resources with more left over take no part
_STEPS = 3  # from routes that are not whole to resources that take part
_PIVOT_SLACK = 0.5  # nor are those with more added to others
_LEAST = 0.04  # violation below which a cut is not worth having, before halving
_ROUNDS = 5  # eliminations, with routes in another order each time
_LARGEST = 24  # resources in a cut
_MOST = 400  # cuts in a round
_MOST_SEEN, _SEEN_EACH = 20_000, 50  # and sums that cut, in an elimination, and for each resource of it
_IN_USE = 1e-7
_LOWEST = np.zeros(67, np.int64)  # place of a power of two, by its remainder: 2 is a primitive root of 67
_LOWEST[[pow(2, _b, 67) for _b in range(64)]] = range(64)


def zero_half(used: sparse.csr_array, capacity: np.ndarray, z: np.ndarray, often: int) -> list[np.ndarray]:
    """Sets of resources whose cuts z (J,) breaks, those it breaks most first.

    Parameters
    ----------
    used, capacity
        (J, R) amounts and (R,) limits, whole numbers.
    often
        Sets that share a resource at most.
    """
    routes = np.flatnonzero(z > _IN_USE)
    if (np.abs(z[routes] - np.rint(z[routes])) < _IN_USE).all():
        return []
    rows = sparse.csr_array(used[routes])
    slack = capacity - rows.T @ z[routes]
    near = np.abs(z[routes] - np.rint(z[routes])) > _IN_USE
    for _ in range(_STEPS):  # resources of routes that are not whole, of routes that share these, and so on
        tight = (rows.T @ near > 0) & (slack < _SLACK)
        near = rows @ tight > 0
    tight, routes = np.flatnonzero(tight), routes[near]
    odd = sparse.csr_array(rows[near][:, tight].T)
    odd.data = odd.data % 2.0
    odd.eliminate_zeros()
    found: dict[tuple[int, ...], float] = {}
    for some, by in _apart(odd):
        right = capacity[tight[some]].astype(np.int64).astype(np.uint8) & 1
        for sums, violation in _tried(odd[some][:, by], np.maximum(slack[tight[some]], 0.0), right, z[routes[by]]):
            found |= {tuple(some[row[row >= 0]].tolist()): each for row, each in zip(sums, violation.tolist())}
    return _spread(found, tight, often)


def _apart(odd: sparse.csr_array) -> list[tuple[np.ndarray, np.ndarray]]:
    """The rows and columns of each part of a matrix that shares none of them with the others."""
    both = sparse.block_array([[None, odd], [odd.T, None]], format="csr")
    count, label = connected_components(both, directed=False)
    order, n = np.argsort(label, kind="stable"), odd.shape[0]
    parts = np.split(order, np.cumsum(np.bincount(label, minlength=count))[:-1])
    return [(part[part < n], part[part >= n] - n) for part in parts if len(part) > 1]


def _tried(odd: sparse.csr_array, slack: np.ndarray, right: np.ndarray, z: np.ndarray) -> Iterator[tuple]:
    """Sums of rows that cut and their violations, by eliminations in another order each time while that finds more."""
    words, rng, known = _words(odd), np.random.default_rng(0), set()
    for turn in range(_ROUNDS):
        order = np.argsort(-(z + (0.2 * rng.random(len(z)) if turn else 0.0)), kind="stable")
        jitter, before = rng.random(len(slack)), len(known)
        sums, violation = _eliminated(words.copy(), slack.copy(), right.copy(), z, order, jitter)
        known |= {row.tobytes() for row in sums}
        if len(known) == before:
            break
        yield sums, violation


def _words(bits: sparse.csr_array) -> np.ndarray:
    """(N, ceil(J / 64)) rows of a matrix (N, J) of bits, as words of 64."""
    words = np.zeros((bits.shape[0], -(-bits.shape[1] // 64)), np.uint64)
    bits = bits.tocoo()
    np.bitwise_or.at(words, (bits.row, bits.col >> 6), np.uint64(1) << (bits.col & 63).astype(np.uint64))
    return words


@njit(cache=True)
def _eliminated(odd, slack, right, z, order, jitter):
    """Sums of rows that make routes even in the given order: those that cut, padded with -1, with their violation.

    `odd` (N, W) are the routes of which rows use an odd amount, as words of 64 bits.
    """
    count, ones = slack.size, np.ones(slack.size)
    summed, size, weight = np.zeros((count, count // 64 + 1), np.uint64), np.ones(count), np.zeros(count)
    free = np.ones(count, np.bool_)
    most = min(_MOST_SEEN, _SEEN_EACH * count)
    sums, violation, seen = np.full((most, _LARGEST), -1, np.int32), np.zeros(most), 0
    for i in range(count):
        summed[i, i >> 6] = np.uint64(1) << np.uint64(i & 63)
        weight[i] = _weight(odd[i], z)
        seen = _kept(summed[i], 1.0 - slack[i] - weight[i], right[i], size[i], sums, violation, seen)
    for j in order:
        pivot, least, word, bit = -1, np.inf, j >> 6, np.uint64(1) << np.uint64(j & 63)
        for i in range(count):
            if free[i] and odd[i, word] & bit:
                cost = 10.0 * slack[i] + weight[i] + 0.01 * size[i] + 0.01 * jitter[i]
                if cost < least:
                    pivot, least = i, cost
        if pivot < 0 or slack[pivot] > _PIVOT_SLACK:
            continue
        free[pivot] = False
        for i in range(count):
            if free[i] and odd[i, word] & bit:
                odd[i] ^= odd[pivot]
                summed[i] ^= summed[pivot]
                slack[i] += slack[pivot]
                right[i] ^= right[pivot]
                size[i], weight[i] = _weight(summed[i], ones), _weight(odd[i], z)
                seen = _kept(summed[i], 1.0 - slack[i] - weight[i], right[i], size[i], sums, violation, seen)
    return sums[:seen], violation[:seen]


@njit(cache=True)
def _weight(bits, weights):
    """The weights of a set together."""
    total = 0.0
    for word in range(bits.size):
        rest = bits[word]
        while rest:
            total += weights[64 * word + _place(rest)]
            rest &= rest - np.uint64(1)
    return total


@njit(cache=True)
def _place(word):
    """The number of the lowest bit that is set."""
    return _LOWEST[(word & (~word + np.uint64(1))) % np.uint64(67)]


@njit(cache=True)
def _kept(rows, by, right, size, sums, violation, seen):
    """Keep a sum that cuts; how many are kept now."""
    if not (by > _LEAST and right and 0 < size <= _LARGEST and seen < violation.size):
        return seen
    violation[seen], at = by, 0
    for word in range(rows.size):
        rest = rows[word]
        while rest:
            sums[seen, at] = 64 * word + _place(rest)
            at += 1
            rest &= rest - np.uint64(1)
    return seen + 1


def _spread(found: dict[tuple[int, ...], float], tight: np.ndarray, often: int) -> list[np.ndarray]:
    """The cuts broken most, small ones first among equals, not too many over the same resources."""
    times: dict[int, int] = {}
    kept = []
    for rows, _ in sorted(found.items(), key=lambda each: (-round(each[1], 2), len(each[0]), each[0])):
        if all(times.get(i, 0) < often for i in rows):
            kept.append(tight[list(rows)])
            for i in rows:
                times[i] = times.get(i, 0) + 1
        if len(kept) == _MOST:
            break
    return kept
