"""The registry: method name -> who answers, with which options; and `solve`, the one door to all of them.

Nothing heavy is imported here: a method's module is loaded when it is asked to solve. Other packages
register methods through the entry-point group ``qnroute.methods``: each entry is a `Method`.
"""

from __future__ import annotations

import importlib.metadata
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from qnroute.builtin import BUILT_IN
from qnroute.errors import ProblemError, SolverError
from qnroute.method import Method, Option

if TYPE_CHECKING:
    from qnroute.problem import Problem
    from qnroute.result import Result
    from qnroute.settings import Answer, Progress

GROUP = "qnroute.methods"

_Kind = TypeVar("_Kind")


def methods() -> dict[str, str]:
    """Registered methods: name -> one-line description."""
    return {name: method.description for name, method in registered().items()}


def registered() -> dict[str, Method]:
    """All methods by name; a registered one that cannot be loaded says so in its description."""
    return with_extensions(
        BUILT_IN,
        GROUP,
        Method,
        lambda name, why: Method(name, f"not available: {why}", _unavailable(name, why)),
    )


def with_extensions(
    built_in: Iterable[_Kind], group: str, kind: type[_Kind], broken: Callable[[str, str], _Kind]
) -> dict[str, _Kind]:
    """What is built in and what other packages register in an entry-point group, by name.

    `broken` makes what stands for an entry that cannot be loaded, from its name and the reason.
    """
    found = {each.name: each for each in built_in}
    for entry in importlib.metadata.entry_points(group=group):
        try:
            loaded = entry.load()
            if not isinstance(loaded, kind):
                raise TypeError(f"{entry.value} is not a qnroute {kind.__name__}")
        except Exception as error:  # a broken extension must not take the others with it
            loaded = broken(entry.name, str(error))
        found.setdefault(loaded.name, loaded)
    return found


def method(name: str) -> Method:
    """The method of that name.

    Raises
    ------
    ProblemError
        With the nearest names, where there is none.
    """
    from qnroute.fields import chosen

    built_in = {method.name: method for method in BUILT_IN}  # looking for extensions takes a while
    known = built_in if isinstance(name, str) and name in built_in else registered()
    return chosen("method", name, known)


def solve(
    problem: Problem,
    method: str | Method = "exact",
    *,
    time_limit: float | None = None,
    gap: float = 0.0,
    seed: int | None = None,
    progress: Progress | None = None,
    interrupted: threading.Event | None = None,
    **options: Any,
) -> Result:
    """Answer a problem; the answer is checked before it is given.

    Parameters
    ----------
    method
        A name from `methods()`, or a `Method` of your own.
    time_limit
        Wall-clock seconds; None: no limit.
    gap
        Relative gap at which an exact method may stop.
    seed
        Of the random numbers, where the method uses any: same seed, same answer.
    progress
        Called as ``progress(seconds, objective, bound)`` during long work.
    interrupted
        Set it from elsewhere to have the best answer so far; Ctrl-C sets it, too.
    **options
        The method's own options, validated by name.

    Raises
    ------
    ProblemError
        Unknown method or option, or a bad value.
    SolverError
        The method cannot state the problem, or its solver failed; `NoAnswer` if time ran out with nothing found.
    """
    common = {"time_limit": time_limit, "gap": gap, "seed": seed, "progress": progress}
    return solve_with(problem, method, options, interrupted=interrupted, **common)


def solve_with(
    problem: Problem,
    method: str | Method,
    options: Mapping[str, Any],
    *,
    time_limit: float | None = None,
    gap: float = 0.0,
    seed: int | None = None,
    progress: Progress | None = None,
    interrupted: threading.Event | None = None,
) -> Result:
    """`solve` with the method's own options in a mapping, where their names are not known beforehand."""
    from qnroute.fields import brief
    from qnroute.interruption import noted
    from qnroute.problem import Problem
    from qnroute.settings import Settings

    if not isinstance(problem, Problem):
        raise ProblemError(f"problem: expected a Problem, found {brief(problem)}")
    chosen = method if isinstance(method, Method) else _method(method)
    settled = chosen.settled(options)
    if problem.task not in chosen.tasks:
        able = [name for name, other in registered().items() if problem.task in other.tasks]
        raise SolverError(f"method {chosen.name} does not solve the task {problem.task}; {', '.join(able)} do")
    settings = Settings(
        time_limit=None if time_limit is None else TIME_LIMIT.parse(time_limit),
        gap=_GAP.parse(gap),
        seed=None if seed is None else _SEED.parse(seed),
        progress=progress,
        interrupted=interrupted or threading.Event(),
    )
    with noted(settings.interrupted):
        answer = chosen.function()(problem, settings, **settled)
        return _judged(problem, chosen, answer, settings.seed, settled, settings.elapsed())


TIME_LIMIT = Option("time_limit", float, None, "seconds", low=0.0)
_GAP = Option("gap", float, 0.0, "relative gap", low=0.0)
_SEED = Option("seed", int, None, "seed", low=0, high=2**63 - 1)
_method = method  # `solve` has a parameter of that name


def _judged(
    problem: Problem, chosen: Method, answer: Answer, seed: int | None, options: dict[str, Any], seconds: float
) -> Result:
    """The answer as a result: judged, valued anew, its status drawn from bound and value alone."""
    from qnroute.allocation import check, value
    from qnroute.result import PROVEN, Result, status_of

    check(problem, answer.allocation)
    objective, remarks = value(problem, answer.allocation), answer.remarks
    bound = _known(answer.bound)
    if bound is not None and bound < objective - PROVEN * max(abs(objective), 1e-9):
        remarks += (f"the bound {bound:.9g} that {chosen.name} gave lies below its own answer: it is not used",)
        bound = None
    if bound is not None:
        bound = max(bound, objective)  # a solver's bound carries its tolerance
    status = status_of(objective, bound, answer.stopped)
    if answer.stopped == "interrupted":
        remarks = ("interrupted: this is the best answer found so far", *remarks)
    elif answer.stopped and status != "optimal":
        remarks = ("time limit reached", *remarks)
    return Result(
        problem=problem,
        method=chosen.name,
        status=status,
        allocation=answer.allocation,
        objective=objective,
        bound=bound,
        seconds=seconds,
        seed=seed,
        options=options,
        trace=[(seconds, _known(best), _known(limit)) for seconds, best, limit in answer.trace],
        remarks=remarks,
    )


def _known(figure: float | None) -> float | None:
    """The figure, or None where a stopped search had none."""
    return figure if figure is not None and math.isfinite(figure) else None


def _unavailable(name: str, reason: str) -> Callable[..., Answer]:
    def refuse(*_: Any, **__: Any) -> Answer:
        raise SolverError(f"method {name} is not available: {reason}")

    return refuse
