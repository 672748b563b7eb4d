"""How a training is shown: a live table with sparklines on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from qnroute.cli import console
from qnroute.learning.routing.imitation import Round
from qnroute.learning.routing.ppo import Update

if TYPE_CHECKING:
    from rich.console import Console, Group

    from qnroute.learning.routing.recipes import Teachable

_BARS, _PLAIN_BARS = "▁▂▃▄▅▆▇█", "_.-=+*#%"
_TREND = 40  # values of a sparkline
_PERCENT = "served", "value", "clipped", "agreed"
_NAMES = {
    "value": "served while playing", "served": "served, held apart", "agreed": "agrees with the expert",
    "divergence": "divergence (KL)", "clipped": "clipped steps", "critic": "value loss", "loss": "policy loss",
}  # fmt: skip


def in_words(found: str | Round | Update, unit: str) -> str:
    """One line of what has been reached; `unit` says what shares are of."""
    if isinstance(found, str):
        return found
    if isinstance(found, Round):
        return (
            f"imitation: {found.states:,} states, loss {found.loss:.4f}, agrees in {100 * found.agreed:.1f} %, "
            f"serves {100 * found.served:.3f} % {unit}"
        )
    served = "" if found.served is None else f", held apart {100 * found.served:.3f} %"
    critic = "" if found.critic is None else f", value loss {found.critic:.4f}"
    return (
        f"update {found.number}: {100 * found.value:.3f} % {unit}{served}; loss {found.loss:.4f}, entropy "
        f"{found.entropy:.4f}, divergence {found.divergence:.4f}, clipped {100 * found.clipped:.1f} %{critic}"
    )


def sparkline(values: Sequence[float], bars: str = _BARS) -> str:
    """The last values as bars, from the lowest to the highest of them."""
    some = [value for value in values if value == value][-_TREND:]
    low, high = min(some, default=0.0), max(some, default=0.0)
    top = len(bars) - 1
    return "".join(bars[round(top * (value - low) / (high - low)) if high > low else 0] for value in some)


class TrainingView:
    """Shows what a training by a recipe tells: `told` takes it, within the view's context.

    Parameters
    ----------
    screen
        Where the live table is drawn; standard error where that is a terminal, if left out.
    """

    def __init__(self, recipe: Teachable, screen: Console | None = None):
        if screen is None and sys.stderr is not None and sys.stderr.isatty():
            from rich.console import Console

            screen = Console(stderr=True)
        self._unit = recipe.unit
        self._totals = {Round: recipe.imitation.rounds, Update: recipe.ppo.updates}
        self._screen, self._live = screen, None
        self._lines = screen is None or not (sys.stdout is not None and sys.stdout.isatty())
        self._stage, self._seen, self._begun = "cases are drawn", [], time.monotonic()

    def __enter__(self) -> TrainingView:
        if self._screen is not None:
            from rich.live import Live

            drawn = {"console": self._screen, "refresh_per_second": 4, "redirect_stdout": False}
            self._live = Live(get_renderable=self.shown, **drawn)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def told(self, found: str | Round | Update) -> None:
        """Take note of what has been reached."""
        if self._lines:
            console.say(in_words(found, self._unit))
        if isinstance(found, str):
            self._stage = found
            return
        if self._seen and type(found) is not type(self._seen[-1]):
            self._seen = []
        self._seen.append(found)
        if len(self._seen) == 1:  # speed is that of what comes after it
            self._begun = time.monotonic()
        of = self._totals[type(found)]
        self._stage = f"{'imitation, round' if isinstance(found, Round) else 'PPO, update'} {found.number} of {of}"

    def shown(self) -> Group:
        """What is shown now."""
        from rich import box
        from rich.console import Group
        from rich.table import Table

        bars = _PLAIN_BARS if self._screen is not None and self._screen.options.ascii_only else _BARS
        made = Table(title=f"{self._stage}; shares {self._unit}", title_justify="left", box=box.SIMPLE_HEAD)
        made.add_column("")
        made.add_column("now", justify="right")
        made.add_column("so far")
        for name in self._seen[-1]._fields if self._seen else ():
            values = [value for each in self._seen if (value := getattr(each, name)) is not None]
            if name != "number" and values:
                made.add_row(_NAMES.get(name, name), _number(name, values[-1]), sparkline(values, bars))
        return Group(made, self._pace())

    def _pace(self) -> str:
        """Speed, and how long it will take."""
        seconds, made = time.monotonic() - self._begun, len(self._seen) - 1
        if made < 1 or seconds <= 0.0:
            return f"{seconds:.0f} s"
        last = self._seen[-1]
        left = seconds / made * (self._totals[type(last)] - last.number)
        speed = ""
        if isinstance(last, Update):
            speed = f"{sum(each.decisions for each in self._seen[1:]) / seconds:,.0f} decisions/s, "
        return f"{speed}{int(left) // 60}:{int(left) % 60:02d} left of this part"


def _number(name: str, value: Any) -> str:
    if name in _PERCENT:
        return f"{100 * value:.3f} %"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
