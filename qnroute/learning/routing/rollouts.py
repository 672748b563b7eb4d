"""Episodes of route choice played by a policy, every decision in compiled code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.learning.routing.episodes import FEATURES, Plan, act, begin, observe, over, state_of
from qnroute.learning.routing.policy import RoutePolicy
from qnroute.learning.routing.scoring import score, weights_of
from qnroute.models.lots import Lot


class Played(NamedTuple):
    """What episodes came to."""

    worth: np.ndarray  # (E,)
    taken: np.ndarray  # (E, items) bool, counted from the first item of the instance


def played(policy: RoutePolicy, lot: Lot, plan: Plan, instances: np.ndarray, *, candidates: int) -> Played:
    """An episode on each of these instances; of `candidates` at most, the one of the highest score is chosen."""
    state = state_of(lot, len(instances))
    weights = weights_of(policy, len(FEATURES))
    _play(weights, lot, plan, state, np.asarray(instances, dtype=np.int64), candidates, len(FEATURES))
    return Played(state.worth, state.taken)


@njit(cache=True, error_model="numpy")
def _play(weights, lot, plan, state, instances, candidates, features):
    seen = np.zeros((candidates + 1, features), dtype=np.float32)
    mask, found = np.zeros(candidates + 1, dtype=np.bool_), np.zeros(candidates + 1, dtype=np.float32)
    inner = np.zeros((candidates + 1, len(weights[1])), dtype=np.float32)
    for e in range(len(instances)):
        begin(lot, plan, state, e, instances[e])
        while not over(lot, state, e):
            observe(lot, plan, state, e, seen, mask)
            score(weights, seen, mask, inner, found)
            best = 0
            for action in range(1, candidates + 1):
                if mask[action] and found[action] > found[best]:
                    best = action
            act(lot, plan, state, e, best)
