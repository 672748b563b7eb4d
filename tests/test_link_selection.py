"""Link selection: odd sets against enumeration, the method against matching, HiGHS and the clock."""

from __future__ import annotations

import itertools
import random

import networkx as nx
import numpy as np
import pytest
from scipy.optimize import linprog

import qnroute as qn
from qnroute import generate
from qnroute.allocation import check
from qnroute.models import LinkSelection
from qnroute.settings import Settings
from qnroute.solvers import link_selection
from qnroute.solvers.highs import solve_matrix
from qnroute.solvers.odd_sets import _LEAST, Graph, broken


def drawn(rng):
    """A small graph with degree bounds, and x that keeps them."""
    n = rng.randint(3, 7)
    pairs = list(itertools.combinations(range(n), 2))
    pairs = rng.sample(pairs, rng.randint(min(n, len(pairs)), min(len(pairs), 11)))
    bound = np.array([rng.choice((1, 1, 1, 1, 1, 2, 3, 0)) for _ in range(n)])
    graph = Graph(*np.array(pairs).T.copy(), bound)
    level = rng.choice(((0.5,), (0.0, 0.5, 1.0), (0.25, 0.5, 0.75), (0.1, 0.3, 0.37, 0.9, 1.0)))
    x, left = np.zeros(len(pairs)), bound.astype(float)
    for e in rng.sample(range(len(pairs)), len(pairs)):
        u, v = pairs[e]
        x[e] = min(rng.choice(level), left[u], left[v])
        left[[u, v]] -= x[e]
    corners = [corner(rng, graph) for _ in range(rng.choice((0, 1, 1, 1, 2)))]
    return graph, np.mean(corners, axis=0) if corners else x


def corner(rng, graph):
    """An optimum of the relaxation for some costs: x there is 0, 1/2 or 1."""
    rows = [(graph.source == v) | (graph.target == v) for v in range(len(graph.bound))]
    cost = [-rng.choice((1.0, 1.0, 2.0, rng.random())) for _ in graph.source]
    return linprog(cost, A_ub=np.array(rows, dtype=float), b_ub=graph.bound, bounds=(0, 1), method="highs-ds").x


def selections(graph):
    """Every selection of whole links within the bounds, (S, m)."""
    every = np.array(list(itertools.product((0, 1), repeat=len(graph.source))))
    fits = np.ones(len(every), dtype=bool)
    for v, bound in enumerate(graph.bound.tolist()):
        fits &= every[:, (graph.source == v) | (graph.target == v)].sum(axis=1) <= bound
    return every[fits]


def most_broken(graph, x):
    """The largest violation of any odd-set inequality, in units of the cut's weight, by going through all of them."""
    most = -np.inf
    for size in range(1, len(graph.bound) + 1):
        for nodes in itertools.combinations(range(len(graph.bound)), size):
            inside = np.isin(graph.source, nodes).astype(int) + np.isin(graph.target, nodes)
            leaving = np.flatnonzero(inside == 1)
            for chosen in itertools.chain.from_iterable(
                itertools.combinations(leaving, count) for count in range(len(leaving) + 1)
            ):
                total = graph.bound[list(nodes)].sum() + len(chosen)
                if total % 2:
                    left = x[inside == 2].sum() + x[list(chosen)].sum()
                    most = max(most, 2.0 * (left - (total - 1) / 2))
    return most


def test_odd_sets_are_found_where_there_are_any_and_hold_for_whole_selections():
    rng = random.Random("odd sets")
    cut = 0
    for _ in range(300):
        graph, x = drawn(rng)
        found, whole = broken(graph, x), selections(graph)
        for odd in found:
            assert x[odd.links].sum() > odd.most + 0.4 * _LEAST
            assert (whole[:, odd.links].sum(axis=1) <= odd.most).all()
        assert bool(found) == (most_broken(graph, x) > _LEAST + 1e-5)
        cut += bool(found)
    assert 20 < cut < 280


def selected(network, degree, **how):
    problem = qn.Problem(network, task="link-selection", rules={"degree": degree})
    result = qn.solve(problem, "exact", **how)
    check(problem, result.allocation)
    return problem, result


def geometric(n, degree, seed, **how):
    radius = 100.0 * (degree / (np.pi * n)) ** 0.5
    return generate.random_geometric(n, radius, seed=seed, p=(0.3, 0.99), fidelity=(0.7, 0.99), **how)


@pytest.mark.parametrize("seed", range(4))
def test_with_one_link_a_node_it_is_a_matching_of_most_weight(seed):
    network = geometric(300, 3 + seed, seed)
    result = selected(network, 1)[1]
    graph = nx.Graph()
    for u, v, worth in zip(network.source.tolist(), network.target.tolist(), network.coefficient.tolist()):
        graph.add_edge(u, v, weight=worth)
    best = sum(graph.edges[pair]["weight"] for pair in nx.max_weight_matching(graph))
    assert result.objective == pytest.approx(best, rel=1e-9) and result.status == "optimal"


@pytest.mark.parametrize(("degree", "equal"), [(1, True), (2, False), (2, True), (3, False)])
def test_equal_to_highs_and_without_branching(degree, equal, monkeypatch):
    monkeypatch.setattr(link_selection, "_branched", None)
    for seed in range(3):
        network = geometric(200, 5, seed)
        if equal:
            network = network.replace(p=0.9, fidelity=0.95)
        problem, result = selected(network, degree)
        outcome = solve_matrix(LinkSelection(problem).matrix, Settings())
        assert result.objective == pytest.approx(outcome.bound, rel=1e-6) and result.status == "optimal"
        assert result.bound >= result.objective * (1 - 1e-9)
        for _, objective, bound in result.trace:
            assert objective <= result.objective * (1 + 1e-9) and bound >= result.objective * (1 - 1e-9)


def test_where_no_odd_set_is_seen_it_branches(monkeypatch):
    monkeypatch.setattr(link_selection, "broken", lambda graph, x: [])
    problem, result = selected(geometric(200, 5, 0), 1)
    outcome = solve_matrix(LinkSelection(problem).matrix, Settings())
    assert result.objective == pytest.approx(outcome.bound, rel=1e-6) and result.status == "optimal"


def test_out_of_time_there_is_a_selection_and_a_bound():
    network = geometric(20_000, 8, 1)
    for limit in (0.0, 1.0):
        result = selected(network, 2, time_limit=limit)[1]
        assert result.status == "time-limit" and 0.0 < result.objective < result.bound < 1.3 * result.objective


def test_nothing_to_select():
    network = geometric(50, 5, 1)
    for chosen, degree in ((network.replace(score=-1.0), 1), (network, 0)):
        result = selected(chosen, degree)[1]
        assert (result.objective, result.bound, result.status) == (0.0, 0.0, "optimal")


@pytest.mark.parametrize("useless", [-1e8, -1e300, 1e8])
def test_links_that_nobody_needs_have_scores_of_any_size(useless):
    scores = {("a", "b"): 5e-5, ("a", "c"): 2e-5, ("b", "d"): 1.8e-5, ("e", "f"): useless}
    links = [{"source": u, "target": v, "p": 0.5, "score": score} for (u, v), score in scores.items()]
    nodes = [{"id": v, "degree": 0 if v == "f" and useless > 0.0 else 1} for v in "abcdef"]
    result = qn.solve(qn.Problem(qn.Network(nodes, links), task="link-selection"), "exact")
    assert result.objective == pytest.approx(5e-5, rel=1e-9) and result.status == "optimal"
    for _, objective, bound in result.trace:
        assert objective <= result.objective <= bound * (1 + 1e-9)


def test_an_open_gap_is_explained(monkeypatch):
    monkeypatch.setattr(link_selection, "broken", lambda graph, x: [])
    monkeypatch.setattr(link_selection, "_branched", lambda relaxation, best, bound, *_: (best, 1.01 * bound, None))
    result = selected(geometric(200, 5, 0), 1)[1]
    assert result.status == "feasible" and "not proven optimal" in result.remarks[0]
