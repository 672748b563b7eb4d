"""What a training tells, as named numbers: for logs and for people."""

from __future__ import annotations

from qnroute.learning.routing.imitation import Round
from qnroute.learning.routing.ppo import Update


def scalars(found: Round | Update) -> dict[str, float]:
    """Numbers by name, those that are there; names begin with the part of the training."""
    part, told = ("imitation", found._asdict()) if isinstance(found, Round) else ("ppo", found._asdict())
    return {f"{part}/{name}": float(value) for name, value in told.items() if name != "number" and value is not None}
