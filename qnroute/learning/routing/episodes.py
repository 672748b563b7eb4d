"""Route choice as a game of decisions, compiled: request after request takes one of its routes, or none.

E episodes run side by side, each on an instance of a lot. The request at hand is offered its candidate routes that
still fit; requests of which none fits are passed over. Routes stay on offer until the request has as many as it may
have, or waits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.models.lots import Lot
from qnroute.solvers.priced import by_price
from qnroute.solvers.prices import Prices

FEATURES = (
    "value", "of_best", "density", "hops", "success", "fidelity", "reduced", "price", "chosen", "behind", "spare",
    "pressure", "harm", "left", "certain", "route",
)  # fmt: skip
"""Of a candidate. In units of the mean value of the best routes: its value, value over the root of its links, its value
at bid prices, those prices, how far it is behind the best, what it takes from others at these prices. As shares: of the
best of its request, the relaxation's choice of it and of all routes of its request, what stays of the scarcest row, how
much others expect of the row in most demand, requests to come. The last is 1, and 0 for waiting."""

WAIT = 0  # the action; the candidate at place i is action i + 1

_HOPS = 10.0  # a unit
_CLIP = 4.0  # of the features without bounds


class Plan(NamedTuple):
    """What an episode on an instance goes by, made once."""

    order: np.ndarray  # (G,) int64: groups of each instance in the order in which they are decided
    price: np.ndarray  # (R,) see `Prices`, and the next two
    chosen: np.ndarray  # (J,)
    reduced: np.ndarray  # (J,)
    top: np.ndarray  # (G,) of the best item of each group at these prices, at least 0
    own: np.ndarray  # as `Lot.row`: what the item's group is expected to use of that row in all


class State(NamedTuple):
    """E episodes."""

    instance: np.ndarray  # (E,) int64
    place: np.ndarray  # (E,) int64: of the group at hand in the order; all groups are decided where there is no more
    more: np.ndarray  # (E,) int64, routes that it may still take
    left: np.ndarray  # (E, rows) float64, of each row
    expected: np.ndarray  # (E, rows) float64, use of each row by groups that are not decided
    taken: np.ndarray  # (E, items) bool
    worth: np.ndarray  # (E,) float64, of what was taken
    promise: np.ndarray  # (E,) float64, at the bid prices no more than this is still to be had; 0 at the end
    steps: np.ndarray  # (E,) int64, decisions made


def plan_of(lot: Lot, prices: Prices) -> Plan:
    """Groups in the order of their best route, by the relaxation's choice times density (`by_price`)."""
    rank = by_price(lot, prices)
    best = np.maximum.reduceat(rank, lot.first[:-1]) if len(rank) else rank
    top = np.maximum(np.maximum.reduceat(prices.reduced, lot.first[:-1]), 0.0) if len(rank) else rank
    instance = np.repeat(np.arange(lot.size), np.diff(lot.groups))
    order = np.lexsort((-best, instance)).astype(np.int64)
    own = np.zeros(len(lot.row))
    _own(lot, prices.chosen, own)
    return Plan(order, prices.price, prices.chosen, prices.reduced, top, own)


@njit(cache=True, error_model="numpy")
def _own(lot, chosen, own):
    """For each use of a row by an item, what all items of its group are expected to use of that row."""
    total = np.zeros(len(lot.capacity))
    for k in range(len(lot.most)):
        uses = range(lot.indptr[lot.first[k]], lot.indptr[lot.first[k + 1]])
        for j in range(lot.first[k], lot.first[k + 1]):
            for i in range(lot.indptr[j], lot.indptr[j + 1]):
                total[lot.row[i]] += chosen[j] * lot.amount[i]
        for i in uses:
            own[i] = total[lot.row[i]]
        for i in uses:
            total[lot.row[i]] = 0.0


def state_of(lot: Lot, episodes: int) -> State:
    """Room for episodes on any instance of a lot."""
    rows, items = (int(np.diff(part).max(initial=0)) for part in (lot.rows, lot.items))
    whole = lambda: np.zeros(episodes, dtype=np.int64)  # noqa: E731
    return State(
        whole(), whole(), whole(), np.zeros((episodes, rows)), np.zeros((episodes, rows)),
        np.zeros((episodes, items), dtype=np.bool_), np.zeros(episodes), np.zeros(episodes), whole(),
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def begin(lot, plan, state, e, instance):
    """Start an episode on an instance."""
    start, stop = lot.rows[instance], lot.rows[instance + 1]
    state.instance[e], state.place[e], state.worth[e], state.steps[e] = instance, 0, 0.0, 0
    state.taken[e, :] = False
    state.promise[e] = 0.0
    for k in range(lot.groups[instance], lot.groups[instance + 1]):
        state.promise[e] += plan.top[k] * lot.most[k]
    for r in range(start, stop):
        state.promise[e] += plan.price[r] * lot.capacity[r]
        state.left[e, r - start] = lot.capacity[r]
        state.expected[e, r - start] = 0.0
    for j in range(lot.items[instance], lot.items[instance + 1]):
        for i in range(lot.indptr[j], lot.indptr[j + 1]):
            state.expected[e, lot.row[i] - start] += plan.chosen[j] * lot.amount[i]
    if not over(lot, state, e):
        state.more[e] = lot.most[at_hand(lot, plan, state, e)]
    _to_next(lot, plan, state, e)


@njit(cache=True, error_model="numpy")
def over(lot, state, e):
    """Whether all groups are decided."""
    b = state.instance[e]
    return state.place[e] >= lot.groups[b + 1] - lot.groups[b]


@njit(cache=True, error_model="numpy")
def at_hand(lot, plan, state, e):
    """The group at hand."""
    return plan.order[lot.groups[state.instance[e]] + state.place[e]]


@njit(cache=True, error_model="numpy")
def fits(lot, state, e, j):
    """Whether an item can be taken."""
    b = state.instance[e]
    if state.taken[e, j - lot.items[b]]:
        return False
    for i in range(lot.indptr[j], lot.indptr[j + 1]):
        if state.left[e, lot.row[i] - lot.rows[b]] < lot.amount[i]:
            return False
    return True


@njit(cache=True, error_model="numpy")
def _to_next(lot, plan, state, e):
    """Pass over groups of which nothing fits."""
    b = state.instance[e]
    count = lot.groups[b + 1] - lot.groups[b]
    while state.place[e] < count:
        k = plan.order[lot.groups[b] + state.place[e]]
        if state.more[e] > 0:
            for j in range(lot.first[k], lot.first[k + 1]):
                if fits(lot, state, e, j):
                    return
        _decided(lot, plan, state, e, k)
        state.more[e] = 0
        state.place[e] += 1
        if state.place[e] < count:
            state.more[e] = lot.most[plan.order[lot.groups[b] + state.place[e]]]


@njit(cache=True, error_model="numpy")
def _decided(lot, plan, state, e, k):
    """Nothing more is expected of a group."""
    start = lot.rows[state.instance[e]]
    state.promise[e] -= plan.top[k] * state.more[e]
    for j in range(lot.first[k], lot.first[k + 1]):
        if plan.chosen[j] > 0.0:
            for i in range(lot.indptr[j], lot.indptr[j + 1]):
                state.expected[e, lot.row[i] - start] -= plan.chosen[j] * lot.amount[i]


@njit(cache=True, error_model="numpy")
def act(lot, plan, state, e, action):
    """Take the candidate at place `action` - 1 of the group at hand, or wait; its worth, -1 if it does not fit."""
    b, k = state.instance[e], at_hand(lot, plan, state, e)
    state.steps[e] += 1
    worth = 0.0
    if action == WAIT:
        state.promise[e] -= plan.top[k] * state.more[e]
        state.more[e] = 0
    else:
        j = lot.first[k] + action - 1
        if j < lot.first[k] or j >= lot.first[k + 1] or not fits(lot, state, e, j):
            return -1.0
        worth = lot.value[j]
        state.taken[e, j - lot.items[b]] = True
        state.worth[e] += worth
        state.more[e] -= 1
        state.promise[e] -= plan.top[k]
        for i in range(lot.indptr[j], lot.indptr[j + 1]):
            state.left[e, lot.row[i] - lot.rows[b]] -= lot.amount[i]
            state.promise[e] -= plan.price[lot.row[i]] * lot.amount[i]
    _to_next(lot, plan, state, e)
    if over(lot, state, e):
        state.promise[e] = 0.0
    return worth


@njit(cache=True, error_model="numpy")
def observe(lot, plan, state, e, seen, mask):
    """Fill (C + 1, F) features of waiting and of the candidates of the group at hand, and which are possible."""
    seen[:], mask[:] = 0.0, False
    mask[WAIT] = True
    if over(lot, state, e):
        return
    b, k = state.instance[e], at_hand(lot, plan, state, e)
    unit, start = lot.unit[b], lot.rows[b]
    best, top, certain = lot.value[lot.first[k]], 0.0, 0.0
    for j in range(lot.first[k], lot.first[k + 1]):
        certain += plan.chosen[j]
        top = max(top, plan.reduced[j])
    left = 1.0 - state.place[e] / (lot.groups[b + 1] - lot.groups[b])
    seen[WAIT, 9], seen[WAIT, 13], seen[WAIT, 14] = max(-top / unit, -_CLIP), left, certain
    last = min(lot.first[k + 1], lot.first[k] + len(mask) - 1)
    for j in range(lot.first[k], last):
        if not fits(lot, state, e, j):
            continue
        at = j - lot.first[k] + 1
        mask[at] = True
        f, hops = seen[at], lot.facts[j, 2]
        f[0], f[1] = min(lot.value[j] / unit, _CLIP), lot.value[j] / best
        f[2], f[3] = min(lot.value[j] / (unit * np.sqrt(hops)), _CLIP), min(hops / _HOPS, _CLIP)
        f[4], f[5] = lot.facts[j, 0], lot.facts[j, 1]
        f[6] = min(max(plan.reduced[j] / unit, -_CLIP), _CLIP)
        f[7] = min((lot.value[j] - plan.reduced[j]) / unit, _CLIP)
        f[8], f[9] = plan.chosen[j], max((plan.reduced[j] - top) / unit, -_CLIP)
        spare, pressing, harm = 1.0, 0.0, 0.0
        for i in range(lot.indptr[j], lot.indptr[j + 1]):
            r = lot.row[i]
            here, amount = state.left[e, r - start], lot.amount[i]
            others = max(state.expected[e, r - start] - plan.own[i], 0.0)
            spare = min(spare, (here - amount) / lot.capacity[r])
            pressing = max(pressing, others / here)
            harm += plan.price[r] * min(max(others - here + amount, 0.0), amount)
        f[10], f[11], f[12] = spare, min(pressing, _CLIP), min(harm / unit, _CLIP)
        f[13], f[14], f[15] = left, certain, 1.0
