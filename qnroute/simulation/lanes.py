"""Runs played decision by decision, many side by side in one compiled step: what `environments` are made of.

An episode is a run of a pool, from the empty network on, with luck of its own; several episodes play at once, each on
another run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit

from qnroute.errors import ProblemError
from qnroute.learning.routing.batch import Step, View
from qnroute.simulation.choices import act, to_next
from qnroute.simulation.chooser import Table, sight_of
from qnroute.simulation.desk import NOTHING, WAIT
from qnroute.simulation.events import log_of
from qnroute.simulation.scenario import Case, Scenario
from qnroute.simulation.simulator import Simulator


class Lanes:
    """E episodes on a pool of cases.

    Parameters
    ----------
    cases
        At least as many as episodes; forecasts are made once.
    shaped
        Rewards are the weight served, plus what is promised after the step, less what was before (Ng, Harada and
        Russell, ICML 1999): the chances of requests that wait, by their weights. Nothing is promised at the end, so
        that an episode's rewards add up to the weight served less what its first decision was promised, and the best
        policies stay the same.

    Attributes
    ----------
    run : (E,) which case each episode plays
    promise : (cases,) what is promised now
    view, last : what is to be decided, and what the last step came to
    """

    def __init__(
        self,
        cases: Sequence[Case],
        scenario: Scenario,
        predictor: Any,
        episodes: int,
        *,
        candidates: int = 8,
        shaped: bool = True,
    ):
        if len(cases) < episodes:
            raise ProblemError(f"size: found {len(cases)} runs for {episodes} episodes, expected one each at least")
        self.cases, self.shaped = tuple(cases), shaped
        self._simulator = Simulator([case.run for case in cases], scenario.physics, held=scenario.held)
        self._table = Table(self._simulator, sight_of(self._simulator, cases, predictor), candidates)
        self._slots = np.array([case.slots for case in cases], dtype=np.int64)
        self.run = np.full(episodes, -1, dtype=np.int64)
        self.promise, self._log = np.zeros(len(cases)), log_of(0)
        self.last = Step(np.zeros(episodes), np.zeros(episodes, dtype=np.bool_), np.zeros(episodes, dtype=np.bool_))
        shape = self._table.desk.seen.shape[1:]
        self.view = View(np.zeros((episodes, *shape), np.float32), np.zeros((episodes, shape[0]), dtype=np.bool_))
        self.view.mask[:, WAIT] = True

    def start(self, episodes: np.ndarray, rng: np.random.Generator) -> View:
        """Begin these episodes, each on a run that nobody plays, drawn at random, with luck drawn anew."""
        self.run[episodes] = -1
        free = np.setdiff1d(np.arange(len(self.cases)), self.run)
        self.run[episodes] = rng.choice(free, len(episodes), replace=False)
        seeds = rng.integers(0, 2**63, len(episodes), dtype=np.uint64)
        world, state = self._simulator.world, self._simulator.state
        _start(world, state, self.run[episodes], seeds, self._slots, *self._table.given, self.promise, self._log)
        self._look(episodes)
        return self.view

    def step(self, actions: np.ndarray) -> Step:
        """One decision in each episode."""
        world, state = self._simulator.world, self._simulator.state
        _step(
            world, state, self.run, np.asarray(actions, dtype=np.int64), self._slots, *self._table.given,
            self.promise, self.shaped, self.last, self._log,
        )  # fmt: skip
        self._look(np.arange(len(self.run)))
        return self.last

    def ends(self, episodes: np.ndarray) -> dict[str, np.ndarray]:
        """What episodes came to: the weight served, and the share of requests."""
        world, state = self._simulator.world, self._simulator.state
        found = np.zeros((2, len(episodes)))
        for place, run in enumerate(self.run[episodes]):
            mine = slice(world.requests[run], world.requests[run + 1])
            served = state.served[mine] >= 0
            found[:, place] = world.weight[mine][served].sum(), served.mean() if len(served) else 0.0
        return {"served": found[0], "success": found[1]}

    def _look(self, episodes: np.ndarray) -> None:
        desk, runs = self._table.desk, self.run[episodes]
        self.view.seen[episodes], self.view.mask[episodes] = desk.seen[runs], desk.mask[runs]


@njit(cache=True, error_model="numpy")
def _start(w, s, runs, seeds, slots, sight, desk, work, labels, promise, log):
    for i in range(len(runs)):
        _emptied(w, s, runs[i], desk)
        w.seeds[runs[i]] = seeds[i]
        to_next(w, s, runs[i], slots[runs[i]], sight, desk, work, labels, log)
        promise[runs[i]] = _promised(w, s, runs[i], desk)


@njit(cache=True, error_model="numpy")
def _step(w, s, runs, actions, slots, sight, desk, work, labels, promise, shaped, last, log):
    for i in range(len(runs)):
        run, action = runs[i], actions[i]
        last.refused[i], last.reward[i] = False, 0.0
        if desk.request[run] != NOTHING:
            if action < 0 or action >= desk.mask.shape[1] or not desk.mask[run, action]:
                last.refused[i], action = True, WAIT
            last.reward[i] = act(w, s, run, action, desk, work, log)
            last.reward[i] += to_next(w, s, run, slots[run], sight, desk, work, labels, log)
            now = _promised(w, s, run, desk)
            if shaped:
                last.reward[i] += now - promise[run]
            promise[run] = now
        last.done[i] = desk.request[run] == NOTHING


@njit(cache=True, error_model="numpy")
def _promised(w, s, run, desk):
    """The weight of the requests that wait, each times the chance that it is served; 0 at the end."""
    total, start = 0.0, w.requests[run]
    if desk.request[run] != NOTHING:
        for i in range(start, start + s.queued[run]):
            if s.served[s.queue[i]] < 0:
                total += w.weight[s.queue[i]] * desk.prospect[s.queue[i]]
    return total


@njit(cache=True, error_model="numpy")
def _emptied(w, s, run, desk):
    """Put a run back before its first slot."""
    s.slot[run], s.queued[run], s.holding[run], s.due[run] = 0, 0, 0, w.requests[run]
    desk.request[run], desk.rested[run] = NOTHING, -1
    for channel in range(w.channels[run], w.channels[run + 1]):
        s.birth[channel], s.active[channel] = -1, True
    for k in range(w.requests[run], w.requests[run + 1]):
        s.served[k], s.fidelity[k], s.hops[k], s.by_held[k], desk.settled[k] = -1, np.nan, 0, False, -1
    for node in range(w.nodes[run], w.nodes[run + 1]):
        s.qubits[node] = 0
    for e in range(w.links[run], w.links[run + 1]):
        s.per_link[e, 0] = s.per_link[e, 1] = s.per_link[e, 2] = 0
        s.believed[e] = w.nominal[e]
    for i in range(s.counts.shape[1]):
        s.counts[run, i] = 0
