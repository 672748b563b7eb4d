"""The simple methods: hand-made examples that pin each definition."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import qnroute as qn
from qnroute.allocation import Allocation, Route, check, value
from qnroute.network import Network
from qnroute.problem import Objective, Problem
from qnroute.solvers import baselines

SIMPLE = ("shortest-path", "greedy", "density-greedy", "static")


def made(links, requests, *, nodes=None, **more):
    """Links as ``{"AB": p}`` or ``{"AB": {fields}}``, requests as ``"AB"`` or dicts; nodes are one letter each."""
    names = sorted({name for pair in links for name in pair})
    rows = [{"id": name, **(nodes or {}).get(name, {})} for name in names]
    fields = [{"source": e[0], "target": e[1], **(f if isinstance(f, dict) else {"p": f})} for e, f in links.items()]
    asked = [
        {"id": f"r{k}", **(r if isinstance(r, dict) else {"source": r[0], "target": r[1]})}
        for k, r in enumerate(requests)
    ]
    return Problem(Network(rows, fields), asked, **more)


def ask(ends, **fields):
    return {"source": ends[0], "target": ends[1], **fields}


def routes_of(problem, method, **options):
    """The routes as (request, nodes as one string), in the order in which they were taken."""
    result = qn.solve(problem, method, **options)
    check(problem, result.allocation)
    assert result.status == "heuristic" and result.bound is None and result.gap is None
    return [(route.request, "".join(route.nodes)) for route in result.allocation.routes]


# --- shortest-path: requests in order, the fewest hops that still fit ---


def test_shortest_path_counts_hops_not_value():
    problem = made({"AC": 0.9, "CB": 0.9, "AB": 0.1}, ["AB"])
    assert routes_of(problem, "shortest-path") == [("r0", "AB")]
    assert routes_of(problem, "greedy") == [("r0", "ACB")]


def test_shortest_path_takes_requests_in_order_whatever_their_weight():
    problem = made({"AB": 0.5}, ["AB", ask("AB", weight=9.0)])
    assert routes_of(problem, "shortest-path") == [("r0", "AB")]


def test_shortest_path_goes_round_what_is_full():
    """The second request finds A-B taken and goes by C; the third finds nothing."""
    problem = made({"AB": 0.5, "AC": 0.5, "CB": 0.5}, ["AB", "BA", "AB"])
    assert routes_of(problem, "shortest-path") == [("r0", "AB"), ("r1", "BCA")]


def test_shortest_path_serves_all_routes_of_a_request_before_the_next():
    problem = made({"AB": 0.5, "AC": 0.5, "CB": 0.5}, [ask("AB", routes=2), "AB"])
    assert routes_of(problem, "shortest-path") == [("r0", "AB"), ("r0", "ACB")]


def test_shortest_path_takes_a_path_twice_where_channels_allow():
    problem = made({"AB": {"p": 0.5, "channels": 2}, "AC": 0.9, "CB": 0.9}, [ask("AB", routes=3)])
    assert routes_of(problem, "shortest-path") == [("r0", "AB"), ("r0", "AB"), ("r0", "ACB")]


@pytest.mark.parametrize(
    ("nodes", "rules", "expected"),
    [
        ({"C": {"memory": 1}}, None, "ADEB"),
        ({"C": {"degree": 0}}, None, "ADEB"),
        ({"C": {"swap": 0.0}}, None, "ADEB"),
        ({}, {"max_hops": 2}, "ACB"),
        ({"C": {"memory": 1}}, {"max_hops": 2}, None),
        ({"A": {"memory": 0}}, None, None),
        ({"B": {"memory": 0}}, None, None),
        ({"A": {"degree": 0}}, None, None),
        ({"A": {"memory": 1}, "B": {"memory": 1, "degree": 0}}, None, "ACB"),
    ],
)
def test_shortest_path_goes_only_where_it_may(nodes, rules, expected):
    problem = made({"AC": 0.5, "CB": 0.5, "AD": 0.5, "DE": 0.5, "EB": 0.5}, ["AB"], nodes=nodes, rules=rules)
    assert routes_of(problem, "shortest-path") == ([("r0", expected)] if expected else [])


def test_shortest_path_keeps_the_floor():
    problem = made({"AB": {"p": 0.9, "fidelity": 0.7}, "AC": 0.5, "CB": 0.5}, [ask("AB", min_fidelity=0.9)])
    assert routes_of(problem, "shortest-path") == [("r0", "ACB")]


def test_shortest_path_passes_a_dead_swap_where_the_objective_does_not_mind():
    problem = made({"AC": 0.5, "CB": 0.5}, ["AB"], nodes={"C": {"swap": 0.0}}, objective="link-sum")
    assert routes_of(problem, "shortest-path") == [("r0", "ACB")]


@pytest.mark.parametrize("objective", [Objective("log-success", 0.5), Objective("log-success", -1.0)])
def test_shortest_path_leaves_what_is_worth_nothing(objective):
    """R + ln 0.5 is below 0."""
    assert routes_of(made({"AB": 0.5}, ["AB"], objective=objective), "shortest-path") == []


# --- greedy: the most valuable route that still fits, over all requests ---


def test_greedy_takes_the_most_valuable_first_over_all_requests():
    problem = made({"AB": 0.5}, ["AB", ask("BA", weight=2.0), ask("AB", weight=1.5)])
    assert routes_of(problem, "greedy") == [("r1", "BA")]


def test_greedy_counts_the_weight_times_the_probability():
    """r1 is worth 3 * 0.36 on A-C-B; on A-B it would be worth 1.5, r0 only 0.5."""
    problem = made({"AB": 0.5, "AC": 0.6, "CB": 0.6}, ["AB", ask("AB", weight=3.0)])
    assert routes_of(problem, "greedy") == [("r1", "AB"), ("r0", "ACB")]


def test_greedy_looks_anew_when_its_best_no_longer_fits():
    """r0 loses A-B to r1; its next best, 0.36, comes after the 0.4 of r2."""
    problem = made(
        {"AB": 0.9, "AC": 0.6, "CB": 0.6, "DE": 0.4},
        ["AB", ask("AB", weight=1.1), "DE"],
    )
    assert routes_of(problem, "greedy") == [("r1", "AB"), ("r2", "DE"), ("r0", "ACB")]


def test_greedy_may_spoil_the_optimum_and_exact_does_not():
    """A-B-C by r0 is worth 0.81 and shuts out the two direct ones, 0.6 * 0.9 each."""
    links = {"AB": 0.9, "BC": 0.9}
    requests = ["AC", ask("AB", weight=0.6), ask("BC", weight=0.6)]
    problem = made(links, requests)
    assert routes_of(problem, "greedy") == [("r0", "ABC")]
    assert qn.solve(problem, "exact").objective == pytest.approx(1.08)


def test_greedy_serves_one_request_by_several_routes():
    links = {"AB": {"p": 0.9, "channels": 2}, "AC": 0.7, "CB": 0.7, "AD": 0.1, "DB": 0.1}
    problem = made(links, [ask("AB", routes=4), ask("AB", weight=0.8)])
    assert routes_of(problem, "greedy") == [("r0", "AB"), ("r0", "AB"), ("r0", "ACB"), ("r0", "ADB")]
    problem = made(links, [ask("AB", routes=2), ask("AB", weight=0.8)])
    assert routes_of(problem, "greedy") == [("r0", "AB"), ("r0", "AB"), ("r1", "ACB")]


def test_greedy_under_link_sum_takes_the_detour():
    problem = made({"AB": 0.9, "AC": 0.5, "CB": 0.5}, ["AB"], objective="link-sum")
    assert routes_of(problem, "greedy") == [("r0", "ACB")]


def test_greedy_under_link_sum_counts_the_weights_over_all_requests():
    problem = made({"AB": 0.9, "AC": 0.5, "CB": 0.5}, ["AB", ask("AB", weight=2.0)], objective="link-sum")
    assert routes_of(problem, "greedy") == [("r1", "ACB"), ("r0", "AB")]


# --- density-greedy: value over the square root of the hops ---


def test_density_divides_by_the_root_of_the_hops():
    """0.6 / sqrt(1) is above 0.84 / sqrt(2) = 0.594 and below 0.86 / sqrt(2) = 0.608; greedy sees 0.84 first."""
    for p, first in ((0.84, "r1"), (0.86, "r0")):
        problem = made({"AB": 1.0, "BC": p}, [ask("AC"), ask("AB", weight=0.6)])
        assert routes_of(problem, "density-greedy")[0][0] == first
        assert routes_of(problem, "greedy")[0][0] == "r0"


def test_density_does_not_divide_by_the_hops_themselves():
    """Three hops worth 0.8 go before one hop worth 0.4: 0.8 / sqrt(3) = 0.46, though 0.8 / 3 = 0.27."""
    problem = made({"AB": 1.0, "BC": 1.0, "CD": 0.8}, [ask("AD"), ask("AB", weight=0.4)])
    assert routes_of(problem, "density-greedy") == [("r0", "ABCD")]


def test_density_takes_a_route_as_often_as_it_fits():
    links = {"AB": {"p": 0.9, "channels": 3}, "AC": 0.9, "CB": 0.9}
    problem = made(links, [ask("AB", routes=2), ask("AB", weight=0.9, routes=2)])
    assert routes_of(problem, "density-greedy") == [("r0", "AB"), ("r0", "AB"), ("r1", "AB"), ("r1", "ACB")]


def test_density_knows_only_its_candidates():
    problem = made({"AB": 0.9, "AC": 0.5, "CB": 0.5}, ["AB", "AB"])
    assert routes_of(problem, "density-greedy", candidates=1) == [("r0", "AB")]
    assert routes_of(problem, "density-greedy", candidates=2) == [("r0", "AB"), ("r1", "ACB")]


# --- static: routes fixed beforehand, requests by weight ---


def test_static_goes_by_weight_then_by_order():
    links = {"AB": 0.5}
    assert routes_of(made(links, ["AB", ask("AB", weight=2.0), ask("AB", weight=2.0)]), "static") == [("r1", "AB")]
    assert routes_of(made(links, ["AB", "BA"]), "static") == [("r0", "AB")]


def test_static_goes_by_weight_not_by_value():
    """r0 has the weight, r1 the value: 2 * 0.1 against 1 * 0.9."""
    problem = made({"AB": {"p": 0.1}, "BC": 0.9}, [ask("AC", weight=2.0), "BC"])
    assert routes_of(problem, "static") == [("r0", "ABC")]
    assert routes_of(problem, "greedy") == [("r1", "BC")]


def test_static_does_not_search_anew():
    """Two candidates are taken by others; the third way is not looked for, though it is free."""
    links = {"AB": 0.9, "AC": 0.8, "CB": 0.8, "AD": 0.7, "DB": 0.7}
    requests = [ask("AB", weight=3.0), ask("AB", weight=2.0), "AB"]
    problem = made(links, requests)
    assert routes_of(problem, "static", candidates=2) == [("r0", "AB"), ("r1", "ACB")]
    assert routes_of(problem, "static", candidates=3) == [("r0", "AB"), ("r1", "ACB"), ("r2", "ADB")]
    assert routes_of(problem, "static") == routes_of(problem, "static", candidates=5)


def test_static_serves_all_routes_of_the_heavier_request_first():
    links = {"AB": {"p": 0.9, "channels": 2}, "AC": 0.8, "CB": 0.8}
    problem = made(links, [ask("AB", weight=0.5), ask("AB", routes=2)])
    assert routes_of(problem, "static") == [("r1", "AB"), ("r1", "AB"), ("r0", "ACB")]


# --- greedy choice of links ---


def selection(links, **more):
    return made(links, [], task="link-selection", **more)


def links_of(problem):
    return ["".join(pair) for pair in qn.solve(problem, "greedy").allocation.links]


def test_greedy_links_take_the_best_first_and_one_at_a_node():
    """The middle link of a path is taken first and shuts out both others, worth more together."""
    problem = selection({"AB": 0.6, "BC": 0.9, "CD": 0.6})
    assert links_of(problem) == ["BC"]
    assert qn.solve(problem, "exact").objective == pytest.approx(1.2)


def test_greedy_links_go_by_coefficient_and_leave_what_does_not_pay():
    problem = selection(
        {"AB": {"p": 0.9, "score": 0.1}, "CD": {"p": 0.5, "fidelity": 0.5}, "EF": {"p": 0.9, "score": 0.0},
         "GH": {"p": 0.9, "score": -1.0}}
    )  # fmt: skip
    assert links_of(problem) == ["CD", "AB"]


def test_greedy_links_keep_every_degree():
    links = {"AB": 0.9, "AC": 0.8, "AD": 0.7, "BC": 0.6}
    assert links_of(selection(links)) == ["AB"]
    assert links_of(selection(links, rules={"degree": 2})) == ["AB", "AC", "BC"]
    assert links_of(selection(links, rules={"degree": 2}, nodes={"A": {"degree": 3}})) == ["AB", "AC", "AD", "BC"]
    assert links_of(selection(links, rules={"degree": 0})) == []
    assert links_of(selection(links, nodes={"A": {"degree": 0}})) == ["BC"]


# --- all of them ---


def test_no_requests_no_routes():
    problem = made({"AB": 0.5}, [])
    for method in (*SIMPLE, "priced"):
        assert qn.solve(problem, method).allocation == Allocation()
        assert qn.solve(problem.replace(objective="link-sum"), method).allocation == Allocation()


@pytest.mark.parametrize("method", SIMPLE)
def test_every_method_uses_a_network_up_that_has_one_way_for_all(method):
    """Ten requests on a line with 3 channels and memory for 2 passing routes: two are served."""
    line = {"AB": {"p": 0.9, "channels": 3}, "BC": {"p": 0.9, "channels": 3}}
    problem = made(line, ["AC"] * 10, nodes={"B": {"memory": 5}})
    assert Counter(nodes for _, nodes in routes_of(problem, method)) == {"ABC": 2}
    assert value(problem, qn.solve(problem, method).allocation) == pytest.approx(2 * 0.81)


def test_residual_keeps_the_books():
    problem = made(
        {"AB": {"p": 0.9, "channels": 2}, "BC": {"p": 0.9, "channels": 2}},
        [ask("AC", routes=2), "AB"],
        nodes={"A": {"memory": 2}, "B": {"memory": 5, "degree": 2}},
    )
    state, nodes, links = baselines.Residual(problem), np.array([0, 1, 2]), np.array([0, 1])
    assert state.fits(0, nodes, links) and state.fits(1, nodes[:2], links[:1])
    state.take(0, nodes, links)
    assert state.channels.tolist() == [1, 1] and state.memory[:2].tolist() == [1, 3] and state.degree[1] == 1
    assert state.routes.tolist() == [1, 1] and state.taken == [Route("r0", ("A", "B", "C"))]
    state.take(0, nodes, links)
    assert not state.fits(0, nodes, links) and not state.fits(1, nodes[:2], links[:1])
    assert len(state.search(1, np.ones(2), np.zeros(3)).cost) == 0
    assert problem.network.channels.tolist() == [2, 2]
