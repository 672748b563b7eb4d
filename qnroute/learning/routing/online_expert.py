"""What each choice is worth, as the mean over sampled futures: what an online policy imitates, and may look at itself.

Futures are drawn of the demand, not the true one, and the same for every choice at hand; the row programs (`outlook`)
go on from there. Choosing the best is a rollout of these (Bertsekas and Castanon, J. Heuristics 5, 1999): with enough
samples never worse than they are.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from qnroute.learning.routing.online import FEATURES, REFUSE, OnlineBatch, fits, loss

_NET = FEATURES.index("net")


def gains(
    batch: OnlineBatch, episodes: np.ndarray, rng: np.random.Generator, *, samples: int = 32, tried: int = 3
) -> np.ndarray:
    """(n, C + 1) what each choice gains over refusal in the long run, in units of the instance; NaN if not possible.

    Parameters
    ----------
    tried
        Candidates that futures are played for, those highest by the row programs. The others gain what these programs
        say, but no more than the least of those tried.
    """
    net = batch.view.seen[episodes, :, _NET]
    found = sampled_gains(batch, episodes, rng, net, samples=samples, tried=tried)
    least = np.where(np.isnan(found[:, 1:]), np.inf, found[:, 1:]).min(axis=1, keepdims=True)
    rest = batch.view.mask[episodes] & np.isnan(found)
    return np.where(rest, np.minimum(net, least), found)


def sampled_gains(
    batch: OnlineBatch, episodes: np.ndarray, rng: np.random.Generator, rank: np.ndarray, *, samples: int, tried: int
) -> np.ndarray:
    """(n, C + 1) as `gains`, of refusal and of the candidates highest in `rank` (n, C + 1); NaN for the others."""
    known, longest = batch.known, int(batch.known.demand.count.max())
    futures = rng.random((2, samples, longest))
    reach = np.cumsum(known.demand.rate)
    found = np.full((len(episodes), batch.view.mask.shape[1]), np.nan)
    _gains(known, batch.come, batch.state, batch.view.mask, episodes, futures, reach, rank, tried, found)
    return found


@njit(cache=True, error_model="numpy")
def _gains(known, come, state, mask, episodes, futures, reach, rank, tried, found):
    lot, demand = known.lot, known.demand
    shown, longest = mask.shape[1], futures.shape[2]
    group, weight = np.zeros(longest, dtype=np.int64), np.zeros(longest)
    for n in range(len(episodes)):
        e = episodes[n]
        b, place = state.instance[e], state.place[e]
        t, start, unit = demand.count[b] - place - 1, lot.rows[b], known.outlook.unit[b]
        left, first = state.left[e], lot.first[come.group[e, place]]
        order, gain = _highest(rank[n], mask[e], tried), found[n]
        gain[REFUSE] = gain[order] = 0.0
        for s in range(futures.shape[1]):
            _drawn(lot, demand, b, reach, futures[0, s], futures[1, s], t, group, weight)
            without = _completed(known, b, left.copy(), group, weight, t, shown - 1)
            for action in order:
                after = left.copy()
                _take(lot, after, start, first + action - 1)
                gain[action] += _completed(known, b, after, group, weight, t, shown - 1) - without
        for action in order:
            worth = come.weight[e, place] * lot.value[first + action - 1]
            gain[action] = (worth + gain[action] / futures.shape[1]) / unit


@njit(cache=True, error_model="numpy")
def _highest(rank, mask, count):
    """Actions that take a candidate, so many of those highest in `rank`, best first."""
    some = np.flatnonzero(mask[1:]) + 1
    return some[np.argsort(-rank[some], kind="mergesort")][:count]


@njit(cache=True, error_model="numpy")
def _drawn(lot, demand, b, reach, chance, level, t, group, weight):
    """t requests of an instance from numbers in [0, 1)."""
    first, last = lot.groups[b], lot.groups[b + 1]
    before = reach[first - 1] if first else 0.0
    for s in range(t):
        group[s] = first + np.searchsorted(reach[first : last - 1], before + chance[s], side="right")
        weight[s] = demand.low[b] + (demand.high[b] - demand.low[b]) * level[s]


@njit(cache=True, error_model="numpy")
def _completed(known, b, left, group, weight, count, candidates):
    """What the row programs make of these requests."""
    lot, start, total = known.lot, known.lot.rows[b], 0.0
    for s in range(count):
        k, best, top = group[s], -1, 0.0
        for j in range(lot.first[k], min(lot.first[k + 1], lot.first[k] + candidates)):
            net = weight[s] * lot.value[j]
            if net <= top:
                break  # items come in the order of their values, and rows lose 0 at least
            if fits(lot, left, start, j):
                for i in range(lot.indptr[j], lot.indptr[j + 1]):
                    net -= loss(known, left, start, count - s - 1, i)
                if net > top:
                    best, top = j, net
        if best >= 0:
            total += weight[s] * lot.value[best]
            _take(lot, left, start, best)
    return total


@njit(cache=True, error_model="numpy")
def _take(lot, left, start, j):
    for i in range(lot.indptr[j], lot.indptr[j + 1]):
        left[lot.row[i] - start] -= lot.amount[i]
