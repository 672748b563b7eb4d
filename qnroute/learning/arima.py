"""ARIMA(p, d, q) of each pair, the order by AIC."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval
from pydantic import Strict

from qnroute.learning.arma import LAGS, estimate, forecasts
from qnroute.learning.estimator import SeriesPredictor

_Lags = Annotated[int, Strict(), Interval(ge=0, le=LAGS)]
_Differences = Annotated[int, Strict(), Interval(ge=0, le=1)]
_LONG = 20  # most lags of the long autoregression


@dataclass(kw_only=True, eq=False)
class Arima(SeriesPredictor):
    """An ARIMA(p, d, q) of each pair, for 0/1 arrivals a linear model of their probability, clipped to [0, 1].

    All orders up to the largest are estimated (`arma.estimate`), those that are not stationary and invertible are left
    out, and the one with the least AIC is taken: n log(mean squared error) + 2 (parameters). The errors are one-step
    errors of the series itself over the same slots for d = 0 and d = 1, so that both can be compared. d = 0 has a mean,
    d = 1 no drift. A run starts at that mean.

    Parameters
    ----------
    most_p, most_q
        Largest orders.
    most_d
        1: differences too; 0: never.
    """

    most_p: _Lags = 3
    most_q: _Lags = 2
    most_d: _Differences = 1

    def _needed(self) -> int:
        return 10 + 4 * (self.most_p + self.most_q + self.most_d)

    def _learn(self, found: np.ndarray, clock: int) -> None:
        n_pairs = found.shape[1]
        self.mean_ = found.mean(axis=0)
        self.coef_ = np.zeros((n_pairs, 2 * LAGS))
        self.order_ = np.zeros((n_pairs, 3), np.int64)
        self.aic_ = np.full(n_pairs, -np.inf)
        for pair in np.flatnonzero(np.ptp(found, axis=0) > 0):  # what never changes is its mean
            self._select(int(pair), np.ascontiguousarray(found[:, pair]))

    def _select(self, pair: int, values: np.ndarray) -> None:
        n, deviation = len(values), values - self.mean_[pair]
        scale = deviation.std()
        # about what the orders asked for need (Hannan and Kavalieris): more for longer series
        long = int(min(max(math.log(n) ** 1.5, self.most_p + self.most_q), _LONG, n // 4))
        first = self.most_p + 1  # rows whose lags are all known, of the differences too
        best = np.inf
        for d in range(self.most_d + 1):
            z = (np.diff(deviation, prepend=deviation[0]) if d else deviation) / scale
            squares, coefs = estimate(z, long, self.most_p, self.most_q, first)
            parameters = np.add.outer(np.arange(self.most_p + 1), np.arange(self.most_q + 1)) + 2 - d
            with np.errstate(divide="ignore"):
                aic = (n - first) * np.log(squares * scale**2) + 2 * parameters
            p, q = np.unravel_index(np.argmin(aic), aic.shape)
            if aic[p, q] < best:
                best = self.aic_[pair] = aic[p, q]
                self.order_[pair] = p, d, q
                self.coef_[pair] = 0.0
                self.coef_[pair, :p] = coefs[p, q, :p]
                self.coef_[pair, LAGS : LAGS + q] = coefs[p, q, p : p + q]

    def _ahead(self, found: np.ndarray, clock: int, horizon: int, start: int) -> np.ndarray:
        deviation = found - self.mean_
        differenced = self.order_[:, 1] == 1
        z = deviation.copy()
        z[1:, differenced] -= deviation[:-1, differenced]  # row 0: as if the slot before had been at the mean
        said = np.empty((len(found) - start, found.shape[1], horizon), np.float32)
        forecasts(np.ascontiguousarray(z.T), self.coef_, horizon, start, said)
        if differenced.any():
            said[:, differenced] = np.cumsum(said[:, differenced], axis=2)
            said[:, differenced] += deviation[start:, differenced, None]
        said += self.mean_[:, None]
        return said
