import itertools
import random

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnroute import generate
from qnroute.errors import ProblemError
from qnroute.fields import UNLIMITED
from qnroute.generate import (
    TOPOLOGIES,
    barabasi_albert,
    erdos_renyi,
    grid,
    random_geometric,
    regular,
    topology,
    watts_strogatz,
    waxman,
)
from qnroute.hardware import preset
from qnroute.nearby import near_pairs
from qnroute.network import Network

UNHURRIED = settings(deadline=None)  # slow imports and busy machines are no failures
SMALL = {
    "erdos-renyi": {"n": 20, "probability": 0.2},
    "regular": {"n": 20, "degree": 3},
    "watts-strogatz": {"n": 20, "neighbours": 4, "rewiring": 0.3},
    "barabasi-albert": {"n": 20, "links_per_node": 2},
    "waxman": {"n": 20, "alpha": 0.3, "beta": 0.6},
    "random-geometric": {"n": 20, "radius": 30.0},
    "grid": {"rows": 4, "columns": 5},
}
SPATIAL = ("waxman", "random-geometric", "grid")
SEEDS = st.integers(0, 2**40)


def degrees(network):
    return np.bincount(np.concatenate([network.source, network.target]), minlength=network.n_nodes)


def distances(network):
    """(m,) straight distance between the ends of each link."""
    return np.hypot(
        network.x[network.source] - network.x[network.target], network.y[network.source] - network.y[network.target]
    )


def components(network):
    return nx.number_connected_components(network.to_networkx())


# --- common to all ---


@pytest.mark.parametrize("kind", TOPOLOGIES)
def test_same_seed_same_network(kind):
    drawn = {"p": (0.1, 0.9), "memory": (1, 9), **SMALL[kind]}
    before = random.getstate(), np.random.get_state()[1].tolist()
    one, same, other = (topology(kind, seed=seed, **drawn) for seed in (7, 7, 8))
    assert one == same and one != other
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert one.n_nodes == 20 and one.name == f"{kind}-20-seed7"
    assert np.all(one.source < one.target)


@pytest.mark.parametrize("kind", TOPOLOGIES)
def test_places_and_lengths_where_there_are_any(kind):
    made = topology(kind, **SMALL[kind])
    if kind in SPATIAL:
        np.testing.assert_allclose(made.length_km, distances(made))
    else:
        assert np.all(np.isnan([*made.x, *made.y, *made.length_km]))
        assert np.all(topology(kind, length_km=(5, 6), **SMALL[kind]).length_km >= 5)


@pytest.mark.parametrize("kind", TOPOLOGIES)
def test_the_links_do_not_depend_on_what_they_are_worth(kind):
    plain, rich = topology(kind, **SMALL[kind]), topology(kind, p=(0.1, 1), channels=(1, 4), **SMALL[kind])
    assert plain.source.tolist() == rich.source.tolist() and plain.target.tolist() == rich.target.tolist()


def test_defaults_are_plain():
    made = grid(2, 3)
    assert set(made.p) == {0.5} and set(made.fidelity) == {1.0} and set(made.channels) == {1}
    assert set(made.swap) == {1.0} and set(made.memory) == {UNLIMITED}
    assert np.all(np.isnan(made.loss_db)) and made.notes == ()


def test_numbers_and_ranges():
    made = grid(20, 20, p=0.3, fidelity=(0.8, 0.9), channels=(1, 3), memory=(2, 4), swap=(0.5, 1), name="city", seed=3)
    assert made.name == "city" and set(made.p) == {0.3}
    assert set(made.channels) == {1, 2, 3} and set(made.memory) == {2, 3, 4}
    for column, low, high in ((made.fidelity, 0.8, 0.9), (made.swap, 0.5, 1.0)):
        assert low <= column.min() < low + 0.02 * (high - low) and high - 0.02 * (high - low) < column.max() <= high


def test_hardware_derives_links_from_lengths():
    made = random_geometric(50, 25.0, hardware="trapped-ion", slot_s=0.01, memory=2)
    figures = preset("trapped-ion").link(made.length_km, slot_s=0.01)
    np.testing.assert_allclose(made.p, figures.p)
    np.testing.assert_allclose(made.fidelity, figures.fidelity)
    np.testing.assert_allclose(made.loss_db, figures.loss_db)
    assert set(made.swap) == {1.0} and set(made.memory) == {2} and "trapped-ion" in made.notes[-1]
    assert set(random_geometric(50, 25.0, hardware=preset("repeater")).swap) == {0.5}
    assert set(random_geometric(50, 25.0, hardware="repeater", swap=0.75).swap) == {0.75}
    assert regular(10, 3, length_km=50, hardware="spdc").p[0] == preset("spdc").link(50).p


# --- one by one ---


@UNHURRIED
@given(st.integers(1, 60), st.floats(0, 1), SEEDS)
def test_erdos_renyi_is_simple(n, probability, seed):
    made = erdos_renyi(n, probability, seed=seed, connected=False)  # from_columns refuses loops and second links
    assert 0 <= made.n_links <= n * (n - 1) // 2
    assert made.n_links == {0.0: 0, 1.0: n * (n - 1) // 2}.get(probability, made.n_links)


def test_erdos_renyi_links_every_pair_alike():
    times = np.zeros((6, 6))
    for seed in range(1500):
        made = erdos_renyi(6, 0.3, seed=seed, connected=False)
        times[made.source, made.target] += 1
    share = times[np.triu_indices(6, 1)] / 1500
    assert np.all(np.abs(share - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 1500))
    large = erdos_renyi(10_000, 1e-3, seed=1, connected=False).n_links
    assert abs(large - 49995) < 5 * np.sqrt(49995)


@UNHURRIED
@given(st.integers(1, 24), st.integers(0, 23), SEEDS)
def test_regular_degrees(n, degree, seed):
    if degree >= n or n * degree % 2:
        with pytest.raises(ProblemError, match="degree"):
            regular(n, degree, seed=seed)
    else:
        assert set(degrees(regular(n, degree, seed=seed, connected=False))) == {degree}


@UNHURRIED
@given(st.integers(3, 40), st.integers(1, 5), st.floats(0, 1), SEEDS)
def test_watts_strogatz_keeps_its_number_of_links(n, half, rewiring, seed):
    if 2 * half < n:
        assert watts_strogatz(n, 2 * half, rewiring, seed=seed, connected=False).n_links == n * half


def test_watts_strogatz_without_rewiring_is_a_ring():
    made = watts_strogatz(10, 2, 0.0)
    assert {*zip(made.source.tolist(), made.target.tolist())} == {(i, i + 1) for i in range(9)} | {(0, 9)}


@UNHURRIED
@given(st.integers(2, 40), st.integers(1, 5), SEEDS)
def test_barabasi_albert_grows_from_a_star(n, links, seed):
    if links < n:
        made = barabasi_albert(n, links, seed=seed)
        assert made.n_links == links + (n - links - 1) * links and components(made) == 1


def test_waxman_follows_its_law():
    made = waxman(400, 0.2, 0.7, side_km=50, seed=5, connected=False)
    xy = np.column_stack([made.x, made.y])
    assert xy.min() >= 0 and xy.max() <= 50
    i, j = np.triu_indices(400, 1)
    distance = np.hypot(*(xy[i] - xy[j]).T)
    chance = 0.7 * np.exp(-distance / (0.2 * 50 * np.sqrt(2)))
    linked = np.zeros((400, 400), bool)
    linked[made.source, made.target] = True
    for low, high in itertools.pairwise([0, 5, 10, 20, 40, 71]):
        here = (low <= distance) & (distance < high)
        spread = np.sqrt((chance[here] * (1 - chance[here])).sum())
        assert abs(linked[i, j][here].sum() - chance[here].sum()) < 5 * spread


@UNHURRIED
@given(st.integers(1, 30), st.floats(1, 100), SEEDS)
def test_random_geometric_links_exactly_the_near(n, radius, seed):
    made = random_geometric(n, radius, side_km=60, seed=seed, connected=False)
    i, j = np.triu_indices(n, 1)
    near = np.hypot(made.x[i] - made.x[j], made.y[i] - made.y[j]) <= radius
    assert {*zip(made.source.tolist(), made.target.tolist())} == {*zip(i[near].tolist(), j[near].tolist())}


@UNHURRIED
@given(st.integers(1, 8), st.integers(1, 8))
def test_grid_is_a_grid(rows, columns):
    made = grid(rows, columns, spacing_km=3)
    assert made.n_links == rows * (columns - 1) + columns * (rows - 1) and components(made) == 1
    np.testing.assert_allclose(made.length_km, 3)
    assert (made.x[-1], made.y[-1]) == (3 * (columns - 1), 3 * (rows - 1))


# --- joining components ---


def cheapest_joins(network):
    """Total length of the shortest links that connect a network: a spanning tree over all pairs, own links free."""
    graph = nx.Graph()
    graph.add_nodes_from(range(network.n_nodes))
    for i, j in itertools.combinations(range(network.n_nodes), 2):
        graph.add_edge(i, j, weight=np.hypot(network.x[i] - network.x[j], network.y[i] - network.y[j]))
    for i, j in zip(network.source.tolist(), network.target.tolist()):
        graph[i][j]["weight"] = 0.0
    return sum(data["weight"] for _, _, data in nx.minimum_spanning_edges(graph))


@UNHURRIED
@given(st.integers(1, 25), st.floats(1, 30), SEEDS)
def test_spatial_components_are_joined_by_the_shortest_links(n, radius, seed):
    apart, joined = (random_geometric(n, radius, seed=seed, connected=connected) for connected in (False, True))
    parts = components(apart)
    assert components(joined) == 1 and joined.n_links == apart.n_links + parts - 1
    assert joined.length_km.sum() - apart.length_km.sum() == pytest.approx(cheapest_joins(apart), abs=1e-6)
    assert joined.notes == ((f"links added to join {parts} components: {parts - 1}",) if parts > 1 else ())


@UNHURRIED
@given(st.integers(1, 40), st.floats(0, 0.1), SEEDS)
def test_other_components_are_joined_at_random(n, probability, seed):
    apart, joined = (erdos_renyi(n, probability, seed=seed, connected=connected) for connected in (False, True))
    assert components(joined) == 1 and joined.n_links == apart.n_links + components(apart) - 1
    assert set(apart.link_index) <= set(joined.link_index)


# --- refusals ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: topology("erdos_renyi", n=3, probability=1), "did you mean erdos-renyi"),
        (lambda: topology(None), "topology: found None, expected one of"),
        (lambda: topology("waxman", n=3), r"alpha: missing.*beta: missing"),
        (lambda: topology("grid", rows=3, columns=3, colour=1), "colour: unknown field"),
        (lambda: topology("grid", seed=-1, rows=3, columns=3), "seed: found -1"),
        (lambda: grid(3, 3, seed=1.5), "seed: found 1.5"),
        (lambda: grid(0, 3), "rows: found 0"),
        (lambda: grid(10**6, 10**6), "1000000 nodes at most"),
        (lambda: grid(2.0, 3), "rows: found 2.0, expected a valid integer"),
        (lambda: grid(3, 3, spacing_km=0), "spacing_km: found 0"),
        (lambda: grid(3, 3, p=0), "p: found 0, expected greater than 0"),
        (lambda: grid(3, 3, p=(0.5, 1.5)), "p: found 1.5"),
        (lambda: grid(3, 3, p=(0.9, 0.1)), r"p: found \(0.9, 0.1\), expected a number or a range \(low, high\)"),
        (lambda: grid(3, 3, p=(0.1, 0.2, 0.3)), "expected a number or a range"),
        (lambda: grid(3, 3, p=True), "p: found True"),
        (lambda: grid(3, 3, p="0.5"), "p: found '0.5'"),
        (lambda: grid(3, 3, fidelity=0.25), "fidelity: found 0.25"),
        (lambda: grid(3, 3, channels=1.5, memory=-1), r"channels: found 1.5.*memory: found -1"),
        (lambda: grid(3, 3, swap=float("nan")), "swap: found nan"),
        (lambda: grid(3, 3, connected="yes"), "connected: found 'yes'"),
        (lambda: grid(3, 3, name=""), "name: found ''"),
        (lambda: grid(3, 3, length_km=5), "length_km: not an option of grid"),
        (lambda: grid(3, 3, hardware="nv"), "hardware: found 'nv', expected one of"),
        (lambda: grid(3, 3, hardware="spdc", p=0.5), "either hardware, or p and fidelity"),
        (lambda: grid(3, 3, slot_s=1.0), "slot_s: expected only together with hardware"),
        (lambda: regular(10, 3, hardware="spdc"), "hardware: needs lengths"),
        (lambda: erdos_renyi(10, 1.5), "probability: found 1.5"),
        (lambda: erdos_renyi(10**6, 0.5), "links: about"),
        (lambda: watts_strogatz(10, 3, 0.5), "neighbours: found 3, expected an even number"),
        (lambda: watts_strogatz(4, 4, 0.5), "neighbours: found 4, expected less than"),
        (lambda: barabasi_albert(3, 3), "links_per_node: found 3, expected less than"),
        (lambda: waxman(10**5, 0.5, 0.5), "n: found 100000, expected less than or equal to 50000"),
        (lambda: waxman(10, 0.0, 0.5), "alpha: found 0.0"),
        (lambda: random_geometric(10**5, 100), "links: about"),
        (lambda: generate.requests(None, 3), "network: found None"),
        (lambda: generate.requests(grid(2, 2), -1), "count: found -1"),
        (lambda: generate.requests(grid(2, 2), 3, weight=0), "weight: found 0"),
        (lambda: generate.requests(grid(2, 2), 3, min_fidelity=(0.5, 2)), "min_fidelity: found 2"),
        (lambda: generate.requests(grid(2, 2), 3, routes=0.5), "routes: found 0.5"),
        (lambda: generate.requests(grid(2, 2), 3, distinct=2), "distinct: found 2"),
        (lambda: generate.requests(grid(2, 2), 7, distinct=True), "count: found 7, .* has 6 pairs"),
        (lambda: generate.requests(grid(1, 1), 1), "count: found 1, .* has 0 pairs"),
        (lambda: generate.requests(Network([], []), 1), "count: found 1, .* has 0 pairs"),
    ],
)
def test_bad_options_are_refused_by_name(make, message):
    with pytest.raises(ProblemError, match=message):
        make()


# --- requests ---


def archipelago():
    """Islands of 1, 2, 3 and 4 nodes, each a ring or less."""
    links = [{"source": "b0", "target": "b1", "p": 1.0}]
    links += [{"source": f"c{i}", "target": f"c{(i + 1) % 3}", "p": 1.0} for i in range(3)]
    links += [{"source": f"d{i}", "target": f"d{(i + 1) % 4}", "p": 1.0} for i in range(4)]
    sizes = {"a": 1, "b": 2, "c": 3, "d": 4}
    # scattered, so that components are not runs of indices
    nodes = sorted((f"{island}{i}" for island, size in sizes.items() for i in range(size)), key=lambda node: node[::-1])
    return Network([{"id": node} for node in nodes], links)


def test_requests_are_the_same_for_the_same_seed():
    network = grid(5, 5)
    drawn = {"weight": (1.0, 5.0), "min_fidelity": (0.5, 0.9), "routes": (1, 3)}
    one, same, other = (generate.requests(network, 200, seed=seed, **drawn) for seed in (1, 1, 2))
    assert one == same and one != other
    assert [request.id for request in one[:3]] == ["r1", "r2", "r3"]
    assert all(1 <= r.weight <= 5 and 0.5 <= r.min_fidelity <= 0.9 for r in one)
    assert {r.routes for r in one} == {1, 2, 3} and all(type(r.routes) is int for r in one)


def test_requests_by_default_are_plain():
    (request,) = generate.requests(grid(1, 2), 1)
    assert (request.weight, request.min_fidelity, request.routes) == (1.0, 0.0, 1)
    assert {request.source, request.target} == {"n0", "n1"}
    assert generate.requests(grid(1, 1), 0) == generate.requests(Network([], []), 0) == []


def test_requests_stay_on_their_island_and_spread_evenly():
    count = 20_000
    drawn = generate.requests(archipelago(), count, seed=4)
    times = {}
    for request in drawn:
        assert request.source[0] == request.target[0]
        times[request.source, request.target] = times.get((request.source, request.target), 0) + 1
    assert len(times) == 2 * (1 + 3 + 6)  # every pair, both ways round
    assert all(abs(hits - count / 20) < 5 * np.sqrt(count / 20) for hits in times.values())


def test_requests_across_islands_if_wished():
    drawn = generate.requests(archipelago(), 45, seed=4, distinct=True, same_component=False)
    assert len({frozenset((r.source, r.target)) for r in drawn}) == 45  # all pairs of ten nodes


@UNHURRIED
@given(st.integers(2, 30), SEEDS, st.data())
def test_distinct_requests_join_distinct_pairs(n, seed, data):
    count = data.draw(st.integers(0, n * (n - 1) // 2))
    drawn = generate.requests(erdos_renyi(n, 0.2, seed=seed), count, seed=seed, distinct=True)
    pairs = {frozenset((r.source, r.target)) for r in drawn}
    assert len(pairs) == count and all(len(pair) == 2 for pair in pairs)


@UNHURRIED
@given(st.integers(0, 2**41))
def test_pairs_are_numbered_without_gaps(index):
    (i, j), (k, m) = generate._pairs_at(np.array([index, index + 1])).tolist()
    assert 0 <= i < j and j * (j - 1) // 2 + i == index
    assert (k, m) == ((i + 1, j) if i + 1 < j else (0, j + 1))


@UNHURRIED
@given(st.integers(2, 30), SEEDS, st.integers(1, 5))
def test_near_pairs_are_those_that_a_search_finds(n, seed, hops):
    network = erdos_renyi(n, 0.1, seed=seed, connected=False)
    links = np.column_stack([network.source, network.target])
    lengths = dict(nx.all_pairs_shortest_path_length(network.to_networkx(), cutoff=hops))
    index = network.index
    expected = sorted((index[u], index[v]) for u in lengths for v in lengths[u] if index[u] < index[v])
    assert near_pairs(n, links, hops).tolist() == [list(pair) for pair in expected]


def test_near_pairs_of_more_nodes_than_are_looked_at_together():
    links = np.column_stack([np.arange(2499), np.arange(1, 2500)])
    near = near_pairs(2500, links, 2)
    assert len(near) == 2499 + 2498 and set((near[:, 1] - near[:, 0]).tolist()) == {1, 2}


def test_requests_within_some_hops():
    network = grid(6, 6)
    drawn = generate.requests(network, 300, seed=2, within=2)
    assert drawn == generate.requests(network, 300, seed=2, within=2) != generate.requests(network, 300, seed=2)
    apart = dict(nx.all_pairs_shortest_path_length(network.to_networkx()))
    assert {apart[request.source][request.target] for request in drawn} == {1, 2}
    links = {frozenset((r.source, r.target)) for r in generate.requests(network, 60, seed=2, within=1, distinct=True)}
    assert len(links) == 60 == network.n_links
    corner = [f"n{i}" for i in (0, 1, 2, 35)]
    asked = generate.requests(network, 50, seed=2, within=1, among=corner)
    assert {frozenset((r.source, r.target)) for r in asked} == {frozenset(("n0", "n1")), frozenset(("n1", "n2"))}
    with pytest.raises(ProblemError, match=r"count: found 61, .* has 60 pairs"):
        generate.requests(network, 61, within=1, distinct=True)
    with pytest.raises(ProblemError, match="within: found 0"):
        generate.requests(network, 1, within=0)


def test_too_many_near_pairs_are_refused(monkeypatch):
    monkeypatch.setattr("qnroute.nearby.MOST_PAIRS", 100)
    with pytest.raises(ProblemError, match="within: more than 100 pairs of nodes are at most 3 hops apart"):
        generate.requests(grid(6, 6), 1, within=3)
