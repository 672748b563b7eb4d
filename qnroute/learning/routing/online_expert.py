"""What each choice is worth, as the mean over sampled futures: what an online policy imitates, and may look at itself.

Futures are drawn of the demand, not the true one, and the same for every choice at hand; the row programs (`outlook`)
go on from there. Choosing the best is a rollout of these (Bertsekas and Castanon, J. Heuristics 5, 1999): with enough
samples never worse than they are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.learning.routing.online import FEATURES, REFUSE, OnlineBatch, fits, loss

_NET = FEATURES.index("net")
_BETWEEN = 16  # futures played between two looks at who leads


class Look(NamedTuple):
    """How futures are looked into."""

    samples: int = 32  # of them at most
    tried: int = 3  # candidates beside refusal that they are played for
    trust: float = 0.0  # futures that a guess of the gains is worth
    sure: float = np.inf  # standard errors by which the best choice must lead for no more futures


def gains(batch: OnlineBatch, episodes: np.ndarray, rng: np.random.Generator, look: Look) -> np.ndarray:
    """(n, C + 1) what each choice gains over refusal in the long run, in units of the instance; NaN if not possible.

    Tried are the candidates highest by the row programs. The others gain what these programs say, but no more than the
    least of those tried.
    """
    net = batch.view.seen[episodes, :, _NET]
    found, _ = sampled_gains(batch, episodes, rng, net.astype(np.float64), look)
    least = np.where(np.isnan(found[:, 1:]), np.inf, found[:, 1:]).min(axis=1, keepdims=True)
    rest = batch.view.mask[episodes] & np.isnan(found)
    return np.where(rest, np.minimum(net, least), found)


def sampled_gains(
    batch: OnlineBatch, episodes: np.ndarray, rng: np.random.Generator, guess: np.ndarray, look: Look
) -> tuple[np.ndarray, np.ndarray]:
    """What refusal and the candidates of the highest guesses gain in futures, and how many were played.

    Parameters
    ----------
    guess : (n, C + 1) gains over refusal, for what it is worth

    Returns
    -------
    (n, C + 1) as `gains`, NaN for candidates that were not tried; (n,) int64
    """
    known, longest = batch.known, int(batch.known.demand.count.max())
    futures = rng.random((2, look.samples, longest))
    reach = np.cumsum(known.demand.rate)
    found, played = np.full((len(episodes), batch.view.mask.shape[1]), np.nan), np.zeros(len(episodes), dtype=np.int64)
    _gains(known, batch.come, batch.state, batch.view.mask, episodes, futures, reach, guess, look, found, played)
    return found, played


@njit(cache=True, error_model="numpy")
def _gains(known, come, state, mask, episodes, futures, reach, guess, look, found, played):
    lot, demand = known.lot, known.demand
    for n in range(len(episodes)):
        e = episodes[n]
        b, place = state.instance[e], state.place[e]
        t, first, unit = demand.count[b] - place - 1, lot.first[come.group[e, place]], known.outlook.unit[b]
        order, gain = _highest(guess[n], mask[e], look.tried), found[n]
        brought = np.zeros(len(order))
        for i in range(len(order)):
            brought[i] = come.weight[e, place] * lot.value[first + order[i] - 1]
        items, shown = first + order - 1, mask.shape[1] - 1
        after = np.zeros((len(order), futures.shape[1]))
        played[n] = _played(
            known, b, state.left[e], t, items, shown, futures, reach, brought / unit, guess[n][order], look, after
        )  # fmt: skip
        gain[REFUSE] = 0.0
        for i in range(len(order)):
            total = 0.0
            for s in range(played[n]):
                total += after[i, s]
            gain[order[i]] = (brought[i] + total / played[n]) / unit


@njit(cache=True, error_model="numpy")
def _played(known, b, left, t, items, shown, futures, reach, brought, guess, look, after):
    """Fill `after` with what follows each item less what follows refusal, a column for each future; how many."""
    lot, start, unit = known.lot, known.lot.rows[b], known.outlook.unit[b]
    group, weight = np.zeros(futures.shape[2], dtype=np.int64), np.zeros(futures.shape[2])
    for s in range(futures.shape[1]):
        _drawn(lot, known.demand, b, reach, futures[0, s], futures[1, s], t, group, weight)
        without = _completed(known, b, left.copy(), group, weight, t, shown)
        for i in range(len(items)):
            then = left.copy()
            _take(lot, then, start, items[i])
            after[i, s] = _completed(known, b, then, group, weight, t, shown) - without
        if look.sure < np.inf and (s + 1) % _BETWEEN == 0 and _leads(after[:, : s + 1] / unit, brought, guess, look):
            return s + 1
    return futures.shape[1]


@njit(cache=True, error_model="numpy")
def _leads(after, brought, guess, look):
    """Whether the best choice by futures and guesses is ahead of the others by more than chance would have it."""
    count, several = after.shape[1], np.zeros((len(brought) + 1, after.shape[1]))
    both = np.zeros(len(several))
    for i in range(len(brought)):
        several[i + 1] = after[i] + brought[i]
        both[i + 1] = (look.trust * guess[i] + several[i + 1].sum()) / (look.trust + count)
    best = both.argmax()
    for i in range(len(several)):
        spread = (several[best] - several[i]).std() / np.sqrt(look.trust + count)
        if i != best and both[best] - both[i] <= look.sure * spread:
            return False
    return True


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
