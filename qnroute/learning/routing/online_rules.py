"""Playing online: any policy, and the rules without learning that it is held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba import njit

from qnroute.learning.routing.demand import Arrivals
from qnroute.learning.routing.online import FEATURES, Known, OnlineBatch, fits
from qnroute.learning.routing.outlook import expect
from qnroute.learning.routing.policy import IMPOSSIBLE


class Scoring(Protocol):
    """What scores candidates, as `policy.RoutePolicy` does."""

    def scores(self, seen: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(E, C + 1) of features and what is possible."""


@dataclass(frozen=True)
class Rule:
    """The candidate highest in one feature, or refusal where that is not above 0."""

    feature: str

    def scores(self, seen: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(..., C + 1) the feature itself."""
        return np.where(mask, seen[..., FEATURES.index(self.feature)] * seen[..., -1], np.float32(IMPOSSIBLE))


FIRST_COME = Rule("value")
"""The most valuable route that fits."""

BID_PRICES = Rule("reduced")
"""The route most above the bid prices found before the first request came."""

ROW_PROGRAMS = Rule("net")
"""The route most above what its rows lose."""


def play(policy: Scoring, known: Known, instances: np.ndarray, come: Arrivals, *, candidates: int = 8) -> np.ndarray:
    """(E,) what an episode on each of these sequences comes to, by the highest scores."""
    batch = OnlineBatch(known, len(instances), candidates=candidates)
    view = batch.start(np.arange(len(instances)), instances, come)
    while view.mask[:, 1:].any():
        batch.step(policy.scores(view.seen, view.mask).argmax(axis=1))
    return batch.state.worth.copy()


def play_resolved(
    known: Known, instances: np.ndarray, come: Arrivals, *, candidates: int = 8, rounds: int = 50
) -> np.ndarray:
    """(E,) by bid prices that are found anew before every request, for what is left and what is expected to come."""
    worth = np.zeros(len(instances))
    _resolved(known, instances, come, candidates, rounds, worth)
    return worth


@njit(cache=True, error_model="numpy")
def _resolved(known, instances, come, candidates, rounds, worth):
    lot, demand, outlook = known
    for e in range(len(instances)):
        b = instances[e]
        start, stop = lot.rows[b], lot.rows[b + 1]
        left, price, used = lot.capacity[start:stop].copy(), outlook.price[start:stop].copy(), np.zeros(stop - start)
        for t in range(demand.count[b]):
            k, weight = come.group[e, t], come.weight[e, t]
            expect(lot, demand, b, left, demand.count[b] - t - 1.0, outlook.unit[b], price, used, rounds, 0.03)
            best, top = -1, 0.0
            for j in range(lot.first[k], min(lot.first[k + 1], lot.first[k] + candidates)):
                if fits(lot, left, start, j):
                    net = weight * lot.value[j]
                    for i in range(lot.indptr[j], lot.indptr[j + 1]):
                        net -= lot.amount[i] * price[lot.row[i] - start]
                    if net > top:
                        best, top = j, net
            if best >= 0:
                worth[e] += weight * lot.value[best]
                for i in range(lot.indptr[best], lot.indptr[best + 1]):
                    left[lot.row[i] - start] -= lot.amount[i]
