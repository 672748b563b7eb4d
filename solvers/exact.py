"""Method ``exact``: a proven optimum for every objective, or the proven gap and why it is not closed.

The useful routes are packed, as many listed as the proof needs (`qnroute.solvers.packing`). Where they are too
many for that, the arcs take their place (`LinkFlow`), up to a stated size; beyond it the answer comes with the
bound that the packing left.
"""

from __future__ import annotations

from qnroute.allocation import Allocation, value
from qnroute.models.link_flow import LinkFlow, copies
from qnroute.models.path_packing import MAX_ROUTES
from qnroute.problem import Problem
from qnroute.result import PROVEN, relative_gap
from qnroute.settings import Answer, Point, Settings, Trace
from qnroute.solvers.baselines import density_greedy
from qnroute.solvers.highs import link_selection, solve_model
from qnroute.solvers.packing import Packing, pack

FLOW_COLUMNS = {"expected-pairs": 20_000, "log-success": 400_000, "link-sum": 20_000}  # largest LinkFlow tried


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
    packing = pack(problem, settings, value(problem, best), max_routes=max_routes, threads=threads)
    trace += packing.trace
    if packing.times is not None:
        best = _better(problem, best, packing.table.allocation(packing.times))
    gap = relative_gap(value(problem, best), packing.bound)
    if packing.stopped or not packing.open or (gap is not None and gap <= max(settings.gap, PROVEN)):
        return Answer(best, packing.bound, trace, packing.stopped)
    if settings.stopped:
        return Answer(best, packing.bound, trace, settings.stopped)
    try:
        return _by_flow(problem, settings, best, packing, trace, threads)
    except KeyboardInterrupt:  # a second Ctrl-C: what is proven stays proven
        return Answer(best, packing.bound, trace, "interrupted")


def _by_flow(
    problem: Problem, settings: Settings, best: Allocation, packing: Packing, trace: Trace, threads: int
) -> Answer:
    kind = problem.objective.kind
    per_arc = 2 if kind == "expected-pairs" else 1
    columns = 2 * per_arc * int(copies(problem).sum()) * problem.network.n_links
    if columns > FLOW_COLUMNS[kind]:
        most = FLOW_COLUMNS[kind]
        remark = (
            f"not proven optimal: {packing.open}, and a flow model would need {columns:,} columns (at most {most:,})"
        )
        return Answer(best, packing.bound, trace, remarks=(remark,))
    model = LinkFlow(problem)
    known = value(problem, best)

    def seen(seconds: float, objective: float | None, bound: float | None) -> Point:
        return seconds, max(known, objective or 0.0), packing.bound if bound is None else min(bound, packing.bound)

    outcome = solve_model(model, settings.through(seen), threads=threads)
    trace += [seen(*point) for point in outcome.trace]
    if outcome.values is not None:
        best = _better(problem, best, model.decode(outcome.values))
    return Answer(best, min(packing.bound, outcome.bound), trace, outcome.stopped)


def _better(problem: Problem, known: Allocation, found: Allocation) -> Allocation:
    return found if value(problem, found) > value(problem, known) else known
