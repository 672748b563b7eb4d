"""PathPacking: candidate routes as columns, packed into channels, memory and degree bounds.

    max sum_r v_r z_r    subject to    sum_{r of k} z_r <= routes_k          for every request k
                                       sum_{r through e} z_r <= channels_e   for every link e
                                       sum_r qubits_ir z_r <= memory_i       for every node i (1 at an end, 2 passing)
                                       sum_{r leaving i} z_r <= b_i          for every bounded node i,   z_r integer

v_r is the exact value of the route, so products of probabilities need no linearization. With every useful
route as a column the optimum is the problem's; with fewer, `tail_value` bounds what the others could add.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qnroute.allocation import Allocation
from qnroute.errors import SolverError
from qnroute.fields import UNLIMITED
from qnroute.models.linear import LinearModel
from qnroute.problem import Problem
from qnroute.routes import RouteTable, enumerate_all
from qnroute.settings import MAX_ROUTES, Settings

_Uses = tuple[np.ndarray, np.ndarray, np.ndarray | float]


class PathPacking(LinearModel):
    """Blocks: columns ``z`` (route); rows ``routes``, ``channels``, ``memory``, ``degree``.

    Parameters
    ----------
    routes
        The columns; by default every useful route of every request.

    Raises
    ------
    SolverError
        Where no routes are given and the problem has more than `MAX_ROUTES`.
    """

    name = "path-packing"

    def __init__(self, problem: Problem, routes: RouteTable | None = None):
        super().__init__(problem)
        if problem.task != "allocation":
            raise SolverError(f"path-packing states the task allocation, not {problem.task}")
        self.routes = all_routes(problem) if routes is None else routes
        table = self.routes
        ids = [request.id for request in problem.requests]
        allowed = problem.most_routes
        capacity = self._most_times(allowed)
        labels = [("route", _RouteLabels(table))]
        z = self.add_columns("z", labels, upper=capacity, cost=table.value, integer=True).index
        rows = self.add_rows("routes", [("request", ids)], upper=allowed)
        self.add_entries(rows.index[table.request], z, 1.0)
        self._add_link_rows(z)
        self._add_node_rows(z)

    @property
    def tail_value(self) -> float:
        """Upper bound on what routes that are not columns could add to any allocation; 0 if all are here."""
        return float(self.problem.most_routes @ self.routes.rest)

    def decode(self, values: np.ndarray) -> Allocation:
        """Each route as often as its z says."""
        return self.routes.allocation(np.rint(self.columns["z"].of(values)).astype(np.int64))

    def _most_times(self, allowed: np.ndarray) -> np.ndarray:
        """(J,) how often each route could be used at all: the same path may serve a request twice."""
        table, most = self.routes, allowed[self.routes.request]
        route = np.repeat(np.arange(len(table)), table.hops)
        np.minimum.at(most, route, self.problem.network.channels[table.links])
        return most

    def _add_link_rows(self, z: np.ndarray) -> None:
        network, table = self.problem.network, self.routes

        def uses() -> _Uses:
            return table.links, np.repeat(z, table.hops), 1.0

        self._add_binding("channels", "link", network.channels, uses, network.link_name)

    def _add_node_rows(self, z: np.ndarray) -> None:
        network, table = self.problem.network, self.routes
        called, last = network.node_ids.__getitem__, table.indptr[1:] - 1

        def qubits() -> _Uses:
            each = np.full(len(table.nodes), 2.0)
            each[table.indptr[:-1]] = each[last] = 1.0
            return table.nodes, np.repeat(z, np.diff(table.indptr)), each

        def leaving() -> _Uses:
            return np.delete(table.nodes, last), np.repeat(z, table.hops), 1.0

        self._add_binding("memory", "node", network.memory, qubits, called)
        self._add_binding("degree", "node", self.problem.degree_bounds, leaving, called)

    def _add_binding(
        self, name: str, axis: str, bound: np.ndarray, uses: Callable[[], _Uses], called: Callable[[int], str]
    ) -> None:
        """Rows sum(values) <= bound over the places that can bind at all; the others would only be carried along.

        `uses` says which place each entry is at, its column and its value; not asked where nothing is limited.
        """
        limited = bound < UNLIMITED
        if not limited.any():
            self.add_rows(name, [(axis, [])])
            return
        where, columns, values = uses()
        upper = self._column_parts[0][1]
        most = np.bincount(where, weights=values * upper[columns], minlength=len(bound))
        places = np.flatnonzero((most > bound) & limited)
        rows = self.add_rows(name, [(axis, _PlaceLabels(places, called))], upper=bound[places])
        row_of = np.full(len(bound), -1, dtype=np.int32)
        row_of[places] = rows.index
        row = row_of[where]
        kept = np.flatnonzero(row >= 0)
        self.add_entries(row[kept], columns[kept], np.broadcast_to(values, where.shape)[kept])


def all_routes(problem: Problem, max_routes: int = MAX_ROUTES, settings: Settings | None = None) -> RouteTable:
    """Every useful route of every request.

    Raises
    ------
    SolverError
        Naming the requests that have more, once there are more than `max_routes` in all.
    """
    table = enumerate_all(problem, max_routes=max_routes, settings=settings)
    if settings is not None:
        settings.go_on(PathPacking.name)
    more = np.flatnonzero(table.incomplete)
    if len(more):
        named = f"request {problem.requests[more[0]].id}" + (f" and {len(more) - 1} others" if len(more) > 1 else "")
        raise SolverError(
            f"path-packing: {named} have more routes than {max_routes:,} in all allow; set max_hops or min_fidelity, "
            "or give the routes to use"
        )
    return table


class _RouteLabels:
    """Route labels made only when a legend is written."""

    def __init__(self, table: RouteTable):
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self):
        for j in range(len(self.table)):
            route = self.table.route(j)
            yield f"{route.request}: {' - '.join(route.nodes)}"


class _PlaceLabels:
    """Names of links or nodes made only when they are asked for."""

    def __init__(self, places: np.ndarray, called: Callable[[int], str]):
        self.places, self.called = places, called

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self):
        return map(self.called, self.places.tolist())
