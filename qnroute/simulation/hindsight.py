"""What a clairvoyant may use, compiled: the successes that luck grants, and the best route for each request and slot.

A channel left alone brings a pair at each slot in which its luck succeeds; whoever may also give pairs up at will has at
slot u the newest of them, as long as it was not used. So a route in slot u needs the newest pair of each of its links.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

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


@njit(cache=True)
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


@njit(cache=True)
def priced(w, run, slots, count, born, worth, prices, slight):
    """For every request and slot the route of largest reduced cost, where that exceeds `slight`.

    Before its arrival, pairs that a route uses are held for the request: they lose quality once per slot, and take a
    place. Returns the columns, and the largest reduced cost of each request (at least 0).
    """
    first, channels = w.requests[run], w.channels[run]
    total = w.requests[run + 1] - first
    gain = np.zeros(total)
    newest = np.full(w.channels[run + 1] - channels, -1, dtype=np.int64)
    at = count[:-1].copy()
    requests, at_slots, lengths, pairs = _row(), _row(), _row(), _row()
    made, filled, low = 0, 0, 0
    lifetime, work, perfect = w.law.lifetime, _labels(), bool((w.swap[w.nodes[run] : w.nodes[run + 1]] >= 1.0).all())
    head, route = np.full(len(w.memory), -1, dtype=np.int64), np.empty(len(w.memory) + 1, dtype=np.int64)
    for slot in range(slots):
        for channel in range(len(newest)):
            while at[channel] < count[channel + 1] and born[at[channel]] <= slot:
                newest[channel] = at[channel]
                at[channel] += 1
        while low < total and w.deadline[first + low] < slot:
            low += 1
        swaps = key(w.seeds[run], SWAP, slot)
        for k in range(low, total):
            request = first + k
            ahead = w.arrival[request] - slot
            if ahead > lifetime or (ahead > 0 and w.held == 0):
                break
            if w.deadline[request] < slot or w.arrival[request] >= slots:
                continue
            most, need = worth[k] - prices.request[k], w.need[request] * _ROUNDED
            if ahead > 0:
                most -= prices.place[w.arrival[request]] - prices.place[slot]
                need = max(need, w.law.least) / w.law.decays[ahead]
            source, target = w.source[request], w.target[request]
            for turn in range(2):
                if turn == 1:  # a pair to hold is made from the lower end: its swaps may meet other luck
                    source, target = target, source
                if (turn == 1 or ahead > 0) and (w.held == 0 or source > target):
                    continue
                if turn == 1 and ahead <= 0 and perfect:  # no better than at once
                    continue
                least = max(need, w.law.least * _ROUNDED) if turn == 1 else need
                length, cost, work = _cheapest(
                    w,
                    run,
                    slot,
                    source,
                    target,
                    least,
                    most - slight,
                    newest,
                    born,
                    prices.pair,
                    swaps,
                    head,
                    work,
                    route,
                )
                if length == 0:
                    continue
                gain[k] = max(gain[k], most - cost)
                if made + 1 >= len(requests):
                    requests, at_slots, lengths = _longer(requests), _longer(at_slots), _longer(lengths)
                while filled + length >= len(pairs):
                    pairs = _longer(pairs)
                pairs[filled : filled + length] = route[:length]
                filled += length
                requests[made], at_slots[made] = k, slot
                made += 1
                lengths[made] = filled
    return Columns(requests[:made], at_slots[:made], lengths[: made + 1], pairs[:filled]), gain


@njit(cache=True)
def _row():
    return np.zeros(_ROOM, dtype=np.int64)


@njit(cache=True)
def _longer(values):
    return np.concatenate((values, values))


@njit(cache=True)
def _labels():
    """Labels: node, channel, label before, next label of the node; cost and quality."""
    return np.zeros((4, _ROOM), dtype=np.int64), np.zeros((2, _ROOM))


@njit(cache=True)
def _cheapest(w, run, slot, source, target, need, most, newest, born, price, swaps, head, work, route):
    """The cheapest route by newest pairs that keeps a quality and costs less than `most`: its length and cost.

    Labels of a node are kept while none is both cheaper and of higher quality. Prices are at least 0 and qualities at
    most 1, so the best route is simple.
    """
    numbers, values = work
    numbers[0, 0], numbers[1, 0], numbers[2, 0], numbers[3, 0] = source, -1, -1, -1
    values[0, 0], values[1, 0] = 0.0, 1.0
    head[source] = 0
    made, at, best, links, channels = 1, 0, -1, w.links[run], w.channels[run]
    while at < made:
        node, cost, quality = numbers[0, at], values[0, at], values[1, at]
        dead = numbers[2, at] == -2 or node == target or cost >= most
        at += 1
        if dead:
            continue
        for i in range(w.indptr[node], w.indptr[node + 1]):
            e, there = w.via[i], w.neighbour[i]
            for channel in range(w.first[e], w.first[e + 1]):
                pair = newest[channel - channels]
                if pair < 0 or slot - born[pair] > max(w.law.last[e], 0):
                    continue
                reached = quality * (w.law.scale[e] * w.law.decays[slot - born[pair]] + w.law.shift)
                paid = cost + price[pair]
                if reached < need or paid >= most:
                    continue
                if there != target and w.swap[there] < 1.0:
                    if uniform(swaps, e - links, channel - w.first[e]) >= w.swap[there]:
                        continue
                other, before, worse = head[there], -1, False
                while other >= 0:
                    after = numbers[3, other]
                    if values[0, other] <= paid and values[1, other] >= reached:
                        worse = True
                        break
                    if values[0, other] >= paid and values[1, other] <= reached:
                        numbers[2, other] = -2 if other >= at else numbers[2, other]
                        if before < 0:
                            head[there] = after
                        else:
                            numbers[3, before] = after
                    else:
                        before = other
                    other = after
                if worse:
                    continue
                if made == numbers.shape[1]:
                    numbers, values = (
                        np.concatenate((numbers, numbers), axis=1),
                        np.concatenate((values, values), axis=1),
                    )
                numbers[0, made], numbers[1, made], numbers[2, made] = there, channel, at - 1
                numbers[3, made] = head[there]
                values[0, made], values[1, made] = paid, reached
                head[there] = made
                if there == target:
                    most, best = paid, made
                made += 1
    for label in range(made):
        head[numbers[0, label]] = -1
    length, cost = 0, 0.0
    if best >= 0:
        cost, at = values[0, best], best
        while numbers[1, at] >= 0:
            route[length] = newest[numbers[1, at] - channels]
            length += 1
            at = numbers[2, at]
    return length, cost, (numbers, values)
