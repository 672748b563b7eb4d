"""Proximal policy optimization of a routing policy (Schulman et al., arXiv:1707.06347), own and compact.

Episodes are played on many instances at once, several on each, so that what is better than usual is told by the others
on the same instance. Steps are clipped; a penalty keeps the policy near the one it began with. The weights given back
are those that served most on instances held apart, the first ones included.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qnroute.learning.routing.advantages import among_group
from qnroute.learning.routing.batch import Batch
from qnroute.learning.routing.imitation import share_of_bound
from qnroute.learning.routing.policy import RoutePolicy, Weights
from qnroute.learning.routing.pool import Pool
from qnroute.learning.training import Adam, alone, require_torch

if TYPE_CHECKING:
    import torch


class Course(NamedTuple):
    """How a policy is refined."""

    updates: int = 100
    instances: int = 32  # of an update
    episodes: int = 16  # on each of them
    epochs: int = 2
    batch: int = 2048
    learning_rate: float = 5e-4
    clip: float = 0.2
    entropy: float = 0.0
    anchor: float = 0.1  # weight of the KL divergence from the first policy
    every: int = 10  # updates between two looks at what is held apart
    seed: int = 0


class Update(NamedTuple):
    """What an update came to; `served` is there where it was looked at."""

    number: int
    value: float  # mean value of the episodes over the bound
    loss: float
    entropy: float
    divergence: float  # from the first policy
    clipped: float  # share of the steps
    served: float | None


class Steps(NamedTuple):
    """Decisions made, those with a choice."""

    seen: np.ndarray  # (n, C + 1, F)
    mask: np.ndarray  # (n, C + 1)
    action: np.ndarray  # (n,)
    log_chance: np.ndarray  # (n,) of the action, when it was chosen
    advantage: np.ndarray  # (n,)


class Loss(NamedTuple):
    """The parts of a loss, as scalar tensors."""

    policy: torch.Tensor
    entropy: torch.Tensor
    divergence: torch.Tensor
    clipped: torch.Tensor


def clipped_loss(
    scores: torch.Tensor,
    action: torch.Tensor,
    log_chance: torch.Tensor,
    advantage: torch.Tensor,
    clip: float,
    anchor: torch.Tensor | None = None,
) -> Loss:
    """The clipped objective, to be made small, and what is watched beside it.

        - mean of min(rho A, clip(rho, 1 - clip, 1 + clip) A),    rho = pi(a) / pi_old(a)

    Parameters
    ----------
    scores : (n, C + 1), those of what is not possible far below all others
    anchor : (n, C + 1) scores of the policy not to go far from; the divergence is KL(pi, anchor)
    """
    import torch

    logs = scores.log_softmax(-1)
    chance = logs.exp()
    ratio = (logs.gather(-1, action[:, None])[:, 0] - log_chance).exp()
    least = torch.minimum(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage)
    far = torch.zeros(()) if anchor is None else (chance * (logs - anchor.log_softmax(-1))).sum(-1).mean()
    outside = ((ratio - 1.0).abs() > clip).float().mean()
    return Loss(-least.mean(), -(chance * logs).sum(-1).mean(), far, outside)


def refined(
    begin: RoutePolicy,
    learned: Pool,
    held: Pool,
    course: Course | None = None,
    *,
    candidates: int = 8,
    doing: Callable[[Update], None] | None = None,
    interrupted: threading.Event | None = None,
) -> tuple[RoutePolicy, list[Update]]:
    """A policy refined by its own experience, never worse than `begin` on the instances held apart; and the course.

    Parameters
    ----------
    learned, held
        Instances to play on, and those that choose among the weights.
    interrupted
        Set from outside to stop after the present update.
    """
    require_torch("a routing policy")
    from qnroute.learning.routing.network import arrays, tensors

    course, stop, updates = course or Course(), interrupted or threading.Event(), []
    rng = np.random.default_rng(course.seed)
    best, most = begin, share_of_bound(begin, held, candidates=candidates)
    with alone(course.seed):
        weights = tensors(begin.weights)
        adam = Adam(list(weights.values()), course.learning_rate)
        for number in range(1, course.updates + 1):
            adam.rate = course.learning_rate * (1.0 - (number - 1) / course.updates)
            policy = RoutePolicy(arrays(weights))
            some = rng.choice(len(learned), min(course.instances, len(learned)), replace=False)
            steps, value = experienced(policy, learned, np.repeat(some, course.episodes), rng, candidates=candidates)
            last = _updated(weights, adam, begin.weights, steps, course, rng)
            served = None
            if number % course.every == 0 or number == course.updates:
                now = RoutePolicy(arrays(weights))
                served = share_of_bound(now, held, candidates=candidates)
                if served > most:
                    best, most = now, served
            updates.append(Update(number, value, *last, served))
            if doing is not None:
                doing(updates[-1])
            if stop.is_set():
                break
    return best, updates


def experienced(
    policy: RoutePolicy, pool: Pool, instances: np.ndarray, rng: np.random.Generator, *, candidates: int
) -> tuple[Steps, float]:
    """An episode on each of these instances, actions drawn; decisions without a choice are left out."""
    batch = Batch(pool.lot, pool.plan, len(instances), candidates=candidates)
    view = batch.start(np.arange(len(instances)), instances)
    total, parts = np.zeros(len(instances)), []
    while (open_ := view.mask[:, 1:].any(axis=1)).any():
        here = np.flatnonzero(open_)
        scores = policy.scores(view.seen[here], view.mask[here])
        logs = scores - scores.max(axis=1, keepdims=True)
        logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
        taken = (logs + rng.gumbel(size=logs.shape)).argmax(axis=1)
        chance = logs[np.arange(len(here)), taken]
        parts.append((view.seen[here].copy(), view.mask[here].copy(), taken, chance, here))
        actions = np.zeros(len(instances), dtype=np.int64)
        actions[here] = taken
        total += batch.step(actions).reward
    seen, mask, action, chance, episode = (np.concatenate(columns) for columns in zip(*parts))
    advantage = among_group(total, instances)[episode].astype(np.float32)
    value = float((batch.state.worth / pool.prices.bound[instances]).mean())
    return Steps(seen, mask, action, chance.astype(np.float32), advantage), value


def _updated(
    weights: Mapping[str, torch.Tensor],
    adam: Adam,
    first: Weights | Mapping[str, np.ndarray],
    steps: Steps,
    course: Course,
    rng: np.random.Generator,
) -> tuple[float, float, float, float]:
    """Some epochs over the steps; means of loss, entropy, divergence and clipped over the last one."""
    import torch

    from qnroute.learning.routing.network import scores

    seen, mask, action, chance, advantage = (torch.from_numpy(part) for part in steps)
    anchor = {name: torch.from_numpy(np.asarray(value)) for name, value in first.items()}
    for _ in range(course.epochs):
        sums = np.zeros(4)
        for rows in torch.from_numpy(rng.permutation(len(action))).split(course.batch):
            with torch.no_grad():
                near = scores(anchor, seen[rows], mask[rows])
            parts = clipped_loss(
                scores(weights, seen[rows], mask[rows]), action[rows], chance[rows], advantage[rows], course.clip, near
            )
            (parts.policy - course.entropy * parts.entropy + course.anchor * parts.divergence).backward()
            adam.step()
            sums += len(rows) * np.array([float(part.detach()) for part in parts])
    return tuple((sums / len(action)).tolist())
