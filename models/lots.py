"""Lots: instances of route choice as flat arrays, many at once, for compiled loops (bid prices, learned policies).

An item is one use of a candidate route, a group the items of one request, a row whatever routes share: the channels
of a link, the qubits of a node. Instances stand one after the other in the same arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse

from qnroute.allocation import Allocation
from qnroute.errors import ProblemError
from qnroute.fidelity import noise
from qnroute.models.packing import Packing, packing_of
from qnroute.models.path_packing import PathPacking
from qnroute.problem import Problem
from qnroute.routes import RouteTable, enumerate_routes

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

    def items_of(self, allocation: Allocation) -> np.ndarray:
        """(J,) bool: the items that an allocation takes, of routes that are all in the table."""
        table, index = self.table, self.problem.network.index
        rows = zip(table.request.tolist(), table.indptr[:-1].tolist(), table.indptr[1:].tolist())
        route = {(k, tuple(table.nodes[begin:end].tolist())): j for j, (k, begin, end) in enumerate(rows)}
        number = self.problem.request_index
        times = Counter(route[number[r.request], tuple(index[v] for v in r.nodes)] for r in allocation.routes)
        taken = np.zeros(len(self.column), dtype=bool)
        for j, count in times.items():
            taken[np.flatnonzero(self.column == j)[:count]] = True
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
    packing = packing_of(PathPacking(problem, table), "routes")
    order = np.lexsort((-packing.value, packing.group))
    lot = _lot(packing, order, _facts(table)[packing.column[order]], table.rest)
    left_out = problem.most_routes.copy()
    left_out[packing.group] -= packing.most[packing.group]
    beyond = float(left_out @ table.rest)
    return Instance(lot, problem, table, packing.column[order], beyond)


def _lot(packing: Packing, order: np.ndarray, facts: np.ndarray, rest: np.ndarray) -> Lot:
    """A lot of one; groups without items are left out, and rows that cannot bind."""
    uses = sparse.csc_array(packing.uses)[:, order]
    group = packing.group[order]
    kept, first = np.unique(group, return_index=True)
    binding = np.flatnonzero(np.asarray(packing.uses.sum(axis=1)).ravel() > packing.capacity)
    by_item = sparse.csr_array(sparse.csr_array(uses)[binding].T)
    value = packing.value[order]
    counts = [np.array([0, size]) for size in (len(value), len(kept), len(binding))]
    unit = float(value[first].mean()) if len(first) else 1.0
    return Lot(
        *counts,
        first=np.append(first, len(value)).astype(np.int64),
        most=packing.most[kept],
        rest=np.maximum(rest[kept], 0.0),
        value=value,
        indptr=by_item.indptr.astype(np.int64),
        row=by_item.indices.astype(np.int64),
        amount=by_item.data.astype(np.float64),
        capacity=packing.capacity[binding].astype(np.float64),
        facts=np.column_stack([facts, np.diff(by_item.indptr)]),
        unit=np.array([unit]),
    )


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
