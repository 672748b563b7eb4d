"""What `hybrid` weighs in a slot, compiled: candidate routes of the requests that wait, what each is worth by what is
believed of its links, which of them fit together, and what follows for the channels.

A route is worth the request's weight times the chance that it serves it in time (`prospects`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.simulation.lean import lean
from qnroute.simulation.prospects import chance_of
from qnroute.simulation.rules import REACTIVE, serve_in_order
from qnroute.simulation.search import offer, taken
from qnroute.simulation.slot import use_route

_LEAST = 1e-6  # chance below which a route is not proposed
_LEAST_SHARE = 1e-3  # of a qubit that a channel that tries is likely to need


class Candidates(NamedTuple):
    """Routes of pairs of nodes: those of pair j are ``first[j]:first[j + 1]``, their links from the lower node on."""

    first: np.ndarray  # (P + 1,) int64
    indptr: np.ndarray  # (routes + 1,) int64
    links: np.ndarray  # int64


class Columns(NamedTuple):
    """Proposed routes: what they are worth, and the links they take, from the source of the request on."""

    request: np.ndarray  # (J,) int64, place among those asked for
    worth: np.ndarray  # (J,) float64
    ready: np.ndarray  # (J,) bool: every link holds a pair, and together they keep the floor
    indptr: np.ndarray  # (J + 1,) int64
    links: np.ndarray  # int64
    stored: np.ndarray  # bool, whether the link holds a pair


@njit(cache=True, error_model="numpy")
def at_once(w, s, run, unplanned, work, log):
    """Serve who can be served by the pairs stored, whatever the route, in the order of the queue."""
    offer(w, s, run, work)
    serve_in_order(w, s, run, REACTIVE, unplanned, work, log)


@njit(cache=True, error_model="numpy")
def weighed(w, s, run, asked, pair, candidates, belief, work):
    """The columns of this slot, those that are chosen greedily, whether nothing is better, and the room there was."""
    offer(w, s, run, work)
    for e in range(w.links[run], w.links[run + 1]):
        if work.offer[e] > 0.0 and free_next(w, s, run, work.youngest[e]):
            work.offer[e] = 0.0
    columns = propose(w, s, run, asked, pair, candidates, belief, work)
    chosen, proven = densest_first(w, columns, room_of(w, s, run), len(asked))
    return columns, chosen, proven, room_of(w, s, run)


@njit(cache=True, error_model="numpy")
def propose(w, s, run, asked, pair, candidates, belief, work):
    """Columns for the requests asked for, ``pair[i]`` the nodes of ``asked[i]``; `work` has the offers of this slot."""
    routes = steps = 0
    for j in pair:
        routes += candidates.first[j + 1] - candidates.first[j]
        steps += candidates.indptr[candidates.first[j + 1]] - candidates.indptr[candidates.first[j]]
    request, worth = np.empty(routes, dtype=np.int64), np.empty(routes)
    ready, indptr = np.empty(routes, dtype=np.bool_), np.zeros(routes + 1, dtype=np.int64)
    links, stored = np.empty(steps, dtype=np.int64), np.empty(steps, dtype=np.bool_)
    made = filled = 0
    for i, k in enumerate(asked):
        for route in range(candidates.first[pair[i]], candidates.first[pair[i] + 1]):
            begin, end = candidates.indptr[route], candidates.indptr[route + 1]
            length = end - begin
            for at in range(length):
                e = candidates.links[begin + at if w.source[k] < w.target[k] else end - 1 - at]
                links[filled + at], stored[filled + at] = e, work.offer[e] > 0.0
            left = min(w.deadline[k] - s.slot[run], belief.horizon)
            chance, now = chance_of(
                w, s, run, w.source[k], w.need[k], left, links[filled : filled + length], belief, work
            )
            if chance <= _LEAST:
                continue
            request[made], worth[made], ready[made] = i, w.weight[k] * chance, now
            filled += length
            made += 1
            indptr[made] = filled
    return Columns(request[:made], worth[:made], ready[:made], indptr[: made + 1], links[:filled], stored[:filled])


# --- what fits together ---


class Room(NamedTuple):
    """What routes share."""

    stored: np.ndarray  # (L,) int64, pairs of each link
    free: np.ndarray  # (L,) int64, channels that may try
    qubits: np.ndarray  # (N,) int64, free ones of each node


@njit(cache=True, error_model="numpy")
def room_of(w, s, run):
    """What there will be in the next slot, if no pair is used."""
    stored, free = np.zeros(len(w.tail), dtype=np.int64), np.zeros(len(w.tail), dtype=np.int64)
    qubits = w.memory - s.qubits
    for channel in range(w.channels[run], w.channels[run + 1]):
        e = w.link[channel]
        if not free_next(w, s, run, channel):
            stored[e] += 1
            continue
        free[e] += 1
        if s.birth[channel] >= 0:
            qubits[w.tail[e]] += 1
            qubits[w.head[e]] += 1
    return Room(stored, free, qubits)


@lean
def free_next(w, s, run, channel):
    """Whether a channel will be free in the next slot if its pair is not used: it has none, or one at its end."""
    return s.birth[channel] < 0 or s.slot[run] + 1 - s.birth[channel] > w.law.lifetime


@njit(cache=True, error_model="numpy")
def densest_first(w, columns, room, asked):
    """Columns taken by worth over the root of their links; and whether every request has what is best for it alone."""
    lengths = np.diff(columns.indptr)
    order = np.argsort(-columns.worth / np.sqrt(lengths))
    best, got = np.zeros(asked), np.zeros(asked)
    chosen, count = np.empty(len(order), dtype=np.int64), 0
    for j in range(len(columns.worth)):
        best[columns.request[j]] = max(best[columns.request[j]], columns.worth[j])
    for j in order:
        k = columns.request[j]
        if got[k] > 0.0 or not _fits(w, columns, room, j):
            continue
        _take(w, columns, room, j)
        got[k] = columns.worth[j]
        chosen[count] = j
        count += 1
    return chosen[:count].copy(), bool((got >= best).all())


@lean
def _fits(w, columns, room, j):
    """Whether there is room for a column."""
    fit = True
    for at in range(columns.indptr[j], columns.indptr[j + 1]):
        e = columns.links[at]
        if columns.stored[at]:
            fit = fit and room.stored[e] > 0
        else:
            room.qubits[w.tail[e]] -= 1
            room.qubits[w.head[e]] -= 1
            fit = fit and room.free[e] > 0 and room.qubits[w.tail[e]] >= 0 and room.qubits[w.head[e]] >= 0
    for at in range(columns.indptr[j], columns.indptr[j + 1]):
        e = columns.links[at]
        if not columns.stored[at]:
            room.qubits[w.tail[e]] += 1
            room.qubits[w.head[e]] += 1
    return fit


@lean
def _take(w, columns, room, j):
    """Take what a column needs out of the room."""
    for at in range(columns.indptr[j], columns.indptr[j + 1]):
        e = columns.links[at]
        if columns.stored[at]:
            room.stored[e] -= 1
        else:
            room.free[e] -= 1
            room.qubits[w.tail[e]] -= 1
            room.qubits[w.head[e]] -= 1


# --- what is done ---


@njit(cache=True, error_model="numpy")
def carry_out(w, s, run, asked, columns, chosen, idle, reserve, belief, work, active, log):
    """Serve what is ready, and say which channels shall try: those that the others need, then idle ones.

    Parameters
    ----------
    idle
        Links in the order in which those that no route needs may try.
    reserve
        Qubits that these leave free at every node. A try that fails needs none, so a channel counts as much as it is
        likely to make a pair.
    active : (C,) bool
        Filled in for the channels of the run.
    """
    for j in chosen:
        if not columns.ready[j]:
            continue
        length, k = columns.indptr[j + 1] - columns.indptr[j], asked[columns.request[j]]
        quality = 1.0
        for i in range(length):
            e = columns.links[columns.indptr[j] + i]
            quality *= work.offer[e]
            work.route[i] = work.youngest[e]
        if quality >= w.need[k]:
            use_route(w, s, run, k, work.route, length, log)
            taken(w, s, run, work.route, length, work)
    active[w.channels[run] : w.channels[run + 1]] = False
    qubits = room_of(w, s, run).qubits.astype(np.float64)
    for j in chosen:
        if s.served[asked[columns.request[j]]] >= 0:
            continue
        for at in range(columns.indptr[j], columns.indptr[j + 1]):
            if not columns.stored[at]:
                _switch_on(w, s, run, columns.links[at], qubits, 1.0, 1.0, active)
    for e in idle:
        share = max(belief.chance[e], _LEAST_SHARE)
        while _switch_on(w, s, run, e, qubits, share, reserve + share, active):
            pass


@lean
def _switch_on(w, s, run, link, qubits, share, least, active):
    """Let one more free channel of a link try, where its nodes have qubits to spare."""
    if qubits[w.tail[link]] < least or qubits[w.head[link]] < least:
        return False
    for channel in range(w.first[link], w.first[link + 1]):
        if free_next(w, s, run, channel) and not active[channel]:
            active[channel] = True
            qubits[w.tail[link]] -= share
            qubits[w.head[link]] -= share
            return True
    return False
