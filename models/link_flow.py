"""LinkFlow: paper A's link-use variables per request, with flow conservation and everything the contract bounds.

Commodities c are the requests, one copy for each route a request may have; arcs a are both directions of
every link. x_ca in {0, 1}: commodity c uses arc a; y_c in {0, 1}: it is served.

    flow       sum_{out of i} x_ca - sum_{into i} x_ca = y_c at the source, -y_c at the target, 0 elsewhere
    channels   sum_c (x_c,uv + x_c,vu) <= channels_uv
    memory     sum_c sum_{a at i} x_ca <= memory_i        (an end touches one arc, a passed node two)
    degree     sum_c sum_{out of i} x_ca <= b_i
    hops       sum_a x_ca <= max_hops
    fidelity   sum_a (-ln w_a) x_ca <= -ln w_min          (Werner parameters multiply along a route)

The objective is exact for all three kinds. ``log-success`` and ``link-sum`` are sums over arcs.
``expected-pairs`` is a product along the route: g_ca carries the probability of having come so far, as a
flow with losses (generalized flow), g_ca <= x_ca,

    gain       sum_{out of v} g_ca = swap_v * sum_{a into v} p_a g_ca at passed nodes, y_c at the source

and the value of c is weight * sum_{a into target} p_a g_ca. It is scaled by the best probability with
which each node can be reached, so that every coefficient of a good route is near 1.

No phantom cycles: a detached cycle could pay (link-sum) or be free (p = 1, or any x under expected-pairs).
Wherever that is so, positions u_cv that rise by one along every used arc forbid it (Miller, Tucker and
Zemlin 1960, lifted by Desrochers and Laporte 1991), with at most one arc out of a node.
"""

from __future__ import annotations

import numpy as np

from qnroute.allocation import Allocation, Route
from qnroute.costs import path_costs
from qnroute.errors import SolverError
from qnroute.fidelity import noise, noise_budget
from qnroute.joining import components
from qnroute.models.linear import LinearModel
from qnroute.problem import Problem


class LinkFlow(LinearModel):
    """Blocks: columns ``x`` (commodity, arc), ``serve``, ``g``, ``position``; rows as in the module's text.

    Attributes
    ----------
    commodity : (C,) index of the request each commodity belongs to
    tail, head : (2 m,) node indices of the arcs; arc a and a + m are the two directions of link a
    """

    name = "link-flow"

    def __init__(self, problem: Problem):
        super().__init__(problem)
        if problem.task != "allocation":
            raise SolverError(f"link-flow states the task allocation, not {problem.task}")
        network = problem.network
        self.tail = np.concatenate([network.source, network.target])
        self.head = np.concatenate([network.target, network.source])
        self.link = np.tile(np.arange(network.n_links), 2)
        self.commodity = np.repeat(np.arange(len(problem.requests)), copies(problem))
        self._refuse_huge(4 * len(self.commodity) * len(self.tail), "coefficients")
        self._axes()
        self._add_use()
        self._add_flow()
        self._add_capacities()
        self._add_route_limits()
        if problem.objective.kind == "expected-pairs":
            self._add_gain()
        self._add_positions()

    # --- the parts, in the order of the module's text ---

    def _axes(self) -> None:
        network, requests = self.problem.network, self.problem.requests
        copy = np.arange(len(self.commodity)) - np.searchsorted(self.commodity, self.commodity)
        labels = [
            requests[k].id if requests[k].routes == 1 else f"{requests[k].id}#{c + 1}"
            for k, c in zip(self.commodity.tolist(), copy.tolist())
        ]
        names = network.node_ids
        self._commodities = ("commodity", labels)
        self._arcs = ("arc", [f"{names[u]}>{names[v]}" for u, v in zip(self.tail.tolist(), self.head.tolist())])
        self._nodes = ("node", names)
        self._copy = copy
        self._source = self.problem.sources[self.commodity]
        self._target = self.problem.targets[self.commodity]

    def _add_use(self) -> None:
        """x and y with their part of the objective; arcs that cannot be used are fixed at 0."""
        problem = self.problem
        weight = problem.weights[self.commodity][:, None]
        passing = self.head[None, :] != self._target[:, None]  # the arc's head is passed, not the end
        cost, serve = np.zeros((len(self.commodity), len(self.tail))), 0.0
        open_ = (self.tail[None, :] != self._target[:, None]) & (self.head[None, :] != self._source[:, None])
        if problem.objective.kind == "link-sum":
            cost += weight * problem.network.coefficient[self.link]
        else:
            costs = path_costs(problem)
            open_ &= ~(passing & np.isinf(costs.node)[self.head])
            if problem.objective.kind == "log-success":
                swap = np.where(np.isinf(costs.node), 0.0, costs.node)
                cost -= weight * (costs.link[self.link] + np.where(passing, swap[self.head], 0.0))
                serve = weight[:, 0] * problem.objective.serve_reward
        budget = np.array([noise_budget(problem.requests[k].min_fidelity) for k in self.commodity.tolist()])
        self._budget = budget
        open_ &= noise(problem.network.fidelity)[self.link] <= budget[:, None]
        part = components(problem.network.n_nodes, np.column_stack([self.tail, self.head]))
        open_ &= part[self.tail][None, :] == part[self._source][:, None]
        cost[~open_] = 0.0  # what cannot be used must not set the scale of what can
        self._open, self._cost = open_, cost
        self.add_columns("x", (self._commodities, self._arcs), upper=open_, cost=cost, integer=True)
        self.add_columns("serve", (self._commodities,), upper=1.0, cost=serve, integer=True)

    def _add_flow(self) -> None:
        x, y = self.columns["x"].index, self.columns["serve"].index
        rows = self.add_rows("flow", (self._commodities, self._nodes), lower=0.0, upper=0.0).index
        self.add_entries(rows[:, self.tail], x, 1.0)
        self.add_entries(rows[:, self.head], x, -1.0)
        every = np.arange(len(self.commodity))
        self.add_entries(rows[every, self._source], y, -1.0)
        self.add_entries(rows[every, self._target], y, 1.0)
        later = np.flatnonzero(self._copy > 0)  # copies of a request are alike: serve them in order
        if len(later):
            labels = [self._commodities[1][c] for c in later.tolist()]
            rows = self.add_rows("copies", [("commodity", labels)], upper=0.0).index
            self.add_entries(rows, y[later], 1.0)
            self.add_entries(rows, y[later - 1], -1.0)

    def _add_capacities(self) -> None:
        """Rows over all commodities: only where the bound can bind."""
        network, count = self.problem.network, len(self.commodity)
        links = [network.link_name(e) for e in range(network.n_links)]
        self._capacity("channels", "link", links, network.channels, network.channels < count, [self.link])
        memory, ends = network.memory, [self.tail, self.head]
        self._capacity("memory", "node", network.node_ids, memory, memory < 2 * count, ends)
        bound = self.problem.degree_bounds
        self._capacity("degree", "node", network.node_ids, bound, bound < count, [self.tail])

    def _capacity(self, name, axis, labels, bound, binding, touched) -> None:
        places = np.flatnonzero(binding)
        rows = self.add_rows(name, [(axis, [labels[i] for i in places.tolist()])], upper=bound[places])
        row_of = np.full(len(bound), -1, dtype=np.int32)
        row_of[places] = rows.index
        x = self.columns["x"].index
        for place in touched:
            arcs = np.flatnonzero(row_of[place] >= 0)
            self.add_entries(row_of[place][arcs][None, :], x[:, arcs], 1.0)

    def _add_route_limits(self) -> None:
        x = self.columns["x"].index
        longest = self.problem.max_hops
        if longest < self.problem.network.n_nodes - 1:
            rows = self.add_rows("hops", (self._commodities,), upper=longest)
            self.add_entries(rows.index[:, None], x, 1.0)
        floored = np.flatnonzero(np.isfinite(self._budget))
        if len(floored):
            labels = [self._commodities[1][c] for c in floored.tolist()]
            rows = self.add_rows("fidelity", [("commodity", labels)], upper=1.0)
            share = noise(self.problem.network.fidelity)[self.link] / self._budget[floored][:, None]
            self.add_entries(rows.index[:, None], x[floored], np.where(self._open[floored], share, 0.0))

    def _add_gain(self) -> None:
        """g: the probability carried, in units of `reach`, the best with which each arc's tail can be reached."""
        from qnroute.paths import completion_costs  # compiled: loaded only where it is needed

        problem, network = self.problem, self.problem.network
        count = len(self.commodity)
        costs = path_costs(problem)
        weight = problem.weights[self.commodity]
        # entering v: p * swap_v, or p alone at the target; reached[c, v] counts v's own swap
        entering = costs.link[self.link] + costs.node[self.head]
        loss = np.full((count, network.n_nodes), np.inf)
        for source in np.unique(self._source).tolist():
            cheapest = completion_costs(network, costs.link, costs.node, source)  # links are undirected
            mine = np.flatnonzero(self._source == source)
            loss[mine] = cheapest + costs.node
            loss[mine, source] = 0.0
            loss[mine, self._target[mine]] = cheapest[self._target[mine]]
        every = np.arange(count)
        at_target = self.head[None, :] == self._target[:, None]
        passed = np.where(at_target, costs.link[self.link][None, :], entering[None, :])
        usable = self._open & np.isfinite(loss[:, self.tail]) & np.isfinite(passed)
        with np.errstate(invalid="ignore"):
            gain = np.where(usable, np.exp(loss[:, self.head] - loss[:, self.tail] - passed), 0.0)
        best = np.where(np.isfinite(loss[every, self._target]), np.exp(-loss[every, self._target]), 0.0)
        value = np.where(at_target, (weight * best)[:, None] * gain, 0.0)
        g = self.add_columns("g", (self._commodities, self._arcs), upper=usable, cost=value).index
        self._cost = self._cost + value
        x, y = self.columns["x"].index, self.columns["serve"].index
        carried = self.add_rows("carried", (self._commodities, self._arcs), upper=0.0).index
        self.add_entries(carried, g, 1.0)
        self.add_entries(carried, x, -1.0)
        rows = self.add_rows("gain", (self._commodities, self._nodes), upper=0.0).index
        self.add_entries(rows[:, self.tail], g, 1.0)
        inward = usable & ~at_target
        self.add_entries(rows[:, self.head][inward], g[inward], -gain[inward])
        self.add_entries(rows[every, self._source], y, -1.0)

    def _add_positions(self) -> None:
        """Positions along the route for every commodity in which a cycle of used arcs could pay or be free."""
        free = self._open & (self._use_cost() >= 0)
        pays = (self._use_cost() > 0).any(axis=1)
        free[pays] = self._open[pays]
        rising = np.flatnonzero(free.any(axis=1))
        if not len(rising):
            return
        longest = float(self.problem.max_hops)
        labels = ("commodity", [self._commodities[1][c] for c in rising.tolist()])
        u = self.add_columns("position", (labels, self._nodes), upper=longest).index
        x = self.columns["x"].index[rising]
        arcs = np.flatnonzero(free.any(axis=0))
        arc_labels = ("arc", [self._arcs[1][a] for a in arcs.tolist()])
        m = len(self.tail) // 2
        rows = self.add_rows("rise", (labels, arc_labels), upper=longest).index
        self.add_entries(rows, u[:, self.tail[arcs]], 1.0)
        self.add_entries(rows, u[:, self.head[arcs]], -1.0)
        self.add_entries(rows, x[:, arcs], longest + 1.0)
        self.add_entries(rows, x[:, (arcs + m) % (2 * m)], longest - 1.0)
        rows = self.add_rows("visit", (labels, self._nodes), upper=1.0).index
        self.add_entries(rows[:, self.tail], x, 1.0)

    def _use_cost(self) -> np.ndarray:
        """(C, 2 m) what using an arc adds to the objective; nothing by itself under expected-pairs."""
        kind = self.problem.objective.kind
        return np.zeros_like(self._cost) if kind == "expected-pairs" else self._cost

    # --- back to an allocation ---

    def decode(self, values: np.ndarray) -> Allocation:
        """The route of each served commodity, walked from its source; anything detached from it is left out."""
        used = self.columns["x"].of(values) > 0.5
        served = self.columns["serve"].of(values) > 0.5
        names, routes = self.problem.network.node_ids, []
        for c in np.flatnonzero(served).tolist():
            path = self._walk(np.flatnonzero(used[c]), int(self._source[c]), int(self._target[c]))
            request = self.problem.requests[self.commodity[c]].id
            routes.append(Route(request, tuple(names[v] for v in path)))
        return Allocation(tuple(routes))

    def _walk(self, arcs: np.ndarray, source: int, target: int) -> list[int]:
        """The path of fewest hops along the given arcs, which must join source and target."""
        came = {source: source}
        frontier = [source]
        outward: dict[int, list[int]] = {}
        for a in arcs.tolist():
            outward.setdefault(int(self.tail[a]), []).append(int(self.head[a]))
        while target not in came:
            frontier = [(u, v) for u in frontier for v in outward.get(u, ()) if v not in came]
            if not frontier:
                raise SolverError("link-flow: the values do not hold a route for a served request")
            came.update({v: u for u, v in frontier})
            frontier = [v for _, v in frontier]
        path = [target]
        while path[-1] != source:
            path.append(came[path[-1]])
        return path[::-1]


def copies(problem: Problem) -> np.ndarray:
    """(K,) how many routes of each request could be in use at once."""
    network = problem.network
    most = problem.most_routes
    ends, channels = np.concatenate([network.source, network.target]), np.tile(network.channels, 2)
    at_node = np.bincount(ends, weights=channels, minlength=network.n_nodes)
    for end in (problem.sources, problem.targets):
        most = np.minimum(most, np.minimum(at_node[end].astype(np.int64), network.memory[end]))
    return np.minimum(most, problem.degree_bounds[problem.sources])
