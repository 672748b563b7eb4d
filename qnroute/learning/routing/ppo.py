"""Proximal policy optimization of a policy that scores candidates (Schulman et al., arXiv:1707.06347), own and compact.

    for each update: gather experience, advantages, clipped steps; at times a look at what is held apart

What is played and what is measured are functions of the caller. Advantages are relative to the other episodes on the
same instance, or generalized ones with a critic. A penalty keeps the policy near the one it began with. The weights
given back are those that measured most, the first ones included.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qnroute.errors import ProblemError
from qnroute.learning.routing.advantages import among_group, by_critic
from qnroute.learning.routing.checkpoints import Snapshot
from qnroute.learning.routing.clipped import clipped_slopes
from qnroute.learning.routing.policy import RoutePolicy, Weights, finite, first_weights
from qnroute.learning.training import alone, flushed, require_torch

if TYPE_CHECKING:
    import torch

    from qnroute.learning.routing.network import Learner


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
    critic: float = 0.0  # its learning rate; 0 for none, and advantages among the episodes of an instance
    warmup: int = 5  # updates in which only the critic learns, where there is one
    discount: float = 1.0  # with a critic, as the next
    decay: float = 0.95  # lambda of generalized advantages
    every: int = 10  # updates between two looks at what is held apart
    seed: int = 0


def require_no_critic(course: Course) -> None:
    """Refuse a critic where advantages come with the experience."""
    if course.critic > 0.0:
        raise ProblemError(f"ppo.critic: found {course.critic:g}, expected 0: advantages are among episodes here")


class Experience(NamedTuple):
    """Decisions made in whole episodes, those with a choice; the ones of an episode stand in the order of time.

    Attributes
    ----------
    seen : (n, C + 1, F) float32
    mask : (n, C + 1) bool, what was possible
    action : (n,) int64
    log_chance : (n,) float32, of the action when it was chosen
    reward : (n,) until the next decision of the episode, or its end
    episode : (n,) int64, a row of `group`
    group : (E,) int64, the instance of each episode
    value : what was reached, for people to read
    advantage : (n,) float32, where who played knows it, and there is no critic; else it is made of the rewards
    """

    seen: np.ndarray
    mask: np.ndarray
    action: np.ndarray
    log_chance: np.ndarray
    reward: np.ndarray
    episode: np.ndarray
    group: np.ndarray
    value: float
    advantage: np.ndarray | None = None


class Update(NamedTuple):
    """What an update came to; `served` is there where it was looked at, `critic` where there is one."""

    number: int
    value: float  # of the episodes, as `Experience.value`
    loss: float
    entropy: float
    divergence: float  # from the first policy
    clipped: float  # share of the decisions
    critic: float | None  # mean squared error of its values
    served: float | None  # what was measured
    decisions: int


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
    anchor : (n, C + 1) log chances by the policy not to go far from; the divergence is KL(pi, anchor)
    """
    import torch

    logs = scores.log_softmax(-1)
    chance = logs.exp()
    ratio = (logs.gather(-1, action[:, None])[:, 0] - log_chance).exp()
    least = torch.minimum(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage)
    far = torch.zeros((), device=scores.device) if anchor is None else (chance * (logs - anchor)).sum(-1).mean()
    outside = ((ratio - 1.0).abs() > clip).float().mean()
    return Loss(-least.mean(), -(chance * logs).sum(-1).mean(), far, outside)


def value_loss(values: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The mean squared error of (n,) values of a critic."""
    return ((values - target) ** 2).mean()


def refined(
    begin: RoutePolicy,
    experience: Callable[[RoutePolicy, np.random.Generator], Experience],
    measure: Callable[[RoutePolicy], float],
    course: Course | None = None,
    *,
    device: str = "cpu",
    resumed: Snapshot | None = None,
    keep: Callable[[Snapshot], None] | None = None,
    doing: Callable[[Update | str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> tuple[RoutePolicy, float, list[Update]]:
    """A policy refined by its own experience, what it measures (never less than `begin`), and the updates made.

    Parameters
    ----------
    experience
        Plays episodes by a policy, its actions drawn; `Course.instances` and `Course.episodes` are for it to follow.
    measure
        What a policy is worth on what is held apart; chooses among the weights.
    device
        Where updates are made; experience is gathered without torch.
    resumed, keep
        A snapshot to go on from, and what takes one after each update.
    interrupted
        Set from outside to stop after the present update.
    """
    require_torch("a routing policy")
    course, stop, updates = course or Course(), interrupted or threading.Event(), []
    with alone(course.seed):
        run = _Run(begin, course, device) if resumed is None else _Run.of(resumed, course, device)
        if resumed is None:
            run.most = measure(begin)
        while run.number < course.updates and not stop.is_set():
            steps = experience(run.policy.playing(), run.rng)
            with flushed():
                last, error = run.updated(steps)
            if not finite(run.policy.answering().weights):
                if doing is not None:
                    doing(f"weights are no numbers after update {run.number}: PPO ends, the best so far stay")
                break
            served = None
            if run.number % course.every == 0 or run.number == course.updates:
                now = run.policy.answering()
                served = measure(now)
                if served > run.most:
                    run.best, run.most = dict(now.weights), served
            updates.append(Update(run.number, steps.value, *last, error, served, len(steps.action)))
            if keep is not None:
                keep(run.snapshot())
            if doing is not None:
                doing(updates[-1])
    return RoutePolicy(run.best), run.most, updates


class _Run:
    """All that a refinement goes on from."""

    def __init__(self, begin: RoutePolicy, course: Course, device: str):
        from qnroute.learning.routing.network import Learner

        self.course, self.number = course, 0
        self.rng = np.random.default_rng(course.seed)
        self.anchor: Weights = {name: np.asarray(value) for name, value in begin.weights.items()}
        self.best, self.most = self.anchor, -np.inf
        self.policy, self.critic = Learner(self.anchor, device), None
        if course.critic > 0.0:
            features, hidden = self.anchor["A0"].shape
            own = np.random.default_rng([course.seed, 1])
            self.critic = Learner(first_weights(own, features, hidden), device)

    @classmethod
    def of(cls, snapshot: Snapshot, course: Course, device: str) -> _Run:
        """One that goes on where the snapshot was taken."""
        run = cls(RoutePolicy(snapshot.part("anchor")), course, device)
        run.number, run.most, run.best = snapshot.number, snapshot.told["most"], snapshot.part("best")
        run.rng.bit_generator.state = snapshot.told["random"]
        for name, learner in run.learners().items():
            learner.restore(snapshot.part(name), snapshot.told[name])
        return run

    def learners(self) -> dict[str, Learner]:
        """The policy, and the critic if there is one."""
        return {"policy": self.policy} | ({} if self.critic is None else {"critic": self.critic})

    def snapshot(self) -> Snapshot:
        """What `of` goes on from."""
        learners = self.learners()
        parts = {"anchor": self.anchor, "best": self.best} | {name: x.state() for name, x in learners.items()}
        told = {"most": self.most, "random": self.rng.bit_generator.state}
        told |= {name: learner.adam.count for name, learner in learners.items()}
        return Snapshot.of("ppo", self.number, parts, told)

    def updated(self, steps: Experience) -> tuple[list[float], float | None]:
        """Some epochs over the steps: means over the last one of loss, entropy, divergence, clipped; the critic's."""
        import torch

        course, put, critic = self.course, self.policy.put, self.critic
        left = 1.0 - self.number / course.updates
        self.number += 1
        for learner, rate in ((self.policy, course.learning_rate), (critic, course.critic)):
            if learner is not None:
                learner.adam.rate = rate * left
        seen, mask, action, chance = (put(part) for part in steps[:4])
        near = self.policy.logs_by(self.anchor, seen, mask)
        advantage, target = self._advantages(steps, seen, mask)
        moving = critic is None or self.number > course.warmup
        for _ in range(course.epochs):
            sums = torch.zeros(5, device=seen.device)
            for rows in put(self.rng.permutation(len(action))).split(course.batch):
                said, some = self.policy.scores(seen, mask, rows), mask[rows]
                parts = self._descended(said, some, action[rows], chance[rows], advantage[rows], near[rows], moving)
                error = torch.zeros((), device=seen.device)
                if critic is not None:
                    error = value_loss(critic.values(seen, mask, rows), target[rows])
                    error.backward()
                    critic.adam.step()
                sums += len(rows) * torch.cat([parts, error.detach()[None]])
        *means, error = (sums / len(action)).tolist()
        return means, None if critic is None else error

    def _descended(
        self,
        said: torch.Tensor,
        mask: torch.Tensor,
        action: torch.Tensor,
        chance: torch.Tensor,
        advantage: torch.Tensor,
        near: torch.Tensor,
        moving: bool,
    ) -> torch.Tensor:
        """A step down the loss of these scores, if the policy is moving; (4,) the parts of the loss."""
        import torch

        course = self.course
        if self.policy.compiled:
            given = (part.detach().numpy() for part in (said, mask, action, chance, advantage, near))
            found, slope = clipped_slopes(*given, course.clip, course.entropy, course.anchor)
            parts = torch.from_numpy(found.astype(np.float32))
            if moving:
                said.backward(torch.from_numpy(slope))
        else:
            loss = clipped_loss(said, action, chance, advantage, course.clip, near)
            parts = torch.stack(loss).detach()
            if moving:
                (loss.policy - course.entropy * loss.entropy + course.anchor * loss.divergence).backward()
        if moving:
            self.policy.adam.step()
        return parts

    def _advantages(
        self, steps: Experience, seen: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(n,) advantages, and (n,) what the critic is to say."""
        put = self.policy.put
        if steps.advantage is not None:
            require_no_critic(self.course)
            return put(steps.advantage), None
        if self.critic is None:
            total = np.bincount(steps.episode, steps.reward, len(steps.group))
            return put(among_group(total, steps.group)[steps.episode].astype(np.float32)), None
        values = self.critic.values_of(seen, mask)
        found = by_critic(steps.reward, values, steps.episode, self.course.discount, self.course.decay)
        apart = (found - found.mean()) / max(float(found.std()), 1e-6)
        return put(apart.astype(np.float32)), put((found + values).astype(np.float32))
