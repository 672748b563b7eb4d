"""Means, tests and corrections, against known examples, against statsmodels, and by simulation."""

import itertools
import math

import numpy as np
import pytest

from qnroute.benchmark.statistics import Difference, corrected, difference, holm, mean_interval

# --- means ---


def test_a_known_interval():
    """Student's own sleep data (Biometrika 6, 1 (1908)): mean 1.58, standard deviation 1.23, t = 2.262."""
    found = mean_interval([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert found.value == pytest.approx(1.58) and found.low == pytest.approx(0.700114, abs=1e-6)
    assert found.high == pytest.approx(2.459886, abs=1e-6)


@pytest.mark.parametrize("runs", [2, 5, 20])
def test_intervals_hold_the_mean_in_95_of_100(runs):
    rng = np.random.default_rng(7)
    intervals = [mean_interval(rng.normal(3.0, 2.0, runs)) for _ in range(1500)]
    inside = np.mean([found.low <= 3.0 <= found.high for found in intervals])
    assert abs(inside - 0.95) < 0.02


def test_what_cannot_be_said_is_none():
    assert mean_interval([]) == mean_interval([math.nan]) == (None, None, None)
    assert mean_interval([2.0]) == mean_interval([math.nan, 2.0]) == (2.0, None, None)
    assert mean_interval([1, 3, math.nan]) == mean_interval([1, 3])
    assert mean_interval([0.1] * 3) == pytest.approx((0.1, 0.1, 0.1))


# --- differences ---


def test_known_examples():
    """Wilcoxon's of Hollander and Wolfe (1973), p. 29; Mann and Whitney's by all ways to draw five of ten."""
    before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    found = difference(before, after)
    assert found.p_paired == pytest.approx(0.0390625)
    assert found.mean.value == pytest.approx(np.mean(before) - np.mean(after))
    assert difference(after, before).p_paired == pytest.approx(found.p_paired)
    one, other = [0.80, 0.83, 1.89, 1.04, 1.45], [1.15, 0.88, 0.90, 0.74, 1.21]
    drawn = [abs(above(set(part), one + other) - 12.5) for part in itertools.combinations(range(10), 5)]
    extreme = np.mean(np.array(drawn) >= abs(above(set(range(5)), one + other) - 12.5))
    assert difference(one, other).p_unpaired == pytest.approx(extreme)


def above(part, values):
    """How often a value of the part exceeds one of the others."""
    return sum(values[i] > values[j] for i in part for j in set(range(len(values))) - part)


def test_pairs_that_always_differ_the_same_way():
    """Five pairs cannot say more than 2 / 2^5; twice as many can."""
    few, many = (difference(np.arange(n) + 0.5, np.arange(n)) for n in (5, 10))
    assert few.p_paired == pytest.approx(0.0625) and many.p_paired < 0.01 < many.p_unpaired
    assert many.mean == pytest.approx((0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 1, 1, 2], [1, 1, 1, 1]),
        ([1, 2, 2, 2, 3], [2, 2, 1, 3, 3]),
        ([0, 0], [1, 1]),
        ([0.5] * 30, [0.25] * 30),
        ([0, 1] * 40, [1, 0] * 40),
        (list(range(60)), [0.0] * 60),
        ([1, math.nan, 3, 4], [2, 2, math.nan, 1]),
        ([1, 2, 3], [1, 2, 4]),
    ],
)
def test_ties_and_gaps_are_no_trouble(one, other):
    found = difference(one, other)
    assert 0.0 < found.p_paired <= 1.0 and 0.0 < found.p_unpaired <= 1.0
    assert found.mean.value is not None
    assert (found.p_paired_corrected, found.p_unpaired_corrected) == (found.p_paired, found.p_unpaired)


def test_nothing_to_test_is_no_difference():
    for one, other in (([], []), ([1.0], [2.0]), ([3.0] * 4, [3.0] * 4), ([math.nan] * 3, [1.0] * 3)):
        found = difference(one, other)
        assert found.p_paired == found.p_unpaired == 1.0
    assert difference([1.0], [3.0]).mean == (-2.0, None, None)
    assert difference([], []).mean == (None, None, None)


def test_no_difference_is_seldom_found():
    rng = np.random.default_rng(3)
    found = [difference(rng.normal(size=12), rng.normal(size=12)) for _ in range(400)]
    for name in ("p_paired", "p_unpaired"):
        assert np.mean([getattr(each, name) < 0.05 for each in found]) < 0.08


def test_runs_of_other_numbers_are_refused():
    from qnroute.errors import ProblemError

    with pytest.raises(ProblemError, match="found 2 and 3 runs, expected the same ones"):
        difference([1, 2], [1, 2, 3])


# --- corrections ---


def test_holm_is_that_of_statsmodels():
    from statsmodels.stats import multitest

    rng = np.random.default_rng(1)
    for size in [*range(1, 12), 50]:
        p = np.round(rng.random(size) ** 3, 2 if size % 2 else 12)  # rounded ones hold ties
        np.testing.assert_allclose(holm(p), multitest.multipletests(p, method="holm")[1], atol=1e-15)


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.9, 0.8, 1.0]), [1.0, 1.0, 1.0])
    assert holm([]).tolist() == [] and holm([0.2]).tolist() == [0.2]


def test_a_family_is_corrected_apart_for_each_test():
    rng = np.random.default_rng(2)
    family = {f"policy {i}": difference(rng.normal(i / 3, 1, 9), rng.normal(size=9)) for i in range(5)}
    found = corrected(family)
    assert list(found) == list(family)
    for name in ("p_paired", "p_unpaired"):
        plain = [getattr(each, name) for each in family.values()]
        told = [getattr(each, f"{name}_corrected") for each in found.values()]
        np.testing.assert_allclose(told, holm(plain))
        assert [getattr(each, name) for each in found.values()] == plain
    assert corrected({}) == {} and all(isinstance(each, Difference) for each in found.values())
