"""Method ``pyomo``: the same model through Pyomo to HiGHS."""

from __future__ import annotations

import logging
import math

import numpy as np

from qnroute.errors import NoAnswer, SolverError
from qnroute.models.exports import to_pyomo
from qnroute.models.linear import LinearModel
from qnroute.problem import Problem
from qnroute.settings import Answer, Settings
from qnroute.solvers.choice import stated
from qnroute.solvers.highs import CLOSED, RELIABLE, cost_scale, forget_threads, nothing_to_gain, slack


def pyomo(problem: Problem, settings: Settings, *, model: str = "auto") -> Answer:
    """State a model in Pyomo, solve it with Pyomo's HiGHS interface, judge the values it gives back."""
    return solve_with_pyomo(stated(problem, model), settings)


def solve_with_pyomo(model: LinearModel, settings: Settings) -> Answer:
    """Values and bound by Pyomo's `highs` solver; its own words on optimality are not taken over."""
    import pyomo.environ  # noqa: F401  registers the solvers
    from pyomo.contrib.solver.solvers.highs import Highs

    class Interruptible(Highs):
        """Pyomo's HiGHS, which looks up now and then whether it was interrupted."""

        def _solve(self):
            def look(event) -> None:
                if settings.interrupted.is_set():
                    event.interrupt()

            self._solver_model.cbMipInterrupt += look
            self._solver_model.cbSimplexInterrupt += look
            return super()._solve()

    if nothing_to_gain(model.matrix):
        return Answer(model.decode(np.zeros(model.n_columns)), 0.0)
    scale = cost_scale(model.matrix)
    made = to_pyomo(model, scale=scale)
    solver = Interruptible()
    available = solver.available()
    if not available:
        raise SolverError(f"Pyomo cannot use HiGHS ({available.name}): pip install highspy")
    solver.config.load_solutions = False
    solver.config.raise_exception_on_nonoptimal_result = False
    solver.config.rel_gap = max(settings.gap, CLOSED)
    solver.config.threads = 1
    solver.config.solver_options = dict(RELIABLE)
    forget_threads()
    if math.isfinite(settings.remaining()):
        solver.config.time_limit = settings.remaining()
    talk, level = logging.getLogger("pyomo"), logging.getLogger("pyomo").level
    talk.setLevel(logging.ERROR)  # it warns that it does not know what an interruption is
    try:
        outcome = solver.solve(made)
    finally:
        talk.setLevel(level)
    if outcome.incumbent_objective is None:
        raise NoAnswer(f"pyomo: {settings.stopped or 'stopped'} before any answer was found")
    bound = outcome.objective_bound
    if bound is not None:
        bound = bound * scale + slack(model.matrix)
    outcome.solution_loader.load_vars()
    parts = [[variable.value for variable in made.component(name).values()] for name in model.columns]
    values = np.array([value or 0.0 for part in parts for value in part])  # None: in no row and of no worth
    return Answer(model.decode(values), bound, stopped=settings.stopped)
