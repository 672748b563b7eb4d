"""Column generation: equal to the enumeration, never a false bound, whatever is cut short."""

from __future__ import annotations

import collections
import random
import types

import numpy as np
import oracle
import pytest
from helpers import problem_of
from impatience import limited
from scarcity import GADGET, drawn_cuts, gadget, priced_problems
from scipy.optimize import linprog

import qnroute as qn
from qnroute import generate
from qnroute.allocation import check
from qnroute.costs import path_costs
from qnroute.errors import SolverError
from qnroute.models import PathPacking
from qnroute.pricing import BEST, Pricer
from qnroute.routes import enumerate_all
from qnroute.settings import Settings
from qnroute.solvers import branching, column_generation, listing, relaxation
from qnroute.solvers.branching import Case
from qnroute.solvers.column_generation import ColumnGeneration
from qnroute.solvers.master import Master
from qnroute.solvers.resources import Resources

CLOSE = 1e-7
METHOD = "column-generation"


def about(number):
    return pytest.approx(number, rel=CLOSE, abs=CLOSE)


# --- random problems ---


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_the_enumeration(seed, monkeypatch):
    rng = random.Random(f"columns {seed}")
    for document, best in priced_problems(rng, 60):
        limited(monkeypatch, rng)
        result = qn.solve(problem_of(document), METHOD)
        assert oracle.violations(document, result.to_dict()) == []
        assert result.objective == about(best), document
        assert result.bound == pytest.approx(best, rel=1e-6, abs=1e-9) and result.status == "optimal"


@pytest.mark.parametrize("most", [1, 2, 5])
def test_with_little_room_the_bound_is_still_a_bound(most, monkeypatch):
    """`most`: routes listed for the proof, and columns packed at once."""
    rng, gaps = random.Random(f"room {most}"), 0
    for document, best in priced_problems(rng, 60):
        limited(monkeypatch, rng)
        monkeypatch.setattr(branching, "_NODES", rng.choice((0, 0, 2)))
        packed = rng.choice((most, 20_000))
        monkeypatch.setattr(column_generation, "MOST_PACKED", packed)
        monkeypatch.setattr(relaxation, "MOST_PACKED", packed)
        monkeypatch.setattr(listing, "_LABELS", rng.choice((0, 20_000_000)))
        monkeypatch.setattr(listing, "_FEWEST_LABELS", 3)
        result = qn.solve(problem_of(document), METHOD, max_routes=most)
        assert oracle.violations(document, result.to_dict()) == []
        assert result.objective - CLOSE <= best <= result.bound + CLOSE, document
        for _, objective, bound in result.trace:
            assert objective <= best + CLOSE and (bound is None or bound >= best - CLOSE)
        if result.status == "optimal":
            assert result.objective == pytest.approx(best, rel=1e-6)
        else:
            gaps += 1
            assert result.status == "feasible" and result.remarks[0].startswith("not proven optimal")
    assert gaps > 0


def test_cuts_of_cuts_leave_the_optimum(monkeypatch):
    """Every cut may sum earlier ones from the start, and nothing else closes the gap."""
    rng, cut, nested = random.Random("nested"), Master.cut, 0
    monkeypatch.setattr(Master, "cut", lambda master, z, nested: cut(master, z, nested=True))
    monkeypatch.setattr(branching, "_NODES", 0)
    for document, best in priced_problems(rng, 250):
        solver = ColumnGeneration(problem_of(document))
        result = solver.solve()
        assert result.objective == about(best) == result.bound, document
        resources = solver._master.resources
        nested += sum(int(each[-1] >= resources.plain) for each in resources.cuts)
    assert nested > 5


def test_branching_without_cuts_finds_the_optimum(monkeypatch):
    rng, within, cases = random.Random("branches"), relaxation.Relaxation.within, collections.Counter()

    def counted(self, case, bound, elsewhere):
        cases.update(name for name in case._fields if getattr(case, name))
        found = within(self, case, bound, elsewhere)
        assert found is None or found.bound <= bound <= elsewhere
        return found

    monkeypatch.setattr(relaxation, "_CUT_ROUNDS", 0)
    monkeypatch.setattr(relaxation.Relaxation, "within", counted)
    for document, best in priced_problems(rng, 250):
        result = qn.solve(problem_of(document), METHOD)
        assert oracle.violations(document, result.to_dict()) == []
        assert result.objective == about(best) == result.bound, document
        bounds = [bound for _, _, bound in result.trace if bound is not None]
        assert bounds == sorted(bounds, reverse=True) and bounds[-1] >= best - CLOSE
    assert min(cases[name] for name in Case._fields) > 10


def test_a_trial_tells_what_a_case_is_worth_over_the_routes_known():
    rng, kinds = random.Random("trials"), collections.Counter()
    for document, _ in priced_problems(rng, 30):
        problem = problem_of(document)
        master, table = Master(problem), enumerate_all(problem, max_routes=100_000)
        if not len(table):
            continue
        master.add(table.request, table.nodes, table.indptr)
        before, rows = master.solve(Settings()), master.used.toarray().T
        for k in rng.sample(sorted(set(table.request.tolist())), 1):
            found, asks = master.tried(k, Settings()), (table.request == k).astype(float)
            for value, share in zip(found, (0.0, problem.most_routes[k])):
                limits = {
                    "A_ub": rows,
                    "b_ub": np.minimum(master.resources.capacity, 1e6),
                    "A_eq": [asks],
                    "b_eq": [share],
                }
                truth = linprog(-table.value, **limits, method="highs")
                best = -truth.fun if truth.success else -np.inf
                assert value >= best - CLOSE  # resources without a row so far are left out
                kinds.update(["none" if value == -np.inf else "same" if value <= best + CLOSE else "more"])
        after = master.solve(Settings())
        assert after.value == about(before.value) and np.allclose(after.z, before.z, rtol=0.0, atol=1e-9)
    assert kinds["none"] > 0 and kinds["same"] > 10 > kinds["more"]


def test_a_case_that_nobody_can_satisfy_ends():
    """Both requests must be served over one link; the first bonus is too small to say that this cannot be."""
    links = [{"source": "a", "target": "b", "p": 0.5}, {"source": "b", "target": "c", "p": 1.0}]
    network = qn.Network([{"id": v} for v in "abc"], links)
    problem = qn.Problem(network, [qn.Request("r", "a", "b", weight=1.0), qn.Request("s", "a", "b", weight=1.0)])
    solver = ColumnGeneration(problem)
    solver.solve()
    bounds = []
    for times in range(1, 5):
        case = Case(served=(0, 1) * times)
        solver._begin(Settings())
        bounds.append(solver.within(case, np.inf, np.inf).bound)
        solver.everywhere()
    assert np.allclose(np.diff(bounds), [-1.0, -2.0, -4.0])  # what is missing costs the bonus: 1, 2, 4, 8


def test_a_request_served_in_part_gets_a_larger_bonus():
    problem = problem_of(GADGET)
    table = enumerate_all(problem, max_routes=1_000)
    k = int(table.request[0])
    z = np.where(table.request == k, 0.5 / (table.request == k).sum(), 0.0)
    relaxation = types.SimpleNamespace(problem=problem, fractions=lambda: (table, z))
    assert branching._parts(relaxation, Case(served=(k,)), {}) == (Case(served=(k, k)),)
    assert branching._parts(relaxation, Case(served=(k, k)), {}) == (Case(served=(k, k, k)),)


@pytest.mark.parametrize("most", [1, 3])
def test_prices_are_judged_by_the_bound_they_come_with(most, monkeypatch):
    """In these, bounds from elsewhere are lower than the one that belongs to the prices (see `scarcity.gadget`)."""
    for document, best in [(GADGET, 1.225), (gadget(d_weight=1.15, ladder_p=0.1, side_p=0.5, small=1.0), 1.65)]:
        monkeypatch.setattr(branching, "_NODES", 0)
        for steps in ((1.0,), (1 / 64, 1 / 8, 1.0)):
            monkeypatch.setattr(column_generation, "_STEPS", steps)
            result = qn.solve(problem_of(document), METHOD)
            assert result.objective == pytest.approx(best) and result.bound == pytest.approx(best)
            short = qn.solve(problem_of(document), METHOD, max_routes=most)
            assert short.objective <= best + CLOSE <= short.bound + 2 * CLOSE


def test_the_bound_of_the_relaxation_is_that_of_all_routes(monkeypatch):
    """Weak duality at the final prices meets the linear relaxation over every route, or is below it by the cut."""
    rng = random.Random("relaxation")
    for document, best in priced_problems(rng, 40):
        problem = problem_of(document)
        model = PathPacking(problem, enumerate_all(problem, max_routes=100_000))
        if not model.n_columns:
            continue
        monkeypatch.setattr(relaxation, "_CLOSE", close := rng.choice((0.0, 0.02)))
        monkeypatch.setattr(relaxation, "_CUT_ROUNDS", 0)
        solver = ColumnGeneration(problem)
        solver._start()
        solver._relax()
        found = solver._search
        highs = model.to_highs()
        n = model.n_columns
        highs.changeColsIntegrality(n, np.arange(n, dtype=np.int32), np.zeros(n, dtype=np.uint8))
        highs.run()
        relaxed = highs.getInfo().objective_function_value
        assert best - CLOSE <= found.bound <= relaxed + close * (relaxed - found.value) + CLOSE
        assert found.value <= best + CLOSE
        check(problem, found.allocation)


def test_resources_are_what_the_judge_counts(contract_example):
    """One route A-B-D: links, qubits (1 at an end, 2 passing), passing at B, routes leaving A and B."""
    contract_example["rules"]["degree"] = 2
    problem = problem_of(contract_example)
    master = Master(problem)
    master.add(np.array([0]), np.array([0, 1, 3]), np.array([0, 3]))
    used = Resources(problem).used(master.table)
    n, m = 4, 4
    assert sorted(zip(used.indices.tolist(), used.data.tolist())) == [
        (0, 1.0), (1, 1.0), (m, 1.0), (m + 1, 2.0), (m + n + 1, 1.0), (m + 2 * n, 1.0), (m + 2 * n + 1, 1.0),
        (m + 3 * n, 1.0),
    ]  # fmt: skip
    # memory 4, 4, 2 and channels around: A 2 + 1, B 2 + 1, C 1 + 1, D 1 + 1
    assert Resources(problem).capacity[m + n : m + 2 * n].tolist() == [1.0, 1.0, 1.0, 1.0]
    assert master.table.value.tolist() == pytest.approx([0.6 * 0.5 * 0.9])
    assert len(master.add(np.array([0]), np.array([0, 1, 3]), np.array([0, 3]))) == 0


def test_the_price_of_a_route_is_its_value_less_what_it_uses():
    rng = random.Random("prices")
    for document, _ in priced_problems(rng, 60):
        problem = problem_of(document)
        resources, pricer = Resources(problem), Pricer(problem)
        for _ in range(rng.choice((0, 1, 3))):
            resources.add_cuts(drawn_cuts(rng, resources))
        capacity = resources.capacity
        prices = np.where(np.isfinite(capacity), np.array([rng.random() * 0.1 for _ in capacity]), 0.0)
        priced = pricer.search(resources.prices(prices), np.zeros(len(problem.requests)), Settings(), effort=BEST)
        master = Master(problem)
        master.add(priced.request, priced.nodes, priced.indptr)
        prices[resources.requests] = 0.0
        paid = resources.used(master.table) @ prices
        known = {(*tuple(master.table.route(j).nodes), int(master.table.request[j])): j for j in range(len(paid))}
        for j, k in enumerate(priced.request.tolist()):
            names = tuple(problem.network.node_ids[v] for v in priced.nodes[priced.indptr[j] : priced.indptr[j + 1]])
            i = known[(*names, k)]
            assert priced.price[j] == pytest.approx(master.table.value[i] - paid[i], abs=1e-12)


# --- limits, and what is refused ---


def test_out_of_time_there_is_a_valid_answer_and_no_false_bound():
    network = generate.random_geometric(400, 10.0, seed=3, p=0.9, swap=0.97, channels=2, memory=7)
    problem = qn.Problem(network, generate.requests(network, 400, seed=3, weight=(0.5, 2.0)))
    for limit in (0.0, 0.5, 2.0):
        result = qn.solve(problem, METHOD, time_limit=limit)
        assert result.status == "time-limit" and "time limit" in result.remarks[0]
        assert result.bound is None or result.bound >= result.objective
        assert all(bound is None or bound >= result.objective - CLOSE for _, _, bound in result.trace)


def test_link_sum_is_refused_with_a_way_out(contract_example):
    contract_example["objective"] = {"kind": "link-sum"}
    with pytest.raises(SolverError, match="link-sum rewards detours"):
        qn.solve(problem_of(contract_example), METHOD)


def test_nothing_asked_or_nothing_possible(contract_example):
    problem = problem_of(contract_example)
    for case in (problem.replace(requests=[]), problem.replace(network=problem.network.replace(memory=0))):
        result = qn.solve(case, METHOD)
        assert (result.objective, result.bound, result.status) == (0.0, 0.0, "optimal")


@pytest.mark.parametrize("workers", [1, 3])
def test_the_answer_is_the_same_whatever_the_number_of_workers(workers, monkeypatch):
    monkeypatch.setattr("qnroute.pricing._CHUNK", 8)
    network = generate.random_geometric(60, 20.0, seed=1, p=(0.5, 0.95), channels=(1, 2), memory=(4, 8), fidelity=0.97)
    asked = generate.requests(network, 40, seed=2, weight=(0.5, 2.0), min_fidelity=(0.8, 0.9))
    problem = qn.Problem(network, asked)
    one, other = (qn.solve(problem, METHOD, workers=count) for count in (2, workers))
    assert one.allocation == other.allocation and one.bound == other.bound and one.status == "optimal"


def test_costs_far_apart_are_priced_to_the_last_one():
    """A worth of 1e-9 beside one of 1 is still worth serving, and proven so."""
    network = qn.Network(
        [{"id": name} for name in "ABCD"],
        [{"source": "A", "target": "B", "p": 1.0}, {"source": "C", "target": "D", "p": 1e-9}],
    )
    problem = qn.Problem(network, [qn.Request("r", "A", "B"), qn.Request("s", "C", "D")])
    result = qn.solve(problem, METHOD)
    assert {route.request for route in result.allocation.routes} == {"r", "s"}
    assert result.bound == pytest.approx(1.0 + 1e-9, rel=1e-12) and path_costs(problem).link[1] > 20
