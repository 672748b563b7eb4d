"""The judge: figures by hand, one test for every rule and its place, exact capacities, and the oracle beside it."""

from __future__ import annotations

import math
import random
import re

import numpy as np
import oracle
import pytest
from helpers import problem_of

from qnroute.allocation import Allocation, Route, check, route_figures, value
from qnroute.errors import InfeasibleAllocation, ProblemError, QnrouteError
from qnroute.network import Network
from qnroute.problem import Objective, Problem

ABD, ACD = Route("r1", ("A", "B", "D")), Route("r1", ("A", "C", "D"))
NODES = [{"id": name} for name in "ABCDE"]
LINKS = [{"source": u, "target": v, "p": 0.5, "channels": 9} for u, v in ("AB", "BC", "CD", "DE", "AC")]


def made(request=None, *, nodes=None, links=None, rules=None, routes=9, **more):
    """A to D over A-B-C-D or A-C-D, roomy but for what is given: fields of nodes and links by name."""
    nodes, links = nodes or {}, links or {}
    network = Network(
        [{**row, **nodes.get(row["id"], {})} for row in NODES],
        [{**row, **links.get(row["source"] + row["target"], {})} for row in LINKS],
    )
    asked = [{"id": "r", "source": "A", "target": "D", "routes": routes, **(request or {})}, *more.pop("also", ())]
    return Problem(network, asked, rules=rules, **more)


def allocation(*routes, request="r"):
    """Routes written as strings of one-letter nodes."""
    return Allocation(tuple(Route(request, tuple(nodes)) for nodes in routes))


def refused(problem, answer, rule, place, detail=""):
    with pytest.raises(InfeasibleAllocation) as caught:
        check(problem, answer)
    assert (caught.value.rule, caught.value.place) == (rule, place)
    assert detail in caught.value.detail
    assert str(caught.value) == f"{rule} at {place}: {caught.value.detail}"


# --- figures by hand ---


@pytest.mark.parametrize(
    ("route", "probability", "fidelity", "link_sum"),
    [(ABD, 0.6 * 0.5 * 0.9, 2_738 / 3_000, 0.57 + 0.48), (ACD, 0.9 * 0.9 * 0.8, 61 / 75, 0.81 + 0.81)],
    ids=["A-B-D", "A-C-D"],
)
@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_the_contract_example_by_hand(contract_example, route, probability, fidelity, link_sum, weight):
    """The swap of the end A counts nowhere; that of B or C does."""
    contract_example["requests"][0]["weight"] = weight
    problem = problem_of(contract_example)
    worth = {
        "expected-pairs": probability,
        "log-success": 10.0 + math.log(probability),
        "link-sum": link_sum,
    }
    for kind, unweighted in worth.items():
        figures = route_figures(problem.replace(objective=kind), route)
        assert figures == pytest.approx((probability, fidelity, weight * unweighted), rel=1e-13)
        assert value(problem.replace(objective=kind), Allocation((route,))) == figures.value
    check(problem, Allocation((route,)))


def test_the_reward_for_serving_is_the_objectives(contract_example):
    problem = problem_of(contract_example).replace(objective=Objective("log-success", serve_reward=0.25))
    assert route_figures(problem, ACD).value == pytest.approx(0.25 + math.log(0.648))  # below 0: never worth using
    assert route_figures(problem, ACD).value < 0.0


def test_scores_take_the_place_of_p_times_fidelity_under_link_sum_only(contract_example):
    contract_example["network"]["links"][2]["score"] = -2.0
    problem = problem_of(contract_example)
    assert route_figures(problem, ACD).value == pytest.approx(0.648)
    assert route_figures(problem.replace(objective="link-sum"), ACD).value == pytest.approx(-2.0 + 0.81)
    assert value(problem.replace(requests=[], task="link-selection"), Allocation(links=[("C", "A")])) == -2.0


@pytest.mark.parametrize(
    ("answer", "rule", "place"),
    [
        (allocation("AZ"), "node", "routes[0] of request r"),
        (allocation("ACD", "AD"), "link", "routes[1] of request r"),
        (allocation("ACD", request="q"), "request", "routes[0]"),
        (allocation("A"), "ends", "routes[0] of request r"),
        (allocation(""), "ends", "routes[0] of request r"),
        (Allocation(links=[("A", "B")]), "task", "links"),
    ],
    ids=["unknown node", "no link", "unknown request", "one node", "no nodes", "links"],
)
def test_what_has_no_value_is_refused_by_place(answer, rule, place):
    with pytest.raises(InfeasibleAllocation) as caught:
        value(made(), answer)
    assert (caught.value.rule, caught.value.place) == (rule, place)


@pytest.mark.parametrize("pair", [("A", "D"), ("A", "Z")])
def test_links_that_do_not_exist_have_no_value(pair):
    selection = made().replace(requests=[], task="link-selection")
    with pytest.raises(InfeasibleAllocation, match=r"link at links\[1\]: no link joins"):
        value(selection, Allocation(links=[("A", "B"), pair]))
    with pytest.raises(InfeasibleAllocation, match="task at routes"):
        value(selection, allocation("ACD"))


def test_values_add_up_over_routes(contract_example):
    contract_example["requests"][0]["routes"] = 2
    problem = problem_of(contract_example)
    both = Allocation((ABD, ACD))
    check(problem, both)
    assert value(problem, both) == pytest.approx(0.27 + 0.648)
    assert value(problem, Allocation()) == 0.0


def test_a_node_that_never_swaps_makes_a_route_worthless_or_worse():
    problem = made(nodes={"C": {"swap": 0.0}})
    route = Route("r", ("A", "C", "D"))
    assert route_figures(problem, route) == (0.0, 1.0, 0.0)
    assert route_figures(problem.replace(objective="log-success"), route).value == -math.inf
    assert route_figures(problem.replace(objective="link-sum"), route).value == pytest.approx(1.0)
    assert route_figures(problem, Route("r", ("A", "B", "C", "D"))).probability == 0.0


def test_logarithms_survive_where_the_product_underflows():
    n = 400
    network = Network.from_columns([str(i) for i in range(n)], np.arange(n - 1), np.arange(1, n), p=1e-3, swap=0.1)
    problem = Problem(network, [{"id": "r", "source": "0", "target": str(n - 1)}], objective="log-success")
    figures = route_figures(problem, Route("r", network.node_ids))
    assert figures.probability == 0.0
    assert figures.value == pytest.approx(10.0 + (n - 1) * math.log(1e-3) + (n - 2) * math.log(0.1))


def test_figures_agree_with_the_oracle():
    rng = random.Random("figures")
    for _ in range(200):
        document = oracle.random_problem(rng)
        problem = problem_of(document)
        for request in document["requests"]:
            for nodes in oracle.simple_routes(document, request)[:4]:
                figures = route_figures(problem, Route(request["id"], nodes))
                assert figures == pytest.approx(oracle.route_figures(document, request, nodes), rel=1e-12)


# --- one rule each: by name and place ---


def test_unknown_request():
    refused(made(), allocation("ACD", request="q"), "request", "routes[0]", "no request is called 'q'")


def test_unknown_node_names_the_route_by_number():
    refused(made(), allocation("ACD", "AXD"), "node", "routes[1] of request r", "no node is called 'X'")


@pytest.mark.parametrize("nodes", ["DCA", "ABC", "BCD", "A", "", "D"])
def test_a_route_runs_from_source_to_target(nodes):
    refused(made(), allocation(nodes), "ends", "routes[0] of request r", "asked for 'A' to 'D'")


@pytest.mark.parametrize("nodes", ["ABCACD", "ACDED", "AABCD", "ACCD"])
def test_a_route_visits_no_node_twice(nodes):
    refused(made(), allocation(nodes), "simple path", "routes[0] of request r", "more than once")


@pytest.mark.parametrize("nodes", ["AD", "ABD", "ACED"])
def test_a_route_follows_links(nodes):
    refused(made(), allocation(nodes), "link", "routes[0] of request r", "no link joins")


def test_hop_limit():
    problem = made(rules={"max_hops": 2})
    refused(problem, allocation("ACD", "ABCD"), "max_hops", "routes[1] of request r", "3 links, at most 2")
    check(problem, allocation("ACD"))


def test_fidelity_floor():
    links = {"AC": {"fidelity": 0.9}, "CD": {"fidelity": 0.9}}
    refused(
        made({"min_fidelity": 0.82}, links=links), allocation("ACD"), "min_fidelity", "routes[0] of request r", "0.8133"
    )
    check(made({"min_fidelity": 0.81}, links=links), allocation("ACD"))


@pytest.mark.parametrize(("above", "accepted"), [(0.0, True), (0.9e-9, True), (1.1e-9, False)])
def test_fidelity_floor_to_the_stated_tolerance(above, accepted):
    problem = made({"min_fidelity": 61 / 75 + above}, links={"AC": {"fidelity": 0.9}, "CD": {"fidelity": 0.9}})
    if accepted:
        check(problem, allocation("ACD"))
    else:
        refused(problem, allocation("ACD"), "min_fidelity", "routes[0] of request r")


def test_routes_of_a_request():
    problem = made(routes=2)
    refused(problem, allocation("ACD", "ABCD", "ACD"), "routes", "request r", "3 routes, at most 2")
    check(problem, allocation("ACD", "ACD"))  # the same path twice is two routes


def test_channels_of_a_link_count_both_directions():
    back = {"id": "q", "source": "C", "target": "A"}
    problem = made(links={"AC": {"channels": 2}}, also=[back])
    answer = Allocation((*allocation("ACD", "ACD").routes, Route("q", ("C", "A"))))
    refused(problem, answer, "channels", "link A-C", "3 routes, 2 channels")
    check(problem, Allocation(answer.routes[1:]))


@pytest.mark.parametrize(
    ("node", "memory", "used"),
    [("A", 1, 2), ("D", 1, 2), ("C", 3, 4), ("B", 1, 2), ("C", 0, 4)],
    ids=["source", "target", "passing", "too small to pass once", "none at all"],
)
def test_memory_of_a_node(node, memory, used):
    """1 qubit for each route that ends there, 2 for each that passes."""
    refused(
        made(nodes={node: {"memory": memory}}),
        allocation("ACD", "ABCD"),
        "memory",
        f"node {node}",
        f"{used} qubits, {memory} in its memory",
    )
    check(made(nodes={node: {"memory": used}}), allocation("ACD", "ABCD"))


def test_memory_adds_up_over_requests_that_end_and_pass():
    ends_at_c = {"id": "q", "source": "C", "target": "D"}
    answer = Allocation((*allocation("ACD").routes, Route("q", ("C", "D"))))
    refused(made(nodes={"C": {"memory": 2}}, also=[ends_at_c]), answer, "memory", "node C", "3 qubits, 2")
    check(made(nodes={"C": {"memory": 3}}, also=[ends_at_c]), answer)


def test_degree_counts_routes_that_leave():
    refused(made(rules={"degree": 1}), allocation("ACD", "ABCD"), "degree", "node A", "2 routes leave it, at most 1")
    check(made(rules={"degree": 2}), allocation("ACD", "ABCD"))


def test_a_node_s_own_degree_stands_above_the_rule():
    refused(
        made(rules={"degree": 2}, nodes={"C": {"degree": 1}}),
        allocation("ACD", "ABCD"),
        "degree",
        "node C",
        "at most 1",
    )
    check(made(rules={"degree": 0}, nodes={name: {"degree": 1} for name in "AC"}), allocation("ACD"))
    refused(made(nodes={"B": {"degree": 0}}), allocation("ABCD"), "degree", "node B", "1 routes leave it, at most 0")


def test_the_last_node_of_a_route_is_not_left():
    check(made(nodes={"D": {"degree": 0}}), allocation("ACD", "ABCD"))


def test_each_task_has_its_own_kind_of_answer():
    refused(made(), Allocation(links=[("A", "B")]), "task", "links")
    selection = made().replace(requests=[], task="link-selection")
    refused(selection, allocation("ACD"), "task", "routes")


def test_selected_links_exist():
    selection = made().replace(requests=[], task="link-selection")
    refused(selection, Allocation(links=[("A", "B"), ("A", "D")]), "link", "links[1]", "no link joins 'A' and 'D'")
    refused(selection, Allocation(links=[("A", "X")]), "link", "links[0]", "no link joins")
    refused(selection, Allocation(links=[("A", "A")]), "link", "links[0]", "no link joins")


@pytest.mark.parametrize("again", [("A", "B"), ("B", "A")])
def test_no_link_is_selected_twice(again):
    selection = made(rules={"degree": 9}).replace(requests=[], task="link-selection")
    refused(selection, Allocation(links=[("A", "B"), again]), "link", "links[1]", "A-B is selected twice")


def test_degree_of_a_selection_is_one_unless_said_otherwise():
    chosen = Allocation(links=[("A", "B"), ("C", "B")])
    selection = made().replace(requests=[], task="link-selection")
    refused(selection, chosen, "degree", "node B", "2 links selected, at most 1")
    check(selection, Allocation(links=[("A", "B"), ("D", "C")]))
    check(selection.replace(rules={"degree": 2}), chosen)
    own = made(nodes={"B": {"degree": 2}}).replace(requests=[], task="link-selection", rules={"degree": 1})
    check(own, chosen)
    refused(own, Allocation(links=[("A", "B"), ("A", "C")]), "degree", "node A")


def test_the_error_is_qnroute_s_and_a_value_error():
    with pytest.raises(QnrouteError) as caught:
        check(made(), allocation("AD"))
    assert isinstance(caught.value, ValueError)
    assert re.match(r"link at routes\[0\] of request r: ", str(caught.value))


# --- exactly full ---


def test_everything_exactly_full_is_accepted():
    problem = made(
        {"min_fidelity": 61 / 75},
        routes=2,
        rules={"max_hops": 2, "degree": 2},
        nodes={"A": {"memory": 2}, "C": {"memory": 4}, "D": {"memory": 2}},
        links={"AC": {"channels": 2, "fidelity": 0.9}, "CD": {"channels": 2, "fidelity": 0.9}},
    )
    check(problem, allocation("ACD", "ACD"))


def test_nothing_is_always_accepted():
    check(made(rules={"degree": 0}, nodes={name: {"memory": 0} for name in "ABCDE"}), Allocation())
    check(made().replace(requests=[], task="link-selection", rules={"degree": 0}), Allocation())


# --- beside the oracle ---


def _loose_paths(document, request):
    """Simple paths of a request without its floor and hop limit."""
    free = {**document, "rules": {}}
    return oracle.simple_routes(free, {**request, "min_fidelity": 0})


def _result_of(document, answer, objective):
    """A result file for an allocation, with the figures the oracle would compute."""
    requests, routes = {request["id"]: request for request in document.get("requests", [])}, []
    for route in answer.routes:
        figures = oracle.route_figures(document, requests[route.request], route.nodes)
        names = zip(("probability", "fidelity", "value"), figures)
        routes.append({"request": route.request, "nodes": list(route.nodes), **dict(names)})
    stated = {"objective": objective, "bound": None, "gap": None, "status": "heuristic", "seconds": 0.0, "trace": []}
    rest = {"format": "qnroute.result/1", "problem": {"name": document["name"]}, "method": "", "seed": None}
    links = [list(pair) for pair in answer.links]
    return {**stated, **rest, "routes": routes, "links": links, "options": {}, "versions": {}}


def _accepts(problem, answer):
    try:
        check(problem, answer)
    except InfeasibleAllocation:
        return False
    return True


def test_judge_and_oracle_agree_on_random_answers():
    rng, verdicts = random.Random("judge"), []
    for _ in range(1_200):
        document = oracle.random_problem(rng)
        paths = [(r["id"], nodes) for r in document["requests"] for nodes in _loose_paths(document, r)]
        answer = Allocation(tuple(Route(*rng.choice(paths)) for _ in range(rng.randint(0, 3)) if paths))
        problem = problem_of(document)
        worth = value(problem, answer)
        if math.isinf(worth):  # a route with P = 0 under log-success: no result file can state it
            continue
        faults = oracle.violations(document, _result_of(document, answer, worth))
        assert _accepts(problem, answer) == (not faults), (faults, document, answer)
        verdicts.append(not faults)
    assert 250 < sum(verdicts) < len(verdicts) - 250


def test_judge_and_oracle_agree_on_random_selections():
    rng, verdicts = random.Random("selections"), []
    for _ in range(600):
        document = oracle.random_link_selection(rng)
        links = document["network"]["links"]
        chosen = rng.sample(links, min(rng.randint(0, 3), len(links)))
        answer = Allocation(links=[rng.sample([link["source"], link["target"]], 2) for link in chosen])
        problem = problem_of(document)
        faults = oracle.violations(document, _result_of(document, answer, value(problem, answer)))
        assert _accepts(problem, answer) == (not faults), (faults, document, answer)
        verdicts.append(not faults)
    assert 100 < sum(verdicts) < 500


# --- the records ---


def test_answers_are_plain_frozen_values():
    answer = Allocation([Route("r", ["A", "B"])], [["A", "B"]])
    assert answer == Allocation((Route("r", ("A", "B")),), (("A", "B"),))
    assert hash(answer) == hash(Allocation((Route("r", ("A", "B")),), (("A", "B"),)))
    with pytest.raises(AttributeError):
        answer.routes = ()
    with pytest.raises(AttributeError):
        answer.routes[0].nodes = ()


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({"routes": "ab"}, "routes: expected a list of Route, found 'ab'"),
        ({"routes": 5}, "routes: expected a list of Route, found 5"),
        ({"routes": [("r", ("A", "B"))]}, "routes: expected a list of Route, found a tuple of 2"),
        ({"links": 5}, "links: expected pairs of node ids, found 5"),
        ({"links": ["AB"]}, "links: expected pairs of node ids, found 'AB'"),
        ({"links": [("A", "B", "C")]}, "links: expected pairs of node ids, found a tuple of 3"),
        ({"links": [("A", 5)]}, "links: expected pairs of node ids, found a tuple of 2"),
    ],
)
def test_an_allocation_holds_routes_and_pairs(parts, found):
    with pytest.raises(ProblemError, match=re.escape(f"Allocation.{found}")):
        Allocation(**parts)


@pytest.mark.parametrize(("request_id", "nodes"), [("r", None), ("r", "AB"), ("r", 5), ("r", ["A", 5]), (5, ["A"])])
def test_a_route_holds_names(request_id, nodes):
    with pytest.raises(ProblemError, match=r"^Route.*: expected .* node ids, found"):
        Route(request_id, nodes)
    assert Route("r", iter("AB")).nodes == ("A", "B")
