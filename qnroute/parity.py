"""Cuts of which every second use is paid, as a search along a route meets them (compiled).

A cut counts what a route uses of some resources and rounds half of that down. Whether the count is odd so far is one
more thing to know of a partial route: a bit for each cut that the route's surroundings can use twice.
"""

from __future__ import annotations

import numpy as np
from numba import njit

MOST_BITS = 62


@njit(cache=True, nogil=True)
def used(prices, odd, place):
    """Use all cuts of a place once more; what is to be paid for it."""
    paid = 0.0
    for i in range(prices.at[place], prices.at[place + 1]):
        cut = prices.cut[i]
        if odd[cut]:
            paid += prices.pair[cut]
        odd[cut] = not odd[cut]
    return paid


@njit(cache=True, nogil=True)
def paid_for(bits, bit_price):
    """The prices of a set of bits together."""
    paid, bit = 0.0, 0
    while bits:
        if bits & 1:
            paid += bit_price[bit]
        bits >>= 1
        bit += 1
    return paid


@njit(cache=True, nogil=True)
def _count(prices, times, place):
    for i in range(prices.at[place], prices.at[place + 1]):
        times[prices.cut[i]] += 1


@njit(cache=True, nogil=True)
def _mask(prices, bit, place):
    mask = 0
    for i in range(prices.at[place], prices.at[place + 1]):
        if bit[prices.cut[i]] >= 0:
            mask |= 1 << bit[prices.cut[i]]
    return mask


@njit(cache=True, nogil=True)
def _place(graph, asked, v):
    """The place that a route of the request uses at a node."""
    m, n = graph.link_cost.size, graph.indptr.size - 1
    if v == asked.source:
        return m + n + v
    return m + 2 * n + v if v == asked.target else m + v


@njit(cache=True, nogil=True)
def marked(graph, prices, around, asked, which):
    """Give bits to the cuts around a request, the dearest if there are too many, and set the masks of places.

    A cut without a bit is not paid for, so that prices come out too high at most. `which` kind of what is left tells
    the surroundings. Returns the bits that are set at the source, and what is paid there.
    """
    m, n = graph.link_cost.size, graph.indptr.size - 1
    near, times, bit = around.left[which], around.times, around.bit
    times[:] = 0
    bit[:] = -1
    started, asking = m + n + asked.source, m + 3 * n + asked.number
    _count(prices, times, asking)
    for i in range(around.reached[which]):
        v = around.touched[which, i]
        _count(prices, times, _place(graph, asked, v))
        for a in range(graph.indptr[v], graph.indptr[v + 1]):
            if v < graph.neighbour[a] and near[graph.neighbour[a]] < np.inf:
                _count(prices, times, graph.link[a])
    local = np.flatnonzero(times > 1)
    if local.size > MOST_BITS:
        local = local[np.argsort(-prices.pair[local], kind="mergesort")[:MOST_BITS]]
    for b in range(local.size):
        bit[local[b]] = b
        around.bit_price[b] = prices.pair[local[b]]
    for i in range(around.reached[which]):
        v = around.touched[which, i]
        around.node_bits[v] = _mask(prices, bit, _place(graph, asked, v))
        for a in range(graph.indptr[v], graph.indptr[v + 1]):
            around.link_bits[graph.link[a]] = _mask(prices, bit, graph.link[a])
    one, other = _mask(prices, bit, started), _mask(prices, bit, asking)
    return one ^ other, paid_for(one & other, around.bit_price)
