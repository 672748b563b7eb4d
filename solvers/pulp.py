"""Method ``pulp``: the same model through PuLP to HiGHS."""

from __future__ import annotations

import numpy as np

from qnroute.errors import NoAnswer, SolverError
from qnroute.models.exports import to_pulp
from qnroute.models.linear import LinearModel
from qnroute.problem import Problem
from qnroute.settings import Answer, Settings
from qnroute.solvers.choice import stated
from qnroute.solvers.highs import CLOSED, RELIABLE, cost_scale, forget_threads, nothing_to_gain, outcome_of, run, slack


def pulp(problem: Problem, settings: Settings, *, model: str = "auto") -> Answer:
    """State a model in PuLP, solve it with PuLP's HiGHS interface, judge the values it gives back."""
    return solve_with_pulp(stated(problem, model), settings)


def solve_with_pulp(model: LinearModel, settings: Settings) -> Answer:
    """Values by PuLP's `HiGHS`, and the bound from the HiGHS object behind it.

    PuLP calls a run that its time limit cut short optimal, so its status is not used.
    """
    import pulp

    if nothing_to_gain(model.matrix):
        return Answer(model.decode(np.zeros(model.n_columns)), 0.0)
    scale = cost_scale(model.matrix)
    made = to_pulp(model, scale=scale)
    solver = pulp.HiGHS(msg=False, threads=1, gapRel=max(settings.gap, CLOSED), **RELIABLE)
    if not solver.available():
        raise SolverError("PuLP cannot use HiGHS: pip install highspy")
    # PuLP's own steps, with ours in the middle: it can neither be interrupted nor tell why it stopped
    solver.createAndConfigureSolver(made)
    solver.buildSolverModel(made)
    highs = made.solverModel
    forget_threads()
    interrupted = run(highs, settings)
    outcome = outcome_of(highs, -scale, [], interrupted)  # PuLP turns a maximization into a minimization
    if outcome.values is None:
        raise NoAnswer(f"pulp: {outcome.stopped or 'stopped'} before any answer was found")
    solver.findSolutionValues(made)
    by_name = made.variablesDict()
    values = np.array([by_name[name].varValue if name in by_name else 0.0 for name in model.column_names()])
    return Answer(model.decode(values), outcome.bound + slack(model.matrix), stopped=outcome.stopped)
