"""Packing listed routes: the model by hand, what it leaves out, and packing to proof where all can be listed."""

from __future__ import annotations

import random

import numpy as np
import oracle
import pytest
from helpers import problem_of
from scarcity import either

import qnroute as qn
from qnroute.allocation import check, value
from qnroute.models.path_packing import PathPacking
from qnroute.network import Network
from qnroute.problem import OBJECTIVES, Problem
from qnroute.routes import enumerate_routes
from qnroute.settings import Settings
from qnroute.solvers.packing import pack

CLOSE = 1e-7
AMPLE = 200_000


def about(number):
    return pytest.approx(number, rel=CLOSE, abs=CLOSE)


# --- packing to proof, or with a bound that is one ---


@pytest.mark.parametrize("most", [1, 3, 6, AMPLE])
def test_all_routes_or_the_few_most_valuable(most):
    rng, proven = random.Random(f"room {most}"), 0
    for _ in range(40):
        document, best = either(rng)
        problem = problem_of(document)
        found = pack(problem, Settings(), max_routes=most)
        check(problem, found.allocation)
        assert value(problem, found.allocation) == pytest.approx(found.value, rel=1e-12)
        assert found.value <= best + CLOSE and found.bound >= best - CLOSE, document
        if not found.open:
            assert found.value == about(best) and found.bound == about(best), document
        proven += not found.open
    assert proven == 40 if most == AMPLE else proven < 30


# --- columns, by hand ---


def line(routes, **link):
    network = Network(
        [{"id": name} for name in "ABC"],
        [{"source": "A", "target": "B", "p": 0.5, **link}, {"source": "B", "target": "C", "p": 0.5, **link},
         {"source": "A", "target": "C", "p": 0.1}],
    )  # fmt: skip
    return Problem(network, [{"id": "r", "source": "A", "target": "C", "routes": routes}])


@pytest.mark.parametrize(
    ("routes", "channels", "used"), [(1, 3, [1, 0]), (3, 3, [3, 0]), (5, 3, [3, 1]), (2, 1, [1, 1])]
)
def test_a_route_is_used_as_often_as_channels_and_request_allow(routes, channels, used):
    problem = line(routes, channels=channels)
    found = pack(problem, Settings(), max_routes=AMPLE)
    assert found.bound == pytest.approx(0.25 * used[0] + 0.1 * used[1])
    answer = found.allocation
    assert [route.nodes for route in answer.routes] == [("A", "B", "C")] * used[0] + [("A", "C")] * used[1]
    assert qn.solve(problem, "exact").allocation == answer


def test_the_model_decodes_repeated_routes():
    model = PathPacking(line(5, channels=3))
    assert [route.nodes for route in model.decode(np.array([1.9999999, 1.0])).routes] == [
        ("A", "B", "C"), ("A", "B", "C"), ("A", "C")
    ]  # fmt: skip
    assert model.tail_value == 0.0
    assert model.matrix.upper.tolist() == [3.0, 1.0] and model.matrix.integer.all()


def test_only_rows_that_can_bind_are_carried(contract_example):
    """One request for one route: C's memory of 2 is enough for it, and so is every channel."""
    model = PathPacking(problem_of(contract_example))
    assert {name: block.size for name, block in model.rows.items()} == {
        "routes": 1, "channels": 0, "memory": 0, "degree": 0
    }  # fmt: skip
    contract_example["requests"][0]["routes"] = 3
    model = PathPacking(problem_of(contract_example))
    assert model.matrix.upper.tolist() == [1.0, 1.0]  # A-C-D has one channel, and so has B-D
    contract_example["requests"].append({"id": "r2", "source": "C", "target": "D", "routes": 3})
    contract_example["rules"]["degree"] = 1
    model = PathPacking(problem_of(contract_example))
    # now also C-D and C-A-B-D of r2: A-B has two channels for two, A and B have memory 4 for 4
    assert {name: list(block.axes[0][1]) for name, block in model.rows.items()} == {
        "routes": ["r1", "r2"], "channels": ["B-D", "A-C", "C-D"], "memory": ["C"], "degree": ["A", "B", "C"]
    }  # fmt: skip


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_is_not_listed_is_bounded_by_the_tail(objective):
    """Packing the few listed, plus the tail, is never below the optimum."""
    rng = random.Random(f"tail {objective}")
    for _ in range(30):
        document = oracle.random_problem(rng, objective=objective, max_links=11)
        problem, best = problem_of(document), oracle.optimum(document)[0]
        table = enumerate_routes(problem, per_request=rng.choice((1, 2)))
        model = PathPacking(problem, table)
        outcome = qn.solvers.highs.solve_matrix(model.matrix, Settings()) if model.n_columns else None
        bound = outcome.bound if outcome else 0.0
        assert bound + model.tail_value >= best - CLOSE
        if outcome:
            check(problem, model.decode(outcome.values))


def test_nothing_asked_or_nothing_possible_is_proven_at_once():
    problem = line(1)
    empty = pack(problem.replace(requests=[]), Settings(), max_routes=5)
    assert empty.bound == 0.0 and empty.value == 0.0
    closed = problem.replace(network=problem.network.replace(memory=0))
    found = pack(closed, Settings(), max_routes=5)
    assert found.bound == 0.0 and found.value == 0.0
    for case in (problem.replace(requests=[]), closed):
        result = qn.solve(case, "exact", max_routes=1)
        assert (result.objective, result.bound, result.status) == (0.0, 0.0, "optimal")
