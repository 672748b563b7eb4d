"""Shares of samples with their intervals, and the time until one of them succeeds."""

from __future__ import annotations

import math
from typing import NamedTuple

CERTAIN = 0.99
LEVEL = 0.95


class Interval(NamedTuple):
    """An estimate, and where it lies with 95 % confidence; None for what cannot be said."""

    value: float | None
    low: float | None
    high: float | None


def share(count: int, of: int) -> Interval:
    """A share of samples, with Wilson's interval."""
    from scipy.stats import binomtest

    if of == 0:
        return Interval(None, None, None)
    low, high = binomtest(count, of).proportion_ci(LEVEL, method="wilson")
    return Interval(count / of, float(low), float(high))


def reads_needed(chance: float, batch: int = 1) -> float:
    """How many samples, each of which succeeds with that chance, until one does with 99 % certainty.

    Samples come in batches; a batch that is begun counts as a whole.
    """
    if chance <= 0.0:
        return math.inf
    needed = 1.0 if chance >= CERTAIN else math.log1p(-CERTAIN) / math.log1p(-chance)
    return batch * math.ceil(needed / batch - 1e-9)


def time_to_target(time: float, count: int, of: int, batch: int = 1) -> Interval:
    """TTS99: what the samples needed take at `time` each; without any success there is a lower limit alone."""
    estimate = share(count, of)
    if estimate.value is None:
        return estimate
    worst, middle, best = (time * reads_needed(each, batch) for each in (estimate.low, estimate.value, estimate.high))
    return Interval(_finite(middle), best, _finite(worst) if count else None)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
