"""What a foreign file says, in neutral words, before anything is merged, dropped or filled in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qnroute.fields import brief_name

NODE_FIELDS = ("memory", "swap", "degree")  # contract fields that are taken from a foreign file as they stand
LINK_FIELDS = ("p", "fidelity", "channels", "score")

GIVEN, VERIFIED, DERIVED = "given", "verified", "derived"  # where a length comes from
RECALLED, GREAT_CIRCLE, UNKNOWN = "recalled", "great-circle", "unknown"


@dataclass(frozen=True)
class RawNode:
    """One site: `key` is what the file's links call it, `label` what people do (it need not be unique).

    A `junction` stands for a link between more than two sites. `own` holds contract fields as given.
    """

    key: str
    label: str = ""
    lat: float | None = None
    lon: float | None = None
    x: float | None = None
    y: float | None = None
    junction: bool = False
    own: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RawLink:
    """One connection; several may join the same two nodes, or a node to itself."""

    source: str
    target: str
    length_km: float | None = None
    length_from: str = GIVEN
    loss_db: float | None = None
    own: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RawDemand:
    """How much one node asks of another, in the file's own unit."""

    id: str
    source: str
    target: str
    value: float


@dataclass(frozen=True)
class RawNetwork:
    """All that was read, and what the reader had to decide, one line each in `notes`.

    `directed` means that a connection stands there once for each of its directions.
    """

    name: str
    nodes: Sequence[RawNode]
    links: Sequence[RawLink]
    demands: Sequence[RawDemand] = ()
    notes: Sequence[str] = ()
    directed: bool = False


def number(value: object) -> float | None:
    """A finite number from a number or its text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def count(n: int, thing: str) -> str:
    """``1 link``, ``14 links``."""
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def sample(names: Sequence[str], shown: int = 3) -> str:
    """The first few names, and how many more there are."""
    listed = ", ".join(brief_name(name) for name in names[:shown])
    return f"{listed} and {len(names) - shown} more" if len(names) > shown else listed
