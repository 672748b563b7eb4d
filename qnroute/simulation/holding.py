"""Pairs to hold: routes over what is stored whose pairs are worth more held, or gone, than stored. Compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from qnroute.simulation.lean import lean


@njit(cache=True, error_model="numpy")
def worth_holding(w, s, run, demands, tuning, prices, quality, least, routes, lengths, worths):
    """The routes of at most `longest` links that are worth most, and more than `least`: what they free, and what their
    ends may ask for, less a place. Looks at all; of routes worth the same the first one found.

    Parameters
    ----------
    prices : (L, A) of pairs by link and age
    quality : (C,) of what channels offer, 0 where nothing
    routes, lengths, worths : (K, longest), (K,), (K,), filled in, the best first

    Returns
    -------
    int
        How many there are.
    """
    longest, slot, most, count = tuning.longest, s.slot[run], len(worths), 0
    node, edge = np.empty(longest + 1, dtype=np.int64), np.empty(longest + 1, dtype=np.int64)
    kept, paid = np.ones(longest + 1), np.zeros(longest + 1)
    taken = np.empty(longest + 1, dtype=np.int64)
    for source in range(w.nodes[run], w.nodes[run + 1]):
        depth, node[0], edge[0] = 0, source, w.indptr[source]
        while depth >= 0:
            if depth == longest or edge[depth] == w.indptr[node[depth] + 1]:
                depth -= 1
                continue
            e, there = w.via[edge[depth]], w.neighbour[edge[depth]]
            edge[depth] += 1
            channel = _stalest(w, s, e, quality)
            if channel < 0 or _among(node, depth, there):
                continue
            now = kept[depth] * quality[channel]
            if now < w.law.least:
                continue
            price = paid[depth] + prices[e, min(slot - s.birth[channel], prices.shape[1] - 1)]
            taken[depth] = channel
            worth = -tuning.place - price
            if source < there and worth + tuning.trust > least:  # a chance is at most 1
                worth += tuning.trust * forecast_use(w, s, run, demands, source, there, now)
                if worth > least:
                    count = min(count + 1, most)
                    _insert(taken, depth + 1, worth, routes, lengths, worths, count)
                    if count == most:
                        least = worths[count - 1]
            depth += 1
            node[depth], edge[depth], kept[depth], paid[depth] = there, w.indptr[there], now, price
    return count


@lean
def _insert(route, length, worth, routes, lengths, worths, count):
    """Put a route behind all that are worth as much, of `count` with it."""
    at = count - 1
    while at > 0 and worths[at - 1] < worth:
        worths[at], lengths[at] = worths[at - 1], lengths[at - 1]
        for i in range(lengths[at]):
            routes[at, i] = routes[at - 1, i]
        at -= 1
    worths[at], lengths[at] = worth, length
    for i in range(length):
        routes[at, i] = route[i]


@lean
def _stalest(w, s, link, quality):
    """The channel of a link whose pair is oldest, of those still on offer; -1 where there is none."""
    found = -1
    for channel in range(w.first[link], w.first[link + 1]):
        if quality[channel] > 0.0 and (found < 0 or s.birth[channel] < s.birth[found]):
            found = channel
    return found


@lean
def _among(node, depth, there):
    for i in range(depth + 1):
        if node[i] == there:
            return True
    return False


@njit(cache=True, error_model="numpy")
def forecast_use(w, s, run, demands, low, high, quality):
    """The chance that a held pair of that quality serves a forecast request before it is too old."""
    j = pair_number(w, run, demands, low, high)
    if j < 0:
        return 0.0
    for place in range(run * w.held, run * w.held + s.holding[run]):
        if s.low[place] == low and s.high[place] == high:
            return 0.0
    ahead, chance, left = demands.ahead[min(s.slot[run], len(demands.ahead) - 1), j], 0.0, 1.0
    for step in range(min(len(ahead), w.law.lifetime)):
        then = quality * w.law.decays[step + 1]
        if then < w.law.least:
            break
        kept = np.searchsorted(demands.floors[run], then, side="right") / demands.floors.shape[1]
        used = ahead[step] * kept
        chance += left * used
        left *= 1.0 - used
    return chance


@njit(cache=True, error_model="numpy")
def pair_number(w, run, demands, u, v):
    """The number of the pair of two nodes among those that are known to ask; -1 if they are not."""
    key = min(u, v) * len(w.memory) + max(u, v)
    low, high = demands.first[run], demands.first[run + 1]
    at = low + np.searchsorted(demands.key[low:high], key)
    return at if at < high and demands.key[at] == key else -1
