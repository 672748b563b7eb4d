"""The chance that a route comes to serve in time: it stands now, or its links make the pairs that it lacks. Compiled.

Links that hold a pair are there already; the others must make one while the pairs at hand are still young enough
together for the floor. If they do not in that time, it begins again with fresh pairs for the rest of the slots.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.simulation.lean import lean

_SLACK = 1e-9  # in sums of noise


class Belief(NamedTuple):
    """What is believed of links now; of fidelities ``State.believed`` has the mean."""

    chance: np.ndarray  # (L,) that a channel that tries makes a pair
    variance: np.ndarray  # (L,) of -ln quality of a fresh pair
    horizon: int  # slots within which a route shall serve


class Stock(NamedTuple):
    """What a route has: sums over its links, in -ln quality."""

    held: float  # as it would be now if the links that hold no pair had fresh ones
    fresh: float  # if all had
    variance: float
    fade: float  # lost in a slot
    missing: int  # links without a pair
    room: int  # slots that all pairs stay
    swaps: float  # the chance that all swaps succeed


@njit(cache=True, error_model="numpy")
def chance_of(w, s, run, source, need, left, links, belief, work):
    """The chance that a route serves a need within so many slots after this one, and whether it can at once.

    `links` run from the source on; `work` has what each offers.
    """
    return chance_with(w.law, stock_of(w, s, run, source, links, belief, work), need, left, links, belief, work)


@lean
def stock_of(w, s, run, source, links, belief, work):
    """What a route has."""
    slot, length, law = s.slot[run], len(links), w.law
    held = fresh = variance = fade = 0.0
    missing, room = 0, law.lifetime
    node, swaps = source, 1.0
    for at in range(length):
        e = links[at]
        noise = -math.log(max(s.believed[e] + law.shift, 1e-12))
        fresh, variance = fresh + noise, variance + belief.variance[e]
        fade += -math.log(max(s.believed[e] * law.decays[1] + law.shift, 1e-12)) - noise
        if work.offer[e] > 0.0:
            held -= math.log(work.offer[e])
            room = min(room, law.lifetime - (slot - s.birth[work.youngest[e]]))
        else:
            held, missing = held + noise, missing + 1
        node = w.tail[e] + w.head[e] - node
        if at < length - 1:
            swaps *= w.swap[node]
    return Stock(held, fresh, variance, fade, missing, room, swaps)


@lean
def chance_with(law, stock, need, left, links, belief, work):
    """As `chance_of`, of what a route has."""
    held, fresh, variance, fade, missing, room, swaps = stock
    budget = -math.log(need) + _SLACK if need > 0.0 else np.inf
    if missing == 0 and held <= budget:
        return swaps * _kept(budget - held, variance), True
    if left <= 0:
        return 0.0, False
    spare, sure = (budget - held) / fade if fade > 0.0 else np.inf, _kept(budget - fresh, variance)
    soon, wait = 0.0, 0.0
    if missing > 0 and spare > 0.0 and room > 0:
        wait = min(left, room, spare)
        soon = _made(links, work.offer, belief.chance, max(wait, 1.0), False) * _kept(
            budget - held - 0.5 * fade * min(wait, spare), variance
        )
    spare = (budget - fresh) / fade if fade > 0.0 else np.inf
    span = 1.0 + max(min(spare, law.lifetime), 0.0)
    again = _made(links, work.offer, belief.chance, span, True)
    tries = max(left - wait, 0.0) / span
    later = -math.expm1(tries * math.log1p(-min(again, 1.0 - 1e-12))) * sure
    return swaps * (soon + (1.0 - soon) * later), False


@lean
def _made(links, offer, chance, slots, everywhere):
    """The chance that all links (or those that hold nothing) make a pair within so many slots."""
    product = 1.0
    for e in links:
        if everywhere or offer[e] <= 0.0:
            product *= -math.expm1(slots * math.log1p(-min(chance[e], 1.0 - 1e-12)))
    return product


@lean
def _kept(margin, variance):
    """The chance that noise with this variance stays within a margin."""
    if margin == np.inf:
        return 1.0
    if variance <= 0.0:
        return 1.0 if margin >= 0.0 else 0.0
    return 0.5 * math.erfc(-margin / math.sqrt(2.0 * variance))
