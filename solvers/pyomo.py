"""Method ``pyomo``: the same model through Pyomo to HiGHS."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import numpy as np

from qnroute.errors import SolverError
from qnroute.models.exports import to_pyomo
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
    refuted,
)


def pyomo(problem: Problem, settings: Settings, *, model: str = "auto") -> Answer:
    """State a model in Pyomo, solve it with Pyomo's HiGHS interface, judge the values it gives back."""
    return solve_with_pyomo(stated(problem, model, settings), settings)


def solve_with_pyomo(model: LinearModel, settings: Settings) -> Answer:
    """Values by Pyomo's `highs` solver, and the bound from the HiGHS object behind it.

    Pyomo's own words on optimality are not taken over.
    """
    import pyomo.environ  # noqa: F401  registers the solvers

    if nothing_to_gain(model.matrix):
        return Answer(model.decode(np.zeros(model.n_columns)), 0.0)
    made = to_pyomo(model, scale=cost_scale(model.matrix), each=lambda: settings.go_on("pyomo"))
    solver = _interruptible(settings)
    available = solver.available()
    if not available:
        raise SolverError(f"Pyomo cannot use HiGHS ({available.name}): pip install highspy")
    solver.config.load_solutions = False
    solver.config.raise_exception_on_nonoptimal_result = False
    solver.config.rel_gap = max(settings.gap, CLOSED)
    solver.config.threads = 1
    solver.config.solver_options = dict(RELIABLE)
    forget_threads()
    talk, level = logging.getLogger("pyomo"), logging.getLogger("pyomo").level
    talk.setLevel(logging.ERROR)  # it warns that it does not know what an interruption is
    try:
        solution = solver.solve(made).solution_loader
    finally:
        talk.setLevel(level)
    outcome = outcome_of(solver._solver_model, model.matrix, settings)
    if outcome.values is not None:
        solution.load_vars()
        parts = [[variable.value for variable in made.component(name).values()] for name in model.columns]
        values = [value or 0.0 for part in parts for value in part]  # None: in no row and of no worth
        outcome = replace(outcome, values=np.array(values))
    return answer_of(model, outcome, "pyomo")


def _interruptible(settings: Settings):
    """Pyomo's HiGHS, which looks up now and then whether it must stop, while it states and while it solves."""
    from pyomo.contrib.solver.solvers.highs import Highs

    class Interruptible(Highs):
        def _process_domain_and_bounds(self, variable):
            settings.go_on("pyomo")
            return super()._process_domain_and_bounds(variable)

        def _add_constraints(self, constraints):
            super()._add_constraints(self._watched(constraints))

        def _watched(self, constraints):
            for constraint in constraints:
                settings.go_on("pyomo")
                yield constraint

        def _solve(self):
            def look(event) -> None:
                if settings.interrupted.is_set():
                    event.interrupt()

            settings.go_on("pyomo")
            if math.isfinite(settings.remaining()):
                self._active_config.time_limit = settings.remaining()
            self._solver_model.cbMipInterrupt += look
            self._solver_model.cbSimplexInterrupt += look
            results = super()._solve()
            if refuted(self._solver_model):
                results = super()._solve()
            return results

    return Interruptible()
