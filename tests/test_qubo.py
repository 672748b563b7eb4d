"""Binary quadratic models: penalties that suffice and are not larger than need be, and what samples mean."""

from __future__ import annotations

import collections
import itertools
import random

import dimod
import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sparse

import qnroute as qn
from qnroute import generate
from qnroute.allocation import check, value
from qnroute.errors import InfeasibleAllocation, SolverError
from qnroute.models import LinkSelectionQubo, PathQubo, Quadratic, RouteChoiceQubo
from qnroute.models.encodings import worths
from qnroute.models.penalties import FREE, PAIRS, sufficient
from qnroute.models.quadratic import merged, squares
from qnroute.settings import Settings
from qnroute.solvers.highs import solve_matrix

EXACT = ("binary", "unary", "domain-wall")
SMALL = 16  # variables of models that are enumerated
CLOSE = 1e-9


def network(rng, n=6):
    """A connected network with few of everything."""
    graph = nx.gnm_random_graph(n, rng.randint(n, 2 * n), seed=rng.randrange(10**6))
    links = {tuple(sorted(pair)) for pair in graph.edges} | {(i, i + 1) for i in range(n - 1)}
    nodes = [{"id": str(i), "memory": rng.choice((None, 2, 3, 4, 5)), "swap": rng.uniform(0.6, 1.0)} for i in range(n)]
    return qn.Network(
        nodes,
        [
            {
                "source": str(u),
                "target": str(v),
                "p": rng.choice((0.5, rng.uniform(0.3, 1))),
                "channels": rng.choice((1, 1, 2)),
            }
            for u, v in sorted(links)
        ],
    )


def route_choice(rng, **how):
    made = network(rng)
    requests = []
    for i in range(rng.randint(1, 5)):
        source, target = rng.sample(made.node_ids, 2)
        routes = rng.choice((1, 1, 1, 2))
        requests.append(
            qn.Request(f"r{i}", source, target, weight=rng.choice((1.0, rng.uniform(0.5, 2))), routes=routes)
        )
    rules = {"degree": rng.choice((None, None, 1, 2)), "max_hops": rng.choice((None, 3))}
    return RouteChoiceQubo(qn.Problem(made, requests, rules=rules), candidates=rng.choice((2, 3)), **how)


def link_selection(rng, **how):
    made = network(rng, rng.choice((4, 5)))
    return LinkSelectionQubo(qn.Problem(made, task="link-selection", rules={"degree": rng.choice((1, 2, 3))}), **how)


KINDS = {"route-choice": route_choice, "link-selection": link_selection}


def small_ones(kind, seed, count, **how):
    rng, found = random.Random(f"{kind} {seed}"), 0
    while found < count:
        model = KINDS[kind](rng, **how)
        if 0 < len(model) <= SMALL:
            found += 1
            yield model


def ground_states(model):
    """Every sample (S, N) of least energy, by dimod's ExactSolver."""
    samples = dimod.ExactSolver().sample(model.to_bqm())
    order = np.argsort([int(v) for v in samples.variables])
    least = samples.record.energy <= samples.record.energy.min() + CLOSE
    return samples.record.sample[least][:, order], float(samples.record.energy.min())


def optimum(model):
    """What the packing is worth at best, by HiGHS."""
    return max(solve_matrix(model.model.matrix, Settings()).bound, 0.0)


# --- arrays ---


def test_squares_are_what_they_say():
    rng = np.random.default_rng(0)
    every = np.array(list(itertools.product((0, 1), repeat=7)))
    for _ in range(20):
        rows = sparse.csr_array(np.round(rng.random((4, 7)) * 2.4 - 0.4))
        target, strength = rng.integers(0, 4, 4).astype(float), rng.random(4)
        linear, couplers, offset = squares(rows, target, strength)
        model = merged(linear, [couplers, (np.array([5]), np.array([2]), np.array([0.5]))], offset)
        truth = ((every @ rows.toarray().T - target) ** 2 * strength).sum(axis=1) + 0.5 * every[:, 5] * every[:, 2]
        assert np.allclose(model.energies(every), truth)
        assert np.allclose(model.to_bqm().energies((every, range(7))), truth)
        assert (model.row < model.col).all() and len(set(zip(model.row.tolist(), model.col.tolist()))) == len(model.row)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(bad):
    with pytest.raises(SolverError, match="linear is not finite"):
        Quadratic(np.array([bad]), np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    with pytest.raises(SolverError, match="strength: found"):
        route_choice(random.Random(1), strength=bad)
    for margin in (bad, -0.5):
        with pytest.raises(SolverError, match="margin: found"):
            route_choice(random.Random(1), strength=2.0, margin=margin)


@pytest.mark.parametrize("room", range(1, 40))
def test_slack_takes_every_value_up_to_the_room_and_none_beyond(room):
    for encoding, largest in (("binary", None), ("binary", 4), ("binary", 1), ("unary", None), ("domain-wall", None)):
        sums = {0}
        for worth in worths(room, encoding, largest).tolist():
            sums |= {each + int(worth) for each in sums}
        assert sums == set(range(room + 1))
        assert largest is None or worths(room, encoding, largest).max() <= largest
    assert len(worths(room, "binary")) == room.bit_length()


# --- penalties ---


def test_what_rows_need_against_all_sets():
    rng, kinds = random.Random("rows"), collections.Counter()
    for _ in range(400):
        count, room = rng.randint(1, 7), rng.randint(1, 6)
        uses = np.array([float(rng.randint(1, min(room, rng.choice((1, 2, 3))))) for _ in range(count)])
        worth = np.array([rng.choice((1.0, rng.random())) for _ in range(count)])
        group = np.array([rng.randrange(4) for _ in range(count)])
        most = np.array([rng.choice((1, 1, 2)) for _ in range(4)])
        arrays = np.array([0, count]), np.arange(count), uses, np.array([float(room)]), worth, group, most
        kind, bound = (found[0] for found in sufficient(*arrays, True))
        exceeding = [
            chosen
            for size in range(1, count + 1)
            for chosen in map(list, itertools.combinations(range(count), size))
            if uses[chosen].sum() > room and (np.bincount(group[chosen], minlength=4) <= most).all()
        ]
        assert (kind == FREE) == (not exceeding)
        if kind == PAIRS:
            assert all(max(a + b for a, b in itertools.combinations(uses[c], 2)) > room for c in exceeding)
        else:
            assert bound >= max((worth[chosen].min() for chosen in exceeding), default=0.0)
            assert not exceeding or sufficient(*arrays, False)[1][0] == bound
        kinds[int(kind)] += 1
    assert min(kinds.values()) > 20 and len(kinds) == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", EXACT)
@pytest.mark.parametrize("pairs", [True, False])
def test_at_the_stated_penalty_the_ground_state_is_the_optimum(kind, encoding, pairs):
    tight = {"strength": 1.001, "margin": 0.0, "encoding": encoding, "pairs": pairs}
    for model in small_ones(kind, encoding, 40, **tight):
        assert model.proven
        samples, energy = ground_states(model)
        reading = model.read(samples)
        best = optimum(model)
        assert reading.feasible.all() and np.allclose(reading.value, best, atol=1e-7) and energy == pytest.approx(-best)
        for chosen in samples[:3, : len(model.packing)]:
            allocation = model.decode(chosen)
            check(model.problem, allocation)
            assert value(model.problem, allocation) == pytest.approx(best)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pairs", [True, False])
def test_below_it_there_are_counterexamples(kind, pairs):
    broken = 0
    for model in small_ones(kind, "below", 60, strength=0.95, margin=0.0, pairs=pairs):
        assert not model.proven
        samples, _ = ground_states(model)
        broken += not model.read(samples).feasible.all()
    assert broken > 3


def test_a_group_of_several_may_not_be_exceeded_either():
    """Two of three equal routes may be used: the penalty must exceed the third."""
    made = qn.Network([{"id": v} for v in "abcde"], [{"source": u, "target": v, "p": 1.0} for u in "ae" for v in "bcd"])
    problem = qn.Problem(made, [qn.Request("r", "a", "e", routes=2)])
    for strength, fine in ((1.001, True), (0.95, False)):
        model = RouteChoiceQubo(problem, strength=strength, margin=0.0)
        assert len(model.packing) == 3
        assert model.read(ground_states(model)[0]).feasible.all() == fine


def test_margins_follow_from_what_rules_need():
    made = qn.Network([{"id": v} for v in "abc"], [{"source": u, "target": v, "p": 0.5} for u, v in ("ab", "bc")])
    for degree, margin in ((1, 0.05), (2, 0.05)):
        model = LinkSelectionQubo(qn.Problem(made, task="link-selection", rules={"degree": degree}))
        assert model.margin == margin and model.proven
    assert len(LinkSelectionQubo(model.problem)) == len(model.packing) == 2  # nothing binds: no slack
    assert LinkSelectionQubo(model.problem, strength=1.0, margin=0.0).proven is False


def test_unbalanced_penalties_are_not_proven_and_have_no_slack():
    model = next(m for m in small_ones("link-selection", "unbalanced", 50, encoding="unbalanced") if m.bound.any())
    assert not model.proven and len(model) == len(model.packing)
    packing, heavy = model.packing, np.flatnonzero(model.bound > 0.0)
    every = np.array(list(itertools.product((0, 1), repeat=len(packing))))
    room = packing.limits[heavy] - every @ model._rows[heavy].toarray().T
    strength = model.bound[heavy] + model.margin * packing.value.max()
    truth = -every @ packing.value + (strength * (0.1 * room**2 - 0.3 * room)).sum(axis=1)
    pairs = model.excess[0].couplers[:2]
    for i, j in zip(*pairs):
        truth += every[:, i] * every[:, j] * (min(packing.value[[i, j]]) + model.margin * packing.value.max())
    assert np.allclose(model.quadratic.energies(every), truth)


# --- what samples mean ---


@pytest.mark.parametrize("kind", KINDS)
def test_any_sample_becomes_an_allocation(kind):
    rng, raw = np.random.default_rng(3), collections.Counter()
    for model in small_ones(kind, "samples", 40):
        samples = rng.integers(0, 2, (20, len(model)))
        reading = model.read(samples)
        for s in range(20):
            chosen = samples[s, : len(model.packing)]
            allocation = model.decode(reading.mended[s])
            check(model.problem, allocation)
            assert value(model.problem, allocation) == pytest.approx(reading.mended_value[s])
            try:
                check(model.problem, model.decode(chosen))
                fine = True
            except InfeasibleAllocation:
                fine = False
            assert reading.feasible[s] == fine
            raw[fine] += 1
            if fine:
                assert (reading.mended[s] >= chosen).all()
                assert reading.value[s] == pytest.approx(value(model.problem, model.decode(chosen)))
    assert min(raw.values()) > 50


def test_the_least_valuable_of_what_conflicts_goes():
    made = qn.Network(
        [{"id": v} for v in "abcd"],
        [
            {"source": u, "target": v, "p": 0.5, "score": s}
            for u, v, s in (("a", "b", 1.0), ("b", "c", 3.0), ("c", "d", 2.5))
        ],
    )
    model = LinkSelectionQubo(qn.Problem(made, task="link-selection"))
    reading = model.read(np.array([[1, 1, 1], [1, 1, 0], [0, 0, 1], [0, 0, 0]]))
    assert reading.feasible.tolist() == [False, False, True, True]
    assert reading.mended.tolist() == [[0, 1, 0], [0, 1, 0], [1, 0, 1], [1, 0, 1]]


def test_constrained_models_keep_rules_as_constraints():
    for kind in KINDS:
        for model in small_ones(kind, "constrained", 10):
            cqm = model.to_cqm()
            assert len(cqm.variables) == len(model.packing)
            samples = dimod.ExactCQMSolver().sample_cqm(cqm)
            order = np.argsort([int(v) for v in samples.variables])
            assert (model.packing.feasible(samples.record.sample[:, order]) == samples.record.is_feasible).all()
            assert -samples.filter(lambda row: row.is_feasible).first.energy == pytest.approx(optimum(model))


def test_the_legend_names_every_variable():
    for encoding in EXACT:
        for model in small_ones("route-choice", "legend", 10, encoding=encoding):
            legend = model.legend()
            assert len(legend["variables"]) == len(model) and legend["proven"]
            assert sum(text.startswith("slack") for text in legend["variables"]) == len(model) - len(model.packing)


# --- one path ---


def paths(rng):
    made = network(rng, rng.choice((3, 4))).replace(memory=None)
    source, target = rng.sample(made.node_ids, 2)
    return qn.Problem(made, [qn.Request("r", source, target)])


def test_the_ground_state_is_the_most_reliable_path():
    rng = random.Random("path")
    for _ in range(60):
        problem = paths(rng)
        model, weak = PathQubo(problem, strength=1.001), PathQubo(problem, strength=0.95)
        best = qn.solve(problem, "exact").objective
        samples, _ = ground_states(model)
        reading = model.read(samples)
        assert model.proven and reading.feasible.all() and np.allclose(reading.value, best)
        assert value(problem, model.decode(reading.mended[0])) == pytest.approx(best)
        assert not weak.proven and not weak.read(ground_states(weak)[0]).feasible.any()
        noise = np.random.default_rng(1).integers(0, 2, (10, len(model)))
        for chosen, worth in zip(model.read(noise).mended, model.read(noise).mended_value):
            assert value(problem, model.decode(chosen)) == pytest.approx(worth)
        assert len(model.legend()["variables"]) == len(model)


def test_circles_beside_a_path_do_not_matter():
    links = [("a", "b", 0.5), ("b", "t", 0.5), ("b", "c", 1.0), ("c", "d", 0.9)]
    nodes = [{"id": v} for v in "abctd"]
    made = qn.Network(nodes, [{"source": u, "target": v, "p": p} for u, v, p in links])
    model = PathQubo(qn.Problem(made, [qn.Request("r", "a", "t")]))
    samples, _ = ground_states(model)
    reading = model.read(samples)
    assert len(samples) == 2 and reading.feasible.all() and np.allclose(reading.value, 0.25)
    for chosen in samples:
        assert model.decode(chosen).routes[0].nodes == ("a", "b", "t")


def test_what_a_path_model_cannot_say_is_refused():
    problem = paths(random.Random(2))
    link = generate.grid(2, 2, p=0.5, fidelity=0.9)
    ends = link.node_ids[0], link.node_ids[3]
    for bad, why in (
        (problem.replace(requests=[]), "one request"),
        (problem.replace(objective="link-sum"), "detours"),
        (problem.replace(rules={"max_hops": 1}), "hop limit"),
        (qn.Problem(link, [qn.Request("r", *ends, min_fidelity=0.85)]), "floor"),
        (qn.Problem(qn.Network([{"id": "a"}, {"id": "b"}], []), [qn.Request("r", "a", "b")]), "no path"),
    ):
        with pytest.raises(SolverError, match=why):
            PathQubo(bad)
