"""How an online policy is trained, as a TOML file; the training itself; and the policies that come with the package."""

from __future__ import annotations

import os
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from qnroute.errors import ProblemError
from qnroute.fields import brief, brief_name
from qnroute.formats.reading import decode, read_bytes, source_of
from qnroute.learning.routing.online import FEATURES
from qnroute.learning.routing.online_training import Held, Imitation, Refinement, imitated, refined
from qnroute.learning.routing.policy import RoutePolicy
from qnroute.learning.routing.policy_files import load_policy
from qnroute.learning.routing.streams import StreamPool, mixed_stream

RECIPE, IMITATED, REFINED = (
    Path(__file__).with_name("weights") / name
    for name in ("online.toml", "online-imitated.safetensors", "online.safetensors")
)


class Streams(NamedTuple):
    """How many streams are learned from and held apart, and the seed of the first one."""

    learned: int = 400
    held: int = 100
    sequences: int = 2  # on each that is held apart
    seed: int = 2_000_000


class OnlineRecipe(NamedTuple):
    """What is trained on, how it imitates, how it is refined."""

    streams: Streams = Streams()
    imitation: Imitation = Imitation()
    ppo: Refinement = Refinement()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in the file."""
        return {part: getattr(self, part)._asdict() for part in self._fields}


def load_online_recipe(path: str | os.PathLike[str] = RECIPE) -> OnlineRecipe:
    """Read a recipe; what it does not say is as usual.

    Raises
    ------
    ProblemError
        It is no TOML, or names or values are not those of a recipe.
    """
    source, usual = source_of(path), OnlineRecipe()
    try:
        told = tomllib.loads(decode(read_bytes(path)))
    except tomllib.TOMLDecodeError as error:
        raise ProblemError(f"is no TOML: {error}", source=source) from None
    faults, parts = [], {}
    for part, given in told.items():
        if part not in usual._fields or not isinstance(given, dict):
            faults.append(f"{brief_name(part)}: expected one of the tables {', '.join(usual._fields)}")
            continue
        known = getattr(usual, part)
        for name, value in given.items():
            kinds = (int,) if isinstance(getattr(known, name, 0), int) else (int, float)
            if name not in known._fields:
                faults.append(f"{part}.{brief_name(name)}: unknown, expected one of {', '.join(known._fields)}")
            elif not isinstance(value, kinds) or isinstance(value, bool) or not 0 <= value < 1e9:
                faults.append(f"{part}.{name}: found {brief(value)}, expected a number from 0")
        parts[part] = known._replace(**{name: value for name, value in given.items() if name in known._fields})
    if faults:
        raise ProblemError(faults, source=source)
    return usual._replace(**parts)


def load_online_policy(path: str | os.PathLike[str] = REFINED) -> RoutePolicy:
    """Read an online policy, by default the one that comes with the package; see `policy_files.load_policy`."""
    return load_policy(path, FEATURES)


def trained_online(
    recipe: OnlineRecipe, *, doing: Callable[[str], None] | None = None, interrupted: threading.Event | None = None
) -> tuple[RoutePolicy, RoutePolicy]:
    """The policy that imitates and the one refined; the same recipe gives the same weights.

    Parameters
    ----------
    doing
        Told in a line what has been reached.
    interrupted
        Set from outside to end after the present round or update with the best so far.
    """
    tell, stop, sizes = doing or (lambda text: None), interrupted or threading.Event(), recipe.streams
    learned = StreamPool.of(mixed_stream, size=sizes.learned, seed=sizes.seed)
    apart = StreamPool.of(mixed_stream, size=sizes.held, seed=sizes.seed + sizes.learned)
    held = Held.of(apart, sequences=sizes.sequences, seed=sizes.seed + sizes.learned)
    first, served = imitated(learned, held, recipe.imitation, doing=tell, interrupted=stop)
    told = {"recipe": recipe.to_dict(), "served_of_bound": {"imitation": served}}
    last, most = (first, served) if stop.is_set() else refined(
        first, learned, held, recipe.ppo, doing=tell, interrupted=stop
    )  # fmt: skip
    also = {**told, "served_of_bound": {"imitation": served, "ppo": most}}
    return RoutePolicy(first.weights, told, FEATURES), RoutePolicy(last.weights, also, FEATURES)
