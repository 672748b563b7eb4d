"""Which formulation states a problem, for the methods that can solve any of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qnroute.builtin import MODELS, QUBO_MODELS
from qnroute.errors import SolverError
from qnroute.method import SELECTION
from qnroute.models import (
    LinearModel,
    LinkFlow,
    LinkSelection,
    LinkSelectionQubo,
    PackingQubo,
    PathPacking,
    PathQubo,
    RouteChoiceQubo,
)
from qnroute.models.path_packing import all_routes
from qnroute.problem import Problem
from qnroute.routes import RouteTable, enumerate_routes
from qnroute.settings import MAX_ROUTES, Settings

_CANDIDATES = 5  # under link-sum, which prices cannot bound


def candidate_routes(problem: Problem, settings: Settings, candidates: int) -> tuple[RouteTable, float | None]:
    """So many of the most valuable routes of each request; 0: those of column generation, and the bound it proves."""
    if candidates == 0 and problem.objective.kind != "link-sum":
        from qnroute.solvers.column_generation import ColumnGeneration

        limit = (
            settings.time_limit if settings.time_limit is None else settings.time_limit / 2
        )  # the rest is for sampling
        return ColumnGeneration(problem).columns(replace(settings, time_limit=limit))
    return enumerate_routes(problem, per_request=candidates or _CANDIDATES, settings=settings), None


def packing_qubo(problem: Problem, settings: Settings, candidates: int, **how: Any) -> tuple[PackingQubo, float | None]:
    """The task as a binary quadratic model, links to select or candidate routes to choose from, and a proven bound."""
    if problem.task == SELECTION:
        return LinkSelectionQubo(problem, **how), None
    routes, bound = candidate_routes(problem, settings, candidates)
    return RouteChoiceQubo(problem, routes, **how), bound


def stated_qubo(
    problem: Problem, model: str, settings: Settings, *, candidates: int, **how: Any
) -> PackingQubo | PathQubo:
    """The problem as the named binary quadratic model; ``auto`` picks the task's own.

    Raises
    ------
    SolverError
        The model cannot state the problem.
    """
    own = {"allocation": "route-choice-qubo", SELECTION: "link-selection-qubo"}[problem.task]
    if model == "path-qubo":
        strength = {name: value for name, value in how.items() if name == "strength" and value is not None}
        return PathQubo(problem, **strength)
    if model in ("auto", own):
        return packing_qubo(problem, settings, candidates, **how)[0]
    if model in QUBO_MODELS:
        raise SolverError(f"{model} does not state the task {problem.task}; {own} does")
    raise SolverError(f"no model is called {model!r}; there are {', '.join(QUBO_MODELS)}")


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
