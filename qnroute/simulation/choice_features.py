"""What candidates look like to a policy, compiled: prices, ages, what there is to spare, what others would lose."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from qnroute.simulation.desk import MOST, NOBODY, offered, price_of
from qnroute.simulation.holding import forecast_use
from qnroute.simulation.lean import lean
from qnroute.simulation.prospects import chance_of
from qnroute.simulation.slot import ends


@njit(cache=True, error_model="numpy")
def show(w, s, run, count, sight, desk, work):
    """Fill in the features of waiting and of the candidates of the decision at hand."""
    seen, k, slot = desk.seen[run], desk.request[run], s.slot[run]
    seen[:] = 0.0
    waiting, ready = 0, 0
    for i in range(w.requests[run], w.requests[run] + s.queued[run]):
        if s.served[s.queue[i]] < 0:
            waiting += 1
            ready += 1 if desk.prospect[s.queue[i]] > 0.999 else 0
    for i in range(count + 1):
        f = seen[i]
        f[0], f[1], f[2] = (1.0 if k == NOBODY else 0.0), (w.held - s.holding[run]) / max(w.held, 1), waiting / 8.0
        f[23] = ready / 4.0
        if k >= 0:
            f[13], f[14], f[18] = (w.deadline[k] - slot) / 12.0, w.weight[k], w.need[k]
    for i in range(count):
        _features(w, s, run, i, k, sight, desk, work, seen[i + 1])
    for i in range(count + 1):
        for j in range(seen.shape[1]):
            seen[i, j] = min(max(seen[i, j], -MOST), MOST)


@njit(cache=True, error_model="numpy")
def _features(w, s, run, place, k, sight, desk, work, f):
    route, length, slot = desk.route[run, place], desk.length[run, place], s.slot[run]
    price, ages, oldest, dearest, least, quality, fresh = 0.0, 0, 0, -np.inf, np.inf, 1.0, 0
    for i in range(length):
        here, age = price_of(w, s, run, route[i], desk), slot - s.birth[route[i]]
        price, ages, oldest = price + here, ages + age, max(oldest, age)
        dearest, least, quality = max(dearest, here), min(least, here), quality * desk.quality[route[i]]
        fresh += 1 if age == 0 else 0
    fade = -math.log(w.law.decays[1])
    need = w.need[k] if k >= 0 else w.law.least
    spare = math.log(quality / need) / fade if need > 0.0 and fade > 0.0 else 15.0
    f[3] = 1.0
    f[5], f[6], f[7], f[8] = price, length / 4.0, ages / (15.0 * length), oldest / 15.0
    f[9] = min(spare, 15.0) / 15.0
    f[16], f[17], f[20], f[21] = dearest, least, place / 8.0, fresh / length
    if k >= 0:
        f[4] = w.weight[k] - price
    else:
        low, high = ends(w, route, length)
        f[15] = forecast_use(w, s, run, sight.demands, low, high, quality)
        f[4] = sight.tuning.trust * f[15] - sight.tuning.place - price
    f[10], f[11], f[12], f[22], f[19] = _consequences(w, s, run, route, length, k, sight, desk, work)
    f[24], f[25], f[26] = _fine(f[4]), _fine(dearest), _fine(least)
    f[27] = _fine(f[10])


@lean
def _fine(value):
    """A small value in a unit in which it can be told from others."""
    return min(max(25.0 * value, -4.0), 4.0)


@njit(cache=True, error_model="numpy")
def _consequences(w, s, run, route, length, k, sight, desk, work):
    """What using up a route does to the prospects of the others that wait: in sum, the worst, the best, how many lose.

    And what the request itself would have by then.
    """
    births = np.empty(length, dtype=np.int64)
    for i in range(length):
        births[i] = s.birth[route[i]]
        s.birth[route[i]] = -1
        desk.touched[w.link[route[i]]] = True
        offered(w, s, run, w.link[route[i]], work)
    total, worst, best, losing, again = 0.0, 0.0, 0.0, 0, 0.0
    for i in range(w.requests[run], w.requests[run] + s.queued[run]):
        other = s.queue[i]
        if s.served[other] >= 0:
            continue
        if other == k:
            again = prospect_without(w, s, run, other, sight, desk, work)
            continue
        change = w.weight[other] * (prospect_without(w, s, run, other, sight, desk, work) - desk.prospect[other])
        total, worst, best = total + change, min(worst, change), max(best, change)
        losing += 1 if change < -0.01 else 0
    for i in range(length):
        s.birth[route[i]] = births[i]
    for i in range(length):
        desk.touched[w.link[route[i]]] = False
        offered(w, s, run, w.link[route[i]], work)
    return total, worst, best, losing / 4.0, again


@njit(cache=True, error_model="numpy")
def prospect(w, s, run, k, sight, desk, work):
    """The chance that a request that waits is served by the best of its likely routes, by its deadline."""
    best, left = 0.0, w.deadline[k] - s.slot[run]
    plan = sight.plan
    for r in range(plan.routes[k], plan.routes[k + 1]):
        links = plan.links[plan.indptr[r] : plan.indptr[r + 1]]
        desk.chance[r], _ = chance_of(w, s, run, w.source[k], w.need[k], left, links, sight.belief, work)
        best = max(best, desk.chance[r])
    return best


@njit(cache=True, error_model="numpy")
def prospect_without(w, s, run, k, sight, desk, work):
    """The same where the links touched have lost a pair: only routes over them are looked at anew."""
    best, left = 0.0, w.deadline[k] - s.slot[run]
    plan = sight.plan
    for r in range(plan.routes[k], plan.routes[k + 1]):
        hit = False
        for i in range(plan.indptr[r], plan.indptr[r + 1]):
            hit = hit or desk.touched[plan.links[i]]
        chance = desk.chance[r]
        if hit:
            links = plan.links[plan.indptr[r] : plan.indptr[r + 1]]
            chance, _ = chance_of(w, s, run, w.source[k], w.need[k], left, links, sight.belief, work)
        best = max(best, chance)
    return best
