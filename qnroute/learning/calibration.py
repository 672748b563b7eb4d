"""Calibration: whether what is said with 30 % happens in 30 % of cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from qnroute.errors import ProblemError
from qnroute.learning.series import counts_of, whole


class Reliability(NamedTuple):
    """Forecasts of about the same probability: what was said in the mean, and how often it happened."""

    said: float
    happened: float
    forecasts: int


def reliability(said: Any, counts: Any, *, start: int = 0) -> list[Reliability]:
    """Whether what is said with 30 % happens in 30 % of cases.

    Parameters
    ----------
    said
        (T - start, P, horizon) probabilities, as `predict` gives them.
    counts
        (T, P) arrivals.
    start
        The first row predicted from.

    Returns
    -------
    list
        Of the bins with a forecast, ascending. They are narrower for small probabilities, which most are.
    """
    found = counts_of(counts)
    whole("start", start, 0, len(found) - 1)
    said = np.asarray(said)
    if said.ndim != 3 or said.shape[:2] != (len(found) - start, found.shape[1]):
        raise ProblemError(
            f"said: found shape {said.shape}, expected ({len(found) - start}, {found.shape[1]}, horizon)"
        )
    if not ((said >= 0) & (said <= 1)).all():
        raise ProblemError("said: found values outside [0, 1], expected probabilities")
    bins = Bins()
    for step in range(min(said.shape[2], len(said) - 1)):
        bins.add(said[: len(said) - 1 - step, :, step], found[start + 1 + step :] > 0)
    return bins.table()


class Bins:
    """Forecasts sorted by what they say."""

    EDGES = np.array([0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])

    def __init__(self) -> None:
        self.sums = np.zeros((3, self.EDGES.size + 1))  # said, happened, how many

    def add(self, said: np.ndarray, came: np.ndarray) -> None:
        """Sort in forecasts and what came of them."""
        at, n = np.searchsorted(self.EDGES, said.ravel(), side="right"), self.EDGES.size + 1
        for row, weights in enumerate((said.ravel(), came.ravel(), None)):
            self.sums[row] += np.bincount(at, weights=weights, minlength=n)

    @classmethod
    def together(cls, parts: Sequence[Bins]) -> Bins:
        """The bins of several, as one."""
        merged = cls()
        merged.sums = np.sum([part.sums for part in parts], axis=0)
        return merged

    def table(self) -> list[Reliability]:
        """What was said and what happened, of each bin with forecasts."""
        return [Reliability(float(said / n), float(came / n), int(n)) for said, came, n in self.sums.T if n]

    def error(self) -> float:
        """Mean distance of the two over all forecasts."""
        return float(np.abs(self.sums[0] - self.sums[1]).sum() / max(self.sums[2].sum(), 1))
