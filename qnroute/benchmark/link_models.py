"""CPU time of link models: learning from a million windows of links, forecasting 100,000 links."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qnroute.learning.links.features import features
from qnroute.learning.links.model import KINDS, LinkModel
from qnroute.learning.links.telemetry import Telemetry

WINDOWS, LINKS = 1000, 1000  # learned from
FORECAST = 100_000  # links
_FEW = 3  # windows seen before a forecast
_CORRELATION = 50.0  # windows
_ATTEMPTS = 30


@dataclass(frozen=True)
class Times:
    """CPU seconds of one kind, the median of the runs.

    Attributes
    ----------
    fit_s
        Of a whole model, which is three scorers, from telemetry: features included.
    predict_s
        Of means, deviations and intervals of all three targets, from features.
    ratio
        `fit_s` to that of `last-value`, which learns nothing but its spread.
    rows
        Of the target p, learned from.
    """

    kind: str
    fit_s: float
    ratio: float
    predict_s: float
    features_s: float
    rows: int


def drifting(windows: int, links: int, seed: int) -> Telemetry:
    """Telemetry of a ring of links whose p and fidelity wander."""
    rng = np.random.default_rng(seed)
    keep = np.exp(-1.0 / _CORRELATION)
    walk = rng.standard_normal((2, windows, links))
    for t in range(1, windows):
        walk[:, t] = keep * walk[:, t - 1] + np.sqrt(1.0 - keep**2) * walk[:, t]
    nominal_p, nominal_f = rng.uniform(0.2, 0.9, links), rng.uniform(0.85, 0.98, links)
    p = 1.0 / (1.0 + (1.0 / nominal_p - 1.0) * np.exp(-walk[0]))
    f = np.clip(nominal_f + 0.02 * walk[1], 0.3, 1.0)
    attempts = rng.integers(0, _ATTEMPTS + 1, (windows, links))
    made = rng.binomial(attempts, p)
    samples = 5 * made
    with np.errstate(invalid="ignore", divide="ignore"):
        fidelity = (3.0 * rng.binomial(samples, (2.0 * f + 1.0) / 3.0) / samples - 1.0) / 2.0
    ends = tuple((str(e), str((e + 1) % links)) for e in range(links))
    still = lambda values: np.tile(values, (windows, 1))  # noqa: E731
    return Telemetry(
        "ring", ends, attempts, made, fidelity, samples, rng.uniform(0, 1, (windows, links)), still(nominal_p),
        still(nominal_f), rng.uniform(1, 50, links), rng.uniform(0.2, 10, links),
    )  # fmt: skip


def measure(
    *,
    runs: int,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
    windows: int = WINDOWS,
    links: int = LINKS,
    forecast: int = FORECAST,
) -> list[Times]:
    """A row for each kind."""
    stop, rows = interrupted or threading.Event(), []
    past, now = drifting(windows, links, 0), drifting(_FEW, forecast, 1)
    start = time.process_time()
    X, near = features(now)[-1], now.neighbours()
    made_s = (time.process_time() - start) / _FEW
    for kind in ("last-value", *(each for each in KINDS if each != "last-value")):
        LinkModel(kind).fit([drifting(12, 20, 2)]).predict(drifting(3, 20, 3))  # imports and compiles
        fitted, predicted = [], []
        for run in range(runs):
            if stop.is_set():
                return rows
            if doing is not None:
                doing(f"{kind}, run {run + 1}")
            start = time.process_time()
            model = LinkModel(kind).fit([past])
            fitted.append(time.process_time() - start)
            start = time.process_time()
            model.forecast(X, near)
            predicted.append(time.process_time() - start)
        fit, predict = float(np.median(fitted)), float(np.median(predicted))
        first = rows[0].fit_s if rows else fit
        rows.append(Times(kind, fit, fit / first, predict, made_s, model.trained_["rows"]["p"]))
    return rows
