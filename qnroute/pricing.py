"""Routes worth more than the resources they use at given prices, for many requests on several cores.

Searches around a request's target (`qnroute.completion`) bound the price of its routes and find a few. Where the best
of these does not meet the bound, routes are grown from the source (`qnroute.labels`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute import completion
from qnroute.backward import grow_back
from qnroute.completion import Asked, Graph, Prices, cleared, longer, look_around, price_of, room_around, worth_at
from qnroute.costs import closed, path_costs
from qnroute.errors import SolverError
from qnroute.fidelity import noise_budget
from qnroute.forward import grow
from qnroute.labels import forget_labels, put, room_for_labels
from qnroute.parity import marked, overlooked
from qnroute.problem import Problem
from qnroute.regions import NOWHERE, UNKNOWN, explored, no_regions, with_rows
from qnroute.routes import can_end
from qnroute.settings import Settings

_CHUNK = 64  # requests searched in one go
FOLLOWED, BEST, ALL, THOROUGH = 0, 1, 2, 3  # how hard to look: see `Pricer.search`
_REMEMBERED = 64  # nodes remembered for each node, link and request
_ATTEMPTS = 20  # at the best route of a request, with other cuts told apart each time
_SHORT = 1e-12  # share of its worth by which the best route followed may miss the bound


class _Requests(NamedTuple):
    """`Asked` as columns, with floors on prices, ends paid."""

    number: np.ndarray
    source: np.ndarray
    target: np.ndarray
    worth: np.ndarray
    fall: np.ndarray
    cheapest: np.ndarray
    max_noise: np.ndarray
    floor: np.ndarray


class _Found(NamedTuple):
    """Routes as they are met, as compressed rows, in arrays with room for more."""

    request: np.ndarray
    indptr: np.ndarray
    nodes: np.ndarray
    price: np.ndarray


@njit(cache=True, nogil=True)
def _with_room(found, total, nodes):
    """The same routes, with room for one more of so many nodes after the first `total`."""
    if total == found.request.size:
        found = _Found(
            longer(found.request, 2 * total), longer(found.indptr, 2 * total + 1), found.nodes,
            longer(found.price, 2 * total),
        )  # fmt: skip
    if found.indptr[total] + nodes > found.nodes.size:
        size = 2 * (found.nodes.size + nodes)
        found = _Found(found.request, found.indptr, longer(found.nodes, size), found.price)
    return found


@njit(cache=True, nogil=True)
def _trace(labels, label, route):
    """Fill in the nodes of the route that a label ends."""
    for place in range(route.size - 1, -1, -1):
        route[place] = labels.node[label]
        label = labels.parent[label]


@njit(cache=True, nogil=True)
def _grown(graph, prices, around, labels, back, asked, slope, floor, effort, stop):
    """Grow routes of a request; where there are more cuts than bits, until the best route is paid for in full.

    Returns how many labels there are, and completions, how many labels are `found`, and a bound on the routes that are
    not.
    """
    cuts, path = prices.pair.size > 0, around.followed[completion.FOLLOWED]
    n_labels = n_back = n_found = 0
    bound = floor
    for _ in range(_ATTEMPTS):
        forget_labels(labels, n_labels)
        forget_labels(back, n_back)
        odd, paid = marked(graph, prices, around, asked, completion.PAID) if cuts else ((0, 0), 0.0)
        put(labels, 0, asked.source, -1, 0.0, paid, 0.0, 0, odd)
        n_back = grow_back(graph, prices, around, back, asked, floor, stop) if effort == THOROUGH else 0
        n_labels, n_found, bound = grow(graph, prices, around, labels, back, max(n_back, 0), asked, slope, floor, stop)
        n_back = abs(n_back)
        if asked.everything or not cuts or n_found == 0:
            break
        for j in range(n_found - 1, -1, -1):  # the best one last
            size = labels.hops[labels.found[j]] + 1
            _trace(labels, labels.found[j], path[:size])
            price_of(graph, prices, around, asked, path[:size])
        if not overlooked(around):
            break
    return n_labels, n_back, n_found, bound


@njit(cache=True, nogil=True)
def _search(graph, prices, regions, requests, max_hops, effort, count, max_labels, stop):
    """The routes of some requests, one after the other, and what `Priced` says of those not found."""
    around = room_around(graph, prices.pair.size, prices.counted.size)
    labels = room_for_labels(graph.indptr.size - 1, max_labels, count)
    back = room_for_labels(graph.indptr.size - 1, max_labels if effort == THOROUGH else 0, 0)
    found = _Found(np.empty(64, np.int64), np.zeros(65, np.int64), np.empty(512, np.int64), np.empty(64))
    most, rest = requests.floor.copy(), requests.floor.copy()
    total = 0
    for k in range(requests.source.size):
        ends = prices.source[requests.source[k]] + prices.target[requests.target[k]]
        asked = Asked(
            requests.number[k], requests.source[k], requests.target[k], requests.worth[k], requests.fall[k],
            requests.cheapest[k], requests.max_noise[k], max_hops, requests.floor[k] + ends, effort >= ALL,
        )  # fmt: skip
        bound, slope = look_around(graph, prices, around, asked, regions)
        best = max(asked.needed, around.price.max())
        n_labels = n_back = n_grown = 0
        if bound > asked.needed and (asked.everything or (effort == BEST and bound > best + _SHORT * asked.worth)):
            floor = asked.needed if asked.everything else best
            n_labels, n_back, n_grown, bound = _grown(
                graph, prices, around, labels, back, asked, slope, floor, effort, stop
            )
        most[k] = max(bound, best) - ends
        rest[k] = most[k]
        if asked.everything:
            rest[k] = bound - ends if bound > asked.needed else requests.floor[k]
        for j in range(n_grown):
            label = labels.found[j]
            price, size = worth_at(asked, labels.cost[label]) - labels.paid[label], labels.hops[label] + 1
            most[k] = max(most[k], price - ends) if asked.everything or j else price - ends
            found = _with_room(found, total, size)
            route = found.nodes[found.indptr[total] : found.indptr[total] + size]
            _trace(labels, label, route)
            if prices.pair.size:  # some cuts may have had no bit
                price = min(price, price_of(graph, prices, around, asked, route))
            if price > asked.needed:
                found.request[total], found.price[total] = k, price - ends
                found.indptr[total + 1] = found.indptr[total] + size
                total += 1
        for slot in range(0 if asked.everything else completion.FOLLOWED):
            if around.price[slot] > asked.needed:
                size = around.length[slot]
                found = _with_room(found, total, size)
                start = found.indptr[total]
                found.nodes[start : start + size] = around.followed[slot, :size]
                found.request[total], found.price[total] = k, around.price[slot] - ends
                found.indptr[total + 1] = start + size
                total += 1
        forget_labels(labels, n_labels)
        forget_labels(back, n_back)
        for which in range(completion.KINDS):
            cleared(around, which)
    nodes, indptr = found.nodes[: found.indptr[total]].copy(), found.indptr[: total + 1].copy()
    return found.request[:total].copy(), nodes, indptr, found.price[:total].copy(), most, rest


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

    def of(self, requests: np.ndarray) -> Priced:
        """Only the routes of these requests."""
        wanted = np.zeros(len(self.most), dtype=bool)
        wanted[requests] = True
        return self.taken(wanted[self.request])

    def taken(self, kept: np.ndarray) -> Priced:
        """Only the routes that are marked (J,)."""
        lengths = np.diff(self.indptr)
        indptr = np.concatenate([[0], np.cumsum(lengths[kept])])
        nodes = self.nodes[np.repeat(kept, lengths)]
        return self._replace(request=self.request[kept], nodes=nodes, indptr=indptr, price=self.price[kept])


def joined(parts: list[Priced]) -> Priced:
    """The routes of several searches of different requests, with the bounds of the last one."""
    offsets = np.cumsum([0, *(len(part.nodes) for part in parts)])
    indptr = np.concatenate([[0], *(part.indptr[1:] + offset for part, offset in zip(parts, offsets.tolist()))])
    request, nodes, price = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("request", "nodes", "price")
    )
    return parts[-1]._replace(request=request, nodes=nodes, indptr=indptr, price=price)


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
        product = problem.objective.kind == "expected-pairs"
        self.worth = np.array(problem.weights if product else problem.weights * problem.objective.serve_reward)
        self.fall = np.zeros(len(self.worth)) if product else np.array(problem.weights)
        self._unit = 2.0 ** np.clip(np.floor(np.log2(np.abs(self.worth).max(initial=0.0) or 1.0)), -1000, 1000)
        self.noise = np.array([noise_budget(request.min_fidelity) for request in problem.requests], dtype=float)
        self.cheapest = np.zeros(len(self.worth))
        self.regions = no_regions(len(self.worth))
        self.open = can_end(problem, problem.sources, problem.targets)

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
            `FOLLOWED`: a few routes and a bound; `BEST`: the best route too; `ALL`: every route, up to `count`;
            `THOROUGH`: the same with completions grown first, which is slower but does not get lost among cuts.
        max_labels
            Partial paths held for a request at most; past it the bound stays loose.
        among
            Numbers of the requests to search for; all of them if not given. `most` and `rest` are the floor elsewhere.
        """
        asked = np.flatnonzero(self.open) if among is None else among[self.open[among]]
        closed_to = np.isinf(self.graph.node_cost)
        link, passed, source, target, pair = (np.array(part, dtype=float) / self._unit for part in prices[:5])
        prices = Prices(link, np.where(closed_to, np.inf, passed), source, target, pair, *prices[5:])
        stop = np.zeros(1, np.uint8)
        how = prices, floor, effort, count, max_labels, stop
        parts = self._on_all_cores(self._some, asked, how, settings, stop)
        return None if parts is None else self._gathered(floor, _chunks(asked), parts)

    def _on_all_cores(self, work, asked, how, settings: Settings, stop: np.ndarray) -> list | None:
        """What `work(some, *how)` gives for requests in chunks; None where time ran out first."""
        with ThreadPoolExecutor(self.workers) as pool:
            running = [pool.submit(work, chunk, *how) for chunk in _chunks(asked)]
            while wait(running, timeout=0.05).not_done:
                if settings.stopped:
                    stop[0] = 1
        return None if stop[0] or settings.stopped else [part.result() for part in running]

    def explore(self, settings: Settings) -> None:
        """Remember where routes of each request can pass, as far as that fits in memory linear in the network."""
        able = can_end(self.problem, self.problem.sources, self.problem.targets)
        if self.problem.rules.max_hops is None and not self.noise[able].min(initial=np.inf) < np.inf:
            return
        stop, unknown = np.zeros(1, np.uint8), np.flatnonzero(able & (self.regions.row == UNKNOWN))
        linear = self.graph.indptr.size + self.graph.link_cost.size + len(self.worth)
        most = max(_REMEMBERED * linear // max(int(self.open.sum()), 1), 1)
        if parts := self._on_all_cores(self._explored, unknown, (most, stop), settings, stop):
            self.regions = with_rows(self.regions, unknown, parts)
            self.open &= self.regions.row != NOWHERE

    def _explored(self, chunk: np.ndarray, most: int, stop: np.ndarray):
        asked = (chunk, self.problem.sources[chunk], self.problem.targets[chunk], self.noise[chunk])
        return explored(self.graph, *asked, self.problem.max_hops, most, stop)

    def meets(self, places: np.ndarray) -> np.ndarray:
        """(K,) whether some route of each request may use one of the places marked, in the order of `Prices`."""
        problem, regions = self.problem, self.regions
        network, n, m = problem.network, problem.network.n_nodes, problem.network.n_links
        link, passed, source, target, asking = np.split(places, [m, m + n, m + 2 * n, m + 3 * n])
        near = passed.copy()
        near[network.source[link]] = near[network.target[link]] = True
        before = np.concatenate([[0], np.cumsum(near[regions.node])])[regions.indptr]
        within = np.append(np.diff(before) > 0, near.any())  # the last one where no row is known
        return within[np.maximum(regions.row, -1)] | source[problem.sources] | target[problem.targets] | asking

    def cap(self, worth: np.ndarray) -> None:
        """Remember that no route of a request is worth more than this, (K,): later searches go less far, or nowhere."""
        self.open &= worth > 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            cost = np.where(self.fall > 0.0, 0.0, np.log(self.worth) - np.log(worth))
        self.cheapest = np.maximum(self.cheapest, cost)

    def renewed(self, problem: Problem) -> Pricer:
        """For another problem on the same network: what is known of a request is kept, where nothing that it rests on
        has changed.
        """
        new, graph = Pricer(problem, self.workers), self.graph
        same = problem.max_hops == self.problem.max_hops and np.array_equal(new.graph.link_noise, graph.link_noise)
        same = same and np.array_equal(np.isinf(new.graph.link_cost), np.isinf(graph.link_cost))
        if not (same and np.array_equal(np.isinf(new.graph.node_cost), np.isinf(graph.node_cost))):
            return new
        number = {asked: k for k, asked in enumerate(self._ends())}
        before = np.array([number.get(asked, -1) for asked in new._ends()], dtype=np.int64)
        was = np.flatnonzero(before >= 0)
        before = before[was]
        row = np.full(len(new.open), UNKNOWN)
        row[was] = self.regions.row[before]
        new.regions = self.regions._replace(row=row)
        new.open &= row != NOWHERE
        return new

    def cheaper_than(self, old: Pricer) -> np.ndarray | None:
        """Places, as for `meets`, where routes succeed more often than before; None where other routes are allowed."""
        network, graph, before = self.problem.network, self.graph, old.graph
        same = self.problem.max_hops == old.problem.max_hops and self.problem.objective == old.problem.objective
        if not (same and np.array_equal(graph.link_noise, before.link_noise)):
            return None
        node, asked = graph.node_cost < before.node_cost, np.zeros(len(self.problem.requests), dtype=bool)
        none = np.zeros(network.n_nodes, dtype=bool)
        return np.concatenate([graph.link_cost < before.link_cost, node, none, none, asked])

    def _ends(self) -> zip:
        return zip(self.problem.sources.tolist(), self.problem.targets.tolist(), self.noise.tolist())

    def _some(self, chunk, prices, floor, effort, count, max_labels, stop):
        if stop[0]:
            return None
        problem, unit = self.problem, self._unit
        columns = [np.arange(len(floor)), problem.sources, problem.targets, self.worth / unit, self.fall / unit]
        columns += [self.cheapest, self.noise, floor / unit]
        requests = _Requests(*(np.ascontiguousarray(column[chunk]) for column in columns))
        return _search(self.graph, prices, self.regions, requests, problem.max_hops, effort, count, max_labels, stop)

    def _gathered(self, floor, chunks, parts) -> Priced:
        most, rest = floor.copy(), floor.copy()
        for chunk, part in zip(chunks, parts):
            most[chunk], rest[chunk] = part[4] * self._unit, part[5] * self._unit
        if not parts:
            nothing = np.zeros(0, np.int64)
            return Priced(nothing, nothing, np.zeros(1, np.int64), np.zeros(0), most, rest)
        starts = np.concatenate([[0], np.cumsum([part[2][-1] for part in parts])])
        indptr = np.concatenate([[0], *(part[2][1:] + start for part, start in zip(parts, starts.tolist()))])
        request = np.concatenate([chunk[part[0]] for chunk, part in zip(chunks, parts)])
        nodes, price = (np.concatenate([part[i] for part in parts]) for i in (1, 3))
        return Priced(request, nodes, indptr, price * self._unit, most, rest)


def _chunks(asked: np.ndarray) -> list[np.ndarray]:
    return [asked[i : i + _CHUNK] for i in range(0, len(asked), _CHUNK)]
