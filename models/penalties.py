"""Penalties that suffice, for packings as binary quadratic models: the ground state is then an optimum.

    max v x   subject to   A x <= b,   at most R_g items of group g,   x binary;   A, b whole, A >= 0, v > 0

All proofs exchange one item. Let x be a ground state that breaks a rule. Taking an item out of x raises the load of
no row, and no penalty grows (slack bits can be set anew: they take every value from 0 to b). As x is a ground state,
the penalty that falls cannot exceed the value lost:

- Two items that conflict (one group with R_g = 1, or more than b together in some row): a penalty P > min(v_i, v_j) on
  x_i x_j, once for the pair, however many rows it breaks. Out goes the less valuable one. (Choi 2008, for independent
  sets.) Groups with R_g > 1 are rows in which everything is used once. So a ground state keeps all groups.
- A row that needs more than pairs: A > the k-th largest value, where k is the size of the smallest set of items that
  exceeds b; of each group only the R_g largest count. A set that exceeds b holds at least k items, so its least
  valuable one is worth at most the k-th largest value that a set within the group limits can hold. Taking it out
  lowers an excess e >= 1 by a >= 1, and so both A max(0, load - b) and A (load + slack - b)^2 by A or more.

Neither can be lower in general: think of c + 1 items of equal value in a row of capacity c.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

FREE, PAIRS, ROW = 0, 1, 2
_FEW = 64  # numbers that are sorted by insertion


class Sufficient(NamedTuple):
    """What each row of a packing needs.

    Attributes
    ----------
    kind : (R,) `FREE`: nothing, it cannot bind; `PAIRS`: penalties on pairs say it all; `ROW`: a penalty on its load
    bound : (R,) for `ROW` what the penalty must exceed; else 0
    """

    kind: np.ndarray
    bound: np.ndarray


@njit(cache=True)
def sufficient(indptr, indices, amount, capacity, value, group, most, pairs):
    """What rows given in compressed form need, as two arrays (see `Sufficient`).

    Parameters
    ----------
    group, most
        (J,) group of each item, and how many of each group (G,) may be chosen.
    pairs
        Whether `PAIRS` is among the answers.
    """
    rows, taken = capacity.size, np.zeros(most.size, np.int64)
    kind, bound = np.zeros(rows, np.int64), np.zeros(rows)
    longest = 0
    for r in range(rows):
        longest = max(longest, indptr[r + 1] - indptr[r])
    places, worth, as_given = np.empty(longest, np.int64), np.empty(longest), np.arange(longest)
    for r in range(rows):
        items, uses, room = indices[indptr[r] : indptr[r + 1]], amount[indptr[r] : indptr[r + 1]], capacity[r]
        if uses.sum() <= room:
            continue
        least, largest = uses.min(), uses.max()
        order = as_given[: items.size] if least == largest else _descending(uses, places)
        count = _exceeding(items, uses, order, np.inf, room, group, most, taken)
        if count == 0:
            continue
        any_two = largest <= room < 2 * least
        if pairs and (any_two or _only_pairs(items, uses, order, room, group, most, taken)):
            kind[r] = PAIRS
            continue
        kind[r] = ROW
        for t in range(items.size):
            worth[t] = value[items[t]]
        bound[r] = _kth(items, _descending(worth[: items.size], places), count, value, group, most, taken)
    return kind, bound


@njit(cache=True)
def _descending(keys, places):
    """The places of keys, the largest first, written into `places`."""
    if keys.size > _FEW:
        return np.argsort(-keys)
    for t in range(keys.size):
        at = t
        while at > 0 and keys[places[at - 1]] < keys[t]:
            places[at] = places[at - 1]
            at -= 1
        places[at] = t
    return places[: keys.size]


@njit(cache=True)
def _exceeding(items, uses, order, largest, room, group, most, taken):
    """How many of those that use most, but no more than `largest`, exceed the room within the group limits; 0: none."""
    load, count, end, exceeds = 0.0, 0, 0, False
    while end < order.size and not exceeds:
        t = order[end]
        g = group[items[t]]
        if uses[t] <= largest and taken[g] < most[g]:
            taken[g] += 1
            load += uses[t]
            count += 1
            exceeds = load > room
        end += 1
    for t in order[:end]:
        taken[group[items[t]]] = 0
    return count if exceeds else 0


@njit(cache=True)
def _only_pairs(items, uses, order, room, group, most, taken):
    """Whether every set that exceeds the room holds two items that exceed it.

    Of a set without such a pair at most one item uses more than half of the room, the others what is left beside it.
    """
    if _exceeding(items, uses, order, room / 2, room, group, most, taken) > 0:
        return False
    last = np.inf
    for t in order:
        if uses[t] > room / 2 and uses[t] != last:
            last = uses[t]
            if _exceeding(items, uses, order, room - last, room - last, group, most, taken) > 0:
                return False
    return True


@njit(cache=True)
def _kth(items, order, k, value, group, most, taken):
    """The k-th largest value within the group limits."""
    count, end, found = 0, 0, 0.0
    while end < order.size and count < k:
        i = items[order[end]]
        if taken[group[i]] < most[group[i]]:
            taken[group[i]] += 1
            count += 1
            found = value[i]
        end += 1
    for t in order[:end]:
        taken[group[items[t]]] = 0
    return found
