"""One logistic regression for all pairs: rates, the slot of day, and what happened lately."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Le, MaxLen, MinLen
from scipy.signal import lfilter
from scipy.special import expit

from qnroute import fields
from qnroute.learning.estimator import ArrivalPredictor
from qnroute.learning.profiles import Profile
from qnroute.learning.series import SlotsPerDay, days

_Window = Annotated[fields.PositiveCount, Le(100_000)]
_PRIOR_DAYS = 2.0  # of the pair's mean rate, in the rate of a slot of day
_PRIOR_ARRIVALS = 0.5  # in a mean rate, so that its logarithm exists
_LIKELY = 1e-9  # below this no rate is told from another
_LEARNED_STEPS = (0, 1, 3, 7, 14)  # of those ahead: the others lie between
_SAMPLES = 50_000  # without an arrival: more do not change the coefficients, only the time


@dataclass(kw_only=True, eq=False)
class Logistic(ArrivalPredictor):
    """Pooled logistic regression on frequency features.

    Each pair, slot and step ahead is a sample. Its features are logarithms: of the pair's mean rate, of its rate in
    that slot of day, of the rate of all pairs in that slot of day over their mean; for each window, of the recent rate
    of the pair and of all pairs over their means, as it is and divided by the step ahead; whether the pair had an
    arrival in the last slot, likewise. What is to be predicted must not be among its own features: while learning,
    rates leave out the day around the sample. Rates go on counting while a run goes on.

    Parameters
    ----------
    slots_per_day
        The period.
    windows
        Slots over which recent arrivals are averaged, with exponential weights.
    neighbours
        Slots of day to either side that count in the pair's rate, with weights falling linearly to zero.
    penalty
        On the squares of the coefficients of standardised features, in samples.
    seed
        Of the choice of samples.
    """

    slots_per_day: SlotsPerDay = 96
    windows: Annotated[tuple[_Window, ...], MinLen(1), MaxLen(20)] = (4, 16, 96)
    neighbours: fields.Count = 8
    penalty: fields.Positive = 1.0
    seed: fields.Count = 0

    def _needed(self) -> int:
        return max(2 * self.slots_per_day, 3 * max(_LEARNED_STEPS))  # the rates of one day must leave another

    def _learn(self, found: np.ndarray, clock: int) -> None:
        came = (found > 0).astype(np.float64)
        self.profile_ = Profile(came, clock, self.slots_per_day, self.neighbours)
        self.all_ = Profile(came.sum(axis=1, keepdims=True), clock, self.slots_per_day, self.neighbours)
        self.rows_ = len(found)
        x, y, weights = self._samples(came, clock)
        centre, scale = x.mean(axis=0), x.std(axis=0)
        scale[scale < 1e-12] = 1.0
        found_weights = _regress((x - centre) / scale, y, weights, self.penalty)
        self.coef_ = found_weights[1:] / scale
        self.intercept_ = float(found_weights[0] - self.coef_ @ centre)

    def _samples(self, came: np.ndarray, clock: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(n, k) features, (n,) outcomes and (n,) weights: all arrivals, and as many of the rest as there is room for.

        Arrivals are rare, and say more than the slots without one; these are drawn at random and weigh more instead.
        """
        rng = np.random.default_rng(self.seed)
        rows = len(came) - max(_LEARNED_STEPS) - 1
        mean, slot, whole = self._rates_elsewhere(came, clock)
        recent = [plane[:rows] for plane in self._recent(came, came.sum(axis=0) / len(came))]
        x, y, weights = [], [], []
        for step in _LEARNED_STEPS:
            at = slice(step + 1, step + 1 + rows)
            hits, misses = np.flatnonzero(came[at]), np.flatnonzero(came[at] == 0)
            kept = min(misses.size, _SAMPLES // len(_LEARNED_STEPS))
            some = np.concatenate([hits, rng.choice(misses, kept, replace=False)])
            row, pair = np.divmod(some, came.shape[1])
            planes = self._planes(mean[at], slot[at], whole[at], recent, step)
            x.append(np.stack([plane[row, pair if plane.shape[1] > 1 else 0] for plane in planes], axis=1))
            y.append(np.arange(some.size) < hits.size)
            weights.append(np.where(y[-1], 1.0, misses.size / max(kept, 1)))
        return np.concatenate(x), np.concatenate(y).astype(np.float64), np.concatenate(weights)

    def _rates_elsewhere(self, came: np.ndarray, clock: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rates (T, P) and (T, 1) as `_planes` has them, each without the day around its own row."""
        of_day, profile = days(clock, len(came), self.slots_per_day), self.profile_
        total = np.concatenate([np.zeros((1, came.shape[1])), np.cumsum(came, axis=0)])
        first = np.maximum(np.arange(len(came)) - self.slots_per_day // 2, 0)
        last = np.minimum(first + self.slots_per_day, len(came))
        mean = _mean_rate(total[-1] - (total[last] - total[first]), (len(came) - (last - first))[:, None])
        one = np.ones((len(came), 1))
        seen = profile.smooth(profile.days)[of_day][:, None] - profile.own_day(one)
        slot = _slot_rate(profile.smooth(profile.total)[of_day] - profile.own_day(came), seen, mean)
        everyone, every_mean = came.sum(axis=1, keepdims=True), mean.sum(axis=1, keepdims=True)
        events = self.all_.smooth(self.all_.total)[of_day] - self.all_.own_day(everyone)
        return mean, slot, _slot_rate(events, seen, every_mean) / every_mean

    def _ahead(self, found: np.ndarray, clock: int, horizon: int, start: int) -> np.ndarray:
        came = (found > 0).astype(np.float64)
        new = came[start:]  # the rows before were learned
        running = self.profile_.going_on(new, clock + start)
        everyone = self.all_.going_on(new.sum(axis=1, keepdims=True), clock + start)
        rows = self.rows_ + 1.0 + np.arange(len(new))[:, None]
        mean = _mean_rate(self.profile_.total.sum(axis=0) + np.cumsum(new, axis=0), rows)
        every_mean = mean.sum(axis=1, keepdims=True)
        recent = [plane[start:] for plane in self._recent(came, self.profile_.total.sum(axis=0) / self.rows_)]
        said = np.empty((*new.shape, horizon), np.float32)
        for step in range(horizon):
            slot = _slot_rate(*running.at(step + 1), mean)
            whole = _slot_rate(*everyone.at(step + 1), every_mean) / every_mean
            score = np.full(new.shape, self.intercept_)
            for weight, plane in zip(self.coef_, self._planes(mean, slot, whole, recent, step)):
                score += weight * plane
            said[:, :, step] = expit(score)
        return said

    def _recent(self, came: np.ndarray, mean: np.ndarray) -> list[np.ndarray]:
        """For each window, of pairs (T, P) and of all (T, 1): the recent rate over the mean; and the last value.

        A window of n slots is worth n slots of evidence beside one arrival as expected. Before row 0 all was as usual.
        """
        planes = []
        for values, usual in ((came, mean), (came.sum(axis=1, keepdims=True), mean.sum(keepdims=True))):
            for window in self.windows:
                keep = 1 - 1 / window
                state = (keep * usual)[None]
                average = lfilter([1 - keep], [1, -keep], values, axis=0, zi=state)[0] if window > 1 else values
                planes.append(np.log((window * average + 1) / (window * usual + 1)))
        return [*planes, came]

    def _planes(
        self, mean: np.ndarray, slot: np.ndarray, whole: np.ndarray, recent: list[np.ndarray], step: int
    ) -> Iterator[np.ndarray]:
        """The features of one step ahead, each (T, P) or (T, 1).

        Of rates of pairs in the mean and in the slot of day, both (T, P), and of all in it over their mean, (T, 1).
        """
        yield np.log(mean)
        yield np.log(slot)
        yield np.log(whole)
        for plane in recent:
            yield plane
            yield plane / (1 + step)


def _mean_rate(events: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.maximum((events + _PRIOR_ARRIVALS) / (rows + 1), _LIKELY)


def _slot_rate(events: np.ndarray, seen: np.ndarray, mean: np.ndarray) -> np.ndarray:
    rate = (np.maximum(events, 0) + _PRIOR_DAYS * mean) / (np.maximum(seen, 0) + _PRIOR_DAYS)
    return np.maximum(rate, _LIKELY)


def _regress(x: np.ndarray, y: np.ndarray, weights: np.ndarray, penalty: float) -> np.ndarray:
    """(k + 1,) intercept and coefficients of a logistic regression with a ridge, by Newton's method."""
    x = np.column_stack([np.ones(len(x)), x])
    ridge = np.full(x.shape[1], penalty)
    ridge[0] = 1e-9  # the mean is not shrunk, but exists even where nothing ever came

    def loss(coef: np.ndarray) -> float:
        score = x @ coef
        return float(weights @ (np.logaddexp(0, score) - y * score) + 0.5 * ridge @ coef**2)

    coef = np.zeros(x.shape[1])
    share = np.clip(np.average(y, weights=weights), 1e-9, 1 - 1e-9)
    coef[0] = np.log(share / (1 - share))
    best = loss(coef)
    for _ in range(50):
        likely = expit(x @ coef)
        slope = x.T @ (weights * (likely - y)) + ridge * coef
        curve = x.T @ (x * (weights * likely * (1 - likely))[:, None]) + np.diag(ridge)
        step, size = np.linalg.solve(curve, slope), 1.0
        while (now := loss(coef - size * step)) > best and size > 1e-6:
            size /= 2
        if now > best:
            break
        coef, gain, best = coef - size * step, best - now, now
        if gain <= 1e-7 * abs(best):
            break
    return coef
