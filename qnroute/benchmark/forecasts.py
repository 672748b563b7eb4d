"""Forecasts of demand on held-out time: every predictor on paper C's workload, and on real traffic where it is there.

Arrivals are scored as probabilities (Brier, log loss, skill over the mean rate, calibration), amounts of traffic by
their normalised error. The real series are read from the folder that QNROUTE_DATA names; without it their rows are
left out. They are no entanglement requests: arrivals thinned from traffic are a stand-in, and called one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qnroute.errors import ProblemError
from qnroute.learning.predictors import PREDICTORS
from qnroute.learning.scoring import ForecastScore, SeriesScore, evaluate, evaluate_series, over_seeds
from qnroute.learning.series import thinned
from qnroute.simulation.matrices import pair_traffic, read_series
from qnroute.simulation.scenario import Scenario

DATA = "QNROUTE_DATA"
_HORIZON = 15
_PLAIN = "erdos-renyi:n=16,probability=0.25,p=0.12"  # demand does not depend on the network
_SEEDS = 2000
_REAL = {"geant": ("geant_15min.npz", 96), "abilene": ("abilene_5min.npz", 288)}  # file, slots of a day
_RATES = (2.0, 20.0)  # requests per slot of thinned traffic
_TRAINED = 0.75  # share of a real series before what is held out
_NEEDS_COUNTS = ("frequency", "logistic", "oracle")  # no forecasts of amounts


@dataclass(frozen=True)
class Forecast:
    """A predictor on one series: of arrivals the scores of probabilities, of amounts the error 1 and 15 slots ahead."""

    series: str
    predictor: str
    brier: float | None
    skill: float | None
    skill_low: float | None
    skill_high: float | None
    log_loss: float | None
    calibration: float | None
    nmae_1: float | None
    nmae_15: float | None
    last_value: float | None
    fit_s: float
    predict_s: float


def measure(
    *,
    runs: int,
    case: Sequence[str] | None = None,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[Forecast]:
    """All rows; `runs` seeds of the synthetic workload, `case` names the series (all if not given)."""
    stop, rows = interrupted or threading.Event(), []
    known = _cases(runs)
    if unknown := [name for name in case or () if name not in known]:
        raise ProblemError(f"--case: found {unknown[0]!r:.40}, expected some of {', '.join(known)}")
    for name, make in known.items():
        if stop.is_set():
            break
        if case is None or name in case:
            if doing is not None:
                doing(name)
            rows += make(name)
    return rows


def listing() -> list[str]:
    """The series that there are here."""
    return list(_cases(1))


def _cases(runs: int) -> dict[str, Callable[[str], list[Forecast]]]:
    found: dict[str, Callable[[str], list[Forecast]]] = {"business-hours": lambda name: _synthetic(name, runs)}
    folder = os.environ.get(DATA)
    for name, (file, day) in _REAL.items():
        path = Path(folder or "", "demand", file)
        if not folder or not path.is_file():
            continue
        found[f"{name} traffic"] = lambda series, path=path, day=day: _amounts(series, path, day)
        for rate in _RATES:
            found[f"{name} thinned to {rate:g}"] = (
                lambda series, path=path, day=day, rate=rate: _thinned(series, path, day, rate)
            )  # fmt: skip
    return found


def _synthetic(name: str, runs: int) -> list[Forecast]:
    """Paper C's workload, as many seeds."""
    scenario, tables = Scenario(_PLAIN), []
    for seed in range(_SEEDS, _SEEDS + runs):
        case = scenario.case(seed)
        tables.append(evaluate(list(PREDICTORS), case.counts, case.past, slots_per_day=case.slots_per_day))
    return [_of_probabilities(name, row) for row in over_seeds(tables)]


def _thinned(name: str, path: Path, day: int, rate: float) -> list[Forecast]:
    amounts = _traffic(path)
    counts = thinned(amounts, rate=rate, seed=0)
    split = int(_TRAINED * len(counts))
    return [_of_probabilities(name, row) for row in evaluate(list(PREDICTORS), counts, split, slots_per_day=day)]


def _amounts(name: str, path: Path, day: int) -> list[Forecast]:
    amounts = _traffic(path)
    several = [each for each in PREDICTORS if each not in _NEEDS_COUNTS]
    split = int(_TRAINED * len(amounts))
    rows = evaluate_series(several, amounts, split, slots_per_day=day, steps=(1, _HORIZON))
    pairs = [
        (one, other) for one in rows for other in rows if one.predictor == other.predictor and one.step < other.step
    ]
    return [_of_amounts(name, one, other) for one, other in pairs]


def _traffic(path: Path) -> np.ndarray:
    """(T, P) traffic of unordered pairs of sites."""
    matrices = read_series(str(path), None).matrices
    return pair_traffic(matrices, tuple(range(matrices.shape[1])))[1]


def _of_probabilities(series: str, row: ForecastScore) -> Forecast:
    return Forecast(
        series, row.predictor, row.brier, row.skill, row.skill_low, row.skill_high, row.log_loss, row.calibration, None,
        None, row.last_value, row.fit_s, row.predict_s,
    )  # fmt: skip


def _of_amounts(series: str, one: SeriesScore, other: SeriesScore) -> Forecast:
    return Forecast(
        series, one.predictor, None, None, None, None, None, None, one.nmae, other.nmae, one.last_value, one.fit_s,
        one.predict_s,
    )  # fmt: skip
