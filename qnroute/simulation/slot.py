"""The slot, compiled: expiry, generation and arrivals before a policy decides, its decisions, deadlines after them.

docs/simulation.md says exactly what happens; the tests hold a plain-Python twin against this file event by event.
Every function acts on one run of the batch. `use_route` and `use_held` trust the caller; `route_fault` and `held_fault`
say what is wrong with a decision that comes from outside.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from qnroute.simulation import events, world
from qnroute.simulation.events import note
from qnroute.simulation.lean import lean
from qnroute.simulation.luck import GENERATE, SWAP, key, uniform

NONE = np.nan
FITS, NO_REQUEST, NO_PAIR, NO_ROUTE, NOT_SIMPLE, BELOW_FLOOR, FULL, NO_HELD = range(8)
FAULTS = (
    "",
    "the request is not in the queue",
    "a channel holds no stored pair",
    "the channels do not join the two ends",
    "the route meets a node twice",
    "the fidelity is below the floor",
    "as many pairs are held as may be",
    "no such pair is held for these ends",
)


@lean
def begin(w, s, run, log):
    """Steps 1 to 3: expiry, generation, arrivals."""
    slot = s.slot[run]
    _expire(w, s, run, slot, log)
    if w.limited[run]:
        _generate_limited(w, s, run, slot, log)
    else:
        _generate(w, s, run, slot, log)
    due, end = s.due[run], w.requests[run + 1]
    while due < end and w.arrival[due] <= slot:
        s.queue[w.requests[run] + s.queued[run]] = due
        s.queued[run] += 1
        note(log, run, slot, events.ARRIVED, due - w.requests[run], -1, -1, w.floor[due])
        due += 1
    s.due[run] = due


@lean
def _expire(w, s, run, slot, log):
    birth, link, last = s.birth, w.link, s.last
    gone = 0
    for channel in range(w.channels[run], w.channels[run + 1]):
        born = birth[channel]
        if born >= 0 and slot - born > last[channel]:
            birth[channel] = -1
            gone += 1
            e = link[channel]
            s.qubits[w.tail[e]] -= 1
            s.qubits[w.head[e]] -= 1
            if len(log.rows):
                fidelity = _aged(w, s.scale[channel], slot - born)
                note(log, run, slot, events.EXPIRED, channel - w.channels[run], slot - born, -1, fidelity)
    s.counts[run, world.EXPIRED] += gone
    place = run * w.held
    while place < run * w.held + s.holding[run]:
        age = slot - s.made[place]
        quality = s.quality[place] * w.law.decays[age]
        if age <= w.law.lifetime and quality >= w.law.least:
            place += 1
            continue
        s.counts[run, world.HELD_EXPIRED] += 1
        note(log, run, slot, events.HELD_EXPIRED, s.number[place], age, -1, end_fidelity(w, quality))
        drop_held(w, s, run, place)


@lean
def _aged(w, scale, age):
    """Fidelity of a pair of some scale at an age."""
    return w.law.pair_slope * (scale * w.law.decays[age] + w.law.shift) + w.law.pair_offset


@lean
def _generate(w, s, run, slot, log):
    """Without memory limits the order of the links counts for the log alone."""
    birth, first, tail, head, qubits, per_link = s.birth, w.first, w.tail, w.head, s.qubits, s.per_link
    chance, active = w.chance[min(slot // w.epoch, len(w.chance) - 1)], s.active
    epoch = min(slot // w.epoch, len(w.law.scale) - 1)
    scale, last, pair_scale, pair_last = w.law.scale[epoch], w.law.last[epoch], s.scale, s.last
    here, start, end = key(w.seeds[run], GENERATE, slot), w.links[run], w.links[run + 1]
    attempts, made, turn = 0, 0, 0
    if end > start:
        turn = slot % (end - start)
    for part in range(2):
        low, high = (start + turn, end) if part == 0 else (start, start + turn)
        for e in range(low, high):
            p = chance[e]
            for channel in range(first[e], first[e + 1]):
                if birth[channel] >= 0 or not active[channel]:
                    continue
                attempts += 1
                per_link[e, 0] += 1
                if uniform(here, e - start, channel - first[e]) < p:
                    birth[channel], pair_scale[channel], pair_last[channel] = slot, scale[e], last[e]
                    qubits[tail[e]] += 1
                    qubits[head[e]] += 1
                    per_link[e, 1] += 1
                    made += 1
                    if len(log.rows):
                        note(log, run, slot, events.MADE, channel - w.channels[run], -1, -1, _aged(w, scale[e], 0))
    s.counts[run, world.ATTEMPTS] += attempts
    s.counts[run, world.MADE] += made


@lean
def _generate_limited(w, s, run, slot, log):
    """With memory limits: a channel tries only while both its ends have a free qubit."""
    chance = w.chance[min(slot // w.epoch, len(w.chance) - 1)]
    epoch = min(slot // w.epoch, len(w.law.scale) - 1)
    here, start = key(w.seeds[run], GENERATE, slot), w.links[run]
    size = w.links[run + 1] - start
    for i in range(size):
        e = start + (slot + i) % size
        u, v = w.tail[e], w.head[e]
        for channel in range(w.first[e], w.first[e + 1]):
            if s.birth[channel] >= 0 or not s.active[channel]:
                continue
            if s.qubits[u] >= w.memory[u] or s.qubits[v] >= w.memory[v]:
                continue
            s.counts[run, world.ATTEMPTS] += 1
            s.per_link[e, 0] += 1
            if uniform(here, e - start, channel - w.first[e]) < chance[e]:
                s.birth[channel], s.scale[channel], s.last[channel] = slot, w.law.scale[epoch, e], w.law.last[epoch, e]
                s.qubits[u] += 1
                s.qubits[v] += 1
                s.per_link[e, 1] += 1
                s.counts[run, world.MADE] += 1
                fidelity = _aged(w, s.scale[channel], 0)
                note(log, run, slot, events.MADE, channel - w.channels[run], -1, -1, fidelity)


@lean
def finish(w, s, run, log):
    """Step 5: what was served or has passed its deadline leaves the queue."""
    slot, start, kept = s.slot[run], w.requests[run], 0
    for place in range(start, start + s.queued[run]):
        k = s.queue[place]
        if s.served[k] >= 0:
            continue
        if w.deadline[k] <= slot:
            note(log, run, slot, events.DROPPED, k - start, -1, -1, NONE)
            continue
        s.queue[start + kept] = k
        kept += 1
    s.queued[run] = kept
    s.slot[run] = slot + 1


# --- fidelity ---


@lean
def pair_quality(w, s, channel, slot):
    """Quality that the pair of a channel is believed to have."""
    return s.believed[w.link[channel]] * w.law.decays[slot - s.birth[channel]] + w.law.shift


@lean
def end_fidelity(w, quality):
    """Fidelity of a route or a held pair of that quality."""
    return w.law.end_slope * quality + w.law.end_offset


@lean
def route_quality(w, s, run, route, length):
    """The product over the pairs of a route, from its first, of what they are believed to have."""
    quality, slot = 1.0, s.slot[run]
    for i in range(length):
        quality *= pair_quality(w, s, route[i], slot)
    return quality


# --- decisions ---


@lean
def use_route(w, s, run, request, route, length, log):
    """Use up a route's pairs, for a request or (-1) for a pair to hold; says whether it came to that.

    It does if all swaps succeed and what comes of them truly has the quality needed.
    """
    slot, base, quality = s.slot[run], w.links[run], 1.0
    here, failed, node = key(w.seeds[run], SWAP, slot), -1, -1
    low, high = ends(w, route, length)
    node = low if request < 0 else w.source[request]
    for i in range(length):
        channel = route[i]
        e = w.link[channel]
        age = slot - s.birth[channel]
        quality *= s.scale[channel] * w.law.decays[age] + w.law.shift
        if len(log.rows):
            fidelity = _aged(w, s.scale[channel], age)
            note(log, run, slot, events.USED, channel - w.channels[run], age, i, fidelity)
        s.birth[channel] = -1
        s.per_link[e, 2] += 1
        s.qubits[w.tail[e]] -= 1
        s.qubits[w.head[e]] -= 1
        node = w.tail[e] + w.head[e] - node
        swap = w.swap[node]
        if i < length - 1 and failed < 0 and swap < 1.0 and uniform(here, e - base, channel - w.first[e]) >= swap:
            failed = node
    s.counts[run, world.USED] += length
    about, fidelity = request - w.requests[run] if request >= 0 else -1, end_fidelity(w, quality)
    if failed >= 0:
        s.counts[run, world.SWAP_FAILURES] += 1
        note(log, run, slot, events.SWAP_FAILED, about, failed - w.nodes[run], length, NONE)
        return False
    if quality < (w.need[request] if request >= 0 else w.law.least):
        s.counts[run, world.BELOW_FLOOR] += 1
        note(log, run, slot, events.BELOW_FLOOR, about, -1, length, fidelity)
        return False
    if request >= 0:
        s.served[request], s.fidelity[request], s.hops[request] = slot, fidelity, length
        latency = slot - w.arrival[request]
        note(log, run, slot, events.SERVED, about, latency, length, fidelity)
        return True
    place = run * w.held + s.holding[run]
    s.low[place], s.high[place], s.quality[place], s.made[place] = low, high, quality, slot
    s.number[place], s.spent[place] = s.counts[run, world.HELD], length
    s.qubits[low] += 1
    s.qubits[high] += 1
    s.holding[run] += 1
    s.counts[run, world.HELD] += 1
    note(log, run, slot, events.HELD, s.number[place], low - w.nodes[run], high - w.nodes[run], fidelity)
    return True


@lean
def use_held(w, s, run, request, place, log):
    """Serve a request by the held pair in a place."""
    slot = s.slot[run]
    fidelity = end_fidelity(w, s.quality[place] * w.law.decays[slot - s.made[place]])
    s.served[request], s.fidelity[request], s.hops[request] = slot, fidelity, s.spent[place]
    s.by_held[request] = True
    s.counts[run, world.HELD_USED] += 1
    latency = slot - w.arrival[request]
    note(log, run, slot, events.SERVED_HELD, request - w.requests[run], latency, s.number[place], fidelity)
    drop_held(w, s, run, place)


@lean
def drop_held(w, s, run, place):
    """Close the gap that a held pair leaves."""
    s.qubits[s.low[place]] -= 1
    s.qubits[s.high[place]] -= 1
    last = run * w.held + s.holding[run] - 1
    for i in range(place, last):
        s.low[i], s.high[i], s.quality[i] = s.low[i + 1], s.high[i + 1], s.quality[i + 1]
        s.made[i], s.number[i], s.spent[i] = s.made[i + 1], s.number[i + 1], s.spent[i + 1]
    s.holding[run] -= 1


@lean
def ends(w, route, length):
    """The two ends of a route, the lower first."""
    e, f = w.link[route[0]], w.link[route[length - 1]]
    if length == 1:
        u, v = w.tail[e], w.head[e]
    else:
        u = _outer(w, e, w.link[route[1]])
        v = _outer(w, f, w.link[route[length - 2]])
    return min(u, v), max(u, v)


@lean
def _outer(w, e, next_link):
    """The end of link e that the next link does not share."""
    shared = w.tail[e] == w.tail[next_link] or w.tail[e] == w.head[next_link]
    return w.head[e] if shared else w.tail[e]


# --- what is wrong with a decision ---


@lean
def is_waiting(w, s, run, request):
    """Whether a request is in the queue and not served yet."""
    if request < w.requests[run] or request >= w.requests[run + 1] or s.served[request] >= 0:
        return False
    return w.arrival[request] <= s.slot[run] <= w.deadline[request]


@njit(cache=True, error_model="numpy")
def route_fault(w, s, run, request, route, length):
    """Which rule a route breaks, for a request or, with request -1, for a pair to hold."""
    if request >= 0 and not is_waiting(w, s, run, request):
        return NO_REQUEST
    if request < 0 and s.holding[run] >= w.held:
        return FULL
    if length < 1:
        return NO_ROUTE
    for i in range(length):
        if route[i] < w.channels[run] or route[i] >= w.channels[run + 1] or s.birth[route[i]] < 0:
            return NO_PAIR
    start, goal = ends(w, route, length)
    if request >= 0:
        start, goal = w.source[request], w.target[request]
    seen = np.empty(length + 1, dtype=np.int64)
    seen[0] = node = start
    for i in range(length):
        e = w.link[route[i]]
        if node != w.tail[e] and node != w.head[e]:
            return NO_ROUTE
        node = w.tail[e] + w.head[e] - node
        for j in range(i + 1):
            if seen[j] == node:
                return NOT_SIMPLE
        seen[i + 1] = node
    if node != goal:
        return NO_ROUTE
    least = w.need[request] if request >= 0 else w.law.least
    return FITS if route_quality(w, s, run, route, length) >= least else BELOW_FLOOR


@lean
def held_fault(w, s, run, request, place):
    """Which rule serving a request by the held pair in a place breaks."""
    if request < 0 or not is_waiting(w, s, run, request):
        return NO_REQUEST
    if place < run * w.held or place >= run * w.held + s.holding[run]:
        return NO_HELD
    low, high = min(w.source[request], w.target[request]), max(w.source[request], w.target[request])
    if s.low[place] != low or s.high[place] != high:
        return NO_HELD
    quality = s.quality[place] * w.law.decays[s.slot[run] - s.made[place]]
    return FITS if quality >= w.need[request] else BELOW_FLOOR
