"""Allocation: which routes serve which requests. `check` is the one judge of every answer.

The judge reads the contract's section 2 and nothing else: it shares no code with any model or solver,
and works on the names of nodes, one rule after the other.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from qnroute.errors import InfeasibleAllocation, ProblemError
from qnroute.fidelity import TOLERANCE, path_fidelity
from qnroute.fields import brief, brief_name
from qnroute.problem import Problem, Request


@dataclass(frozen=True, slots=True)
class Route:
    """A simple path, by node ids from source to target, that serves a request."""

    request: str
    nodes: tuple[str, ...]

    def __post_init__(self) -> None:
        nodes = _listed(self.nodes, "Route.nodes: expected a list of node ids")
        if wrong := [name for name in (self.request, *nodes) if not isinstance(name, str)]:
            raise ProblemError(f"Route: expected the id of a request and a list of node ids, found {brief(wrong[0])}")
        object.__setattr__(self, "nodes", nodes)


@dataclass(frozen=True, slots=True)
class Allocation:
    """An answer: `routes` for the task allocation, `links` (pairs of node ids) for link-selection."""

    routes: tuple[Route, ...] = ()
    links: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        of_routes = "Allocation.routes: expected a list of Route"
        of_links = "Allocation.links: expected pairs of node ids"
        routes = _listed(self.routes, of_routes)
        if wrong := [route for route in routes if not isinstance(route, Route)]:
            raise ProblemError(f"{of_routes}, found {brief(wrong[0])}")
        links = tuple(_listed(pair, of_links) for pair in _listed(self.links, of_links))
        if wrong := [pair for pair in links if len(pair) != 2 or not all(isinstance(end, str) for end in pair)]:
            raise ProblemError(f"{of_links}, found {brief(wrong[0])}")
        object.__setattr__(self, "routes", routes)
        object.__setattr__(self, "links", links)


class RouteFigures(NamedTuple):
    """What a route achieves: P(r), F(r) and its part of the objective."""

    probability: float
    fidelity: float
    value: float


def check(problem: Problem, allocation: Allocation) -> None:
    """Accept an allocation that keeps every rule of its problem.

    Raises
    ------
    InfeasibleAllocation
        Naming the first broken rule and its place.
    """
    _check_kind(problem, allocation)
    if problem.task == "link-selection":
        _check_selection(problem, allocation)
        return
    links = [_check_route(problem, route, f"routes[{number}]") for number, route in enumerate(allocation.routes)]
    _check_routes_per_request(problem, allocation.routes)
    _check_channels(problem, links)
    _check_memory(problem, allocation.routes)
    _check_degree(problem, allocation.routes)


def value(problem: Problem, allocation: Allocation) -> float:
    """The objective value of an allocation (contract, section 2), whether or not it keeps the rules of its problem.

    Raises
    ------
    InfeasibleAllocation
        A request, node or link that does not exist, a route without links, links where routes are asked for.
    """
    _check_kind(problem, allocation)
    if problem.task == "link-selection":
        return math.fsum(problem.network.coefficient[_selected(problem, allocation)])
    routes = enumerate(allocation.routes)
    return math.fsum(route_figures(problem, route, f"routes[{number}]").value for number, route in routes)


def route_figures(problem: Problem, route: Route, place: str = "route") -> RouteFigures:
    """Probability, fidelity and value of one route.

    P(r) = prod_e p_e * prod_v swap_v over links e and interior nodes v; F(r) by Werner algebra; value
    weight * P(r), weight * (R + ln P(r)) or weight * sum_e s_e by the kind of the objective.

    Raises
    ------
    InfeasibleAllocation
        At `place`, a route that has no figures: without links, or of what does not exist.
    """
    network = problem.network
    request = _request(problem, route, place)
    links = _links(problem, route, f"{place} of request {brief_name(request.id)}")
    factors = [float(network.p[e]) for e in links]
    factors += [float(network.swap[network.index[v]]) for v in route.nodes[1:-1]]
    probability = math.prod(factors)
    kind = problem.objective.kind
    if kind == "expected-pairs":
        worth = probability
    elif kind == "log-success":  # logarithms are added: a product of many factors could underflow
        log = -math.inf if min(factors) == 0.0 else math.fsum(math.log(f) for f in factors)
        worth = problem.objective.serve_reward + log
    else:
        worth = math.fsum(float(network.coefficient[e]) for e in links)
    return RouteFigures(probability, _fidelity(problem, links), request.weight * worth)


def _fidelity(problem: Problem, links: Sequence[int]) -> float:
    return path_fidelity(float(problem.network.fidelity[e]) for e in links)


# --- one rule each ---


def _check_route(problem: Problem, route: Route, place: str) -> list[int]:
    """Its links."""
    request, nodes = _request(problem, route, place), route.nodes
    place = f"{place} of request {brief_name(request.id)}"
    _check_nodes(problem, route, place)
    if len(nodes) < 2 or (nodes[0], nodes[-1]) != (request.source, request.target):
        asked = f"{brief(request.source)} to {brief(request.target)}"
        found = f"{brief(nodes[0])} to {brief(nodes[-1])}" if nodes else "no nodes"
        raise InfeasibleAllocation("ends", place, f"runs from {found}, asked for {asked}")
    if len(set(nodes)) < len(nodes):
        twice = next(node for node, times in Counter(nodes).items() if times > 1)
        raise InfeasibleAllocation("simple path", place, f"visits {brief(twice)} more than once")
    links = _links(problem, route, place)
    most = problem.rules.max_hops
    if most is not None and len(nodes) - 1 > most:
        raise InfeasibleAllocation("max_hops", place, f"{len(nodes) - 1} links, at most {most} allowed")
    fidelity = _fidelity(problem, links)
    if fidelity < request.min_fidelity - TOLERANCE:
        raise InfeasibleAllocation(
            "min_fidelity", place, f"fidelity {fidelity:.9g}, at least {request.min_fidelity:.9g} required"
        )
    return links


def _check_routes_per_request(problem: Problem, routes: Sequence[Route]) -> None:
    for name, used in Counter(route.request for route in routes).items():
        allowed = problem.requests[problem.request_index[name]].routes
        if used > allowed:
            raise InfeasibleAllocation("routes", f"request {brief_name(name)}", f"{used} routes, at most {allowed}")


def _check_channels(problem: Problem, links: Sequence[Sequence[int]]) -> None:
    load = Counter(itertools.chain.from_iterable(links))
    for link, used in load.items():
        if used > problem.network.channels[link]:
            raise InfeasibleAllocation(
                "channels",
                f"link {problem.network.link_name(link)}",
                f"{used} routes, {problem.network.channels[link]} channels",
            )


def _check_memory(problem: Problem, routes: Sequence[Route]) -> None:
    used: Counter[str] = Counter()
    for route in routes:
        used.update({route.nodes[0]: 1, route.nodes[-1]: 1})
        used.update(dict.fromkeys(route.nodes[1:-1], 2))
    for node, qubits in used.items():
        memory = problem.network.memory[problem.network.index[node]]
        if qubits > memory:
            raise InfeasibleAllocation("memory", f"node {brief_name(node)}", f"{qubits} qubits, {memory} in its memory")


def _check_degree(problem: Problem, routes: Sequence[Route]) -> None:
    leaving = Counter(node for route in routes for node in route.nodes[:-1])
    for node, used in leaving.items():
        bound = problem.degree_bounds[problem.network.index[node]]
        if used > bound:
            raise InfeasibleAllocation("degree", f"node {brief_name(node)}", f"{used} routes leave it, at most {bound}")


def _check_selection(problem: Problem, allocation: Allocation) -> None:
    network = problem.network
    seen: set[int] = set()
    for number, link in enumerate(_selected(problem, allocation)):
        if link in seen:
            raise InfeasibleAllocation("link", f"links[{number}]", f"{network.link_name(link)} is selected twice")
        seen.add(link)
    for node, used in Counter(end for pair in allocation.links for end in pair).items():
        bound = problem.degree_bounds[network.index[node]]
        if used > bound:
            raise InfeasibleAllocation("degree", f"node {brief_name(node)}", f"{used} links selected, at most {bound}")


def _check_kind(problem: Problem, allocation: Allocation) -> None:
    if problem.task == "link-selection" and allocation.routes:
        raise InfeasibleAllocation("task", "routes", "the task link-selection selects links; expected no routes")
    if problem.task != "link-selection" and allocation.links:
        raise InfeasibleAllocation("task", "links", "only the task link-selection selects links; expected routes")


# --- what an answer names ---


def _request(problem: Problem, route: Route, place: str) -> Request:
    if route.request not in problem.request_index:
        raise InfeasibleAllocation("request", place, f"no request is called {brief(route.request)}")
    return problem.requests[problem.request_index[route.request]]


def _check_nodes(problem: Problem, route: Route, place: str) -> None:
    for node in route.nodes:
        if node not in problem.network.index:
            raise InfeasibleAllocation("node", place, f"no node is called {brief(node)}")


def _links(problem: Problem, route: Route, place: str) -> list[int]:
    """The links of a route, in order; at least one."""
    _check_nodes(problem, route, place)
    if len(route.nodes) < 2:
        raise InfeasibleAllocation("ends", place, f"runs along {len(route.nodes)} nodes, expected two at least")
    return [_link(problem, u, v, place) for u, v in itertools.pairwise(route.nodes)]


def _selected(problem: Problem, allocation: Allocation) -> list[int]:
    """The links of a selection, in order."""
    return [_link(problem, u, v, f"links[{number}]") for number, (u, v) in enumerate(allocation.links)]


def _link(problem: Problem, u: str, v: str, place: str) -> int:
    network = problem.network
    pair = network.index.get(u, -1), network.index.get(v, -1)
    if pair not in network.link_index:
        raise InfeasibleAllocation("link", place, f"no link joins {brief(u)} and {brief(v)}")
    return network.link_index[pair]


def _listed(entries: Any, expected: str) -> tuple[Any, ...]:
    """The entries of a list; text is none, though one can walk along it."""
    if isinstance(entries, str) or not isinstance(entries, Iterable):
        raise ProblemError(f"{expected}, found {brief(entries)}")
    return tuple(entries)
