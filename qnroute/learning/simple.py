"""References: what a forecast must beat before it counts as one, and what none can."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qnroute import fields
from qnroute.learning.estimator import ArrivalPredictor, SeriesPredictor
from qnroute.learning.series import SlotsPerDay, ahead, days


@dataclass(kw_only=True, eq=False)
class Mean(SeriesPredictor):
    """The share of past slots in which the pair had an arrival (of amounts: their mean), for all slots ahead."""

    def _learn(self, found: np.ndarray, clock: int) -> None:
        self.mean_ = found.mean(axis=0)

    def _ahead(self, found: np.ndarray, clock: int, horizon: int, start: int) -> np.ndarray:
        shape = (len(found) - start, found.shape[1], horizon)
        return np.broadcast_to(self.mean_.astype(np.float32)[:, None], shape).copy()


@dataclass(kw_only=True, eq=False)
class LastValue(SeriesPredictor):
    """What was last seen stays: the share of the last `window` slots with an arrival (of amounts: their mean).

    With a window of 1 that is 1 if the pair had an arrival in the last slot, else 0. Of slots before the first row
    nothing is known; they do not count.
    """

    window: fields.PositiveCount = 1

    def _learn(self, found: np.ndarray, clock: int) -> None:
        pass

    def _ahead(self, found: np.ndarray, clock: int, horizon: int, start: int) -> np.ndarray:
        total = np.concatenate([np.zeros((1, found.shape[1])), np.cumsum(found, axis=0)])
        last = np.arange(start + 1, len(found) + 1)
        first = np.maximum(last - self.window, 0)
        recent = (total[last] - total[first]) / (last - first)[:, None]
        if self.window == 1:
            recent = found[start:]  # without the rounding of a sum
        return np.repeat(recent.astype(np.float32)[:, :, None], horizon, axis=2)


@dataclass(kw_only=True, eq=False)
class Seasonal(SeriesPredictor):
    """The same slot of the day before: 1 if the pair had an arrival then, else 0 (of amounts: what there was).

    For slots that have no day before them in the run, the last day that was learned.
    """

    slots_per_day: SlotsPerDay = 96

    def _needed(self) -> int:
        return self.slots_per_day

    def _learn(self, found: np.ndarray, clock: int) -> None:
        last = found[-self.slots_per_day :]
        self.day_ = np.empty_like(last)
        self.day_[days(clock + len(found) - len(last), len(last), self.slots_per_day)] = last

    def _ahead(self, found: np.ndarray, clock: int, horizon: int, start: int) -> np.ndarray:
        n_days = self.slots_per_day
        before = self.day_[days(clock - n_days, n_days, n_days)]  # the day before row 0
        known = np.concatenate([before, found]).astype(np.float32)
        said = np.empty((len(found) - start, found.shape[1], horizon), np.float32)
        rows = np.arange(start, len(found))
        for step in range(horizon):
            back = n_days * -(-(step + 1) // n_days)  # whole days, the least that lead to a slot already seen
            said[:, :, step] = known[rows + 1 + step - back + n_days]
        return said


@dataclass(kw_only=True, eq=False)
class Oracle(ArrivalPredictor):
    """Knows the future: 1 where the counts given to `predict` have an arrival, else 0, also beyond their end."""

    def _learn(self, found: np.ndarray, clock: int) -> None:
        pass

    def _ahead(self, found: np.ndarray, clock: int, horizon: int, start: int) -> np.ndarray:
        return ahead((found > 0).astype(np.float32), horizon, start).copy()
