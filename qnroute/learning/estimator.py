"""What predictors have in common: what they are given is validated once, here.

A predictor is a dataclass of its options alone. `fit` checks options and data, learns through `_learn` and returns the
predictor; what was learned ends in ``_``. `_ahead` then says what is to be expected of the slots ahead.
"""

from __future__ import annotations

import abc
import functools
from dataclasses import dataclass, fields
from typing import Any, Self, get_type_hints

import numpy as np
import pydantic

from qnroute.errors import ProblemError
from qnroute.fields import faults_of
from qnroute.learning.series import LONGEST, amounts_of, counts_of, whole

_BOUND = 2**53  # of slot numbers


@dataclass(kw_only=True, eq=False)
class ArrivalPredictor(abc.ABC):
    """Learns from arrivals which pairs will have one."""

    def fit(self, counts: Any, *, clock: int = 0) -> Self:
        """Learn from the past.

        Parameters
        ----------
        counts
            (T, P) arrivals per slot and pair of nodes.
        clock
            The slot of row 0.

        Raises
        ------
        ProblemError
            Options or counts that do not fit, or too little history.
        """
        _check_options(self)
        return self._fit(counts_of(counts), clock, amounts=False)

    def predict(self, counts: Any, *, clock: int = 0, horizon: int = 15, start: int = 0) -> np.ndarray:
        """The probability that a pair has at least one arrival in each of the slots ahead.

        Parameters
        ----------
        counts
            (T, P) arrivals of a run, from its slot `clock` on. Rows before `start` are history that `fit` has seen.
        clock
            The slot of row 0.
        horizon
            Steps ahead.
        start
            The first row to predict from.

        Returns
        -------
        np.ndarray
            (T - start, P, horizon) float32: row i, step h is slot ``clock + start + i + 1 + h``, from what was seen up
            to and including row start + i.

        Raises
        ------
        ProblemError
            Nothing was learned, or the arguments do not fit what was.
        """
        self._require_fit(amounts=False)
        found = self._signal(self._asked(counts_of(counts), clock, horizon, start), amounts=False)
        said = self._ahead(found, clock, horizon, start)
        return np.clip(said, 0.0, 1.0, out=said)

    def _fit(self, found: np.ndarray, clock: int, *, amounts: bool) -> Self:
        whole("clock", clock, -_BOUND, _BOUND)
        if len(found) < self._needed():
            raise ProblemError(f"fit: found {len(found)} slots of history, expected at least {self._needed()}")
        self.fitted_ = None  # a failure below must not leave half of two
        self._learn(self._signal(found, amounts=amounts), clock)
        self.n_pairs_ = found.shape[1]
        self.fitted_ = "amounts" if amounts else "counts"
        return self

    def _require_fit(self, *, amounts: bool) -> None:
        wanted = "amounts" if amounts else "counts"
        found = getattr(self, "fitted_", None)
        if found is None:
            raise ProblemError(f"{type(self).__name__}: nothing was learned yet, call fit first")
        if found != wanted:
            method = "fit_series" if amounts else "fit"
            raise ProblemError(f"{type(self).__name__}: learned from {found}, expected {wanted}: call {method} first")

    def _asked(self, found: np.ndarray, clock: int, horizon: int, start: int) -> np.ndarray:
        whole("clock", clock, -_BOUND, _BOUND)
        whole("horizon", horizon, 1, LONGEST)
        whole("start", start, 0, len(found) - 1)
        if found.shape[1] != self.n_pairs_:
            raise ProblemError(f"counts: found {found.shape[1]} pairs, expected the {self.n_pairs_} that were learned")
        return found

    def _needed(self) -> int:
        """How many slots there must be to learn from."""
        return 1

    def _signal(self, found: np.ndarray, *, amounts: bool) -> np.ndarray:
        """What is learned and looked at of the values given."""
        return found

    @abc.abstractmethod
    def _learn(self, found: np.ndarray, clock: int) -> None:
        """Learn from what `_signal` gave."""

    @abc.abstractmethod
    def _ahead(self, found: np.ndarray, clock: int, horizon: int, start: int) -> np.ndarray:
        """(T - start, P, horizon) float32, an array of its own."""


@dataclass(kw_only=True, eq=False)
class SeriesPredictor(ArrivalPredictor):
    """One that can also learn amounts, such as traffic, and forecast them as they are."""

    def fit_series(self, amounts: Any, *, clock: int = 0) -> Self:
        """Learn from (T, P) amounts of any unit; otherwise as `fit`."""
        _check_options(self)
        return self._fit(amounts_of(amounts), clock, amounts=True)

    def forecast(self, amounts: Any, *, clock: int = 0, horizon: int = 15, start: int = 0) -> np.ndarray:
        """The expected amounts of the slots ahead, in their unit; arguments and shape as those of `predict`."""
        self._require_fit(amounts=True)
        found = self._asked(amounts_of(amounts), clock, horizon, start)
        return self._ahead(found, clock, horizon, start)

    def _signal(self, found: np.ndarray, *, amounts: bool) -> np.ndarray:
        """Amounts as they are; of counts only whether there was an arrival, since that is to be predicted."""
        return found if amounts else (found > 0).astype(np.float64)


def _check_options(predictor: ArrivalPredictor) -> None:
    faults = []
    for name, adapter in _adapters(type(predictor)).items():
        try:
            adapter.validate_python(getattr(predictor, name))
        except pydantic.ValidationError as error:
            faults += faults_of(error, prefix=name)
    if faults:
        raise ProblemError(faults)


@functools.cache
def _adapters(cls: type) -> dict[str, pydantic.TypeAdapter]:
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: pydantic.TypeAdapter(hints[field.name]) for field in fields(cls)}
