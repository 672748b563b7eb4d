"""What a clairvoyant may use, compiled: the successes that luck grants, and the best route for each request and slot.

A channel left alone brings a pair at each slot in which its luck succeeds; whoever may also give pairs up at will has
at slot u the newest of them, as long as it was not used. So a route in slot u needs the newest pair of each link.

Where fidelity drifts, an older pair may be better. Then the newest success is offered at the best quality that any
success of its channel still alive has, and that is enough. A channel tries only when it is free: of two pairs of one
channel the later is made after the slot in which the earlier is used. So the newest success by the slot of a use is the
pair used or a later one, and is made before or in that slot, which is before the next pair used is made: different uses
have different newest successes, each offered at no less than the quality of the pair used. A channel that is switched
off only tries less often: what it makes are successes of the same luck, and what was said of them stays true.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.simulation.frontier import cheapest
from qnroute.simulation.luck import GENERATE, SWAP, key, uniform

_ROOM = 256
_ROUNDED = 1.0 - 1e-12  # products taken in another order


class Prices(NamedTuple):
    """Dual prices of the linear program over routes in time."""

    pair: np.ndarray  # (B,) of each success
    request: np.ndarray  # (Q,)
    place: np.ndarray  # (slots + 1,) of one held pair through all slots before; place[b] - place[a] for a..b-1


class Columns(NamedTuple):
    """Routes in time: request, slot in which the pairs are used, and the pairs."""

    request: np.ndarray  # (J,) int64
    slot: np.ndarray  # (J,) int64
    indptr: np.ndarray  # (J + 1,) int64
    pair: np.ndarray  # int64, successes


@njit(cache=True, error_model="numpy")
def successes(w, run, slots):
    """The slots in which each channel of a run succeeds if it is free: pointers (C + 1,) and slots, ascending."""
    start, links = w.channels[run], w.links[run]
    count = np.zeros(w.channels[run + 1] - start + 1, dtype=np.int64)
    for step in range(2):
        if step == 1:
            for i in range(1, len(count)):
                count[i] += count[i - 1]
            born = np.empty(count[-1], dtype=np.int64)
            fill = count[:-1].copy()
        for slot in range(slots):
            here = key(w.seeds[run], GENERATE, slot)
            chance = w.chance[min(slot // w.epoch, len(w.chance) - 1)]
            for channel in range(start, w.channels[run + 1]):
                e = w.link[channel]
                if uniform(here, e - links, channel - w.first[e]) < chance[e]:
                    if step == 0:
                        count[channel - start + 1] += 1
                    else:
                        born[fill[channel - start]] = slot
                        fill[channel - start] += 1
    return count, born


@njit(cache=True, error_model="numpy")
def priced(w, run, slots, count, born, worth, prices, slight, offers, labels):
    """For every request and slot the route of largest reduced cost, as a column where that exceeds `slight`.

    Before its arrival, pairs that a route uses are held for the request: they lose quality once per slot, and take a
    place. Returns the columns, and the largest reduced cost of each request (at least 0).
    """
    first, total = w.requests[run], w.requests[run + 1] - w.requests[run]
    gain, low = np.zeros(total), 0
    newest = np.full(w.channels[run + 1] - w.channels[run], -1, dtype=np.int64)
    at, perfect = count[:-1].copy(), bool((w.swap[w.nodes[run] : w.nodes[run + 1]] >= 1.0).all())
    request, when, until, pair = _row(), _row(), _row(), _row()
    made = filled = 0
    for slot in range(slots):
        _offer(w, run, slot, count, born, newest, at, prices.pair, offers)
        while low < total and w.deadline[first + low] < slot:
            low += 1
        for k in range(low, total):
            ahead = w.arrival[first + k] - slot
            if ahead > w.law.lifetime or (ahead > 0 and w.held == 0):
                break
            if w.deadline[first + k] < slot or w.arrival[first + k] >= slots:
                continue
            most, need = worth[k] - prices.request[k], w.need[first + k] * _ROUNDED
            if ahead > 0:
                most -= prices.place[w.arrival[first + k]] - prices.place[slot]
                need = max(need, w.law.least * _ROUNDED) / w.law.decays[ahead]
            for turn in range(2):  # from source to target; then the other way round, as pairs to hold may be made
                source, target = w.source[first + k], w.target[first + k]
                if turn == 1:
                    source, target = target, source
                if (turn == 1 or ahead > 0) and (w.held == 0 or source > target):
                    continue
                if turn == 1 and ahead <= 0 and perfect:  # no better than at once
                    continue
                least = max(need, w.law.least * _ROUNDED) if turn == 1 else need
                length, cost, _, labels = cheapest(w, source, target, least, most, offers, labels)
                if length == 0:
                    continue
                gain[k] = max(gain[k], most - cost)
                if most - cost <= slight:
                    continue
                if made + 1 >= len(request):
                    request, when, until = _longer(request), _longer(when), _longer(until)
                while filled + length >= len(pair):
                    pair = _longer(pair)
                for i in range(length):
                    pair[filled + i] = newest[labels.route[i] - w.channels[run]]
                filled += length
                request[made], when[made] = k, slot
                made += 1
                until[made] = filled
    return Columns(request[:made], when[:made], until[: made + 1], pair[:filled]), gain


@njit(cache=True, error_model="numpy")
def _offer(w, run, slot, count, born, newest, at, price, offers):
    """What the newest pairs are worth in a slot, and where their swaps will succeed."""
    swaps, start = key(w.seeds[run], SWAP, slot), w.channels[run]
    for i in range(len(newest)):
        channel, e = start + i, w.link[start + i]
        while at[i] < count[i + 1] and born[at[i]] <= slot:
            newest[i] = at[i]
            at[i] += 1
        offers.quality[channel] = _best_alive(w, e, slot, born, count[i], newest[i]) if newest[i] >= 0 else 0.0
        if offers.quality[channel] <= 0.0:
            continue
        offers.price[channel] = price[newest[i]]
        luck = uniform(swaps, e - w.links[run], channel - w.first[e])
        offers.passing[channel, 0], offers.passing[channel, 1] = luck < w.swap[w.tail[e]], luck < w.swap[w.head[e]]


@njit(cache=True, error_model="numpy")
def _best_alive(w, e, slot, born, first, newest):
    """The highest quality of the successes `first` to `newest` of a channel that are alive in a slot; 0: none is."""
    best = 0.0
    for success in range(newest, first - 1, -1):
        age, epoch = slot - born[success], min(born[success] // w.epoch, len(w.law.scale) - 1)
        if age > w.law.lifetime:
            break
        if age <= max(w.law.last[epoch, e], 0):  # in the slot of its birth every pair may serve
            best = max(best, w.law.scale[epoch, e] * w.law.decays[age] + w.law.shift)
        if len(w.law.scale) == 1:  # the newest is the best
            break
    return best


@njit(cache=True, error_model="numpy")
def _row():
    return np.zeros(_ROOM, dtype=np.int64)


@njit(cache=True, error_model="numpy")
def _longer(values):
    return np.concatenate((values, values))
