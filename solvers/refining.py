"""Method refine: any method's answer, improved part by part; it is never worse than its start.

Requests that share channels or memory give up their routes; the trained policy chooses anew, a small tree search
(`qnroute.solvers.tree`) looks for what it missed, and what is better stays.
"""

from __future__ import annotations

import numpy as np

from qnroute.allocation import value
from qnroute.errors import ProblemError
from qnroute.learning.routing.episodes import plan_of
from qnroute.learning.routing.policy import RoutePolicy
from qnroute.learning.routing.policy_files import built_in, load_policy
from qnroute.learning.routing.rollouts import played
from qnroute.methods import solve_with
from qnroute.models.lots import Lot
from qnroute.models.neighbourhoods import left_of, met, parts_of, uses_of
from qnroute.problem import Problem
from qnroute.settings import Answer, Settings
from qnroute.solvers.priced import by_price, filled
from qnroute.solvers.prices import Prices, prices_of
from qnroute.solvers.proposing import proposed
from qnroute.solvers.tree import searched

_RELEASED = 16  # requests of a part
_TIMES = 2  # that a request is released in a round, more or less
_AT_ONCE = 8  # parts chosen anew side by side
_PRICED = 40  # rounds of the search for the prices of a part
_SHOWN = 64  # candidates of a request that the policy is shown at most
_BEHIND = 0.1  # of the mean value: how far an item is behind at bid prices when it is wanted e times less
_PROVEN = 1e-7  # share of the bound on all choices by which the best may miss it
_SLIGHT = 1e-9  # of the mean value: a gain that is none


def refine(
    problem: Problem, settings: Settings, *, start: str = "density-greedy", candidates: int = 8, proposals: int = 2,
    rounds: int = 8, steps: int = 2_000, weights: str = "",
) -> Answer:  # fmt: skip
    """The answer of the method `start`, improved in so many rounds; options as those of `hybrid`."""
    if start in ("refine", "hybrid"):
        raise ProblemError(f"option start: found {start!r}, expected a method that does not refine")
    policy = load_policy(weights) if weights else built_in()
    limit = settings.time_limit if settings.time_limit is None else settings.time_limit / 2
    common = {"time_limit": limit, "gap": settings.gap, "seed": settings.seed, "progress": settings.progress}
    first = solve_with(problem, start, {}, interrupted=settings.interrupted, **common)
    how = {"candidates": candidates, "proposals": proposals, "start": first.allocation}
    instance, prices, bound = proposed(problem, settings, **how)
    taken = refined(policy, instance.lot, prices, instance.items_of(first.allocation), settings, rounds, steps)
    found = instance.allocation(taken)
    better = found if value(problem, found) > first.objective else first.allocation
    return Answer(better, bound if first.bound is None else min(bound, first.bound), stopped=settings.stopped)


def refined(
    policy: RoutePolicy, lot: Lot, prices: Prices, taken: np.ndarray, settings: Settings, rounds: int, steps: int
) -> np.ndarray:
    """(J,) bool: a choice from a lot of one instance that is no worse than `taken`, (J,) bool, which fits.

    Parameters
    ----------
    rounds
        In each of them a request is released about twice.
    steps
        Of the tree search in each part; 0: the policy alone.
    """
    rng, groups, uses = np.random.default_rng(settings.seed or 0), len(lot.most), uses_of(lot)
    wanted = np.exp(np.minimum(prices.reduced, 0.0) / (_BEHIND * lot.unit[0]))
    other = filled(lot, by_price(lot, prices))
    taken = other if lot.value @ other > lot.value @ taken else taken
    for _ in range(rounds):
        seeds = rng.permutation(groups)[: -(-_TIMES * groups // _RELEASED)]
        for at in range(0, len(seeds), _AT_ONCE):
            if settings.stopped or lot.value @ taken >= prices.bound[0] * (1.0 - _PROVEN):
                return taken
            some = seeds[at : at + _AT_ONCE]
            released = _neighbours(met(lot, uses, taken, wanted, some), some, rng)
            taken = chosen_anew(policy, lot, taken, released, steps)
    return taken


def _neighbours(near: np.ndarray, seeds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(B, G) bool: each seed, and groups drawn by how near they are to it, (B, G)."""
    with np.errstate(divide="ignore"):
        rank = np.log(near) + rng.gumbel(size=near.shape)
    rank[np.arange(len(seeds)), seeds] = np.inf
    first = np.argsort(-rank, axis=1, kind="stable")[:, :_RELEASED]
    released = np.zeros(near.shape, dtype=bool)
    np.put_along_axis(released, first, np.take_along_axis(rank, first, axis=1) > -np.inf, axis=1)
    return released


def chosen_anew(policy: RoutePolicy, lot: Lot, taken: np.ndarray, released: np.ndarray, steps: int = 0) -> np.ndarray:
    """(J,) bool: what is taken once parts that a new choice improves are chosen anew.

    Parameters
    ----------
    released
        (B, G) bool, the groups of each part; of parts that overlap the one that gains most is chosen anew.
    steps
        Of the tree search after the policy's choice.
    """
    part, item, had = parts_of(lot, taken, released)
    if not len(item):
        return taken
    prices = prices_of(part, rounds=_PRICED)
    plan, shown = plan_of(part, prices), min(int(np.diff(part.first).max()), _SHOWN)
    tried = played(policy, part, plan, np.arange(part.size), candidates=shown)
    b = np.repeat(np.arange(part.size), np.diff(part.items))
    now = np.where((tried.worth > had)[b], tried.taken[b, np.arange(len(b)) - part.items[b]], taken[item])
    if steps:
        now = searched(part, prices, plan.order, now, steps=steps)
    gain = np.bincount(b, now * part.value, part.size) - had
    changed = np.zeros(len(lot.most), dtype=bool)
    for b in np.argsort(-gain, kind="stable").tolist():
        if gain[b] <= _SLIGHT * lot.unit[0]:
            break
        other = taken & ~np.repeat(released[b], np.diff(lot.first))
        own = slice(part.items[b], part.items[b + 1])
        other[item[own]] = now[own]
        if not (changed & released[b]).any() and (left_of(lot, other) >= 0.0).all():
            taken, changed = other, changed | released[b]
    return taken
