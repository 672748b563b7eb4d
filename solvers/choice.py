"""Which formulation states a problem, for the methods that can solve any of them."""

from __future__ import annotations

from qnroute.errors import SolverError
from qnroute.methods import MODELS
from qnroute.models import LinearModel, LinkFlow, LinkSelection, PathPacking
from qnroute.models.path_packing import all_routes
from qnroute.problem import Problem
from qnroute.settings import MAX_ROUTES, Settings


def stated(
    problem: Problem, model: str = "auto", settings: Settings | None = None, *, max_routes: int = MAX_ROUTES
) -> LinearModel:
    """The problem as the named model; ``auto`` picks the task's own, link-flow for allocation.

    Raises
    ------
    SolverError
        The model cannot state the problem; `NoAnswer` where `settings` ended the work before it was stated.
    """
    if model == "auto":
        model = "link-selection" if problem.task == "link-selection" else "link-flow"
    if model == "link-flow":
        return LinkFlow(problem)
    if model == "path-packing":
        return PathPacking(problem, all_routes(problem, max_routes, settings))
    if model == "link-selection":
        return LinkSelection(problem)
    raise SolverError(f"no model is called {model!r}; there are {', '.join(MODELS)}")
