"""Method ``pulp``: the same model through PuLP to HiGHS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from qnroute.errors import SolverError
from qnroute.models.exports import to_pulp
from qnroute.models.linear import LinearModel
from qnroute.problem import Problem
from qnroute.settings import Answer, Settings
from qnroute.solvers.choice import stated
from qnroute.solvers.highs import (
    CLOSED,
    RELIABLE,
    answer_of,
    cost_scale,
    forget_threads,
    nothing_to_gain,
    outcome_of,
    run,
)


def pulp(problem: Problem, settings: Settings, *, model: str = "auto") -> Answer:
    """State a model in PuLP, solve it with PuLP's HiGHS interface, judge the values it gives back."""
    return solve_with_pulp(stated(problem, model, settings), settings)


def solve_with_pulp(model: LinearModel, settings: Settings) -> Answer:
    """Values by PuLP's `HiGHS`, and the bound from the HiGHS object behind it.

    PuLP calls a run that its time limit cut short optimal, so its status is not used.
    """
    import pulp

    if nothing_to_gain(model.matrix):
        return Answer(model.decode(np.zeros(model.n_columns)), 0.0)

    def go_on() -> None:
        settings.go_on("pulp")

    made = to_pulp(model, scale=cost_scale(model.matrix), each=go_on)
    solver = pulp.HiGHS(msg=False, threads=1, gapRel=max(settings.gap, CLOSED), **RELIABLE)
    if not solver.available():
        raise SolverError("PuLP cannot use HiGHS: pip install highspy")
    # PuLP's own steps, with ours in the middle: it can neither be interrupted nor tell why it stopped
    solver.createAndConfigureSolver(made)
    highs = made.solverModel
    highs.addCol, highs.addRow = _after(go_on, highs.addCol), _after(go_on, highs.addRow)
    solver.buildSolverModel(made)
    forget_threads()
    run(highs, settings)
    outcome = outcome_of(highs, model.matrix, settings, sign=-1.0)  # PuLP turns a maximization into a minimization
    if outcome.values is not None:
        solver.findSolutionValues(made)
        by_name = made.variablesDict()
        values = [by_name[name].varValue if name in by_name else 0.0 for name in model.column_names()]
        outcome = replace(outcome, values=np.array(values))
    return answer_of(model, outcome, "pulp")


def _after(first: Callable[[], None], call: Callable[..., Any]) -> Callable[..., Any]:
    """`call` with something done before it."""

    def both(*given: Any) -> Any:
        first()
        return call(*given)

    return both
