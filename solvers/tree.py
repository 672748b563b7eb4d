"""A small tree search in the instances of a lot: the best choice where they are small, else the best found in time.

At prices with the bound U (`qnroute.solvers.prices`) a choice is worth at most U less what each group falls behind its
best items at these prices. Branches that cannot beat the best choice known are left out; items that fall least behind
come first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.models.lots import Lot
from qnroute.solvers.prices import Prices

STEPS = 2_000
_DEEPEST = 1_000  # groups, each as often as it may take an item; larger instances are left as they are
_NONE = -1
_SLIGHT = 1e-9  # share of the bound that counts as nothing


def searched(lot: Lot, prices: Prices, order: np.ndarray, taken: np.ndarray, *, steps: int = STEPS) -> np.ndarray:
    """(J,) bool: choices that are no worse than those given.

    Parameters
    ----------
    order : (G,) groups of each instance in the order in which they are decided
    taken : (J,) bool, choices that fit
    steps : items tried in one instance at most
    """
    best = taken.copy()
    _search_all(lot, prices.reduced, prices.bound, order, best, steps)
    return best


class _Slots(NamedTuple):
    """One instance: slots are its groups, each as often as it may take an item; and what is known of each slot."""

    group: np.ndarray  # (S + 1,)
    top: np.ndarray  # what the best items of the group gain, one after the other, at least 0
    ranked: np.ndarray  # items of each group, the best at these prices first ...
    start: int  # ... from their place in the lot less this on
    chosen: np.ndarray  # item, or -1
    place: np.ndarray  # of the next item to try; `_NONE` once it goes without
    came: np.ndarray  # the slot decided before it
    worth: np.ndarray  # of what is taken before it
    room: np.ndarray  # what all can come to


@njit(cache=True, error_model="numpy")
def _search_all(lot, reduced, bounds, order, best, steps):
    left = lot.capacity.copy()
    for b in range(len(lot.unit)):
        count = 0
        for k in range(lot.groups[b], lot.groups[b + 1]):
            count += min(lot.most[k], lot.first[k + 1] - lot.first[k])
        if count <= _DEEPEST:
            _search(lot, reduced, bounds[b], _slots(lot, reduced, b, order, count), left, best, steps)


@njit(cache=True, error_model="numpy")
def _slots(lot, reduced, b, order, count):
    start, stop = lot.items[b], lot.items[b + 1]
    group, top, ranked = np.full(count + 1, -1, np.int64), np.zeros(count + 1), np.empty(stop - start, np.int64)
    slot = 0
    for k in order[lot.groups[b] : lot.groups[b + 1]]:
        first, last = lot.first[k], lot.first[k + 1]
        ranked[first - start : last - start] = first + np.argsort(-reduced[first:last], kind="mergesort")
        for i in range(min(lot.most[k], last - first)):
            group[slot], top[slot] = k, max(reduced[ranked[first - start + i]], 0.0)
            slot += 1
    whole, real = np.zeros(count + 1, np.int64), np.zeros(count + 1)
    return _Slots(group, top, ranked, start, whole - 1, whole, whole - 1, real, real.copy())


@njit(cache=True, error_model="numpy")
def _search(lot, reduced, bound, slots, left, best, steps):
    """Depth first: each slot tries its items, then none, in which case later slots of its group go without, too."""
    group, last, slight = slots.group, len(slots.group) - 1, _SLIGHT * bound
    goal, tried, slot = slight, 0, 0
    for j in slots.ranked:
        goal += lot.value[j] if best[j] else 0.0
    slots.room[0] = bound
    while slot >= 0:
        if slot == last and slots.worth[slot] > goal:
            goal = slots.worth[slot] + slight
            best[slots.start : slots.start + len(slots.ranked)] = False
            for j in slots.chosen[:last]:
                if j >= 0:
                    best[j] = True
        if slot == last or slots.place[slot] == _NONE:
            slot = slots.came[slot]
            continue
        if slots.chosen[slot] >= 0:
            _give_back(lot, left, slots.chosen[slot])
            slots.chosen[slot] = -1
        k, following, room = group[slot], slot + 1, slots.room[slot]
        first, size = lot.first[k] - slots.start, lot.first[k + 1] - lot.first[k]
        while slots.place[slot] < size and slots.chosen[slot] < 0 and tried < steps:
            j = slots.ranked[first + slots.place[slot]]
            room = slots.room[slot] - slots.top[slot] + reduced[j]
            if room <= goal:
                break
            slots.place[slot] += 1
            tried += 1
            if _used(lot, left, j):
                slots.chosen[slot] = j
        if slots.chosen[slot] >= 0:
            slots.place[following] = slots.place[slot] if group[following] == k else 0
            slots.worth[following] = slots.worth[slot] + lot.value[slots.chosen[slot]]
        else:
            slots.place[slot], room = _NONE, slots.room[slot] - slots.top[slot]
            while group[following] == k:
                room -= slots.top[following]
                following += 1
            if room <= goal:
                continue
            slots.place[following], slots.worth[following] = 0, slots.worth[slot]
        slots.room[following], slots.came[following] = room, slot
        slot = following


@njit(cache=True, error_model="numpy")
def _used(lot, left, j):
    """Take an item out of what is left, if it fits; whether it does."""
    for i in range(lot.indptr[j], lot.indptr[j + 1]):
        if left[lot.row[i]] < lot.amount[i]:
            return False
    for i in range(lot.indptr[j], lot.indptr[j + 1]):
        left[lot.row[i]] -= lot.amount[i]
    return True


@njit(cache=True, error_model="numpy")
def _give_back(lot, left, j):
    for i in range(lot.indptr[j], lot.indptr[j + 1]):
        left[lot.row[i]] += lot.amount[i]
