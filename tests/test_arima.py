"""ARIMA: coefficients, orders and forecasts, held against statsmodels and plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from qnroute.learning import predictor
from qnroute.learning.arma import LAGS, errors_of, estimate, settled

MODELS = [([0.7], []), ([], [0.5]), ([0.6], [0.4]), ([0.5, 0.3], []), ([1.2, -0.5], [0.3]), ([], [0.4, -0.3])]


def simulated(phi, theta, slots, series=1, seed=0) -> np.ndarray:
    """(slots, series) of an ARMA with errors of variance 1, after it has forgotten its start."""
    errors = np.random.default_rng(seed).normal(size=(slots + 300, series))
    return lfilter([1, *theta], [1, *(-np.asarray(phi))], errors, axis=0)[300:]


def raised(series: np.ndarray) -> np.ndarray:
    """The same, nowhere negative."""
    return series - series.min() + 1.0


def only(p: int, q: int, series: np.ndarray) -> np.ndarray:
    """(p + q,) coefficients of one order."""
    squares, coefs = estimate(series - series.mean(), 20, p, q, p + q + 1)
    assert np.isfinite(squares[p, q])
    return coefs[p, q]


@pytest.mark.parametrize(("phi", "theta"), MODELS)
def test_coefficients_are_those_of_statsmodels(phi, theta):
    import statsmodels.tsa.arima.model as arima

    series = simulated(phi, theta, 3000)[:, 0]
    mine = only(len(phi), len(theta), series)
    theirs = arima.ARIMA(series - series.mean(), order=(len(phi), 0, len(theta)), trend="n").fit().params[:-1]
    assert np.allclose(mine, theirs, atol=0.01)
    assert np.allclose(mine, [*phi, *theta], atol=0.12)


@pytest.mark.parametrize(("phi", "theta"), MODELS)
@pytest.mark.parametrize("d", [0, 1])
def test_forecasts_are_those_of_statsmodels(phi, theta, d):
    import statsmodels.tsa.arima.model as arima

    series = simulated(phi, theta, 800, seed=3)[:, 0]
    series = raised(np.cumsum(series) if d else series)
    one = predictor("arima").fit_series(series[:, None])
    p, _, q = (len(phi), d, len(theta))
    squares, coefs = estimate(np.diff(series) if d else series - series.mean(), 20, p, q, p + q + 1)
    one.order_[0], one.coef_[0] = (p, d, q), 0.0
    one.coef_[0, :p], one.coef_[0, LAGS : LAGS + q] = coefs[p, q, :p], coefs[p, q, p:]
    model = arima.ARIMA(series - one.mean_[0], order=(p, d, q), trend="n")
    theirs = model.filter([*coefs[p, q], squares[p, q]]).forecast(15) + one.mean_[0]
    said = one.forecast(series[:, None], horizon=15, start=790)
    assert np.allclose(said[-1, 0], theirs, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("phi", "theta"), MODELS[:4])
def test_aic_mostly_finds_the_order(phi, theta):
    one = predictor("arima").fit_series(raised(simulated(phi, theta, 2000, series=40, seed=1)))
    right = (one.order_ == (len(phi), 0, len(theta))).all(axis=1)
    assert right.mean() > 0.5 and (one.order_[:, 1] == 0).mean() > 0.95


def test_aic_finds_out_that_a_walk_needs_differences():
    walks = raised(np.cumsum(simulated([], [-0.4], 1500, series=30), axis=0))
    assert (predictor("arima").fit_series(walks).order_[:, 1] == 1).mean() > 0.6
    assert not predictor("arima", most_d=0).fit_series(walks).order_[:, 1].any()


def test_noise_has_order_zero_and_is_its_mean():
    noise = np.random.default_rng(0).random((1000, 40))
    one = predictor("arima").fit_series(noise)
    assert (one.order_ == 0).all(axis=1).mean() > 0.6
    flat = one.order_.sum(axis=1) == 0
    assert np.allclose(one.forecast(noise, start=990)[:, flat], noise.mean(axis=0)[flat, None], atol=1e-6)


@given(st.lists(st.integers(-200, 200), min_size=1, max_size=4))
@settings(max_examples=200)
def test_the_guard_is_about_roots(hundredths):
    coefs = [value / 100 for value in hundredths]
    roots = np.roots([*(-np.array(coefs[::-1])), 1.0]) if any(coefs) else np.array([9.0])
    nearest = np.abs(roots).min(initial=9.0)
    if abs(nearest - 1.001) > 1e-6:
        assert settled(np.array(coefs)) == (nearest > 1.001)


def test_no_forecast_explodes():
    """Series on which regressions give explosive models: growth, steps, spikes, almost nothing."""
    slots = np.arange(300.0)
    rng = np.random.default_rng(0)
    awkward = np.stack(
        [
            1.05**slots,
            slots,
            (slots > 150) * 1000.0,
            (slots == 299) * 1e6,
            (slots == 3) * 1e-9,
            slots % 2,
            np.cumsum(np.cumsum(rng.random(300))),
            np.full(300, 7.0),
            np.zeros(300),
        ],
        axis=1,
    )
    one = predictor("arima").fit_series(awkward)
    for phi, theta in zip(one.coef_[:, :LAGS], one.coef_[:, LAGS:]):
        assert settled(phi) and settled(-theta)
    said = one.forecast(awkward, horizon=200)
    assert np.isfinite(said).all()
    reach = np.abs(np.diff(awkward, axis=0)).max(axis=0, initial=1e-12)
    assert (np.abs(said).max(axis=(0, 2)) <= 3 * awkward.max(axis=0) + 1000 * reach).all()
    assert np.allclose(said[:, 7], 7) and not said[:, 8].any()


def test_forecasts_are_the_recursion_written_out():
    series = raised(simulated([0.6], [0.4], 200)[:, 0])
    one = predictor("arima", most_d=0).fit_series(series[:, None])
    phi, theta = one.coef_[0, :LAGS], one.coef_[0, LAGS:]
    z = list(series[:151] - one.mean_[0])
    errors = list(errors_of(np.array(z), phi, theta))
    for _ in range(5):
        z.append(sum(c * x for c, x in zip(phi, z[::-1])) + sum(c * e for c, e in zip(theta, errors[::-1])))
        errors.append(0.0)
    said = one.forecast(series[:, None], horizon=5, start=150)[0, 0]
    assert np.allclose(said, np.array(z[-5:]) + one.mean_[0], atol=1e-5)


def test_arrivals_give_probabilities():
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.where(np.arange(600) % 100 < 50, 2.5, 0.02)[:, None], (600, 3))
    one = predictor("arima").fit(counts[:400])
    said = one.predict(counts, start=400)
    assert said.min() >= 0 and said.max() <= 1
    assert said[120, :, 0].min() > 0.5 > said[180, :, 0].max()
