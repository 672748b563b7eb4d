"""Several methods on one problem, each held against the best proven bound of all."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qnroute.errors import NoAnswer, SolverError
from qnroute.interruption import noted
from qnroute.methods import registered, solve
from qnroute.network import Network
from qnroute.problem import Problem, Request
from qnroute.result import PROVEN, Result, relative_gap
from qnroute.settings import Progress

_NOT_RUN = "not run: interrupted"
_SIMPLE = ("shortest-path", "static", "greedy", "density-greedy", "exact")


@dataclass(frozen=True)
class Row:
    """One method on one problem; None and a reason in `status` where it gave no answer.

    `share` is value over the best bound that any of the methods proved, `gap` the distance to it; `remarks` say
    what was not proven and what stopped the method. `unanswered`: time or patience ended before any answer.
    """

    problem: str
    method: str
    value: float | None
    bound: float | None
    best_bound: float | None
    share: float | None
    gap: float | None
    seconds: float | None
    status: str
    remarks: str = ""
    unanswered: bool = False


def default_methods(problem: Problem) -> list[str]:
    """The simple methods and `exact`, as far as they solve the problem's task."""
    return [name for name in _SIMPLE if problem.task in registered()[name].tasks]


def compare(
    problem: Problem,
    methods: Sequence[str],
    *,
    time_limit: float | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
    interrupted: threading.Event | None = None,
) -> list[Row]:
    """Answers of all methods; one that cannot answer leaves a row that says why.

    Parameters
    ----------
    time_limit
        Seconds for each method.
    interrupted
        Set it from elsewhere to end the comparison with what there is; Ctrl-C sets it, too.
    """
    interrupted = interrupted or threading.Event()
    common = {"time_limit": time_limit, "seed": seed, "progress": progress, "interrupted": interrupted}
    results: list[Result | SolverError] = []
    with noted(interrupted):
        _warm_up(problem, methods, interrupted)
        for name in methods:
            try:
                results.append(NoAnswer(_NOT_RUN) if interrupted.is_set() else solve(problem, name, **common))
            except SolverError as error:
                results.append(error)
    answers = [result for result in results if isinstance(result, Result)]
    best = min((result.bound for result in answers if result.bound is not None), default=None)
    if best is not None:
        highest = max(result.objective for result in answers)
        if (relative_gap(highest, best) or 0.0) < -PROVEN:
            raise SolverError(
                f"a checked answer is worth {highest:.9g}, above the bound {best:.9g} that was given as proven"
            )
        best = max(best, highest)  # a solver's bound carries its tolerance
    return [_row(problem, name, result, best) for name, result in zip(methods, results)]


def _warm_up(problem: Problem, methods: Sequence[str], interrupted: threading.Event) -> None:
    """Load and compile what the methods need, so that the first one timed does not pay for all."""
    network = Network.from_columns(["a", "b", "c"], np.array([0, 1]), np.array([1, 2]), p=0.5)
    asked = [] if problem.task == "link-selection" else [Request("r", "a", "c", min_fidelity=0.5)]
    small = problem.replace(network=network, requests=asked, rules=None)
    for name in methods:
        with contextlib.suppress(SolverError):
            solve(small, name, interrupted=interrupted)


def _row(problem: Problem, name: str, result: Result | SolverError, best: float | None) -> Row:
    if isinstance(result, SolverError):
        late = isinstance(result, NoAnswer)
        return Row(problem.name, name, None, None, best, None, None, None, str(result), unanswered=late)
    share = None if not best else result.objective / best
    gap = relative_gap(result.objective, best)
    figures = (result.objective, result.bound, best, share, gap, result.seconds)
    return Row(problem.name, name, *figures, result.status, "; ".join(result.remarks))
