"""Zero-half cuts: sums of tight resources that are odd, while every route in use takes an even amount of them.

A set S of resources cuts off z if (slack of S) + (sum of z_r over routes that use an odd amount of S) < 1 and the sum
of its capacities is odd. Resources are added modulo 2 as in Gaussian elimination, which makes the routes with the
largest z even one after the other, and every sum on the way that cuts is kept (Koster, Zymolka, Kutschka 2009).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

_SLACK = 0.95  # resources with more left over take no part
_PIVOT_SLACK = 0.5  # nor are those with more added to others
_LEAST = 0.04  # violation below which a cut is not worth having, before halving
_ROUNDS = 5  # eliminations, with routes in another order each time
_OFTEN = 3  # cuts of a round that share a resource
_LARGEST = 24  # resources in a cut
_MOST = 400  # cuts in a round
_IN_USE = 1e-7


def zero_half(used: sparse.csr_array, capacity: np.ndarray, z: np.ndarray) -> list[np.ndarray]:
    """Sets of resources whose cuts z (J,) breaks, those it breaks most first.

    Parameters
    ----------
    used, capacity
        (J, R) amounts and (R,) limits, whole numbers.
    """
    routes = np.flatnonzero(z > _IN_USE)
    if (np.abs(z[routes] - np.rint(z[routes])) < _IN_USE).all():
        return []
    columns = sparse.csc_array(used[routes])
    slack = capacity - columns.T @ z[routes]
    tight = np.flatnonzero(slack < _SLACK)
    odd = columns[:, tight].T.toarray().astype(np.int64).astype(np.uint8) & 1
    some = odd.any(axis=1)
    tight, odd = tight[some], odd[some]
    slack, right = np.maximum(slack[tight], 0.0), capacity[tight].astype(np.int64).astype(np.uint8) & 1
    found: dict[frozenset[int], float] = {}
    rng = np.random.default_rng(0)
    for turn in range(_ROUNDS):
        before = len(found)
        order = np.argsort(-(z[routes] + (0.2 * rng.random(len(routes)) if turn else 0.0)), kind="stable")
        _eliminate(odd.copy(), slack.copy(), right.copy(), z[routes], order, rng, found)
        if len(found) == before:
            break
    return _spread(found, tight)


def _eliminate(odd, slack, right, z, order, rng, found) -> None:
    """Sums of rows that make routes even in the given order; those that cut go to `found` with their violation."""
    summed = [frozenset([i]) for i in range(len(odd))]
    free = np.ones(len(odd), dtype=bool)

    def keep(rows: np.ndarray) -> None:
        violation = 1.0 - slack[rows] - odd[rows] @ z
        for i, by in zip(rows.tolist(), violation.tolist()):
            if by > _LEAST and right[i] and len(summed[i]) <= _LARGEST:
                found[summed[i]] = by

    keep(np.arange(len(odd)))
    for j in order.tolist():
        rows = np.flatnonzero(free & (odd[:, j] == 1))
        if not len(rows):
            continue
        size = np.array([len(summed[i]) for i in rows.tolist()])
        cost = 10.0 * slack[rows] + odd[rows] @ z + 0.01 * size + 0.01 * rng.random(len(rows))
        pivot = rows[np.argmin(cost)]
        if slack[pivot] > _PIVOT_SLACK:
            continue
        free[pivot] = False
        others = rows[rows != pivot]
        odd[others] ^= odd[pivot]
        slack[others] += slack[pivot]
        right[others] ^= right[pivot]
        for i in others.tolist():
            summed[i] = summed[i] ^ summed[pivot]
        keep(others)


def _spread(found: dict[frozenset[int], float], tight: np.ndarray) -> list[np.ndarray]:
    """The cuts broken most, small ones first among equals, not too many over the same resources."""
    times: dict[int, int] = {}
    kept = []
    for rows, _ in sorted(found.items(), key=lambda each: (-round(each[1], 2), len(each[0]), sorted(each[0]))):
        if all(times.get(i, 0) < _OFTEN for i in rows):
            kept.append(np.sort(tight[list(rows)]))
            for i in rows:
                times[i] = times.get(i, 0) + 1
        if len(kept) == _MOST:
            break
    return kept
