"""Watching links: the outage filter against all hidden histories, the test for drift, and how far outcomes lie off."""

import itertools

import numpy as np
import pytest

from qnroute.learning.links.watching import OutageFilter, PageHinkley, surprise


def by_all_histories(tries, successes, p, mtbf, mttr):
    """P(up after the last slot | outcomes), summed over every sequence of states."""
    fails, mends = 1 / mtbf, 1 / mttr
    likelihood = np.zeros(2)
    for states in itertools.product((0, 1), repeat=len(tries) + 1):  # 1 is up; the first is before any slot
        chance = mtbf / (mtbf + mttr) if states[0] else mttr / (mtbf + mttr)
        for before, now, n, s in zip(states, states[1:], tries, successes):
            step = {(1, 1): 1 - fails, (1, 0): fails, (0, 1): mends, (0, 0): 1 - mends}
            chance *= step[before, now]
            chance *= p**s * (1 - p) ** (n - s) if now else float(s == 0)
        likelihood[states[-1]] += chance
    return likelihood[1] / likelihood.sum()


@pytest.mark.parametrize("seed", range(8))
def test_the_filter_is_the_sum_over_all_hidden_histories(seed):
    rng = np.random.default_rng(seed)
    p, mtbf, mttr = rng.uniform(0.1, 0.9), rng.uniform(3, 50), rng.uniform(2, 20)
    tries = rng.integers(0, 3, 9)
    successes = np.where(rng.random(9) < 0.25, rng.binomial(tries, p), 0)
    known = OutageFilter(1, mtbf=mtbf, mttr=mttr)
    for n, s in zip(tries, successes):
        up = known.update(np.array([n]), np.array([s]), np.array([p]))
    assert up[0] == pytest.approx(by_all_histories(tries, successes, p, mtbf, mttr), abs=1e-6)


def test_without_tries_the_filter_goes_back_to_what_is_usual():
    known = OutageFilter(2, mtbf=90.0, mttr=10.0)
    known.update(np.array([40, 1]), np.array([0, 1]), np.array([0.5, 0.5]))
    assert known.up[0] < 0.01 and known.up[1] > 0.99
    for _ in range(300):
        known.update(np.zeros(2), np.zeros(2), np.array([0.5, 0.5]))
    assert known.up == pytest.approx([0.9, 0.9], abs=1e-6)


def test_certain_links_break_nothing():
    known = OutageFilter(2)
    assert np.isfinite(known.update(np.array([5, 5]), np.array([0, 5]), np.array([1.0, 0.0]))).all()


def test_the_drift_test_is_a_sum_that_begins_again():
    test = PageHinkley(allowed=0.5, threshold=3.0)
    assert [test.update(value) for value in (1.0, 1.0, -5.0, 2.0, 2.0, 1.0, 0.0)] == [
        False, False, False, False, False, True, False,
    ]  # fmt: skip
    assert test.total == 0.0


def test_outcomes_as_predicted_surprise_nobody():
    rng = np.random.default_rng(1)
    p, n = rng.uniform(0.05, 0.95, 40), rng.integers(0, 30, 40)
    found = [surprise(rng.binomial(n, p), n, p) for _ in range(3000)]
    assert np.mean(found) == pytest.approx(0.0, abs=0.08) and np.std(found) == pytest.approx(1.0, abs=0.06)
    for other in (0.6 * p, p + 0.6 * (1 - p)):  # worse and better than predicted
        assert np.mean([surprise(rng.binomial(n, other), n, p) for _ in range(50)]) > 5.0


def test_windows_without_tries_say_nothing():
    assert surprise(np.zeros(3), np.zeros(3), np.full(3, 0.5)) == 0.0
