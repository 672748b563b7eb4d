"""Routes worth more than the resources they use at given prices: label setting with completion bounds, compiled.

The price of a route is its value less what its links and nodes cost. Searches around the target bound what is still
to come, and follow a few good routes on the way: a mix of -ln P and payments is a plain shortest-path problem, and as
worth falls convexly with -ln P, the chord of that curve turns its solution into an upper bound. Where the best route
followed does not meet the bound, paths are grown from the source, best bound first: one is dropped where no
completion can be worth enough, or where another at the same node is no worse in P, payments, noise and hops.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.costs import closed, path_costs
from qnroute.errors import SolverError
from qnroute.fidelity import noise_budget
from qnroute.paths import _pop, _push, _visited
from qnroute.problem import Problem
from qnroute.routes import can_end
from qnroute.settings import Settings

_CHUNK = 64  # requests searched in one go
FOLLOWED, BEST, ALL = 0, 1, 2  # how hard to look: along a few mixes, to the best route, for every route
_COST, _PAID, _NOISE, _HOPS, _MIXED = range(5)
_SMALLEST = 1e-290  # share of a weight below which worth is nothing


class Graph(NamedTuple):
    """A network as the search sees it: adjacency, -ln p and noise of links, -ln swap of nodes (infinite if closed)."""

    indptr: np.ndarray
    neighbour: np.ndarray
    link: np.ndarray
    link_cost: np.ndarray
    node_cost: np.ndarray
    link_noise: np.ndarray


class Prices(NamedTuple):
    """What it costs to use resources, all entries >= 0.

    `link` (m,) for each link taken; `passed`, `source`, `target` (n,) for each node passed, started from, ended at.
    """

    link: np.ndarray
    passed: np.ndarray
    source: np.ndarray
    target: np.ndarray


class Asked(NamedTuple):
    """The requests whose routes are priced, entries (K,).

    `worth` is the value at P = 1; `fall` is 0 where value is worth * P, else what a unit of -ln P takes off.
    `cheapest` bounds -ln P from below; only routes with a price above `floor` are looked for.
    """

    source: np.ndarray
    target: np.ndarray
    worth: np.ndarray
    fall: np.ndarray
    max_noise: np.ndarray
    cheapest: np.ndarray
    floor: np.ndarray


class _Work(NamedTuple):
    """Room for one request at a time."""

    left: np.ndarray  # (5, n) bounds on what completion adds, infinite where no route above the floor passes
    touched: np.ndarray  # (5, n) where they are finite
    reached: np.ndarray  # (5,) how many are
    towards: np.ndarray  # (n,) the next node of the completion found last
    by: np.ndarray  # (n,) the link that leads there
    key: np.ndarray
    item: np.ndarray
    followed: np.ndarray  # (4, n) routes followed
    length: np.ndarray  # (4,) their nodes
    price: np.ndarray  # (4,)
    ones: np.ndarray
    none: np.ndarray


class _Labels(NamedTuple):
    """Partial paths: where each ends, how it came there, and what it adds up."""

    node: np.ndarray
    parent: np.ndarray
    following: np.ndarray  # the next label at the same node
    hops: np.ndarray
    dead: np.ndarray
    cost: np.ndarray
    paid: np.ndarray
    noise: np.ndarray
    key: np.ndarray  # heap of -bound, and of labels
    item: np.ndarray
    first: np.ndarray  # (n,) a label at each node


@njit(cache=True, nogil=True)
def _ball(graph, link_price, node_price, slope, inside, target, radius, work, which):
    """Dijkstra from the target up to `radius` over prices + slope * cost, among nodes whose `inside` is finite."""
    dist, touched, key, item = work.left[which], work.touched[which], work.key, work.item
    if not radius >= 0.0 or inside[target] == np.inf:
        work.reached[which] = 0
        return
    dist[target] = 0.0
    touched[0] = target
    reached = size = 1
    key[0], item[0] = 0.0, target
    while size > 0:
        v, through = item[0], key[0]
        _pop(key, item, size)
        size -= 1
        if through > dist[v]:
            continue
        if v != target:
            through += node_price[v]
            if slope > 0.0:
                through += slope * graph.node_cost[v]
        if through > radius:
            continue
        for a in range(graph.indptr[v], graph.indptr[v + 1]):
            u, e = graph.neighbour[a], graph.link[a]
            if inside[u] == np.inf:
                continue
            total = through + link_price[e]
            if slope > 0.0:
                total += slope * graph.link_cost[e]
            if total <= radius and total < dist[u]:
                if dist[u] == np.inf:
                    touched[reached] = u
                    reached += 1
                dist[u] = total
                work.towards[u], work.by[u] = v, e
                _push(key, item, size, total, u)
                size += 1
    work.reached[which] = reached


@njit(cache=True, nogil=True)
def _follow(graph, prices, work, worth, fall, source, target, max_noise, max_hops, slot):
    """The price (ends not paid) of the completion found last from the source, kept in a slot; -inf if not allowed."""
    cost, paid, noise, length = 0.0, 0.0, 0.0, 1
    v = source
    work.followed[slot, 0] = source
    while v != target:
        e, v = work.by[v], work.towards[v]
        work.followed[slot, length] = v
        length += 1
        cost += graph.link_cost[e]
        paid += prices.link[e]
        noise += graph.link_noise[e]
        if v != target:
            cost += graph.node_cost[v]
            paid += prices.passed[v]
    work.length[slot] = length
    price = (worth - fall * cost if fall > 0.0 else worth * np.exp(-cost)) - paid
    work.price[slot] = price if noise <= max_noise and length - 1 <= max_hops and price < np.inf else -np.inf
    return work.price[slot]


@njit(cache=True, nogil=True)
def _prepare(graph, prices, work, worth, fall, source, target, cheapest, needed, max_noise, max_hops, everything):
    """Bounds on completions, and routes followed on the way.

    Returns an upper bound on the price (ends not paid) and the slope of the mix that is left. Unless `everything` is
    wanted, completions that cannot beat the best route followed are bounded out, too.
    """
    inf = np.inf
    work.reached[:] = 0
    work.price[:] = -inf
    top = worth - fall * cheapest if fall > 0.0 else worth * np.exp(-cheapest)
    if fall > 0.0:
        top, radius = worth, worth - needed
    else:
        radius = top - needed
    _ball(graph, prices.link, prices.passed, fall, work.none, target, radius, work, _PAID)
    inside = work.left[_PAID]
    if not radius >= 0.0 or inside[source] == inf:
        return needed, 0.0
    best = _follow(graph, prices, work, worth, fall, source, target, max_noise, max_hops, 0)
    bound = top - inside[source]
    slope = longest = 0.0
    if fall == 0.0:
        beat = needed if everything else max(needed, best)
        least = max(beat + inside[source], worth * _SMALLEST)
        longest = np.log(worth / least)
        _ball(graph, graph.link_cost, graph.node_cost, 0.0, inside, target, longest, work, _COST)
        inside = work.left[_COST]
        if inside[source] == inf:
            return (needed if everything else max(needed, best)), 0.0
        also = _follow(graph, prices, work, worth, fall, source, target, max_noise, max_hops, 1)
        best = max(best, also)
        bound = min(bound, worth * np.exp(-inside[source]) - work.left[_PAID, source])
    if max_noise < inf:
        _ball(graph, graph.link_noise, work.none, 0.0, inside, target, max_noise, work, _NOISE)
        inside = work.left[_NOISE]
        if inside[source] == inf:
            return needed, 0.0
    if max_hops < work.none.size - 1:
        _ball(graph, work.ones, work.none, 0.0, inside, target, float(max_hops), work, _HOPS)
        inside = work.left[_HOPS]
        if inside[source] == inf:
            return needed, 0.0
    if fall == 0.0 and bound > (needed if everything else max(needed, best)):
        shortest, paid = work.left[_COST, source], work.left[_PAID, source]
        for attempt in range(2):
            beat = needed if everything else max(needed, best)
            least = max(beat + paid, worth * _SMALLEST)
            longest = np.log(worth / least)
            if not longest > shortest:
                return (needed if everything else max(needed, best)), 0.0
            if attempt == 0:  # a tangent finds routes
                slope = worth * np.exp(-0.5 * (shortest + longest))
            else:  # the chord bounds them
                slope = (worth * np.exp(-shortest) - least) / (longest - shortest)
            for i in range(work.reached[_MIXED]):
                work.left[_MIXED, work.touched[_MIXED, i]] = inf
            _ball(
                graph, prices.link, prices.passed, slope, inside, target, slope * longest + worth - needed, work, _MIXED
            )
            mixed = work.left[_MIXED, source]
            if mixed == inf:
                return (needed if everything else max(needed, best)), 0.0
            also = _follow(graph, prices, work, worth, fall, source, target, max_noise, max_hops, 2 + attempt)
            if also > best:
                best = also
            curve = max(worth * np.exp(-shortest) + slope * shortest, least + slope * longest)
            bound = min(bound, max(curve - mixed, best))
    return max(bound, max(best, needed)), slope


@njit(cache=True, nogil=True)
def _dominated(labels, v, cost, paid, noise, hops, by_noise, by_hops):
    """Whether a label at v is no worse than this one; those that are no better than it die."""
    other = labels.first[v]
    while other >= 0:
        if not labels.dead[other]:
            no_worse = labels.cost[other] <= cost and labels.paid[other] <= paid
            no_better = labels.cost[other] >= cost and labels.paid[other] >= paid
            if by_noise:
                no_worse = no_worse and labels.noise[other] <= noise
                no_better = no_better and labels.noise[other] >= noise
            if by_hops:
                no_worse = no_worse and labels.hops[other] <= hops
                no_better = no_better and labels.hops[other] >= hops
            if no_worse:
                return True
            if no_better:
                labels.dead[other] = True
        other = labels.following[other]
    return False


@njit(cache=True, nogil=True)
def _grow(
    graph,
    prices,
    work,
    labels,
    worth,
    fall,
    slope,
    source,
    target,
    floor,
    max_noise,
    max_hops,
    count,
    everything,
    found,
    stop,
):
    """Labels of one request: how many in all, how many routes found, bound on the price of routes not found."""
    inf = np.inf
    by_noise, by_hops = max_noise < inf, max_hops < work.none.size - 1
    left = work.left
    labels.node[0], labels.parent[0], labels.hops[0], labels.dead[0] = source, -1, 0, False
    labels.cost[0], labels.paid[0], labels.noise[0], labels.following[0] = 0.0, 0.0, 0.0, -1
    labels.first[source] = 0
    labels.key[0], labels.item[0] = -inf, 0
    size = n_labels = 1
    n_found = 0
    while size > 0:
        label, bound = labels.item[0], -labels.key[0]
        if n_found == count or stop[0] or n_labels + graph.indptr.size > labels.node.size:
            return n_labels, n_found, bound
        _pop(labels.key, labels.item, size)
        size -= 1
        if labels.dead[label]:
            continue
        u = labels.node[label]
        if u == target:
            found[n_found] = label
            n_found += 1
            continue
        for a in range(graph.indptr[u], graph.indptr[u + 1]):
            v, e = graph.neighbour[a], graph.link[a]
            if v == source or left[_PAID, v] == inf:
                continue
            cost = graph.link_cost[e]
            paid = labels.paid[label] + prices.link[e]
            if v != target:
                cost += graph.node_cost[v]
                paid += prices.passed[v]
            if fall > 0.0:
                paid += fall * cost
                cost = 0.0
                bound = worth - paid - left[_PAID, v]
                if not bound > floor:
                    continue
            else:
                cost += labels.cost[label]
                best = worth * np.exp(-cost - left[_COST, v])
                least = floor + paid + left[_PAID, v]
                if not best > least:
                    continue
                bound = best - paid - left[_PAID, v]
                if slope > 0.0:  # a convex fall is highest above a line at its ends
                    longest = np.log(worth / max(least, worth * _SMALLEST)) - cost
                    curve = max(best + slope * left[_COST, v], least + slope * longest)
                    bound = min(bound, curve - left[_MIXED, v] - paid)
                    if not bound > floor:
                        continue
            noise, hops = labels.noise[label] + graph.link_noise[e], labels.hops[label] + 1
            if (by_noise and noise + left[_NOISE, v] > max_noise) or (by_hops and hops + left[_HOPS, v] > max_hops):
                continue
            if everything:
                if _visited(labels.node, labels.parent, label, v):
                    continue
            elif _dominated(labels, v, cost, paid, noise, hops, by_noise, by_hops):
                continue
            new = n_labels
            labels.node[new], labels.parent[new], labels.hops[new], labels.dead[new] = v, label, hops, False
            labels.cost[new], labels.paid[new], labels.noise[new] = cost, paid, noise
            labels.following[new] = labels.first[v]
            labels.first[v] = new
            _push(labels.key, labels.item, size, -bound, new)
            size += 1
            n_labels += 1
    return n_labels, n_found, floor


@njit(cache=True, nogil=True)
def _search(graph, prices, asked, max_hops, effort, count, max_labels, stop):
    n, m, n_asked = graph.indptr.size - 1, graph.link_cost.size, asked.source.size
    inf = np.inf
    work = _Work(
        np.full((5, n), inf), np.empty((5, n), np.int64), np.zeros(5, np.int64), np.empty(n, np.int64),
        np.empty(n, np.int64), np.empty(graph.indptr[n] + 1), np.empty(graph.indptr[n] + 1, np.int64),
        np.empty((4, n), np.int64), np.zeros(4, np.int64), np.zeros(4), np.ones(m), np.zeros(n),
    )  # fmt: skip
    room = max_labels + n + 1
    labels = _Labels(
        np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64),
        np.empty(room, np.bool_), np.empty(room), np.empty(room), np.empty(room), np.empty(room),
        np.empty(room, np.int64), np.full(n, -1, np.int64),
    )  # fmt: skip
    most, rest = asked.floor.copy(), asked.floor.copy()
    found = np.empty(count, np.int64)
    request, price = np.empty(64, np.int64), np.empty(64)
    indptr, nodes = np.zeros(65, np.int64), np.empty(512, np.int64)
    total = 0
    grown = 0
    for k in range(n_asked):
        source, target, worth, fall = asked.source[k], asked.target[k], asked.worth[k], asked.fall[k]
        ends = prices.source[source] + prices.target[target]
        needed = asked.floor[k] + ends
        bound, slope = _prepare(
            graph, prices, work, worth, fall, source, target, asked.cheapest[k], needed, asked.max_noise[k], max_hops,
            effort == ALL,
        )  # fmt: skip
        best = max(needed, work.price.max())
        n_labels = n_found = 0
        if bound > needed and (effort == ALL or (effort == BEST and bound > best + 1e-12 * worth)):
            floor = needed if effort == ALL else best
            n_labels, n_found, bound = _grow(
                graph, prices, work, labels, worth, fall, slope, source, target, floor, asked.max_noise[k], max_hops,
                count, effort == ALL, found, stop,
            )  # fmt: skip
            grown += n_labels
        most[k] = rest[k] = max(bound, best) - ends
        if effort == ALL:
            rest[k] = bound - ends if bound > needed else asked.floor[k]
        n_followed = 0 if effort == ALL else 4
        for j in range(n_found + n_followed):
            if j < n_found:
                label = found[j]
                at = (worth if fall > 0.0 else worth * np.exp(-labels.cost[label])) - labels.paid[label]
                size = labels.hops[label] + 1
                most[k] = max(most[k], at - ends) if effort == ALL or j else at - ends
            else:
                slot = j - n_found
                at, size = work.price[slot], work.length[slot]
                if not at > needed:
                    continue
            if total == request.size:
                request, price = _twice(request), _twice(price)
                longer = np.zeros(2 * total + 1, np.int64)
                longer[: total + 1] = indptr
                indptr = longer
            while indptr[total] + size > nodes.size:
                nodes = _twice(nodes)
            request[total], price[total] = k, at - ends
            indptr[total + 1] = indptr[total] + size
            if j < n_found:
                for place in range(indptr[total + 1] - 1, indptr[total] - 1, -1):
                    nodes[place] = labels.node[label]
                    label = labels.parent[label]
            else:
                for i in range(size):
                    nodes[indptr[total] + i] = work.followed[slot, i]
            total += 1
        for label in range(n_labels):
            labels.first[labels.node[label]] = -1
        for which in range(5):
            for i in range(work.reached[which]):
                work.left[which, work.touched[which, i]] = inf
    return (
        request[:total].copy(),
        nodes[: indptr[total]].copy(),
        indptr[: total + 1].copy(),
        price[:total].copy(),
        most,
        rest,
        grown,
    )


@njit(cache=True, nogil=True)
def _twice(array):
    bigger = np.empty(2 * array.size, array.dtype)
    bigger[: array.size] = array
    return bigger


class Priced(NamedTuple):
    """Routes above their floors, as compressed rows: `nodes[indptr[j]:indptr[j + 1]]` serves request[j].

    No route of request k has a price above `most[k]`, and none that is not listed one above `rest[k]` (both are at
    least the floor). Unless every route was asked for, `rest` says no more than `most`.
    """

    request: np.ndarray
    nodes: np.ndarray
    indptr: np.ndarray
    price: np.ndarray
    most: np.ndarray
    rest: np.ndarray


class Pricer:
    """Prices the routes of a problem's requests, on several cores; the answer is the same however many.

    Parameters
    ----------
    workers
        Threads; the compiled search holds no lock.
    """

    def __init__(self, problem: Problem, workers: int = 1):
        if problem.objective.kind == "link-sum":
            raise SolverError("pricing is for expected-pairs and log-success; link-sum rewards detours")
        network, costs = problem.network, closed(problem, path_costs(problem))
        self.problem, self.workers = problem, workers
        self.graph = Graph(*(np.array(part) for part in (*network.adjacency, costs.link, costs.node, costs.noise)))
        weight, reward = problem.weights, problem.objective.serve_reward
        product = problem.objective.kind == "expected-pairs"
        self.worth = np.array(weight if product else weight * reward)
        self.fall = np.zeros(len(weight)) if product else np.array(weight)
        self.noise = np.array([noise_budget(request.min_fidelity) for request in problem.requests], dtype=float)
        self.cheapest = np.zeros(len(weight))
        self.open = np.array(
            [can_end(problem, s, t) for s, t in zip(problem.sources.tolist(), problem.targets.tolist())], dtype=bool
        )

    def search(
        self,
        prices: Prices,
        floor: np.ndarray,
        settings: Settings,
        *,
        effort: int = BEST,
        count: int = 3,
        max_labels: int = 200_000,
        among: np.ndarray | None = None,
    ) -> Priced | None:
        """Routes whose price exceeds the floor (K,) of their request; None where time ran out first.

        Parameters
        ----------
        effort
            `FOLLOWED`: a few routes and a bound; `BEST`: the best route too; `ALL`: every route, up to `count`.
        max_labels
            Partial paths held for a request at most; past it the bound stays loose.
        among
            Numbers of the requests to search for; all of them if not given. `most` and `rest` are the floor elsewhere.
        """
        asked = np.flatnonzero(self.open) if among is None else among[self.open[among]]
        closed_to = np.isinf(self.graph.node_cost)
        prices = Prices(*(np.ascontiguousarray(part, dtype=float) for part in prices))
        prices = prices._replace(passed=np.where(closed_to, np.inf, prices.passed))
        stop = np.zeros(1, np.uint8)
        how = prices, floor, effort, count, max_labels, stop
        chunks = [asked[i : i + _CHUNK] for i in range(0, len(asked), _CHUNK)]
        with ThreadPoolExecutor(self.workers) as pool:
            running = [pool.submit(self._some, chunk, settings, *how) for chunk in chunks]
            while wait(running, timeout=0.05).not_done:
                if settings.stopped:
                    stop[0] = 1
        if stop[0] or settings.stopped:
            return None
        return self._gathered(floor, chunks, [part.result() for part in running])

    def cap(self, worth: np.ndarray) -> None:
        """Remember that no route of a request is worth more than this, (K,): later searches go less far."""
        with np.errstate(divide="ignore", invalid="ignore"):
            cost = np.where(self.fall > 0.0, 0.0, np.log(self.worth) - np.log(worth))
        self.cheapest = np.maximum(self.cheapest, cost)

    def _some(self, chunk, settings, prices, floor, effort, count, max_labels, stop):
        if stop[0]:
            return None
        problem = self.problem
        columns = (problem.sources, problem.targets, self.worth, self.fall, self.noise, self.cheapest, floor)
        asked = Asked(*(np.ascontiguousarray(column[chunk]) for column in columns))
        return _search(self.graph, prices, asked, problem.max_hops, effort, count, max_labels, stop)

    def _gathered(self, floor, chunks, parts) -> Priced:
        most, rest = floor.copy(), floor.copy()
        for chunk, part in zip(chunks, parts):
            most[chunk], rest[chunk] = part[4], part[5]
        if not parts:
            nothing = np.zeros(0, np.int64)
            return Priced(nothing, nothing, np.zeros(1, np.int64), np.zeros(0), most, rest)
        starts = np.concatenate([[0], np.cumsum([part[2][-1] for part in parts])])
        indptr = np.concatenate([[0], *(part[2][1:] + start for part, start in zip(parts, starts.tolist()))])
        request = np.concatenate([chunk[part[0]] for chunk, part in zip(chunks, parts)])
        nodes, price = (np.concatenate([part[i] for part in parts]) for i in (1, 3))
        return Priced(request, nodes, indptr, price, most, rest)
