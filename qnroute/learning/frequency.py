"""Frequencies per slot of the day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from qnroute import fields
from qnroute.learning.estimator import ArrivalPredictor
from qnroute.learning.profiles import Profile
from qnroute.learning.series import SlotsPerDay


@dataclass(kw_only=True, eq=False)
class Frequency(ArrivalPredictor):
    """How often a pair had arrivals in that slot of the day, counted on while the run goes on.

    Parameters
    ----------
    slots_per_day
        The period.
    normalise
        ``slots``: the share of days on which the pair had an arrival in that slot of day, a probability for each pair.
        ``pairs``: N(s,d,t)/N_total(t) as printed (paper C), the pair's share of all arrivals in that slot of day. That
        is a distribution over pairs, which says where a request is if there is one; against arrivals it is too high
        where slots without any are common.
    smoothing
        Laplace's, around the pair's mean over the whole day: as if so many days (of ``pairs``: so many arrivals) like
        that had been seen too. 0 with 0 neighbours is the plain quotient, 0 where nothing was seen.
    neighbours
        So many slots of day to either side count too, with weights falling linearly to zero.
    """

    slots_per_day: SlotsPerDay = 96
    normalise: Literal["slots", "pairs"] = "slots"
    smoothing: fields.NonNegative = 4.0
    neighbours: fields.Count = 8

    def _learn(self, found: np.ndarray, clock: int) -> None:
        events = self._events(found)
        self.profile_ = Profile(events, clock, self.slots_per_day, self.neighbours)
        self.rows_ = len(found)

    def _ahead(self, found: np.ndarray, clock: int, horizon: int, start: int) -> np.ndarray:
        new = self._events(found[start:])  # the rows before were learned
        running = self.profile_.going_on(new, clock + start)
        total = self.profile_.total.sum(axis=0) + np.cumsum(new, axis=0)
        if self.normalise == "slots":
            whole = self.rows_ + 1.0 + np.arange(len(new))[:, None]
        else:
            whole = total.sum(axis=1, keepdims=True)
        prior = self.smoothing * _quotient(total, whole)
        said = np.empty((len(new), found.shape[1], horizon), np.float32)
        for step in range(horizon):
            events, seen = running.at(step + 1)
            of = seen if self.normalise == "slots" else events.sum(axis=1, keepdims=True)
            said[:, :, step] = _quotient(events + prior, of + self.smoothing)
        return said

    def _events(self, found: np.ndarray) -> np.ndarray:
        return (found > 0).astype(np.float64) if self.normalise == "slots" else found


def _quotient(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Their quotient, 0 where nothing was seen."""
    return np.divide(over, under, out=np.zeros_like(over), where=under > 0)
