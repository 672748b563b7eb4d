"""Two LSTM layers over the last demand vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval, Le
from pydantic import Strict

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.learning.estimator import SeriesPredictor
from qnroute.learning.lstm_training import Course, Lesson, trained
from qnroute.learning.recurrent import last_states, sigmoid
from qnroute.learning.series import SlotsPerDay, days
from qnroute.learning.training import require_torch

_Size = Annotated[fields.PositiveCount, Le(10_000)]
_Share = Annotated[float, Strict(), Interval(gt=0, lt=1)]
_Dropout = Annotated[float, Strict(), Interval(ge=0, lt=1)]


@dataclass(kw_only=True, eq=False)
class Lstm(SeriesPredictor):
    """The network of paper C: sequences of demand vectors, two LSTM layers, dropout, a dense sigmoid output.

    Trained by Adam on the mean squared error. The paper predicts the next slot; here the dense layer has an output for
    each pair and each of `horizon` steps ahead, so that nothing said is fed back. What the paper leaves open: the dense
    layer starts at the pairs' mean rates, and training stops once the error on the last `holdout` of the past no longer
    falls. Only pairs that ever had traffic are learned; the others are said to have none. Amounts are divided by each
    pair's largest one, so the network never says more than that.

    Parameters
    ----------
    length
        L, the slots of a sequence. Before the first slot of a run all was at its mean.
    horizon
        Most steps ahead.
    units, dropout
        Of both layers.
    learning_rate, batch, epochs, patience, holdout
        Training: Adam's rate, sequences per step, most passes, passes without progress before it stops, and the share
        of the past that is not learned from but tells when to stop.
    seed
        The same seed, the same network.
    """

    length: _Size = 12
    horizon: _Size = 15
    units: _Size = 50
    dropout: _Dropout = 0.2
    learning_rate: fields.Positive = 0.001
    batch: _Size = 64
    epochs: fields.Count = 40
    patience: fields.PositiveCount = 4
    holdout: _Share = 0.2
    seed: fields.Count = 0

    def _needed(self) -> int:
        return self.length + 3 * self.horizon + 10

    def _learn(self, found: np.ndarray, clock: int) -> None:
        require_torch("an LSTM")
        self.pairs_ = np.flatnonzero(found.any(axis=0))
        self.scale_ = found[:, self.pairs_].max(axis=0)
        self.network_, self.errors_ = None, []
        if not self.pairs_.size:
            return
        seen = found[:, self.pairs_] / self.scale_
        self.mean_ = seen.mean(axis=0)
        lesson = Lesson(
            rows=self._inputs(seen, clock),
            targets=seen.astype(np.float32),
            clock=self._time(clock, len(seen) + self.horizon),
            length=self.length,
            horizon=self.horizon,
        )
        course = Course(**{name: getattr(self, name) for name in Course._fields})
        self.network_, self.errors_ = trained(lesson, course)

    def _ahead(self, found: np.ndarray, clock: int, horizon: int, start: int) -> np.ndarray:
        if horizon > self.horizon:
            raise ProblemError(f"horizon: found {horizon}, expected at most {self.horizon}, for which it was trained")
        said = np.zeros((len(found) - start, found.shape[1], horizon), np.float32)
        if self.network_ is None:
            return said
        before = max(self.length - 1 - start, 0)  # rows that the first windows lack
        first = start - self.length + 1 + before
        seen = found[first:, self.pairs_] / self.scale_
        seen = np.concatenate([np.broadcast_to(self.mean_, (before, seen.shape[1])), seen])
        states = last_states(self.network_, self._inputs(seen, clock + first - before), self.length)
        said[:, self.pairs_] = self._said(states, clock + start, horizon) * self.scale_[:, None]
        return said

    def _said(self, states: np.ndarray, clock: int, horizon: int) -> np.ndarray:
        """(N, active pairs, horizon): what the dense layer makes of the states after the rows from `clock` on."""
        network = self.network_
        score = states @ network.dense.T + network.bias
        return sigmoid(score.reshape(len(states), -1, self.horizon)[:, :, :horizon])

    def _inputs(self, seen: np.ndarray, clock: int) -> np.ndarray:
        return seen.astype(np.float32)

    def _time(self, clock: int, rows: int) -> np.ndarray:
        """(rows, C) what is told of the time."""
        return np.zeros((rows, 0), np.float32)


@dataclass(kw_only=True, eq=False)
class LstmClock(Lstm):
    """The same network, told the time of day as sines and cosines.

    With each demand vector it is told the slot of day of the vector. The dense layer has one output per pair, for all
    steps ahead alike, and is told the slot of day of the step that is said; other parameters as those of `Lstm`.

    Parameters
    ----------
    slots_per_day
        The period.
    harmonics
        A sine and a cosine of 1, 2, ... as many periods a day.
    """

    slots_per_day: SlotsPerDay = 96
    harmonics: Annotated[fields.PositiveCount, Le(100)] = 4

    def _said(self, states: np.ndarray, clock: int, horizon: int) -> np.ndarray:
        network = self.network_
        score = states @ network.dense.T + network.bias
        by_time = self._time(clock, len(states) + horizon) @ network.clock.T
        said = np.empty((*score.shape, horizon), np.float32)
        for step in range(horizon):
            said[:, :, step] = sigmoid(score + by_time[1 + step : 1 + step + len(states)])
        return said

    def _inputs(self, seen: np.ndarray, clock: int) -> np.ndarray:
        return np.column_stack([seen, self._time(clock, len(seen))]).astype(np.float32)

    def _time(self, clock: int, rows: int) -> np.ndarray:
        angle = 2 * np.pi / self.slots_per_day * days(clock, rows, self.slots_per_day)[:, None]
        waves = angle * np.arange(1, self.harmonics + 1)
        return np.column_stack([np.sin(waves), np.cos(waves)]).astype(np.float32)
