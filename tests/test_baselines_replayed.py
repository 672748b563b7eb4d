"""The simple methods replayed on random problems.

A replay keeps its own books on plain dictionaries and asks, route by route, whether the method's choice was the one
that its definition demands; ties may go either way.
"""

from __future__ import annotations

import math
import random

import numpy as np
import oracle
import pytest
from helpers import problem_of

import qnroute as qn
from qnroute.problem import OBJECTIVES
from qnroute.settings import Settings
from qnroute.solvers import baselines

CLOSE = 1e-9
SIMPLE = ("shortest-path", "greedy", "density-greedy", "static")

# --- replays of the definitions ---


class Books:
    """What is left of every capacity, and which routes each request may have at all, by the oracle."""

    def __init__(self, document):
        self.document, self.requests = document, document["requests"]
        self.room = oracle._capacities(document) | {
            ("routes", request["id"]): request.get("routes", 1) for request in self.requests
        }
        self.options = {
            request["id"]: [
                (nodes, oracle.route_figures(document, request, nodes)[2])
                for nodes in oracle.simple_routes(document, request)
            ]
            for request in self.requests
        }
        self.alone = {
            name: [(nodes, worth) for nodes, worth in options if self.fits(name, nodes)]
            for name, options in self.options.items()
        }

    def uses(self, name, nodes):
        return [*oracle._uses(nodes).items(), (("routes", name), 1)]

    def fits(self, name, nodes):
        return all(self.room.get(what, math.inf) >= amount for what, amount in self.uses(name, nodes))

    def left(self, name):
        """The routes of a request that still fit, with their values."""
        return [(nodes, worth) for nodes, worth in self.options[name] if self.fits(name, nodes)]

    def take(self, name, nodes):
        assert self.fits(name, nodes)
        for what, amount in self.uses(name, nodes):
            if what in self.room:
                self.room[what] -= amount

    def worth(self, name, nodes):
        return dict(self.options[name])[nodes]


def problems(seed, number, **how):
    """Random problems whose probabilities, scores and weights are all different, so that few values tie."""
    rng = random.Random(seed)
    for _ in range(number):
        document = oracle.random_problem(rng, **{"max_links": 11, "max_requests": 5, "max_total_routes": 10, **how})
        for link in document["network"]["links"]:
            link["p"] = rng.uniform(0.3, 1.0)
        for request in document["requests"]:
            request["weight"] = rng.uniform(0.5, 2.0)
        yield rng, document, problem_of(document)


def answer(method, problem, **options):
    return getattr(baselines, method)(problem, Settings(), **options).allocation


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_replay_of_shortest_path(objective):
    for _, document, problem in problems(f"shortest {objective}", 80, objective=objective):
        books, taken = Books(document), list(answer("shortest_path", problem).routes)
        dead = {node["id"] for node in document["network"]["nodes"] if node.get("swap", 1.0) == 0.0}
        for request in document["requests"]:
            name = request["id"]
            for _ in range(request.get("routes", 1)):
                ways = [(len(nodes), worth, nodes) for nodes, worth in books.left(name)]
                if objective != "link-sum":
                    ways = [way for way in ways if not dead & set(way[2][1:-1])]
                shortest = [way for way in ways if way[0] == min(ways)[0]]
                if taken and taken[0].request == name:
                    nodes = taken.pop(0).nodes
                    assert nodes in [way[2] for way in shortest] and books.worth(name, nodes) > 0.0
                    books.take(name, nodes)
                else:
                    assert not shortest or min(way[1] for way in shortest) <= 0.0
                    break
        assert not taken


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_replay_of_greedy(objective):
    """Each choice is worth as much as the best of all that fit at that moment; at the end none that pays fits."""
    for _, document, problem in problems(f"greedy {objective}", 80, objective=objective):
        books = Books(document)
        taken = answer("greedy", problem, candidates=500).routes
        for route in [*taken, None]:
            best = max((worth for name in books.options for _, worth in books.left(name)), default=0.0)
            if route is None:
                assert best <= CLOSE
            else:
                assert books.worth(route.request, route.nodes) == pytest.approx(best, rel=CLOSE)
                books.take(route.request, route.nodes)


def _candidates(books, most):
    """The most valuable routes of each request on the empty network that pay."""
    return {
        name: sorted(((worth, nodes) for nodes, worth in options if worth > 0.0), reverse=True)[:most]
        for name, options in books.alone.items()
    }


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_replay_of_density_greedy(objective):
    for rng, document, problem in problems(f"density {objective}", 80, objective=objective):
        books, most = Books(document), 500 if objective == "link-sum" else rng.choice((1, 2, 3, 20))
        chosen = _candidates(books, most)
        for route in [*answer("density_greedy", problem, candidates=most).routes, None]:
            best = max(
                (
                    worth / math.sqrt(len(nodes) - 1)
                    for name, options in chosen.items()
                    for worth, nodes in options
                    if books.fits(name, nodes)
                ),
                default=0.0,
            )
            if route is None:
                assert best <= CLOSE
            else:
                worth = books.worth(route.request, route.nodes)
                assert worth / math.sqrt(len(route.nodes) - 1) == pytest.approx(best, rel=CLOSE)
                books.take(route.request, route.nodes)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_replay_of_static(objective):
    for rng, document, problem in problems(f"static {objective}", 80, objective=objective):
        books, most = Books(document), 500 if objective == "link-sum" else rng.choice((1, 2, 3, 5))
        chosen, expected = _candidates(books, most), []
        for request in sorted(document["requests"], key=lambda request: -request["weight"]):
            for worth, nodes in chosen[request["id"]]:
                while books.fits(request["id"], nodes):
                    books.take(request["id"], nodes)
                    expected.append((request["id"], worth))
        found = [
            (route.request, books.worth(*_key(route))) for route in answer("static", problem, candidates=most).routes
        ]
        assert [name for name, _ in found] == [name for name, _ in expected]
        assert [worth for _, worth in found] == pytest.approx([worth for _, worth in expected], rel=CLOSE)


def _key(route):
    return route.request, route.nodes


def test_replay_of_greedy_links():
    rng = random.Random("links")
    for _ in range(150):
        document = oracle.random_link_selection(rng)
        room, expected = oracle._capacities(document), []
        for link in sorted(document["network"]["links"], key=oracle._score, reverse=True):
            ends = [("degree", link["source"]), ("degree", link["target"])]
            if oracle._score(link) > 0.0 and all(room[end] > 0 for end in ends):
                for end in ends:
                    room[end] -= 1
                expected.append((link["source"], link["target"]))
        found = answer("greedy", problem_of(document)).links
        assert sum(map(_score_of(document), found)) == pytest.approx(sum(map(_score_of(document), expected)))
        assert [_score_of(document)(pair) for pair in found] == pytest.approx(
            [_score_of(document)(p) for p in expected]
        )


def _score_of(document):
    links = oracle._links(document)
    return lambda pair: oracle._score(links[frozenset(pair)])


# --- whatever the problem ---


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_answers_keep_every_rule_and_stay_below_the_optimum(objective):
    rng = random.Random(f"valid {objective}")
    for _ in range(50):
        document = oracle.random_problem(rng, objective=objective)
        problem, (best, _) = problem_of(document), oracle.optimum(document)
        for method in SIMPLE:
            result = qn.solve(problem, method, **({} if method == "shortest-path" else {"candidates": 3}))
            assert oracle.violations(document, result.to_dict()) == []
            assert 0.0 <= result.objective <= best + CLOSE


@pytest.mark.parametrize("objective", ["expected-pairs", "log-success"])
def test_one_request_for_one_route_leaves_nothing_to_spoil(objective):
    rng = random.Random(f"one {objective}")
    for _ in range(50):
        document = oracle.random_problem(rng, objective=objective, max_requests=1, max_total_routes=1)
        problem, (best, _) = problem_of(document), oracle.optimum(document)
        for method in ("greedy", "static"):
            assert qn.solve(problem, method).objective == pytest.approx(best, rel=CLOSE, abs=CLOSE)


def test_the_same_problem_has_the_same_answer():
    for _, document, problem in problems("same", 20):
        for method in SIMPLE:
            first, again = (qn.solve(problem_of(document), method, seed=seed).allocation for seed in (1, 2))
            assert first == again == qn.solve(problem, method).allocation


def test_the_problem_is_left_as_it_was():
    for _, document, problem in problems("untouched", 10):
        before = problem.to_dict()
        for method in SIMPLE:
            qn.solve(problem, method)
        assert problem.to_dict() == before == problem_of(document).to_dict()
        np.testing.assert_array_equal(problem.degree_bounds, problem_of(document).degree_bounds)
