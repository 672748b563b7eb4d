"""Imitation of an expert, in the states that the policy itself comes to.

DAgger (Ross, Gordon and Bagnell, AISTATS 2011): in the first round the expert plays; later ones mix its actions with
those of the policy learned so far. All states seen are kept. The weights given back are those of the round that
measured most. Where states are visited and what is measured are functions of the caller.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qnroute.errors import ProblemError
from qnroute.learning.routing.checkpoints import Snapshot
from qnroute.learning.routing.policy import RoutePolicy, Weights, finite
from qnroute.learning.training import alone, flushed, require_torch

if TYPE_CHECKING:
    import torch

    Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Course(NamedTuple):
    """How a policy imitates; `expert` is the share of the expert's actions from the second round on."""

    rounds: int = 6
    epochs: int = 12
    batch: int = 256
    learning_rate: float = 3e-3
    expert: float = 0.3
    seed: int = 0


class Round(NamedTuple):
    """What a round came to: states so far, the mean loss of the last epoch, how often it agreed, what it measured."""

    number: int
    states: int
    loss: float
    agreed: float
    served: float


class States(NamedTuple):
    """What was seen, what was possible, and what the expert did."""

    seen: np.ndarray  # (n, C + 1, F)
    mask: np.ndarray  # (n, C + 1)
    label: np.ndarray  # (n,), or (n, C + 1) float32: chances of what it might do, or what each choice gains


def surprise(said: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of what the expert did or might do."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(said, label)


def imitated(
    begin: RoutePolicy,
    visit: Callable[[RoutePolicy, float, np.random.Generator], States],
    measure: Callable[[RoutePolicy], float],
    course: Course | None = None,
    *,
    loss: Loss = surprise,
    device: str = "cpu",
    resumed: Snapshot | None = None,
    keep: Callable[[Snapshot], None] | None = None,
    doing: Callable[[Round], None] | None = None,
    interrupted: threading.Event | None = None,
) -> tuple[RoutePolicy, float, list[Round]]:
    """A policy that does as the expert does, what it measures, and the rounds made.

    Parameters
    ----------
    visit
        States that a policy comes to where so great a share of the actions is the expert's.
    measure
        What a policy is worth on what is held apart; chooses among the rounds.
    loss
        The mean over (b, C + 1) scores and their labels, to be made small.
    device
        Where it is fitted.
    resumed, keep
        A snapshot to go on from, and what takes one after each round.
    interrupted
        Set from outside to stop after the present round; one is made in any case.
    """
    require_torch("a routing policy")
    course, stop, rounds = course or Course(), interrupted or threading.Event(), []
    rng, number, states = np.random.default_rng([course.seed, 1]), 0, []
    weights: Weights = {name: np.asarray(value) for name, value in begin.weights.items()}
    best, most = weights, -np.inf
    if resumed is not None:
        number, most = resumed.number, resumed.told["most"]
        weights, best = resumed.part("weights"), resumed.part("best")
        states = [States(**resumed.part("states"))]
        rng.bit_generator.state = resumed.told["random"]
    while number < course.rounds and (number == 0 or not stop.is_set()):
        states.append(visit(RoutePolicy(weights), course.expert if number else 1.0, rng))
        number, states = number + 1, [States(*(np.concatenate(columns) for columns in zip(*states)))]
        weights, lost, agreed = _fitted(weights, states[0], course, loss, rng, device)
        if not finite(weights):
            if most == -np.inf:
                raise ProblemError("imitation.learning_rate: weights are no numbers any more, expected a smaller one")
            break
        served = measure(RoutePolicy(weights))
        if served > most:
            best, most = weights, served
        rounds.append(Round(number, len(states[0].label), lost, agreed, served))
        if keep is not None:
            parts = {"weights": weights, "best": best, "states": states[0]._asdict()}
            keep(Snapshot.of("imitation", number, parts, {"most": most, "random": rng.bit_generator.state}))
        if doing is not None:
            doing(rounds[-1])
    return RoutePolicy(best), most, rounds


def _fitted(
    begin: Weights, states: States, course: Course, loss: Loss, rng: np.random.Generator, device: str
) -> tuple[Weights, float, float]:
    """Weights after some epochs, the loss of the last one, and how often expert and policy agree."""
    import torch

    from qnroute.learning.routing.network import Learner

    with alone(course.seed), flushed():
        learner = Learner(begin, device)
        seen, mask, label = (learner.put(part) for part in states)
        best = label if label.ndim == 1 else label.argmax(-1)
        for epoch in range(course.epochs):
            learner.adam.rate = course.learning_rate * (1.0 - epoch / (course.epochs + 2))
            sums = torch.zeros(2, device=seen.device)
            for rows in learner.put(rng.permutation(len(label))).split(course.batch):
                said = learner.scores(seen, mask, rows)
                error = loss(said, label[rows])
                error.backward()
                learner.adam.step()
                right = (said.detach().argmax(-1) == best[rows]).float().mean()
                sums += len(rows) * torch.stack([error.detach(), right])
        lost, agreed = (sums / len(label)).tolist()
        return dict(learner.answering().weights), lost, agreed
