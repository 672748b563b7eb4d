"""Bid prices of shared rows: duals of the linear relaxation of route choice, found by a compiled subgradient method.

    min over prices u >= 0 of    sum_r capacity_r u_r + sum_k g_k(u)

is the value of the relaxation, where g_k is what the best most_k items of group k are worth less the prices of what
they use, items of no gain left out; every u gives a bound. Steps go down a subgradient; the choices of groups, averaged
with growing weights, come near a solution of the relaxation (Anstreicher and Wolsey, Math. Program. 120, 2009), though
not ever nearer: steps shrink while nothing is gained, after which the average stays where it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.models.lots import Lot

ROUNDS = 200


class Prices(NamedTuple):
    """What the relaxations of a lot say."""

    price: np.ndarray  # (R,) of one unit of each row, those of the best bound
    chosen: np.ndarray  # (J,) in [0, 1], nearly a solution of the relaxation
    reduced: np.ndarray  # (J,) value of an item less the prices of what it uses
    bound: np.ndarray  # (B,) proven: no choice of items is worth more

    def with_rest(self, lot: Lot) -> np.ndarray:
        """(B,) proven: no choice of `most` routes of each of these groups is worth more, be they items or not."""
        gain = np.zeros(len(lot.most))
        _gains(lot, self.reduced, gain)
        return _sums(gain, lot.groups) + _sums(self.price * lot.capacity, lot.rows)


def prices_of(lot: Lot, *, rounds: int = ROUNDS) -> Prices:
    """Prices for every instance of a lot."""
    price, chosen = np.zeros(len(lot.capacity)), np.zeros(len(lot.value))
    reduced, bound = lot.value.copy(), np.zeros(lot.size)
    _descend(lot, rounds, price, chosen, reduced, bound)
    return Prices(price, chosen, reduced, bound)


@njit(cache=True, error_model="numpy")
def _descend(lot, rounds, price, chosen, reduced, bound):
    first, most, value, indptr, row = lot.first, lot.most, lot.value, lot.indptr, lot.row
    amount, capacity = lot.amount, lot.capacity
    here, left = np.zeros(len(price)), np.zeros(len(price))
    for b in range(len(lot.unit)):
        groups, rows = range(lot.groups[b], lot.groups[b + 1]), range(lot.rows[b], lot.rows[b + 1])
        best, stuck, step = np.inf, 0, 0.1 * lot.unit[b]
        weight = 0.0
        for turn in range(rounds):
            total = 0.0
            for r in rows:
                left[r] = capacity[r]
                total += here[r] * left[r]
            share = turn + 1.0  # later rounds count for more
            weight += share
            for k in groups:
                if most[k] > 1:
                    total += _taken(lot, k, here, left, chosen, share)
                    continue
                top, at = 0.0, -1
                for j in range(first[k], first[k + 1]):
                    worth = value[j]
                    for i in range(indptr[j], indptr[j + 1]):
                        worth -= amount[i] * here[row[i]]
                    if worth > top:
                        top, at = worth, j
                if at >= 0:
                    total += top
                    chosen[at] += share
                    for i in range(indptr[at], indptr[at + 1]):
                        left[row[i]] -= amount[i]
            if total < best * (1.0 - 1e-12):
                best, stuck = total, 0
                for r in rows:
                    price[r] = here[r]
            else:
                stuck += 1
                if stuck == 10:
                    step, stuck = 0.7 * step, 0
            for r in rows:
                here[r] = max(here[r] - step * left[r] / (1.0 + 0.02 * turn), 0.0)
        bound[b] = best
        for j in range(lot.items[b], lot.items[b + 1]):
            chosen[j] /= max(weight, 1.0)
            for i in range(indptr[j], indptr[j + 1]):
                reduced[j] -= amount[i] * price[row[i]]


@njit(cache=True, error_model="numpy")
def _taken(lot, k, price, left, chosen, share):
    """The group's best items at these prices are noted and taken out of what is left; what they gain."""
    gain, first, worth = 0.0, lot.first[k], lot.value[lot.first[k] : lot.first[k + 1]].copy()
    for at in range(len(worth)):
        for i in range(lot.indptr[first + at], lot.indptr[first + at + 1]):
            worth[at] -= lot.amount[i] * price[lot.row[i]]
    for at in _best(worth, lot.most[k]):
        if worth[at] <= 0.0:
            break
        gain += worth[at]
        chosen[first + at] += share
        for i in range(lot.indptr[first + at], lot.indptr[first + at + 1]):
            left[lot.row[i]] -= lot.amount[i]
    return gain


@njit(cache=True, error_model="numpy")
def _best(worth, count):
    """The places of the highest ones, so many of them, best first and of equals the first."""
    if count == 1:
        return np.array([np.argmax(worth)])
    return np.argsort(-worth, kind="mergesort")[:count]


@njit(cache=True, error_model="numpy")
def _gains(lot, reduced, gain):
    """What the best routes of each group are worth at these prices, those that are no items as much as `rest`."""
    for k in range(len(gain)):
        here = reduced[lot.first[k] : lot.first[k + 1]]
        best, least = _best(here, lot.most[k]), max(lot.rest[k], 0.0)
        gain[k] = least * (lot.most[k] - len(best))
        for at in best:
            gain[k] += max(here[at], least)


def _sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(B,) sums of the values from each start to the next."""
    whole = np.concatenate([[0.0], np.cumsum(values)])
    return whole[starts[1:]] - whole[starts[:-1]]
