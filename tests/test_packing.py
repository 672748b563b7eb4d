"""Packing to proof: bounds that are never too low, proofs that are never false, whatever the lists are cut to."""

from __future__ import annotations

import copy
import itertools
import random

import numpy as np
import oracle
import pytest
from helpers import problem_of
from hypothesis import given, settings
from hypothesis import strategies as st

import qnroute as qn
from qnroute.allocation import Allocation, Route, check, value
from qnroute.models.path_packing import PathPacking
from qnroute.network import Network
from qnroute.problem import OBJECTIVES, Problem
from qnroute.routes import enumerate_routes
from qnroute.settings import Settings
from qnroute.solvers import exact as exact_module
from qnroute.solvers import packing
from qnroute.solvers.packing import pack

CLOSE = 1e-7
AMPLE = 200_000
NOTHING = Allocation()
STEADY = settings(deadline=None, derandomize=True, database=None, max_examples=12)
SEEDS = st.integers(0, 2**40)


def scarce(rng):
    """A problem with too little of everything and nearly equal values, where relaxations are off the optimum."""
    names = list("ABCDEFGH"[: rng.randint(5, 7)])
    pairs = list(itertools.combinations(names, 2))
    pairs = rng.sample(pairs, rng.randint(len(names), min(len(pairs), 12)))
    choices, memory = rng.choice([(0.9,), (0.8, 0.9), (0.5, 0.9, 1.0)]), rng.choice([(None,), (2,), (3,), (2, 3, 4)])
    requests = []
    for k in range(rng.randint(3, 6)):
        source, target = rng.sample(names, 2)
        weight = rng.choice((1, 1, 1, round(rng.uniform(0.8, 1.2), 3)))
        requests.append(
            {"id": f"r{k}", "source": source, "target": target, "weight": weight, "routes": rng.choice((1, 1, 2))}
        )
    return {
        "format": "qnroute.problem/1",
        "name": "scarce",
        "network": {
            "nodes": [{"id": name, "memory": rng.choice(memory)} for name in names],
            "links": [{"source": u, "target": v, "p": rng.choice(choices)} for u, v in pairs],
        },
        "requests": requests,
        "objective": rng.choice(
            [{"kind": "expected-pairs"}, {"kind": "log-success", "serve_reward": rng.choice((1, 2, 10))},
             {"kind": "link-sum"}]
        ),
        "rules": {"degree": rng.choice((None, None, 1, 2))},
    }  # fmt: skip


def either(rng):
    """A document and its optimum."""
    document = scarce(rng) if rng.random() < 0.6 else oracle.random_problem(rng, max_links=11, max_requests=5)
    return document, oracle.optimum(document)[0]


def impatient(monkeypatch, rng):
    """Lists so short, and columns taken in so few at a time, that small problems need many rounds."""
    for name, choices in {"_FIRST": (1, 2, 3), "_LONGER": (2, 3), "_START": (1, 2), "_BATCH": (1, 3)}.items():
        monkeypatch.setattr(packing, name, rng.choice(choices))


def packed_value(problem, found):
    """The value that a packing stands for, after the judge has seen it."""
    check(problem, found.allocation)
    assert value(problem, found.allocation) == pytest.approx(found.value, rel=1e-12)
    return value(problem, found.allocation)


def about(number):
    return pytest.approx(number, rel=CLOSE, abs=CLOSE)


# --- random problems ---


def test_with_room_enough_every_problem_is_packed_to_proof(monkeypatch):
    rng = random.Random("proof")
    for _ in range(70):
        document, best = either(rng)
        problem = problem_of(document)
        impatient(monkeypatch, rng)
        found = pack(problem, Settings(), max_routes=AMPLE, start=NOTHING)
        assert packed_value(problem, found) == about(best), document
        assert found.bound == about(best), document
        assert found.stopped is None


@pytest.mark.parametrize("most", [1, 2, 5])
def test_with_little_room_the_bound_is_still_a_bound(most, monkeypatch):
    rng, gaps = random.Random(f"room {most}"), 0
    for _ in range(40):
        document, best = either(rng)
        problem = problem_of(document)
        impatient(monkeypatch, rng)
        found = pack(problem, Settings(), max_routes=most, start=NOTHING)
        assert packed_value(problem, found) <= best + CLOSE
        assert found.bound >= best - CLOSE, document
        gaps += found.bound > best + CLOSE
    assert gaps > 5


@pytest.mark.parametrize("most", [1, 3])
def test_with_few_columns_at_once_the_bound_is_still_a_bound(most, monkeypatch):
    monkeypatch.setattr(packing, "MOST_PACKED", most)
    rng = random.Random(f"columns {most}")
    for _ in range(30):
        document, best = either(rng)
        problem = problem_of(document)
        found = pack(problem, Settings(), max_routes=AMPLE, start=NOTHING)
        assert packed_value(problem, found) <= best + CLOSE <= found.bound + 2 * CLOSE


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_start_is_improved_to_the_optimum(share, monkeypatch):
    rng = random.Random(f"start {share}")
    for _ in range(20):
        document, best = either(rng)
        problem = problem_of(document)
        routes = qn.solve(problem, "link-flow").allocation.routes
        start = Allocation(tuple(rng.sample(routes, round(share * len(routes)))))
        impatient(monkeypatch, rng)
        found = pack(problem, Settings(), max_routes=AMPLE, start=start)
        assert packed_value(problem, found) == about(best), document
        assert found.bound == about(best)
        if share == 1.0:
            assert sorted(found.allocation.routes, key=str) == sorted(routes, key=str)


def test_the_bound_of_the_relaxation_is_that_of_highs():
    """Weak duality with the optimal duals is tight: sifting gives what the whole relaxation gives."""
    rng = random.Random("sifting")
    for _ in range(25):
        document, best = either(rng)
        problem = problem_of(document)
        model = PathPacking(problem, enumerate_routes(problem, per_request=rng.choice((1, 3, 99))), with_rest=True)
        if not model.matrix.cost.any():
            continue
        weak, reduced = packing._sifted(model, Settings())
        highs = model.to_highs()
        n = model.n_columns
        highs.changeColsIntegrality(n, np.arange(n, dtype=np.int32), np.zeros(n, dtype=np.uint8))
        highs.run()
        assert weak == about(highs.getInfo().objective_function_value)
        assert weak >= best - CLOSE
        assert reduced.shape == (n,)


# --- exact on top of it ---


@pytest.mark.parametrize("most", [1, 2, 5])
def test_exact_is_proven_or_honest(most, monkeypatch):
    """The flow model takes over where the lists are too short, so every answer is proven."""
    rng = random.Random(f"exact {most}")
    for _ in range(16):
        document, best = either(rng)
        impatient(monkeypatch, rng)
        result = qn.solve(problem_of(document), "exact", max_routes=most)
        assert oracle.violations(document, result.to_dict()) == []
        assert result.objective == about(best), document
        assert result.status == "optimal" and result.bound == pytest.approx(best, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_where_the_flow_model_is_too_large_the_gap_is_honest(most, monkeypatch):
    monkeypatch.setattr(exact_module, "FLOW_COLUMNS", dict.fromkeys(OBJECTIVES, 0))
    rng, open_gaps = random.Random(f"honest {most}"), 0
    for _ in range(30):
        document, best = either(rng)
        impatient(monkeypatch, rng)
        result = qn.solve(problem_of(document), "exact", max_routes=most)
        assert oracle.violations(document, result.to_dict()) == []
        assert result.objective - CLOSE <= best <= result.bound + CLOSE
        if result.status == "optimal":
            assert result.objective == pytest.approx(best, rel=1e-6, abs=1e-6) and result.remarks == ()
        else:
            open_gaps += 1
            assert result.status == "feasible" and result.remarks[0].startswith("not proven optimal")
    assert open_gaps > 3


@pytest.mark.parametrize("gap", [0.02, 0.5])
def test_a_gap_allowed_is_a_gap_stated(gap):
    rng = random.Random(f"gap {gap}")
    for _ in range(15):
        document, best = either(rng)
        result = qn.solve(problem_of(document), "exact", gap=gap)
        assert oracle.violations(document, result.to_dict()) == []
        assert result.objective - CLOSE <= best <= result.bound + CLOSE


def test_out_of_time_before_the_start_there_is_still_an_answer_and_an_honest_bound():
    rng = random.Random("no time")
    for _ in range(20):
        document, best = either(rng)
        result = qn.solve(problem_of(document), "exact", time_limit=0.0)
        assert oracle.violations(document, result.to_dict()) == []
        assert result.objective <= best + CLOSE
        assert result.bound is None or result.bound >= best - CLOSE


def test_the_trace_and_the_progress_tell_no_less_than_the_truth(monkeypatch):
    """Bounds on the way are bounds on the whole problem, never on the part of it that a solver was given."""
    rng = random.Random("trace")
    for document, best in [either(rng) for _ in range(20)] + [(copy.deepcopy(GADGET), 1.225)]:
        impatient(monkeypatch, rng)
        told = []
        result = qn.solve(problem_of(document), "exact", progress=lambda *point, told=told: told.append(point))
        for _, objective, bound in [*result.trace, *told]:
            assert objective is None or objective <= best + CLOSE
            assert bound is None or bound >= best - CLOSE, document


# --- made so that a careless proof goes wrong ---


def gadget(d_weight, ladder_p, side_p, small):
    """Three hubs with room for one passing route each, four requests on them, and request T beside.

    a, b and c need two hubs each and d all three, so that one of the four can be served: the relaxation serves half of
    a, b and c. T has 64 equal routes over hub h2 and a ladder, and one over w that needs no hub.
    """
    nodes = [{"id": hub, "memory": 2} for hub in ("h1", "h2", "h3")]
    nodes += [{"id": "sT", "memory": 1}, {"id": "tT", "memory": 1}, {"id": "w"}]
    links = [("h1", "h2", 1.0), ("h2", "h3", 1.0), ("sT", "h2", ladder_p), ("sT", "w", side_p), ("w", "tT", 1.0)]
    requests = [{"id": "T", "source": "sT", "target": "tT", "weight": small}]
    ends = {"a": ("h1", "h2"), "b": ("h2", "h3"), "c": ("h1", "h3"), "d": ("h1", "h3")}
    for name, hubs in ends.items():
        nodes += [{"id": f"s{name}"}, {"id": f"t{name}"}]
        links += [(f"s{name}", hubs[0], 1.0), (f"t{name}", hubs[1], 1.0)]
        requests.append({"id": name, "source": f"s{name}", "target": f"t{name}"})
    requests[-1] |= {"weight": d_weight, "min_fidelity": 0.95}
    before = "h2"
    for i in range(6):
        nodes += [{"id": f"{kind}{i}"} for kind in "nud"]
        links += [(before, f"{way}{i}", 1.0) for way in "ud"] + [(f"{way}{i}", f"n{i}", 1.0) for way in "ud"]
        before = f"n{i}"
    links.append((before, "tT", 1.0))
    rows = [{"source": u, "target": v, "p": p} for u, v, p in links]
    rows.append({"source": "h1", "target": "h3", "p": 1.0, "fidelity": 0.9})  # too noisy for d
    network = {"nodes": nodes, "links": rows}
    return {"format": "qnroute.problem/1", "name": "gadget", "network": network, "requests": requests}


GADGET = gadget(d_weight=1.2, ladder_p=1.0, side_p=0.5, small=0.05)


def test_reduced_costs_are_judged_by_the_bound_they_come_with():
    """The optimum is d with T over w, 1.2 + 0.025.

    The first 32 routes of T all want h2. With d alone the integer program over them leaves a bound of 1.25, below the
    1.525 of the second relaxation; dropping by that smaller bound, d (reduced cost -0.3) would go and 1.2 be "proven".
    """
    assert oracle.optimum(GADGET)[0] == pytest.approx(1.225)
    for method in ("exact", "path-packing", "link-flow"):
        result = qn.solve(problem_of(GADGET), method)
        assert result.objective == pytest.approx(1.225) and result.bound == pytest.approx(1.225)


def test_what_a_better_answer_settles_is_settled():
    """a is known, 1.0 + 0.5; d is better by 0.15, and so rules out T's unlisted routes, worth 0.1 instead of 0.5."""
    document = gadget(d_weight=1.15, ladder_p=0.1, side_p=0.5, small=1.0)
    assert oracle.optimum(document)[0] == pytest.approx(1.65)
    problem = problem_of(document)
    start = Allocation((Route("a", ("sa", "h1", "h2", "ta")), Route("T", ("sT", "w", "tT"))))
    assert value(problem, start) == pytest.approx(1.5)
    found = pack(problem, Settings(), max_routes=AMPLE, start=start)
    assert packed_value(problem, found) == pytest.approx(1.65)
    assert found.bound == pytest.approx(1.65) and not found.open


# --- columns, by hand ---


def line(routes, **link):
    network = Network(
        [{"id": name} for name in "ABC"],
        [{"source": "A", "target": "B", "p": 0.5, **link}, {"source": "B", "target": "C", "p": 0.5, **link},
         {"source": "A", "target": "C", "p": 0.1}],
    )  # fmt: skip
    return Problem(network, [{"id": "r", "source": "A", "target": "C", "routes": routes}])


@pytest.mark.parametrize(
    ("routes", "channels", "used"), [(1, 3, [1, 0]), (3, 3, [3, 0]), (5, 3, [3, 1]), (2, 1, [1, 1])]
)
def test_a_route_is_used_as_often_as_channels_and_request_allow(routes, channels, used):
    problem = line(routes, channels=channels)
    found = pack(problem, Settings(), max_routes=AMPLE, start=NOTHING)
    assert found.bound == pytest.approx(0.25 * used[0] + 0.1 * used[1])
    answer = found.allocation
    assert [route.nodes for route in answer.routes] == [("A", "B", "C")] * used[0] + [("A", "C")] * used[1]
    assert qn.solve(problem, "exact").allocation == answer


def test_the_model_decodes_repeated_routes():
    model = PathPacking(line(5, channels=3))
    assert [route.nodes for route in model.decode(np.array([1.9999999, 1.0])).routes] == [
        ("A", "B", "C"), ("A", "B", "C"), ("A", "C")
    ]  # fmt: skip
    assert model.tail_value == 0.0
    assert model.matrix.upper.tolist() == [3.0, 1.0] and model.matrix.integer.all()


def test_only_rows_that_can_bind_are_carried(contract_example):
    """One request for one route: C's memory of 2 is enough for it, and so is every channel."""
    model = PathPacking(problem_of(contract_example))
    assert {name: block.size for name, block in model.rows.items()} == {
        "routes": 1, "channels": 0, "memory": 0, "degree": 0
    }  # fmt: skip
    contract_example["requests"][0]["routes"] = 3
    model = PathPacking(problem_of(contract_example))
    assert model.matrix.upper.tolist() == [1.0, 1.0]  # A-C-D has one channel, and so has B-D
    contract_example["requests"].append({"id": "r2", "source": "C", "target": "D", "routes": 3})
    contract_example["rules"]["degree"] = 1
    model = PathPacking(problem_of(contract_example))
    # now also C-D and C-A-B-D of r2: A-B has two channels for two, A and B have memory 4 for 4
    assert {name: list(block.axes[0][1]) for name, block in model.rows.items()} == {
        "routes": ["r1", "r2"], "channels": ["B-D", "A-C", "C-D"], "memory": ["C"], "degree": ["A", "B", "C"]
    }  # fmt: skip


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_is_not_listed_is_bounded_by_the_tail(objective):
    """Packing the few listed, plus the tail, is never below the optimum; nor is packing with the rest for nothing."""
    rng = random.Random(f"tail {objective}")
    for _ in range(30):
        document = oracle.random_problem(rng, objective=objective, max_links=11)
        problem, best = problem_of(document), oracle.optimum(document)[0]
        table = enumerate_routes(problem, per_request=rng.choice((1, 2)))
        for with_rest in (False, True):
            model = PathPacking(problem, table, with_rest=with_rest)
            outcome = qn.solvers.highs.solve_matrix(model.matrix, Settings()) if model.n_columns else None
            bound = outcome.bound if outcome else 0.0
            assert bound + (0.0 if with_rest else model.tail_value) >= best - CLOSE
            if outcome:
                check(problem, model.decode(outcome.values))


def test_nothing_asked_or_nothing_possible_is_proven_at_once():
    problem = line(1)
    empty = pack(problem.replace(requests=[]), Settings(), max_routes=5)
    assert empty.bound == 0.0 and packed_value(problem, empty) == 0.0
    closed = problem.replace(network=problem.network.replace(memory=0))
    found = pack(closed, Settings(), max_routes=5)
    assert found.bound == 0.0 and packed_value(closed, found) == 0.0
    for case in (problem.replace(requests=[]), closed):
        result = qn.solve(case, "exact", max_routes=1)
        assert (result.objective, result.bound, result.status) == (0.0, 0.0, "optimal")


# --- invariants of the optimum ---


def optimum(document):
    result = qn.solve(problem_of(document), "exact")
    assert result.status == "optimal"
    return result.objective


def small(seed):
    rng = random.Random(seed)
    return rng, (scarce(rng) if rng.random() < 0.5 else oracle.random_problem(rng))


@STEADY
@given(SEEDS)
def test_more_room_never_costs(seed):
    rng, document = small(seed)
    before, roomier = optimum(document), copy.deepcopy(document)
    for link in rng.sample(roomier["network"]["links"], 1):
        link["channels"] = link.get("channels", 1) + 1
    assert optimum(roomier) >= before - CLOSE
    for node in rng.sample(roomier["network"]["nodes"], 2):
        node["memory"] = None
        node.pop("degree", None)
    roomier["rules"] = {**roomier.get("rules", {}), "degree": None}
    assert optimum(roomier) >= before - CLOSE
    roomier["rules"]["max_hops"] = None
    for request in roomier["requests"]:
        request["min_fidelity"] = 0.0
        request["routes"] = request.get("routes", 1) + 1
    assert optimum(roomier) >= before - CLOSE


@STEADY
@given(SEEDS)
def test_one_request_less_never_pays_and_one_link_less_neither(seed):
    rng, document = small(seed)
    before, fewer = optimum(document), copy.deepcopy(document)
    fewer["requests"].remove(rng.choice(fewer["requests"]))
    assert optimum(fewer) <= before + CLOSE
    fewer = copy.deepcopy(document)
    fewer["network"]["links"].remove(rng.choice(fewer["network"]["links"]))
    assert optimum(fewer) <= before + CLOSE


@STEADY
@given(SEEDS)
def test_names_and_order_are_nobody_s_advantage(seed):
    rng, document = small(seed)
    renamed = copy.deepcopy(document)
    network = renamed["network"]
    names = {node["id"]: f"node {number} {rng.random()}" for number, node in enumerate(network["nodes"])}
    for node in network["nodes"]:
        node["id"] = names[node["id"]]
    for row in [*network["links"], *renamed["requests"]]:
        row["source"], row["target"] = names[row["source"]], names[row["target"]]
    for link in network["links"]:
        if rng.random() < 0.5:  # links have no direction
            link["source"], link["target"] = link["target"], link["source"]
    for rows in (network["nodes"], network["links"], renamed["requests"]):
        rng.shuffle(rows)
    assert optimum(renamed) == about(optimum(document))


@STEADY
@given(SEEDS)
def test_without_degree_bounds_requests_have_no_direction(seed):
    rng, document = small(seed)
    document["rules"] = {**document.get("rules", {}), "degree": None}
    for node in document["network"]["nodes"]:
        node.pop("degree", None)
    turned = copy.deepcopy(document)
    for request in turned["requests"]:
        if rng.random() < 0.7:
            request["source"], request["target"] = request["target"], request["source"]
    assert optimum(turned) == about(optimum(document))


@STEADY
@given(SEEDS, st.sampled_from([1e-6, 0.125, 3.0, 1e6]))
def test_weights_scale_the_optimum(seed, factor):
    _, document = small(seed)
    scaled = copy.deepcopy(document)
    for request in scaled["requests"]:
        request["weight"] = factor * request.get("weight", 1.0)
    assert optimum(scaled) == pytest.approx(factor * optimum(document), rel=CLOSE, abs=factor * CLOSE)


@STEADY
@given(SEEDS)
def test_two_networks_side_by_side_are_worth_their_sum(seed):
    _, document = small(seed)
    other = copy.deepcopy(document)
    for node in other["network"]["nodes"]:
        node["id"] += "'"
    for row in [*other["network"]["links"], *other["requests"]]:
        row["source"] += "'"
        row["target"] += "'"
    for request in other["requests"]:
        request["id"] += "'"
        request["weight"] = 0.5 * request.get("weight", 1.0)
    both = copy.deepcopy(document)
    both["requests"] += other["requests"]
    for part in ("nodes", "links"):
        both["network"][part] += other["network"][part]
    assert optimum(both) == about(1.5 * optimum(document))
