"""Methods refine and hybrid, and what they are made of: parts chosen anew, a tree search, candidates at bid prices."""

from __future__ import annotations

import random
import sys
import threading

import numpy as np
import oracle
import pytest
from helpers import problem_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_lots import choices, dense, group_of
from test_prices import CLOSE, documents, network_problem, networks

import qnroute as qn
from qnroute import generate
from qnroute.allocation import Allocation, check, value
from qnroute.benchmark.learned_slot import FAMILIES
from qnroute.errors import ProblemError
from qnroute.learning.routing.problems import mixed
from qnroute.method import Method
from qnroute.methods import registered
from qnroute.models.lots import instance_of, together
from qnroute.models.neighbourhoods import left_of, met, parts_of, uses_of
from qnroute.routes import enumerate_routes
from qnroute.settings import Answer, Settings
from qnroute.solvers import refining
from qnroute.solvers.priced import by_price, filled
from qnroute.solvers.prices import prices_of
from qnroute.solvers.proposing import _met, proposed
from qnroute.solvers.tree import searched

STARTS = ("density-greedy", "shortest-path", "greedy", "static", "priced", "exact")

crowded = FAMILIES["waxman-24"].problem  # 30 requests that are in each other's way


def chosen(lot):
    return filled(lot, by_price(lot, prices_of(lot, rounds=3)))


def orders(lot, rng):
    """The groups of each instance in any order."""
    return np.concatenate([rng.permutation(np.arange(a, b)) for a, b in zip(lot.groups, lot.groups[1:])])


# --- parts ---


def test_a_part_is_what_the_others_leave():
    """Against the whole lot in full: items that fit, what is left of rows, and rows that some choice could overdraw."""
    shared, bound = 0, 0
    for seed, problem in enumerate(networks(8)):
        rng, lot = np.random.default_rng(seed), instance_of(problem, per_request=5).lot
        taken, uses, group = chosen(lot), dense(lot), group_of(lot)
        released = rng.random((4, len(lot.most))) < [[0.0], [0.3], [0.7], [1.0]]
        parts = parts_of(lot, taken, released)
        assert parts.lot.size == 4 and parts.lot.items[1] == 0
        for b, some in enumerate(released[:, group]):
            left = lot.capacity - uses @ (taken & ~some)
            assert parts.worth[b] == pytest.approx(lot.value @ (taken & some))
            items = np.flatnonzero(some & (uses <= left[:, None]).all(axis=0))
            own = slice(parts.lot.items[b], parts.lot.items[b + 1])
            assert parts.item[own].tolist() == items.tolist()
            rows = np.flatnonzero(uses[:, items].sum(axis=1) > left)
            here = dense(parts.lot)[parts.lot.rows[b] : parts.lot.rows[b + 1], own]
            capacity = parts.lot.capacity[parts.lot.rows[b] : parts.lot.rows[b + 1]]
            found = sorted(map(tuple, np.column_stack([here, capacity])))
            assert found == sorted(map(tuple, np.column_stack([uses[np.ix_(rows, items)], left[rows]])))
            assert group[parts.item[parts.lot.first[:-1]]][parts.lot.groups[b] : parts.lot.groups[b + 1]].tolist() == (
                np.unique(group[items]).tolist()
            )
            shared, bound = shared + len(items), bound + len(rows)
        assert parts.lot.value.tolist() == lot.value[parts.item].tolist()
        assert np.array_equal(parts.lot.facts, lot.facts[parts.item])
    assert shared > 300 and bound > 100


def test_groups_meet_in_what_one_wants_and_the_other_has():
    for seed, problem in enumerate(networks(6)):
        rng, lot = np.random.default_rng(seed), instance_of(problem, per_request=5).lot
        taken, wanted = chosen(lot), rng.random(len(lot.value))
        shares = dense(lot) / lot.capacity[:, None]
        of_group = (group_of(lot)[:, None] == np.arange(len(lot.most))).astype(float)
        has, wants = (shares * taken) @ of_group, (shares * wanted) @ of_group
        found = met(lot, uses_of(lot), taken, wanted, np.arange(len(lot.most)))
        assert found == pytest.approx(wants.T @ has + has.T @ wants)
        assert np.array_equal(left_of(lot, taken), lot.capacity - dense(lot) @ taken)


# --- the tree search ---


def test_the_tree_search_finds_the_best_choice_of_items():
    """Against all choices of small lots, several in one; cut short it is no worse than what it was given."""
    lots, best = [], []
    for document in documents("tree", 150, max_requests=4):
        lot = instance_of(problem_of(document), per_request=3).lot
        if 0 < len(lot.value) <= 11:
            taken = choices(len(lot.value))
            in_group = (group_of(lot)[:, None] == np.arange(len(lot.most))).astype(float)
            keeps = (taken @ dense(lot).T <= lot.capacity).all(axis=1) & (taken @ in_group <= lot.most).all(axis=1)
            lots.append(lot)
            best.append((taken @ lot.value)[keeps].max())
    assert len(lots) > 80
    lot, rng = together(lots), np.random.default_rng(0)
    prices, none = prices_of(lot, rounds=20), np.zeros(len(lot.value), dtype=bool)
    worth = lambda taken: np.add.reduceat(taken * lot.value, lot.items[:-1])  # noqa: E731
    assert worth(searched(lot, prices, orders(lot, rng), none, steps=10**6)) == pytest.approx(best)
    start, gained = filled(lot, rng.random(len(lot.value))), 0
    for steps in (0, 1, 3, 10):
        found = searched(lot, prices, orders(lot, rng), start, steps=steps)
        assert (worth(found) >= worth(start)).all() and (left_of(lot, found) >= 0.0).all()
        assert (np.bincount(group_of(lot)[found], minlength=len(lot.most)) <= lot.most).all()
        gained += (worth(found) > worth(start)).sum()
    assert gained > 5


def test_the_tree_search_leaves_very_many_routes_as_they_are():
    network = qn.Network([{"id": v} for v in "ab"], [{"source": "a", "target": "b", "p": 0.5, "channels": 1500}])
    asked = [{"id": f"r{k}", "source": "a", "target": "b", "routes": 1000} for k in range(2)]
    problem = qn.Problem(network, asked)
    result = qn.solve(problem, "refine", start="greedy", rounds=1)
    assert result.objective == pytest.approx(750.0) and result.bound >= 750.0


# --- candidates and their bound ---


def test_the_bound_is_never_below_the_optimum_and_often_closer():
    closer = 0
    for number, document in enumerate(documents("bounds", 120)):
        problem, (best, _) = problem_of(document), oracle.optimum(document)
        how = {"candidates": 1 + number % 3, "rounds": (200, 5, 1)[number // 3 % 3]}
        bounds = [proposed(problem, Settings(), proposals=count, **how).bound for count in (0, 1, 3)]
        assert min(bounds) >= best * (1.0 - CLOSE) - CLOSE
        closer += min(bounds[1:]) < bounds[0] * (1.0 - 1e-6)
    assert closer > 5
    for problem in networks(12):
        found = [proposed(problem, Settings(), candidates=4, proposals=count) for count in (0, 2)]
        assert found[1].bound >= qn.solve(problem, "exact").objective * (1.0 - CLOSE)
        assert found[1].bound <= found[0].bound and len(found[1].instance.table) >= len(found[0].instance.table)


def test_candidates_made_at_prices_are_worth_more_than_those_listed():
    """So few as they are, a choice from them is better than one from three times as many of the highest value."""
    listed, made, sizes = [], [], []
    for seed in range(12):
        problem = mixed(700 + seed)
        one = qn.solve(problem, "priced", candidates=24, proposals=0)
        other = qn.solve(problem, "priced", candidates=8, proposals=2)
        listed.append(one.objective)
        made.append(other.objective)
        sizes.append(
            len(proposed(problem, Settings(), candidates=8, proposals=2).instance.table) / len(problem.requests)
        )
    assert np.mean(sizes) < 12 and np.mean(np.array(made) / listed) > 1.0


def test_prices_of_rows_are_those_that_routes_meet():
    paid = 0
    for problem in networks(12):
        instance, prices, _ = proposed(problem, Settings(), candidates=4, proposals=0)
        at, table = _met(instance, prices), instance.table
        for item, j in enumerate(instance.column):
            nodes = table.nodes[table.indptr[j] : table.indptr[j + 1]]
            links = table.links[table.indptr[j] - j : table.indptr[j + 1] - j - 1]
            price = at.link[links].sum() + at.passed[nodes[1:-1]].sum() + at.source[nodes[0]] + at.target[nodes[-1]]
            assert prices.reduced[item] == pytest.approx(table.value[j] - price)
            paid += price > 0.0
    assert paid > 100


def test_routes_of_a_start_are_candidates_however_few_are_listed():
    other = 0
    for problem in networks(8):
        best = qn.solve(problem, "exact")
        instance = proposed(problem, Settings(), candidates=1, proposals=0, start=best.allocation).instance
        taken = instance.items_of(best.allocation)
        assert sorted(instance.allocation(taken).routes, key=str) == sorted(best.allocation.routes, key=str)
        other += len(instance.table) - len(enumerate_routes(problem, per_request=1))
    assert other > 10


# --- refine ---


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), start=st.sampled_from(STARTS), few=st.booleans(), steps=st.sampled_from([0, 50]))
def test_refine_is_never_below_its_start_nor_above_its_bound(seed, start, few, steps):
    """On small problems of every kind, also where the routes of the start are not among the candidates."""
    document = oracle.random_problem(random.Random(seed), max_links=12, max_requests=6, max_total_routes=12)
    problem, (best, _) = problem_of(document), oracle.optimum(document)
    how = {"candidates": 1, "proposals": 0} if few else {}
    first = qn.solve(problem, start, seed=seed)
    found = qn.solve(problem, "refine", start=start, seed=seed, rounds=2, steps=steps, **how)
    assert oracle.violations(document, found.to_dict()) == [] and not found.remarks
    assert first.objective <= found.objective <= best + CLOSE
    assert found.bound >= best * (1.0 - CLOSE) - CLOSE
    assert first.bound is None or found.bound <= first.bound + CLOSE


@pytest.mark.parametrize("start", STARTS)
def test_refine_on_networks(start):
    """With memories, floors, degrees and several routes of a request; simple starts are far improved."""
    gained = []
    for problem in networks(4):
        first = qn.solve(problem, start, seed=1)
        found, again = (qn.solve(problem, "refine", start=start, seed=1, rounds=2) for _ in range(2))
        check(problem, found.allocation)
        assert found.objective >= first.objective and found.allocation == again.allocation
        gained.append(found.objective / first.objective)
    assert np.mean(gained) > 1.05 or start not in ("shortest-path", "static")


def test_what_a_method_proves_stays_proven():
    problem = network_problem(1)
    found = qn.solve(problem, "refine", start="exact")
    assert found.status == "optimal" and found.objective == pytest.approx(qn.solve(problem, "exact").objective)


def test_methods_of_others_are_starts_and_their_answers_are_checked(monkeypatch):
    problem = network_problem(1)
    route = qn.solve(problem, "greedy").allocation.routes[0]
    answers = {"one": Allocation((route,)), "wrong": Allocation((route,) * 50)}
    own = {name: Method(name, "", lambda p, s, a=answer: Answer(a)) for name, answer in answers.items()}
    known = {**registered(), **own}
    monkeypatch.setattr(sys.modules["qnroute.methods"], "registered", lambda: known)
    found = qn.solve(problem, "refine", start="one")
    assert found.objective > 2 * value(problem, answers["one"])
    with pytest.raises(qn.InfeasibleAllocation):
        qn.solve(problem, "refine", start="wrong")


def test_refine_stops_when_told_and_keeps_what_it_has(monkeypatch):
    problem, ended, rounds = crowded(5), threading.Event(), []
    real = refining.chosen_anew

    def counted(*arguments):
        rounds.append(1)
        if len(rounds) == 2:
            ended.set()
        return real(*arguments)

    monkeypatch.setattr(refining, "chosen_anew", counted)
    first = qn.solve(problem, "shortest-path")
    found = qn.solve(problem, "refine", start="shortest-path", rounds=10**6, interrupted=ended)
    assert len(rounds) == 2 and found.status == "time-limit" and "interrupted" in found.remarks[0]
    assert found.objective > first.objective
    monkeypatch.undo()
    late = qn.solve(problem, "refine", time_limit=0.0)
    assert late.status == "time-limit" and late.bound >= qn.solve(problem, "exact").objective


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": "refine"}, "option start: found 'refine', expected a method that does not refine"),
        ({"start": "hybrid"}, "option start: found 'hybrid'"),
        ({"start": "grady"}, "greedy"),
        ({"start": 3}, "option start: found 3, expected text"),
        ({"rounds": -1}, "option rounds: found -1, expected an integer from 0"),
        ({"steps": 1.5}, "option steps: found 1.5"),
        ({"candidates": 0}, "option candidates: found 0"),
        ({"weights": "nowhere"}, "nowhere"),
        ({"samples": 3}, "method refine has no option 'samples'"),
    ],
)
def test_bad_options_of_refine(options, words):
    with pytest.raises(ProblemError, match=words):
        qn.solve(network_problem(1), "refine", **options)


# --- hybrid, and samples of ppo ---


def test_hybrid_keeps_every_rule_and_its_bound_is_proven():
    optimal = 0
    for document in documents("hybrid", 60):
        best, _ = oracle.optimum(document)
        result = qn.solve(problem_of(document), "hybrid", rounds=2)
        assert oracle.violations(document, result.to_dict()) == [] and not result.remarks
        assert 0.0 <= result.objective <= best + CLOSE and best <= result.bound * (1.0 + CLOSE) + CLOSE
        optimal += result.objective >= best - CLOSE
    assert optimal >= 57


def test_hybrid_and_more_samples_are_no_worse_than_the_policy_alone():
    more = 0
    for problem in map(crowded, (1, 3, 5, 7)):
        alone, few, many, hybrid, again = (
            qn.solve(problem, name, seed=1, **options)
            for name, options in (
                ("ppo", {}), ("ppo", {"samples": 6}), ("ppo", {"samples": 16}), ("hybrid", {}), ("hybrid", {}),
            )
        )  # fmt: skip
        check(problem, hybrid.allocation)
        assert alone.objective <= few.objective <= many.objective and alone.objective <= hybrid.objective
        assert hybrid.allocation == again.allocation and alone.bound == hybrid.bound
        assert hybrid.objective <= qn.solve(problem, "exact").objective * (1.0 + CLOSE)
        more += many.objective > alone.objective
    assert more > 0


@pytest.mark.parametrize("method", ["refine", "hybrid", "ppo"])
def test_nothing_to_choose_and_stopped_at_once(method):
    network = generate.grid(2, 2, p=0.5)
    for objective in ("expected-pairs", "link-sum"):
        found = qn.solve(qn.Problem(network, [], objective=objective), method)
        assert (found.allocation, found.bound, found.status) == (Allocation(), 0.0, "optimal")
    stop = threading.Event()
    stop.set()
    found = qn.solve(crowded(1), method, interrupted=stop)
    assert found.status == "time-limit" and "interrupted" in found.remarks[0] and found.bound > found.objective


def test_scores_of_links_are_those_of_the_problem():
    """Under link-sum predicted scores decide: the link of the lower p is taken where its score is higher."""
    links = [{"source": u, "target": v, "p": p, "score": s} for u, v, p, s in
             [("a", "b", 0.9, 0.1), ("b", "d", 0.9, 0.1), ("a", "c", 0.2, 0.8), ("c", "d", 0.2, 0.8)]]  # fmt: skip
    problem = qn.Problem(
        qn.Network([{"id": v} for v in "abcd"], links), [{"id": "r", "source": "a", "target": "d"}],
        objective="link-sum",
    )  # fmt: skip
    found = qn.solve(problem, "hybrid")
    assert found.allocation.routes[0].nodes == ("a", "c", "d") and found.objective == pytest.approx(1.6)
