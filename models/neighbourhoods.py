"""Parts of a choice that can be made anew: some groups give up what they took, all others keep it.

What is left for them is an instance of its own, so whatever chooses on lots can choose here, on many parts at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.models.lots import FACTS, Lot


class Parts(NamedTuple):
    """B parts of one instance, as the instances of a lot."""

    lot: Lot
    item: np.ndarray  # (J',) the item of the whole that each item is
    worth: np.ndarray  # (B,) what the released groups had


def left_of(lot: Lot, taken: np.ndarray) -> np.ndarray:
    """(R,) what the items taken, (J,) bool, leave of each row."""
    used = np.repeat(taken, np.diff(lot.indptr))
    return lot.capacity - np.bincount(lot.row[used], lot.amount[used], len(lot.capacity))


class Uses(NamedTuple):
    """Uses by row, those of row r from ``begin[r]`` to ``begin[r + 1]``: where they stand in the lot, and whose."""

    begin: np.ndarray  # (R + 1,)
    use: np.ndarray
    item: np.ndarray
    group: np.ndarray


def uses_of(lot: Lot) -> Uses:
    """All uses of a lot by row."""
    use = np.argsort(lot.row, kind="stable")
    begin = np.searchsorted(lot.row[use], np.arange(len(lot.capacity) + 1))
    item = np.repeat(np.arange(len(lot.value)), np.diff(lot.indptr))[use]
    return Uses(begin, use, item, np.repeat(np.arange(len(lot.most)), np.diff(lot.first))[item])


def met(lot: Lot, uses: Uses, taken: np.ndarray, wanted: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(B, G) how much of what each of these groups wants every group has, and the other way round.

    Parameters
    ----------
    taken, wanted : (J,) how much of each item its group has, and would have; shares of rows are added up
    """
    found = np.zeros((len(groups), len(lot.most)))
    _meet(lot, uses, taken.astype(float), wanted, groups, found)
    return found


@njit(cache=True, error_model="numpy")
def _meet(lot, uses, taken, wanted, groups, found):
    begin, use, item, group = uses
    has, wants = np.zeros(len(lot.capacity)), np.zeros(len(lot.capacity))
    for b in range(len(groups)):
        own = range(lot.indptr[lot.first[groups[b]]], lot.indptr[lot.first[groups[b] + 1]])
        for j in range(lot.first[groups[b]], lot.first[groups[b] + 1]):
            for i in range(lot.indptr[j], lot.indptr[j + 1]):
                share = lot.amount[i] / lot.capacity[lot.row[i]]
                has[lot.row[i]] += share * taken[j]
                wants[lot.row[i]] += share * wanted[j]
        for i in own:
            r = lot.row[i]
            for at in range(begin[r] if has[r] + wants[r] > 0.0 else begin[r + 1], begin[r + 1]):
                share, j = lot.amount[use[at]] / lot.capacity[r], item[at]
                found[b, group[at]] += share * (taken[j] * wants[r] + wanted[j] * has[r])
            has[r] = wants[r] = 0.0


def parts_of(lot: Lot, taken: np.ndarray, released: np.ndarray) -> Parts:
    """The parts of a lot of one instance in which groups are released.

    Parameters
    ----------
    taken : (J,) bool, the items that are taken now, which fit
    released : (B, G) bool
    """
    sizes, uses = np.diff(lot.first), lot.indptr[lot.first[1:]] - lot.indptr[lot.first[:-1]]
    count = int(released.sum())
    room = count, int((released @ sizes).sum()), int((released @ uses).sum())
    starts, first, most, item, indptr, row, amount, capacity, worth = _parts(
        lot, taken, left_of(lot, taken), released, room
    )
    best = lot.value[item[first[:-1]]]
    unit = np.ones(len(released))
    for b in np.flatnonzero(np.diff(starts[1])):
        unit[b] = best[starts[1, b] : starts[1, b + 1]].mean()
    made = Lot(
        *starts, first, most, np.zeros(len(most)), lot.value[item], indptr, row, amount, capacity,
        lot.facts[item].reshape(-1, len(FACTS)), unit,
    )  # fmt: skip
    return Parts(made, item, worth)


@njit(cache=True, error_model="numpy")
def _parts(lot, taken, left, released, room):
    """Arrays of the lot: items that do not fit are left out, then groups without items and rows that cannot bind."""
    count = len(released)
    most_groups, most_items, most_uses = room
    starts = np.zeros((3, count + 1), np.int64)  # of items, groups, rows
    first, most = np.zeros(most_groups + 1, np.int64), np.zeros(most_groups, np.int64)
    item, indptr = np.zeros(most_items, np.int64), np.zeros(most_items + 1, np.int64)
    row, amount, capacity = np.zeros(most_uses, np.int64), np.zeros(most_uses), np.zeros(most_uses)
    worth, number = np.zeros(count), np.empty(len(left), np.int64)
    items = kept = rows = uses = 0
    for b in range(count):
        some = np.flatnonzero(released[b])
        free, demand = left.copy(), np.zeros(len(left))
        worth[b] = _give_back(lot, taken, some, free)
        begin, number[:] = items, -1
        for k in some:
            before = items
            for j in range(lot.first[k], lot.first[k + 1]):
                if _fits(lot, free, j):
                    item[items] = j
                    items += 1
                    for i in range(lot.indptr[j], lot.indptr[j + 1]):
                        demand[lot.row[i]] += lot.amount[i]
            if items > before:
                most[kept] = lot.most[k]
                kept += 1
                first[kept] = items
        for at in range(begin, items):
            for i in range(lot.indptr[item[at]], lot.indptr[item[at] + 1]):
                r = lot.row[i]
                if demand[r] > free[r]:
                    if number[r] < 0:
                        number[r], capacity[rows] = rows, free[r]
                        rows += 1
                    row[uses], amount[uses] = number[r], lot.amount[i]
                    uses += 1
            indptr[at + 1] = uses
        starts[0, b + 1], starts[1, b + 1], starts[2, b + 1] = items, kept, rows
    return (
        starts, first[: kept + 1], most[:kept], item[:items], indptr[: items + 1], row[:uses], amount[:uses],
        capacity[:rows], worth,
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _give_back(lot, taken, groups, free):
    """Add what groups have taken to what is free; what it was worth."""
    worth = 0.0
    for k in groups:
        for j in range(lot.first[k], lot.first[k + 1]):
            if taken[j]:
                worth += lot.value[j]
                for i in range(lot.indptr[j], lot.indptr[j + 1]):
                    free[lot.row[i]] += lot.amount[i]
    return worth


@njit(cache=True, error_model="numpy")
def _fits(lot, left, j):
    for i in range(lot.indptr[j], lot.indptr[j + 1]):
        if left[lot.row[i]] < lot.amount[i]:
            return False
    return True
