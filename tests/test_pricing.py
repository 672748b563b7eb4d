"""Pricing: the best route at any prices, all routes above a floor, and bounds that hold, against plain enumeration."""

from __future__ import annotations

import collections
import itertools
import math
import random

import numpy as np
import oracle
import pytest
from helpers import problem_of

from qnroute.completion import Prices
from qnroute.costs import most_useful_cost, path_costs
from qnroute.errors import SolverError
from qnroute.pricing import ALL, BEST, FOLLOWED, THOROUGH, Pricer
from qnroute.settings import Settings

CLOSE = 1e-9
KINDS = ("expected-pairs", "log-success")
PLENTY = 100_000


def drawn_prices(rng, problem, most_cuts=5):
    """Prices of all resources and of some cuts, many 0 as in a relaxation, some equal; cuts may count earlier ones."""
    n, m = problem.network.n_nodes, problem.network.n_links
    scale = rng.choice((0.02, 0.2, 1.0)) * (10.0 if problem.objective.kind == "log-success" else 1.0)

    def some(size):
        return np.array([rng.choice((0.0, 0.0, 0.1, rng.random())) * scale for _ in range(size)])

    n_cuts = rng.choice((0, most_cuts))
    nested = rng.choice((0.0, 1.0, 3.0)) / max(n_cuts, 1)
    often, places = rng.choice((0.2, 0.6)), m + 3 * n + len(problem.requests)
    uses = [[c for c in range(n_cuts) if rng.random() < often] for _ in range(places)]
    at = np.cumsum([0, *(len(each) for each in uses)])
    cuts = np.array([c for each in uses for c in each], dtype=np.int64)
    counted = [[d for d in range(c + 1, n_cuts) if rng.random() < nested] for c in range(n_cuts)]
    counts = np.cumsum([0, *(len(each) for each in counted)])
    in_cuts = np.array([d for each in counted for d in each], dtype=np.int64)
    return Prices(some(m), some(n), some(n), some(n), some(n_cuts), at, cuts, counts, in_cuts)


def paid_for(problem, prices, k, nodes, links):
    """What the route of request k over these nodes and links costs."""
    n, m = problem.network.n_nodes, problem.network.n_links
    inner, paid = nodes[1:-1], 0.0
    paid += sum(prices.link[links]) + sum(prices.passed[inner]) + prices.source[nodes[0]] + prices.target[nodes[-1]]
    places = [*links, *(m + v for v in inner), m + n + nodes[0], m + 2 * n + nodes[-1], m + 3 * n + k]
    times = collections.Counter(c for i in places for c in prices.cut[prices.at[i] : prices.at[i + 1]].tolist())
    for c in range(len(prices.pair)):
        pairs = times[c] // 2
        paid += prices.pair[c] * pairs
        for d in prices.counted[prices.counts[c] : prices.counts[c + 1]].tolist():
            times[d] += pairs
    return paid


def enumerated(document, problem, prices):
    """Per request all its routes of any worth, with their prices, by the oracle's enumeration, the best first."""
    network, costs, worthless = problem.network, path_costs(problem), most_useful_cost(problem)
    for k, request in enumerate(document["requests"]):
        found = []
        for names in oracle.simple_routes(document, request):
            nodes = [network.index[name] for name in names]
            links = [network.link_index[pair] for pair in itertools.pairwise(nodes)]
            inner = nodes[1:-1]
            if any(network.memory[v] < 2 or problem.degree_bounds[v] < 1 for v in inner):
                continue  # no allocation can hold it
            if min(network.memory[nodes[0]], network.memory[nodes[-1]]) < 1 or problem.degree_bounds[nodes[0]] < 1:
                continue
            cost = sum(costs.link[links]) + sum(costs.node[inner])
            if cost > worthless:
                continue
            reward = problem.objective.serve_reward
            worth = math.exp(-cost) if problem.objective.kind == "expected-pairs" else reward - cost
            found.append((problem.weights[k] * worth - paid_for(problem, prices, k, nodes, links), tuple(nodes)))
        yield sorted(found, reverse=True)


def cases(seed, number, most_cuts=5, **how):
    rng = random.Random(seed)
    for _ in range(number):
        document = oracle.random_problem(rng, objective=rng.choice(KINDS), **how)
        problem = problem_of(document)
        prices = drawn_prices(rng, problem, most_cuts)
        yield rng, problem, prices, list(enumerated(document, problem, prices))


def listed(priced, k):
    """The routes found for request k with their prices."""
    rows = np.flatnonzero(priced.request == k)
    nodes = [tuple(priced.nodes[priced.indptr[j] : priced.indptr[j + 1]].tolist()) for j in rows]
    return list(zip(priced.price[rows].tolist(), nodes))


def floors(rng, known):
    """A floor for each request: none to speak of, between its routes, or above all of them."""
    chosen = []
    for routes in known:
        options = [0.0, *(price + rng.choice((-1e-3, 1e-3)) for price, _ in routes[:6])]
        chosen.append(max(rng.choice(options), 0.0))
    return np.array(chosen)


@pytest.mark.parametrize("seed", range(4))
def test_the_best_route_is_found_whatever_the_prices(seed):
    for rng, problem, prices, known in cases(f"best {seed}", 120):
        floor = floors(rng, known)
        priced = Pricer(problem).search(prices, floor, Settings(), effort=BEST, count=rng.choice((1, 3)))
        for k, routes in enumerate(known):
            best = max([price for price, _ in routes], default=-math.inf)
            found = listed(priced, k)
            real = {nodes: price for price, nodes in routes}
            assert all(real[nodes] == pytest.approx(price, abs=CLOSE) for price, nodes in found)
            if best > floor[k] + CLOSE:
                assert max(price for price, _ in found) == pytest.approx(best, abs=CLOSE)
                assert priced.most[k] == pytest.approx(best, abs=CLOSE)
            else:
                assert found == [] or found[0][0] <= floor[k] + CLOSE
                assert priced.most[k] == pytest.approx(floor[k], abs=CLOSE)


@pytest.mark.parametrize("seed", range(3))
def test_following_finds_real_routes_and_bounds_all_of_them(seed):
    hit = total = 0
    for rng, problem, prices, known in cases(f"followed {seed}", 120):
        floor = floors(rng, known)
        priced = Pricer(problem).search(prices, floor, Settings(), effort=FOLLOWED)
        for k, routes in enumerate(known):
            best = max([price for price, _ in routes], default=-math.inf)
            found, real = listed(priced, k), {nodes: price for price, nodes in routes}
            assert all(real[nodes] == pytest.approx(price, abs=CLOSE) for price, nodes in found)
            assert all(price > floor[k] - CLOSE for price, _ in found)
            assert priced.most[k] >= max(best, floor[k]) - CLOSE
            total += best > floor[k] + CLOSE
            hit += best > floor[k] + CLOSE and max((p for p, _ in found), default=-math.inf) >= best - CLOSE
    assert hit > 0.8 * total  # mostly the best one is among them


@pytest.mark.parametrize("count", [1, 4, PLENTY])
def test_every_route_above_a_floor(count):
    cut = 0
    for rng, problem, prices, known in cases(f"all {count}", 200):
        floor = floors(rng, known) - rng.choice((0.0, 0.05, 0.5))
        priced = Pricer(problem).search(prices, floor, Settings(), effort=rng.choice((ALL, THOROUGH)), count=count)
        for k, routes in enumerate(known):
            above = [(price, nodes) for price, nodes in routes if price > floor[k] + CLOSE]
            found = listed(priced, k)
            assert len(found) == len({nodes for _, nodes in found}) <= count
            if floor[k] >= 0.0:
                assert {nodes for _, nodes in found} <= {nodes for price, nodes in routes if price > floor[k] - CLOSE}
            unlisted = [price for price, nodes in above if nodes not in {nodes for _, nodes in found}]
            assert priced.rest[k] >= max(unlisted, default=floor[k]) - CLOSE
            assert priced.most[k] >= max((price for price, _ in above), default=floor[k]) - CLOSE
            if count == PLENTY:
                assert not unlisted and priced.rest[k] == floor[k]
            cut += bool(unlisted)
    assert (cut > 5) == (count < PLENTY)


def test_with_few_labels_the_bounds_still_hold():
    loose = 0
    for rng, problem, prices, known in cases("labels", 400):
        for effort in (BEST, ALL, THOROUGH):
            priced = Pricer(problem).search(
                prices, np.zeros(len(known)), Settings(), effort=effort, max_labels=rng.choice((1, 2, 3))
            )
            for k, routes in enumerate(known):
                best = max([price for price, _ in routes], default=0.0)
                unlisted = [price for price, nodes in routes if nodes not in {nodes for _, nodes in listed(priced, k)}]
                assert priced.most[k] >= best - CLOSE
                assert effort == BEST or priced.rest[k] >= max([0.0, *unlisted]) - CLOSE
                loose += priced.most[k] > max(best, 0.0) + CLOSE
    assert loose > 5


def test_with_more_cuts_than_bits_the_bounds_still_hold():
    """Cuts without a bit are not paid for while labels grow: prices are too high at most."""
    loose = 0
    for rng, problem, prices, known in cases("many cuts", 60, most_cuts=150):
        for effort in (FOLLOWED, BEST, ALL, THOROUGH):
            floor = floors(rng, known)
            priced = Pricer(problem).search(prices, floor, Settings(), effort=effort, count=PLENTY)
            for k, routes in enumerate(known):
                best = max([price for price, _ in routes], default=floor[k])
                found = {nodes for _, nodes in listed(priced, k)}
                assert priced.most[k] >= max(best, floor[k]) - CLOSE
                assert effort < ALL or {nodes for price, nodes in routes if price > floor[k] + CLOSE} <= found
                loose += priced.most[k] > max(best, floor[k]) + CLOSE
    assert loose > 5


def test_what_is_remembered_of_worth_changes_no_answer():
    for _rng, problem, prices, _ in cases("cap", 60):
        plain, capped = Pricer(problem), Pricer(problem)
        free = Prices(*(np.zeros_like(part) for part in prices[:4]))
        none = np.zeros(len(problem.requests))
        capped.cap(capped.search(free, none, Settings(), effort=FOLLOWED).most)
        one, other = (pricer.search(prices, none, Settings(), effort=BEST) for pricer in (plain, capped))
        np.testing.assert_allclose(one.most, other.most, atol=CLOSE)


def test_the_answer_is_the_same_for_any_number_of_workers_and_only_who_is_asked_is_searched(monkeypatch):
    monkeypatch.setattr("qnroute.pricing._CHUNK", 2)
    for _rng, problem, prices, known in cases("workers", 25, max_requests=5):
        floor = np.zeros(len(known))
        answers = [Pricer(problem, workers).search(prices, floor, Settings(), effort=BEST) for workers in (1, 3)]
        for one, other in zip(*answers):
            np.testing.assert_array_equal(one, other)
        among = np.flatnonzero(np.arange(len(known)) % 2 == 0)
        some = Pricer(problem).search(prices, floor, Settings(), effort=BEST, among=among)
        assert set(some.request.tolist()) <= set(among.tolist())
        np.testing.assert_array_equal(some.most[among], answers[0].most[among])
        assert not some.most[1::2].any()


def test_no_time_no_prices(contract_example):
    problem = problem_of(contract_example)
    free = Prices(np.zeros(4), np.zeros(4), np.zeros(4), np.zeros(4))
    assert Pricer(problem).search(free, np.zeros(1), Settings(time_limit=0.0)) is None
    with pytest.raises(SolverError, match="link-sum"):
        Pricer(problem.replace(objective="link-sum"))
