"""Many episodes at once: the compiled step that vectorised environments, rollouts and policies share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.learning.routing.episodes import (
    FEATURES,
    WAIT,
    Plan,
    State,
    act,
    begin,
    observe,
    over,
    state_of,
)
from qnroute.models.lots import Lot


class View(NamedTuple):
    """What E episodes show: C candidates each at most, and waiting first."""

    seen: np.ndarray  # (E, C + 1, F) float32
    mask: np.ndarray  # (E, C + 1) bool, what is possible


class Step(NamedTuple):
    """What a step came to."""

    reward: np.ndarray  # (E,) float64, in units of the instance
    done: np.ndarray  # (E,) bool
    refused: np.ndarray  # (E,) bool, an action that is not possible, taken for waiting


class Batch:
    """E episodes on the instances of a lot.

    Parameters
    ----------
    candidates
        Most that are shown of a request, the most valuable ones.
    shaped
        Rewards are value + promise after - promise before (Ng, Harada and Russell, ICML 1999): what a choice is behind
        the best one at the bid prices. Without discounting the best policies stay the same, as the promise is 0 at the
        end: an episode's rewards add up to its value less the promise at its start, a bound at these prices.
    """

    def __init__(self, lot: Lot, plan: Plan, episodes: int, *, candidates: int = 8, shaped: bool = True):
        self.lot, self.plan, self.shaped = lot, plan, shaped
        self.state: State = state_of(lot, episodes)
        shape = episodes, candidates + 1
        self.view = View(np.zeros((*shape, len(FEATURES)), dtype=np.float32), np.zeros(shape, dtype=np.bool_))
        self.last = Step(np.zeros(episodes), np.zeros(episodes, dtype=np.bool_), np.zeros(episodes, dtype=np.bool_))

    def start(self, episodes: np.ndarray, instances: np.ndarray) -> View:
        """Begin these episodes on these instances."""
        _start(self.lot, self.plan, self.state, self.view, episodes, instances)
        return self.view

    def step(self, actions: np.ndarray) -> Step:
        """One decision in each episode that is not over; the view is that of what comes next."""
        _step(self.lot, self.plan, self.state, self.view, self.last, np.asarray(actions, dtype=np.int64), self.shaped)
        return self.last


@njit(cache=True, error_model="numpy")
def _start(lot, plan, state, view, episodes, instances):
    for i in range(len(episodes)):
        begin(lot, plan, state, episodes[i], instances[i])
        observe(lot, plan, state, episodes[i], view.seen[episodes[i]], view.mask[episodes[i]])


@njit(cache=True, error_model="numpy")
def _step(lot, plan, state, view, last, actions, shaped):
    for e in range(len(actions)):
        last.refused[e], last.reward[e], last.done[e] = False, 0.0, True
        if over(lot, state, e):
            continue
        before, action = state.promise[e], actions[e]
        if action < 0 or action >= view.mask.shape[1] or not view.mask[e, action]:
            last.refused[e], action = True, WAIT
        worth = act(lot, plan, state, e, action)
        if shaped:
            worth += state.promise[e] - before
        last.reward[e] = worth / lot.unit[state.instance[e]]
        last.done[e] = over(lot, state, e)
        observe(lot, plan, state, e, view.seen[e], view.mask[e])
