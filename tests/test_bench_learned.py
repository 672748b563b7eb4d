"""`qnroute bench learned`: shares of a proven optimum, the same problems for every method."""

from __future__ import annotations

import threading

import matplotlib.pyplot as plt
import pytest

import qnroute as qn
from qnroute.benchmark import learned, learned_slot, learned_throughput, learned_time
from qnroute.errors import ProblemError


def test_rows_say_what_the_methods_reach():
    rows = learned.measure(runs=2, case=["regular-16"])
    figure = learned.plot_rows(rows).figure
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(learned_slot.METHODS)
    assert [ax.get_title("left") for ax in figure.axes] == ["regular-16"]
    plt.close(figure)
    assert [row.method for row in rows] == list(learned_slot.METHODS) and all(
        row.problems == 2 and row.seen for row in rows
    )
    problems = [learned_slot.FAMILIES["regular-16"].problem(learned_slot.SEED + run) for run in range(2)]
    best = [qn.solve(problem, "exact").objective for problem in problems]
    for row, (method, options) in zip(rows, learned_slot.METHODS.values()):
        shares = [
            qn.solve(p, method, seed=run, **options).objective / b for run, (p, b) in enumerate(zip(problems, best))
        ]
        assert row.share == pytest.approx(sum(shares) / 2) and row.share <= 1.0 + 1e-9
        assert row.bound is None or row.bound >= 1.0 - 1e-9
    assert rows[0].above is None and rows[2].above == pytest.approx(rows[2].share - rows[0].share)


def test_problems_are_never_those_of_the_training():
    from qnroute.learning.routing.recipes import load_recipe

    sizes = load_recipe().problems
    assert sizes.seed + sizes.learned + sizes.held < learned_slot.SEED


def test_what_is_asked_is_checked_and_ctrl_c_ends_it():
    assert {line.partition(":")[0] for line in learned.listing()} >= {
        *learned_slot.FAMILIES,
        "online",
        "time",
        "throughput",
    }
    for case, words in (
        (["torus"], "--case: found 'torus'"), (["regular-16"] * 2, "given more than once"),
        (["time-torus"], "--case: found 'time-torus'"), (["regular-16", "time-regular"], "one kind at a time"),
    ):  # fmt: skip
        with pytest.raises(ProblemError, match=words):
            learned.measure(runs=1, case=case)
    stop = threading.Event()
    stop.set()
    assert learned.measure(runs=1, interrupted=stop) == []
    assert learned.measure(runs=1, case=["throughput"], interrupted=stop) == []


def test_ways_of_training_are_timed_side_by_side(monkeypatch):
    small = learned_throughput.COURSE._replace(updates=1, instances=2, episodes=2, batch=64)
    for name, value in (("COURSE", small), ("STEPS", 2), ("SIDE_BY_SIDE", 2), ("RANDOM", 5), ("PROBLEMS", 3)):
        monkeypatch.setattr(learned_throughput, name, value)
    rows = learned.measure(runs=2, case=["throughput"])
    assert len(rows) == 5 and all(0.0 < row.low <= row.per_second <= row.high and row.runs == 2 for row in rows)
    with pytest.raises(ProblemError, match="has no figure"):
        learned.plot_rows(rows)
    assert rows[0].ours_over_this is None and rows[1].ours_over_this == 1.0 and rows[3].ours_over_this > 0.0


def test_policies_in_time_meet_the_same_luck_and_the_best_is_held_against_each(monkeypatch):
    policies = ("reactive", "lookahead:frequency"), ("imitation", "ppo", learned_time.BEST)
    monkeypatch.setattr(learned_time, "PLAIN", policies[0])
    monkeypatch.setattr(learned_time, "LEARNED", policies[1])
    whole = learned_time.Case.scenario
    monkeypatch.setattr(learned_time.Case, "scenario", lambda case, name: whole(case, name).replace(slots=150))
    rows = learned.measure(runs=2, case=["time-regular", "time-nsfnet"])
    assert [row.policy for row in rows] == 2 * [*policies[0], *policies[1]]
    assert [row.case for row in rows] == 5 * ["time-regular"] + 5 * ["time-nsfnet"]
    assert [row.seen for row in rows] == 5 * [True] + 5 * [False]
    for part in (rows[:5], rows[5:]):
        best, top = part[-1], max(row.success for row in part[:2])
        assert all(row.hybrid_above == pytest.approx(best.success - row.success) for row in part[:-1])
        assert all(0.0 <= row.success <= row.possible and row.runs == 2 for row in part)
        assert best.hybrid_above is None and best.closed == pytest.approx((best.success - top) / (best.possible - top))
    figure = learned.plot_rows(rows).figure
    assert [ax.get_title("left") for ax in figure.axes] == ["time-regular", "time-nsfnet"]
    plt.close(figure)
    stop = threading.Event()
    stop.set()
    assert learned.measure(runs=1, case=["time"], interrupted=stop) == []
