"""How a training is shown: in plain lines."""

from __future__ import annotations

from qnroute.learning.routing.imitation import Round
from qnroute.learning.routing.ppo import Update


def in_words(found: str | Round | Update) -> str:
    """One line of what has been reached."""
    if isinstance(found, str):
        return found
    if isinstance(found, Round):
        return (
            f"imitation: {found.states:,} states, loss {found.loss:.4f}, agrees in {100 * found.agreed:.1f} %, "
            f"serves {100 * found.served:.3f} % of the bound"
        )
    served = "" if found.served is None else f", held apart {100 * found.served:.3f} %"
    critic = "" if found.critic is None else f", critic {found.critic:.4f}"
    return (
        f"update {found.number}: {100 * found.value:.3f} % of the bound{served}; loss {found.loss:.4f}, entropy "
        f"{found.entropy:.4f}, divergence {found.divergence:.4f}, clipped {100 * found.clipped:.1f} %{critic}"
    )
