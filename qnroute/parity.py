"""Cuts of which every second use is paid, as a search along a route meets them (compiled).

A cut counts what a route uses of some resources and rounds half of that down. Whether the count is odd so far is one
more thing to know of a partial route: a bit for each cut that the route's surroundings can use twice. A cut may count
other cuts, too: their every second use is a use of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

_WORD = 62
MOST_BITS = 2 * _WORD  # a set of bits is a pair of words
_LOWEST = np.zeros(67, np.int64)  # place of a power of two, by its remainder: 2 is a primitive root of 67
_LOWEST[[pow(2, _b, 67) for _b in range(63)]] = range(63)


class Bits(NamedTuple):
    """The cuts around a request that are told apart, each a bit; those that a cut is counted in come after it."""

    price: np.ndarray  # (B,)
    counted: np.ndarray  # (B, 2) in which bits each is counted
    chained: np.ndarray  # (1, 2) those counted in any
    more: np.ndarray  # (B,) 0 between calls


@njit(cache=True, nogil=True)
def room_for_bits():
    """Bits without prices."""
    return Bits(
        np.zeros(MOST_BITS), np.zeros((MOST_BITS, 2), np.int64), np.zeros((1, 2), np.int64),
        np.zeros(MOST_BITS, np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def at(sets, i):
    """Row i of an array of sets."""
    return sets[i, 0], sets[i, 1]


@njit(cache=True, nogil=True)
def set_at(sets, i, bits):
    """Make a set row i of an array of sets."""
    sets[i, 0], sets[i, 1] = bits


@njit(cache=True, nogil=True)
def both(one, other):
    """What is in two sets."""
    return one[0] & other[0], one[1] & other[1]


@njit(cache=True, nogil=True)
def further(one, other):
    """What is in one set and not in the other."""
    return one[0] & ~other[0], one[1] & ~other[1]


@njit(cache=True, nogil=True)
def some(bits):
    """Whether there is anything in a set."""
    return bits[0] != 0 or bits[1] != 0


@njit(cache=True, nogil=True)
def _changed(one, other):
    return one[0] ^ other[0], one[1] ^ other[1]


@njit(cache=True, nogil=True)
def _joined(one, other):
    return one[0] | other[0], one[1] | other[1]


@njit(cache=True, nogil=True)
def _has(bits, b):
    return bits[0] >> b & 1 if b < _WORD else bits[1] >> (b - _WORD) & 1


@njit(cache=True, nogil=True)
def _only(b):
    return (1 << b, 0) if b < _WORD else (0, 1 << (b - _WORD))


@njit(cache=True, nogil=True)
def _first(bits):
    """The number of the first bit that is set, and the others."""
    low, high = bits
    if low:
        return _LOWEST[(low & -low) % 67], (low & (low - 1), high)
    return _WORD + _LOWEST[(high & -high) % 67], (low, high & (high - 1))


@njit(cache=True, nogil=True)
def used(prices, odd, twice, waiting, place):
    """Use all cuts of a place once more; what is to be paid for it. Cuts that are paid for are marked in `twice`."""
    paid, size = 0.0, 0
    for i in range(prices.at[place], prices.at[place + 1]):
        waiting[size] = prices.cut[i]
        size += 1
    while size > 0:
        size -= 1
        cut = waiting[size]
        if odd[cut]:
            paid += prices.pair[cut]
            twice[cut] = True
            for i in range(prices.counts[cut], prices.counts[cut + 1]):
                waiting[size] = prices.counted[i]
                size += 1
        odd[cut] = not odd[cut]
    return paid


@njit(cache=True, nogil=True)
def _paid_for(bits, price):
    paid = 0.0
    while some(bits):
        b, bits = _first(bits)
        paid += price[b]
    return paid


@njit(cache=True, nogil=True)
def turned(bits, odd, used):
    """What is to be paid where a set of bits is used once more, and which of them are odd then."""
    twice = both(odd, used)
    odd = _changed(odd, used)
    if not some(both(twice, at(bits.chained, 0))):
        return _paid_for(twice, bits.price), odd
    paid = 0.0
    while some(twice):
        b, twice = _first(twice)
        times = 1 + bits.more[b]
        bits.more[b] = 0
        paid += times * bits.price[b]
        counted = at(bits.counted, b)
        while some(counted):
            c, counted = _first(counted)
            count = times + _has(odd, c)
            if times & 1:
                odd = _changed(odd, _only(c))
            if count > 1:
                bits.more[c] += (count >> 1) - (1 - _has(twice, c))
                twice = _joined(twice, _only(c))
    return paid, odd


@njit(cache=True, nogil=True)
def together(bits, one, other):
    """What is to be paid, beyond what each paid, where two parts of a route meet that used `one` and `other` oddly."""
    twice = both(one, other)
    if not some(both(twice, at(bits.chained, 0))):
        return _paid_for(twice, bits.price)
    paid = 0.0
    while some(twice):
        b, twice = _first(twice)
        times = (_has(one, b) + _has(other, b) + bits.more[b]) >> 1
        bits.more[b] = 0
        if times:
            paid += times * bits.price[b]
            twice = _joined(twice, _counted_more(bits, b, times))
    return paid


@njit(cache=True, nogil=True)
def ahead(bits, one, other):
    """The most that a partial route which used `one` oddly may still pay beyond another, which used `other` oddly."""
    more, less = further(one, other), further(other, one)
    if not some(both(more, at(bits.chained, 0))):
        return _paid_for(more, bits.price)
    paid, waiting = 0.0, more
    while some(waiting):
        b, waiting = _first(waiting)
        count = _has(more, b) - _has(less, b) + bits.more[b]
        bits.more[b] = 0
        if count > 0:
            times = (count + 1) >> 1
            paid += times * bits.price[b]
            waiting = _joined(waiting, _counted_more(bits, b, times))
    return paid


@njit(cache=True, nogil=True)
def _counted_more(bits, b, times):
    """Count a bit so many times in others; in which."""
    counted = at(bits.counted, b)
    while some(counted):
        c, counted = _first(counted)
        bits.more[c] += times
    return at(bits.counted, b)


@njit(cache=True, nogil=True)
def _count(prices, times, place):
    for i in range(prices.at[place], prices.at[place + 1]):
        times[prices.cut[i]] += 1


@njit(cache=True, nogil=True)
def _mask(prices, bit, place):
    mask = (0, 0)
    for i in range(prices.at[place], prices.at[place + 1]):
        if bit[prices.cut[i]] >= 0:
            mask = _joined(mask, _only(bit[prices.cut[i]]))
    return mask


@njit(cache=True, nogil=True)
def _place(graph, asked, v):
    """The place that a route of the request uses at a node."""
    m, n = graph.link_cost.size, graph.indptr.size - 1
    if v == asked.source:
        return m + n + v
    return m + 2 * n + v if v == asked.target else m + v


@njit(cache=True, nogil=True)
def _dearest(prices, times, wanted):
    """The cuts used more than once, in order; if there are too many, those wanted and those whose uses cost most."""
    cuts = times.size
    for cut in range(cuts):
        for i in range(prices.counts[cut], prices.counts[cut + 1]):
            times[prices.counted[i]] += times[cut] >> 1
    local = np.flatnonzero(times > 1)
    if local.size <= MOST_BITS:
        return local
    price = prices.pair.copy()
    for cut in range(cuts - 1, -1, -1):
        for i in range(prices.counts[cut], prices.counts[cut + 1]):
            price[cut] += 0.5 * price[prices.counted[i]]
    price[wanted] += price.max()
    return np.sort(local[np.argsort(-price[local], kind="mergesort")[:MOST_BITS]])


@njit(cache=True, nogil=True)
def overlooked(around):
    """Whether the route at hand pays for cuts that have no bit, though there are bits for all that are wanted."""
    more = False
    for cut in range(around.twice.size):
        more = more or (around.twice[cut] and around.bit[cut] < 0)
    return more and around.wanted.sum() <= MOST_BITS


@njit(cache=True, nogil=True)
def marked(graph, prices, around, asked, which):
    """Give bits to the cuts around a request, wanted ones and the dearest if there are too many; set masks of places.

    A cut without a bit is not paid for, so that prices come out too high at most. `which` kind of what is left tells
    the surroundings. Returns the bits that are set at the source, and what is paid there.
    """
    m, n = graph.link_cost.size, graph.indptr.size - 1
    near, times, bit, bits = around.left[which], around.times, around.bit, around.bits
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
    local = _dearest(prices, times, around.wanted)
    bits.chained[:] = 0
    for b in range(local.size):
        bit[local[b]] = b
        bits.price[b] = prices.pair[local[b]]
    for b in range(local.size):
        counted = (0, 0)
        for i in range(prices.counts[local[b]], prices.counts[local[b] + 1]):
            if bit[prices.counted[i]] >= 0:
                counted = _joined(counted, _only(bit[prices.counted[i]]))
        set_at(bits.counted, b, counted)
        if some(counted):
            set_at(bits.chained, 0, _joined(at(bits.chained, 0), _only(b)))
    for i in range(around.reached[which]):
        v = around.touched[which, i]
        set_at(around.node_bits, v, _mask(prices, bit, _place(graph, asked, v)))
        for a in range(graph.indptr[v], graph.indptr[v + 1]):
            set_at(around.link_bits, graph.link[a], _mask(prices, bit, graph.link[a]))
    paid, odd = turned(bits, _mask(prices, bit, started), _mask(prices, bit, asking))
    return odd, paid
