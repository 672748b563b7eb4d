"""Method priced: candidate routes taken greedily by what the relaxation makes of them, with its bound beside."""

from __future__ import annotations

import numpy as np
from numba import njit

from qnroute.models.lots import Lot
from qnroute.problem import Problem
from qnroute.settings import Answer, Settings
from qnroute.solvers.prices import Prices
from qnroute.solvers.proposing import proposed

_LEAST = 1e-3  # of a route that the relaxation never chose


def priced(
    problem: Problem, settings: Settings, *, candidates: int = 8, proposals: int = 2, rounds: int = 200
) -> Answer:
    """Routes by the relaxation's choice of them times value over the root of their links, taken while they fit."""
    how = {"candidates": candidates, "proposals": proposals, "rounds": rounds}
    instance, prices, bound = proposed(problem, settings, **how)
    taken = filled(instance.lot, by_price(instance.lot, prices))
    return Answer(instance.allocation(taken), bound=bound, stopped=settings.stopped)


def by_price(lot: Lot, prices: Prices) -> np.ndarray:
    """(J,) by which to take items greedily, the highest first."""
    return (prices.chosen + _LEAST) * lot.value / np.sqrt(lot.facts[:, 2])


def filled(lot: Lot, rank: np.ndarray) -> np.ndarray:
    """(J,) bool: the items taken one by one, those of the highest rank first, while they fit."""
    instance = np.repeat(np.arange(lot.size), np.diff(lot.items))
    taken = np.zeros(len(rank), dtype=np.bool_)
    _fill(lot, np.lexsort((-rank, instance)), np.repeat(np.arange(len(lot.most)), np.diff(lot.first)), taken)
    return taken


@njit(cache=True, error_model="numpy")
def _fill(lot, order, group, taken):
    left, more = lot.capacity.copy(), lot.most.copy()
    for j in order:
        fit = more[group[j]] > 0
        for i in range(lot.indptr[j], lot.indptr[j + 1]):
            fit = fit and left[lot.row[i]] >= lot.amount[i]
        if fit:
            taken[j] = True
            more[group[j]] -= 1
            for i in range(lot.indptr[j], lot.indptr[j + 1]):
                left[lot.row[i]] -= lot.amount[i]
