"""Times of link models in small: a row for each kind, of what it says it is."""

import threading

import numpy as np

from qnroute.benchmark.link_models import drifting, measure
from qnroute.learning.links.model import KINDS


def test_every_kind_has_a_row():
    rows = measure(runs=1, windows=14, links=12, forecast=30)
    assert {row.kind for row in rows} == set(KINDS) and rows[0].kind == "last-value" and rows[0].ratio == 1.0
    assert all(row.fit_s > 0 and row.predict_s > 0 and 0 < row.rows <= 13 * 12 for row in rows)


def test_what_is_learned_from_drifts():
    table = drifting(200, 50, 0)
    rate = table.successes.sum(axis=0) / table.attempts.sum(axis=0)
    assert np.corrcoef(rate, table.nominal_p[0])[0, 1] > 0.6
    assert not np.array_equal(drifting(5, 5, 1).attempts, drifting(5, 5, 2).attempts)


def test_interrupted_before_anything_there_are_no_rows():
    stop = threading.Event()
    stop.set()
    assert measure(runs=1, interrupted=stop, windows=14, links=12, forecast=30) == []
