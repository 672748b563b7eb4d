"""Scores of forecasts: by hand, of forecasts whose worth is known, and on real traffic."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from workloads import DAY, rates, workload

from qnroute.errors import ProblemError
from qnroute.learning import evaluate, evaluate_series, nmae, over_seeds, predictor, reliability, thinned
from qnroute.learning.scoring import CLIP

DATA = Path(os.environ.get("QNROUTE_DATA", ROOT.parent / "shared" / "data")) / "demand"
needs_traffic = pytest.mark.skipif(not DATA.is_dir(), reason=f"no traffic at {DATA}; set QNROUTE_DATA")


@dataclasses.dataclass
class Said:
    """A predictor that says what it is told to."""

    table: np.ndarray

    def fit(self, counts, *, clock=0):
        return self

    def predict(self, counts, *, clock=0, horizon=15, start=0):
        return self.table


def rows_of(predictors, counts, split, **options) -> dict:
    found = evaluate(predictors, counts, split, **{"slots_per_day": DAY, **options})
    return {(row.predictor, row.step): row for row in found}


def test_scores_are_those_computed_by_hand():
    counts = workload(0, 60, 4)
    said = np.random.default_rng(0).random((20, 4, 3)).astype(np.float32)
    said[0, 0] = (0.0, 1.0, 0.0)
    rows = rows_of({"mine": Said(said)}, counts, 40, horizon=3, by_step=True)
    last, mean = (counts > 0).astype(float), (counts[:40] > 0).mean(axis=0)
    squares, logs, lasts, means = {}, {}, {}, {}
    for row in range(20):
        for step in range(3):
            if 40 + row + 1 + step >= 60:
                continue
            for pair in range(4):
                came = counts[40 + row + 1 + step, pair] > 0
                p = float(said[row, pair, step])
                squares.setdefault(step + 1, []).append((p - came) ** 2)
                logs.setdefault(step + 1, []).append(-np.log(np.clip(p if came else 1 - p, CLIP, 1 - CLIP)))
                lasts.setdefault(step + 1, []).append((last[40 + row, pair] - came) ** 2)
                means.setdefault(step + 1, []).append((mean[pair] - came) ** 2)
    for kept in (squares, logs, lasts, means):
        kept[None] = [value for values in kept.values() for value in values]
    for step in (1, 2, 3, None):
        row = rows["mine", step]
        assert row.forecasts == len(squares[step])
        assert row.brier == pytest.approx(np.mean(squares[step]), rel=1e-6)
        assert row.log_loss == pytest.approx(np.mean(logs[step]), rel=1e-6)
        assert row.last_value == pytest.approx(np.mean(lasts[step]), rel=1e-6)
        assert row.skill == pytest.approx(1 - np.mean(squares[step]) / np.mean(means[step]), rel=1e-5)


def test_references_stand_in_every_table():
    rows = evaluate(["oracle", "frequency"], workload(0, 800), 600, slots_per_day=DAY)
    assert [row.predictor for row in rows] == ["oracle", "frequency", "mean", "last-value"]
    oracle, _, mean, last = rows
    assert (oracle.brier, oracle.skill, oracle.calibration) == (0, 1, 0) and oracle.skill_low == oracle.skill_high == 1
    assert oracle.log_loss == pytest.approx(-np.log1p(-CLIP))
    assert mean.skill == mean.skill_low == mean.skill_high == 0
    assert last.brier == last.last_value == mean.last_value and last.skill < 0
    assert all(row.fit_s >= 0 and row.predict_s >= 0 for row in rows)


def test_the_true_probability_beats_what_is_a_little_off():
    split, slots = 600, 4000
    true = 1 - np.exp(-rates(slots + 15, 8, total=2.0))
    ahead = np.stack([true[split + 1 + step : slots + 1 + step] for step in range(15)], axis=2)
    counts = workload(5, slots, 8, total=2.0)
    table = {"true": ahead, "bold": np.minimum(1.3 * ahead, 1), "shy": 0.7 * ahead}
    rows = rows_of({name: Said(said) for name, said in table.items()}, counts, split)
    true_row = rows["true", None]
    for name in ("bold", "shy"):
        assert rows[name, None].brier > true_row.brier and rows[name, None].log_loss > true_row.log_loss
        assert rows[name, None].calibration > 3 * true_row.calibration
    assert true_row.skill_low < true_row.skill < true_row.skill_high and true_row.skill_low > 0
    for bin_ in reliability(ahead, counts, start=split):
        if bin_.forecasts > 5000:
            assert bin_.happened == pytest.approx(bin_.said, abs=0.03)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Of a forecast that doubles the mean's rate the expected skill is known: over many workloads 95 % must hold it."""
    rng, hits, rate = np.random.default_rng(0), 0, 0.2
    expected = 1 - (rate * (1 - rate) + 0.1**2) / (rate * (1 - rate))
    said = {"off": Said(np.full((20 * DAY, 3, 1), rate + 0.1)), "mean": Said(np.full((20 * DAY, 3, 1), rate))}
    for seed in range(60):
        counts = (rng.random((21 * DAY, 3)) < rate).astype(int)
        rows = rows_of(said, counts, DAY, horizon=1, seed=seed)
        hits += rows["off", None].skill_low < expected < rows["off", None].skill_high
    assert 51 <= hits <= 60


def test_too_few_days_have_no_interval():
    rows = rows_of(["mean"], workload(0, 100), 70, horizon=3)
    assert rows["last-value", None].skill_low is None and rows["last-value", None].skill < 0


def test_tables_of_several_seeds_become_one():
    tables = [evaluate(["frequency"], workload(seed, 800), 600, slots_per_day=DAY, seed=seed) for seed in range(4)]
    merged = over_seeds(tables)
    skills = [table[0].skill for table in tables]
    assert merged[0].skill == pytest.approx(np.mean(skills)) and merged[0].forecasts == 4 * tables[0][0].forecasts
    assert merged[0].skill_high - merged[0].skill == pytest.approx(3.182446 * np.std(skills, ddof=1) / 2, rel=1e-5)
    assert over_seeds(tables[:1])[0].skill_low is None
    nothing = evaluate(["frequency"], np.zeros((800, 11)), 600, slots_per_day=DAY)
    assert nothing[0].skill is nothing[0].skill_low is over_seeds([tables[0], nothing])[0].skill is None
    for bad in ([], [tables[0], tables[1][:2]]):
        with pytest.raises(ProblemError, match="tables: expected at least one"):
            over_seeds(bad)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda c: evaluate("mean", c, 50), "predictors: found 'mean', expected a list of names"),
        (lambda c: evaluate(["lst"], c, 50), "predictors: found 'lst', expected one of"),
        (lambda c: evaluate(["mean"], c, 0), "split: found 0"),
        (lambda c: evaluate(["mean"], c, 99), "split: found 99"),
        (lambda c: evaluate(["mean"], c, 90, horizon=10), r"horizon: found 10, expected an integer in \[1, 9\]"),
        (lambda c: evaluate(["mean"], c - 1, 50), r"counts\[\d+, \d+\]: found -1"),
        (
            lambda c: evaluate({"x": Said(np.zeros((50, 11, 2)))}, c, 50),
            "x: predicted an array of shape",
        ),
        (
            lambda c: evaluate({"x": Said(np.full((50, 11, 15), np.nan))}, c, 50),
            "x: predicted values outside",
        ),
        (lambda c: evaluate_series(["logistic"], c, 50), "logistic knows arrivals alone"),
        (lambda c: evaluate_series(["mean"], c, 50, steps=(0,)), "steps: found 0"),
        (lambda c: evaluate_series(["mean"], c, 50, steps=()), "steps: found none"),
        (
            lambda c: reliability(np.zeros((3, 2, 1)), c),
            r"said: found shape .*, expected \(100, 11, horizon\)",
        ),
        (lambda c: reliability(np.full((100, 11, 1), 2.0), c), "outside"),
    ],
)
def test_refuses_arguments_that_do_not_fit(call, match):
    with pytest.raises(ProblemError, match=match):
        call(workload(0, 100))


def test_errors_of_amounts_are_normalised():
    amounts = 5 * rates(200, 4) + 1
    rows = {(row.predictor, row.step): row for row in evaluate_series(["seasonal"], amounts, 100, slots_per_day=DAY)}
    assert rows["seasonal", 1].nmae == pytest.approx(0, abs=1e-6)  # nothing but the period
    for step in (1, 15):
        by_hand = np.abs(amounts[100:] - amounts[100 - step : -step]).sum() / amounts[100:].sum()
        assert rows["last-value", step].nmae == rows["seasonal", step].last_value == pytest.approx(by_hand, rel=1e-5)
    assert nmae(np.ones(3), np.zeros(3)) is None


def _traffic(name: str, field: str, slots: int) -> np.ndarray:
    with np.load(DATA / name) as stored:
        series = stored[field][:slots]
    return series.reshape(len(series), -1).astype(float)


@needs_traffic
@pytest.mark.parametrize(
    ("name", "field", "slots", "day", "expected"),
    [
        ("abilene_5min.npz", "demand", 4032, 288, (0.115, 0.230, 0.445)),
        ("geant_15min.npz", "demand_kbps", 1342, 96, (0.113, 0.301, 0.271)),
    ],
)
def test_real_traffic_has_the_errors_that_were_measured(name, field, slots, day, expected):
    """The part that was held out is not on record; the last 22.8 % have these errors on both networks."""
    amounts = _traffic(name, field, slots)
    rows = evaluate_series(["seasonal", "arima"], amounts, round(0.772 * slots), slots_per_day=day)
    found = {(row.predictor, row.step): row.nmae for row in rows}
    mine = (found["last-value", 1], found["last-value", 15], found["seasonal", 1])
    assert np.allclose(mine, expected, atol=0.002)
    assert found["arima", 1] < 1.04 * found["last-value", 1]


@needs_traffic
def test_thinned_real_traffic_can_be_foreseen():
    amounts = _traffic("geant_15min.npz", "demand_kbps", 1342)
    counts = thinned(amounts, rate=20.0, seed=1)
    rows = rows_of(["logistic", "frequency"], counts, 1000, slots_per_day=96)
    assert rows["logistic", None].skill > 0
    assert rows["logistic", None].brier < rows["logistic", None].last_value


def test_a_predictor_of_one_s_own_can_be_evaluated():
    counts = workload(0, 300)
    rows = rows_of({"window": predictor("last-value", window=50)}, counts, 200)
    assert rows["window", None].brier < rows["last-value", None].brier
