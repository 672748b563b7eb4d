"""What demand to come makes of capacities: bid prices of the expected demand, and a dynamic program for each row.

Prices solve the program in which demand comes as expected, in fractions (Talluri and van Ryzin, The Theory and Practice
of Revenue Management, 2004, sec. 3.3): min over u >= 0 of

    sum_r left_r u_r + n sum_k rate_k E_w max(0, max_j in k (w value_j - sum_r amount_rj u_r))

by a subgradient method, the weight w at so many even levels. Each row by itself is then a dynamic program (sec. 3.4.4):
what x units of it are worth with t requests to come, when all other rows cost their prices. An item costs what its
rows lose; that cost knows that units are whole and that luck may still turn, which prices do not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.errors import ProblemError
from qnroute.learning.routing.demand import Demand
from qnroute.models.lots import Lot

LEVELS = 5  # of the weight
ROUNDS = 300
MOST_WORTHS = 500_000_000  # 2 GB


class Outlook(NamedTuple):
    """What is known before the first request of each instance comes."""

    price: np.ndarray  # (R,) bid prices
    used: np.ndarray  # (R,) expected use
    at: np.ndarray  # (R + 1,) int64, where the worths of each row begin
    worth: np.ndarray  # float32: of x units with t requests to come, at place at + t (capacity + 1) + x
    unit: np.ndarray  # (B,) mean value of the best route of a request


def outlook_of(lot: Lot, demand: Demand, *, rounds: int = ROUNDS) -> Outlook:
    """Prices and worths for every instance of a lot."""
    sizes = np.repeat(demand.count + 1, np.diff(lot.rows)) * (lot.capacity.astype(np.int64) + 1)
    if sizes.sum() > MOST_WORTHS:
        raise ProblemError(
            f"count: {int(demand.count.max())} requests by {len(sizes)} rows of {lot.capacity.max():g} units at most "
            f"are {sizes.sum():.3g} worths, expected {MOST_WORTHS:,} at most; take fewer requests or less room"
        )
    at = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    best = demand.rate * lot.value[lot.first[:-1]]
    unit = np.add.reduceat(best, lot.groups[:-1]) * 0.5 * (demand.low + demand.high)
    found = Outlook(np.zeros(len(lot.capacity)), np.zeros(len(lot.capacity)), at, np.zeros(at[-1], np.float32), unit)
    _look(lot, demand, found, rounds)
    return found


@njit(cache=True, error_model="numpy")
def _look(lot, demand, outlook, rounds):
    for b in range(len(lot.unit)):
        rows = slice(lot.rows[b], lot.rows[b + 1])
        left, price, used = lot.capacity[rows].copy(), outlook.price[rows], outlook.used[rows]
        expect(lot, demand, b, left, float(demand.count[b]), outlook.unit[b], price, used, rounds, 0.1)
        for r in range(rows.start, rows.stop):
            _row_worths(lot, demand, outlook, b, r)


@njit(cache=True, error_model="numpy")
def expect(lot, demand, b, left, count, unit, price, used, rounds, step):
    """Bid prices with so many requests to come, from those given on, in place; and the use expected of each row."""
    here, best, stuck = price.copy(), np.inf, 0
    use = np.zeros(len(left))
    step *= unit
    for turn in range(rounds):
        total = _response(lot, demand, b, left, count, here, use)
        for r in range(len(here)):
            total += here[r] * left[r]
        if total < best * (1.0 - 1e-12):
            best, stuck = total, 0
            price[:], used[:] = here, use
        else:
            stuck += 1
            if stuck == 10:
                step, stuck = 0.7 * step, 0
        for r in range(len(here)):
            here[r] = max(here[r] + step * (use[r] - left[r]) / (1.0 + 0.02 * turn), 0.0)
    return best


@njit(cache=True, error_model="numpy")
def _response(lot, demand, b, left, count, price, use):
    """What demand gains at these prices, and uses; what does not fit is not for sale."""
    use[:] = 0.0
    start, total = lot.rows[b], 0.0
    step = (demand.high[b] - demand.low[b]) / LEVELS
    cost = np.empty(lot.items[b + 1] - lot.items[b])
    for k in range(lot.groups[b], lot.groups[b + 1]):
        first, last, share = lot.first[k], lot.first[k + 1], demand.rate[k] * count / LEVELS
        for j in range(first, last):
            cost[j - first] = 0.0
            for i in range(lot.indptr[j], lot.indptr[j + 1]):
                r = lot.row[i] - start
                cost[j - first] += np.inf if left[r] < lot.amount[i] else lot.amount[i] * price[r]
        for level in range(LEVELS):
            weight = demand.low[b] + step * (level + 0.5)
            best, top = -1, 0.0
            for j in range(first, last):
                net = weight * lot.value[j] - cost[j - first]
                if net > top:
                    best, top = j, net
            if best >= 0:
                total += share * top
                for i in range(lot.indptr[best], lot.indptr[best + 1]):
                    use[lot.row[i] - start] += share * lot.amount[i]
    return total


@njit(cache=True, error_model="numpy")
def _row_worths(lot, demand, outlook, b, r):
    """The dynamic program of a row: each request takes of it what gains most above doing without it."""
    room = int(lot.capacity[r])
    chance, gain = _wanted(lot, demand, outlook, b, r)
    now, then = np.zeros(room + 1), np.zeros(room + 1)
    at = outlook.at[r]
    for t in range(1, demand.count[b] + 1):
        then[:] = now
        for i in range(len(chance)):
            for x in range(1, room + 1):
                most = 0.0
                for a in range(1, min(x, gain.shape[1]) + 1):
                    most = max(most, gain[i, a - 1] - now[x] + now[x - a])
                then[x] += chance[i] * most
        now[:] = then
        outlook.worth[at + t * (room + 1) : at + (t + 1) * (room + 1)] = now


@njit(cache=True, error_model="numpy")
def _wanted(lot, demand, outlook, b, r):
    """Of every pair and weight that may use a row: chance, and by units used the gain above doing without."""
    step = (demand.high[b] - demand.low[b]) / LEVELS
    most = 1
    for i in range(lot.indptr[lot.items[b]], lot.indptr[lot.items[b + 1]]):
        if lot.row[i] == r:
            most = max(most, int(lot.amount[i]))
    pairs = lot.groups[b + 1] - lot.groups[b]
    chance, gain = np.zeros(pairs * LEVELS), np.zeros((pairs * LEVELS, most))
    count = 0
    for k in range(lot.groups[b], lot.groups[b + 1]):
        for level in range(LEVELS):
            weight = demand.low[b] + step * (level + 0.5)
            without, some = 0.0, False
            gain[count, :] = -np.inf
            for j in range(lot.first[k], lot.first[k + 1]):
                net, units = weight * lot.value[j], 0
                for i in range(lot.indptr[j], lot.indptr[j + 1]):
                    if lot.row[i] == r:
                        units = int(lot.amount[i])
                    else:
                        net -= lot.amount[i] * outlook.price[lot.row[i]]
                if units == 0:
                    without = max(without, net)
                else:
                    gain[count, units - 1] = max(gain[count, units - 1], net)
            for a in range(most):
                gain[count, a] -= without
                some = some or gain[count, a] > 0.0
            if some:
                chance[count] = demand.rate[k] / LEVELS
                count += 1
    return chance[:count], gain[:count]
