"""The one-slot study of paper A: what decisions with predicted links lose, by kind, under floors, and by loss.

Networks drift from what was once calibrated and are watched in use (`link_places`). Models learn from some of them and
decide on others: other seeds, and topologies and sizes never learned from.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qnroute.benchmark.link_floors import Deviations, Floored, calibrated, floored
from qnroute.benchmark.link_losses import Trained, trained_losses
from qnroute.benchmark.link_places import FULL, Size, places
from qnroute.benchmark.link_regrets import STALE, Loss, losses, models_of
from qnroute.benchmark.tables import shown
from qnroute.learning.links.model import KINDS

WITH_FLOORS = (STALE, "linear", "mlp")
_SOME = 2  # one network in so many is decided for scorers trained by other losses, which takes longest


@dataclass(frozen=True)
class OneSlot:
    """All rows; parts that the work did not reach are empty."""

    kinds: tuple[Loss, ...] = ()
    calibration: tuple[Deviations, ...] = ()
    floors: tuple[Floored, ...] = ()
    trained: tuple[Trained, ...] = ()

    def rows(self) -> list[Any]:
        """Those of all parts, one after the other; each part has rows of its own kind."""
        return [*self.kinds, *self.calibration, *self.floors, *self.trained]

    def lines(self) -> list[str]:
        """Four tables as text, each after a line that says what it is."""
        titles = {
            "kinds": "regret of decisions with predicted links, in shares of the proven optimum",
            "calibration": "errors of predictions, in predicted deviations",
            "floors": "regret under floors on fidelity: the plain mean, and chances with learned deviations",
            "trained": "regret of scorers trained by squared error, and on from it by decision losses",
        }
        found: list[str] = []
        for name, title in titles.items():
            rows = getattr(self, name)
            found += [title, *table_lines(rows), ""] if rows else []
        return found


def one_slot(
    size: Size = FULL,
    *,
    kinds: Sequence[str] = tuple(KINDS),
    course: dict[str, Any] | None = None,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> OneSlot:
    """Run the study.

    Parameters
    ----------
    kinds
        Of models; `STALE`, linear and mlp must be among them.
    course
        Of the training for decisions, in place of its own options.
    doing
        Is told what is being done.
    interrupted
        Ends the study between its parts.

    Raises
    ------
    SolverError
        An optimum was not proven.
    """
    tell, stop = doing or (lambda step: None), interrupted or threading.Event()
    found: dict[str, tuple] = {}
    tell("networks watched")
    trained, validation, held = (places(some) for some in (size.trained, size.validation, size.held))
    tell("models learned")
    models = models_of(trained, kinds)
    few = {kind: model for kind, model in models.items() if kind in WITH_FLOORS}
    parts: dict[str, Callable[[], list]] = {
        "calibration": lambda: calibrated(models, held, size.windows),
        "kinds": lambda: losses(models, validation, held, size.windows),
        "floors": lambda: floored(few, held, size.windows),
        "trained": lambda: trained_losses(models, trained, held[::_SOME], size.windows, options=course),
    }
    for name, part in parts.items():
        if stop.is_set():
            break
        tell(name)
        found[name] = tuple(part())
    return OneSlot(**found)


def table_lines(rows: Sequence[Any]) -> list[str]:
    """Rows of one kind as aligned text, their names above."""
    names = shown(rows)
    cells = [names, *([_text(name, getattr(row, name)) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]


def _text(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, float):
        return f"{value:.1e}" if name.startswith("p_") and value < 1e-3 else f"{value:.4f}"
    return str(value)
