"""Candidate routes beside the oracle's enumeration: which are listed, what they are worth, what the rest can be."""

from __future__ import annotations

import math
import random

import numpy as np
import oracle
import pytest
from helpers import problem_of

from qnroute import routes as module
from qnroute.allocation import Allocation, check, route_figures, value
from qnroute.costs import NOTHING, closed, most_useful_cost, path_costs, search_costs, value_at_cost
from qnroute.network import Network
from qnroute.problem import OBJECTIVES, Objective, Problem
from qnroute.routes import enumerate_all, enumerate_routes
from qnroute.settings import Settings

CLOSE = 1 + 1e-12
ALL = 1_000


def useful(document, request):
    """Value and nodes of every route of a request that is worth anything and fits alone, best first."""
    alone = {**document, "requests": [{**request, "routes": 1}]}
    found = []
    for nodes in oracle.simple_routes(document, request):
        worth = oracle.route_figures(document, request, nodes)[2]
        room, use = oracle._capacities(alone), oracle._uses(nodes)
        if worth > 0.0 and not oracle._overused(room, use):
            found.append((worth, nodes))
    return sorted(found, reverse=True)


def by_request(table):
    """(value, nodes) of the routes listed for each request, in their order."""
    found = [[] for _ in table.problem.requests]
    for j, k in enumerate(table.request.tolist()):
        found[k].append((float(table.value[j]), table.route(j).nodes))
    return found


def drawn(seed, number, **how):
    rng = random.Random(seed)
    for _ in range(number):
        document = oracle.random_problem(rng, **how)
        yield rng, document, problem_of(document)


def same(found, expected):
    """Equal as sets of routes with equal values."""
    assert {nodes for _, nodes in found} == {nodes for _, nodes in expected}
    assert [worth for worth, _ in found] == pytest.approx([worth for worth, _ in expected], rel=1e-12)


def ladder(steps, *, routes=1, objective="expected-pairs", **rules):
    """2 ** steps routes from s to t, all worth different amounts."""
    nodes, links = [{"id": "n0"}], []
    for i in range(steps):
        nodes += [{"id": f"u{i}"}, {"id": f"d{i}"}, {"id": f"n{i + 1}"}]
        for way, p in (("u", 0.95 - 0.01 * i), ("d", 0.7 + 0.013 * i)):
            links += [{"source": f"n{i}", "target": f"{way}{i}", "p": p}]
            links += [{"source": f"{way}{i}", "target": f"n{i + 1}", "p": 1.0}]
    request = {"id": "r", "source": "n0", "target": f"n{steps}", "routes": routes}
    return Problem(Network(nodes, links), [request], objective=objective, rules=rules)


# --- complete lists ---


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_complete_table_is_the_enumeration(objective):
    for _, document, problem in drawn(f"complete {objective}", 120, objective=objective):
        table = enumerate_routes(problem, per_request=ALL)
        assert not table.incomplete.any()
        assert np.all(table.rest <= NOTHING)
        for request, found in zip(document["requests"], by_request(table)):
            same(found, useful(document, request))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_listed_route_is_worth_what_the_judge_says_and_fits_alone(objective):
    for _, _, problem in drawn(f"judged {objective}", 60, objective=objective):
        table = enumerate_routes(problem, per_request=ALL)
        for j in range(len(table)):
            check(problem, Allocation((table.route(j),)))
            assert table.value[j] == pytest.approx(route_figures(problem, table.route(j)).value, rel=1e-12)


def test_the_contract_example(contract_example):
    """C has memory for one passing route; both routes keep the floor of 0.8, one keeps 0.9."""
    problem = problem_of(contract_example)
    assert by_request(enumerate_routes(problem, per_request=9)) == [
        [(pytest.approx(0.648), ("A", "C", "D")), (pytest.approx(0.27), ("A", "B", "D"))]
    ]
    contract_example["requests"][0]["min_fidelity"] = 0.9
    assert [nodes for _, nodes in by_request(enumerate_routes(problem_of(contract_example), per_request=9))[0]] == [
        ("A", "B", "D")
    ]


# --- lists cut short ---


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("pool", [1, 3])
def test_rest_bounds_every_route_not_listed(objective, pool):
    cut = 0
    for rng, document, problem in drawn(f"rest {objective} {pool}", 150, objective=objective, max_links=11):
        limit = np.array([rng.choice((1, 1, 2, 3)) for _ in problem.requests])
        table = enumerate_routes(problem, per_request=limit, pool=pool)
        for k, (request, found) in enumerate(zip(document["requests"], by_request(table))):
            listed, known = {nodes for _, nodes in found}, useful(document, request)
            unlisted = [worth for worth, nodes in known if nodes not in listed]
            assert len(found) <= limit[k]
            assert max(unlisted, default=0.0) <= table.rest[k] * CLOSE
            assert table.incomplete[k] or not unlisted
            cut += bool(unlisted)
    assert cut > 40


@pytest.mark.parametrize("objective", ["expected-pairs", "log-success"])
def test_a_list_cut_short_has_the_most_valuable(objective):
    for rng, document, problem in drawn(f"best {objective}", 120, objective=objective, max_links=11):
        most = rng.choice((1, 2, 4))
        table = enumerate_routes(problem, per_request=most)
        for request, found in zip(document["requests"], by_request(table)):
            values = [worth for worth, _ in useful(document, request)][:most]
            assert [worth for worth, _ in found] == pytest.approx(values, rel=1e-12)


def test_link_sum_looks_at_a_pool_and_keeps_the_best_of_it():
    """By hops the direct link comes first; the detours are worth more and lie in the pool."""
    network = Network([{"id": name} for name in "abcd"], [{"source": u, "target": v, "p": 0.5} for u, v in
                      ("ab", "ac", "cb", "ad", "dc")])  # fmt: skip
    problem = Problem(network, [{"id": "r", "source": "a", "target": "b"}], objective="link-sum")
    narrow, wide = (enumerate_routes(problem, per_request=1, pool=pool) for pool in (1, 3))
    assert [nodes for _, nodes in by_request(wide)[0]] == [("a", "d", "c", "b")]
    assert wide.value.tolist() == [1.5] and narrow.value[0] <= 1.0
    assert narrow.rest[0] >= 1.5 and wide.rest[0] >= 1.0


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_rest_holds_where_the_search_runs_out_of_labels(objective, monkeypatch):
    monkeypatch.setattr(module, "_FEWEST_LABELS", 6)
    monkeypatch.setattr(module, "_LABELS_PER_ROUTE", 1)
    cut = 0
    for rng, document, problem in drawn(f"labels {objective}", 150, objective=objective, max_links=12):
        table = enumerate_routes(problem, per_request=rng.choice((1, 3, 8)))
        for k, (request, found) in enumerate(zip(document["requests"], by_request(table))):
            listed, known = {nodes for _, nodes in found}, useful(document, request)
            unlisted = [worth for worth, nodes in known if nodes not in listed]
            assert listed <= {nodes for _, nodes in known}
            assert max(unlisted, default=0.0) <= table.rest[k] * CLOSE
            cut += bool(unlisted)
    assert cut > 30


# --- every route, as far as a total allows ---


@pytest.mark.parametrize("most", [1, 5, 20, 1_000])
def test_all_routes_within_a_total(most):
    for _, document, problem in drawn(f"total {most}", 60, max_links=11):
        table = enumerate_all(problem, max_routes=most)
        assert len(table) <= max(most, len(problem.requests))
        for k, (request, found) in enumerate(zip(document["requests"], by_request(table))):
            known, listed = useful(document, request), {nodes for _, nodes in found}
            assert table.incomplete[k] or len(found) == len(known)
            assert max((worth for worth, n in known if n not in listed), default=0.0) <= table.rest[k] * CLOSE
        if most == 1_000:
            assert not table.incomplete.any()


def test_what_few_routed_requests_leave_goes_to_those_with_more():
    """Four requests have one route, the fifth 64: of 100 it may have 96, though a fifth of 100 is 20."""
    base = ladder(6)
    extra = [{"id": f"q{i}", "source": "n0", "target": "u0"} for i in range(4)]
    problem = base.replace(requests=[*extra, *base.requests], rules={"max_hops": 12})
    table = enumerate_all(problem, max_routes=100)
    assert not table.incomplete[4] and np.count_nonzero(table.request == 4) == 64
    assert enumerate_all(problem, max_routes=20).incomplete[4]


# --- the table itself ---


def test_order_of_the_table():
    for _, _, problem in drawn("order", 60, max_links=12):
        table = enumerate_routes(problem, per_request=ALL)
        assert np.all(np.diff(table.request) >= 0)
        assert np.all((np.diff(table.value) <= 0) | (np.diff(table.request) > 0))
        assert np.all(table.value > 0.0)
        assert len(table) == len(table.value) == len(table.indptr) - 1 and table.indptr[-1] == len(table.nodes)


def test_steps_are_the_links_of_the_routes():
    for _, _, problem in drawn("steps", 60, max_links=12):
        table, network = enumerate_routes(problem, per_request=ALL), problem.network
        expected = [
            (j, network.link_index[network.index[u], network.index[v]], network.index[u])
            for j in range(len(table))
            for u, v in zip(table.route(j).nodes, table.route(j).nodes[1:])
        ]
        assert list(zip(*(part.tolist() for part in table.steps))) == expected
        assert table.hops.tolist() == [len(table.route(j).nodes) - 1 for j in range(len(table))]


def test_an_allocation_repeats_its_routes():
    table = enumerate_routes(ladder(2, routes=3), per_request=9)
    answer = table.allocation(np.array([2, 0, 1, 0]))
    assert answer.routes == (table.route(0), table.route(0), table.route(2))
    assert value(table.problem, answer) == pytest.approx(table.value @ [2, 0, 1, 0])
    assert table.allocation(np.zeros(4, dtype=int)) == Allocation()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_nothing_asked_nothing_listed(objective):
    table = enumerate_routes(ladder(2).replace(requests=[], objective=objective), per_request=9)
    assert len(table) == 0 and table.rest.shape == (0,) and not table.incomplete.any()
    assert enumerate_all(table.problem, max_routes=5).allocation(np.zeros(0, dtype=int)) == Allocation()
    route, link, tail = table.steps
    assert len(route) == len(link) == len(tail) == 0


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_requests_whose_turn_never_came_are_bounded_not_searched(objective):
    problem = ladder(3, objective=objective)
    table = enumerate_routes(problem, per_request=9, settings=Settings(time_limit=0.0))
    best = enumerate_routes(problem, per_request=9).value.max()
    assert len(table) == 0 and table.incomplete.all() and table.rest[0] >= best


@pytest.mark.parametrize(
    "changed",
    [{"n0": {"memory": 0}}, {"n2": {"memory": 0}}, {"n0": {"degree": 0}}, {"n1": {"memory": 1}}, {"n1": {"degree": 0}}],
)
def test_what_can_never_be_served_has_no_routes_and_no_rest(changed):
    problem = ladder(2)
    rows = [{**row, **changed.get(row["id"], {})} for row in problem.network.to_dict()["nodes"]]
    table = enumerate_routes(problem.replace(network=Network(rows, problem.network.links())), per_request=9)
    assert len(table) == 0 and table.rest.tolist() == [0.0]


def test_an_end_needs_no_degree_at_the_target_and_one_qubit_at_both():
    problem = ladder(1)
    tight = {"n0": {"memory": 1, "degree": 1}, "n1": {"memory": 1, "degree": 0}}
    rows = [{**row, **tight.get(row["id"], {})} for row in problem.network.to_dict()["nodes"]]
    table = enumerate_routes(problem.replace(network=Network(rows, problem.network.links())), per_request=9)
    assert len(table) == 2


def test_a_node_that_never_swaps_is_a_way_through_under_link_sum_only():
    problem = ladder(2)
    rows = [{**row, "swap": 0.0} if row["id"] == "n1" else row for row in problem.network.to_dict()["nodes"]]
    problem = problem.replace(network=Network(rows, problem.network.links()))
    listed = [len(enumerate_routes(problem.replace(objective=kind), per_request=9)) for kind in OBJECTIVES]
    assert listed == [0, 0, 4]


def test_routes_worth_nothing_or_less_are_left_out():
    """With R = 0.4 a route pays only while -ln P < 0.4."""
    problem = ladder(3, objective=Objective("log-success", serve_reward=0.4))
    table = enumerate_routes(problem, per_request=99)
    everything = enumerate_routes(problem.replace(objective="expected-pairs"), per_request=99)
    paying = [worth for worth in everything.value if -math.log(worth) < 0.4]
    assert 0 < len(table) == len(paying) < 8
    np.testing.assert_allclose(table.value, 0.4 + np.log(paying))
    assert not table.incomplete.any()
    none = problem.replace(objective=Objective("log-success", serve_reward=-1.0))
    assert len(enumerate_routes(none, per_request=99)) == 0 and not enumerate_routes(none, per_request=99).rest.any()


# --- costs ---


def test_costs_by_hand(contract_example):
    problem = problem_of(contract_example)
    link, node, noise = path_costs(problem)
    np.testing.assert_allclose(link, -np.log([0.6, 0.5, 0.9, 0.9]))
    np.testing.assert_allclose(node, -np.log([0.9, 0.9, 0.8, 1.0]), atol=1e-15)
    np.testing.assert_allclose(noise, -np.log([14 / 15, 71 / 75, 13 / 15, 13 / 15]))
    by_hops = search_costs(problem.replace(objective="link-sum"))
    assert by_hops.link.tolist() == [1.0] * 4 and by_hops.node.tolist() == [0.0] * 4
    np.testing.assert_array_equal(search_costs(problem).link, link)


def test_nodes_that_can_never_be_passed_are_closed(contract_example):
    nodes = contract_example["network"]["nodes"]
    nodes[0]["memory"], nodes[1]["degree"], nodes[3]["swap"] = 1, 0, 0.0
    problem = problem_of(contract_example)
    assert np.isinf(closed(problem, path_costs(problem)).node).tolist() == [True, True, False, True]
    assert np.isinf(path_costs(problem).node).tolist() == [False, False, False, True]
    np.testing.assert_array_equal(closed(problem, path_costs(problem)).link, path_costs(problem).link)


def test_the_dearest_cost_that_is_still_worth_it():
    problem = ladder(1)
    assert 600 < most_useful_cost(problem) < math.inf
    assert most_useful_cost(problem.replace(objective=Objective("log-success", serve_reward=3.0))) == 3.0
    assert most_useful_cost(problem.replace(objective="link-sum")) == math.inf


def test_the_value_at_a_cost():
    problem = ladder(1).replace(requests=[{"id": "r", "source": "n0", "target": "n1", "weight": 2.0}])
    cost = np.array([math.log(4.0), 0.0, math.inf])
    assert value_at_cost(problem, np.zeros(3, int), cost) == pytest.approx([0.5, 2.0, 0.0])
    log = problem.replace(objective=Objective("log-success", serve_reward=3.0))
    assert value_at_cost(log, 0, cost) == pytest.approx([6.0 - 2 * math.log(4.0), 6.0, 0.0])


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_first_of_a_table_are_its_most_valuable_and_the_rest_counts_the_others(objective):
    for rng, _, problem in drawn(f"first {objective}", 40, objective=objective):
        table, count = enumerate_routes(problem, per_request=rng.choice((2, 5, ALL))), rng.choice((1, 2, 3))
        few = table.first(count)
        for k in range(len(problem.requests)):
            values = table.value[table.request == k]
            assert few.value[few.request == k].tolist() == values[:count].tolist()
            assert few.rest[k] == max([table.rest[k], *values[count:]])
        assert [few.route(j) for j in range(len(few))] == [
            table.route(j) for k in range(len(problem.requests)) for j in np.flatnonzero(table.request == k)[:count]
        ]
