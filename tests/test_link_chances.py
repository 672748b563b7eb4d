"""Decisions that count with chances: against closed forms, exhaustive search and luck itself."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import oracle
import pytest
from helpers import problem_of
from scipy import integrate, stats

import qnroute as qn
from qnroute import generate
from qnroute.allocation import check, value
from qnroute.errors import ProblemError
from qnroute.learning.links import chance as chances
from qnroute.learning.links.chance import (
    chance_aware,
    chance_of,
    chance_routes,
    expected_worth,
    noise_moments,
    route_chance,
)
from qnroute.learning.links.regret import worth


def cut_normal(mean, sd):
    return stats.truncnorm((0.25 - mean) / sd, (1.0 - mean) / sd, loc=mean, scale=sd)


def drawn_fidelities(rng, mean, sd, count):
    """(count, m) fidelities, drawn by rejection."""
    found = rng.normal(mean, sd, (count, len(mean)))
    while (bad := (found <= 0.25) | (found > 1.0)).any():
        found[bad] = rng.normal(np.broadcast_to(mean, found.shape)[bad], np.broadcast_to(sd, found.shape)[bad])
    return found


def test_the_chance_of_a_link_is_that_of_a_cut_normal():
    rng = np.random.default_rng(0)
    mean, sd, floor = rng.uniform(0.3, 1.0, 200), rng.uniform(0.001, 0.4, 200), rng.uniform(0.2, 1.0, 200)
    expected = [cut_normal(m, s).sf(f) for m, s, f in zip(mean, sd, floor)]
    assert chance_of(mean, sd, floor) == pytest.approx(expected, abs=1e-6)
    assert chance_of(0.9, 0.05, 0.2) == chance_of(0.9, 0.05, 0.0) == 1.0
    assert chance_of(0.5, 0.01, 0.75) == pytest.approx(stats.norm.sf(25.0), rel=1e-4)  # nothing cancels far away


def test_a_link_that_is_sure_keeps_the_floor_or_does_not():
    assert chance_of([0.8, 0.8 - 1e-10, 0.8 - 1e-6], 0.0, 0.8).tolist() == [1.0, 1.0, 0.0]


def test_with_chances_the_objective_is_the_expected_number_of_usable_pairs():
    rng = np.random.default_rng(1)
    network = generate.erdos_renyi(8, 0.5, seed=3, p=(0.3, 0.9), fidelity=(0.85, 0.97), swap=0.9, memory=(2, 4))
    sd, floor = rng.uniform(0.005, 0.05, network.n_links), 0.9
    problem = qn.Problem(network, generate.requests(network, 4, seed=1))
    aware = problem.replace(network=chance_aware(network, sd, floor))
    allocation = qn.solve(aware, "exact").allocation
    fidelity = drawn_fidelities(rng, network.fidelity, sd, 400)
    truths = (problem.replace(network=network.replace(fidelity=row)) for row in fidelity)
    came = [worth(truth, allocation, floor=floor) for truth in truths]
    assert len(allocation.routes) > 1 and np.std(came) > 0.0
    assert value(aware, allocation) == pytest.approx(np.mean(came), abs=4.0 * np.std(came) / 20.0)


def test_links_without_any_chance_are_never_used():
    nodes = [{"id": v} for v in "abc"]
    links = [
        {"source": "a", "target": "b", "p": 0.9, "fidelity": 0.8},
        {"source": "a", "target": "c", "p": 0.3, "fidelity": 0.95},
        {"source": "c", "target": "b", "p": 0.3, "fidelity": 0.95},
    ]
    aware = chance_aware(qn.Network(nodes, links), 0.0, 0.9)
    assert aware.p.tolist() == [0.3, 0.3] and aware.n_nodes == 3
    for kind in ("expected-pairs", "log-success"):
        for method in ("exact", "link-flow", "shortest-path"):
            problem = qn.Problem(aware, [{"id": "r", "source": "a", "target": "b", "routes": 2}], objective=kind)
            assert [route.nodes for route in qn.solve(problem, method).allocation.routes] == [("a", "c", "b")]


def weighed(fidelity, mean, sd, power):
    return cut_normal(mean, sd).pdf(fidelity) * (-math.log((4 * fidelity - 1) / 3)) ** power


def test_moments_of_noise_are_those_of_the_cut_normal():
    cases = [(0.9, 0.03), (0.99, 0.02), (0.5, 0.2), (0.3, 0.001), (1.0, 0.1), (0.95, 0.0)]
    mean, var = noise_moments(*map(np.array, zip(*cases)))
    for (m, s), centre, spread in zip(cases, mean, var):
        if s == 0.0:
            assert (centre, spread) == (pytest.approx(-math.log((4 * m - 1) / 3)), 0.0)
            continue
        ends = max(0.25, m - 9 * s), min(1.0, m + 9 * s)
        first, second = (integrate.quad(weighed, *ends, (m, s, k), points=[m], limit=200)[0] for k in (1, 2))
        assert centre == pytest.approx(first, rel=2e-3)
        assert spread == pytest.approx(second - first**2, rel=1e-2)


def test_the_chance_of_a_route_is_near_what_happens():
    rng, errors = np.random.default_rng(2), []
    for hops in (2, 3, 4, 5) * 10:
        mean, sd = rng.uniform(0.85, 0.99, hops), rng.uniform(0.005, 0.05, hops)
        noise = -np.log((4 * drawn_fidelities(rng, mean, sd, 4000) - 1) / 3).sum(axis=1)
        centre, var = (x.sum() for x in noise_moments(mean, sd))
        share = rng.uniform(0.05, 0.95)
        floor = (1 + 3 * math.exp(-np.quantile(noise, share))) / 4
        errors.append(float(route_chance(centre, var, floor)) - share)
    assert np.abs(errors).max() < 0.07 and np.abs(errors).mean() < 0.025


def test_the_chance_of_a_route_at_its_ends():
    assert route_chance([0.1, 0.1, 0.0], 0.0, [0.9, 0.95, 1.0]).tolist() == [1.0, 0.0, 1.0]
    assert route_chance([0.1, 3.0], [0.0, 0.5], 0.25).tolist() == [1.0, 1.0]
    assert route_chance(0.2, [1e-8, 1e-4], 0.75).tolist() == pytest.approx([1.0, 1.0])
    for budget in (0.01, 0.1, 1.0):  # above the budget, the more uncertain is the more likely to keep it
        floor = (1 + 3 * math.exp(-budget)) / 4
        grown = route_chance(budget * np.array([[1.01], [1.5], [4.0]]), np.geomspace(1e-6, 10.0, 200), floor)
        assert (np.diff(grown, axis=1) >= 0.0).all()


def exhaustive(monkeypatch, document, sd):
    """The most that any allocation is expected to bring: all routes of all requests, combined in every way."""
    problem, plain = problem_of(document), oracle.route_figures
    links, (centre, var) = problem.network.link_index, noise_moments(problem.network.fidelity, sd)

    def valued(document, request, nodes):
        probability, _, worth = plain(document, request, nodes)
        at = [links[tuple(problem.network.index[v] for v in pair)] for pair in itertools.pairwise(nodes)]
        floor = request.get("min_fidelity", 0.0)
        if len(at) == 1:
            kept = float(chance_of(problem.network.fidelity[at[0]], sd[at[0]], floor))
        else:
            kept = float(route_chance(centre[at].sum(), var[at].sum(), floor))
        return probability, 1.0, worth * kept

    with monkeypatch.context() as patch:
        patch.setattr(oracle, "route_figures", valued)
        return oracle.optimum(document)[0]


def test_chance_routes_against_all_allocations(monkeypatch):
    rng, far = random.Random("chances"), 0
    for number in range(25):
        document = oracle.random_problem(rng, objective="expected-pairs", max_total_routes=5)
        problem = problem_of(document)
        sd = np.random.default_rng(number).choice([0.0, 0.01, 0.05], problem.network.n_links)
        best = exhaustive(monkeypatch, document, sd)
        found = chance_routes(problem, sd, per_request=1000, least=1e-12)
        assert found.expected == pytest.approx(best, rel=1e-7, abs=1e-9) and found.outside < 1e-9
        check(chances._without_floors(problem), found.allocation)
        few = chance_routes(problem, sd, per_request=1, least=0.2)
        assert few.expected <= few.bound <= best * (1 + 1e-7) + 1e-9 and best <= few.bound + few.outside + 1e-9
        far += few.expected < best * 0.99
    assert far > 2


def test_what_is_expected_is_what_happens():
    rng = np.random.default_rng(4)
    network = generate.erdos_renyi(14, 0.3, seed=5, p=(0.4, 0.9), fidelity=(0.88, 0.98), swap=0.95, memory=(2, 6))
    asked = generate.requests(network, 6, seed=6, min_fidelity=(0.7, 0.9))
    problem, sd = qn.Problem(network, asked), rng.uniform(0.005, 0.04, network.n_links)
    found = chance_routes(problem, sd)
    fidelity = drawn_fidelities(rng, network.fidelity, sd, 500)
    came = [worth(problem.replace(network=network.replace(fidelity=row)), found.allocation) for row in fidelity]
    assert found.expected == pytest.approx(np.mean(came), rel=0.05)
    plain = qn.solve(problem, "exact").allocation
    assert found.expected > expected_worth(problem, plain, sd)
    assert found.expected <= found.bound * (1 + 1e-12)


def test_where_all_is_sure_it_is_the_plain_problem():
    for number in range(10):
        problem = problem_of(oracle.random_problem(random.Random(number), objective="expected-pairs"))
        found = chance_routes(problem, 0.0, per_request=1000)
        assert found.expected == pytest.approx(qn.solve(problem, "exact").objective, rel=1e-7, abs=1e-9)
        check(problem, found.allocation)


def test_means_that_no_pair_has_are_at_the_end_they_are_nearest_to():
    with np.errstate(all="raise"):
        assert chance_of([0.1, 1.2, 0.2, 0.2], [0.001, 0.001, 0.0, 0.0], [0.5, 0.5, 0.1, 0.3]).tolist() == [0, 1, 1, 0]


def test_what_does_not_fit_is_refused():
    network = generate.erdos_renyi(5, 0.9, seed=1)
    problem = qn.Problem(network, generate.requests(network, 2, seed=1))
    with pytest.raises(ProblemError, match=r"fidelity_sd: found shape \(3,\)"):
        chance_aware(network, [0.1] * 3, 0.9)
    with pytest.raises(ProblemError, match=r"fidelity_sd: found -1\.0"):
        chance_routes(problem, -1.0)
    with pytest.raises(ProblemError, match="floor: found 2"):
        chance_aware(network, 0.1, 2.0)
    with pytest.raises(ProblemError, match=r"least: found 0\.0"):
        chance_routes(problem, 0.1, least=0.0)
    with pytest.raises(ProblemError, match="found log-success, expected the objective expected-pairs"):
        chance_routes(problem.replace(objective="log-success"), 0.1)
