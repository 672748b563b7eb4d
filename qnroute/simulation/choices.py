"""Slots as a game of decisions, compiled: request after request is served by one of some routes, or waits; then pairs
are held by one of some routes, one after the other, or no more in this slot.

Every run is at a slot of its own. A decision shows waiting and at most C candidates, each as features. Requests for
which a pair is held that keeps their floor are served by it at once.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from qnroute.simulation.choice_features import prospect, show
from qnroute.simulation.desk import NOBODY, NOTHING, WAIT, WAYS, offered, price_of
from qnroute.simulation.frontier import Offers, cheapest
from qnroute.simulation.holding import worth_holding
from qnroute.simulation.horizon import price_links
from qnroute.simulation.rules import held_for, in_order
from qnroute.simulation.search import offer
from qnroute.simulation.slot import begin, finish, pair_quality, use_held, use_route

_LEAST = 1e-9  # price of a pair that is worth nothing: of two routes for nothing, the shorter


@njit(cache=True, error_model="numpy")
def to_next(w, s, run, until, sight, desk, work, labels, log):
    """Go on to the next decision of a run, through slots without one, up to slot `until`.

    Gives the weight served on the way by pairs held; ``desk.request`` is NOTHING where there is no decision any more.
    """
    brought = 0.0
    if desk.request[run] != NOTHING:  # the slot is going on
        if at_hand(w, s, run, sight, desk, work, labels):
            return brought
        finish(w, s, run, log)
    while s.slot[run] < until:
        begin(w, s, run, log)
        brought += look(w, s, run, sight, desk, work, log)
        if at_hand(w, s, run, sight, desk, work, labels):
            return brought
        finish(w, s, run, log)
    desk.seen[run] = 0.0
    desk.mask[run, :] = False
    desk.mask[run, WAIT] = True
    return brought


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
        offered(w, s, run, w.link[route[i]], work)
    return w.weight[k] if done and k >= 0 else 0.0


@njit(cache=True, error_model="numpy")
def look(w, s, run, sight, desk, work, log):
    """Note what the slot brings, prices and offers; serve requests for which a pair is held, and give their weight."""
    order = s.queue[w.requests[run] : w.requests[run] + s.queued[run]].copy()
    in_order(w, s, run, order)
    price_links(w, s, run, order, sight.demands, sight.tuning, desk.prices)
    slot = s.slot[run]
    for channel in range(w.channels[run], w.channels[run + 1]):
        desk.quality[channel] = 0.0
        if s.birth[channel] >= 0:
            quality = pair_quality(w, s, channel, slot)
            desk.quality[channel] = quality
            desk.paid[0, channel] = max(price_of(w, s, run, channel, desk), 0.0) + _LEAST
            desk.paid[1, channel] = 1.0
            desk.paid[2, channel] = _LEAST - math.log(quality)
    brought = 0.0
    for k in order:
        place = held_for(w, s, run, k)
        if place >= 0:
            use_held(w, s, run, k, place, log)
            brought += w.weight[k]
    offer(w, s, run, work)
    return brought


@njit(cache=True, error_model="numpy")
def at_hand(w, s, run, sight, desk, work, labels):
    """Find the next decision of this slot and show it; whether there is one."""
    slot, queue = s.slot[run], w.requests[run]
    best, first = -np.inf, NOTHING
    for i in range(queue, queue + s.queued[run]):
        k = s.queue[i]
        if s.served[k] >= 0:
            continue
        desk.prospect[k] = prospect(w, s, run, k, sight, desk, work)
        if desk.settled[k] == slot:
            continue
        length, price, _, _ = _cheapest(w, k, 0, desk, labels)
        if length == 0:
            desk.settled[k] = slot  # pairs only become fewer within a slot
        elif w.weight[k] - price > best:
            best, first = w.weight[k] - price, k
    count = 0
    if first >= 0:
        count = _ways(w, first, run, desk, labels)
    elif desk.rested[run] < slot and s.holding[run] < w.held:
        first = NOBODY
        count = worth_holding(
            w, s, run, sight.demands, sight.tuning, desk.prices, desk.quality, -np.inf,
            desk.route[run], desk.length[run], desk.worth,
        )  # fmt: skip
    if count == 0:
        desk.request[run] = NOTHING
        return False
    desk.request[run] = first
    desk.mask[run, :] = False
    desk.mask[run, : count + 1] = True
    show(w, s, run, count, sight, desk, work)
    return True


# --- candidates ---


@njit(cache=True, error_model="numpy")
def _cheapest(w, k, way, desk, labels):
    offers = Offers(desk.quality, desk.paid[way], desk.passing)
    return cheapest(w, w.source[k], w.target[k], w.need[k], np.inf, offers, labels)


@njit(cache=True, error_model="numpy")
def _ways(w, k, run, desk, labels):
    """Routes that serve a request: of the lowest price, of fewest links, of the highest quality; how many differ."""
    count = 0
    for way in range(min(WAYS, desk.length.shape[1])):
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
