"""Where an exact search stands: what it has found, what it has proven, and the prices that proved it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from qnroute.allocation import Allocation, value
from qnroute.problem import Problem
from qnroute.result import closed
from qnroute.settings import Answer, Point, Settings, Trace


def within(value: float, bound: float) -> Callable[..., Point]:
    """Turns points of a part of the work into points of the whole, of which a value and a bound are known."""

    def seen(seconds: float, objective: float | None, proven: float | None) -> Point:
        found = max(value, objective or 0.0)
        return seconds, found, max(found, min(bound, np.inf if proven is None else proven))

    return seen


@dataclass(frozen=True)
class Search:
    """The best allocation and the best bound so far; `open` says in words what keeps the gap from closing.

    `best` (K,) are m_k, the best price of any route of request k, at least 0, at the `prices` (R,) of resources and
    cuts (`qnroute.solvers.resources`); `weak` is the bound that goes with them, the only one to judge routes by.
    """

    allocation: Allocation
    value: float
    bound: float = np.inf
    best: np.ndarray | None = None
    prices: np.ndarray | None = None
    weak: float = np.inf
    open: str = ""
    trace: Trace = field(default_factory=list)
    stopped: str | None = None

    def better(self, problem: Problem, found: Allocation) -> Search:
        """With an allocation that is no worse."""
        worth = value(problem, found)
        return replace(self, allocation=found, value=worth) if worth > self.value else self

    def proven(self, bound: float, best: np.ndarray, prices: np.ndarray) -> Search:
        """With the bound that prices prove, if it is a better one, or the first."""
        if bound >= self.bound and self.best is not None:
            return self
        return replace(self, bound=min(bound, self.bound), weak=bound, best=best, prices=prices)

    def bounded(self, bound: float) -> Search:
        """With a bound that is no worse."""
        return replace(self, bound=min(self.bound, bound))

    def point(self, settings: Settings, bound: float | None = None) -> Point:
        """What its trace holds of it; `bound` in place of its own, if given: of all, where this is of a part."""
        bound = self.bound if bound is None else max(bound, self.value)
        return settings.elapsed(), self.value, bound if np.isfinite(bound) else None

    def seen(self, settings: Settings, bound: float | None = None) -> Search:
        """With a `point` more in its trace."""
        point = self.point(settings, bound)
        if settings.progress is not None:
            settings.progress(*point)
        return replace(self, trace=[*self.trace, point])

    def closed(self, gap: float) -> bool:
        """Whether the gap is no wider than this, however small the values are."""
        return closed(self.value, self.bound, gap)

    def answer(self) -> Answer:
        """As methods give it."""
        remarks = (f"not proven optimal: {self.open}",) if self.open and not self.stopped else ()
        return Answer(self.allocation, self.bound, self.trace, self.stopped, remarks)
