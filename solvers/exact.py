"""Method ``exact``: a proven optimum for every objective, or the proven gap and why it is not closed.

First every route that could matter is listed, and packing them is solved to proof. Where there are too
many, the arcs take their place (LinkFlow). Where that is too large as well, the routes listed are packed
and a relaxation, in which each request may also have one route worth `rest` for nothing, gives the bound.
"""

from __future__ import annotations

import numpy as np

from qnroute.allocation import Allocation, value
from qnroute.models.link_flow import LinkFlow
from qnroute.models.path_packing import MAX_ROUTES, PathPacking
from qnroute.problem import Problem
from qnroute.routes import enumerate_all
from qnroute.settings import Answer, Settings, Trace
from qnroute.solvers.baselines import density_greedy
from qnroute.solvers.highs import Outcome, link_selection, solve_model

_NEGLIGIBLE = 1e-8  # share of the incumbent that unlisted routes may add in all and still count as nothing
_FLOW_COLUMNS = 150_000  # largest LinkFlow that is tried


def exact(problem: Problem, settings: Settings, *, threads: int = 1, max_routes: int = MAX_ROUTES) -> Answer:
    """Solve to proof where that is possible; see the module's text.

    Parameters
    ----------
    max_routes
        Routes listed in all before the arcs take their place.
    """
    if problem.task == "link-selection":
        return link_selection(problem, settings, threads=threads)
    best = density_greedy(problem, settings).allocation
    try:
        return _proven(problem, settings, best, threads, max_routes)
    except KeyboardInterrupt:  # outside HiGHS, which handles its own
        return Answer(best, stopped="interrupted")


def _proven(problem: Problem, settings: Settings, best: Allocation, threads: int, max_routes: int) -> Answer:
    start_value = value(problem, best)
    trace: Trace = [(settings.elapsed(), start_value, None)]
    allowed = sum(request.routes for request in problem.requests)
    least = _NEGLIGIBLE * start_value / max(allowed, 1)
    table = enumerate_all(problem, max_routes=max_routes, least_value=least, settings=settings)
    cut_short = int(table.incomplete(least).sum())
    packing = PathPacking(problem, table)
    if not cut_short:
        outcome = solve_model(packing, settings, threads=threads)
        return _better(problem, best, packing, outcome, outcome.bound + packing.tail_value, trace)
    many = f"{cut_short} requests have more routes than {max_routes:,} in all allow"
    flow_columns = 4 * allowed * problem.network.n_links
    if flow_columns <= _FLOW_COLUMNS:
        flow = LinkFlow(problem)
        outcome = solve_model(flow, settings, threads=threads)
        return _better(problem, best, flow, outcome, outcome.bound, trace)
    relaxed = solve_model(PathPacking(problem, table, with_rest=True), settings, relax=True)
    outcome = solve_model(packing, settings, threads=threads)
    remark = f"not proven optimal: {many}, and the flow model would need {flow_columns:,} columns; the bound is a relaxation's"
    return _better(problem, best, packing, outcome, relaxed.bound, trace, remark)


def _better(
    problem: Problem, best: Allocation, model, outcome: Outcome, bound: float, trace: Trace, *remarks: str
) -> Answer:
    """The better of what the model found and what was known before."""
    if outcome.values is not None:
        found = model.decode(outcome.values)
        if value(problem, found) >= value(problem, best):
            best = found
    known = bound if np.isfinite(bound) else None
    return Answer(best, known, trace + outcome.trace, outcome.stopped, remarks)
