"""Slots as a game of decisions, compiled: request after request is served by one of some routes, or waits; then pairs
are held by one of some routes, one after the other, or no more in this slot.

Every run is at a slot of its own. A decision shows waiting and at most C candidates, each as features. Requests for
which a pair is held that keeps their floor are served by it at once.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.simulation.frontier import Labels, Offers, cheapest
from qnroute.simulation.horizon import Demands, Tuning, forecast_use, price_links
from qnroute.simulation.lean import lean
from qnroute.simulation.prospects import Belief, chance_of
from qnroute.simulation.rules import Plan, held_for, in_order
from qnroute.simulation.search import offer, youngest
from qnroute.simulation.slot import begin, finish, pair_quality, use_held, use_route

FEATURES = (
    "holding", "places", "waiting", "candidate", "gain", "price", "links", "age", "oldest", "spare", "others", "harm",
    "help", "left", "weight", "use", "dearest", "cheapest", "floor", "again", "rank", "fresh", "pressed", "ready",
)  # fmt: skip
"""Of a candidate."""

WAIT = 0  # the action; the candidate at place i is action i + 1
NOBODY, NOTHING = -1, -2  # in the place of a request: a pair to hold, no decision
_WAYS = 3  # routes by which a request is offered to be served
_LEAST = 1e-9  # price of a pair that is worth nothing: of two routes for nothing, the shorter


class Sight(NamedTuple):
    """What the players know beforehand."""

    demands: Demands
    tuning: Tuning
    plan: Plan  # likely routes of each request
    belief: Belief


class Desk(NamedTuple):
    """Decisions at hand in R runs, with C candidates each at most, and room for finding them."""

    seen: np.ndarray  # (R, C + 1, F) float32
    mask: np.ndarray  # (R, C + 1) bool, what is possible
    route: np.ndarray  # (R, C, N + 1) int64, channels of each candidate
    length: np.ndarray  # (R, C) int64
    request: np.ndarray  # (R,) int64: at hand; NOBODY for a pair to hold, NOTHING where there is no decision
    settled: np.ndarray  # (Q,) int64, the last slot in which the request was told to wait
    rested: np.ndarray  # (R,) int64, the last slot in which no more pairs were to be held
    prices: np.ndarray  # (L, A) float64, see `horizon`
    quality: np.ndarray  # (C,) float64, what a channel offers in this slot
    paid: np.ndarray  # (_WAYS, C) float64, what it costs in each way to look for a route
    passing: np.ndarray  # (C, 2) bool
    prospect: np.ndarray  # (Q,) float64, the chance that a request that waits is served in time
    worth: np.ndarray  # (C,) float64, of the candidates to hold


def desk_of(w, candidates: int, ages: int) -> Desk:
    """An empty desk."""
    runs, channels, requests = len(w.seeds), len(w.link), len(w.source)
    longest = int(np.diff(w.nodes).max(initial=1))
    whole = lambda *shape: np.full(shape, -1, dtype=np.int64)  # noqa: E731
    return Desk(
        np.zeros((runs, candidates + 1, len(FEATURES)), dtype=np.float32),
        np.zeros((runs, candidates + 1), dtype=np.bool_),
        whole(runs, candidates, longest + 1), whole(runs, candidates), np.full(runs, NOTHING), whole(requests),
        whole(runs), np.zeros((len(w.tail), ages)), np.zeros(channels), np.zeros((_WAYS, channels)),
        np.ones((channels, 2), dtype=np.bool_), np.zeros(requests), np.zeros(candidates),
    )  # fmt: skip


# --- from decision to decision ---


@njit(cache=True, error_model="numpy")
def to_next(w, s, run, until, sight, desk, work, labels, log):
    """Go on to the next decision of a run, through slots without one, up to slot `until`; whether there is one."""
    if desk.request[run] != NOTHING:  # the slot is going on
        if at_hand(w, s, run, sight, desk, work, labels):
            return True
        finish(w, s, run, log)
    while s.slot[run] < until:
        begin(w, s, run, log)
        _look(w, s, run, sight, desk, work, log)
        if at_hand(w, s, run, sight, desk, work, labels):
            return True
        finish(w, s, run, log)
    desk.request[run] = NOTHING
    desk.mask[run, :] = False
    desk.mask[run, WAIT] = True
    return False


@njit(cache=True, error_model="numpy")
def act(w, s, run, action, desk, work, log):
    """Do as a player says with the decision at hand; the weight served."""
    k, slot = desk.request[run], s.slot[run]
    if action == WAIT:
        if k == NOBODY:
            desk.rested[run] = slot
        else:
            desk.settled[k] = slot
        return 0.0
    route, length = desk.route[run, action - 1], desk.length[run, action - 1]
    done = use_route(w, s, run, k, route, length, log)
    for i in range(length):
        desk.quality[route[i]] = 0.0
        _offered(w, s, run, w.link[route[i]], work)
    return w.weight[k] if done and k >= 0 else 0.0


@lean
def _offered(w, s, run, link, work):
    """Note what a link has to offer now."""
    channel = youngest(w, s, link)
    work.youngest[link] = channel
    work.offer[link] = pair_quality(w, s, channel, s.slot[run]) if channel >= 0 else 0.0


@njit(cache=True, error_model="numpy")
def _look(w, s, run, sight, desk, work, log):
    """What the slot brings: prices, offers, and requests for which a pair is held."""
    order = s.queue[w.requests[run] : w.requests[run] + s.queued[run]].copy()
    in_order(w, s, run, order)
    price_links(w, s, run, order, sight.demands, sight.tuning, desk.prices)
    slot = s.slot[run]
    for channel in range(w.channels[run], w.channels[run + 1]):
        desk.quality[channel] = 0.0
        if s.birth[channel] >= 0:
            quality = pair_quality(w, s, channel, slot)
            desk.quality[channel] = quality
            desk.paid[0, channel] = max(_price(w, s, run, channel, desk), 0.0) + _LEAST
            desk.paid[1, channel] = 1.0
            desk.paid[2, channel] = _LEAST - math.log(quality)
    for k in order:
        place = held_for(w, s, run, k)
        if place >= 0:
            use_held(w, s, run, k, place, log)
    offer(w, s, run, work)


@lean
def _price(w, s, run, channel, desk):
    """The price of a channel's pair."""
    return desk.prices[w.link[channel], min(s.slot[run] - s.birth[channel], desk.prices.shape[1] - 1)]


@njit(cache=True, error_model="numpy")
def at_hand(w, s, run, sight, desk, work, labels):
    """Find the next decision of this slot and show it; whether there is one."""
    slot, queue = s.slot[run], w.requests[run]
    best, first = -np.inf, NOTHING
    for i in range(queue, queue + s.queued[run]):
        k = s.queue[i]
        if s.served[k] >= 0:
            continue
        desk.prospect[k] = prospect(w, s, run, k, sight, work)
        if desk.settled[k] == slot:
            continue
        length, price, _, _ = _cheapest(w, k, 0, desk, labels)
        if length and w.weight[k] - price > best:
            best, first = w.weight[k] - price, k
    count = 0
    if first >= 0:
        count = _ways(w, first, run, desk, labels)
    elif desk.rested[run] < slot and s.holding[run] < w.held:
        first = NOBODY
        count = _to_hold(w, s, run, sight.demands, sight.tuning, desk)
    if count == 0:
        desk.request[run] = NOTHING
        return False
    desk.request[run] = first
    desk.mask[run, :] = False
    desk.mask[run, : count + 1] = True
    _show(w, s, run, count, sight, desk, work)
    return True


@njit(cache=True, error_model="numpy")
def prospect(w, s, run, k, sight, work):
    """The chance that a request that waits is served by the best of its likely routes, by its deadline."""
    best, left = 0.0, w.deadline[k] - s.slot[run]
    plan = sight.plan
    for r in range(plan.routes[k], plan.routes[k + 1]):
        links = plan.links[plan.indptr[r] : plan.indptr[r + 1]]
        chance, _ = chance_of(w, s, run, w.source[k], w.need[k], left, links, sight.belief, work)
        best = max(best, chance)
    return best


# --- candidates ---


@njit(cache=True, error_model="numpy")
def _cheapest(w, k, way, desk, labels):
    offers = Offers(desk.quality, desk.paid[way], desk.passing)
    return cheapest(w, w.source[k], w.target[k], w.need[k], np.inf, offers, labels)


@njit(cache=True, error_model="numpy")
def _ways(w, k, run, desk, labels):
    """Routes that serve a request: of the lowest price, of fewest links, of the highest quality; how many differ."""
    count = 0
    for way in range(min(_WAYS, desk.length.shape[1])):
        length, _, _, found = _cheapest(w, k, way, desk, labels)
        new = length > 0
        for i in range(count):
            same = desk.length[run, i] == length
            for j in range(length):
                same = same and desk.route[run, i, j] == found.route[j]
            new = new and not same
        if new:
            desk.length[run, count] = length
            desk.route[run, count, :length] = found.route[:length]
            count += 1
    return count


@njit(cache=True, error_model="numpy")
def _to_hold(w, s, run, demands, tuning, desk):
    """The routes of at most `longest` links whose pairs are worth most held rather than stored; how many there are."""
    longest, slot, most = tuning.longest, s.slot[run], desk.length.shape[1]
    node, edge = np.empty(longest + 1, dtype=np.int64), np.empty(longest + 1, dtype=np.int64)
    quality, paid = np.ones(longest + 1), np.zeros(longest + 1)
    taken, worths = np.empty(longest + 1, dtype=np.int64), desk.worth
    count, least = 0, -np.inf
    for source in range(w.nodes[run], w.nodes[run + 1]):
        depth, node[0], edge[0] = 0, source, w.indptr[source]
        while depth >= 0:
            if depth == longest or edge[depth] == w.indptr[node[depth] + 1]:
                depth -= 1
                continue
            e, there = w.via[edge[depth]], w.neighbour[edge[depth]]
            edge[depth] += 1
            channel = _stalest(w, s, e, desk.quality)
            if channel < 0 or _among(node, depth, there):
                continue
            now = quality[depth] * desk.quality[channel]
            if now < w.law.least:
                continue
            price = paid[depth] + desk.prices[e, min(slot - s.birth[channel], desk.prices.shape[1] - 1)]
            taken[depth] = channel
            if source < there and tuning.trust - tuning.place - price > least:
                worth = -tuning.place - price + tuning.trust * forecast_use(w, s, run, demands, source, there, now)
                if worth > least:
                    at = count if count < most else _lowest(worths, count)
                    worths[at], desk.length[run, at] = worth, depth + 1
                    desk.route[run, at, : depth + 1] = taken[: depth + 1]
                    count = min(count + 1, most)
                    if count == most:
                        least = worths[_lowest(worths, count)]
            depth += 1
            node[depth], edge[depth], quality[depth], paid[depth] = there, w.indptr[there], now, price
    _sort(worths, desk.route[run], desk.length[run], count)
    return count


@lean
def _lowest(worth, count):
    at = 0
    for i in range(1, count):
        if worth[i] < worth[at]:
            at = i
    return at


@lean
def _sort(worth, route, length, count):
    """The best first."""
    for i in range(count):
        best = i
        for j in range(i + 1, count):
            if worth[j] > worth[best]:
                best = j
        if best != i:
            worth[i], worth[best] = worth[best], worth[i]
            for place in range(max(length[i], length[best])):
                route[i, place], route[best, place] = route[best, place], route[i, place]
            length[i], length[best] = length[best], length[i]


@lean
def _stalest(w, s, link, quality):
    """The channel of a link whose pair is oldest, of those still on offer; -1 where there is none."""
    found = -1
    for channel in range(w.first[link], w.first[link + 1]):
        if quality[channel] > 0.0 and (found < 0 or s.birth[channel] < s.birth[found]):
            found = channel
    return found


@lean
def _among(node, depth, there):
    for i in range(depth + 1):
        if node[i] == there:
            return True
    return False


# --- features ---


@njit(cache=True, error_model="numpy")
def _show(w, s, run, count, sight, desk, work):
    """Fill in the features of waiting and of the candidates of the decision at hand."""
    seen, k, slot = desk.seen[run], desk.request[run], s.slot[run]
    seen[:] = 0.0
    waiting, ready = 0, 0
    for i in range(w.requests[run], w.requests[run] + s.queued[run]):
        if s.served[s.queue[i]] < 0:
            waiting += 1
            ready += 1 if desk.prospect[s.queue[i]] > 0.999 else 0
    for i in range(count + 1):
        f = seen[i]
        f[0], f[1], f[2] = (1.0 if k == NOBODY else 0.0), (w.held - s.holding[run]) / max(w.held, 1), waiting / 8.0
        f[23] = ready / 4.0
        if k >= 0:
            f[13], f[14], f[18] = (w.deadline[k] - slot) / 12.0, w.weight[k], w.need[k]
    for i in range(count):
        _features(w, s, run, i, k, sight, desk, work, seen[i + 1])


@njit(cache=True, error_model="numpy")
def _features(w, s, run, place, k, sight, desk, work, f):
    route, length, slot = desk.route[run, place], desk.length[run, place], s.slot[run]
    price, ages, oldest, dearest, least, quality, fresh = 0.0, 0, 0, -np.inf, np.inf, 1.0, 0
    for i in range(length):
        here, age = _price(w, s, run, route[i], desk), slot - s.birth[route[i]]
        price, ages, oldest = price + here, ages + age, max(oldest, age)
        dearest, least, quality = max(dearest, here), min(least, here), quality * desk.quality[route[i]]
        fresh += 1 if age == 0 else 0
    fade = -math.log(w.law.decays[1])
    need = w.need[k] if k >= 0 else w.law.least
    spare = math.log(quality / need) / fade if need > 0.0 and fade > 0.0 else 15.0
    f[3] = 1.0
    f[5], f[6], f[7], f[8] = price, length / 4.0, ages / (15.0 * length), oldest / 15.0
    f[9] = min(spare, 15.0) / 15.0
    f[16], f[17], f[20], f[21] = dearest, least, place / 8.0, fresh / length
    if k >= 0:
        f[4] = w.weight[k] - price
    else:
        f[15] = 0.0
        e, other = w.link[route[0]], w.link[route[length - 1]]
        low, high = _ends(w, route, length)
        f[15] = forecast_use(w, s, run, sight.demands, low, high, quality)
        f[4] = sight.tuning.trust * f[15] - sight.tuning.place - price
    f[10], f[11], f[12], f[22], f[19] = _consequences(w, s, run, route, length, k, sight, desk, work)


@lean
def _ends(w, route, length):
    from_, to = w.tail[w.link[route[0]]], w.head[w.link[route[0]]]
    if length > 1:
        second = w.link[route[1]]
        if from_ == w.tail[second] or from_ == w.head[second]:
            from_, to = to, from_
        for i in range(1, length):
            e = w.link[route[i]]
            to = w.tail[e] + w.head[e] - to
    return min(from_, to), max(from_, to)


@njit(cache=True, error_model="numpy")
def _consequences(w, s, run, route, length, k, sight, desk, work):
    """What using up a route does to the prospects of the others that wait: in sum, the worst, the best, how many lose.

    And what the request itself would have by then.
    """
    births = np.empty(length, dtype=np.int64)
    for i in range(length):
        births[i] = s.birth[route[i]]
        s.birth[route[i]] = -1
        _offered(w, s, run, w.link[route[i]], work)
    total, worst, best, losing, again = 0.0, 0.0, 0.0, 0, 0.0
    for i in range(w.requests[run], w.requests[run] + s.queued[run]):
        other = s.queue[i]
        if s.served[other] >= 0:
            continue
        if other == k:
            again = prospect(w, s, run, other, sight, work)
            continue
        change = w.weight[other] * (prospect(w, s, run, other, sight, work) - desk.prospect[other])
        total, worst, best = total + change, min(worst, change), max(best, change)
        losing += 1 if change < -0.01 else 0
    for i in range(length):
        s.birth[route[i]] = births[i]
    for i in range(length):
        _offered(w, s, run, w.link[route[i]], work)
    return total, worst, best, losing / 4.0, again
