"""Requests that come one by one as a compiled game: each takes one of its routes, for good, or is refused.

E episodes run side by side, each on a sequence of requests to an instance of a lot. The one at hand is offered those of
its routes that still fit; requests of which none fits are passed over. What is to come is known by `Demand` alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.learning.routing.batch import Step, View
from qnroute.learning.routing.demand import Arrivals, Demand
from qnroute.learning.routing.outlook import Outlook, expect
from qnroute.models.lots import Lot

FEATURES = (
    "value", "of_best", "density", "hops", "success", "weight", "reduced", "price", "net", "cost", "behind", "dearest",
    "spare", "units", "pressure", "left", "to_come", "again", "pace", "now", "due", "strain", "route",
)  # fmt: skip
"""Of a candidate. In units of the mean value of a request's best route: its value, value over the root of its links,
value less bid prices, these prices, value less what its rows lose (`outlook`), that loss, how far it is behind the
best, the loss of the dearest row; value less bid prices found anew now and then for what is left (`now`), and these
(`due`). As shares: of the best of its request, the weight between lowest and highest, what stays of the scarcest row,
the expected use of the row in most demand over what is left of it, by the first prices (`pressure`) and the present
ones (`strain`), requests to come, what is left of all rows at bid prices less requests to come (`pace`). Then links,
units that stay of the scarcest row, requests to come and those of the same pair. The last is 1, and 0 for refusal."""

REFUSE = 0  # the action; the candidate at place i is action i + 1

_HOPS = 10.0  # a unit
_ROOM = 4.0  # units of a row
_COME = 100.0  # requests
_EVERY, _ROUNDS = 4, 30  # requests between two searches for prices, and steps of one
MOST = 8.0  # of any feature


class Known(NamedTuple):
    """What an episode goes by."""

    lot: Lot
    demand: Demand
    outlook: Outlook


class OnlineState(NamedTuple):
    """E episodes."""

    instance: np.ndarray  # (E,) int64
    place: np.ndarray  # (E,) int64 of the request at hand; where there is no more, the episode is over
    left: np.ndarray  # (E, rows) float64, of each row
    worth: np.ndarray  # (E,) float64, of what was taken
    promise: np.ndarray  # (E,) float64, what the rows are worth together
    taken: np.ndarray  # (E, T) int64: the action taken at each request
    price: np.ndarray  # (E, rows) bid prices for what is left, found now and then
    used: np.ndarray  # (E, rows) the use of each row expected then
    found: np.ndarray  # (E,) int64, requests that were to come then


class OnlineBatch:
    """E episodes on sequences of requests; see `batch.Batch`, whose interface it has.

    Parameters
    ----------
    shaped
        Rewards are value + promise after - promise before, where the promise is the sum of what the rows are worth by
        themselves (`outlook`); it is 0 at the end, so the best policies stay the same.
    """

    def __init__(self, known: Known, episodes: int, *, candidates: int = 8, shaped: bool = True):
        self.known, self.shaped = known, shaped
        rows, longest = int(np.diff(known.lot.rows).max(initial=0)), int(known.demand.count.max(initial=0))
        whole = np.zeros(episodes, dtype=np.int64)
        self.come = Arrivals(np.zeros((episodes, longest), np.int64), np.zeros((episodes, longest)))
        self.state = OnlineState(
            whole, whole.copy(), np.zeros((episodes, rows)), np.zeros(episodes), np.zeros(episodes),
            np.zeros((episodes, longest), dtype=np.int64), np.zeros((episodes, rows)), np.zeros((episodes, rows)),
            whole.copy(),
        )  # fmt: skip
        shape = episodes, candidates + 1
        self.view = View(np.zeros((*shape, len(FEATURES)), dtype=np.float32), np.zeros(shape, dtype=np.bool_))
        self.last = Step(np.zeros(episodes), np.zeros(episodes, dtype=np.bool_), np.zeros(episodes, dtype=np.bool_))

    def start(self, episodes: np.ndarray, instances: np.ndarray, come: Arrivals) -> View:
        """Begin these episodes on these instances, with a sequence for each."""
        self.state.instance[episodes] = instances
        for kept, given in zip(self.come, come):
            kept[episodes, : given.shape[1]] = given
        _start(self.known, self.come, self.state, self.view, episodes)
        return self.view

    def step(self, actions: np.ndarray) -> Step:
        """One decision in each episode that is not over; the view is that of what comes next."""
        _step(self.known, self.come, self.state, self.view, self.last, np.asarray(actions, np.int64), self.shaped)
        return self.last


@njit(cache=True, error_model="numpy")
def _start(known, come, state, view, episodes):
    for e in episodes:
        b = state.instance[e]
        start, stop = known.lot.rows[b], known.lot.rows[b + 1]
        state.left[e, : stop - start] = known.lot.capacity[start:stop]
        state.price[e, : stop - start] = known.outlook.price[start:stop]
        state.used[e, : stop - start] = known.outlook.used[start:stop]
        state.found[e] = known.demand.count[b]
        state.place[e], state.worth[e], state.taken[e, :] = 0, 0.0, REFUSE
        _to_next(known, come, state, view, e)
        state.promise[e] = row_worths(known, state.left[e], b, known.demand.count[b] - state.place[e])
        _observe(known, come, state, e, view.seen[e], view.mask[e])


@njit(cache=True, error_model="numpy")
def _step(known, come, state, view, last, actions, shaped):
    lot = known.lot
    for e in range(len(actions)):
        last.refused[e], last.reward[e], last.done[e] = False, 0.0, True
        b, t, action = state.instance[e], state.place[e], actions[e]
        if t >= known.demand.count[b]:
            continue
        worth, before = 0.0, state.promise[e]
        if action < 0 or action >= view.mask.shape[1] or not view.mask[e, action]:
            last.refused[e], action = True, REFUSE
        if action != REFUSE:
            j = lot.first[come.group[e, t]] + action - 1
            worth = come.weight[e, t] * lot.value[j]
            state.worth[e] += worth
            state.taken[e, t] = action
            for i in range(lot.indptr[j], lot.indptr[j + 1]):
                state.left[e, lot.row[i] - lot.rows[b]] -= lot.amount[i]
        state.place[e] += 1
        _to_next(known, come, state, view, e)
        state.promise[e] = row_worths(known, state.left[e], b, known.demand.count[b] - state.place[e])
        if shaped:
            worth += state.promise[e] - before
        last.reward[e] = worth / known.outlook.unit[b]
        last.done[e] = state.place[e] >= known.demand.count[b]
        _observe(known, come, state, e, view.seen[e], view.mask[e])


@njit(cache=True, error_model="numpy")
def _to_next(known, come, state, view, e):
    """Pass over requests of which nothing that is shown fits."""
    lot, b = known.lot, state.instance[e]
    left, start = state.left[e], lot.rows[b]
    while state.place[e] < known.demand.count[b]:
        k = come.group[e, state.place[e]]
        for j in range(lot.first[k], min(lot.first[k + 1], lot.first[k] + view.mask.shape[1] - 1)):
            if fits(lot, left, start, j):
                _look_again(known, state, e)
                return
        state.place[e] += 1


@njit(cache=True, error_model="numpy")
def _look_again(known, state, e):
    """Find bid prices anew where the last ones are some requests old."""
    b = state.instance[e]
    t, rows = known.demand.count[b] - state.place[e] - 1, known.lot.rows[b + 1] - known.lot.rows[b]
    if t > 0 and state.found[e] - t > _EVERY:
        price, used, unit = state.price[e, :rows], state.used[e, :rows], known.outlook.unit[b]
        expect(known.lot, known.demand, b, state.left[e, :rows], float(t), unit, price, used, _ROUNDS, 0.03)
        state.found[e] = t


@njit(cache=True, error_model="numpy")
def row_worths(known, left, b, t):
    """What the rows left to instance b are worth together with t requests to come, each by itself."""
    start, total = known.lot.rows[b], 0.0
    for r in range(start, known.lot.rows[b + 1]):
        at = known.outlook.at[r] + t * (int(known.lot.capacity[r]) + 1)
        total += known.outlook.worth[at + int(left[r - start])]
    return total


@njit(cache=True, error_model="numpy")
def fits(lot, left, start, j):
    """Whether there is room for an item in the rows left, of which the first is `start`."""
    for i in range(lot.indptr[j], lot.indptr[j + 1]):
        if left[lot.row[i] - start] < lot.amount[i]:
            return False
    return True


@njit(cache=True, error_model="numpy")
def loss(known, left, start, t, i):
    """What the row of a use loses by it with t requests to come."""
    r = known.lot.row[i]
    at = known.outlook.at[r] + t * (int(known.lot.capacity[r]) + 1) + int(left[r - start])
    return known.outlook.worth[at] - known.outlook.worth[at - int(known.lot.amount[i])]


@njit(cache=True, error_model="numpy")
def _observe(known, come, state, e, seen, mask):
    """Fill (C + 1, F) features of refusal and of the candidates of the request at hand, and which are possible."""
    seen[:], mask[:] = 0.0, False
    mask[REFUSE] = True
    lot, demand, b = known.lot, known.demand, state.instance[e]
    if state.place[e] >= demand.count[b]:
        return
    k, weight, start = come.group[e, state.place[e]], come.weight[e, state.place[e]], lot.rows[b]
    t, left = demand.count[b] - state.place[e] - 1, state.left[e]
    share, pace = t / demand.count[b], _pace(known, left, b)
    level = (weight - demand.low[b]) / max(demand.high[b] - demand.low[b], 1e-12)
    top = 0.0
    for j in range(lot.first[k], min(lot.first[k + 1], lot.first[k] + len(mask) - 1)):
        if fits(lot, left, start, j):
            at = j - lot.first[k] + 1
            mask[at] = True
            _item(known, state, e, t, weight, j, seen[at])
            top = max(top, seen[at, 8])
    for at in range(len(mask)):
        if mask[at]:
            f = seen[at]
            f[5], f[10] = level, max(f[8] - top, -MOST)
            f[1] = lot.value[lot.first[k] + at - 1] / lot.value[lot.first[k]] if at else 0.0
            f[15], f[16], f[18] = share, min(t / _COME, MOST), pace - share
            f[17] = min(demand.rate[k] * t / _ROOM, MOST)


@njit(cache=True, error_model="numpy")
def _item(known, state, e, t, weight, j, f):
    """The features of a candidate that are its own."""
    lot, b, left = known.lot, state.instance[e], state.left[e]
    unit, start = known.outlook.unit[b], lot.rows[b]
    value, hops = weight * lot.value[j] / unit, lot.facts[j, 2]
    price = due = cost = dearest = pressure = strain = 0.0
    spare, units = 1.0, MOST * _ROOM
    for i in range(lot.indptr[j], lot.indptr[j + 1]):
        r = lot.row[i]
        here, lost = left[r - start], loss(known, left, start, t, i)
        price += lot.amount[i] * known.outlook.price[r]
        due += lot.amount[i] * state.price[e, r - start]
        cost += lost
        dearest = max(dearest, lost)
        spare, units = min(spare, (here - lot.amount[i]) / lot.capacity[r]), min(units, here - lot.amount[i])
        pressure = max(pressure, known.outlook.used[r] * t / known.demand.count[b] / here)
        strain = max(strain, state.used[e, r - start] / here)
    f[0], f[2], f[3] = min(value, MOST), min(value / np.sqrt(hops), MOST), min(hops / _HOPS, MOST)
    f[4] = lot.facts[j, 0]
    f[6], f[7] = min(max(value - price / unit, -MOST), MOST), min(price / unit, MOST)
    f[8], f[9] = min(max(value - cost / unit, -MOST), MOST), min(cost / unit, MOST)
    f[11], f[12], f[13] = min(dearest / unit, MOST), spare, units / _ROOM
    f[14], f[21], f[22] = min(pressure, MOST), min(strain, MOST), 1.0
    f[19], f[20] = min(max(value - due / unit, -MOST), MOST), min(due / unit, MOST)


@njit(cache=True, error_model="numpy")
def _pace(known, left, b):
    """What is left of the rows, as a share at bid prices."""
    rest = whole = 1e-12
    for r in range(known.lot.rows[b], known.lot.rows[b + 1]):
        rest += known.outlook.price[r] * left[r - known.lot.rows[b]]
        whole += known.outlook.price[r] * known.lot.capacity[r]
    return rest / whole
