"""Scorers that learn next to nothing: the nominal quality, and a recent rate shrunk towards the mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from qnroute import fields
from qnroute.learning.links.adjacency import Neighbours
from qnroute.learning.links.checking import array_faults
from qnroute.learning.links.estimator import ColumnIndex, LinkScorer, Share
from qnroute.learning.links.lessons import Lesson
from qnroute.learning.links.standard import standard_of

_KAPPAS = 61  # tried before the best is refined


class Nominal(LinkScorer):
    """p times F as they were last said, the stale plug-in; only its spread is learned.

    Parameters
    ----------
    p, fidelity
        Columns of the features; without a second one the first is what is said. Where a value is missing the median of
        the rows learned from stands for it.
    calibration, random_state
        As those of `LinkScorer`.
    """

    def __init__(
        self,
        *,
        p: ColumnIndex = 0,
        fidelity: ColumnIndex | None = 1,
        calibration: Share = 0.2,
        random_state: fields.Count = 0,
    ):
        self.p = p
        self.fidelity = fidelity
        self.calibration = calibration
        self.random_state = random_state

    @property
    def _factors(self) -> list[int]:
        return [self.p] if self.fidelity is None else [self.p, self.fidelity]

    def _columns_needed(self) -> int:
        return 1 + max(self._factors)

    def _learn(self, lesson: Lesson, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"fill": standard_of(lesson.x[:, self._factors], lesson.weight)["fill"]}

    def _mean(self, X: np.ndarray, near: Neighbours | None) -> np.ndarray:
        said = X[:, self._factors]
        return np.where(np.isnan(said), self.arrays_["fill"], said).prod(axis=1)

    def _mean_faults(self) -> Iterator[str]:
        return array_faults(self.arrays_, "fill", (len(self._factors),), "f")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


class Empirical(LinkScorer):
    """A link's recent rate, shrunk the more towards the mean of all the less has been seen: (w r + k m) / (w + k).

    The strength k is that of the least squared error over the rows learned from (empirical Bayes). A rate or weight
    that is missing has no weight.

    Parameters
    ----------
    rate, weight
        Columns of r, a smoothed recent rate, and of w, the number of observations it is worth.
    prior
        Column to shrink towards instead of the mean; where it is missing, to the mean.
    calibration, random_state
        As those of `LinkScorer`.
    """

    def __init__(
        self,
        *,
        rate: ColumnIndex = 0,
        weight: ColumnIndex = 1,
        prior: ColumnIndex | None = None,
        calibration: Share = 0.2,
        random_state: fields.Count = 0,
    ):
        self.rate = rate
        self.weight = weight
        self.prior = prior
        self.calibration = calibration
        self.random_state = random_state

    def _columns_needed(self) -> int:
        return 1 + max(self.rate, self.weight, 0 if self.prior is None else self.prior)

    def _learn(self, lesson: Lesson, rng: np.random.Generator) -> dict[str, np.ndarray]:
        share = lesson.weight / lesson.weight.sum()
        mean = float(share @ lesson.y)
        off, w = self._off(lesson.x, mean)
        prior = self._prior(lesson.x, mean)
        useful = w > 0
        kappa = 1.0
        if useful.any():
            kappa = _strength(off[useful], w[useful], (lesson.y - prior)[useful], share[useful])
        return {"mean": np.array([mean]), "kappa": np.array([kappa])}

    def _mean(self, X: np.ndarray, near: Neighbours | None) -> np.ndarray:
        mean, kappa = self.arrays_["mean"][0], self.arrays_["kappa"][0]
        off, w = self._off(X, mean)
        return self._prior(X, mean) + off * (w / (w + kappa))

    def _prior(self, X: np.ndarray, mean: float) -> np.ndarray:
        if self.prior is None:
            return np.full(len(X), mean)
        prior = X[:, self.prior]
        return np.where(np.isnan(prior), mean, prior)

    def _off(self, X: np.ndarray, mean: float) -> tuple[np.ndarray, np.ndarray]:
        """(n,) the rate less what it is shrunk to, and (n,) its weight; both 0 where nothing was seen."""
        rate, w = X[:, self.rate], X[:, self.weight]
        seen = ~np.isnan(rate) & (w > 0)
        return np.where(seen, rate - self._prior(X, mean), 0.0), np.where(seen, w, 0.0)

    def _mean_faults(self) -> Iterator[str]:
        yield from array_faults(self.arrays_, "mean", (1,), "f")
        yield from array_faults(self.arrays_, "kappa", (1,), "f", low=np.finfo(np.float64).tiny)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


def _strength(off: np.ndarray, w: np.ndarray, wanted: np.ndarray, share: np.ndarray) -> float:
    """k > 0 that minimizes the mean of (wanted - off w / (w + k))^2: the best of a grid, then refined."""
    unit = float(w.mean())

    def loss(log_kappa: float) -> float:
        return float(share @ (wanted - off * (w / (w + unit * np.exp(log_kappa)))) ** 2)

    grid = np.linspace(np.log(1e-6), np.log(1e6), _KAPPAS)
    best = int(np.argmin([loss(at) for at in grid]))
    around = grid[max(best - 1, 0)], grid[min(best + 1, _KAPPAS - 1)]
    found = minimize_scalar(loss, bounds=around, method="bounded", options={"xatol": 1e-8})
    return unit * float(np.exp(found.x))
