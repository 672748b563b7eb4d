"""Routes of one request grown from its source, those that promise most first (compiled).

A label is dropped where no completion can be worth enough (`qnroute.completion`), or, unless all routes are wanted,
where another makes it superfluous (`qnroute.labels`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from qnroute.backward import joined
from qnroute.completion import COST, HOPS, MIXED, NOISE, PAID, cost_at
from qnroute.labels import dominated, put
from qnroute.parity import at, turned
from qnroute.paths import _pop, _push, _visited


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
        curve = max(best + slope * left[COST, v], max(least, 0.0) + slope * (cost_at(asked, least) - cost))
        bound = min(bound, curve - left[MIXED, v] - paid)
    return bound


@njit(cache=True, nogil=True)
def grow(graph, prices, around, labels, back, n_back, asked, slope, floor, stop):
    """Grow the routes of one request whose price (ends not paid) exceeds the floor.

    `back` are its `n_back` completions (`qnroute.backward`), if they are known. The first label, at the source, must be
    there, and the cuts around be `marked`.

    Returns how many labels there are, how many of them `found`, and a bound on the price of routes not found.
    """
    by_noise, by_hops = asked.max_noise < np.inf, asked.max_hops < around.none.size - 1
    left, most = around.left, labels.node.size - graph.indptr.size
    cuts = prices.pair.size > 0
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
            odd = at(labels.odd, label)
            if cuts:
                due, odd = turned(around.bits, odd, at(around.link_bits, e))
                paid += due
                due, odd = turned(around.bits, odd, at(around.node_bits, v))
                paid += due
            bound = _promise(asked, left, slope, floor, v, cost, paid)
            if not bound > floor:
                continue
            noise, hops = labels.noise[label] + graph.link_noise[e], labels.hops[label] + 1
            if by_noise and noise + left[NOISE, v] > asked.max_noise:
                continue
            if by_hops and hops + left[HOPS, v] > asked.max_hops:
                continue
            if n_back and v != asked.target:
                bound = min(bound, joined(back, around.bits, asked, v, cost, paid, noise, hops, odd))
                if not bound > floor:
                    continue
            if asked.everything:
                if _visited(labels.node, labels.parent, label, v):
                    continue
            elif dominated(labels, around.bits, v, cost, paid, noise, hops, odd, by_noise, by_hops):
                continue
            put(labels, n_labels, v, label, cost, paid, noise, hops, odd)
            _push(labels.key, labels.item, size, -bound, n_labels)
            size += 1
            n_labels += 1
    return n_labels, n_found, floor
