"""The registry: method name -> who answers, with which options; and `solve`, the one door to all of them.

Nothing heavy is imported here: a method's module is loaded when it is asked to solve. Other packages
register methods through the entry-point group ``qnroute.methods``: each entry is a `Method`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qnroute.errors import ProblemError, SolverError
from qnroute.settings import MAX_ROUTES

if TYPE_CHECKING:
    from qnroute.problem import Problem
    from qnroute.result import Result
    from qnroute.settings import Answer, Progress

GROUP = "qnroute.methods"
ALLOCATION, SELECTION = "allocation", "link-selection"
MODELS = ("auto", "link-flow", "path-packing", "link-selection")
ENCODINGS = ("binary", "unary", "domain-wall", "unbalanced")
SAMPLERS = ("neal", "tabu", "steepest-descent", "openjij", "dwave", "leap")


@dataclass(frozen=True)
class Option:
    """One option of a method: its type, default and range."""

    name: str
    kind: type
    default: Any
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def parse(self, given: Any) -> Any:
        """The value as the method takes it; text is read as the option's type.

        Raises
        ------
        ProblemError
            Naming the option, what was found and what is expected.
        """
        value = self._converted(given)
        if value is None or (self.choices and value not in self.choices):
            raise self._refused(given)
        if self.kind in (int, float) and not self._in_range(value):
            raise self._refused(given)
        return value

    def _converted(self, given: Any) -> Any:
        if hasattr(given, "item"):  # a numpy scalar
            given = given.item()
        if isinstance(given, str) and self.kind is bool:
            return {"true": True, "false": False}.get(given.lower())
        if isinstance(given, str) and self.kind is not str:
            try:
                return self.kind(given)
            except ValueError:
                return None
        if self.kind is float and isinstance(given, int) and not isinstance(given, bool):
            return float(given)
        return given if type(given) is self.kind else None

    def _in_range(self, value: float) -> bool:
        above = self.low is None or value >= self.low
        return math.isfinite(value) and above and (self.high is None or value <= self.high)

    def _refused(self, given: Any) -> ProblemError:
        from qnroute.fields import brief

        return ProblemError(f"option {self.name}: found {brief(given)}, expected {self.expected}")

    @property
    def expected(self) -> str:
        """What is accepted, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        name = {int: "an integer", float: "a number", bool: "true or false", str: "text"}[self.kind]
        low = "" if self.low is None else f" from {self.low:g}"
        return name + low + ("" if self.high is None else f" to {self.high:g}")


@dataclass(frozen=True)
class Method:
    """A way to answer problems.

    Parameters
    ----------
    solve
        ``f(problem, settings, **options) -> Answer``, or where it is: ``"package.module:function"``.
    tasks
        Which tasks it can answer.
    """

    name: str
    description: str
    solve: str | Callable[..., Answer]
    options: tuple[Option, ...] = ()
    tasks: tuple[str, ...] = (ALLOCATION,)

    def function(self) -> Callable[..., Answer]:
        """The function itself, imported now."""
        if callable(self.solve):
            return self.solve
        module, _, name = self.solve.partition(":")
        return getattr(importlib.import_module(module), name)

    def settled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All options with their values; unknown ones are refused by name."""
        from qnroute.fields import brief

        known = {option.name: option for option in self.options}
        faults, values = [], {option.name: option.default for option in self.options}
        for name, value in given.items():
            if name not in known:
                there_are = f"it has {', '.join(known)}" if known else "it has none"
                faults.append(f"method {self.name} has no option {brief(name)}; {there_are}")
                continue
            try:
                values[name] = known[name].parse(value)
            except ProblemError as error:
                faults += error.faults
        if faults:
            raise ProblemError(faults)
        return values


_THREADS = Option("threads", int, 1, "HiGHS threads; 1 is reproducible", low=1, high=256)
_MAX_ROUTES = Option("max_routes", int, MAX_ROUTES, "routes listed in all before giving way", low=1, high=5_000_000)
_WORKERS = Option("workers", int, 0, "threads that price routes; 0 for as many as there are cores", low=0, high=256)
_BOTH = (ALLOCATION, SELECTION)


def _candidates(default: int) -> Option:
    return Option("candidates", int, default, "candidate routes kept for each request", low=1, high=100_000)


def _reads(sweeps: int) -> tuple[Option, Option]:
    return (
        Option("reads", int, 64, "samples drawn", low=1, high=1_000_000),
        Option("sweeps", int, sweeps, "sweeps of each over all variables", low=1, high=10_000_000),
    )


def _sampling(*more: Option) -> tuple[Option, ...]:
    return (
        *more,
        *_reads(1000),
        Option("encoding", str, ENCODINGS[0], "how room left is written in bits", choices=ENCODINGS),
        _candidates(5),
    )


def _model() -> Option:
    return Option("model", str, MODELS[0], "which formulation is stated", choices=MODELS)


BUILT_IN = (
    Method(
        "exact",
        "the best proven route to the optimum: column generation, else the flow model",
        "qnroute.solvers.exact:exact",
        (_THREADS, _WORKERS, _MAX_ROUTES),
        _BOTH,
    ),
    Method(
        "link-flow",
        "link-use variables with flow conservation, solved by HiGHS",
        "qnroute.solvers.highs:link_flow",
        (_THREADS,),
    ),
    Method(
        "path-packing",
        "every useful route as a column, solved by HiGHS",
        "qnroute.solvers.highs:path_packing",
        (_THREADS, _MAX_ROUTES),
    ),
    Method(
        "column-generation",
        "routes made as prices call for them, packed to proof: for large problems",
        "qnroute.solvers.column_generation:column_generation",
        (_THREADS, _WORKERS, _MAX_ROUTES),
    ),
    Method("pyomo", "the same models through Pyomo", "qnroute.solvers.pyomo:pyomo", (_model(),), _BOTH),
    Method("pulp", "the same models through PuLP", "qnroute.solvers.pulp:pulp", (_model(),), _BOTH),
    Method(
        "shortest-path",
        "each request in order takes the fewest-hop route that still fits",
        "qnroute.solvers.baselines:shortest_path",
    ),
    Method(
        "greedy",
        "again and again the most valuable route (or link) that still fits",
        "qnroute.solvers.baselines:greedy",
        (_candidates(20),),
        _BOTH,
    ),
    Method(
        "density-greedy",
        "candidate routes by value over the square root of their hops, while they fit",
        "qnroute.solvers.baselines:density_greedy",
        (_candidates(20),),
    ),
    Method(
        "static",
        "routes fixed on the empty network; requests by weight take their first that fits",
        "qnroute.solvers.baselines:static",
        (_candidates(5),),
    ),
    Method(
        "path-anneal",
        "candidate routes (or links) annealed in lock-step, capacities charged as they are, repaired",
        "qnroute.solvers.path_annealing:path_anneal",
        (*_reads(300), _candidates(5), _WORKERS),
        _BOTH,
    ),
    Method(
        "neal",
        "candidate routes (or links) as a QUBO, sampled by simulated annealing, repaired",
        "qnroute.solvers.annealing:neal",
        _sampling(),
        _BOTH,
    ),
    Method(
        "tabu",
        "the same QUBO, sampled by tabu search",
        "qnroute.solvers.annealing:tabu",
        _sampling(),
        _BOTH,
    ),
    Method(
        "anneal",
        "the same QUBO, sampled by any of several samplers",
        "qnroute.solvers.annealing:anneal",
        _sampling(Option("sampler", str, SAMPLERS[0], "what draws", choices=SAMPLERS)),
        _BOTH,
    ),
)


def methods() -> dict[str, str]:
    """Registered methods: name -> one-line description."""
    return {name: method.description for name, method in registered().items()}


def registered() -> dict[str, Method]:
    """All methods by name; a registered one that cannot be loaded says so in its description."""
    found = {method.name: method for method in BUILT_IN}
    for entry in importlib.metadata.entry_points(group=GROUP):
        try:
            method = entry.load()
            if not isinstance(method, Method):
                raise TypeError(f"{entry.value} is not a qnroute Method")
        except Exception as error:  # a broken extension must not take the others with it
            method = Method(entry.name, f"not available: {error}", _unavailable(entry.name, str(error)))
        found.setdefault(method.name, method)
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
        time_limit=None if time_limit is None else _TIME_LIMIT.parse(time_limit),
        gap=_GAP.parse(gap),
        seed=None if seed is None else _SEED.parse(seed),
        progress=progress,
        interrupted=interrupted or threading.Event(),
    )
    with noted(settings.interrupted):
        answer = chosen.function()(problem, settings, **settled)
        return _judged(problem, chosen, answer, settings.seed, settled, settings.elapsed())


_TIME_LIMIT = Option("time_limit", float, None, "seconds", low=0.0)
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
