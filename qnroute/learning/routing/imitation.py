"""Imitation of exact answers, in the states that the policy itself comes to.

DAgger (Ross, Gordon and Bagnell, AISTATS 2011): in the first round the expert plays; later ones mix its actions with
those of the policy learned so far. All states seen are kept. The weights given back are those of the round that served
most on instances held apart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from qnroute.learning.routing.batch import Batch
from qnroute.learning.routing.expert import Expert
from qnroute.learning.routing.policy import RoutePolicy, Weights, first_weights
from qnroute.learning.routing.pool import Pool
from qnroute.learning.routing.rollouts import played
from qnroute.learning.training import Adam, alone, require_torch


class Course(NamedTuple):
    """How a policy imitates; `expert` is the share of the expert's actions from the second round on."""

    rounds: int = 6
    epochs: int = 12
    batch: int = 256
    learning_rate: float = 3e-3
    expert: float = 0.3
    seed: int = 0


class Round(NamedTuple):
    """What a round came to: states seen so far, the mean loss of its last epoch, and the share of the bound served."""

    states: int
    loss: float
    agreed: float
    served: float


class States(NamedTuple):
    """What was seen, what was possible, and what the expert did."""

    seen: np.ndarray  # (n, C + 1, F)
    mask: np.ndarray  # (n, C + 1)
    label: np.ndarray  # (n,)


def imitated(
    learned: Pool,
    held: Pool,
    course: Course | None = None,
    *,
    candidates: int = 8,
    doing: Callable[[Round], None] | None = None,
    interrupted: threading.Event | None = None,
) -> tuple[RoutePolicy, list[Round]]:
    """A policy that does as the best completions do, and how it came about.

    Parameters
    ----------
    learned, held
        Instances to learn from, and those that choose among the rounds.
    doing
        Told of each round.
    interrupted
        Set from outside to stop after the present round.
    """
    require_torch("a routing policy")
    course, stop = course or Course(), interrupted or threading.Event()
    rng = np.random.default_rng(course.seed)
    weights, parts, rounds = first_weights(rng), [], []
    best, most = weights, -np.inf
    for number in range(course.rounds):
        share = course.expert if number else 1.0
        parts.append(visited(RoutePolicy(weights), learned, share, rng, candidates=candidates))
        every = States(*(np.concatenate(columns) for columns in zip(*parts)))
        weights, loss, agreed = _fitted(weights, every, course, rng)
        served = share_of_bound(RoutePolicy(weights), held, candidates=candidates)
        rounds.append(Round(len(every.label), loss, agreed, served))
        if doing is not None:
            doing(rounds[-1])
        if served > most:
            best, most = weights, served
        if stop.is_set():
            break
    return RoutePolicy(best), rounds


def visited(policy: RoutePolicy, pool: Pool, expert: float, rng: np.random.Generator, *, candidates: int) -> States:
    """The states of an episode on each instance, its actions the expert's with this chance, else the policy's."""
    batch = Batch(pool.lot, pool.plan, len(pool), candidates=candidates)
    view = batch.start(np.arange(len(pool)), np.arange(len(pool)))
    teacher, parts = Expert(batch), []
    while True:
        here = np.flatnonzero(view.mask[:, 1:].any(axis=1))
        if not len(here):
            return States(*(np.concatenate(columns) for columns in zip(*parts)))
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


def _fitted(begin: Weights, states: States, course: Course, rng: np.random.Generator) -> tuple[Weights, float, float]:
    """Weights after some epochs of cross-entropy, the loss of the last one, and how often expert and policy agree."""
    import torch
    from torch.nn.functional import cross_entropy

    from qnroute.learning.routing.network import arrays, scores, tensors

    with alone(course.seed):
        weights = tensors(begin)
        adam = Adam(list(weights.values()), course.learning_rate)
        seen, mask, label = (torch.from_numpy(part) for part in states)
        for epoch in range(course.epochs):
            adam.rate = course.learning_rate * (1.0 - epoch / (course.epochs + 2))
            loss = agreed = 0.0
            for rows in torch.from_numpy(rng.permutation(len(label))).split(course.batch):
                said = scores(weights, seen[rows], mask[rows])
                error = cross_entropy(said, label[rows])
                error.backward()
                adam.step()
                loss += float(error.detach()) * len(rows)
                agreed += float((said.detach().argmax(-1) == label[rows]).sum())
        return arrays(weights), loss / len(label), agreed / len(label)
