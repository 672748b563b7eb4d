"""`qnroute bench learned --case online`: shares of what hindsight proves, the same sequences for every method."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import qnroute as qn
from qnroute.benchmark import learned, learned_online
from qnroute.errors import ProblemError
from qnroute.learning.routing.online_recipes import load_online_recipe
from qnroute.learning.routing.online_rules import ROW_PROGRAMS, play
from qnroute.learning.routing.streams import StreamPool, drawn_stream


def test_rows_say_what_the_methods_reach_of_hindsight():
    rows = learned.measure(runs=2, case=["online-regular-16"])
    assert [row.method for row in rows] == list(learned_online.METHODS) and all(row.seen for row in rows)
    shares = []
    for run in range(2):
        seed = learned_online.SEED + run
        rng = np.random.default_rng([seed, 9])
        pool = StreamPool.of(drawn_stream("regular", 16, rng, seed, per_request=learned_online.CANDIDATES))
        come = pool.arrivals(np.zeros(1, np.int64), rng)
        best = qn.solve(pool.streams[0].problem(come.group[0], come.weight[0]), "exact").objective
        worth = play(ROW_PROGRAMS, pool.known, np.zeros(1, np.int64), come, candidates=learned_online.CANDIDATES)
        shares.append(worth[0] / best)
    of = {row.method: row for row in rows}
    assert of["row programs"].share == pytest.approx(sum(shares) / 2)
    assert all(0.0 < row.share <= 1.0 and row.sequences == 2 for row in rows)
    assert of[learned_online.REFERENCE].above is None
    assert of["ppo"].above == pytest.approx(of["ppo"].share - of[learned_online.REFERENCE].share)


def test_streams_are_never_those_of_the_training():
    sizes = load_online_recipe().streams
    assert sizes.seed + sizes.learned + sizes.held < learned_online.SEED


def test_what_is_asked_is_checked_and_ctrl_c_ends_it():
    assert len(learned_online.listing()) == len(learned_online.FAMILIES) + 1
    for case, words in (
        (["online-torus"], "--case: found 'online-torus'"),
        (["online-regular-16"] * 2, "more than once"),
        (["online", "regular-16"], "one kind at a time"),
    ):
        with pytest.raises(ProblemError, match=words):
            learned.measure(runs=1, case=case)
    stop = threading.Event()
    stop.set()
    assert learned.measure(runs=1, case=["online"], interrupted=stop) == []
