"""What a stored pair is worth to the slots ahead, and what to do about it: the compiled part of `lookahead`.

Demand ahead is a fluid: requests that wait and requests that are forecast use the pairs of a link at some rate, which
depends on the age of the pair because floors do. Then each link is a small decision process of its own, with the age of
its pair (or no pair) as state; going back from the end of the horizon, a pair is used, kept or given up. Its price is
what the link loses by having no pair now: high for a fresh pair, below zero for a stale one, which only keeps the link
from making another.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.simulation.frontier import cheapest
from qnroute.simulation.holding import pair_number, worth_holding
from qnroute.simulation.rules import held_for, in_order
from qnroute.simulation.slot import begin, finish, pair_quality, use_held, use_route

_MOST_USED = 0.9  # share of a link's pairs that demand takes in a slot
_LEAST = 1e-9  # price of a pair that is worth nothing: of two routes for nothing, the shorter


class Demands(NamedTuple):
    """What is known beforehand of the pairs of nodes that ask, for all runs; A ages, F floors."""

    first: np.ndarray  # (R + 1,) int64: the pairs of each run
    key: np.ndarray  # (P,) int64, ascending in each run: lower node * N + higher node
    rate: np.ndarray  # (slots, P) float32: chance of an arrival in a slot, mean over the horizon
    ahead: np.ndarray  # (slots, P, H) float32: chance of an arrival 1, 2, ... slots ahead
    floors: np.ndarray  # (R, F) float64, ascending: qualities that requests ask for, each as often
    uses: np.ndarray  # (P + 1,) int64: where each pair's links are
    link: np.ndarray  # links on any candidate route of the pair
    use: np.ndarray  # (.., F + 1, A): how often a request that waits uses a pair of that age in a slot; first the mean
    gain: np.ndarray  # (.., F + 1, A): the same, in requests served: a route of L links serves 1/L by each
    nominal: np.ndarray  # (L,) float64: success probability of links as known


class Tuning(NamedTuple):
    """What the program is told."""

    waiting: float  # slots for which a forecast request counts as waiting
    urgency: float  # how often a request that waits counts
    place: float  # price of a place for a held pair
    trust: float  # how much of the forecast use of a held pair counts
    longest: int  # links of a pair to hold


@njit(cache=True, error_model="numpy")
def advance_by_prices(w, s, until, demands, tuning, prices, offers, labels, log, room):
    """Let all runs go on up to slot `until`, or to where the log has less than `room` rows left."""
    for run in range(len(w.seeds)):
        while s.slot[run] < until:
            if len(log.rows) and len(log.rows) - log.length[0] < room:
                return
            begin(w, s, run, log)
            look_ahead(w, s, run, demands, tuning, prices, offers, labels, log)
            finish(w, s, run, log)


@njit(cache=True, error_model="numpy")
def look_ahead(w, s, run, demands, tuning, prices, offers, labels, log):
    """Serve and pre-position in this slot, by prices that come from the slots ahead."""
    order = s.queue[w.requests[run] : w.requests[run] + s.queued[run]].copy()
    in_order(w, s, run, order)
    price_links(w, s, run, order, demands, tuning, prices)
    slot = s.slot[run]
    for channel in range(w.channels[run], w.channels[run + 1]):
        offers.quality[channel] = 0.0
        if s.birth[channel] >= 0:
            offers.quality[channel] = pair_quality(w, s, channel, slot)
            age = min(slot - s.birth[channel], prices.shape[1] - 1)
            offers.price[channel] = max(prices[w.link[channel], age], 0.0) + _LEAST
    for k in order:
        place = held_for(w, s, run, k)
        if place >= 0:
            use_held(w, s, run, k, place, log)
    labels = _serve(w, s, run, order, offers, labels, log)
    route, length, worth = np.empty((1, tuning.longest), dtype=np.int64), np.empty(1, dtype=np.int64), np.zeros(1)
    while s.holding[run] < w.held:
        if not worth_holding(w, s, run, demands, tuning, prices, offers.quality, 0.0, route, length, worth):
            return
        use_route(w, s, run, -1, route[0], length[0], log)
        for i in range(length[0]):
            offers.quality[route[0, i]] = 0.0


@njit(cache=True, error_model="numpy")
def _serve(w, s, run, order, offers, labels, log):
    """Again and again the request that gains most: its weight less the price of its cheapest route."""
    gain = np.empty(len(order))
    for i, k in enumerate(order):
        gain[i], _, labels = _gain(w, s, k, offers, labels)
    while len(order):
        i = np.argmax(gain)
        if gain[i] <= 0.0:
            break
        known = gain[i]
        gain[i], length, labels = _gain(w, s, order[i], offers, labels)
        if gain[i] < known:  # others have taken its pairs
            continue
        if length:
            use_route(w, s, run, order[i], labels.route, length, log)
            for j in range(length):
                offers.quality[labels.route[j]] = 0.0
        gain[i] = 0.0
    return labels


@njit(cache=True, error_model="numpy")
def _gain(w, s, request, offers, labels):
    """What serving a request gains, by how many links; and the labels of the search."""
    if s.served[request] >= 0:
        return 0.0, 0, labels
    weight = w.weight[request]
    length, price, _, labels = cheapest(
        w, w.source[request], w.target[request], w.need[request], weight, offers, labels
    )
    return (weight - price if length else 0.0), length, labels


# --- prices ---


@njit(cache=True, error_model="numpy")
def price_links(w, s, run, queue, demands, tuning, prices):
    """Prices of pairs by link and age, from requests that wait and requests that are forecast."""
    start, end, ages = w.links[run], w.links[run + 1], prices.shape[1]
    use, gain = np.zeros((end - start, ages)), np.zeros((end - start, ages))
    slot, horizon = min(s.slot[run], len(demands.rate) - 1), demands.ahead.shape[2]
    for j in range(demands.first[run], demands.first[run + 1]):
        _add(use, gain, demands, j, 0, start, demands.rate[slot, j] * tuning.waiting)
    for k in queue:
        j = pair_number(w, run, demands, w.source[k], w.target[k])
        if j >= 0:
            level = min(np.searchsorted(demands.floors[run], w.need[k]), demands.floors.shape[1] - 1)
            left = min((w.deadline[k] - s.slot[run]) / horizon, 1.0)
            _add(use, gain, demands, j, 1 + level, start, tuning.urgency * left)
    after, now = np.empty(ages + 1), np.empty(ages + 1)
    for e in range(start, end):
        _go_back(demands.nominal[e], use[e - start], gain[e - start], horizon, tuning.place, after, now, prices[e])


@njit(cache=True, error_model="numpy")
def _add(use, gain, demands, pair, level, start, weight):
    """Add what `weight` requests of a pair of nodes use."""
    if weight <= 0.0:
        return
    for i in range(demands.uses[pair], demands.uses[pair + 1]):
        e = demands.link[i] - start
        for age in range(use.shape[1]):
            use[e, age] += weight * demands.use[i, level, age]
            gain[e, age] += weight * demands.gain[i, level, age]


@njit(cache=True, error_model="numpy")
def _go_back(p, use, gain, horizon, place, after, now, price):
    """Backward recursion of one link: `price` of a pair of each age, at the end of the present slot.

    A pair of age a is used with probability u(a), which brings g(a) and frees the channel; else it is kept or, for the
    price of a place, given up. A free channel has a fresh pair in the next slot with probability p.
    """
    ages = len(use)
    after[:] = 0.0
    free = 0.0
    for _ in range(horizon):
        again = p * after[0] + (1.0 - p) * free
        after[ages] = again  # too old: it goes before the channel tries
        for age in range(ages):
            used, brought = use[age], gain[age]
            if used > _MOST_USED:
                brought *= _MOST_USED / used
                used = _MOST_USED
            now[age] = brought + used * again + (1.0 - used) * max(after[age + 1], again - place)
        after[:ages] = now[:ages]
        free = again
    again = p * after[0] + (1.0 - p) * free
    after[ages] = again
    for age in range(ages):
        price[age] = after[age + 1] - again
