"""What `solve` makes of an answer's bound: never more than it proves."""

from __future__ import annotations

import json

import pytest
from helpers import problem_of

import qnroute as qn
from qnroute.methods import Method
from qnroute.settings import Answer

BEST = qn.Allocation([qn.Route("r1", ("A", "C", "D"))])  # worth 0.648


def _solved(contract_example, **answer):
    return qn.solve(problem_of(contract_example), Method("mine", "", lambda problem, settings: Answer(BEST, **answer)))


@pytest.mark.parametrize("bound", [0.0, 0.6, -1.0])
def test_a_refuted_bound_proves_nothing(bound, contract_example):
    result = _solved(contract_example, bound=bound)
    assert (result.status, result.bound, result.gap) == ("heuristic", None, None)
    assert "below its own answer" in result.remarks[0]


@pytest.mark.parametrize("bound", [float("inf"), float("nan"), float("-inf"), None])
def test_no_bound_is_written_as_none(bound, contract_example):
    result = _solved(contract_example, bound=bound, stopped="time-limit", trace=[(0.1, 0.5, bound)])
    assert result.status == "time-limit" and result.bound is None
    assert json.loads(result.to_json())["trace"] == [[0.1, 0.5, None]]


def test_a_bound_within_tolerance_is_lifted(contract_example):
    result = _solved(contract_example, bound=0.648 - 1e-9)
    assert result.status == "optimal" and result.bound == result.objective and result.gap == 0.0


def test_however_early_exact_is_stopped_its_result_can_be_saved(tmp_path):
    network = qn.load_network("surfnet").replace(memory=6)
    problem = qn.Problem(network, qn.generate.requests(network, 60, seed=1))
    for limit in (0.0, 0.005, 0.01, 0.02, 0.03, 0.05):
        result = qn.solve(problem, "exact", time_limit=limit)
        result.save(tmp_path / "r.json")
        assert result.bound is None or result.bound >= result.objective
