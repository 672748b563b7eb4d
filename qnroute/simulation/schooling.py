"""How a policy learns to choose within slots: it imitates a teacher, then PPO refines it by what whole runs bring.

Several runs of one case share network, demand and luck, and differ in what is drawn of the policy alone. A decision is
credited with what is served from its slot on, later slots counting less, above the mean of all runs of the case.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from qnroute.learning.routing.advantages import above_others, scaled
from qnroute.learning.routing.imitation import States, surprise
from qnroute.learning.routing.policy import RoutePolicy, first_weights
from qnroute.learning.routing.ppo import Experience
from qnroute.learning.routing.scoring import weights_of
from qnroute.simulation.chooser import Table, sight_of
from qnroute.simulation.desk import FEATURES, Sight
from qnroute.simulation.events import log_of
from qnroute.simulation.rollouts import Mind, Store, rolled, store_of, taught_gain
from qnroute.simulation.scenario import Case, Scenario
from qnroute.simulation.simulator import Simulator

_DECISIONS = 3  # a slot, for which there is room in the mean
_FAR = 12.0  # log-odds of a teacher's choice at most


class Lesson(NamedTuple):
    """A case to play, with all that is known of it beforehand."""

    case: Case
    scenario: Scenario
    sight: Sight

    @classmethod
    def of(cls, case: Case, scenario: Scenario, predictor: Any) -> Lesson:
        """Forecasts and routes are found once."""
        simulator = Simulator([case.run], scenario.physics, held=scenario.held)
        return cls(case, scenario, sight_of(simulator, [case], predictor))

    def played(self, mind: Mind, slots: int, candidates: int, *, kept: bool) -> tuple[Simulator, Store]:
        """The case up to a slot, and what was decided if it is to be `kept`."""
        simulator = Simulator([self.case.run], self.scenario.physics, held=self.scenario.held)
        table = Table(simulator, self.sight, candidates)
        store = store_of(table.desk, _DECISIONS * slots if kept else 0, slots)
        rolled(simulator.world, simulator.state, 0, slots, *table.given, mind, store, log_of(0), 0)
        return simulator, store


class School:
    """Lessons to learn from and lessons held apart.

    Parameters
    ----------
    learned, held
        Held ones are played to their end, and choose among weights.
    slots
        Of a case that is learned from, from its first one.
    discount
        Of what is served, from slot to slot.
    heat
        Gains over it are the log-odds of what the teacher does.
    seed
        Of the first weights.
    instances, episodes
        Of an update: so many lessons, and runs of each.
    workers
        Threads; what comes of it does not depend on them.
    """

    def __init__(
        self,
        learned: Sequence[Lesson],
        held: Sequence[Lesson],
        *,
        slots: int = 700,
        discount: float = 0.95,
        heat: float = 0.004,
        seed: int = 0,
        instances: int = 8,
        episodes: int = 8,
        candidates: int = 8,
        workers: int = 2,
    ):
        self.begin = RoutePolicy(first_weights(np.random.default_rng(seed), len(FEATURES)), {}, FEATURES)
        self._instances, self._episodes = min(instances, len(learned)), episodes
        self._learned, self._held, self._slots, self._discount = list(learned), list(held), slots, discount
        self._heat, self._candidates, self._workers = heat, candidates, workers

    def visited(self, policy: RoutePolicy, share: float, rng: np.random.Generator) -> States:
        """States of every lesson where so great a share of the decisions is the teacher's; labels are its chances."""
        minds = [Mind(weights_of(policy, len(FEATURES)), 0.0, share, seed) for seed in _seeds(rng, len(self._learned))]
        stores = self._stores(self._learned, minds)
        seen, mask = (np.concatenate([_kept(store)[i] for store in stores]) for i in range(2))
        return States(seen, mask, taught_chances(seen, mask, self._heat))

    loss = staticmethod(surprise)

    def experienced(self, policy: RoutePolicy, rng: np.random.Generator) -> Experience:
        """Several runs of some lessons, decisions drawn; its value is the share of the weight asked that is served."""
        some = rng.choice(len(self._learned), self._instances, replace=False)
        group = np.repeat(some, self._episodes)
        minds = [Mind(weights_of(policy, len(FEATURES)), 1.0, 0.0, seed) for seed in _seeds(rng, len(group))]
        stores = self._stores([self._learned[i] for i in group], minds)
        seen, mask, action, chance, slot = (
            np.concatenate(columns) for columns in zip(*(_kept(store) for store in stores))
        )
        reward = np.array([store.reward for store in stores])
        episode = np.repeat(np.arange(len(group)), [store.count[0] for store in stores])
        above = above_others(reward, group, self._discount)[episode, slot]
        return Experience(
            seen, mask, action, chance, np.zeros(len(action)), episode, group, float(reward.sum() / self._asked(group)),
            scaled(above).astype(np.float32),
        )  # fmt: skip

    def _asked(self, lessons: np.ndarray) -> float:
        """The weight of all requests of the slots that are played."""
        demands = (self._learned[i].case.run.demand for i in lessons)
        return float(sum(demand.weight[demand.arrival < self._slots].sum() for demand in demands)) or 1.0

    def measured(self, policy: RoutePolicy) -> float:
        """The mean success rate of the policy's best choices in the lessons held apart."""
        mind = Mind(weights_of(policy, len(FEATURES)), 0.0, 0.0, 0)

        def success(lesson: Lesson) -> float:
            simulator, _ = lesson.played(mind, lesson.case.slots, self._candidates, kept=False)
            return float((simulator.state.served >= 0).mean()) if len(simulator.state.served) else 0.0

        return float(np.mean(self._each(success, self._held)))

    def _stores(self, lessons: Sequence[Lesson], minds: Sequence[Mind]) -> list[Store]:
        def play(lesson: Lesson, mind: Mind) -> Store:
            return lesson.played(mind, min(self._slots, lesson.case.slots), self._candidates, kept=True)[1]

        return self._each(play, lessons, minds)

    def _each(self, do: Any, *columns: Sequence[Any]) -> list[Any]:
        """What comes of each, in order; compiled code lets threads run side by side."""
        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(do, *columns))


def taught_chances(seen: np.ndarray, mask: np.ndarray, heat: float) -> np.ndarray:
    """(n, C + 1) float32 chances of what the teacher does: gains over `heat` are log-odds, that of waiting is 0."""
    gains = taught_gain.py_func(np.moveaxis(seen, -1, 0))
    odds = np.clip(gains / heat, -_FAR, _FAR)
    odds[:, 0] = 0.0
    odds = np.where(mask, odds, -np.inf)
    chance = np.exp(odds - odds.max(axis=1, keepdims=True))
    return (chance / chance.sum(axis=1, keepdims=True)).astype(np.float32)


def _kept(store: Store) -> tuple[np.ndarray, ...]:
    """The columns of the decisions that were made."""
    return tuple(column[: store.count[0]] for column in store[:5])


def _seeds(rng: np.random.Generator, count: int) -> list[int]:
    return rng.integers(0, 2**62, count).tolist()
