"""`bench learned`: what is learned beside what is not: on one slot, online, in time; and how fast it is trained."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from qnroute.benchmark import learned_slot
from qnroute.errors import ProblemError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GROUPS = "online", "time", "throughput"
"""Cases that begin so, or are called so; all others are families of one slot."""


def listing() -> list[str]:
    """All cases; those of one slot are measured if none is named."""
    return [line for module in (learned_slot, *map(_module_of, GROUPS)) for line in module.listing()]


def measure(
    *,
    runs: int,
    case: Sequence[str] | None = None,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[Any]:
    """The rows of what is asked for, which must be of one kind."""
    asked = list(case or learned_slot.FAMILIES)
    if twice := [name for name, times in Counter(asked).items() if times > 1]:
        raise ProblemError(f"--case: {twice[0]} is given more than once")
    modules = list(dict.fromkeys(_module_of(name) for name in asked))
    if len(modules) > 1:
        raise ProblemError("--case: cases of one slot, online, time and throughput are measured one kind at a time")
    return modules[0].measure(runs=runs, case=asked, doing=doing, interrupted=interrupted)


def plot_rows(rows: Sequence[Any]) -> Axes:
    """Quality against time."""
    from qnroute.benchmark import learned_figures

    return learned_figures.plot_rows(rows)


def _module_of(name: str) -> ModuleType:
    kind = name.partition("-")[0]
    return import_module(f"qnroute.benchmark.learned_{kind}") if kind in GROUPS else learned_slot
