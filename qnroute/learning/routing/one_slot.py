"""Training on one slot: what is played, what is imitated and what is measured on pools of instances."""

from __future__ import annotations

from typing import Any

import numpy as np

from qnroute.learning.routing import imitation, ppo
from qnroute.learning.routing.batch import Batch
from qnroute.learning.routing.choices import drawn
from qnroute.learning.routing.expert import Expert
from qnroute.learning.routing.policy import RoutePolicy, first_weights
from qnroute.learning.routing.pool import Pool
from qnroute.learning.routing.rollouts import played


def imitated_on(
    learned: Pool, held: Pool, course: imitation.Course | None = None, *, candidates: int = 8, **how: Any
) -> tuple[RoutePolicy, float, list[imitation.Round]]:
    """`imitation.imitated` from nothing: exact answers on `learned`, rounds chosen by `held`."""
    course = course or imitation.Course()
    return imitation.imitated(
        RoutePolicy(first_weights(np.random.default_rng(course.seed))),
        lambda policy, share, rng: visited(policy, learned, share, rng, candidates=candidates),
        lambda policy: share_of_bound(policy, held, candidates=candidates),
        course,
        **how,
    )


def refined_on(
    begin: RoutePolicy,
    learned: Pool,
    held: Pool,
    course: ppo.Course | None = None,
    *,
    candidates: int = 8,
    **how: Any,
) -> tuple[RoutePolicy, float, list[ppo.Update]]:
    """`ppo.refined` by playing on `learned`; `held` chooses among the weights."""
    course = course or ppo.Course()

    def experience(policy: RoutePolicy, rng: np.random.Generator) -> ppo.Experience:
        some = rng.choice(len(learned), min(course.instances, len(learned)), replace=False)
        return experienced(policy, learned, np.repeat(some, course.episodes), rng, candidates=candidates)

    return ppo.refined(
        begin, experience, lambda policy: share_of_bound(policy, held, candidates=candidates), course, **how
    )


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
