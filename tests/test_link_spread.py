"""How far scorers may be off: intervals that keep their promise, deviations that are those behind the observations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from link_cases import links, quick
from scipy.optimize import approx_fprime

from qnroute.errors import ProblemError
from qnroute.learning.links import Linear, Nominal
from qnroute.learning.links import spread as spreads
from qnroute.learning.links.lessons import Luck


def covered(one, case, level: float) -> np.ndarray:
    low, high = one.interval(case.x, level=level)
    assert (low <= high).all()
    return (case.y >= low) & (case.y <= high)


@pytest.mark.parametrize(("name", "level", "seed"), [("nominal", 0.8, 0), ("linear", 0.9, 1), ("linear", 0.5, 2)])
def test_intervals_cover_as_often_as_split_conformal_does(name, level, seed):
    """With n scores the coverage of a split is Beta(k, n + 1 - k), k = ceil((n + 1) level), if the scores are good."""
    splits, kept, new = 60, 40, 500
    found = []
    for split in range(splits):
        case, later = links(1000 * seed + 2 * split, 400), links(1000 * seed + 2 * split + 1, new)
        one = quick(name, random_state=split).fit(case.x, case.y)
        assert one.arrays_["spread.scores"].size == kept
        found.append(covered(one, later, level).mean())
    rank = math.ceil((kept + 1) * level)
    expected = rank / (kept + 1)
    error = math.sqrt(expected * (1 - expected) * (1 / (kept + 2) + 1 / new) / splits)
    assert abs(np.mean(found) - expected) < 3.5 * error


def test_intervals_hold_for_new_links_where_rows_of_a_link_are_alike():
    """Rows of a link share an error. Parted by link an interval holds for new links; parted by row it is too narrow."""
    rng, found = np.random.default_rng(0), {"links": [], "rows": []}
    for split in range(15):
        places = rng.normal(size=(2, 60, 5))
        values = rng.normal(size=(2, 60))
        x, new = (np.repeat(part, 20, axis=0) for part in places)
        y, later = (np.repeat(part, 20) + 0.1 * rng.normal(size=1200) for part in values)
        for how, groups in (("links", np.repeat(np.arange(60), 20)), ("rows", None)):
            one = quick("gradient-boosting", random_state=split, trees=40, learning_rate=0.3)
            low, high = one.fit(x, y, groups=groups).interval(new, level=0.9)
            found[how].append(((later >= low) & (later <= high)).mean())
    assert np.mean(found["links"]) > 0.8 and np.mean(found["rows"]) < 0.5


def test_intervals_are_wide_where_links_are_uncertain():
    case, new = links(1, 6000), links(2, 6000)
    one = Linear().fit(case.x, case.y)
    inside, calm = covered(one, new, 0.9), new.sd < 0.1
    assert abs(inside[calm].mean() - 0.9) < 0.04 and abs(inside[~calm].mean() - 0.9) < 0.04
    low, high = one.interval(new.x)
    assert (high - low)[~calm].mean() > 2 * (high - low)[calm].mean()


def test_the_deviation_is_that_behind_the_observations():
    noise = np.random.default_rng(0).uniform(0.0, 0.15, 20_000) ** 2
    case, new = links(3, 20_000, noise=noise), links(4, 1000)
    knowing = Linear().fit(case.x, case.y, noise=noise).predict(new.x, return_std=True)[1]
    ignorant = Linear().fit(case.x, case.y).predict(new.x, return_std=True)[1]
    assert np.median(np.abs(knowing / new.sd - 1)) < 0.08
    assert np.median(ignorant / new.sd) > 1.2


def test_the_noise_of_counts_is_that_of_what_was_predicted():
    """Shares of few trials of chances that wander: noise by the chance drawn, or by the share itself, says too little
    or too much; by the prediction it leaves the spread of the chances."""
    rng = np.random.default_rng(1)
    x = rng.uniform(0.2, 0.8, (12_000, 1))
    chance = np.clip(x[:, 0] + rng.choice([-0.15, 0.15], len(x)), 0.0, 1.0)
    trials = rng.integers(1, 6, len(x))
    y = rng.binomial(trials, chance) / trials
    luck = Luck(trials, np.zeros(len(x)), np.ones(len(x)))
    sd = Linear().fit(x, y, luck=luck).predict(x, return_std=True)[1]
    assert np.median(sd) == pytest.approx(0.15, rel=0.1)
    plain = Linear().fit(x, y, noise=y * (1 - y) / trials).predict(x, return_std=True)[1]
    assert np.median(plain) > 0.25
    for bad in (luck._replace(trials=trials - 1), luck._replace(low=np.ones(len(x))), luck._replace(high=np.ones(2))):
        with pytest.raises(ProblemError, match="luck:"):
            Linear().fit(x, y, luck=bad)


def test_without_noise_observations_are_what_is_behind_them():
    case = links(5, 1000)
    one = Linear().fit(case.x, case.y)
    assert np.array_equal(one.arrays_["spread.latent"], one.arrays_["spread.seen"])


def test_the_likeliest_variance_has_no_slope_left():
    rng = np.random.default_rng(0)
    z = np.column_stack([rng.normal(size=(400, 2)), np.ones(400)])
    noise, weight, part = rng.uniform(0, 0.5, 400), rng.uniform(0.5, 2.0, 400), rng.uniform(0.3, 1.0, 400)
    error = rng.normal(size=400) * np.sqrt(part * np.exp(z @ [0.8, -0.3, 0.2]) + noise)

    def loss(b: np.ndarray) -> float:
        unit = np.average(error**2, weights=weight)
        variance = part * np.exp(z @ b) + noise
        likelihood = np.average(0.5 * (np.log(variance / unit) + error**2 / variance), weights=weight)
        noisy = min(np.average(noise, weights=weight) / unit, 1.0)
        level, width = spreads._BEHIND
        return (
            likelihood
            + (spreads._PENALTY * (b[:2] @ b[:2]) + 0.5 * noisy * ((b[2] - np.log(unit) - level) / width) ** 2) / 400
        )

    found = spreads._likeliest(z, error, noise, weight, part)
    assert np.abs(approx_fprime(found, loss, 1e-6)).max() < 1e-4
    assert np.allclose(found, [0.8, -0.3, 0.2], atol=0.3)


def test_constant_variance_is_the_mean_square():
    error = np.random.default_rng(1).normal(size=300)
    found = spreads._likeliest(np.ones((300, 1)), error, np.zeros(300), np.ones(300), np.ones(300))
    assert math.exp(found[0]) == pytest.approx(float(np.mean(error**2)), rel=1e-4)


def test_quantiles_are_the_order_statistics_that_are_due():
    arrays = {"spread.scores": np.arange(1.0, 10.0)}  # nine scores
    assert [spreads.quantile(arrays, level) for level in (0.1, 0.5, 0.51, 0.9)] == [1, 5, 6, 9]
    assert spreads.quantile(arrays, 0.95) == math.inf


def test_too_few_rows_promise_nothing_but_say_so():
    case = links(6, 20)
    one = Linear().fit(case.x, case.y)
    assert one.arrays_["spread.scores"].size == 20
    assert np.isinf(one.interval(case.x, level=0.99)).all() and np.isfinite(one.interval(case.x, level=0.9)).all()
    none = Linear(calibration=0.0).fit(*links(7, 100)[:2])
    assert none.arrays_["spread.scores"].size == 100


def test_a_perfect_prediction_has_no_spread():
    x = links(8, 200).x
    mean, sd = Nominal().fit(x, x[:, 0] * x[:, 1]).predict(x, return_std=True)
    assert np.array_equal(mean, x[:, 0] * x[:, 1]) and (sd < 1e-9).all()


@pytest.mark.parametrize("level", [0, 1, -0.5, True, "most", math.nan])
def test_levels_are_checked(level):
    case = links(9, 60)
    with pytest.raises(ProblemError, match="level: found"):
        Nominal().fit(case.x, case.y).interval(case.x, level=level)
