"""Method refine: any method's answer, improved part by part; it is never worse than its start.

Requests that share channels or memory give up their routes; the trained policy chooses anew, a small tree search
(`qnroute.solvers.tree`) looks for what it missed, and what is better stays.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qnroute.allocation import Allocation, value
from qnroute.errors import ProblemError
from qnroute.learning.routing.episodes import plan_of
from qnroute.learning.routing.policy import RoutePolicy
from qnroute.learning.routing.policy_files import BUILT_IN, load_policy
from qnroute.learning.routing.rollouts import played
from qnroute.methods import method, solve_with
from qnroute.models.lots import Instance, Lot, instance_of
from qnroute.models.neighbourhoods import left_of, met, parts_of
from qnroute.problem import Problem
from qnroute.routes import RouteTable, enumerate_routes, joined, table_of
from qnroute.settings import Answer, Settings
from qnroute.solvers.baselines import POOL
from qnroute.solvers.priced import proven_bound
from qnroute.solvers.prices import Prices, prices_of
from qnroute.solvers.tree import searched

_TWICE = 2
_AT_ONCE = 16  # parts chosen anew side by side
_RELEASED = 16  # requests of a part
_PRICED = 40  # rounds of the search for the prices of a part
_SHOWN = 64  # candidates of a request that the policy is shown at most
_BEHIND = 0.1  # share of the mean value by which an item falls behind at bid prices before it is hardly wanted
_SLIGHT = 1e-9


def refine(
    problem: Problem, settings: Settings, *, start: str = "priced", rounds: int = 8, candidates: int = 20,
    weights: str = "",
) -> Answer:  # fmt: skip
    """The answer of the method `start`, improved in so many rounds over all requests."""
    if method(start).name in ("refine", "hybrid"):
        raise ProblemError(f"option start: found {start!r}, expected a method that does not refine itself")
    policy = load_policy(weights or BUILT_IN)
    limit = settings.time_limit if settings.time_limit is None else settings.time_limit / 2
    common = {"gap": settings.gap, "seed": settings.seed, "progress": settings.progress}
    first = solve_with(problem, start, {}, time_limit=limit, interrupted=settings.interrupted, **common)
    table = enumerate_routes(problem, per_request=candidates, pool=POOL, settings=settings)
    instance = instance_of(problem, with_routes(table, first.allocation))
    prices = prices_of(instance.lot)
    taken = refined(policy, instance.lot, prices, instance.items_of(first.allocation), rounds, settings)
    found, bound = instance.allocation(taken), proven_bound(instance, prices)
    better = value(problem, found) > first.objective
    bound = bound if first.bound is None else min(bound, first.bound)
    return Answer(found if better else first.allocation, bound=bound, stopped=settings.stopped)


def with_routes(table: RouteTable, allocation: Allocation) -> RouteTable:
    """The table with those routes of an allocation that it lacks."""
    problem, index = table.problem, table.problem.network.index
    rows = zip(table.request.tolist(), table.indptr[:-1].tolist(), table.indptr[1:].tolist())
    known = {(k, tuple(table.nodes[begin:end].tolist())) for k, begin, end in rows}
    asked = {(problem.request_index[route.request], tuple(index[v] for v in route.nodes)) for route in allocation.routes}
    new = sorted(asked - known)
    if not new:
        return table
    request, nodes = np.array([k for k, _ in new]), np.concatenate([row for _, row in new])
    indptr = np.concatenate([[0], np.cumsum([len(row) for _, row in new])])
    return joined(table_of(problem, request, nodes, indptr), table)


def refined(
    policy: RoutePolicy, lot: Lot, prices: Prices, taken: np.ndarray, rounds: int, settings: Settings
) -> np.ndarray:
    """(J,) bool: a choice from a lot of one instance that is no worse than `taken`, (J,) bool, which fits."""
    rng, taken = np.random.default_rng(settings.seed or 0), taken.copy()
    for _ in range(rounds):
        seeds = rng.permutation(len(lot.most))[: -(-_TWICE * len(lot.most) // _RELEASED)]
        for at in range(0, len(seeds), _AT_ONCE):
            if settings.stopped:
                return taken
            released = _neighbours(lot, prices, taken, seeds[at : at + _AT_ONCE], rng)
            taken = _chosen_anew(policy, lot, taken, released)
    return taken


def _neighbours(lot: Lot, prices: Prices, taken: np.ndarray, seeds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(B, G) bool: each seed with groups drawn by how much of what one wants the other has."""
    wanted = np.exp(np.minimum(prices.reduced, 0.0) / (_BEHIND * lot.unit[0]))
    near = met(lot, taken, wanted, seeds)
    with np.errstate(divide="ignore"):
        rank = np.log(near) + rng.gumbel(size=near.shape)
    rank[np.arange(len(seeds)), seeds] = np.inf
    released = np.zeros(near.shape, dtype=bool)
    nearest = np.argsort(-rank, axis=1, kind="stable")[:, :_RELEASED]
    np.put_along_axis(released, nearest, np.take_along_axis(rank, nearest, axis=1) > -np.inf, axis=1)
    return released


def _chosen_anew(policy: RoutePolicy, lot: Lot, taken: np.ndarray, released: np.ndarray) -> np.ndarray:
    """What is taken once parts that are better chosen anew are, the most improved first, as far as they are apart."""
    parts = parts_of(lot, taken, released)
    part, prices = parts.lot, prices_of(parts.lot, rounds=_PRICED)
    plan, items, now = plan_of(part, prices), np.diff(part.items), taken[parts.item]
    shown = min(int(np.diff(part.first).max(initial=1)), _SHOWN)
    tried = played(policy, part, plan, np.arange(part.size), candidates=shown)
    better = tried.worth > parts.worth
    place = np.arange(len(now)) - np.repeat(part.items[:-1], items)
    of = np.repeat(np.arange(part.size), items)
    now = np.where(better[of], tried.taken[of, place], now)
    now = searched(part, prices, plan.order, now)
    gain = np.bincount(of, now * part.value, part.size) - parts.worth
    touched = np.zeros(len(lot.most), dtype=bool)
    for b in np.argsort(-gain, kind="stable"):
        if gain[b] <= _SLIGHT * lot.unit[0]:
            break
        if (touched & released[b]).any():
            continue
        other = taken & ~np.repeat(released[b], np.diff(lot.first))
        other[parts.item[part.items[b] : part.items[b + 1]]] = now[part.items[b] : part.items[b + 1]]
        if (left_of(lot, other) >= 0.0).all():
            taken, touched = other, touched | released[b]
    return taken
