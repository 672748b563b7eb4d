"""Training on one slot: what is played, what is imitated and what is measured on pools of instances."""

from __future__ import annotations

import numpy as np

from qnroute.learning.routing import imitation, ppo
from qnroute.learning.routing.batch import Batch
from qnroute.learning.routing.choices import drawn
from qnroute.learning.routing.expert import Expert
from qnroute.learning.routing.policy import RoutePolicy, first_weights
from qnroute.learning.routing.pool import Pool
from qnroute.learning.routing.rollouts import played


class OneSlot:
    """What is taught on one slot.

    Parameters
    ----------
    learned, held
        Instances to play on, and those that choose among weights.
    seed
        Of the first weights.
    instances, episodes
        Of an update: so many instances, and episodes on each of them.
    """

    def __init__(
        self, learned: Pool, held: Pool, seed: int, instances: int = 32, episodes: int = 16, *, candidates: int = 8
    ):
        self.begin = RoutePolicy(first_weights(np.random.default_rng(seed)))
        self._learned, self._held, self._candidates = learned, held, candidates
        self._instances, self._episodes = min(instances, len(learned)), episodes

    def visited(self, policy: RoutePolicy, share: float, rng: np.random.Generator) -> imitation.States:
        """See the function."""
        return visited(policy, self._learned, share, rng, candidates=self._candidates)

    loss = staticmethod(imitation.surprise)

    def experienced(self, policy: RoutePolicy, rng: np.random.Generator) -> ppo.Experience:
        """Episodes on some instances."""
        some = rng.choice(len(self._learned), self._instances, replace=False)
        return experienced(policy, self._learned, np.repeat(some, self._episodes), rng, candidates=self._candidates)

    def measured(self, policy: RoutePolicy) -> float:
        """The share of the bound."""
        return share_of_bound(policy, self._held, candidates=self._candidates)


def experienced(
    policy: RoutePolicy, pool: Pool, instances: np.ndarray, rng: np.random.Generator, *, candidates: int
) -> ppo.Experience:
    """An episode on each of these instances, actions drawn; its value is the mean over the bound."""
    batch = Batch(pool.lot, pool.plan, len(instances), candidates=candidates)
    view, parts = batch.start(np.arange(len(instances)), instances), []
    while (here := np.flatnonzero(view.mask[:, 1:].any(axis=1))).size:
        seen, mask = view.seen[here], view.mask[here]
        taken, chance = drawn(policy.scores(seen, mask), mask, rng)
        actions = np.zeros(len(instances), dtype=np.int64)
        actions[here] = taken
        reward = batch.step(actions).reward[here]
        parts.append((seen, mask, taken, chance, reward, here))
    value = float((batch.state.worth / pool.prices.bound[instances]).mean())
    return ppo.Experience(*(np.concatenate(columns) for columns in zip(*parts)), instances, value)


def visited(
    policy: RoutePolicy, pool: Pool, expert: float, rng: np.random.Generator, *, candidates: int
) -> imitation.States:
    """The states of an episode on each instance, its actions the expert's with this chance, else the policy's."""
    batch = Batch(pool.lot, pool.plan, len(pool), candidates=candidates)
    view = batch.start(np.arange(len(pool)), np.arange(len(pool)))
    teacher, parts = Expert(batch), []
    while True:
        here = np.flatnonzero(view.mask[:, 1:].any(axis=1))
        if not len(here):
            return imitation.States(*(np.concatenate(columns) for columns in zip(*parts)))
        label = teacher.actions(here)
        parts.append((view.seen[here].copy(), view.mask[here].copy(), label))
        own = policy.scores(view.seen[here], view.mask[here]).argmax(axis=1)
        taken = np.where(rng.random(len(here)) < expert, label, own)
        teacher.went(here, taken, label)
        actions = np.zeros(len(pool), dtype=np.int64)
        actions[here] = taken
        batch.step(actions)


def share_of_bound(policy: RoutePolicy, pool: Pool, *, candidates: int) -> float:
    """The mean share of the relaxation's bound that the policy's best choices bring."""
    worth = played(policy, pool.lot, pool.plan, np.arange(len(pool)), candidates=candidates).worth
    return float((worth / pool.prices.bound).mean())
