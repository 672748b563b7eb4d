"""The predictors of demand by name, and what they have in common."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np

from qnroute.errors import ProblemError
from qnroute.fields import chosen


@runtime_checkable
class Predictor(Protocol):
    """Says from the arrivals seen so far which pairs of nodes will have one.

    The constructor stores options; `fit` validates, learns and returns the predictor itself.
    """

    def fit(self, counts: Any, *, clock: int = 0) -> Self:
        """Learn from (T, P) arrivals per slot and pair; row 0 is the slot `clock`."""
        ...

    def predict(self, counts: Any, *, clock: int = 0, horizon: int = 15, start: int = 0) -> np.ndarray:
        """(T - start, P, horizon) float32: row i, step h is the probability of an arrival in slot t + 1 + h.

        t is row start + i, and nothing after it is looked at (by the oracle alone). Rows before `start` are history
        that `fit` has seen.
        """
        ...


class Entry(NamedTuple):
    """Where a predictor stands, and what it does in a line."""

    module: str
    cls: str
    description: str


PREDICTORS: Mapping[str, Entry] = MappingProxyType(
    {
        "frequency": Entry("frequency", "Frequency", "how often the pair had arrivals in that slot of the day"),
        "arima": Entry("arima", "Arima", "an ARIMA of each pair, its order by AIC"),
        "lstm": Entry("lstm", "Lstm", "two LSTM layers over the last demand vectors, as the paper has them"),
        "lstm-clock": Entry("lstm", "LstmClock", "the same network, told the time of day"),
        "logistic": Entry("logistic", "Logistic", "one logistic regression for all pairs on rates and recent arrivals"),
        "last-value": Entry("simple", "LastValue", "what the last slot had"),
        "seasonal": Entry("simple", "Seasonal", "what the same slot of the day before had"),
        "mean": Entry("simple", "Mean", "the pair's share of slots with an arrival, at all times"),
        "oracle": Entry("simple", "Oracle", "what will happen; no forecast, but the bound of all"),
    }
)


def predictor(name: str, **options: Any) -> Predictor:
    """A predictor by its name in `PREDICTORS`.

    Raises
    ------
    ProblemError
        There is no predictor or no option of that name.
    """
    entry = chosen("predictor", name, PREDICTORS)
    cls = getattr(importlib.import_module(f"qnroute.learning.{entry.module}"), entry.cls)
    known = options_of(name)
    faults = [f"{name}.{option}: unknown option{_known(known)}" for option in options if option not in known]
    if faults:
        raise ProblemError(faults)
    return cls(**options)


def options_of(name: str) -> dict[str, Any]:
    """The options of a predictor and their defaults."""
    entry = chosen("predictor", name, PREDICTORS)
    cls = getattr(importlib.import_module(f"qnroute.learning.{entry.module}"), entry.cls)
    return {field.name: field.default for field in dataclasses.fields(cls)}


def _known(options: dict[str, Any]) -> str:
    return f", expected one of {', '.join(options)}" if options else ", there are none"
