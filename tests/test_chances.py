"""Shares, their intervals, and the time to target."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qnroute.benchmark.chances import reads_needed, share, time_to_target


def test_reads_needed_make_one_success_99_percent_certain():
    assert reads_needed(0.99) == reads_needed(1.0) == 1.0 and math.isinf(reads_needed(0.0))
    for chance in (0.001, 0.1, 0.5, 0.9, 0.98):
        needed = reads_needed(chance)
        assert 1.0 - (1.0 - chance) ** needed >= 0.99 > 1.0 - (1.0 - chance) ** (needed - 1)
    assert reads_needed(0.99, 32) == reads_needed(0.2, 32) == 32 and reads_needed(0.1, 32) == 64  # 1, 21, 44


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng, held = np.random.default_rng(1), 0
    for _ in range(2000):
        truth = rng.uniform(0.05, 0.95)
        found = share(int(rng.binomial(100, truth)), 100)
        held += found.low <= truth <= found.high
    assert 0.93 <= held / 2000 <= 0.97


def test_without_success_there_is_a_lower_limit_alone():
    none = time_to_target(2.0, 0, 100)
    assert none.value is None and none.high is None
    assert none.low == pytest.approx(2.0 * reads_needed(share(0, 100).high))
    some = time_to_target(2.0, 30, 100)
    assert some.low < some.value < some.high and some.value == pytest.approx(2.0 * reads_needed(0.3))
    assert time_to_target(2.0, 100, 100).value == 2.0 and share(0, 0).value is None
