"""Method ``exact``: a proven optimum for every objective, or the proven gap and why it is not closed.

Link selection is one integer program. For allocations, routes are made by column generation, or under link-sum listed
and packed (`qnroute.solvers.packing`). Where that leaves a gap, the arcs take their place (`LinkFlow`), up to a stated
size; beyond it the answer comes with the bound that there is.
"""

from __future__ import annotations

from dataclasses import replace

from qnroute.interruption import came_of_interrupt
from qnroute.models.link_flow import LinkFlow, copies
from qnroute.problem import Problem
from qnroute.result import PROVEN
from qnroute.settings import MAX_ROUTES, Answer, Settings
from qnroute.solvers.column_generation import ColumnGeneration
from qnroute.solvers.highs import solve_matrix
from qnroute.solvers.link_selection import select_links
from qnroute.solvers.packing import pack
from qnroute.solvers.search import Search, within

FLOW_COLUMNS = {"expected-pairs": 20_000, "log-success": 400_000, "link-sum": 20_000}  # largest LinkFlow tried


def exact(
    problem: Problem, settings: Settings, *, threads: int = 1, workers: int = 0, max_routes: int = MAX_ROUTES
) -> Answer:
    """Solve to proof where that is possible; see the module's text.

    Parameters
    ----------
    threads, workers
        Of HiGHS, and of the search for routes; 0 for as many as there are cores.
    max_routes
        Routes listed in all before the arcs take their place.
    """
    if problem.task == "link-selection":
        return select_links(problem, settings, threads=threads)
    if problem.objective.kind == "link-sum":
        search = pack(problem, settings, max_routes=max_routes, threads=threads)
    else:
        solver = ColumnGeneration(problem, workers=workers, threads=threads, max_routes=max_routes)
        search = solver.run(settings)
    search = replace(search, stopped=search.stopped or (settings.stopped if search.open else None))
    if search.stopped or not search.open or search.closed(max(settings.gap, PROVEN)):
        return replace(search, open="").answer()
    try:
        return _by_flow(problem, settings, search, threads).answer()
    except BaseException as error:  # a second Ctrl-C: what is proven stays proven
        if not came_of_interrupt(error):
            raise
        return replace(search, stopped="interrupted").answer()


def _by_flow(problem: Problem, settings: Settings, search: Search, threads: int) -> Search:
    kind = problem.objective.kind
    per_arc = 2 if kind == "expected-pairs" else 1
    columns = 2 * per_arc * int(copies(problem).sum()) * problem.network.n_links
    if columns > (most := FLOW_COLUMNS[kind]):
        more = f"{search.open}, and a flow model would need {columns:,} columns (at most {most:,})"
        return replace(search, open=more)
    model = LinkFlow(problem)
    seen = within(search.value, search.bound)
    outcome = solve_matrix(model.matrix, settings.through(seen), threads=threads)
    search = replace(search, trace=[*search.trace, *(seen(*point) for point in outcome.trace)], open="")
    if outcome.values is not None:
        search = search.better(problem, model.decode(outcome.values))
    return replace(search.bounded(outcome.bound), stopped=outcome.stopped)
