"""Recipes: how a routing policy is trained, as a TOML file; and the training itself."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np

from qnroute.learning.routing import imitation, ppo
from qnroute.learning.routing.checkpoints import Snapshot
from qnroute.learning.routing.one_slot import OneSlot
from qnroute.learning.routing.policy import RoutePolicy
from qnroute.learning.routing.pool import Pool
from qnroute.learning.routing.problems import mixed
from qnroute.learning.routing.recipe_files import load_as, tables_of

if TYPE_CHECKING:
    import torch

BUILT_IN = Path(__file__).with_name("weights") / "routing.toml"


class Teaching(Protocol):
    """What a policy is taught by."""

    begin: RoutePolicy

    def visited(self, policy: RoutePolicy, share: float, rng: np.random.Generator) -> imitation.States:
        """See `imitation.imitated`."""

    def loss(self, said: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """See `imitation.imitated`."""

    def experienced(self, policy: RoutePolicy, rng: np.random.Generator) -> ppo.Experience:
        """See `ppo.refined`."""

    def measured(self, policy: RoutePolicy) -> float:
        """What a policy is worth on what is held apart."""


class Teachable(Protocol):
    """A recipe: courses, what is taught, and of what a policy serves its share."""

    unit: ClassVar[str]

    @property
    def imitation(self) -> imitation.Course:
        """How it imitates."""

    @property
    def ppo(self) -> ppo.Course:
        """How it is refined."""

    def teaching(self, tell: Callable[[str], None]) -> Teaching:
        """Make ready what is taught, and tell what there is."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in the file."""


class Problems(NamedTuple):
    """How many problems are learned from and held apart, and the seed of the first one."""

    learned: int = 1200
    held: int = 200
    seed: int = 1_000_000


@dataclass(frozen=True)
class Courses:
    """What all recipes have: how a policy imitates, how it is refined, and of what it serves its share."""

    unit: ClassVar[str] = "of the bound"
    imitation: imitation.Course = field(default_factory=imitation.Course, kw_only=True)
    ppo: ppo.Course = field(default_factory=ppo.Course, kw_only=True)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in the file."""
        return tables_of(self)


@dataclass(frozen=True)
class Recipe(Courses):
    """A recipe for one slot: the problems that are trained on, too."""

    problems: Problems = field(default_factory=Problems)

    def teaching(self, tell: Callable[[str], None]) -> OneSlot:
        """The problems, drawn."""
        sizes = self.problems
        tell(f"{sizes.learned} problems to learn from, {sizes.held} held apart")
        learned = Pool.of(mixed, size=sizes.learned, seed=sizes.seed)
        held = Pool.of(mixed, size=sizes.held, seed=sizes.seed + sizes.learned)
        return OneSlot(learned, held, self.imitation.seed, self.ppo.instances, self.ppo.episodes)


SMOKE = Recipe(
    Problems(24, 8),
    imitation=imitation.Course(rounds=2, epochs=4),
    ppo=ppo.Course(updates=6, instances=8, episodes=8, every=3),
)
"""For a look at whether everything works."""


def load_recipe(path: str | os.PathLike[str] = BUILT_IN) -> Recipe:
    """Read a recipe; see `recipe_files.load_as`."""
    return load_as(Recipe(), path)


def trained(
    recipe: Teachable,
    *,
    device: str = "cpu",
    resumed: Snapshot | None = None,
    keep: Callable[[Snapshot], None] | None = None,
    doing: Callable[[str | imitation.Round | ppo.Update], None] | None = None,
    interrupted: threading.Event | None = None,
) -> RoutePolicy:
    """A policy by the recipe: it imitates, and is refined; the same recipe gives the same weights.

    Parameters
    ----------
    device
        Where it is updated, as torch calls it.
    resumed, keep
        A snapshot to go on from, and what takes one after each round and update.
    doing
        Told what has been reached.
    interrupted
        Set from outside to end after the present round or update with the best so far.
    """
    tell, stop = doing or (lambda found: None), interrupted or threading.Event()
    teaching = recipe.teaching(tell)
    how: dict[str, Any] = {"device": device, "doing": tell, "interrupted": stop}
    if resumed is None or resumed.stage == "imitation":
        policy, most, _ = imitation.imitated(
            teaching.begin, teaching.visited, teaching.measured, recipe.imitation, loss=teaching.loss, resumed=resumed,
            keep=keep, **how,
        )  # fmt: skip
        served, resumed = {"imitation": most}, None
    else:
        policy, served = RoutePolicy(resumed.part("best")), dict(resumed.told["served"])
    if not stop.is_set():
        adding = None if keep is None else lambda found: keep(found.telling(served=dict(served)))
        policy, most, _ = ppo.refined(
            policy, teaching.experienced, teaching.measured, recipe.ppo, resumed=resumed, keep=adding, **how
        )
        served["ppo"] = most
    told = {"recipe": recipe.to_dict(), "served": served}
    return RoutePolicy(policy.weights, told, teaching.begin.features)
