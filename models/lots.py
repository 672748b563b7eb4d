"""Lots: instances of route choice as flat arrays, many at once, for compiled loops (bid prices, learned policies).

An item is one use of a candidate route, a group the items of one request, a row whatever routes share: the channels
of a link, the qubits of a node. Instances stand one after the other in the same arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.allocation import Allocation
from qnroute.errors import ProblemError
from qnroute.fidelity import noise
from qnroute.problem import Problem
from qnroute.routes import RouteTable, enumerate_routes, nodes_of, numbers_of

FACTS = ("success", "fidelity", "hops", "rows")
"""What is said of an item beside its value: the chance of the route, its fidelity, its links, and rows it uses."""


class Lot(NamedTuple):
    """B instances, one after the other: items, groups and rows of instance b begin at ``items[b]`` and so on."""

    items: np.ndarray  # (B + 1,) int64
    groups: np.ndarray  # (B + 1,) int64
    rows: np.ndarray  # (B + 1,) int64
    first: np.ndarray  # (G + 1,) int64: items of each group, most valuable first
    most: np.ndarray  # (G,) int64, how many of them may be taken
    rest: np.ndarray  # (G,) float64 >= 0: no route of the request that is not listed is worth more
    value: np.ndarray  # (J,) float64 > 0
    indptr: np.ndarray  # (J + 1,) int64: rows that each item uses ...
    row: np.ndarray  # int64
    amount: np.ndarray  # float64, and how much of them
    capacity: np.ndarray  # (R,) float64
    facts: np.ndarray  # (J, len(FACTS)) float64
    unit: np.ndarray  # (B,) float64: mean value of the best items of the groups

    @property
    def size(self) -> int:
        """How many instances."""
        return len(self.unit)


class Instance(NamedTuple):
    """One problem's candidate routes: the arrays, and the way back."""

    lot: Lot
    problem: Problem
    table: RouteTable
    column: np.ndarray  # (J,) the route of each item
    beyond: float  # what requests without items, and routes past the `most` of others, could bring at most
    place: np.ndarray  # (R,) of each row: links, then memories of nodes, then degree bounds of nodes
    common: np.ndarray  # (R,) by which its numbers are divided

    def items_of(self, allocation: Allocation) -> np.ndarray:
        """(J,) bool: the items that an allocation takes, of routes that are all in the table."""
        times = np.bincount(numbers_of(self.table, *nodes_of(self.problem, allocation)), minlength=len(self.table))
        by_route = np.argsort(self.column, kind="stable")
        column = self.column[by_route]
        place = np.arange(len(column)) - np.searchsorted(column, column)  # among the uses of the same route
        taken = np.zeros(len(column), dtype=bool)
        taken[by_route] = place < times[column]
        return taken

    def allocation(self, taken: np.ndarray) -> Allocation:
        """The allocation that uses the items taken, (J,) bool."""
        return self.table.allocation(np.bincount(self.column[taken], minlength=len(self.table)))


def instance_of(problem: Problem, table: RouteTable | None = None, *, per_request: int = 8) -> Instance:
    """The instance of a problem.

    Parameters
    ----------
    table
        Its candidate routes; by default the `per_request` most valuable ones of each request.
    """
    if problem.task != "allocation":
        raise ProblemError(f"task: found {problem.task}, expected allocation")
    table = enumerate_routes(problem, per_request=per_request) if table is None else table
    return _instance(problem, table, _times(problem, table), comes=0)


def offers_of(problem: Problem, *, per_request: int = 8) -> Instance:
    """The instance of a problem whose requests come again and again, at most `routes` times in all: an item for each
    route.

    Rows are those that bind whatever comes so often; `most` is 1, a route for each time.
    """
    table = enumerate_routes(problem, per_request=per_request)
    comes = int(problem.most_routes.max(initial=1))
    whole = _instance(problem, table, np.minimum(_times(problem, table), 1), comes=comes)
    return whole._replace(lot=whole.lot._replace(most=np.ones_like(whole.lot.most)), beyond=0.0)


def _times(problem: Problem, table: RouteTable) -> np.ndarray:
    """(J,) how often each route could be used, alone; 0 where it is worth nothing."""
    times = np.zeros(len(table), np.int64)
    most = problem.most_routes[table.request]
    _most_times(table.indptr, table.nodes, table.links, _room(problem), problem.network.n_links, most, times)
    times[table.value <= 0.0] = 0
    return times


def _room(problem: Problem) -> np.ndarray:
    """What there is at each place: channels of links, memories of nodes, bounds on degrees."""
    return np.concatenate([problem.network.channels, problem.network.memory, problem.degree_bounds])


def _instance(problem: Problem, table: RouteTable, times: np.ndarray, *, comes: int) -> Instance:
    """Each route as so many items; `comes` says how often anything may come, 0 that each item is taken once at most."""
    most = problem.most_routes
    column = np.repeat(np.arange(len(table)), times)
    column = column[np.lexsort((-table.value[column], table.request[column]))]
    request = table.request[column]
    kept, first = np.unique(request, return_index=True)
    value = table.value[column]
    uses = _uses(table.indptr, table.nodes, table.links, _room(problem), problem.network.n_links, column, comes)
    place, common, capacity, indptr, row, amount = uses
    counts = [np.array([0, size]) for size in (len(value), len(kept), len(place))]
    lot = Lot(
        *counts,
        first=np.append(first, len(value)).astype(np.int64),
        most=np.minimum(most[kept], len(value)),
        rest=np.maximum(table.rest[kept], 0.0),
        value=value,
        indptr=indptr,
        row=row,
        amount=amount,
        capacity=capacity,
        facts=np.column_stack([_facts(table)[column], np.diff(indptr)]),
        unit=np.array([float(value[first].mean()) if len(first) else 1.0]),
    )
    left_out = most.copy()
    left_out[kept] -= lot.most
    return Instance(lot, problem, table, column, float(left_out @ table.rest), place, common)


@njit(cache=True)
def _most_times(indptr, nodes, links, room, m, most, times):
    """How often each route could be used at all, alone."""
    n = (len(room) - m) // 2
    for j in range(len(times)):
        first, last = indptr[j], indptr[j + 1] - 1
        fits = most[j]
        for i in range(first, last):
            fits = min(fits, room[links[i - j]], room[m + n + nodes[i]])
        for i in range(first, last + 1):
            fits = min(fits, room[m + nodes[i]] // (1 if i == first or i == last else 2))
        times[j] = max(fits, 0)


@njit(cache=True)
def _uses(indptr, nodes, links, room, m, column, comes):
    """Rows: places that not all items fit in, or not the largest use `comes` times. Their numbers are divided by what
    those that items use have in common.

    Gives the place of each row, what it was divided by and its capacity, then the items' uses as compressed rows.
    """
    n = (len(room) - m) // 2
    total, common, number = np.zeros(len(room), np.int64), np.zeros(len(room), np.int64), np.full(len(room), -1)
    most = 0
    for j in column:
        first, last = indptr[j], indptr[j + 1] - 1
        most += 3 * (last - first) + 1
        for i in range(first, last + 1):
            v, each = nodes[i], 1 if i == first or i == last else 2
            total[m + v] = _more(total[m + v], each, comes)
            common[m + v] = each if common[m + v] in (0, each) else 1
            if i < last:
                total[links[i - j]] = _more(total[links[i - j]], 1, comes)
                total[m + n + v] = _more(total[m + n + v], 1, comes)
    place = np.flatnonzero(total > room)
    common = np.maximum(common[place], 1)
    number[place] = np.arange(len(place))
    starts, row, amount = np.zeros(len(column) + 1, np.int64), np.empty(most, np.int64), np.empty(most)
    used = 0
    for at in range(len(column)):
        j = column[at]
        first, last = indptr[j], indptr[j + 1] - 1
        for kind in range(3):
            for i in range(first, last + (1 if kind == 1 else 0)):
                where = links[i - j] if kind == 0 else nodes[i] + (m if kind == 1 else m + n)
                r = number[where]
                if r >= 0:
                    each = 2 if kind == 1 and first < i < last else 1
                    to = used  # in the order of rows
                    while to > starts[at] and row[to - 1] > r:
                        row[to], amount[to] = row[to - 1], amount[to - 1]
                        to -= 1
                    row[to], amount[to] = r, each // common[r]
                    used += 1
        starts[at + 1] = used
    return place, common, np.floor(room[place] / common), starts, row[:used].copy(), amount[:used].copy()


@njit(cache=True)
def _more(total, each, comes):
    """What one more item makes of the most that a place may be asked for."""
    return max(total, comes * each) if comes else total + each


def _facts(table: RouteTable) -> np.ndarray:
    """(J, 3) success, fidelity and links of routes."""
    network = table.problem.network
    route, link, tail = table.steps
    passed = tail != table.nodes[table.indptr[:-1]][route]
    with np.errstate(divide="ignore"):
        log = np.bincount(route, np.log(network.p[link]), len(table))
        log += np.bincount(route[passed], np.log(network.swap[tail[passed]]), len(table))
    decay = np.bincount(route, noise(network.fidelity)[link], len(table))
    return np.column_stack([np.exp(log), (1.0 + 3.0 * np.exp(-decay)) / 4.0, table.hops])


def together(lots: Sequence[Lot]) -> Lot:
    """Several lots as one."""
    parts: dict[str, np.ndarray] = {}
    for name in ("items", "groups", "rows", "first", "indptr"):
        sizes = [getattr(lot, name)[-1] for lot in lots]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        shifted = [getattr(lot, name)[:-1] + start for lot, start in zip(lots, starts)]
        parts[name] = np.concatenate([*shifted, starts[-1:]]).astype(np.int64)
    rows = np.concatenate([[0], np.cumsum([lot.rows[-1] for lot in lots])])
    parts["row"] = np.concatenate([lot.row + start for lot, start in zip(lots, rows)])
    for name in ("most", "rest", "value", "amount", "capacity", "facts", "unit"):
        parts[name] = np.concatenate([getattr(lot, name) for lot in lots])
    return Lot(**parts)
