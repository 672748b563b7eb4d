"""Exact ways against each other on networks too large to enumerate, real and generated."""

from __future__ import annotations

import pytest

import qnroute as qn
from qnroute import generate
from qnroute.solvers import branching, relaxation

OBJECTIVES = [
    qn.Objective("expected-pairs"),
    qn.Objective("log-success", 8.0),
    qn.Objective("log-success", 3.0),
]


def _problem(objective, **rules):
    network = generate.waxman(24, 0.4, 0.4, seed=5, p=(0.3, 0.95), fidelity=(0.9, 0.99), channels=(1, 2), memory=4)
    asked = generate.requests(network, 14, seed=6, weight=(0.5, 2.0), min_fidelity=(0.5, 0.8))
    return qn.Problem(network, asked, objective=objective, rules=rules)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: f"{o.kind}-{o.serve_reward:g}")
@pytest.mark.parametrize("rules", [{}, {"max_hops": 4, "degree": 2}], ids=["free", "bounded"])
def test_packing_and_flow_agree(objective, rules):
    problem = _problem(objective, **rules)
    exact, flow = qn.solve(problem, "exact"), qn.solve(problem, "link-flow")
    assert exact.status == flow.status == "optimal"
    assert exact.objective == pytest.approx(flow.objective, rel=1e-6)
    for simple in ("shortest-path", "greedy", "density-greedy", "priced", "static"):
        assert qn.solve(problem, simple).objective <= exact.bound + 1e-9


def test_link_sum_agrees_with_few_hops():
    problem = _problem("link-sum", max_hops=3)
    exact, flow = qn.solve(problem, "exact"), qn.solve(problem, "link-flow")
    assert exact.status == flow.status == "optimal"
    assert exact.objective == pytest.approx(flow.objective, rel=1e-6)


def test_tiny_probabilities_do_not_vanish_in_tolerances():
    """Values near 1e-12 are far below any solver's absolute tolerance, and still solved to proof."""
    network = generate.grid(4, 4, p=0.6).replace(p=0.6e-4, memory=4)
    problem = qn.Problem(network, generate.requests(network, 6, seed=1), rules={"max_hops": 4})
    exact, flow = qn.solve(problem, "exact"), qn.solve(problem, "link-flow")
    assert 0.0 < exact.objective < 1e-3
    assert exact.status == flow.status == "optimal"
    assert exact.objective == pytest.approx(flow.objective, rel=1e-6)


def test_the_gap_is_honest_where_the_proof_is_out_of_reach(monkeypatch):
    """Without cuts and cases, and few routes listed, the answer carries a valid bound, and says what is missing."""
    network = generate.grid(7, 7, p=0.99, channels=1, memory=4)
    problem = qn.Problem(network, generate.requests(network, 60, seed=4, routes=3))
    best = qn.solve(problem, "exact")
    monkeypatch.setattr(relaxation, "_CUT_ROUNDS", 0)
    monkeypatch.setattr(branching, "_NODES", 0)
    short = qn.solve(problem, "exact", max_routes=20)
    longer = qn.solve(problem, "exact", max_routes=400)
    assert best.status == "optimal"
    for cut_off in (short, longer):
        assert cut_off.objective <= best.objective + 1e-9 and best.objective <= cut_off.bound + 1e-9
        assert cut_off.status == "feasible" and 0.0 < cut_off.gap < 1.0
        assert "not proven optimal" in cut_off.remarks[0]


def test_time_limit_keeps_the_best_answer():
    network = generate.grid(8, 8, p=(0.7, 0.99), seed=3, channels=1)
    problem = qn.Problem(network, generate.requests(network, 40, seed=4), objective="link-sum")
    result = qn.solve(problem, "exact", time_limit=0.5)
    assert result.status == "time-limit" and result.objective > 0.0
    assert result.bound is None or result.bound >= result.objective


def test_no_answer_in_no_time():
    problem = _problem("log-success")
    with pytest.raises(qn.NoAnswer, match="before any answer"):
        qn.solve(problem, "link-flow", time_limit=0.0)


def test_same_seed_same_answer_whatever_the_threads():
    problem = _problem("expected-pairs")
    answers = [qn.solve(problem, "exact", seed=3, threads=threads) for threads in (1, 2, 1)]
    assert len({answer.allocation for answer in answers}) == 1
    assert len({answer.objective for answer in answers}) == 1
