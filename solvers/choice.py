"""Which formulation states a problem, for the methods that can solve any of them."""

from __future__ import annotations

from qnroute.errors import SolverError
from qnroute.models import LinearModel, LinkFlow, LinkSelection, PathPacking
from qnroute.problem import Problem

MODELS = ("auto", "link-flow", "path-packing", "link-selection")


def stated(problem: Problem, model: str = "auto") -> LinearModel:
    """The problem as the named model; ``auto`` picks the task's own, link-flow for allocation."""
    if model == "auto":
        model = "link-selection" if problem.task == "link-selection" else "link-flow"
    if model == "link-flow":
        return LinkFlow(problem)
    if model == "path-packing":
        return PathPacking(problem)
    if model == "link-selection":
        return LinkSelection(problem)
    raise SolverError(f"no model is called {model!r}; there are {', '.join(MODELS)}")
