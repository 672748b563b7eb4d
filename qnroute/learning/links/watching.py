"""Watching links: which of them are probably down, and whether what is predicted of them still holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SURE = 1e-9  # no chance is taken for 0 or 1


class OutageFilter:
    """The chance that each of m links is up, given the outcomes of its tries: a Bayes filter of two states.

    A link that is up makes a pair with chance p at every try, one that is down never does; up and down times are
    geometric (Rabiner, Proc. IEEE 77, 257 (1989), equation 20, for two states).

    Parameters
    ----------
    mtbf, mttr
        Mean slots up and down that are assumed.
    """

    def __init__(self, links: int, *, mtbf: float = 1000.0, mttr: float = 50.0):
        self._fails, self._mends = 1.0 / mtbf, 1.0 / mttr
        self.up = np.full(links, mtbf / (mtbf + mttr))

    def update(self, tries: np.ndarray, successes: np.ndarray, p: np.ndarray) -> np.ndarray:
        """(m,) the chance of being up after one more slot with so many tries and successes."""
        up = self.up + (1.0 - self.up) * self._mends - self.up * self._fails
        seen = (1.0 - np.clip(p, _SURE, 1.0 - _SURE)) ** tries  # that all tries fail though it is up
        up = np.where(successes > 0, 1.0, up * seen / (up * seen + 1.0 - up))
        self.up = np.clip(up, _SURE, 1.0 - _SURE)
        return self.up


@dataclass
class PageHinkley:
    """Page's test for a rise of a mean, in the form of Hinkley (Page, Biometrika 41, 100 (1954)).

    Parameters
    ----------
    allowed
        How far the values may lie above their usual mean (0) without meaning anything.
    threshold
        The sum of what lies above that raises the alarm.
    """

    allowed: float = 0.0
    threshold: float = 10.0
    total: float = 0.0

    def update(self, value: float) -> bool:
        """Take in a value; whether there is alarm, after which the test starts again."""
        self.total = max(self.total + value - self.allowed, 0.0)
        if self.total <= self.threshold:
            return False
        self.total = 0.0
        return True


def surprise(successes: np.ndarray, attempts: np.ndarray, p: np.ndarray, sd: np.ndarray | float = 0.0) -> float:
    """How far outcomes lie from predictions of p, in standard deviations of what luck explains.

    The sum over links of squared standardized residuals, less their number, over its standard deviation. Drawn from
    p, itself of standard deviation `sd`, it has mean 0 and, for sd 0, variance 1; links that are better or worse than
    predicted both raise it.
    """
    p, some = np.clip(p, 1e-3, 1.0 - 1e-3), attempts > 0
    n = np.maximum(attempts, 1.0)
    variance = n * p * (1.0 - p) + n * (n - 1.0) * np.minimum(sd, 0.5) ** 2
    z2 = (successes - n * p) ** 2 / variance
    of_z2 = 2.0 + (1.0 - 6.0 * p * (1.0 - p)) / (n * p * (1.0 - p))  # the kurtosis of a binomial, less 1
    return float((z2 - 1.0)[some].sum() / np.sqrt(of_z2[some].sum())) if some.any() else 0.0
