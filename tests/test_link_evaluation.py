"""Evaluation of models of links beside plain loops; means over windows; forecasts put into problems."""

from __future__ import annotations

import dataclasses
import math
import threading

import numpy as np
import pytest
from link_tables import wandering

import qnroute as qn
from qnroute.errors import ProblemError, SolverError
from qnroute.learning.links import KINDS, LinkModel, applied, evaluate_models, forecast_rows
from qnroute.learning.links import features as made
from qnroute.learning.links.evaluation import LEVELS
from qnroute.learning.links.serial import mean_over_windows
from qnroute.multiplicity import holm

QUICK = {"graph": {"hidden": 4, "epochs": 2}, "gradient-boosting": {"trees": 5}}

# --- means over windows ---


def plainly(values, window):
    """The mean, its standard error and the degrees of freedom, by loops over windows and cosines."""
    windows = sorted(set(window))
    mean = sum(values) / len(values)
    per = len(values) / len(windows)
    off = [sum(v - mean for v, w in zip(values, window) if w == each) / per for each in windows]
    T = len(windows)
    nu = math.floor(0.4 * T ** (2 / 3))
    squares = 0.0
    for j in range(1, nu + 1):
        squares += (math.sqrt(2 / T) * sum(off[t] * math.cos(math.pi * j * (t + 0.5) / T) for t in range(T))) ** 2
    return mean, math.sqrt(squares / nu / T), nu


def test_means_over_windows_are_those_of_plain_loops():
    from scipy.stats import t

    rng = np.random.default_rng(0)
    window = np.sort(rng.integers(0, 50, 200)) * 3
    values = rng.normal(0.1, 1.0, 200)
    found, (mean, error, nu) = mean_over_windows(values, window), plainly(values.tolist(), window.tolist())
    assert found.mean == pytest.approx(mean, rel=1e-12)
    assert found.high - found.mean == pytest.approx(t.ppf(0.975, nu) * error, rel=1e-9)
    assert found.low + found.high == pytest.approx(2 * mean, rel=1e-9)
    assert found.p == pytest.approx(2 * t.sf(abs(mean) / error, nu), rel=1e-9)


def test_few_windows_and_no_differences_prove_nothing():
    assert mean_over_windows(np.ones(9), np.repeat([0, 1, 2], 3)) == (1.0, None, None, 1.0)
    assert mean_over_windows(np.zeros(9), np.arange(9)) == (0.0, 0.0, 0.0, 1.0)
    assert mean_over_windows(np.ones(9), np.arange(9)).p == 0.0


@pytest.mark.parametrize("unit", [1e-18, 1e-6, 1e9])
def test_units_make_no_difference_to_a_test(unit):
    values = np.random.default_rng(2).normal(0.1, 1.0, 40)
    assert mean_over_windows(unit * values, np.arange(40)).p == pytest.approx(
        mean_over_windows(values, np.arange(40)).p, rel=1e-6
    )
    assert mean_over_windows(np.full(40, 0.1 * unit), np.arange(40)).p == 0.0


@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_the_level_is_kept_where_windows_hang_together(keep):
    """Of series without a mean one in twenty is called significant, more than that where they wander: up to a tenth."""
    rng, T, times, sure, naive = np.random.default_rng(1), 60, 400, 0, 0
    noise = rng.normal(size=(times, T + 50))
    for row in noise:
        for i in range(1, T + 50):
            row[i] += keep * row[i - 1]
        values = row[50:]
        sure += mean_over_windows(values, np.arange(T)).p < 0.05
        naive += abs(values.mean()) > 2.0 * values.std(ddof=1) / math.sqrt(T)
    assert 0.02 < sure / times < 0.1
    assert keep == 0.0 or naive / times > 0.2


# --- evaluation ---


@pytest.fixture(scope="module")
def tables():
    return [wandering(windows=24, links=10, seed=seed, name=f"net {seed}")[0] for seed in range(2)]


@pytest.mark.parametrize("kind", ["linear", "graph"])
def test_an_evaluation_is_that_of_forecasts_made_window_by_window(kind, tables):
    options = {kind: QUICK.get(kind, {})}
    found = {row.target: row for row in evaluate_models(tables, kinds=[kind], options=options).rows if row.kind == kind}
    model = LinkModel(kind, options[kind]).fit([table.between(0, 16) for table in tables])
    for target, row in found.items():
        off, luck, within, width, per_window = [], [], [], [], []
        for table in tables:
            y, noise = made.outcomes(table, target)
            for window in range(16, 24):
                said = getattr(model.predict(table.between(0, window)), target)
                known = ~np.isnan(y[window])
                off += (y[window] - said.mean)[known].tolist()
                luck += noise[window][known].tolist()
                within += ((said.low <= y[window]) & (y[window] <= said.high))[known].tolist()
                width += (said.high - said.low)[known].tolist()
                per_window.append(known.sum())
        square = np.array(off) ** 2
        assert row.rows == len(off) == sum(per_window) and row.windows == 16
        assert row.rmse == pytest.approx(math.sqrt(square.mean()), rel=1e-9)
        assert row.mae == pytest.approx(np.abs(off).mean(), rel=1e-9)
        assert row.behind == pytest.approx(math.sqrt(max(square.mean() - np.mean(luck), 0.0)), abs=1e-9)
        assert row.coverage == pytest.approx(np.mean(within), abs=1e-12)
        assert row.width == pytest.approx(np.mean(width), rel=1e-9)


def test_verdicts_follow_from_corrected_tests(tables):
    rows = evaluate_models(tables, kinds=["empirical", "linear"]).rows
    for target in made.TARGETS:
        some = {row.kind: row for row in rows if row.target == target}
        assert list(some) == ["nominal", "empirical", "linear", "last-value"]
        last = some.pop("last-value")
        assert last.difference is None and last.p is None and last.verdict == "-"
        np.testing.assert_allclose([r.p_corrected for r in some.values()], holm([r.p for r in some.values()]))
        for row in some.values():
            assert row.difference == pytest.approx(row.rmse**2 - last.rmse**2, abs=1e-12)
            assert row.difference_low < row.difference < row.difference_high
            sure = row.p_corrected < 0.05
            assert row.verdict == (("better" if row.difference < 0 else "worse") if sure else "-")
            assert row.rmse_low < row.rmse < row.rmse_high


def test_links_that_never_change_are_as_calibrated():
    """What was last seen adds its own luck to that of the next window; all of it is explained in the nominal error."""
    table = wandering(windows=100, links=10, sd=0.0, attempts=100)[0]
    rows = {row.kind: row for row in evaluate_models([table], kinds=[], split=0.3).rows if row.target == "p"}
    assert rows["nominal"].verdict == "better" and rows["nominal"].behind < 0.5 * rows["last-value"].behind
    assert list(rows["nominal"].coverages) == sorted(rows["nominal"].coverages)
    assert len(rows["nominal"].coverages) == len(LEVELS)


def test_links_that_wander_far_are_worse_than_last_seen_by_their_calibration():
    table = wandering(windows=100, links=10, sd=3.0, attempts=100, correlation=100.0)[0]
    rows = {row.kind: row for row in evaluate_models([table], kinds=[], split=0.3).rows if row.target == "p"}
    assert rows["nominal"].verdict == "worse" and rows["nominal"].difference > 0


def test_nominal_is_left_out_where_nothing_was_calibrated(tables):
    nothing = np.full(tables[0].attempts.shape, np.nan)
    found = evaluate_models([dataclasses.replace(tables[0], nominal_p=nothing)], kinds=["empirical"])
    kinds = {target: [row.kind for row in found.rows if row.target == target] for target in made.TARGETS}
    assert kinds["p"] == kinds["quality"] == ["empirical", "last-value"] and "nominal" in kinds["fidelity"]
    assert [remark.split(":")[0] for remark in found.remarks] == ["quality", "p"]


def test_other_networks_to_test_on(tables):
    other = wandering(windows=12, links=6, seed=9, name="other")[0]
    rows = evaluate_models(tables, test=[other], kinds=["nominal"]).rows
    assert {row.windows for row in rows} <= {10, 11}
    y = made.outcomes(other, "p")[0][1:]
    assert next(row.rows for row in rows if row.target == "p") == (~np.isnan(y)).sum()
    with pytest.raises(ProblemError, match="test: found net 1 among what is learned from"):
        evaluate_models(tables, test=[tables[1]])


def test_the_same_seed_gives_the_same_rows(tables):
    one, other = (
        [dataclasses.replace(row, fit_s=0.0) for row in evaluate_models(tables, kinds=["graph"], options=QUICK).rows]
        for _ in range(2)
    )
    assert one == other


def test_an_interruption_keeps_the_kinds_learned_by_then(tables):
    stop, told = threading.Event(), []

    def doing(step):
        told.append(step)
        if len(told) == 2:
            stop.set()

    found = evaluate_models(tables, doing=doing, interrupted=stop)
    assert found.stopped and {row.kind for row in found.rows} == {"nominal", "last-value"}
    assert told == ["learning last-value", "learning nominal"]


def test_kinds_that_lack_a_library_are_left_out_unless_named(tables, monkeypatch):
    import importlib.util

    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *r: None if name == "torch" else there(name))
    found = evaluate_models(tables, options=QUICK)
    assert {row.kind for row in found.rows} == set(KINDS) - {"mlp", "graph"}
    assert [remark.split(":")[0] for remark in found.remarks] == ["mlp is left out", "graph is left out"]
    with pytest.raises(SolverError, match="needs torch"):
        evaluate_models(tables, kinds=["mlp"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kinds": ["oracle"]}, "model: found 'oracle'"),
        ({"split": 0.0}, "split: found 0.0"),
        ({"split": 1}, "split: found 1"),
        ({"split": float("nan")}, "split: found nan"),
        ({"options": {"nominal": {"calibration": 2.0}}}, "calibration: found 2.0"),
        ({"options": {"liner": {}}}, "model: found 'liner'"),
        ({"tables": []}, "found no networks"),
    ],
)
def test_bad_settings_are_refused(change, words, tables):
    with pytest.raises(ProblemError, match=words):
        evaluate_models(**{"tables": tables, **change})


def test_what_was_never_calibrated_has_no_nominal_forecast(tables):
    plain = [dataclasses.replace(t, nominal_fidelity=np.full(t.attempts.shape, np.nan)) for t in tables]
    model = LinkModel("nominal").fit(plain)
    assert set(model.scorers_) == {"p"} and model.predict(plain[0]).fidelity is None
    found = evaluate_models(plain, kinds=["empirical"])
    assert {row.target for row in found.rows if row.kind == "nominal"} == {"p"} and len(found.remarks) == 2
    none = [dataclasses.replace(t, nominal_p=np.full(t.attempts.shape, np.nan)) for t in plain]
    with pytest.raises(ProblemError, match="found no calibrated link"):
        LinkModel("nominal").fit(none)
    assert "nominal" not in {row.kind for row in evaluate_models(none, kinds=["empirical"]).rows}


def test_calibrations_to_come_are_not_learned_from(tables):
    """A calibration within the windows held out tells nothing of those before."""
    late = np.full(tables[0].attempts.shape, np.nan)
    late[-3:] = tables[0].nominal_p[-3:]
    plain = dataclasses.replace(tables[0], nominal_p=late)
    assert np.isnan(plain.between(0, plain.n_windows - 3).nominal_p).all()


def test_a_fit_that_fails_leaves_the_model_as_it_was(tables):
    model = LinkModel("linear").fit(tables)
    before = model.predict(tables[0])
    with pytest.raises(ProblemError, match="target: found 'colour'"):
        model.fit(tables, targets=["colour"])
    with pytest.raises(ProblemError, match="found no link seen"):
        model.fit([tables[0].between(0, 1)])
    assert np.array_equal(model.predict(tables[0]).p.mean, before.p.mean)


def test_too_few_windows_are_refused(tables):
    with pytest.raises(ProblemError, match="net 0: found 2 windows, expected at least 3 to be split"):
        evaluate_models([tables[0].between(0, 2)])
    with pytest.raises(ProblemError, match="net 1: found 1 windows, expected at least 2 to be tested on"):
        evaluate_models(tables[:1], test=[tables[1].between(0, 1)])


# --- forecasts in problems ---


def ring(links=6, **columns):
    nodes = [{"id": f"n{i}"} for i in range(links + 1)]
    rows = [{"source": f"n{(e + 1) % links}", "target": f"n{e}", "p": 0.5, "fidelity": 0.9} for e in range(links)]
    rows.append({"source": "n0", "target": f"n{links}", "p": 0.4, "fidelity": 0.8, "score": 0.7})
    return qn.Problem(qn.Network(nodes, rows), [qn.Request("r", "n0", "n2")], **columns)


def test_forecasts_go_to_links_by_their_ends_both_ways_round():
    table = wandering(windows=12, links=6)[0]
    forecast = LinkModel("empirical").fit([table]).predict(table)
    problem = ring(objective="link-sum")
    scored, remarks = applied(problem, table, forecast)
    np.testing.assert_array_equal(scored.network.score[:6], forecast.quality.mean)
    assert scored.network.score[6] == 0.7 and (scored.network.p == problem.network.p).all()
    assert remarks == ["1 links of the problem have no telemetry and keep what they have: n0 - n6"]
    changed, _ = applied(problem, table, forecast, way="p-and-fidelity")
    np.testing.assert_array_equal(changed.network.p[:6], np.clip(forecast.p.mean, 1e-6, 1))
    np.testing.assert_array_equal(changed.network.fidelity[:6], np.clip(forecast.fidelity.mean, 0.25 + 1e-9, 1))
    assert (changed.network.p[6], changed.network.fidelity[6]) == (0.4, 0.8)
    assert np.isnan(changed.network.score[:6]).all()


def test_remarks_name_what_has_no_counterpart():
    table = wandering(windows=12, links=9)[0]
    forecast = LinkModel("nominal").fit([table]).predict(table)
    _, remarks = applied(ring(6), table, forecast)
    assert remarks[1].startswith("4 links of the telemetry are not in the problem: n5 - n6, n6 - n7, n7 - n8, n8 - n0")
    assert "n5 - n0" in remarks[0] or "n0 - n5" in remarks[0]
    assert remarks[2].startswith("the objective expected-pairs does not look at scores")
    strange = dataclasses.replace(table, ends=tuple((f"x{u}", v) for u, v in table.ends))
    with pytest.raises(ProblemError, match="found no link of the problem's network"):
        applied(ring(6), strange, forecast)
    with pytest.raises(ProblemError, match="as: found 'scores'"):
        applied(ring(6), table, forecast, way="scores")


def test_what_was_not_learned_is_not_put_into_a_problem():
    table = wandering(windows=12, links=6)[0]
    blind = dataclasses.replace(table, fidelity=np.full(table.attempts.shape, np.nan))
    forecast = LinkModel("nominal").fit([blind]).predict(blind)
    with pytest.raises(ProblemError, match="quality: was not learned"):
        applied(ring(), blind, forecast)
    changed, remarks = applied(ring(), blind, forecast, way="p-and-fidelity")
    assert (changed.network.fidelity == ring().network.fidelity).all() and "fidelity was not learned" in remarks[0]
    rows = forecast_rows(blind, forecast)
    assert rows[0].quality is None and rows[0].fidelity_low is None and rows[0].p == forecast.p.mean[0]
    assert (rows[0].source, rows[0].target) == blind.ends[0]
