"""Every exact way against an independent enumeration, on hundreds of random small problems."""

from __future__ import annotations

import random

import oracle
import pytest
from helpers import problem_of

import qnroute as qn
from qnroute.methods import registered

EXACT = ("exact", "path-packing", "link-flow")
SIMPLE = ("shortest-path", "greedy", "density-greedy", "static")
CLOSE = 1e-6


def _judged(problem, document, method: str, **options):
    """The result of a method, after the independent checker has accepted it."""
    result = qn.solve(problem, method, **options)
    assert oracle.violations(document, result.to_dict()) == []
    return result


@pytest.mark.parametrize("objective", ["expected-pairs", "log-success", "link-sum"])
def test_exact_methods_reach_the_enumerated_optimum(objective):
    rng = random.Random(f"exact {objective}")
    for _ in range(120):
        document = oracle.random_problem(rng, objective=objective)
        best, _ = oracle.optimum(document)
        problem = problem_of(document)
        for method in EXACT:
            result = _judged(problem, document, method)
            assert result.objective == pytest.approx(best, rel=CLOSE, abs=CLOSE), (method, document)
            assert result.status == "optimal", (method, document)


def test_crowded_problems_reach_the_enumerated_optimum():
    """More requests on more links, where taking the best first often goes wrong."""
    rng = random.Random("crowded")
    for _ in range(60):
        document = oracle.random_problem(rng, max_links=12, max_requests=6, max_total_routes=12)
        best, _ = oracle.optimum(document)
        for method in EXACT:
            result = _judged(problem_of(document), document, method)
            assert result.objective == pytest.approx(best, rel=CLOSE, abs=CLOSE), (method, document)
            assert result.status == "optimal"


@pytest.mark.parametrize("model", ["link-flow", "path-packing"])
@pytest.mark.parametrize("method", ["pyomo", "pulp"])
def test_pyomo_and_pulp_agree_with_highs_on_the_same_model(method, model):
    rng = random.Random(f"{method} {model}")
    for _ in range(40):
        document = oracle.random_problem(rng)
        problem = problem_of(document)
        direct, result = _judged(problem, document, model), _judged(problem, document, method, model=model)
        assert result.objective == pytest.approx(direct.objective, rel=CLOSE, abs=CLOSE)
        assert result.bound == pytest.approx(direct.bound, rel=CLOSE, abs=CLOSE)
        assert result.status == direct.status == "optimal"


@pytest.mark.parametrize("method", ["exact", "pyomo", "pulp"])
def test_link_selection_reaches_the_enumerated_optimum(method):
    rng = random.Random("selection")
    for _ in range(60):
        document = oracle.random_link_selection(rng)
        best, _ = oracle.optimum(document)
        result = _judged(problem_of(document), document, method)
        assert result.objective == pytest.approx(best, rel=CLOSE, abs=CLOSE)
        assert result.status == "optimal"


def test_simple_methods_keep_every_rule_and_stay_below_the_optimum():
    rng = random.Random("simple")
    short = 0
    for _ in range(250):
        document = oracle.random_problem(rng, max_links=12, max_requests=6, max_total_routes=12)
        best, _ = oracle.optimum(document)
        for method in SIMPLE:
            result = _judged(problem_of(document), document, method)
            assert 0.0 <= result.objective <= best + CLOSE
            assert result.status == "heuristic" and result.bound is None
            short += result.objective < best - CLOSE
    assert short > 50  # these problems do tell good from best


def test_every_allocation_method_solves_the_contract_example(contract_example):
    """A-C-D is worth 0.9 * 0.9 * 0.8 = 0.648 and keeps the floor of 0.8 with F = 0.8133."""
    problem = problem_of(contract_example)
    for name, method in registered().items():
        if "allocation" in method.tasks:
            result = _judged(problem, contract_example, name)
            assert result.objective == pytest.approx(0.648 if name != "shortest-path" else result.objective)
            assert [route.nodes for route in result.allocation.routes] in ([("A", "C", "D")], [("A", "B", "D")])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_many_more_random_problems(seed):
    rng = random.Random(seed)
    for _ in range(500):
        document = oracle.random_problem(rng, max_links=12, max_requests=5)
        best, _ = oracle.optimum(document)
        for method in EXACT:
            result = _judged(problem_of(document), document, method)
            assert result.objective == pytest.approx(best, rel=CLOSE, abs=CLOSE), (method, document)
