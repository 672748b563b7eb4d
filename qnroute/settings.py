"""What is common to all methods: the settings a caller gives, and the answer a method gives back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from qnroute.errors import NoAnswer

if TYPE_CHECKING:
    from qnroute.allocation import Allocation

MOST_PACKED = 20_000  # routes given to an integer solver at once: its presolve minds no time limit, and grows with them
MAX_ROUTES = 200_000  # routes that a method lists in all, unless told otherwise
Point = tuple[float, float | None, float | None]
"""Seconds, best objective so far, best bound so far; None where there is none yet."""
Trace = list[Point]
Progress = Callable[[float, float | None, float | None], None]


@dataclass(frozen=True)
class Settings:
    """Settings that every method accepts.

    Parameters
    ----------
    time_limit
        Wall-clock seconds for the whole method; None: no limit.
    gap
        Relative gap at which an exact method may stop.
    seed
        Of the random numbers, where a method uses any.
    progress
        Called now and then during long work.
    interrupted
        Set from outside to stop early with the best so far.
    """

    time_limit: float | None = None
    gap: float = 0.0
    seed: int | None = None
    progress: Progress | None = None
    started: float = field(default_factory=time.perf_counter)
    interrupted: threading.Event = field(default_factory=threading.Event)

    def through(self, seen: Callable[..., Point]) -> Settings:
        """The same settings for a part of the work, whose progress is shown as `seen` makes it."""
        if self.progress is None:
            return self
        shown = self.progress
        return replace(self, progress=lambda *point: shown(*seen(*point)))

    @property
    def stopped(self) -> str | None:
        """Why the work must end now: ``interrupted``, ``time-limit``, or None while it may go on."""
        if self.interrupted.is_set():
            return "interrupted"
        return "time-limit" if self.remaining() <= 0.0 else None

    def go_on(self, name: str) -> None:
        """For work that has nothing to show yet.

        Raises
        ------
        NoAnswer
            Where the work must end now; `name` says whose it is.
        """
        if self.stopped:
            raise NoAnswer(f"{name}: {self.stopped} before any answer was found")

    def elapsed(self) -> float:
        """Seconds since the method was called."""
        return time.perf_counter() - self.started

    def remaining(self) -> float:
        """Seconds left, infinite without a limit, none once interrupted."""
        if self.interrupted.is_set():
            return 0.0
        return float("inf") if self.time_limit is None else max(self.time_limit - self.elapsed(), 0.0)


@dataclass(frozen=True)
class Answer:
    """What a method found, before the judge has seen it.

    Parameters
    ----------
    bound
        A proven upper bound on every allocation's value, or None where the method has none.
    stopped
        ``time-limit`` or ``interrupted`` where something cut the method short.
    remarks
        What the user should know: what was not proven, and why.
    """

    allocation: Allocation
    bound: float | None = None
    trace: Trace = field(default_factory=list)
    stopped: str | None = None
    remarks: tuple[str, ...] = ()
