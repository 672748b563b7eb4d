"""Label setting: routes of one request grown from its source, those that promise most first (compiled).

A label is a partial route. One is dropped where no completion can be worth enough (`qnroute.completion`), or, unless
all routes are wanted, where another at the same node is no worse in -ln P, payments, noise and hops. Payments count
what the other may still have to pay for cuts (`qnroute.parity`) that it has used an odd number of times.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.completion import COST, HOPS, MIXED, NOISE, PAID, cost_at
from qnroute.parity import marked, paid_for
from qnroute.paths import _pop, _push, _visited


class Labels(NamedTuple):
    """Partial routes: where each ends, how it came there, and what it adds up."""

    node: np.ndarray
    parent: np.ndarray
    following: np.ndarray  # the next label at the same node
    hops: np.ndarray
    dead: np.ndarray
    cost: np.ndarray
    paid: np.ndarray
    noise: np.ndarray
    odd: np.ndarray  # bits of the cuts used an odd number of times
    key: np.ndarray  # heap of -bound, and of labels
    item: np.ndarray
    first: np.ndarray  # (n,) a label at each node
    found: np.ndarray  # labels of whole routes


@njit(cache=True, nogil=True)
def room_for_labels(n, most, count):
    """Empty labels, for a search that stops once it holds `most` or has found `count` routes."""
    room = most + n + 1
    return Labels(
        np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64),
        np.empty(room, np.bool_), np.empty(room), np.empty(room), np.empty(room),
        np.empty(room, np.int64), np.empty(room), np.empty(room, np.int64), np.full(n, -1, np.int64),
        np.empty(count, np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _put(labels, new, node, parent, cost, paid, noise, hops, odd):
    labels.node[new], labels.parent[new], labels.hops[new], labels.dead[new] = node, parent, hops, False
    labels.cost[new], labels.paid[new], labels.noise[new], labels.odd[new] = cost, paid, noise, odd
    labels.following[new] = labels.first[node]
    labels.first[node] = new


@njit(cache=True, nogil=True)
def forget_labels(labels, count):
    """Make room for the next request."""
    for label in range(count):
        labels.first[labels.node[label]] = -1


@njit(cache=True, nogil=True)
def _dominated(labels, bit_price, v, cost, paid, noise, hops, odd, by_noise, by_hops):
    """Whether a label at v is no worse than this one; those that are no better than it die."""
    other = labels.first[v]
    while other >= 0:
        if not labels.dead[other]:
            no_worse = labels.cost[other] <= cost and labels.paid[other] <= paid
            no_better = labels.cost[other] >= cost and labels.paid[other] >= paid
            if by_noise:
                no_worse = no_worse and labels.noise[other] <= noise
                no_better = no_better and labels.noise[other] >= noise
            if by_hops:
                no_worse = no_worse and labels.hops[other] <= hops
                no_better = no_better and labels.hops[other] >= hops
            if no_worse and labels.odd[other] & ~odd:
                no_worse = labels.paid[other] + paid_for(labels.odd[other] & ~odd, bit_price) <= paid
            if no_better and odd & ~labels.odd[other]:
                no_better = labels.paid[other] >= paid + paid_for(odd & ~labels.odd[other], bit_price)
            if no_worse:
                return True
            if no_better:
                labels.dead[other] = True
        other = labels.following[other]
    return False


@njit(cache=True, nogil=True)
def _promise(asked, left, slope, floor, v, cost, paid):
    """A bound on the price of routes through a label at v; the floor where there are none above it."""
    if asked.fall > 0.0:
        return asked.worth - paid - left[PAID, v]
    best = asked.worth * np.exp(-cost - left[COST, v])
    least = floor + paid + left[PAID, v]
    if not best > least:
        return floor
    bound = best - paid - left[PAID, v]
    if slope > 0.0:  # a convex fall is highest above a line at its ends
        curve = max(best + slope * left[COST, v], least + slope * (cost_at(asked, least) - cost))
        bound = min(bound, curve - left[MIXED, v] - paid)
    return bound


@njit(cache=True, nogil=True)
def grow(graph, prices, around, labels, asked, slope, floor, stop):
    """Grow the routes of one request whose price (ends not paid) exceeds the floor.

    Returns how many labels there are, how many of them `found`, and a bound on the price of routes not found.
    """
    by_noise, by_hops = asked.max_noise < np.inf, asked.max_hops < around.none.size - 1
    left, most = around.left, labels.node.size - graph.indptr.size
    cuts, odd, paid = prices.pair.size > 0, 0, 0.0
    if cuts:
        odd, paid = marked(graph, prices, around, asked, PAID)
    _put(labels, 0, asked.source, -1, 0.0, paid, 0.0, 0, odd)
    labels.key[0], labels.item[0] = -np.inf, 0
    size = n_labels = 1
    n_found = 0
    while size > 0:
        label, bound = labels.item[0], -labels.key[0]
        if n_found == labels.found.size or stop[0] or n_labels > most:
            return n_labels, n_found, bound
        _pop(labels.key, labels.item, size)
        size -= 1
        if labels.dead[label]:
            continue
        u = labels.node[label]
        if u == asked.target:
            labels.found[n_found] = label
            n_found += 1
            continue
        for a in range(graph.indptr[u], graph.indptr[u + 1]):
            v, e = graph.neighbour[a], graph.link[a]
            if v == asked.source or left[PAID, v] == np.inf:
                continue
            cost, paid = graph.link_cost[e], labels.paid[label] + prices.link[e]
            if v != asked.target:
                cost += graph.node_cost[v]
                paid += prices.passed[v]
            if asked.fall > 0.0:  # a value that falls evenly is paid step by step
                paid += asked.fall * cost
                cost = 0.0
            else:
                cost += labels.cost[label]
            odd = labels.odd[label]
            if cuts:
                paid += paid_for(odd & around.link_bits[e], around.bit_price)
                odd ^= around.link_bits[e]
                paid += paid_for(odd & around.node_bits[v], around.bit_price)
                odd ^= around.node_bits[v]
            bound = _promise(asked, left, slope, floor, v, cost, paid)
            if not bound > floor:
                continue
            noise, hops = labels.noise[label] + graph.link_noise[e], labels.hops[label] + 1
            if by_noise and noise + left[NOISE, v] > asked.max_noise:
                continue
            if by_hops and hops + left[HOPS, v] > asked.max_hops:
                continue
            if asked.everything:
                if _visited(labels.node, labels.parent, label, v):
                    continue
            elif _dominated(labels, around.bit_price, v, cost, paid, noise, hops, odd, by_noise, by_hops):
                continue
            _put(labels, n_labels, v, label, cost, paid, noise, hops, odd)
            _push(labels.key, labels.item, size, -bound, n_labels)
            size += 1
            n_labels += 1
    return n_labels, n_found, floor
