"""Policies that decide by a fixed rule, compiled, so that whole runs pass without leaving the engine.

Requests are served in queue order: heaviest first, then in the order in which they came.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.simulation.lean import lean
from qnroute.simulation.search import fewest_links, highest_quality, offer, taken
from qnroute.simulation.slot import begin, end_fidelity, finish, use_held, use_route

REACTIVE, HIGHEST_FIDELITY, GREEDY, PLANNED = range(4)


class Plan(NamedTuple):
    """Routes fixed beforehand: those of request k are ``routes[k]:routes[k + 1]``, in order of preference."""

    routes: np.ndarray  # (Q + 1,) int64
    indptr: np.ndarray  # (number of routes + 1,) int64
    links: np.ndarray  # links of each route, from source to target


class Chances(NamedTuple):
    """What a predictor says, and how paper C pre-positions by it (algorithm 2)."""

    first: np.ndarray  # (R + 1,) int64: the pairs of each run
    low: np.ndarray  # (P,) int64, node
    high: np.ndarray
    chance: np.ndarray  # (slots, P) float32
    threshold: float
    most_new: int
    least: float  # quality that a new held pair must have


def no_plan() -> Plan:
    """For rules that need none."""
    none = np.zeros(1, dtype=np.int64)
    return Plan(none, none, none[:0])


def no_chances(runs: int) -> Chances:
    """For rules that never pre-position."""
    none = np.zeros(0, dtype=np.int64)
    return Chances(np.zeros(runs + 1, dtype=np.int64), none, none, np.zeros((1, 0), dtype=np.float32), 0.0, 0, 0.0)


@njit(cache=True, error_model="numpy")
def advance(w, s, until, rule, plan, chances, work, log, room):
    """Let all runs go on by a rule up to slot `until`, or to where the log has less than `room` rows left."""
    for run in range(len(w.seeds)):
        while s.slot[run] < until:
            if len(log.rows) and len(log.rows) - log.length[0] < room:
                return
            begin(w, s, run, log)
            decide(w, s, run, rule, plan, chances, work, log)
            finish(w, s, run, log)


@njit(cache=True, error_model="numpy")
def decide(w, s, run, rule, plan, chances, work, log):
    """What a rule does in this slot."""
    if s.queued[run] == 0 and chances.first[run + 1] == chances.first[run]:
        return
    offer(w, s, run, work)
    if chances.first[run + 1] > chances.first[run]:
        _preposition(w, s, run, chances, work, log)
    if rule == GREEDY:
        _shortest_first(w, s, run, work, log)
    else:
        serve_in_order(w, s, run, rule, plan, work, log)


@lean
def serve_in_order(w, s, run, rule, plan, work, log):
    """The queue once through, each request by what is held for it or else by the rule."""
    order = work.order
    for i in range(in_order(w, s, run, order)):
        k = order[i]
        place = held_for(w, s, run, k)
        if place >= 0:
            use_held(w, s, run, k, place, log)
            continue
        if rule == PLANNED:
            length, _ = _planned(w, k, plan, work)
        elif rule == HIGHEST_FIDELITY:
            length, _ = highest_quality(w, w.source[k], w.target[k], w.need[k], work)
        else:
            length, _ = fewest_links(w, w.source[k], w.target[k], w.need[k], work)
        if length:
            use_route(w, s, run, k, work.route, length, log)
            taken(w, s, run, work.route, length, work)


@lean
def in_order(w, s, run, order):
    """The queue, heaviest first, otherwise as it stands, written to `order`; gives its length."""
    start, size = w.requests[run], s.queued[run]
    for i in range(size):
        k, j = s.queue[start + i], i
        while j > 0 and w.weight[order[j - 1]] < w.weight[k]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = k
    return size


@lean
def held_for(w, s, run, request):
    """The place of the held pair between the ends of a request that keeps its floor with the least to spare, or -1."""
    low, high = min(w.source[request], w.target[request]), max(w.source[request], w.target[request])
    found, least = -1, np.inf
    for place in range(run * w.held, run * w.held + s.holding[run]):
        if s.low[place] == low and s.high[place] == high:
            quality = s.quality[place] * w.law.decays[s.slot[run] - s.made[place]]
            if w.need[request] <= quality < least:
                found, least = place, quality
    return found


@lean
def _planned(w, request, plan, work):
    """The first route of the plan whose links all hold a pair and that keeps the floor, by the youngest pairs."""
    for route in range(plan.routes[request], plan.routes[request + 1]):
        length, quality = 0, 1.0
        for i in range(plan.indptr[route], plan.indptr[route + 1]):
            if work.offer[plan.links[i]] <= 0.0:
                length = 0
                break
            quality *= work.offer[plan.links[i]]
            work.route[length] = work.youngest[plan.links[i]]
            length += 1
        if length and quality >= w.need[request]:
            return length, quality
    return 0, 0.0


@lean
def _shortest_first(w, s, run, work, log):
    """Again and again the request whose route is worth most: its weight over the root of its links."""
    order, worth = work.order, work.worth
    size = in_order(w, s, run, order)
    for i in range(size):
        worth[i], _ = _worth(w, order[i], work)
    while True:
        first = 0
        for i in range(1, size):
            if worth[i] > worth[first]:
                first = i
        if size == 0 or worth[first] <= 0.0:
            return
        now, length = _worth(w, order[first], work)
        if now == worth[first]:
            use_route(w, s, run, order[first], work.route, length, log)
            taken(w, s, run, work.route, length, work)
            now = 0.0
        worth[first] = now  # less than it was where others have taken its pairs


@lean
def _worth(w, request, work):
    """What a request's route is worth, and its length."""
    length, _ = fewest_links(w, w.source[request], w.target[request], w.need[request], work)
    return (w.weight[request] / np.sqrt(length) if length else 0.0), length


# --- paper C's pre-positioning ---


@njit(cache=True, error_model="numpy")
def _preposition(w, s, run, chances, work, log):
    """Algorithm 2 of paper C: likely pairs of nodes, the best product of chance and fidelity first."""
    if s.holding[run] >= w.held:
        return
    start, end = chances.first[run], chances.first[run + 1]
    chance = chances.chance[min(s.slot[run], len(chances.chance) - 1)]
    least = max(w.law.least, chances.least)
    score, lengths = np.zeros(end - start), np.zeros(end - start, dtype=np.int64)
    routes = np.empty((end - start, 0), dtype=np.int64)
    widest = 0
    for j in range(start, end):
        if not chance[j] > chances.threshold or _is_held(w, s, run, chances.low[j], chances.high[j]):
            continue
        length, quality = fewest_links(w, chances.low[j], chances.high[j], least, work)
        if length == 0:
            continue
        if length > widest:
            wider = np.empty((end - start, length), dtype=np.int64)
            wider[:, :widest] = routes
            routes, widest = wider, length
        routes[j - start, :length] = work.route[:length]
        lengths[j - start] = length
        score[j - start] = chance[j] * end_fidelity(w, quality)
    new = 0
    while new < chances.most_new and s.holding[run] < w.held and end > start:
        j = np.argmax(score)
        if score[j] <= 0.0:
            return
        score[j] = 0.0
        route, length, there = routes[j], lengths[j], True
        for i in range(length):
            there = there and s.birth[route[i]] >= 0
        if there:
            use_route(w, s, run, -1, route, length, log)
            taken(w, s, run, route, length, work)
            new += 1


@lean
def _is_held(w, s, run, low, high):
    for place in range(run * w.held, run * w.held + s.holding[run]):
        if s.low[place] == low and s.high[place] == high:
            return True
    return False
