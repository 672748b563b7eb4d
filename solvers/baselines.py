"""The simple methods that everything clever must beat: shortest-path, greedy, density-greedy, static."""

from __future__ import annotations

import heapq

import numpy as np

from qnroute.allocation import Allocation, Route
from qnroute.costs import Costs, path_costs, value_at_cost
from qnroute.errors import SolverError
from qnroute.fidelity import noise, noise_budget
from qnroute.paths import Paths, cheapest_paths
from qnroute.problem import Problem
from qnroute.routes import MOST_WRITTEN, RouteTable, enumerate_routes
from qnroute.settings import Answer, Settings

POOL = 50  # under link-sum: routes looked at for each one kept


class Residual:
    """What is left of every capacity while routes are taken one by one."""

    def __init__(self, problem: Problem):
        network = problem.network
        self.problem = problem
        self.channels = network.channels.copy()
        self.memory = network.memory.copy()
        self.degree = problem.degree_bounds.copy()
        self.routes = problem.most_routes.copy()
        self.taken: list[Route] = []

    def fits(self, request: int, nodes: np.ndarray, links: np.ndarray) -> bool:
        """Whether the route can still be taken."""
        return bool(
            self.routes[request] > 0
            and self.channels[links].min() > 0
            and self.degree[nodes[:-1]].min() > 0
            and min(self.memory[nodes[0]], self.memory[nodes[-1]]) > 0
            and (len(nodes) == 2 or self.memory[nodes[1:-1]].min() > 1)
        )

    def take(self, request: int, nodes: np.ndarray, links: np.ndarray) -> None:
        """Use one channel, the qubits and the degree of a route that fits."""
        self.routes[request] -= 1
        self.channels[links] -= 1
        self.degree[nodes[:-1]] -= 1
        self.memory[nodes[1:-1]] -= 2
        self.memory[nodes[[0, -1]]] -= 1
        names = self.problem.network.node_ids
        if len(self.taken) == MOST_WRITTEN:
            raise SolverError(f"the answer would hold more than {MOST_WRITTEN:,} routes; lower the requests' routes")
        self.taken.append(Route(self.problem.requests[request].id, tuple(names[v] for v in nodes.tolist())))

    def search(self, request: int, link: np.ndarray, node: np.ndarray) -> Paths:
        """The cheapest path for a request through what is left."""
        problem = self.problem
        source, target = int(problem.sources[request]), int(problem.targets[request])
        passing = (self.memory > 1) & (self.degree > 0)
        ends = self.memory[source] > 0 and self.memory[target] > 0 and self.degree[source] > 0
        return cheapest_paths(
            problem.network,
            Costs(
                np.where(self.channels > 0, link, np.inf),
                np.where(passing, node, np.inf),
                noise(problem.network.fidelity),
            ),
            source,
            target,
            max_cost=np.inf if ends and self.routes[request] > 0 else -1.0,
            max_noise=noise_budget(problem.requests[request].min_fidelity),
            max_hops=problem.max_hops,
        )

    def allocation(self) -> Allocation:
        """The routes taken so far."""
        return Allocation(tuple(self.taken))


def shortest_path(problem: Problem, settings: Settings) -> Answer:
    """Each request in order takes the fewest-hop route that still fits, as long as it is worth anything."""
    state = Residual(problem)
    costs = path_costs(problem)
    hops = np.ones(problem.network.n_links)
    # a node that never swaps is no way through, unless the objective does not look at probabilities
    dead = np.isinf(costs.node) & (problem.objective.kind != "link-sum")
    passing = np.where(dead, np.inf, 0.0)
    for k in range(len(problem.requests)):
        while state.routes[k] > 0 and not settings.stopped:
            found = state.search(k, hops, passing)
            if not len(found.cost) or _value(problem, k, found.nodes, costs) <= 0.0:
                break
            state.take(k, found.nodes, _links(problem, found.nodes))
    return Answer(state.allocation(), stopped=settings.stopped)


def greedy(problem: Problem, settings: Settings, *, candidates: int = 20) -> Answer:
    """Again and again the most valuable route that still fits, over all unserved requests.

    Capacities only shrink, so a route's value can only fall: the best known one is searched anew only when
    it no longer fits. Under link-sum the most valuable simple route is a longest-path problem; there, and
    only there, the choice is among `candidates` routes of each request.
    """
    if problem.task == "link-selection":
        return Answer(_greedy_links(problem))
    if problem.objective.kind == "link-sum":
        table = enumerate_routes(problem, per_request=candidates, pool=POOL, settings=settings)
        return in_order(table, np.argsort(-table.value, kind="stable"), settings)
    state, costs = Residual(problem), path_costs(problem)
    queue: list[tuple[float, int, np.ndarray]] = []

    def offer(k: int) -> None:
        found = state.search(k, costs.link, costs.node)
        if len(found.cost) and (value := _value(problem, k, found.nodes, costs)) > 0.0:
            heapq.heappush(queue, (-value, k, found.nodes))

    for k in range(len(problem.requests)):
        if not settings.stopped:
            offer(k)
    while queue and not settings.stopped:
        value, k, nodes = heapq.heappop(queue)
        links = _links(problem, nodes)
        if not state.fits(k, nodes, links):
            offer(k)
            continue
        state.take(k, nodes, links)
        if state.routes[k] > 0:
            heapq.heappush(queue, (value, k, nodes))
    return Answer(state.allocation(), stopped=settings.stopped)


def density_greedy(problem: Problem, settings: Settings, *, candidates: int = 20) -> Answer:
    """All candidate routes of all requests by value over the square root of their hops, taken while they fit."""
    return densest_first(enumerate_routes(problem, per_request=candidates, pool=POOL, settings=settings), settings)


def densest_first(table: RouteTable, settings: Settings) -> Answer:
    """The routes of a table by value over the square root of their hops, taken while they fit."""
    return in_order(table, np.argsort(-table.value / np.sqrt(table.hops), kind="stable"), settings)


def static(problem: Problem, settings: Settings, *, candidates: int = 5) -> Answer:
    """Candidate routes fixed on the empty network; requests by weight, each takes its first that fits."""
    table = enumerate_routes(problem, per_request=candidates, pool=POOL, settings=settings)
    return in_order(table, np.lexsort((-table.value, table.request, -problem.weights[table.request])), settings)


def in_order(table: RouteTable, order: np.ndarray, settings: Settings) -> Answer:
    """The routes of a table in the given order, each taken as often as it fits."""
    state = Residual(table.problem)
    starts = np.concatenate([[0], np.cumsum(table.hops)])
    links = table.steps[1]
    for j in order.tolist():
        k, nodes = int(table.request[j]), table.nodes[table.indptr[j] : table.indptr[j + 1]]
        route = links[starts[j] : starts[j + 1]]
        while state.fits(k, nodes, route) and not settings.stopped:
            state.take(k, nodes, route)
    return Answer(state.allocation(), stopped=settings.stopped)


def _greedy_links(problem: Problem) -> Allocation:
    network, left, chosen = problem.network, problem.degree_bounds.copy(), []
    for e in np.argsort(-network.coefficient, kind="stable").tolist():
        u, v = network.source[e], network.target[e]
        if network.coefficient[e] > 0.0 and left[u] > 0 and left[v] > 0:
            left[u] -= 1
            left[v] -= 1
            chosen.append((network.node_ids[u], network.node_ids[v]))
    return Allocation(links=tuple(chosen))


def _links(problem: Problem, nodes: np.ndarray) -> np.ndarray:
    index = problem.network.link_index
    return np.array([index[pair] for pair in zip(nodes[:-1].tolist(), nodes[1:].tolist())])


def _value(problem: Problem, k: int, nodes: np.ndarray, costs: Costs) -> float:
    links = _links(problem, nodes)
    if problem.objective.kind == "link-sum":
        return float(problem.weights[k] * problem.network.coefficient[links].sum())
    return float(value_at_cost(problem, k, costs.link[links].sum() + costs.node[nodes[1:-1]].sum()))
