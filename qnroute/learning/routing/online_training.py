"""A policy for requests that come one by one: it learns what choices gain in sampled futures, and is refined by PPO.

Imitation goes by what every choice costs, not by the best one alone, in the states that the policy comes to itself
(Ross and Bagnell, arXiv:1406.5979): its weights make the mean gain over its own choices large, plus a little entropy,
so that the noise of few futures is averaged over states. PPO plays several episodes on each sequence. Rewards are
shaped by what the rows are worth; the advantage of a decision is what followed it, later ones counting less, above the
mean of the others on the same sequence from the same request on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from qnroute.learning.routing.demand import Arrivals
from qnroute.learning.routing.online import FEATURES, Known, OnlineBatch
from qnroute.learning.routing.online_expert import gains
from qnroute.learning.routing.online_rules import ROW_PROGRAMS, Scoring, play
from qnroute.learning.routing.policy import RoutePolicy, first_weights
from qnroute.learning.routing.ppo import Steps, clipped_loss
from qnroute.learning.routing.streams import StreamPool
from qnroute.learning.training import Adam, alone, require_torch


class Imitation(NamedTuple):
    """How a policy imitates; one sequence of each stream is played in a round."""

    rounds: int = 4
    samples: int = 32  # futures of each choice
    tried: int = 3  # candidates that futures are played for
    epochs: int = 8
    batch: int = 256
    learning_rate: float = 3e-3
    entropy: float = 0.03
    seed: int = 0


class Refinement(NamedTuple):
    """How it is refined."""

    updates: int = 100
    sequences: int = 32  # of an update
    episodes: int = 16  # on each of them
    epochs: int = 2
    batch: int = 2048
    learning_rate: float = 5e-4
    clip: float = 0.2
    entropy: float = 0.0
    anchor: float = 0.02  # weight of the KL divergence from the first policy
    decay: float = 0.9  # of what a decision is credited with, from a request to the next
    every: int = 10  # updates between two looks at what is held apart
    seed: int = 0


class Held(NamedTuple):
    """Sequences that choose among weights, and what nobody could serve more of."""

    known: Known
    instances: np.ndarray
    come: Arrivals
    bound: np.ndarray

    @classmethod
    def of(cls, pool: StreamPool, *, sequences: int, seed: int) -> Held:
        """So many sequences on each stream."""
        instances = np.repeat(np.arange(len(pool)), sequences)
        come = pool.arrivals(instances, np.random.default_rng(seed))
        return cls(pool.known, instances, come, pool.bounds(instances, come))

    def served(self, policy: Scoring) -> float:
        """The mean share of the bound that a policy's best choices bring."""
        return float((play(policy, self.known, self.instances, self.come) / self.bound).mean())


Told = Callable[[str], None]


def imitated(
    learned: StreamPool, held: Held, course: Imitation, *, doing: Told, interrupted: threading.Event
) -> tuple[RoutePolicy, float]:
    """A policy that gains in sampled futures, the best round's; and its share of the bound on what is held apart."""
    require_torch("an online policy")
    rng = np.random.default_rng(course.seed)
    weights = first_weights(rng, len(FEATURES))
    parts: list[tuple[np.ndarray, ...]] = []
    best, most = RoutePolicy(weights, features=FEATURES), -np.inf
    for number in range(course.rounds):
        roll_in = RoutePolicy(weights, features=FEATURES) if number else ROW_PROGRAMS
        parts.append(_visited(roll_in, learned, course, rng))
        states = [np.concatenate(columns) for columns in zip(*parts)]
        weights, gain = _fitted(weights, states, course, rng)
        now = RoutePolicy(weights, features=FEATURES)
        served = held.served(now)
        doing(f"imitation: {len(states[0]):,} states, gains {gain:.4f}, serves {100 * served:.3f} % of the bound")
        if served > most:
            best, most = now, served
        if interrupted.is_set():
            break
    return best, most


def _visited(policy: Scoring, pool: StreamPool, course: Imitation, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Features, masks and gains in the states of an episode of the policy on each stream."""
    every = np.arange(len(pool))
    batch = OnlineBatch(pool.known, len(pool))
    view = batch.start(every, every, pool.arrivals(every, rng))
    parts = []
    while len(here := np.flatnonzero(view.mask[:, 1:].any(axis=1))):
        gain = gains(batch, here, rng, samples=course.samples, tried=course.tried)
        parts.append((view.seen[here].copy(), view.mask[here].copy(), np.nan_to_num(gain).astype(np.float32)))
        batch.step(policy.scores(view.seen, view.mask).argmax(axis=1))
    return tuple(np.concatenate(columns) for columns in zip(*parts))


def _fitted(begin, states, course: Imitation, rng: np.random.Generator):
    """Weights after some epochs, and what their choices gain above refusal in the mean over the last one."""
    import torch

    from qnroute.learning.routing.network import arrays, scores, tensors

    with alone(course.seed):
        weights = tensors(begin)
        adam = Adam(list(weights.values()), course.learning_rate)
        seen, mask, gain = (torch.from_numpy(part) for part in states)
        for epoch in range(course.epochs):
            adam.rate = course.learning_rate * (1.0 - epoch / (course.epochs + 1))
            total = 0.0
            for rows in torch.from_numpy(rng.permutation(len(gain))).split(course.batch):
                logs = scores(weights, seen[rows], mask[rows]).log_softmax(-1)
                chance = logs.exp()
                had = (chance * gain[rows]).sum(-1).mean()
                (course.entropy * (chance * logs).sum(-1).mean() - had).backward()
                adam.step()
                total += float(had.detach()) * len(rows)
        return arrays(weights), total / len(gain)


def refined(
    begin: RoutePolicy,
    learned: StreamPool,
    held: Held,
    course: Refinement,
    *,
    doing: Told,
    interrupted: threading.Event,
) -> tuple[RoutePolicy, float]:
    """A policy refined by its own experience, never worse than `begin` on what is held apart."""
    require_torch("an online policy")
    from qnroute.learning.routing.network import arrays, tensors

    rng = np.random.default_rng(course.seed)
    best, most = begin, held.served(begin)
    with alone(course.seed):
        weights = tensors(begin.weights)
        adam = Adam(list(weights.values()), course.learning_rate)
        for number in range(1, course.updates + 1):
            adam.rate = course.learning_rate * (1.0 - (number - 1) / course.updates)
            now = RoutePolicy(arrays(weights), features=FEATURES)
            instances = rng.choice(len(learned), min(course.sequences, len(learned)), replace=False)
            steps = experienced(now, learned, instances, course, rng)
            said = _updated(weights, adam, begin, steps, course, rng)
            if number % course.every == 0 or number == course.updates:
                now = RoutePolicy(arrays(weights), features=FEATURES)
                served = held.served(now)
                doing(f"update {number}: held apart {100 * served:.3f} %; {said}")
                if served > most:
                    best, most = now, served
            if interrupted.is_set():
                break
    return best, most


def experienced(
    policy: RoutePolicy, pool: StreamPool, instances: np.ndarray, course: Refinement, rng: np.random.Generator
) -> Steps:
    """Episodes on a new sequence for each of these instances, actions drawn."""
    few = pool.arrivals(instances, rng)
    come = Arrivals(*(np.repeat(part, course.episodes, axis=0) for part in few))
    count = len(instances) * course.episodes
    batch = OnlineBatch(pool.known, count)
    view = batch.start(np.arange(count), np.repeat(instances, course.episodes), come)
    rewards, decided, parts = np.zeros(come.group.shape), np.zeros(come.group.shape, dtype=bool), []
    while len(here := np.flatnonzero(view.mask[:, 1:].any(axis=1))):
        scores = policy.scores(view.seen[here], view.mask[here])
        logs = scores - scores.max(axis=1, keepdims=True)
        logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
        taken = (logs + rng.gumbel(size=logs.shape)).argmax(axis=1)
        place = batch.state.place[here].copy()
        chance = logs[np.arange(len(here)), taken].astype(np.float32)
        parts.append((view.seen[here].copy(), view.mask[here].copy(), taken, chance, here, place))
        actions = np.zeros(count, dtype=np.int64)
        actions[here] = taken
        decided[here, place] = True
        rewards[here, place] = batch.step(actions).reward[here]
    seen, mask, action, chance, episode, place = (np.concatenate(columns) for columns in zip(*parts))
    advantage = credited(rewards, decided, course.episodes, course.decay)[episode, place]
    return Steps(seen, mask, action, chance, (advantage / advantage.std().clip(1e-6)).astype(np.float32))


def credited(rewards: np.ndarray, decided: np.ndarray, episodes: int, decay: float) -> np.ndarray:
    """(E, T) what followed each request, less the mean over the episodes that decided on it, which stand together."""
    following = np.zeros_like(rewards)
    after = np.zeros(len(rewards))
    for t in range(rewards.shape[1] - 1, -1, -1):
        after = following[:, t] = rewards[:, t] + decay * after
    grouped, some = (part.reshape(-1, episodes, rewards.shape[1]) for part in (following, decided))
    mean = (grouped * some).sum(axis=1, keepdims=True) / some.sum(axis=1, keepdims=True).clip(1)
    return ((grouped - mean) * some).reshape(rewards.shape)


def _updated(
    weights, adam: Adam, first: RoutePolicy, steps: Steps, course: Refinement, rng: np.random.Generator
) -> str:
    """Some epochs over the steps; in words, the last one."""
    import torch

    from qnroute.learning.routing.network import scores

    seen, mask, action, chance, advantage = (torch.from_numpy(part) for part in steps)
    near = torch.from_numpy(first.scores(steps.seen, steps.mask))
    for _ in range(course.epochs):
        sums = np.zeros(4)
        for rows in torch.from_numpy(rng.permutation(len(action))).split(course.batch):
            parts = clipped_loss(
                scores(weights, seen[rows], mask[rows]), action[rows], chance[rows], advantage[rows], course.clip,
                near[rows],
            )  # fmt: skip
            (parts.policy - course.entropy * parts.entropy + course.anchor * parts.divergence).backward()
            adam.step()
            sums += len(rows) * np.array([float(part.detach()) for part in parts])
    loss, entropy, far, clipped = sums / len(action)
    return f"loss {loss:.4f}, entropy {entropy:.4f}, divergence {far:.4f}, clipped {100 * clipped:.1f} %"
