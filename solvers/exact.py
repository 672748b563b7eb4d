"""Method ``exact``: a proven optimum for every objective, or the proven gap and why it is not closed.

The useful routes are packed, as many listed as the proof needs (`qnroute.solvers.packing`). Where they are too
many for that, the arcs take their place (`LinkFlow`), up to a stated size; beyond it the answer comes with the
bound that the packing left.
"""

from __future__ import annotations

from qnroute.allocation import Allocation, value
from qnroute.models.link_flow import LinkFlow
from qnroute.models.path_packing import MAX_ROUTES
from qnroute.problem import Problem
from qnroute.settings import Answer, Settings, Trace
from qnroute.solvers.baselines import density_greedy
from qnroute.solvers.highs import CLOSED, link_selection, solve_model
from qnroute.solvers.packing import pack

FLOW_COLUMNS = 150_000  # largest LinkFlow that is tried


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
    trace: Trace = [(settings.elapsed(), value(problem, best), None)]
    try:
        packing = pack(problem, settings, value(problem, best), max_routes=max_routes, threads=threads)
    except KeyboardInterrupt:  # outside HiGHS, which minds its own
        return Answer(best, trace=trace, stopped="interrupted")
    trace += packing.trace
    if packing.times is not None:
        best = _better(problem, best, packing.table.allocation(packing.times))
    settled = not packing.unsettled or packing.bound - value(problem, best) <= CLOSED * abs(packing.bound)
    if packing.stopped or settled:
        return Answer(best, packing.bound, trace, packing.stopped)
    return _by_flow(problem, settings, best, packing.bound, packing.unsettled, trace, threads)


def _by_flow(
    problem: Problem, settings: Settings, best: Allocation, bound: float, unsettled: int, trace: Trace, threads: int
) -> Answer:
    many = f"{unsettled} requests have more useful routes than were listed"
    columns = 4 * sum(request.routes for request in problem.requests) * problem.network.n_links
    if columns > FLOW_COLUMNS:
        remark = f"not proven optimal: {many}, and a flow model would need {columns:,} columns (limit {FLOW_COLUMNS:,})"
        return Answer(best, bound, trace, remarks=(remark,))
    model = LinkFlow(problem)
    outcome = solve_model(model, settings, threads=threads)
    if outcome.values is not None:
        best = _better(problem, best, model.decode(outcome.values))
    return Answer(best, min(bound, outcome.bound), trace + outcome.trace, outcome.stopped)


def _better(problem: Problem, known: Allocation, found: Allocation) -> Allocation:
    return found if value(problem, found) > value(problem, known) else known
