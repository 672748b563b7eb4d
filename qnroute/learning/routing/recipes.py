"""Recipes: how a routing policy is trained, as a TOML file; and the training itself."""

from __future__ import annotations

import os
import threading
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qnroute.errors import ProblemError
from qnroute.fields import brief, brief_name
from qnroute.formats.reading import decode, read_bytes, source_of
from qnroute.learning.routing import imitation, ppo
from qnroute.learning.routing.checkpoints import Snapshot
from qnroute.learning.routing.one_slot import imitated_on, refined_on
from qnroute.learning.routing.policy import RoutePolicy
from qnroute.learning.routing.pool import Pool
from qnroute.learning.routing.problems import mixed

BUILT_IN = Path(__file__).with_name("weights") / "routing.toml"
_FROM_0 = "seed", "warmup"  # whole numbers that may be 0


@dataclass(frozen=True)
class Problems:
    """How many problems are learned from and held apart, and the seed of the first one."""

    learned: int = 1200
    held: int = 200
    seed: int = 1_000_000


@dataclass(frozen=True)
class Recipe:
    """What is trained on, how it imitates, how it is refined."""

    problems: Problems = field(default_factory=Problems)
    imitation: imitation.Course = field(default_factory=imitation.Course)
    ppo: ppo.Course = field(default_factory=ppo.Course)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in the file."""
        return {
            "problems": {name: getattr(self.problems, name) for name in Problems.__dataclass_fields__},
            "imitation": self.imitation._asdict(),
            "ppo": self.ppo._asdict(),
        }


SMOKE = Recipe(
    Problems(24, 8), imitation.Course(rounds=2, epochs=4), ppo.Course(updates=6, instances=8, episodes=8, every=3)
)
"""For a look at whether everything works."""


def load_recipe(path: str | os.PathLike[str] = BUILT_IN) -> Recipe:
    """Read a recipe; what it does not say is as usual.

    Raises
    ------
    ProblemError
        It is no TOML, or names or values are not those of a recipe.
    """
    source = source_of(path)
    try:
        told = tomllib.loads(decode(read_bytes(path)))
    except tomllib.TOMLDecodeError as error:
        raise ProblemError(f"is no TOML: {error}", source=source) from None
    usual = Recipe().to_dict()
    faults = [f"{brief_name(part)}: unknown, expected some of {', '.join(usual)}" for part in told if part not in usual]
    for part, known in usual.items():
        given = told.get(part, {})
        faults += _faults(part, given, known) if isinstance(given, dict) else [f"{part}: expected a table"]
    if faults:
        raise ProblemError(faults, source=source)
    made = {part: {**known, **told.get(part, {})} for part, known in usual.items()}
    return Recipe(Problems(**made["problems"]), imitation.Course(**made["imitation"]), ppo.Course(**made["ppo"]))


def _faults(part: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    faults = []
    for name, value in given.items():
        if name not in known:
            faults.append(f"{part}.{brief_name(name)}: unknown, expected one of {', '.join(known)}")
            continue
        whole, least = isinstance(known[name], int), int(isinstance(known[name], int) and name not in _FROM_0)
        fit = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not fit or not least <= value < 1e9:
            what = "whole number" if whole else "number"
            faults.append(f"{part}.{name}: found {brief(value)}, expected a {what} from {least}")
    return faults


def trained(
    recipe: Recipe,
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
    sizes = recipe.problems
    tell(f"{sizes.learned} problems to learn from, {sizes.held} held apart")
    learned = Pool.of(mixed, size=sizes.learned, seed=sizes.seed)
    held = Pool.of(mixed, size=sizes.held, seed=sizes.seed + sizes.learned)
    how: dict[str, Any] = {"device": device, "doing": tell, "interrupted": stop}
    if resumed is None or resumed.stage == "imitation":
        policy, most, _ = imitated_on(learned, held, recipe.imitation, resumed=resumed, keep=keep, **how)
        served, resumed = {"imitation": most}, None
    else:
        policy, served = RoutePolicy(resumed.part("best")), dict(resumed.told["served"])
    if not stop.is_set():
        adding = None if keep is None else lambda found: keep(found.telling(served=dict(served)))
        policy, most, _ = refined_on(policy, learned, held, recipe.ppo, resumed=resumed, keep=adding, **how)
        served["ppo"] = most
    return RoutePolicy(policy.weights, {"recipe": recipe.to_dict(), "served_of_bound": served})
