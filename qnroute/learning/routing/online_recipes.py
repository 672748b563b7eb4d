"""Recipes of policies for requests that come one by one, and the policy that comes with the package."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from qnroute.learning.routing import imitation, ppo
from qnroute.learning.routing.online import FEATURES
from qnroute.learning.routing.online_expert import Look
from qnroute.learning.routing.online_training import LOOK, Held, OneByOne
from qnroute.learning.routing.policy import RoutePolicy
from qnroute.learning.routing.policy_files import load_policy
from qnroute.learning.routing.recipe_files import load_as
from qnroute.learning.routing.recipes import Courses
from qnroute.learning.routing.streams import StreamPool, mixed_stream

_HERE = Path(__file__).with_name("weights")
BUILT_IN, WEIGHTS = _HERE / "online.toml", _HERE / "online.safetensors"


class Streams(NamedTuple):
    """Streams to learn from and streams held apart, what the expert looks at, and how it counts."""

    learned: int = 400
    held: int = 100
    sequences: int = 2  # on each that is held apart
    samples: int = LOOK.samples  # futures of each choice
    tried: int = LOOK.tried  # candidates that futures are played for
    heat: float = 0.03  # weight of the entropy beside the gains
    discount: float = 0.95  # from request to request
    seed: int = 2_000_000  # of the first stream


@dataclass(frozen=True)
class OnlineRecipe(Courses):
    """Streams that are trained on, and the courses."""

    streams: Streams = field(default_factory=Streams)

    def __post_init__(self) -> None:
        ppo.require_no_critic(self.ppo)

    def teaching(self, tell: Callable[[str], None]) -> OneByOne:
        """The streams, drawn, with what is known of them beforehand."""
        sizes = self.streams
        tell(f"{sizes.learned} streams to learn from, {sizes.held} held apart")
        learned = StreamPool.of(mixed_stream, size=sizes.learned, seed=sizes.seed)
        apart = StreamPool.of(mixed_stream, size=sizes.held, seed=sizes.seed + sizes.learned)
        return OneByOne(
            learned, Held.of(apart, sequences=sizes.sequences, seed=sizes.seed + sizes.learned),
            look=Look(sizes.samples, sizes.tried), heat=sizes.heat, discount=sizes.discount, seed=self.imitation.seed,
            instances=self.ppo.instances, episodes=self.ppo.episodes,
        )  # fmt: skip


SMOKE = OnlineRecipe(
    Streams(learned=6, held=4, samples=8),
    imitation=imitation.Course(rounds=2, epochs=4),
    ppo=ppo.Course(updates=4, instances=4, episodes=4, every=2),
)
"""For a look at whether everything works."""


def load_online_recipe(path: str | os.PathLike[str] = BUILT_IN) -> OnlineRecipe:
    """Read a recipe; see `recipe_files.load_as`."""
    return load_as(OnlineRecipe(), path)


def load_online_policy(path: str | os.PathLike[str] = WEIGHTS) -> RoutePolicy:
    """Read an online policy, by default the one that comes with the package; see `policy_files.load_policy`."""
    return load_policy(path, FEATURES)
