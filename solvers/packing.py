"""All useful routes packed, where they can be listed: how link-sum is solved, whose detours prices cannot bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qnroute.allocation import value
from qnroute.models.path_packing import PathPacking
from qnroute.problem import Problem
from qnroute.routes import RouteTable, enumerate_routes
from qnroute.settings import MOST_PACKED, Point, Settings
from qnroute.solvers.baselines import densest_first
from qnroute.solvers.highs import solve_matrix
from qnroute.solvers.search import Search, within

_FEW = 32  # routes of each request packed where all are too many


def pack(problem: Problem, settings: Settings, *, max_routes: int, threads: int = 1) -> Search:
    """Pack every useful route; where they are too many, the most valuable ones, with a bound from all requests apart.

    Parameters
    ----------
    max_routes
        Routes listed in all.
    """
    limit = max(min(max_routes, MOST_PACKED) // max(len(problem.requests), 1), 1)
    table = enumerate_routes(problem, per_request=limit, settings=settings)
    start = densest_first(table, settings).allocation
    search = Search(start, value(problem, start), bound=_bound_apart(table)).seen(settings)
    more = table.incomplete
    packed, inside = table.first(_FEW) if more.any() else table, within(search.value, search.bound)

    def seen(seconds: float, objective: float | None, bound: float | None) -> Point:
        return inside(seconds, objective, None if more.any() else bound)

    outcome = solve_matrix(PathPacking(problem, packed).matrix, settings.through(seen), threads=threads)
    search = replace(search, trace=[*search.trace, *(seen(*point) for point in outcome.trace)], stopped=outcome.stopped)
    if outcome.values is not None:
        search = search.better(problem, packed.allocation(np.rint(outcome.values).astype(np.int64)))
    if more.any():
        return replace(search, open=f"{more.sum()} of the requests have more useful routes than were listed")
    return search.bounded(max(outcome.bound, search.value))


def _bound_apart(table: RouteTable) -> float:
    """What all requests would be worth if each had its best routes to itself."""
    best = table.rest.copy()
    np.maximum.at(best, table.request, table.value)
    return float(table.problem.most_routes @ best)
