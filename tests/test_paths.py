"""The compiled searches beside plain Python twins: depth-first enumeration, Bellman-Ford, and heapq.

All costs are multiples of 1/8, so that sums are exact whatever their order: ties tie, and budgets are hit exactly.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from typing import NamedTuple

import numpy as np
import pytest

from qnroute.costs import Costs
from qnroute.network import Network
from qnroute.paths import _grown, _pop, _push, cheapest_paths, completion_costs

INF = math.inf
COSTS = (0.0, 0.0, 0.125, 0.25, 0.25, 0.5, 1.0, 1.0, 2.0, INF)


class Case(NamedTuple):
    network: Network
    costs: Costs
    source: int
    target: int


class Path(NamedTuple):
    cost: float
    noise: float
    nodes: tuple[int, ...]


def graph(n, ends):
    ends = np.array(list(ends), dtype=np.int64).reshape(-1, 2)
    return Network.from_columns([str(i) for i in range(n)], ends[:, 0], ends[:, 1], p=0.5)


def drawn(rng, *, most=7, infinite=True):
    """A small graph with random costs of links and nodes (some zero, some infinite, many equal) and noises."""
    n = rng.randint(2, most)
    pairs = list(itertools.combinations(range(n), 2))
    ends = [rng.sample(pair, 2) for pair in rng.sample(pairs, rng.randint(min(n - 1, len(pairs)), len(pairs)))]
    values = COSTS if infinite else COSTS[:-1]
    network = graph(n, ends)
    link = np.array(rng.choices(values, k=len(ends)))
    node = np.array(rng.choices(values, k=n))
    noise = np.array(rng.choices(COSTS[:-1], k=len(ends)))
    return Case(network, Costs(link, node, noise), *rng.sample(range(n), 2))


def neighbours(network):
    near = {i: [] for i in range(network.n_nodes)}
    for e, (u, v) in enumerate(zip(network.source.tolist(), network.target.tolist())):
        near[u].append((v, e))
        near[v].append((u, e))
    return near


def enumerated(case):
    """Every simple path of finite cost, cheapest first; costs of the ends are nobody's."""
    near, found = neighbours(case.network), []

    def walk(nodes, cost, noise):
        for v, e in near[nodes[-1]]:
            if v in nodes:
                continue
            total, spoilt = cost + float(case.costs.link[e]), noise + float(case.costs.noise[e])
            if v == case.target:
                if total < INF:
                    found.append(Path(total, spoilt, (*nodes, v)))
            elif total + case.costs.node[v] < INF:
                walk((*nodes, v), total + float(case.costs.node[v]), spoilt)

    walk((case.source,), 0.0, 0.0)
    return sorted(found)


def bellman_ford(network, link, node, target):
    """Cheapest completion from every node: n rounds over all links, both ways."""
    best = [INF] * network.n_nodes
    best[target] = 0.0
    for _ in range(network.n_nodes):
        for e, ends in enumerate(zip(network.source.tolist(), network.target.tolist())):
            for u, v in (ends, ends[::-1]):
                passing = 0.0 if v == target else float(node[v])
                best[u] = min(best[u], best[v] + passing + float(link[e]))
    return best


def limits_of(rng, paths):
    """Limits of which many are hit exactly by a path."""
    limits = {}
    if rng.random() < 0.5:
        limits["max_noise"] = rng.choice([0.0, 0.5, INF, *(path.noise for path in paths)])
    if rng.random() < 0.5:
        limits["max_cost"] = rng.choice([-1.0, 0.0, 1.0, INF, *(path.cost for path in paths)])
    if rng.random() < 0.4:
        limits["max_hops"] = rng.choice([1, 2, 3, 9, *(len(path.nodes) - 1 for path in paths)])
    return limits


def allowed(paths, *, max_noise=INF, max_hops=INF, **_):
    return [path for path in paths if path.noise <= max_noise and len(path.nodes) - 1 <= max_hops]


def rows(found):
    """The listed paths as tuples of nodes."""
    return [tuple(found.nodes[a:b].tolist()) for a, b in itertools.pairwise(found.indptr.tolist())]


def listed(case, found, known):
    """The paths found, each of which must be one that the enumeration knows, at its cost, and no two the same."""
    by_nodes = {path.nodes: path for path in known}
    paths = rows(found)
    assert len(set(paths)) == len(paths) == len(found.cost)
    assert set(paths) <= set(by_nodes)
    assert found.cost.tolist() == [by_nodes[nodes].cost for nodes in paths]
    assert found.cost.tolist() == sorted(found.cost.tolist())
    return paths


# --- the searches ---


@pytest.mark.parametrize("seed", range(4))
def test_completions_are_bellman_ford_s(seed):
    rng = random.Random(f"completions {seed}")
    for _ in range(100):
        case = drawn(rng, most=9)
        found = completion_costs(case.network, case.costs.link, case.costs.node, case.target)
        assert found.tolist() == bellman_ford(case.network, case.costs.link, case.costs.node, case.target)


@pytest.mark.parametrize("seed", range(4))
def test_all_paths_in_order_of_cost(seed):
    rng = random.Random(f"all {seed}")
    for _ in range(100):
        case = drawn(rng, most=6)
        known = enumerated(case)
        found = cheapest_paths(*case, count=10_000)
        assert sorted(listed(case, found, known)) == sorted(path.nodes for path in known)
        assert found.rest == INF


@pytest.mark.parametrize("seed", range(6))
def test_the_cheapest_few_within_limits(seed):
    """The costs are those of the enumeration's first; nothing unlisted is below `rest`."""
    rng = random.Random(f"few {seed}")
    for _ in range(100):
        case = drawn(rng)
        known = enumerated(case)
        limits, count = limits_of(rng, known), rng.choice((2, 2, 3, 5, 1000))
        within = allowed(known, **limits)
        cheap = [path for path in within if path.cost <= limits.get("max_cost", INF)]
        found = cheapest_paths(*case, count=count, **limits)
        paths = listed(case, found, cheap)
        assert found.cost.tolist() == [path.cost for path in cheap[:count]]
        unlisted = [path.cost for path in within if path.nodes not in paths]
        assert found.rest <= min(unlisted, default=INF)
        if len(cheap) < count and limits.get("max_cost", INF) == INF:
            assert found.rest == INF


@pytest.mark.parametrize("seed", range(6))
def test_the_cheapest_one_within_limits(seed):
    """Asked for one, labels are dropped by dominance: the cost must still be the least."""
    rng = random.Random(f"one {seed}")
    for _ in range(150):
        case = drawn(rng)
        known = enumerated(case)
        limits = limits_of(rng, known)
        cheap = [path for path in allowed(known, **limits) if path.cost <= limits.get("max_cost", INF)]
        found = cheapest_paths(*case, **limits)
        listed(case, found, cheap)
        assert found.cost.tolist() == [path.cost for path in cheap[:1]]


@pytest.mark.parametrize("seed", range(4))
def test_a_search_cut_short_lists_the_first_and_bounds_the_rest(seed):
    rng, cut = random.Random(f"cut {seed}"), 0
    for _ in range(100):
        case = drawn(rng)
        known = enumerated(case)
        limits = limits_of(rng, known)
        within = allowed(known, **limits)
        cheap = [path for path in within if path.cost <= limits.get("max_cost", INF)]
        found = cheapest_paths(*case, count=1000, max_labels=rng.choice((1, 2, 3, 5, 8, 13)), **limits)
        paths = listed(case, found, cheap)
        assert found.cost.tolist() == [path.cost for path in cheap[: len(paths)]]
        unlisted = [path.cost for path in within if path.nodes not in paths]
        assert found.rest <= min(unlisted, default=INF)
        cut += len(paths) < len(cheap)
    assert cut > 20


def test_random_real_costs_agree_with_the_enumeration():
    """No ties here; sums may differ in their last digits."""
    rng = random.Random("real")
    for _ in range(100):
        case = drawn(rng, infinite=False)
        noisy = [np.array([rng.expovariate(1.0) for _ in column]) for column in case.costs]
        case = case._replace(costs=Costs(*noisy))
        known = enumerated(case)
        for count in (1, 4):
            found = cheapest_paths(*case, count=count)
            assert rows(found) == [path.nodes for path in known[:count]]
            np.testing.assert_allclose(found.cost, [path.cost for path in known[:count]], rtol=1e-12)
            assert found.rest <= min((path.cost for path in known[count:]), default=INF) + 1e-12


# --- by hand ---


def diamond(link, node, noise=(0.0, 0.0, 0.0, 0.0)):
    """0-1-3 and 0-2-3; links in the order 0-1, 1-3, 0-2, 2-3."""
    return graph(4, [(0, 1), (1, 3), (0, 2), (2, 3)]), Costs(*(np.array(c, dtype=float) for c in (link, node, noise)))


def test_nodes_cost_where_they_are_passed_and_nowhere_else():
    network, costs = diamond([1, 1, 1, 1], [100, 5, 3, 100])
    found = cheapest_paths(network, costs, 0, 3, count=5)
    assert rows(found) == [(0, 2, 3), (0, 1, 3)] and found.cost.tolist() == [5.0, 7.0] and found.rest == INF
    assert cheapest_paths(network, costs._replace(node=np.full(4, INF)), 0, 3, count=5).cost.tolist() == []
    direct = cheapest_paths(network, costs._replace(node=np.full(4, INF)), 0, 1, count=5)
    assert rows(direct) == [(0, 1)]


def test_a_budget_met_exactly_is_kept():
    network, costs = diamond([1, 1, 2, 2], [0] * 4, [0.5, 0.25, 0.25, 0.25])
    for budget, expected in ((0.75, (0, 1, 3)), (0.625, (0, 2, 3)), (0.5, (0, 2, 3)), (0.375, None)):
        for count in (1, 9):
            found = rows(cheapest_paths(network, costs, 0, 3, count=count, max_noise=budget))
            assert found[:1] == ([expected] if expected else [])


def test_the_one_cheapest_is_not_hidden_by_a_cheaper_noisy_start():
    """0-1-2 is cheaper than 0-2 but spends the noise that 2-3 needs."""
    network = graph(4, [(0, 1), (1, 2), (0, 2), (2, 3)])
    costs = Costs(np.array([1.0, 1.0, 5.0, 1.0]), np.zeros(4), np.array([1.0, 1.0, 0.5, 1.0]))
    assert rows(cheapest_paths(network, costs, 0, 3)) == [(0, 1, 2, 3)]
    assert rows(cheapest_paths(network, costs, 0, 3, max_noise=1.5)) == [(0, 2, 3)]
    assert rows(cheapest_paths(network, costs, 0, 3, max_hops=2)) == [(0, 2, 3)]
    assert rows(cheapest_paths(network, costs, 0, 3, max_noise=1.5, max_hops=1)) == []


@pytest.mark.parametrize(("cost", "noise"), [(INF, 0.0), (0.0, 1.0)], ids=["closed", "too noisy"])
def test_the_one_cheapest_is_not_hidden_by_a_cheaper_longer_start(cost, noise):
    """0-1-2 is cheaper than 0-2 but a hop longer; the short way on, 2-3, cannot be taken, and 2-4-3 needs that hop."""
    network = graph(5, [(0, 1), (1, 2), (0, 2), (2, 3), (2, 4), (4, 3)])
    costs = Costs(np.array([1, 1, 5, cost, 1, 1.0]), np.zeros(5), np.array([0, 0, 0, noise, 0, 0]))
    assert rows(cheapest_paths(network, costs, 0, 3, max_noise=0.5)) == [(0, 1, 2, 4, 3)]
    for count in (1, 9):
        assert rows(cheapest_paths(network, costs, 0, 3, count=count, max_noise=0.5, max_hops=3)) == [(0, 2, 4, 3)]


@pytest.mark.parametrize("count", [1, 7])
def test_where_there_is_no_way_there_is_no_path(count):
    apart = graph(4, [(0, 1), (2, 3)])
    found = cheapest_paths(apart, Costs(np.ones(2), np.zeros(4), np.zeros(2)), 0, 3, count=count)
    assert rows(found) == [] and found.rest == INF and found.indptr.tolist() == [0]
    network, costs = diamond([INF, 1, 1, INF], [0] * 4)
    assert rows(cheapest_paths(network, costs, 0, 3, count=count)) == []
    lonely = graph(2, [])
    assert rows(cheapest_paths(lonely, Costs(np.zeros(0), np.zeros(2), np.zeros(0)), 0, 1, count=count)) == []


def test_paths_beyond_the_dearest_allowed_count_in_the_rest():
    network, costs = diamond([1, 1, 2, 2], [0] * 4)
    for most, expected, rest in ((1.0, [], 2.0), (2.0, [2.0], 4.0), (3.5, [2.0], 4.0), (4.0, [2.0, 4.0], INF)):
        found = cheapest_paths(network, costs, 0, 3, count=5, max_cost=most)
        assert found.cost.tolist() == expected and found.rest == rest


def test_cycles_of_zero_cost_are_not_walked():
    network = graph(5, itertools.combinations(range(5), 2))
    costs = Costs(np.zeros(10), np.zeros(5), np.zeros(10))
    found = cheapest_paths(network, costs, 0, 4, count=100)
    assert len(rows(found)) == 1 + 3 + 6 + 6 and found.cost.tolist() == [0.0] * 16
    assert all(len(set(nodes)) == len(nodes) for nodes in rows(found))


@pytest.mark.parametrize("size", [7, 8])
def test_long_lists_and_many_labels(size):
    """Past 256 labels and 1,024 paths the arrays grow; a complete graph has sum of (n-2)!/j! paths."""
    network = graph(size, itertools.combinations(range(size), 2))
    costs = Costs(np.ones(network.n_links), np.zeros(size), np.zeros(network.n_links))
    found = cheapest_paths(network, costs, 0, size - 1, count=5_000)
    expected = sum(math.perm(size - 2, k) for k in range(size - 1))
    assert len(set(rows(found))) == expected == (326 if size == 7 else 1957)
    assert np.bincount(found.cost.astype(int)).tolist() == [0, *(math.perm(size - 2, k) for k in range(size - 1))]
    assert found.rest == INF


def test_the_same_question_has_the_same_answer():
    network = graph(6, itertools.combinations(range(6), 2))
    costs = Costs(np.ones(15), np.zeros(6), np.zeros(15))
    first, again = (cheapest_paths(network, costs, 0, 5, count=20) for _ in range(2))
    assert rows(first) == rows(again) and first.rest == again.rest


def test_nothing_given_is_changed():
    case = drawn(random.Random(1))
    before = [column.copy() for column in case.costs]
    cheapest_paths(*case, count=9)
    for column, kept in zip(case.costs, before):
        np.testing.assert_array_equal(column, kept)


# --- the heap ---


def test_the_heap_is_heapq_s():
    """Smallest key first, among equal keys the smallest item, through any mixture of pushes and pops."""
    rng, key, item, size, twin = random.Random("heap"), np.empty(4), np.empty(4, np.int64), 0, []
    for number in range(3_000):
        if twin and rng.random() < 0.45:
            assert (key[0], item[0]) == heapq.heappop(twin)
            _pop(key, item, size)
            size -= 1
        else:
            if size == key.size:
                key, item = _grown(key), _grown(item)
            entry = (rng.choice(COSTS), number)
            _push(key, item, size, *entry)
            heapq.heappush(twin, entry)
            size += 1
    assert size == len(twin) > 100


def test_grown_keeps_what_there_was():
    bigger = _grown(np.array([1.0, 2.0, 3.0]))
    assert bigger.size == 6 and bigger[:3].tolist() == [1.0, 2.0, 3.0]
