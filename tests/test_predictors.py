"""Predictors of demand: what they say, from what they may know, and how they refuse."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import warnings

import numpy as np
import pytest
from workloads import DAY, rates, workload

from qnroute.errors import ProblemError, SolverError
from qnroute.learning import PREDICTORS, Predictor, evaluate, outcomes, predictor, thinned
from qnroute.learning.lstm import Lstm
from qnroute.learning.predictors import options_of
from qnroute.learning.profiles import Profile

SPLIT = 900
QUICK = {"epochs": 1, "length": 6}
FORECASTERS = ("arima", "lstm", "lstm-clock", "last-value", "seasonal", "mean")


def quick(name: str, **options):
    """A predictor for days of 24 slots that learns in no time."""
    known = {"slots_per_day": DAY, "neighbours": 1, **QUICK, **options}
    return predictor(name, **{option: value for option, value in known.items() if option in options_of(name)})


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    return workload(1, 1300)


def brier(name_or_said, counts, **options) -> float:
    said = name_or_said
    if isinstance(said, str):
        said = quick(said, **options).fit(counts[:SPLIT]).predict(counts, start=SPLIT)
    came = outcomes(counts, horizon=said.shape[2], start=SPLIT)
    return float(((said - came)[: -said.shape[2]] ** 2).mean())


# --- every predictor ---


@pytest.mark.parametrize("name", PREDICTORS)
def test_says_probabilities_of_the_slots_ahead(name, counts):
    one = quick(name)
    assert isinstance(one, Predictor)
    assert one.fit(counts[:SPLIT]) is one
    for start, horizon in ((0, 1), (SPLIT, 15), (len(counts) - 1, 3)):
        said = one.predict(counts, horizon=horizon, start=start)
        assert said.shape == (len(counts) - start, counts.shape[1], horizon) and said.dtype == np.float32
        assert np.isfinite(said).all() and said.min() >= 0 and said.max() <= 1


@pytest.mark.parametrize("name", [name for name in PREDICTORS if name != "oracle"])
def test_knows_nothing_of_the_future(name, counts):
    one, seen = quick(name).fit(counts[:SPLIT], clock=5), 1000
    other = counts.copy()
    other[seen + 1 :] = np.random.default_rng(0).poisson(3.0, other[seen + 1 :].shape)
    for start in (0, SPLIT):
        before = one.predict(counts, clock=5, start=start)
        after = one.predict(other, clock=5, start=start)
        known = seen + 1 - start
        assert np.array_equal(before[:known], after[:known])
        alone = one.predict(counts[: seen + 1], clock=5, start=start)
        assert np.allclose(before[:known], alone, atol=1e-6)
        assert name == "mean" or not np.array_equal(before[known:], after[known:])


@pytest.mark.parametrize("name", FORECASTERS)
def test_forecasts_know_nothing_of_the_future(name):
    amounts = 40 * rates(1300, 6) + np.random.default_rng(0).gamma(2.0, size=(1300, 6))
    one, seen = quick(name).fit_series(amounts[:SPLIT]), 1000
    other = amounts.copy()
    other[seen + 1 :] *= 3.7
    before, after = (one.forecast(values, start=SPLIT) for values in (amounts, other))
    assert np.array_equal(before[: seen + 1 - SPLIT], after[: seen + 1 - SPLIT])
    assert before.dtype == np.float32 and np.isfinite(before).all() and before.max() > 1


@pytest.mark.parametrize("name", PREDICTORS)
def test_the_same_seed_says_the_same(name, counts):
    first, second = (quick(name).fit(counts[:SPLIT]).predict(counts, start=SPLIT) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", PREDICTORS)
def test_pairs_without_traffic_and_without_a_pause(name):
    counts = np.zeros((400, 3), int)
    counts[:, 1] = 2
    counts[::7, 2] = 1
    said = quick(name).fit(counts).predict(counts, horizon=3)
    assert np.isfinite(said).all()
    if name != "oracle":
        assert said[:, 0].max() < 0.02 and said[100:, 1].min() > (0.8 if name == "logistic" else 0.95)
    nothing = np.zeros((400, 2), int)
    assert quick(name).fit(nothing).predict(nothing, horizon=3).max() < 0.02


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (np.full((400, 2), np.nan), r"counts\[0, 0\]: found nan, expected a number in \[0, 1e\+15\] \(and 799 more\)"),
        (np.full((400, 2), -1), r"counts\[0, 0\]: found -1"),
        (np.full((400, 2), 0.5), r"found 0.5, expected a whole number"),
        (np.full((400, 2), 1e300), r"found 1e\+300"),
        (np.zeros(400), "found 1 dimensions, expected 2"),
        (np.zeros((0, 3)), "found 0 slots of 3 pairs"),
        ([], "expected 2"),
        ([[1, 2], [3]], "expected a table of numbers"),
        (np.array([["a"]]), "expected numbers"),
        (None, "expected numbers"),
    ],
)
@pytest.mark.parametrize("name", PREDICTORS)
def test_refuses_what_is_no_series(name, bad, match):
    for call in (quick(name).fit, lambda x: quick(name).fit(workload(0, 400)).predict(x)):
        if call.__name__ == "<lambda>" and name.startswith("lstm"):
            continue  # the same check, behind a training
        with pytest.raises(ProblemError, match=match) as caught:
            call(bad)
        assert "\n" not in str(caught.value)


def test_refuses_what_does_not_fit_what_was_learned(counts):
    one = predictor("mean")
    with pytest.raises(ProblemError, match="nothing was learned yet, call fit first"):
        one.predict(counts)
    one.fit(counts)
    with pytest.raises(ProblemError, match="found 5 pairs, expected the 11"):
        one.predict(counts[:, :5])
    with pytest.raises(ProblemError, match="learned from counts, expected amounts: call fit_series first"):
        one.forecast(counts)
    for options in ({"horizon": 0}, {"start": len(counts)}, {"start": -1}, {"clock": 0.5}, {"horizon": True}):
        with pytest.raises(ProblemError, match=f"{next(iter(options))}: found"):
            one.predict(counts, **options)
    with pytest.raises(ProblemError, match="horizon: found 16, expected at most 15"):
        quick("lstm").fit(counts[:200]).predict(counts, horizon=16)


@pytest.mark.parametrize("name", ["arima", "lstm", "lstm-clock", "seasonal", "logistic"])
def test_says_how_much_history_it_needs(name, counts):
    with pytest.raises(ProblemError, match=r"fit: found 12 slots of history, expected at least \d+"):
        quick(name).fit(counts[:12])
    needed = quick(name)._needed()
    assert quick(name).fit(counts[:needed]).predict(counts, horizon=2).shape[0] == len(counts)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("frequency", {"normalise": "days"}),
        ("frequency", {"smoothing": -1}),
        ("seasonal", {"slots_per_day": 0}),
        ("arima", {"most_p": 9}),
        ("lstm", {"dropout": 1.0}),
        ("lstm-clock", {"harmonics": 0}),
        ("logistic", {"windows": ()}),
        ("last-value", {"window": 1.5}),
    ],
)
def test_refuses_bad_options_when_it_learns(name, options, counts):
    one = predictor(name, **options)  # the constructor only stores
    with pytest.raises(ProblemError, match=f"^{next(iter(options))}: found"):
        one.fit(counts)


def test_names_are_listed_and_misspelt_ones_refused():
    assert all(entry.description and options_of(name) is not None for name, entry in PREDICTORS.items())
    with pytest.raises(ProblemError, match="did you mean lstm-clock"):
        predictor("lstm_clock")
    with pytest.raises(ProblemError, match=r"mean.window: unknown option, there are none"):
        predictor("mean", window=3)


def test_predicting_needs_numpy_alone():
    code = """
import sys, numpy as np
from qnroute.learning import PREDICTORS, predictor
from qnroute.learning.recurrent import Layer, Recurrent
counts = np.random.default_rng(0).poisson(0.3, (400, 3))
for name in PREDICTORS:
    if not name.startswith("lstm"):
        predictor(name).fit(counts).predict(counts)
one = predictor("lstm", units=4)
layers = tuple(Layer(*(np.ones(s, "f4") for s in ((16, k), (16, 4), 16))) for k in (3, 4))
one.network_ = Recurrent(layers, np.ones((45, 4), "f4"), np.ones(45, "f4"), np.zeros((3, 0), "f4"))
one.n_pairs_, one.fitted_, one.pairs_, one.scale_, one.mean_ = 3, "counts", np.arange(3), np.ones(3), np.ones(3)
assert one.predict(counts).shape == (400, 3, 15)
print([name for name in ("torch", "sklearn", "statsmodels") if name in sys.modules])
"""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"


# --- references ---


def test_references_say_what_they_are_for(counts):
    came = counts > 0
    last = predictor("last-value").fit(counts).predict(counts, horizon=2)
    assert np.array_equal(last[:, :, 1], came)
    wide = predictor("last-value", window=4).fit(counts).predict(counts, horizon=1)
    assert np.allclose(wide[10, :, 0], came[7:11].mean(axis=0)) and np.allclose(wide[1, :, 0], came[:2].mean(axis=0))
    mean = predictor("mean").fit(counts[:SPLIT]).predict(counts, horizon=2)
    assert np.allclose(mean, came[:SPLIT].mean(axis=0)[:, None])
    oracle = predictor("oracle").fit(counts).predict(counts, horizon=30, start=3)
    assert np.array_equal(oracle, outcomes(counts, horizon=30, start=3)) and not oracle[-1].any()
    assert np.array_equal(oracle[5, :, 2], came[3 + 5 + 1 + 2])


def test_seasonal_repeats_the_last_known_day(counts):
    horizon, clock = 2 * DAY + 3, 7
    one = quick("seasonal").fit(counts[:SPLIT], clock=clock)
    said = one.predict(counts[SPLIT:], clock=clock + SPLIT, horizon=horizon)
    came = counts > 0
    for row in (0, 5, 200):
        for step in (0, 3, DAY - 1, DAY, 2 * DAY + 2):
            slot = SPLIT + row + 1 + step
            while slot > SPLIT + row:
                slot -= DAY
            assert np.array_equal(said[row, :, step], came[slot])


# --- frequency ---


def test_frequency_is_the_share_of_days(counts):
    plain = quick("frequency", smoothing=0, neighbours=0).fit(counts[:SPLIT], clock=3)
    said = plain.predict(counts, clock=3, start=SPLIT, horizon=DAY + 2)
    came, of_day = counts > 0, (3 + np.arange(len(counts) + 2 * DAY)) % DAY
    for row in (0, 100, 333):
        for step in (0, 7, DAY - 1, DAY + 1):
            seen = slice(0, SPLIT + row + 1)  # what was learned, and the run since
            same = of_day[seen][: SPLIT + row + 1] == of_day[SPLIT + row + 1 + step]
            assert np.allclose(said[row, :, step], came[seen][same].mean(axis=0), atol=1e-6)


def test_frequency_over_pairs_is_a_distribution(counts):
    plain = quick("frequency", smoothing=0, neighbours=0, normalise="pairs").fit(counts[:SPLIT])
    said = plain.predict(counts[SPLIT:], clock=SPLIT, horizon=3)
    same = counts[: SPLIT + 1][(np.arange(SPLIT + 1) % DAY) == (SPLIT + 3) % DAY]
    assert np.allclose(said[0, :, 2], same.sum(axis=0) / same.sum(), atol=1e-6)
    smooth = quick("frequency", normalise="pairs").fit(counts[:SPLIT]).predict(counts, start=SPLIT)
    assert np.allclose(smooth.sum(axis=1), 1, atol=1e-5)
    nothing = np.zeros((60, 2), int)
    assert not quick("frequency", normalise="pairs", smoothing=0).fit(nothing).predict(nothing).any()


def test_profiles_count_neighbours_and_go_on_counting(counts):
    came = (counts[:103] > 0).astype(float)
    profile, clock = Profile(came, 11, DAY, 2), 11
    weights = {j: (1 - abs(j) / 3) / 3 for j in range(-2, 3)}
    smooth = profile.smooth(profile.total)
    of_day = (clock + np.arange(103)) % DAY
    for slot in (0, 1, 23):
        by_hand = sum(w * came[of_day == (slot + j) % DAY].sum(axis=0) for j, w in weights.items())
        assert np.allclose(smooth[slot], by_hand)
    running = profile.going_on(came[:60], 11 + 103)
    for row, step in ((0, 1), (1, 3), (40, 1), (59, 30)):
        events, days = (part[row] for part in running.at(step))
        seen = [(clock + r, came[r]) for r in range(103)] + [(clock + 103 + r, came[r]) for r in range(row + 1)]
        slot = clock + 103 + row + step
        hits = [(w, x) for at, x in seen for j, w in weights.items() if (at - slot - j) % DAY == 0]
        assert np.allclose(events, sum(w * x for w, x in hits)) and np.isclose(days[0], sum(w for w, _ in hits))


# --- what is worth learning ---


def test_a_clear_period_is_seen_by_those_who_know_the_time():
    ahead = {name: [] for name in ("frequency", "logistic", "lstm-clock", "lstm", "arima")}
    best = []
    for seed in (3, 4):
        counts = workload(seed, 1500, total=2.0)
        mean = brier("mean", counts)
        truth = 1 - np.exp(-rates(1500 + 15, 11, total=2.0))
        known = np.stack([truth[SPLIT + 1 + step : SPLIT + 601 + step] for step in range(15)], axis=2)
        best.append(1 - brier(known, counts) / mean)
        for name, skills in ahead.items():
            skills.append(1 - brier(name, counts, epochs=40, length=8) / mean)
    best_skill = np.mean(best)
    for name, share in (("frequency", 0.7), ("logistic", 0.7), ("lstm-clock", 0.5)):
        assert min(ahead[name]) > share * best_skill and np.mean(ahead[name]) < best_skill
    for name in ("lstm", "arima"):
        assert np.mean(ahead[name]) < 0.6 * best_skill  # how busy the last slots were is all they have


def test_at_the_rate_of_the_paper_the_lstm_needs_a_clock():
    counts = workload(6, 1500, total=0.5, busier=3.0)
    mean = brier("mean", counts)
    blind, told = (1 - brier(name, counts, epochs=40, length=8) / mean for name in ("lstm", "lstm-clock"))
    assert blind < 0.2 * told and told > 0.005


def test_logistic_learns_bursts_that_no_profile_sees():
    rng = np.random.default_rng(0)
    on = np.zeros((1500, 6))
    for slot in range(1, 1500):
        on[slot] = np.where(rng.random(6) < 0.1, 1 - on[slot - 1], on[slot - 1])
    counts = rng.poisson(0.02 + 0.8 * on)
    named = {name: quick(name) for name in ("logistic", "frequency")}
    rows = {(row.predictor, row.step): row.skill for row in evaluate(named, counts, SPLIT, by_step=True)}
    assert rows["logistic", 1] > 0.05 and rows["logistic", None] > 0
    assert rows["frequency", 1] < 0


def test_logistic_regression_agrees_with_scikit_learn():
    import sklearn.linear_model as linear

    from qnroute.learning.logistic import _regress

    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(3000, 4)), rng.uniform(0.5, 3, 3000)
    y = (rng.random(3000) < 1 / (1 + np.exp(2 - x @ [1.0, -2.0, 0.0, 0.3]))).astype(float)
    share = np.average(y, weights=weights)
    mine = _regress(x, y, weights, 5.0 / (weights.sum() * share * (1 - share)), np.zeros(4))
    theirs = linear.LogisticRegression(C=1 / 5.0, tol=1e-10, max_iter=1000).fit(x, y, sample_weight=weights)
    assert np.allclose(mine, [theirs.intercept_[0], *theirs.coef_[0]], atol=1e-4)
    held = _regress(x, y, weights, 1e6, np.array([1.0, 2.0, 3.0, 4.0]))
    assert np.allclose(held[1:], [1, 2, 3, 4], atol=1e-3)


# --- the LSTM ---


@pytest.mark.parametrize("name", ["lstm", "lstm-clock"])
def test_lstm_says_without_torch_what_it_says_with_it(name, counts):
    import torch

    one = quick(name).fit(counts[:200], clock=9)
    network, pairs = one.network_, one.pairs_
    lstm = torch.nn.LSTM(network.layers[0].inputs.shape[1], 50, 2)
    for i, layer in enumerate(network.layers):
        for kind, value in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), (*layer, 0 * layer.bias)):
            getattr(lstm, f"{kind}_l{i}").data = torch.from_numpy(value)
    said = one.predict(counts[:300], clock=9, start=2)
    padded = np.concatenate([np.tile(one.mean_, (one.length, 1)), counts[:300, pairs] > 0])
    angle = 2 * np.pi * (9 + np.arange(-one.length, 330)) / DAY
    waves = np.stack([f(k * angle) for f in (np.sin, np.cos) for k in range(1, 5)], axis=1)
    for row in (2, 3, 50, 299):
        window = slice(row + 1, row + 1 + one.length)
        x = np.hstack([padded[window], waves[window]]) if name == "lstm-clock" else padded[window]
        with torch.no_grad():
            state = lstm(torch.from_numpy(x.astype(np.float32)))[0][-1].numpy()
        score = network.dense @ state + network.bias
        if name == "lstm-clock":
            score = score[:, None] + network.clock @ waves[row + one.length + 1 : row + one.length + 16].T
        by_torch = torch.from_numpy(score.reshape(pairs.size, 15)).sigmoid().numpy()
        assert np.allclose(said[row - 2, pairs], by_torch, atol=1e-5)


def test_lstm_leaves_the_caller_s_torch_alone(counts):
    import torch

    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    first = quick("lstm", seed=1).fit(counts[:200])
    torch.rand(3)
    second, third = (quick("lstm", seed=seed).fit(counts[:200]) for seed in (1, 2))
    for one, other in zip(first.network_.layers, second.network_.layers):
        assert all(np.array_equal(a, b) for a, b in zip(one, other))
    assert not np.array_equal(first.network_.dense, third.network_.dense)
    assert torch.get_num_threads() == threads
    torch.random.set_rng_state(state)


def test_lstm_stops_where_the_held_out_past_no_longer_gains():
    noise = np.random.default_rng(0).poisson(0.2, (400, 3))
    one = Lstm(length=4, learning_rate=0.05, epochs=30, patience=2).fit(noise)
    assert len(one.errors_) - 1 - int(np.argmin(one.errors_)) in (0, 2)
    assert len(one.errors_) < 31
    none = Lstm(length=4, epochs=0).fit(noise)
    assert np.allclose(none.predict(noise), (noise > 0).mean(axis=0)[:, None], atol=0.05)


def test_lstm_without_torch_says_what_to_install(monkeypatch, counts):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else real(name, *rest))
    with pytest.raises(SolverError, match=r'^training an LSTM needs torch: pip install "qnroute\[learn\]"$'):
        quick("lstm").fit(counts)


# --- amounts ---


@pytest.mark.parametrize("name", FORECASTERS)
def test_forecasts_amounts_in_their_unit(name):
    amounts = 1e4 * rates(1300, 6, busier=3.0) * np.random.default_rng(0).uniform(0.9, 1.1, (1300, 6))
    one = quick(name, epochs=30, batch=16, units=12, horizon=2, length=3).fit_series(amounts[:SPLIT])
    said = one.forecast(amounts, horizon=2, start=SPLIT)
    error = np.abs(said[:-1, :, 0] - amounts[SPLIT + 1 :]).sum() / amounts[SPLIT + 1 :].sum()
    assert error < {"mean": 0.6, "lstm": 0.35}.get(name, 0.25)
    with pytest.raises(ProblemError, match="learned from amounts, expected counts: call fit first"):
        one.predict(np.ones((50, 6)))


def test_thinned_arrivals_have_the_traffic_s_shape():
    amounts = 1e6 * rates(5000, 6)
    counts = thinned(amounts, rate=2.0, seed=4)
    assert counts.shape == amounts.shape and np.array_equal(counts, thinned(amounts, rate=2.0, seed=4))
    assert counts.sum() / 5000 == pytest.approx(2.0, rel=0.05)
    assert np.corrcoef(counts.sum(axis=1), amounts.sum(axis=1))[0, 1] > 0.5 and not counts[:, -1].any()
    with pytest.raises(ProblemError, match="zeros alone"):
        thinned(np.zeros((3, 2)), rate=1.0)
    with pytest.raises(ProblemError, match="rate"):
        thinned(amounts, rate=0.0)


def test_a_fit_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick("arima").fit_series(np.arange(100.0)[:, None]).forecast(np.arange(100.0)[:, None])
