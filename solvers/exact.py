"""Method ``exact``: a proven optimum for every objective, or the proven gap and why it is not closed.

The useful routes are packed, as many listed as the proof needs (`qnroute.solvers.packing`). Where they are too
many for that, the arcs take their place (`LinkFlow`), up to a stated size; beyond it the answer comes with the
bound that the packing left.
"""

from __future__ import annotations

from qnroute.allocation import value
from qnroute.models.link_flow import LinkFlow, copies
from qnroute.problem import Problem
from qnroute.result import PROVEN, relative_gap
from qnroute.settings import MAX_ROUTES, Answer, Point, Settings
from qnroute.solvers.highs import link_selection, solve_matrix
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
    packing = pack(problem, settings, max_routes=max_routes, threads=threads)
    gap = relative_gap(packing.value, packing.bound)
    stopped = packing.stopped or settings.stopped
    if stopped or not packing.open or (gap is not None and gap <= max(settings.gap, PROVEN)):
        return Answer(packing.allocation, packing.bound, packing.trace, stopped)
    try:
        return _by_flow(problem, settings, packing, threads)
    except KeyboardInterrupt:  # a second Ctrl-C: what is proven stays proven
        return Answer(packing.allocation, packing.bound, packing.trace, "interrupted")


def _by_flow(problem: Problem, settings: Settings, packing: Packing, threads: int) -> Answer:
    kind = problem.objective.kind
    per_arc = 2 if kind == "expected-pairs" else 1
    columns = 2 * per_arc * int(copies(problem).sum()) * problem.network.n_links
    if columns > FLOW_COLUMNS[kind]:
        most = FLOW_COLUMNS[kind]
        remark = (
            f"not proven optimal: {packing.open}, and a flow model would need {columns:,} columns (at most {most:,})"
        )
        return Answer(packing.allocation, packing.bound, packing.trace, remarks=(remark,))
    model = LinkFlow(problem)

    def seen(seconds: float, objective: float | None, bound: float | None) -> Point:
        return (
            seconds,
            max(packing.value, objective or 0.0),
            packing.bound if bound is None else min(bound, packing.bound),
        )

    outcome = solve_matrix(model.matrix, settings.through(seen), threads=threads)
    trace = [*packing.trace, *(seen(*point) for point in outcome.trace)]
    best = packing.allocation
    if outcome.values is not None and value(problem, found := model.decode(outcome.values)) > packing.value:
        best = found
    return Answer(best, min(packing.bound, outcome.bound), trace, outcome.stopped)
