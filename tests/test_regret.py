"""What decisions are worth under the truth: by hand, and against exhaustive optima."""

from __future__ import annotations

import copy
import math
import random

import oracle
import pytest
from helpers import problem_of

import qnroute as qn
from qnroute.allocation import value
from qnroute.errors import InfeasibleAllocation, ProblemError, SolverError
from qnroute.learning.links.regret import best_worth, regret, relative_regret, worth


def routed(*routes):
    return qn.Allocation(tuple(qn.Route("r1", tuple(nodes)) for nodes in routes))


def test_a_route_below_its_floor_brings_nothing(contract_example):
    contract_example["requests"][0]["routes"] = 2
    truth = problem_of(contract_example)  # A-C-D: 0.9 * 0.9 * 0.8, F 0.813; A-B-D: 0.6 * 0.5 * 0.9, F 0.913
    both = routed("ACD", "ABD")
    assert worth(truth, both) == pytest.approx(0.648 + 0.27)
    contract_example["requests"][0]["min_fidelity"] = 0.9
    assert worth(problem_of(contract_example), both) == pytest.approx(0.27)
    assert worth(truth, both, floor=0.9) == worth(truth, both)
    assert worth(truth, both, floor=0.95) == pytest.approx(0.27)
    assert worth(truth, both, floor=0.96) == 0.0
    assert best_worth(truth, floor=0.95) == pytest.approx(0.27)
    assert regret(truth, routed("ABD")) == pytest.approx(1 - 0.27 / 0.918)
    assert regret(truth, routed("ABD"), floor=0.95) == pytest.approx(0.0)


def test_under_log_success_a_route_may_cost_but_none_below_its_floor_does(contract_example):
    contract_example["objective"] = {"kind": "log-success", "serve_reward": 1.0}
    truth = problem_of(contract_example)
    assert worth(truth, routed("ABD")) == pytest.approx(1.0 + math.log(0.27)) and math.log(0.27) < -1.0
    contract_example["requests"][0]["min_fidelity"] = 0.95
    assert worth(problem_of(contract_example), routed("ABD")) == 0.0
    assert regret(problem_of(contract_example), routed("ABD")) == 0.0


def test_selected_links_bring_their_true_scores(contract_example):
    contract_example |= {"task": "link-selection", "requests": []}
    truth = problem_of(contract_example)
    chosen = qn.Allocation(links=(("B", "A"), ("C", "D")))
    assert worth(truth, chosen) == pytest.approx(0.6 * 0.95 + 0.81) == value(truth, chosen)
    assert worth(truth, chosen, floor=0.92) == pytest.approx(0.57)
    assert best_worth(truth, floor=0.92) == pytest.approx(0.57)


def test_other_rules_are_still_kept(contract_example):
    truth = problem_of(contract_example)
    with pytest.raises(InfeasibleAllocation, match="routes"):
        worth(truth, routed("ABD", "ACD"))
    contract_example |= {"task": "link-selection", "requests": []}
    with pytest.raises(InfeasibleAllocation, match="degree"):
        worth(problem_of(contract_example), qn.Allocation(links=(("A", "B"), ("A", "C"))))


def believed(rng, document):
    """The same problem with other links."""
    other = copy.deepcopy(document)
    for link in other["network"]["links"]:
        link["p"] = rng.uniform(0.05, 1.0)
        link["fidelity"] = rng.uniform(0.75, 1.0)
        link.pop("score", None)
    return other


def test_regret_lies_between_none_and_all_and_the_best_is_the_best():
    rng, some = random.Random("regret"), 0
    for number in range(60):
        select = number % 4 == 0
        document = oracle.random_link_selection(rng) if select else oracle.random_problem(rng)
        truth, floor = problem_of(document), rng.choice((None, 0.8, 0.95))
        cut = copy.deepcopy(document)
        cut["network"]["links"] = [
            link for link in cut["network"]["links"] if floor is None or link.get("fidelity", 1.0) >= floor
        ]
        best = oracle.optimum(cut)[0]
        assert best_worth(truth, floor=floor) == pytest.approx(best, rel=1e-6, abs=1e-9)
        decision = qn.solve(problem_of(believed(rng, document)), "exact").allocation
        found = regret(truth, decision, best, floor=floor)
        assert found >= -1e-6 and (found <= 1.0 or truth.objective.kind != "expected-pairs")
        some += 0.01 < found <= 1.0
        assert worth(truth, decision, floor=floor) <= best + 1e-6 * max(best, 1.0)
        assert regret(truth, qn.solve(problem_of(cut), "exact").allocation, floor=floor) == pytest.approx(0, abs=1e-6)
    assert some > 10


def test_nothing_to_gain():
    assert relative_regret(0.0, 0.0) == 0.0 and relative_regret(-1.0, 0.0) == math.inf
    assert relative_regret(1.0, 2.0) == 0.5 and relative_regret(-2.0, 2.0) == 2.0


def test_an_unproven_optimum_is_none(contract_example):
    truth = problem_of(contract_example)
    with pytest.raises(SolverError, match=r"best_worth|before any answer"):
        best_worth(truth, time_limit=0.0)
    with pytest.raises(ProblemError, match=r"floor: found 1\.5"):
        worth(truth, routed("ABD"), floor=1.5)
