"""How good forecasts are: proper scores on time that was held out, calibration, and what luck can explain.

A forecast from slot t of step h is held against slot t + 1 + h; those whose slot lies beyond the end are left out.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from qnroute.errors import ProblemError
from qnroute.fields import brief, chosen
from qnroute.learning.calibration import Bins
from qnroute.learning.predictors import PREDICTORS, Predictor, options_of, predictor
from qnroute.learning.series import LONGEST, amounts_of, counts_of, whole

CLIP = 1e-4  # probabilities are kept so far from 0 and 1 in the log loss, which is infinite there
REFERENCES = ("mean", "last-value")  # in every table
_LEVEL = 0.95
_DRAWS = 2000  # of the bootstrap
_NO_MEANS = ("predictor", "step", "skill", "skill_low", "skill_high", "forecasts")


@dataclass(frozen=True, kw_only=True)
class ForecastScore:
    """A predictor's scores, of one step ahead or of all.

    Attributes
    ----------
    predictor : its name
    step : slots ahead, from 1; None for all together
    brier : mean squared error of the probabilities over slots and pairs; 0 is perfect
    skill : 1 - brier / brier of `mean`, the share by which the mean rate's error is reduced; None if that has none
    skill_low, skill_high : its 95 % interval, by a bootstrap over whole days held out, or over seeds; None for less
        than two of them
    log_loss : mean of -log(probability of what happened), clipped at `CLIP`
    last_value : brier of `last-value` for the same slots
    calibration : mean distance of probability and observed frequency, see `calibration.reliability`
    forecasts : how many were scored
    fit_s, predict_s : CPU seconds; whoever is first to need a library or a compiled function pays for it
    """

    predictor: str
    step: int | None
    brier: float
    skill: float | None
    skill_low: float | None
    skill_high: float | None
    log_loss: float
    last_value: float
    calibration: float
    forecasts: int
    fit_s: float
    predict_s: float


@dataclass(frozen=True, kw_only=True)
class SeriesScore:
    """A predictor's error on amounts, of one step ahead.

    Attributes
    ----------
    predictor : its name
    step : slots ahead, from 1
    nmae : normalised mean absolute error: the sum of absolute errors over the sum of what was to be said; None if
        that is 0
    last_value : that of `last-value` for the same slots
    fit_s, predict_s : CPU seconds
    """

    predictor: str
    step: int
    nmae: float | None
    last_value: float | None
    fit_s: float
    predict_s: float


def evaluate(
    predictors: Sequence[str] | Mapping[str, Predictor],
    counts: Any,
    split: int,
    *,
    slots_per_day: int = 96,
    horizon: int = 15,
    clock: int = 0,
    seed: int = 0,
    by_step: bool = False,
) -> list[ForecastScore]:
    """Fit predictors on the slots before `split`, score them on those after.

    Parameters
    ----------
    predictors
        Names, or predictors by the name they shall have in the table; `REFERENCES` are added where missing.
    counts
        (T, P) arrivals.
    split
        The first row held out; what is said from it on is scored.
    slots_per_day
        Of predictors given by name, and of the days over which the bootstrap draws.
    horizon
        Steps ahead.
    clock
        The slot of row 0.
    seed
        Of the bootstrap, and of predictors given by name that have one.
    by_step
        Rows for each step ahead too.

    Returns
    -------
    list
        For each predictor a row over all steps, and with `by_step` one for each.

    Raises
    ------
    ProblemError
        Arguments that do not fit each other.
    """
    found = counts_of(counts)
    whole("split", split, 1, len(found) - 2)
    whole("horizon", horizon, 1, min(LONGEST, len(found) - split - 1))
    whole("slots_per_day", slots_per_day, 1, LONGEST)
    known = _named(predictors, slots_per_day=slots_per_day, horizon=horizon, seed=seed)
    measured = {name: _measured(name, one, found, split, horizon, clock) for name, one in known.items()}
    steps = [None, *range(horizon)] if by_step else [None]
    return [_row(name, step, measured, slots_per_day, seed) for name in known for step in steps]


def _measured(name: str, one: Predictor, found: np.ndarray, split: int, horizon: int, clock: int) -> _Measured:
    began = time.process_time()
    one.fit(found[:split], clock=clock)
    fitted = time.process_time()
    said = one.predict(found, clock=clock, horizon=horizon, start=split)
    ended = time.process_time()
    expected = (len(found) - split, found.shape[1], horizon)
    if np.shape(said) != expected:
        raise ProblemError(f"{name}: predicted an array of shape {np.shape(said)}, expected {expected}")
    if not ((said >= 0) & (said <= 1)).all():
        raise ProblemError(f"{name}: predicted values outside [0, 1], expected probabilities")
    return _Measured(said, found[split:], fitted - began, ended - fitted)


class _Measured:
    """What remains of a predictor's forecasts: sums per row and step, small beside the forecasts themselves."""

    def __init__(self, said: np.ndarray, found: np.ndarray, fit_s: float, predict_s: float):
        rows, self.pairs, horizon = said.shape
        self.fit_s, self.predict_s = fit_s, predict_s
        self.squares, self.logs = np.zeros((rows, horizon)), np.zeros((rows, horizon))
        self.sizes = np.zeros((rows, horizon))  # forecasts scored
        self.bins = [Bins() for _ in range(horizon)]
        for step in range(horizon):
            came, probability = found[step + 1 :] > 0, said[: rows - 1 - step, :, step].astype(np.float64)
            scored = len(came)
            self.sizes[:scored, step] = self.pairs
            self.squares[:scored, step] = ((probability - came) ** 2).sum(axis=1)
            right = np.clip(np.where(came, probability, 1 - probability), CLIP, 1 - CLIP)
            self.logs[:scored, step] = -np.log(right).sum(axis=1)
            self.bins[step].add(probability, came)

    def sums(self, step: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Squared errors, logarithms and numbers of forecasts, per row, of one step or all."""
        at = slice(None) if step is None else slice(step, step + 1)
        return self.squares[:, at].sum(axis=1), self.logs[:, at].sum(axis=1), self.sizes[:, at].sum(axis=1)


def _row(
    name: str, step: int | None, measured: Mapping[str, _Measured], slots_per_day: int, seed: int
) -> ForecastScore:
    own = measured[name]
    squares, logs, sizes = own.sums(step)
    mean, last = (measured[reference].sums(step)[0] for reference in REFERENCES)
    total = sizes.sum()
    low, high = _skill_interval(squares, mean, slots_per_day, seed)
    bins = Bins.together(own.bins if step is None else own.bins[step : step + 1])
    return ForecastScore(
        predictor=name,
        step=None if step is None else step + 1,
        brier=float(squares.sum() / total),
        skill=float(1 - squares.sum() / mean.sum()) if mean.sum() > 0 else None,
        skill_low=low,
        skill_high=high,
        log_loss=float(logs.sum() / total),
        last_value=float(last.sum() / total),
        calibration=bins.error(),
        forecasts=int(total),
        fit_s=own.fit_s,
        predict_s=own.predict_s,
    )


def _skill_interval(
    squares: np.ndarray, mean: np.ndarray, block: int, seed: int
) -> tuple[float, float] | tuple[None, None]:
    """95 % of the skill over bootstrapped blocks of rows, both predictors on the same; None for less than two."""
    firsts = np.arange(0, len(squares), block)
    if len(squares) < 2 * block or mean.sum() <= 0:
        return None, None
    own, reference = np.add.reduceat(squares, firsts), np.add.reduceat(mean, firsts)
    drawn = np.random.default_rng(seed).integers(0, firsts.size, (_DRAWS, firsts.size))
    under = reference[drawn].sum(axis=1)
    skill = 1 - own[drawn].sum(axis=1)[under > 0] / under[under > 0]
    low, high = np.quantile(skill, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def over_seeds(tables: Sequence[Sequence[ForecastScore]]) -> list[ForecastScore]:
    """One table of several with the same rows, each of another seed: means, and Student's interval of the skill.

    The interval says how skill differs from workload to workload, which days of one workload cannot.
    """
    from scipy.stats import t

    if not tables or any(
        [(r.predictor, r.step) for r in x] != [(r.predictor, r.step) for r in tables[0]] for x in tables
    ):
        raise ProblemError("tables: expected at least one, all with the same predictors and steps")
    merged = []
    for rows in zip(*tables):
        numbers = [f.name for f in fields(ForecastScore) if f.name not in _NO_MEANS]
        means = {name: float(np.mean([getattr(row, name) for row in rows])) for name in numbers}
        low = high = means["skill"] = None
        if all(row.skill is not None for row in rows):
            means["skill"] = float(np.mean([row.skill for row in rows]))
        if means["skill"] is not None and len(rows) > 1:
            error = np.std([row.skill for row in rows], ddof=1) / np.sqrt(len(rows))
            reach = float(t.ppf((1 + _LEVEL) / 2, len(rows) - 1) * error)
            low, high = means["skill"] - reach, means["skill"] + reach
        means |= {"skill_low": low, "skill_high": high, "forecasts": sum(row.forecasts for row in rows)}
        merged.append(replace(rows[0], **means))
    return merged


def evaluate_series(
    predictors: Sequence[str] | Mapping[str, Predictor],
    amounts: Any,
    split: int,
    *,
    slots_per_day: int = 96,
    steps: Sequence[int] = (1, 15),
    clock: int = 0,
    seed: int = 0,
) -> list[SeriesScore]:
    """Fit predictors on amounts before `split`, score what they say of those after; `evaluate` has the arguments.

    `steps` are the slots ahead that are scored, from 1. Every slot held out is scored for every step.
    """
    found = amounts_of(amounts)
    whole("split", split, 1, len(found) - 1)
    if not steps:
        raise ProblemError("steps: found none, expected at least one")
    horizon = max(whole("steps", step, 1, split) for step in steps)
    known = _named(predictors, slots_per_day=slots_per_day, horizon=horizon, seed=seed, references=("last-value",))
    errors, times = {}, {}
    for name, one in known.items():
        if not hasattr(one, "forecast"):
            raise ProblemError(f"predictors: {name} knows arrivals alone, expected one that forecasts amounts")
        began = time.process_time()
        one.fit_series(found[:split], clock=clock)
        fitted = time.process_time()
        said = one.forecast(found, clock=clock, horizon=horizon, start=split - horizon)
        times[name] = fitted - began, time.process_time() - fitted
        for step in steps:
            first = horizon - step  # from row split - step, whose step ahead is the first one held out
            errors[name, step] = nmae(said[first : first + len(found) - split, :, step - 1], found[split:])
    return [
        SeriesScore(
            predictor=name,
            step=step,
            nmae=errors[name, step],
            last_value=errors["last-value", step],
            fit_s=times[name][0],
            predict_s=times[name][1],
        )
        for name in known
        for step in steps
    ]


def nmae(said: np.ndarray, found: np.ndarray) -> float | None:
    """Normalised mean absolute error: sum of absolute errors over the sum of what was to be said; None if that is 0."""
    total = float(np.sum(found))
    return float(np.abs(said - found).sum() / total) if total > 0 else None


def _named(
    predictors: Sequence[str] | Mapping[str, Predictor], *, references: Sequence[str] = REFERENCES, **options: Any
) -> dict[str, Predictor]:
    """Predictors by name, the references too; those given as names get the options they have."""
    if isinstance(predictors, str):
        raise ProblemError(f"predictors: found {brief(predictors)}, expected a list of names")
    given = dict(predictors) if isinstance(predictors, Mapping) else {}
    names = [*predictors, *(name for name in references if name not in predictors)]
    for name in names:
        if name not in given:
            chosen("predictors", name, PREDICTORS)
            given[name] = predictor(name, **{k: v for k, v in options.items() if k in options_of(name)})
    return {name: given[name] for name in names}
