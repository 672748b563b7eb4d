"""Solvers that are kept: updated, stopped and taken up again, they prove what a new one does."""

from __future__ import annotations

import contextlib
import json
import random
import threading

import numpy as np
import pytest
from helpers import ROOT, problem_of
from impatience import limited
from scarcity import drawn_cuts, priced_problems

import qnroute as qn
from qnroute import generate
from qnroute.allocation import check
from qnroute.errors import SolverError
from qnroute.pricing import BEST, Pricer
from qnroute.routes import enumerate_all
from qnroute.settings import Settings
from qnroute.solvers import branching, column_generation, relaxation
from qnroute.solvers.branching import Case
from qnroute.solvers.column_generation import ColumnGeneration
from qnroute.solvers.master import Master
from qnroute.solvers.proof import Proof
from qnroute.solvers.resources import Resources

CLOSE = 1e-7
METHOD = "column-generation"


def about(number):
    return pytest.approx(number, rel=CLOSE, abs=CLOSE)


def changed_a_little(rng, problem):
    """The problem with some links, capacities, requests or rules changed, the nodes and links as they were."""
    network = problem.network
    p = np.array(network.p)
    some = rng.sample(range(network.n_links), rng.randint(0, 2))
    p[some] = [rng.uniform(0.3, 1.0) for _ in some]
    network = network.replace(p=p)
    if rng.random() < 0.3:
        network = network.replace(channels=rng.choice((1, 2)), fidelity=rng.choice((0.9, 0.97)))
    requests = [request for request in problem.requests if rng.random() < 0.8]
    for i in range(rng.randint(0, 2)):
        source, target = rng.sample(network.node_ids, 2)
        requests.append(qn.Request(f"new{i} {rng.random()}", source, target, weight=rng.uniform(0.5, 2.0)))
    rng.shuffle(requests)
    rules = {"max_hops": rng.choice((2, 3))} if rng.random() < 0.2 else None
    return problem.replace(network=network, requests=requests, rules=rules or problem.rules)


@pytest.mark.parametrize("seed", range(3))
def test_updated_it_is_as_good_as_new(seed, monkeypatch):
    rng = random.Random(f"update {seed}")
    for document, _ in priced_problems(rng, 15):
        limited(monkeypatch, rng)
        problem = problem_of(document)
        solver = ColumnGeneration(problem, workers=1)
        solver.solve()
        for _ in range(3):
            problem = changed_a_little(rng, problem)
            solver.update(problem)
            result, fresh = solver.solve(), qn.solve(problem, METHOD)
            assert result.status == fresh.status == "optimal" and result.method == METHOD
            assert result.objective == about(fresh.objective)
            check(problem, result.allocation)


def test_update_keeps_routes_cuts_basis_and_the_best_allocation():
    network = generate.random_geometric(80, 20.0, seed=1, p=(0.5, 0.95), channels=(1, 2), memory=(3, 6), fidelity=0.97)
    asked = generate.requests(network, 60, seed=2, weight=(0.5, 2.0), min_fidelity=(0.7, 0.8))
    solver = ColumnGeneration(qn.Problem(network, asked))
    first = solver.solve()
    routes, cuts = len(solver._master.table), len(solver._master.resources.cuts)
    assert first.status == "optimal" and cuts > 0
    solver.update(solver.problem.replace(requests=asked[1:]))
    assert len(solver._master.table) > 0.9 * routes and len(solver._master.resources.cuts) > 0.5 * cuts
    assert solver._search.value >= first.objective - 2.0 * asked[0].weight
    assert solver._master.solve(Settings()) is not None
    assert solver._master._highs.getInfo().simplex_iteration_count < 0.2 * routes


def test_solving_again_costs_nothing_and_says_the_same(contract_example):
    solver = ColumnGeneration(problem_of(contract_example))
    one, other = solver.solve(), solver.solve()
    assert one.objective == other.objective and one.status == other.status == "optimal"
    assert other.trace == [] or other.trace[0][1] == one.objective


def busy(seed=1):
    network = generate.random_geometric(80, 20.0, seed=seed, p=(0.5, 0.95), channels=(1, 3), memory=(4, 10), swap=0.9)
    return qn.Problem(network, generate.requests(network, 60, seed=seed, weight=(0.5, 2.0)))


def test_stopped_at_any_time_it_can_go_on():
    solver = ColumnGeneration(busy())
    solver.solve(time_limit=0.0)
    event = threading.Event()
    event.set()
    solver.solve(interrupted=event)
    best = solver.solve()
    assert best.status == "optimal"
    solver.update(busy().replace(rules={"max_hops": 6}))
    for settings in ({"time_limit": 0.0}, {"interrupted": event}):
        stopped = solver.solve(**settings)
        assert stopped.status == "time-limit" and stopped.objective > 0.9 * best.objective
    assert solver.solve().objective == about(qn.solve(solver.problem, METHOD).objective)


def test_a_node_that_is_given_memory_can_end_routes():
    network = generate.grid(2, 2, p=0.9)
    first, second, *others = network.node_ids
    asked = [qn.Request("a", first, second), qn.Request("b", *others)]
    solver = ColumnGeneration(qn.Problem(network.replace(memory=[0, 4, 4, 4]), asked))
    assert solver.solve().objective == about(0.9)
    solver.update(qn.Problem(network.replace(memory=[1, 4, 4, 4]), asked))
    assert solver.solve().objective == about(1.8)


@pytest.mark.parametrize(
    "where", [(Master, "stay"), (Master, "_append"), (Master, "_take"), (Master, "restrict"),
              (relaxation.Relaxation, "everywhere"), (relaxation.Relaxation, "_proven"), (Proof, "renewed"),
              (ColumnGeneration, "_of"), (Resources, "add_cuts")],
    ids=lambda where: where[1],
)  # fmt: skip
def test_a_second_interruption_anywhere_leaves_no_false_bound(where, monkeypatch):
    rng, whole, hits = random.Random(f"torn {where[1]}"), getattr(*where), 0

    def torn(*given, **how):
        if not armed:
            return whole(*given, **how)
        armed.pop()
        if not armed and rng.random() < 0.5:
            whole(*given, **how)
        if not armed:
            raise KeyboardInterrupt
        return whole(*given, **how)

    monkeypatch.setattr(*where, torn)
    monkeypatch.setattr(relaxation, "_CUT_ROUNDS", rng.choice((0, 1)))
    for document, best in priced_problems(rng, 40):
        problem, armed = problem_of(document), []
        other = changed_a_little(rng, problem)
        solver = ColumnGeneration(problem, workers=1)
        armed += [True] * rng.randint(1, 3)
        result = solver.solve()
        assert result.objective - CLOSE <= best <= solver.search.bound + CLOSE, document
        for now in rng.choice(((problem, other), (other,))):
            if now is other:
                with contextlib.suppress(KeyboardInterrupt):
                    solver.update(other)
            hits += not armed
            armed.clear()
            if now is other:
                solver.update(other)
            assert solver.solve().objective == about(qn.solve(now, "path-packing").objective)
    assert hits > 3


def test_an_interruption_while_branching_ends_leaves_no_false_bound(monkeypatch):
    """The worst moment: a case has just been searched, and the problem as a whole is about to be put back."""
    rng, restrict, hits = random.Random("C286"), Master.restrict, 0
    monkeypatch.setattr(relaxation, "_CUT_ROUNDS", 0)

    def interrupted(self, case, bonus):
        if case == Case() and armed:
            armed.pop()
            raise KeyboardInterrupt
        restrict(self, case, bonus)

    monkeypatch.setattr(Master, "restrict", interrupted)
    for document, best in priced_problems(rng, 100):
        armed = [True]
        solver = ColumnGeneration(problem_of(document))
        result = solver.solve()
        assert result.objective - CLOSE <= best <= result.bound + CLOSE, document
        hits += not armed
        armed.clear()
        assert solver.solve().objective == about(best)
        assert not solver._master.closed.any() and not solver._master.bonus.any()
    assert hits > 5


def test_out_of_time_while_routes_are_listed(monkeypatch):
    """The clock may run out where nothing has been listed."""
    event, stopped = threading.Event(), 0

    def late(*_, **__):
        event.set()

    monkeypatch.setattr(relaxation, "_CUT_ROUNDS", 0)
    monkeypatch.setattr(branching, "_NODES", 0)
    monkeypatch.setattr(column_generation, "listed", late)
    for document, best in priced_problems(random.Random("late"), 60):
        event.clear()
        result = qn.solve(problem_of(document), METHOD, interrupted=event)
        assert result.status == ("time-limit" if event.is_set() else "optimal") or result.objective == about(best)
        stopped += result.status == "time-limit"
    assert stopped > 0


def test_updated_before_it_is_solved_and_when_nobody_asks():
    problem = busy()
    solver = ColumnGeneration(problem.replace(requests=problem.requests[:9]))
    for other in (problem, problem.replace(requests=[]), problem.replace(requests=problem.requests[3:12]), problem):
        solver.update(other)
        result = solver.solve()
        assert result.status == "optimal" and result.objective == about(qn.solve(other, METHOD).objective)


def test_update_to_another_network_is_refused(contract_example):
    solver = ColumnGeneration(problem_of(contract_example))
    network = generate.grid(3, 3, p=0.9)
    with pytest.raises(SolverError, match="other nodes or links"):
        solver.update(qn.Problem(network, generate.requests(network, 2)))


# --- what still holds ---


def local(rng):
    """Enough nodes that a change at one of them says nothing to most requests, and few enough routes to list them."""
    hops = rng.choice((None, 4))
    network = generate.random_geometric(
        30, 25.0, seed=rng.randrange(10**6), p=(0.6, 0.95), fidelity=(0.9, 0.99), channels=(1, 2), memory=(2, 5)
    )
    floor = (0.0, 0.8) if hops else (0.8, 0.9)
    asked = generate.requests(network, 12, seed=rng.randrange(10**6), weight=(0.5, 2.0), min_fidelity=floor)
    kind = rng.choice(("expected-pairs", "log-success"))
    return qn.Problem(network, asked, objective=kind, rules={"max_hops": hops})


def drifted(rng, problem):
    """The problem with the probabilities of two links slightly other ones."""
    p = np.array(problem.network.p)
    some = rng.sample(range(len(p)), min(2, len(p)))
    p[some] = np.clip(p[some] * [rng.uniform(0.9, 1.1) for _ in some], 0.01, 1.0)
    return problem.replace(network=problem.network.replace(p=p))


def best_prices(problem, resources, prices):
    """(K,) the best price of any route of each request, by listing all of them."""
    table = enumerate_all(problem, max_routes=200_000)
    paid = np.zeros(len(resources.capacity))
    paid[: len(prices)] = prices
    paid[resources.requests] = 0.0
    best = np.full(len(problem.requests), -np.inf)
    np.maximum.at(best, table.request, table.value - resources.used(table) @ paid)
    return best


@pytest.mark.parametrize("seed", range(4))
def test_what_is_proven_bounds_all_routes_though_few_are_searched(seed, monkeypatch):
    rng, kept, searched = random.Random(f"proofs {seed}"), 0, 0
    proven, priced = relaxation.Relaxation._proven, relaxation.Relaxation._priced

    def checked(self, most, prices):
        best = best_prices(self.problem, self._master.resources, prices)
        sure = ~self._master.closed
        sure[self._case.choosy] = False
        assert (best[sure] <= np.maximum(most[sure], 0.0) + CLOSE).all()
        proven(self, most, prices)

    def counted(self, prices, floor, effort, among):
        nonlocal kept, searched
        if effort == BEST and among is not None:
            searched += len(among)
            kept += len(floor) - len(among)
        return priced(self, prices, floor, effort, among)

    monkeypatch.setattr(relaxation.Relaxation, "_proven", checked)
    monkeypatch.setattr(relaxation.Relaxation, "_priced", counted)
    problems = [local(rng) for _ in range(8)] + [problem_of(document) for document, _ in priced_problems(rng, 15)]
    for problem in problems:
        solver = ColumnGeneration(problem, workers=1)
        solver.solve(time_limit=20)
        for _ in range(3):
            few = problem.rules.max_hops is not None or problem.network.n_nodes < 10  # routes, whatever is asked
            problem = rng.choice((changed_a_little if few else drifted, drifted))(rng, problem)
            solver.update(problem)
            result = solver.solve(time_limit=20)
            check(problem, result.allocation)
            if result.status == "optimal":
                assert result.objective == about(qn.solve(problem, "path-packing").objective)
    assert kept > searched > 0


def test_a_change_far_away_leaves_most_of_a_proof():
    network = generate.random_geometric(300, 10.0, seed=4, p=(0.5, 0.95), fidelity=(0.95, 0.99), memory=(4, 8))
    problem = qn.Problem(network, generate.requests(network, 150, seed=5, min_fidelity=(0.9, 0.95)))
    solver = ColumnGeneration(problem)
    solver.solve()
    p = np.array(network.p)
    p[7] = min(1.1 * p[7], 1.0)
    solver.update(problem.replace(network=network.replace(p=p)))
    assert 0.8 < solver._proof.holds[solver._pricer.open].mean() < 1.0
    assert solver.solve().objective == about(qn.solve(solver.problem, METHOD).objective)


def test_of_a_proof_nothing_holds_where_other_routes_are_allowed():
    problem = local(random.Random("others"))
    for other in (
        problem.replace(network=problem.network.replace(fidelity=0.999)),
        problem.replace(rules={"max_hops": 7}),
        problem.replace(objective="log-success" if problem.objective.kind == "expected-pairs" else "expected-pairs"),
        problem.replace(requests=[qn.Request(r.id, r.source, r.target, 2.0 * r.weight) for r in problem.requests]),
    ):
        solver = ColumnGeneration(problem)
        solver.solve()
        assert solver._proof.holds.all()
        solver.update(other)
        assert not solver._proof.holds.any()


@pytest.mark.parametrize("seed", range(2))
def test_a_route_whose_places_are_marked_is_met(seed):
    rng, missed = random.Random(f"met {seed}"), 0
    for number in range(30):
        problem = local(rng) if number % 3 == 0 else problem_of(next(priced_problems(rng, 1))[0])
        pricer, resources = Pricer(problem), Resources(problem)
        pricer.explore(Settings())
        for _ in range(rng.choice((0, 1, 3))):
            resources.add_cuts(drawn_cuts(rng, resources))
        table = enumerate_all(problem, max_routes=200_000)
        used = resources.used(table)
        for i in rng.sample(range(len(resources.capacity)), 5):
            fallen = np.arange(len(resources.capacity)) == i
            met = pricer.meets(resources.cheaper(fallen))
            assert met[table.request[(used[:, [i]].toarray() > 0.0).ravel()]].all()
            missed += (~met).sum()
    assert missed > 100


def test_prices_stay_where_they_may():
    rng, fallen = random.Random("stay"), {False: 0, True: 0}
    for _ in range(40):
        problem = local(rng)
        other, table, values = drifted(rng, problem), enumerate_all(problem, max_routes=200_000), []
        for near in (False, True):
            master = Master(problem)
            master.add(table.request, table.nodes, table.indptr)
            prices = master.solve(Settings()).price
            plain = np.arange(len(prices)) < master.resources.requests.start
            if near:
                master.stay(prices)
                assert np.array_equal(master.solve(Settings()).price[plain], prices[plain])
            master = master.renewed(other)
            relaxed = master.solve(Settings())
            assert (master.table.value - master.used @ relaxed.price).max() < CLOSE  # no route improves it
            fallen[near] += ((relaxed.price < prices - CLOSE) & plain).sum()
            values.append(relaxed.value)
        assert values[0] == about(values[1])
    assert fallen[True] < 0.7 * fallen[False]


def line(p, weights):
    """Requests from a to b and from b to c, the first link with probability p; only some have a weight."""
    links = [{"source": "a", "target": "b", "p": p}, {"source": "b", "target": "c", "p": 0.5}]
    ends = [("a", "b"), ("b", "c")]
    requests = [qn.Request("".join(end), *end, weight=w) for end, w in zip(ends, weights) if w]
    return qn.Problem(qn.Network([{"id": v} for v in "abc"], links), requests)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (line(1e-295, (1.0, 0.0)), line(0.5, (1.0, 0.0))),
        (line(0.5, (1e-200, 1e150)), line(0.5, (1e-200, 0.0))),
        (line(1e-300, (2.0, 1.0)), line(0.5, (2.0, 1.0))),
    ],
    ids=["link", "weight", "beside"],
)
def test_what_was_worth_nothing_may_be_worth_something(before, after):
    solver = ColumnGeneration(before)
    solver.solve()
    for problem in (after, before, after):
        solver.update(problem)
        result, fresh = solver.solve(), qn.solve(problem, METHOD)
        assert result.objective == pytest.approx(fresh.objective, rel=1e-9) and result.status == "optimal"
    assert result.objective > 0.0


def test_where_no_path_keeps_the_floor_none_is_looked_for_again():
    problem = geometric_with_floors()
    pricer = Pricer(problem)
    pricer.explore(Settings())
    closed, able = ~pricer.open, Pricer(problem).open
    assert 5 < (closed & able).sum() < able.sum() - 5
    p = np.minimum(1.05 * problem.network.p, 1.0)
    renewed = pricer.renewed(problem.replace(network=problem.network.replace(p=p)))
    assert np.array_equal(renewed.open, pricer.open)
    routes = enumerate_all(problem, max_routes=1_000_000)
    assert set(np.flatnonzero(able & closed)).isdisjoint(routes.request)


def geometric_with_floors():
    network = generate.random_geometric(40, 20.0, seed=1, p=0.8, fidelity=(0.9, 0.99))
    return qn.Problem(network, generate.requests(network, 60, seed=1, min_fidelity=0.75))


def test_where_a_basis_leads_nowhere_it_begins_anew():
    """HiGHS 1.15.1 ends with the status unknown from the basis that is left here, again and again."""
    before, after = json.loads((ROOT / "tests/data/unsure_basis.json").read_text()).values()
    solver = ColumnGeneration(problem_of(before), workers=1)
    solver.solve()
    solver.update(problem_of(after))
    assert solver.solve().objective == about(qn.solve(problem_of(after), METHOD).objective)
