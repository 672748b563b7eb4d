"""Sampling: any sampler through one door, honest about what was repaired, reproducible, and stopped when told to."""

from __future__ import annotations

import re
import threading

import dimod
import numpy as np
import pytest
from dwave.samplers import TabuSampler

import qnroute as qn
from qnroute import generate
from qnroute.allocation import check
from qnroute.errors import SolverError
from qnroute.models import LinkSelectionQubo, RouteChoiceQubo
from qnroute.settings import Settings
from qnroute.solvers.annealing import draws, sampler_called, schedule_of

SEEDED = [("neal", {}), ("tabu", {"reads": 2}), ("anneal", {"sampler": "steepest-descent"})]


def crowded(seed=1, n=30, count=20):
    network = generate.random_geometric(n, 35.0, seed=seed, p=(0.5, 0.95), channels=(1, 2))
    return qn.Problem(network, generate.requests(network, count, seed=seed))


def selection(seed=1, degree=1, n=30):
    network = generate.random_geometric(n, 30.0, seed=seed, p=(0.3, 0.99))
    return qn.Problem(network, task="link-selection", rules={"degree": degree})


@pytest.mark.parametrize(("name", "options"), SEEDED)
@pytest.mark.parametrize("problem", [crowded(), selection(), selection(degree=2)], ids=["routes", "links", "degree"])
def test_the_answer_is_checked_and_the_same_for_the_same_seed(name, options, problem):
    one, same = (qn.solve(problem, name, seed=5, **options) for _ in range(2))
    check(problem, one.allocation)
    assert one.allocation == same.allocation and one.remarks == same.remarks and one.objective == same.objective
    best = qn.solve(problem, "exact").objective
    if problem.task == "link-selection":
        assert one.status == "heuristic" and one.bound is None
    else:  # the bound of the relaxation that made the routes
        assert one.status in ("optimal", "feasible") and best <= one.bound * (1 + 1e-9) <= 1.2 * best
    assert 0.8 * best <= one.objective


def test_simulated_annealing_finds_optima_of_small_problems():
    reached = 0
    for seed in range(10):
        problem = selection(seed, n=14)
        found, best = qn.solve(problem, "neal", seed=1).objective, qn.solve(problem, "exact").objective
        assert found <= best + 1e-9
        reached += found > best - 1e-9
    assert reached >= 9


def test_what_was_repaired_is_said():
    origins = set()
    for seed in range(10):
        problem = selection(seed, degree=2)
        first, origin = qn.solve(problem, "neal", reads=16, sweeps=3, seed=1).remarks[0].split("; ")
        assert int(first.split()[0]) < 16
        origins.add(origin)
    assert "the answer is a sample repaired" in origins
    fine = [qn.solve(selection(seed, n=14), "neal", reads=16, seed=1) for seed in range(10)]
    assert any(result.remarks[0].endswith("the answer is a sample as it was drawn") for result in fine)
    assert "inverse temperature" in fine[0].remarks[1]
    assert "not proven" in qn.solve(problem, "neal", encoding="unbalanced").remarks[-1]
    assert not any("not proven" in remark for remark in qn.solve(problem, "neal").remarks)


def test_the_temperature_follows_from_values_not_from_penalties():
    for scale in (1e-6, 1.0, 1e6):
        schedule = schedule_of(scale * np.array([1.0, 2.0, 30.0]), 10)
        assert schedule.start == pytest.approx(2.0 / 30.0 / scale)  # half of all value is in the 30
        assert schedule.end == pytest.approx(20.0 / 2.0 / scale)
    problem = crowded()
    requests = [qn.Request(r.id, r.source, r.target, weight=1e-6 * r.weight) for r in problem.requests]
    small = problem.replace(requests=requests)
    assert len(qn.solve(small, "neal", seed=1).allocation.routes) == len(
        qn.solve(problem, "neal", seed=1).allocation.routes
    )


def test_parts_do_not_change_what_is_drawn(monkeypatch):
    from qnroute.solvers import annealing

    model, sampler = LinkSelectionQubo(selection()), sampler_called("neal")
    schedule = schedule_of(model.packing.value, 100)
    for size in (1, 10**12):
        monkeypatch.setattr(annealing, "_SLICE", size)
        parts = list(draws(model.to_bqm(), sampler, schedule, 12, Settings(seed=3)))
        assert sum(len(part) for part in parts) == 12 and len(parts) == (12 if size == 1 else 1)


def test_any_sampler_can_be_passed_in():
    class Idle(dimod.Sampler):
        properties, parameters = {}, {}

        def sample(self, bqm, **how):
            assert how == {}
            return dimod.SampleSet.from_samples_bqm(dict.fromkeys(bqm.variables, 0), bqm)

    problem = crowded()
    result = qn.solvers.solve_by(Idle(), problem, reads=3, common={"seed": 1})
    assert result.method == "anneal" and result.objective > 0.0
    assert "1 of 1 samples" in result.remarks[0] and "filled from nothing" in result.remarks[0]
    assert not any("inverse temperature" in remark for remark in result.remarks)


def test_samplers_without_sweeps_are_asked_once():
    class Paid(dimod.Sampler):
        properties, parameters, asked = {}, {"num_reads": []}, []

        def sample(self, bqm, *, num_reads):
            self.asked.append(num_reads)
            return dimod.RandomSampler().sample(bqm, num_reads=num_reads)

    qn.solvers.solve_by(Paid(), crowded(n=100, count=100), reads=200)
    assert Paid.asked == [200]


def test_tabu_search_is_told_what_is_left_of_a_time_limit():
    class Watched(TabuSampler):
        def sample(self, bqm, **how):
            asked.append((how["num_reads"], how["timeout"]))
            return super().sample(bqm, **how)

    problem = crowded(n=150, count=150)
    for limit in (0.5, None):
        asked: list[tuple[int, int | None]] = []
        common = {"seed": 1, "time_limit": limit}
        result = qn.solvers.solve_by(Watched(), problem, common=common, candidates=3, reads=1000 if limit else 2)
        if limit is None:
            assert asked == [(1, None)] * 2
        else:
            assert all(count == 1 and 1 <= left <= 500 for count, left in asked)
            assert result.status == "time-limit" and len(asked) < 1000


def test_samplers_that_are_not_there_say_what_to_install():
    for name, package in (("openjij", "openjij"), ("dwave", "dwave-system"), ("leap", "dwave-system")):
        try:
            sampler_called(name)
        except SolverError as error:
            assert f"pip install {package}" in str(error) or "cannot be used" in str(error)


def test_nothing_to_choose_from():
    lonely = qn.Network([{"id": v} for v in "abc"], [{"source": "a", "target": "b", "p": 0.5}])
    for problem in (qn.Problem(lonely, [qn.Request("r", "a", "c")]), qn.Problem(lonely, [])):
        result = qn.solve(problem, "neal")
        assert result.objective == 0.0 and result.remarks == ()


@pytest.mark.parametrize("name", ["neal", "path-anneal"])
def test_time_limits_and_interruptions_keep_the_best(name):
    problem, many = crowded(n=100, count=100), 1_000_000

    def cut_short(**how):
        result = qn.solve(problem, name, reads=many, sweeps=2_000, candidates=5, **how)
        (drawn,) = re.findall(r"of (\d+) samples", " ".join(result.remarks))
        assert int(drawn) < many and result.objective > 0.0
        values = [value for _, value, _ in result.trace]
        assert values == sorted(values) and values[-1] == pytest.approx(result.objective)
        return result

    assert cut_short(time_limit=1.0).status == "time-limit"
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    assert cut_short(interrupted=stop).remarks[0].startswith("interrupted")
    assert qn.solve(problem, name, time_limit=0.0).status == "time-limit"


def test_route_choice_takes_the_candidates_asked_for():
    problem = crowded()
    assert len(RouteChoiceQubo(problem, candidates=1).packing) < len(RouteChoiceQubo(problem, candidates=8).packing)
