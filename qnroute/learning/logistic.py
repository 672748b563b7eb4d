"""One logistic regression for all pairs: rates, the slot of day, and what happened lately."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Le, MaxLen, MinLen
from numba import njit
from scipy.signal import lfilter
from scipy.special import expit

from qnroute import fields
from qnroute.learning.estimator import ArrivalPredictor
from qnroute.learning.profiles import Profile
from qnroute.learning.series import SlotsPerDay

_Window = Annotated[fields.PositiveCount, Le(100_000)]
_PRIOR_DAYS = 2.0  # of the pair's mean rate, in the rate of a slot of day
_PRIOR_ARRIVALS = 0.5  # in a mean rate, so that its logarithm exists
_LIKELY = 1e-9  # below this no rate is told from another
_EXPECTED = (0.8, 0.2, 0.8)  # coefficients of the three rates without evidence: mostly the pair's mean times the day's
_LEARNED_STEPS = (0, 1, 3, 7, 14)  # of those ahead: the others lie between
_SAMPLES = 50_000  # without an arrival: more do not change the coefficients, only the time


@dataclass(kw_only=True, eq=False)
class Logistic(ArrivalPredictor):
    """Pooled logistic regression on frequency features.

    Each pair, slot and step ahead is a sample. Its features are logarithms: of the pair's mean rate, of its rate in
    that slot of day, of the rate of all pairs in that slot of day over their mean; for each window, of the recent rate
    of the pair and of all pairs over their means, as it is and divided by the step ahead; whether the pair had an
    arrival in the last slot, likewise. Rates are of what was seen before, while learning as well, and go on counting
    while a run goes on: rates of all the past would hold what is to be predicted, and without it tell it by its lack.
    The first quarter of the past (at least a day) only counts.

    Parameters
    ----------
    slots_per_day
        The period.
    windows
        Slots over which recent arrivals are averaged, with exponential weights.
    neighbours
        Slots of day to either side that count in the pair's rate, with weights falling linearly to zero.
    penalty
        On squared coefficients of standardised features, as far as they differ from a pair's rate times the day's
        profile of all pairs, with nothing else; as a share of the evidence there is. Much of that is seen many times
        over: steps and pairs share their slots.
    seed
        Of the choice of samples.
    """

    slots_per_day: SlotsPerDay = 96
    windows: Annotated[tuple[_Window, ...], MinLen(1), MaxLen(20)] = (8, 96)
    neighbours: fields.Count = 8
    penalty: fields.Positive = 0.3
    seed: fields.Count = 0

    def _needed(self) -> int:
        return max(3 * self.slots_per_day, 3 * max(_LEARNED_STEPS))

    def _learn(self, found: np.ndarray, clock: int) -> None:
        came = (found > 0).astype(np.float64)
        x, y, weights = self._samples(came, clock)
        centre, scale = x.mean(axis=0), x.std(axis=0)
        scale[scale < 1e-12] = 1.0
        expected = np.zeros(x.shape[1])
        expected[:3] = _EXPECTED
        found_weights = _regress((x - centre) / scale, y, weights, self.penalty, expected * scale)
        self.coef_ = found_weights[1:] / scale
        self.intercept_ = float(found_weights[0] - self.coef_ @ centre)
        self.profiles_ = self._profiles(came, clock)
        self.rows_ = len(found)

    def _profiles(self, came: np.ndarray, clock: int) -> tuple[Profile, Profile]:
        """Of each pair, and of all together."""
        both = (came, came.sum(axis=1, keepdims=True))
        return tuple(Profile(values, clock, self.slots_per_day, self.neighbours) for values in both)

    def _samples(self, came: np.ndarray, clock: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(n, k) features, (n,) outcomes and (n,) weights: all arrivals, and as many of the rest as there is room for.

        Arrivals are rare, and say more than the slots without one; these are drawn at random and weigh more instead.
        """
        rng = np.random.default_rng(self.seed)
        known = _Known(came, clock, 0, self._profiles(came[:0], clock), 0, self.windows)
        first, last = max(self.slots_per_day, len(came) // 4), len(came) - max(_LEARNED_STEPS) - 1
        x, y, weights = [], [], []
        for step in _LEARNED_STEPS:
            after = came[first + step + 1 : last + step + 1]
            hits, misses = np.flatnonzero(after), np.flatnonzero(after == 0)
            kept = min(misses.size, _SAMPLES // len(_LEARNED_STEPS))
            some = np.concatenate([hits, rng.choice(misses, kept, replace=False)])
            row, pair = np.divmod(some, came.shape[1])
            planes = known.planes(step)
            x.append(np.stack([plane[first + row, pair if plane.shape[1] > 1 else 0] for plane in planes], axis=1))
            y.append(np.arange(some.size) < hits.size)
            weights.append(np.where(y[-1], 1.0, misses.size / max(kept, 1)))
        return np.concatenate(x), np.concatenate(y).astype(np.float64), np.concatenate(weights)

    def _ahead(self, found: np.ndarray, clock: int, horizon: int, start: int) -> np.ndarray:
        came = (found > 0).astype(np.float64)
        known = _Known(came, clock, start, self.profiles_, self.rows_, self.windows)
        said = np.empty((len(found) - start, found.shape[1], horizon), np.float32)
        for step in range(horizon):
            score = np.full(said.shape[:2], self.intercept_)
            for weight, plane in zip(self.coef_, known.planes(step)):
                score += weight * plane
            said[:, :, step] = expit(score)
        return said


class _Known:
    """What is known in each row of a run from `start` on; the rows before are in the profiles."""

    def __init__(
        self,
        came: np.ndarray,
        clock: int,
        start: int,
        profiles: tuple[Profile, Profile],
        rows: int,
        windows: tuple[int, ...],
    ):
        both = (came, came.sum(axis=1, keepdims=True))
        past = [profile.total.sum(axis=0) for profile in profiles]
        self.running = [profile.going_on(new[start:], clock + start) for profile, new in zip(profiles, both)]
        of = rows + np.arange(1, len(came) - start + 1)[:, None]
        self.means = [_mean_rate(old + np.cumsum(new[start:], axis=0), of) for old, new in zip(past, both)]
        self.recent = []
        for values, old, mean in zip(both, past, self.means):
            for window in windows:
                average = _averaged(values, window, _mean_rate(old, rows))[start:]
                # a window of n slots is worth n slots of evidence beside one arrival as expected
                self.recent.append(np.log((window * average + 1) / (window * mean + 1)))
        self.recent.append(came[start:])

    def planes(self, step: int) -> Iterator[np.ndarray]:
        """The features of one step ahead, each (T, P) for pairs or (T, 1) for all of them."""
        slot, whole = (_slot_rate(*of.at(step + 1), mean) for of, mean in zip(self.running, self.means))
        yield np.log(self.means[0])
        yield np.log(slot)
        yield np.log(whole / self.means[1])
        for plane in self.recent:
            yield plane
            yield plane / (1 + step)


def _averaged(values: np.ndarray, window: int, before: np.ndarray) -> np.ndarray:
    """(T, P) means with exponential weights; before row 0 all was `before`."""
    keep = 1 - 1 / window
    if keep == 0:
        return values
    return lfilter([1 - keep], [1, -keep], values, axis=0, zi=(keep * before)[None])[0]


def _mean_rate(events: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.maximum((events + _PRIOR_ARRIVALS) / (rows + 1), _LIKELY)


def _slot_rate(events: np.ndarray, seen: np.ndarray, mean: np.ndarray) -> np.ndarray:
    rate = (np.maximum(events, 0) + _PRIOR_DAYS * mean) / (np.maximum(seen, 0) + _PRIOR_DAYS)
    return np.maximum(rate, _LIKELY)


def _regress(x: np.ndarray, y: np.ndarray, weights: np.ndarray, penalty: float, expected: np.ndarray) -> np.ndarray:
    """(k + 1,) intercept and coefficients of a logistic regression with a ridge around `expected`; Newton's method."""
    x = np.column_stack([np.ones(len(x)), x])
    share = np.clip(np.average(y, weights=weights), 1e-9, 1 - 1e-9)
    ridge = np.full(x.shape[1], penalty * weights.sum() * share * (1 - share))
    ridge[0] = 1e-9  # the mean is not shrunk, but exists even where nothing ever came
    centre = np.concatenate([[0.0], expected])
    coef = centre.copy()
    coef[0] = np.log(share / (1 - share))
    best, slope, curve = _loss(x, y, weights, ridge, centre, coef)
    for _ in range(50):
        step, size = np.linalg.solve(curve, slope), 1.0
        now, slope, curve = _loss(x, y, weights, ridge, centre, coef - step)
        while now > best and size > 1e-6:
            size /= 2
            now, slope, curve = _loss(x, y, weights, ridge, centre, coef - size * step)
        if now > best:
            break
        coef, gain, best = coef - size * step, best - now, now
        if gain <= 1e-7 * abs(best):
            break
    return coef


@njit(cache=True, nogil=True)
def _loss(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray, ridge: np.ndarray, centre: np.ndarray, coef: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Loss, gradient and second derivatives. Compiled: products of so few columns are slow on BLAS's threads."""
    n, k = x.shape
    loss, slope, curve = 0.0, ridge * (coef - centre), np.diag(ridge)
    for j in range(k):
        loss += 0.5 * ridge[j] * (coef[j] - centre[j]) ** 2
    for i in range(n):
        score = 0.0
        for j in range(k):
            score += x[i, j] * coef[j]
        small = np.exp(-abs(score))
        likely = 1 / (1 + small) if score > 0 else small / (1 + small)
        loss += weights[i] * (max(score, 0.0) + np.log1p(small) - y[i] * score)
        error, bend = weights[i] * (likely - y[i]), weights[i] * likely * (1 - likely)
        for j in range(k):
            slope[j] += error * x[i, j]
            bent = bend * x[i, j]
            for other in range(j + 1):
                curve[j, other] += bent * x[i, other]
    for j in range(k):
        for other in range(j):
            curve[other, j] = curve[j, other]
    return loss, slope, curve
