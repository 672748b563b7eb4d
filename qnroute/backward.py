"""Completions grown from the target, for listing routes where payments for cuts blur other bounds (compiled).

Labels at a node are completions of which none is worse than another in -ln P, payments, noise, hops and cuts. Joined to
a partial route they tell what it can still become, so that hardly any is grown in vain.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from qnroute.completion import PAID
from qnroute.labels import dominated, put
from qnroute.parity import at, both, some, together, turned
from qnroute.paths import _pop, _push

_SLIGHT = 1e-12  # of a limit, for sums in another order


@njit(cache=True, nogil=True)
def grow_back(graph, prices, around, labels, asked, floor, stop):
    """Fill labels with completions that a route above the floor may end with; their number, negative if not all.

    The cuts around must be `marked` already. Hops count even where no rule limits them: completions may pass a node
    twice, and only their number ends those that go round for free.
    """
    by_noise = asked.max_noise < np.inf
    near, most, cuts = around.left[PAID], labels.node.size - graph.indptr.size, prices.pair.size > 0
    slight = 1.0 + _SLIGHT
    put(labels, 0, asked.target, -1, 0.0, 0.0, 0.0, 0, at(around.node_bits, asked.target) if cuts else (0, 0))
    labels.key[0], labels.item[0] = -np.inf, 0
    size = n_labels = 1
    while size > 0:
        if stop[0] or n_labels > most:
            return -n_labels
        label = labels.item[0]
        _pop(labels.key, labels.item, size)
        size -= 1
        u = labels.node[label]
        if labels.dead[label] or u == asked.source:
            continue
        for a in range(graph.indptr[u], graph.indptr[u + 1]):
            v, e = graph.neighbour[a], graph.link[a]
            if v == asked.target or near[v] == np.inf:
                continue
            cost, paid, odd = graph.link_cost[e], labels.paid[label] + prices.link[e], at(labels.odd, label)
            if cuts:
                due, odd = turned(around.bits, odd, at(around.link_bits, e))
                paid += due
            if u != asked.target:
                cost += graph.node_cost[u]
                paid += prices.passed[u]
                if cuts:
                    due, odd = turned(around.bits, odd, at(around.node_bits, u))
                    paid += due
            if asked.fall > 0.0:
                paid += asked.fall * cost
                cost = 0.0
            else:
                cost += labels.cost[label]
            bound = asked.worth * np.exp(-cost) - paid
            noise, hops = labels.noise[label] + graph.link_noise[e], labels.hops[label] + 1
            if not bound > floor or noise > asked.max_noise * slight or hops > asked.max_hops:
                continue
            if dominated(labels, around.bits, v, cost, paid, noise, hops, odd, by_noise, True):
                continue
            put(labels, n_labels, v, label, cost, paid, noise, hops, odd)
            _push(labels.key, labels.item, size, -bound, n_labels)
            size += 1
            n_labels += 1
    return n_labels


@njit(cache=True, nogil=True)
def joined(back, bits, asked, v, cost, paid, noise, hops, odd):
    """The best price of a partial route at v with any completion; minus infinity if there is none."""
    best = -np.inf
    other = back.first[v]
    while other >= 0:
        fits = noise + back.noise[other] <= asked.max_noise * (1.0 + _SLIGHT)
        fits = fits and hops + back.hops[other] <= asked.max_hops
        if fits and not back.dead[other]:
            price = asked.worth * np.exp(-cost - back.cost[other]) - paid - back.paid[other]
            if price > best and some(both(odd, at(back.odd, other))):
                price -= together(bits, odd, at(back.odd, other))
            best = max(best, price)
        other = back.following[other]
    return best
