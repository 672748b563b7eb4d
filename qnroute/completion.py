"""What the rest of a route can be worth: searches around its target, at given prices (compiled).

The price of a route is its value less what its links and nodes cost. With c what is left of -ln P and d of the
payments, value - d is at most the height of any line above the curve of value, less a mix of c and d: a plain
shortest-path problem. As worth falls convexly with c, the chord between the least and the largest c that can matter
is such a line. The completions found on the way are routes, too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.parity import Bits, room_for_bits, used
from qnroute.paths import _pop, _push

KINDS = 5
COST, PAID, NOISE, HOPS, MIXED = range(KINDS)
FOLLOWED = 4  # routes followed at most: along payments, cost, a tangent and a chord
SMALLEST = 1e-290  # share of a weight below which worth is nothing
_NOTHING = 1e-307


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
    Every second use of cut c costs `pair[c]` and is a use of the cuts `counted[counts[c]:counts[c + 1]]`, all after c.
    A route uses the cuts `cut[at[i]:at[i + 1]]` of its places i, which are in this order the links, nodes passed, nodes
    started from, nodes ended at, and requests.
    """

    link: np.ndarray
    passed: np.ndarray
    source: np.ndarray
    target: np.ndarray
    pair: np.ndarray = np.zeros(0)
    at: np.ndarray = np.zeros(1, np.int64)
    cut: np.ndarray = np.zeros(0, np.int64)
    counts: np.ndarray = np.zeros(1, np.int64)
    counted: np.ndarray = np.zeros(0, np.int64)


class Asked(NamedTuple):
    """A request whose routes are priced, and its number.

    `worth` is the value at P = 1; `fall` is 0 where value is worth * P, else what a unit of -ln P takes off.
    `cheapest` bounds -ln P from below; only routes with a price (ends not paid) above `needed` are looked for, and if
    not `everything` is wanted, only those above the best one met.
    """

    number: int
    source: int
    target: int
    worth: float
    fall: float
    cheapest: float
    max_noise: float
    max_hops: int
    needed: float
    everything: bool


class Regions(NamedTuple):
    """Where routes of a request can pass at all, given its floor and the hop limit, as compressed rows.

    Row `row[k]` (negative where it is not known) lists nodes with the least noise and the fewest hops that are left.
    """

    row: np.ndarray
    indptr: np.ndarray
    node: np.ndarray
    noise: np.ndarray
    hops: np.ndarray


class Around(NamedTuple):
    """Room for one request at a time: what completion adds at least, and the routes followed."""

    left: np.ndarray  # (5, n) bounds on what is left of each kind, infinite where no route above the floor passes
    touched: np.ndarray  # (5, n) where they are finite
    reached: np.ndarray  # (5,) how many are
    towards: np.ndarray  # (n,) the next node of the completion found last
    key: np.ndarray
    item: np.ndarray
    followed: np.ndarray  # (5, n) routes followed, and one at hand
    length: np.ndarray  # (4,) their nodes
    price: np.ndarray  # (4,)
    ones: np.ndarray  # (m,)
    none: np.ndarray  # (n,)
    odd: np.ndarray  # (C,) whether each cut is used an odd number of times by the route at hand
    twice: np.ndarray  # (C,) and whether it pays for it
    wanted: np.ndarray  # (C,) which ones are to have bits
    waiting: np.ndarray  # cuts to be used once more
    times: np.ndarray  # (C,) how often places around use it at most
    bit: np.ndarray  # (C,) its number among those around, or -1
    bits: Bits
    link_bits: np.ndarray  # (m, 2) the sets of cuts that use a link
    node_bits: np.ndarray  # (n, 2)


@njit(cache=True, nogil=True)
def room_around(graph, cuts, counted):
    """An empty `Around` for so many cuts, in so many others."""
    n, m = graph.indptr.size - 1, graph.link_cost.size
    return Around(
        np.full((5, n), np.inf), np.empty((5, n), np.int64), np.zeros(5, np.int64), np.empty(n, np.int64),
        np.empty(graph.indptr[n] + 1), np.empty(graph.indptr[n] + 1, np.int64),
        np.empty((FOLLOWED + 1, n), np.int64), np.zeros(FOLLOWED, np.int64), np.zeros(FOLLOWED), np.ones(m),
        np.zeros(n), np.zeros(cuts, np.bool_), np.zeros(cuts, np.bool_), np.zeros(cuts, np.bool_),
        np.zeros(cuts + counted, np.int64), np.zeros(cuts, np.int64), np.zeros(cuts, np.int64), room_for_bits(),
        np.zeros((m, 2), np.int64), np.zeros((n, 2), np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def longer(array, size):
    """A copy with more room."""
    bigger = np.empty(size, array.dtype)
    bigger[: array.size] = array
    return bigger


@njit(cache=True, nogil=True)
def cleared(around, which):
    """Forget what is left of one kind."""
    for i in range(around.reached[which]):
        around.left[which, around.touched[which, i]] = np.inf
    around.reached[which] = 0


@njit(cache=True, nogil=True)
def worth_at(asked, cost):
    """The value of a route with this -ln P."""
    return asked.worth - asked.fall * cost if asked.fall > 0.0 else asked.worth * np.exp(-cost)


@njit(cache=True, nogil=True)
def cost_at(asked, worth):
    """The -ln P at which a value that is a product falls to `worth`."""
    return np.log(asked.worth / max(worth, asked.worth * SMALLEST, _NOTHING))


@njit(cache=True, nogil=True)
def ball(graph, link_price, node_price, slope, inside, target, radius, around, which):
    """Dijkstra from the target up to `radius` over prices + slope * cost, among nodes whose `inside` is finite."""
    dist, touched, key, item = around.left[which], around.touched[which], around.key, around.item
    if not radius >= 0.0 or inside[target] == np.inf:
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
                around.towards[u] = v
                _push(key, item, size, total, u)
                size += 1
    around.reached[which] = reached


@njit(cache=True, nogil=True)
def price_of(graph, prices, around, asked, route):
    """The price of a route (ends not paid), -inf if the request does not allow it; the cuts it pays for are wanted."""
    m, n, cuts, last = graph.link_cost.size, graph.indptr.size - 1, prices.pair.size > 0, route.size - 1
    cost, paid, noise = 0.0, 0.0, 0.0
    if cuts:
        around.odd[:] = False
        around.twice[:] = False
        for place in (m + n + asked.source, m + 3 * n + asked.number):
            paid += used(prices, around.odd, around.twice, around.waiting, place)
    for i in range(last):
        v = route[i + 1]
        a = graph.indptr[route[i]]
        while graph.neighbour[a] != v:
            a += 1
        e = graph.link[a]
        cost += graph.link_cost[e]
        paid += prices.link[e]
        noise += graph.link_noise[e]
        if i + 1 < last:
            cost += graph.node_cost[v]
            paid += prices.passed[v]
        if cuts:
            for place in (e, m + v if i + 1 < last else m + 2 * n + v):
                paid += used(prices, around.odd, around.twice, around.waiting, place)
    if cuts:
        around.wanted[:] = around.wanted | around.twice
    price = worth_at(asked, cost) - paid
    return price if noise <= asked.max_noise and last <= asked.max_hops and price < np.inf else -np.inf


@njit(cache=True, nogil=True)
def _follow(graph, prices, around, asked, slot):
    """Keep the completion found last from the source in a slot; its price is -inf if the request does not allow it."""
    v, length = asked.source, 1
    around.followed[slot, 0] = v
    while v != asked.target:
        v = around.towards[v]
        around.followed[slot, length] = v
        length += 1
    around.length[slot] = length
    around.price[slot] = price_of(graph, prices, around, asked, around.followed[slot, :length])


@njit(cache=True, nogil=True)
def to_beat(around, asked):
    """The price that a route must exceed to be of interest."""
    return asked.needed if asked.everything else max(asked.needed, around.price.max())


@njit(cache=True, nogil=True)
def _recalled(around, asked, regions):
    """Fill what is left of noise and hops from a row of regions; the innermost of them."""
    row = regions.row[asked.number]
    start, end = regions.indptr[row], regions.indptr[row + 1]
    by_noise, by_hops = asked.max_noise < np.inf, asked.max_hops < around.none.size - 1
    for i in range(start, end):
        v = regions.node[i]
        if by_noise:
            around.left[NOISE, v] = regions.noise[i]
            around.touched[NOISE, i - start] = v
        if by_hops:
            around.left[HOPS, v] = regions.hops[i]
            around.touched[HOPS, i - start] = v
    around.reached[NOISE] = end - start if by_noise else 0
    around.reached[HOPS] = end - start if by_hops else 0
    return around.left[HOPS] if by_hops else around.left[NOISE]


@njit(cache=True, nogil=True)
def within_limits(graph, around, asked, inside):
    """Bounds on noise and hops that are left, where there are limits; the innermost of them."""
    if asked.max_noise < np.inf:
        ball(graph, graph.link_noise, around.none, 0.0, inside, asked.target, asked.max_noise, around, NOISE)
        inside = around.left[NOISE]
    if asked.max_hops < around.none.size - 1:
        ball(graph, around.ones, around.none, 0.0, inside, asked.target, float(asked.max_hops), around, HOPS)
        inside = around.left[HOPS]
    return inside


@njit(cache=True, nogil=True)
def look_around(graph, prices, around, asked, regions):
    """Fill `around` for a request.

    Returns an upper bound on the price (ends not paid) of routes of interest, `to_beat` where there are none, and the
    slope of the mix that is left.
    """
    source, target, product = asked.source, asked.target, asked.fall == 0.0
    around.price[:] = -np.inf
    around.wanted[:] = False
    left, inside = around.left, around.none
    known = regions.row[asked.number] >= 0
    by_worth = product and asked.needed > 0.0 and not known  # the narrower search goes first
    if known:
        inside = _recalled(around, asked, regions)
    elif not by_worth:
        inside = within_limits(graph, around, asked, inside)
    top = asked.worth
    if product:
        longest = cost_at(asked, asked.needed)
        ball(graph, graph.link_cost, graph.node_cost, 0.0, inside, target, longest, around, COST)
        inside = left[COST]
        if inside[source] == np.inf:
            return asked.needed, 0.0
        _follow(graph, prices, around, asked, 1)
        top = worth_at(asked, max(asked.cheapest, inside[source]))
    if by_worth:
        inside = within_limits(graph, around, asked, inside)
    ball(graph, prices.link, prices.passed, asked.fall, inside, target, top - asked.needed, around, PAID)
    if left[PAID, source] == np.inf:
        return to_beat(around, asked), 0.0
    _follow(graph, prices, around, asked, 0)
    bound = top - left[PAID, source]
    if product and bound > to_beat(around, asked):
        return _mixed(graph, prices, around, asked, left[PAID], bound)
    return max(bound, to_beat(around, asked)), 0.0


@njit(cache=True, nogil=True)
def _mixed(graph, prices, around, asked, inside, bound):
    """Sharpen a bound by mixes of cost and payments: a tangent of the curve of value finds routes, a chord bounds."""
    source, slope = asked.source, 0.0
    shortest, paid = around.left[COST, source], around.left[PAID, source]
    for attempt in range(2):
        least = to_beat(around, asked) + paid
        longest = cost_at(asked, least)
        if not longest > shortest:
            return to_beat(around, asked), 0.0
        if attempt == 0:
            slope = worth_at(asked, 0.5 * (shortest + longest))
        else:
            slope = (worth_at(asked, shortest) - worth_at(asked, longest)) / (longest - shortest)
        cleared(around, MIXED)
        radius = slope * longest + asked.worth - asked.needed
        ball(graph, prices.link, prices.passed, slope, inside, asked.target, radius, around, MIXED)
        mixed = around.left[MIXED, source]
        if mixed == np.inf:
            return to_beat(around, asked), 0.0
        _follow(graph, prices, around, asked, 2 + attempt)
        curve = max(
            worth_at(asked, shortest) + slope * shortest, max(least, worth_at(asked, longest)) + slope * longest
        )
        bound = min(bound, max(curve - mixed, around.price.max()))
    return max(bound, to_beat(around, asked)), slope
