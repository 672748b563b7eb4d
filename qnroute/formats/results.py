"""The result file of the contract, `qnroute.result/1`: read back and held against its problem."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pydantic

from qnroute import fields
from qnroute.allocation import Allocation, Route, check, route_figures, value
from qnroute.errors import InfeasibleAllocation, ProblemError
from qnroute.formats import json_text
from qnroute.formats.problems import require_format
from qnroute.formats.reading import read_bytes, source_of
from qnroute.problem import Problem
from qnroute.result import FORMAT, PROVEN, STATUSES, relative_gap

_AGREES = 1e-6  # relative: figures in a file may have been rounded on the way
_in_file = pydantic.dataclasses.dataclass(kw_only=True, frozen=True, config=pydantic.ConfigDict(extra="forbid"))


@_in_file
class ProblemStamp:
    """Which problem a result answers."""

    name: str
    sha256: str


@_in_file
class RouteRow:
    """One route of a result file, with the figures it states."""

    request: str
    nodes: list[str]
    probability: fields.Real
    fidelity: fields.Real
    value: fields.Real


@_in_file
class ResultFile:
    """A ``qnroute.result/1`` file as it stands; nothing in it has been verified."""

    format: str
    problem: ProblemStamp
    method: str
    status: str
    objective: fields.Real
    bound: fields.Real | None
    gap: fields.Real | None
    seconds: fields.NonNegative
    routes: list[RouteRow]
    links: list[tuple[str, str]]
    seed: pydantic.StrictInt | None
    options: dict[str, Any]
    trace: list[tuple[fields.Real, fields.Real | None, fields.Real | None]]
    versions: dict[str, str]

    @property
    def allocation(self) -> Allocation:
        """The answer itself."""
        return Allocation(tuple(Route(row.request, tuple(row.nodes)) for row in self.routes), tuple(self.links))


@dataclass(frozen=True)
class Verdict:
    """What verification found: recomputed value, and every statement of the file that does not hold."""

    objective: float | None
    broken: tuple[str, ...]


def load_result(path: str | os.PathLike[str]) -> ResultFile:
    """Read a result file; ``-`` is standard input.

    Raises
    ------
    ProblemError
        With every fault of its form. Whether what it says is true is for `verify`.
    """
    try:
        document, faults = json_text.parse(read_bytes(path))
        require_format(document, FORMAT)
        try:
            made = pydantic.TypeAdapter(ResultFile).validate_python(document)
        except pydantic.ValidationError as error:
            raise ProblemError(faults + fields.faults_of(error)) from None
        if faults:
            raise ProblemError(faults)
        return made
    except ProblemError as error:
        raise error.at(source_of(path)) from None


def verify(problem: Problem, result: ResultFile) -> Verdict:
    """Judge a result file from the problem alone: every rule, every figure, and what status and gap claim."""
    if result.problem.sha256 != problem.sha256:
        found = f"the result is for {fields.brief(result.problem.name)} ({result.problem.sha256[:12]}...)"
        return Verdict(None, (f"problem: {found}, the problem given is {problem.sha256[:12]}...",))
    try:
        check(problem, result.allocation)
    except InfeasibleAllocation as error:
        return Verdict(None, (str(error),))
    objective = value(problem, result.allocation)
    return Verdict(objective, tuple(_untrue(problem, result, objective)))


def _untrue(problem: Problem, result: ResultFile, objective: float) -> Iterator[str]:
    for number, (row, route) in enumerate(zip(result.routes, result.allocation.routes)):
        for name, true in route_figures(problem, route)._asdict().items():
            if not _same(getattr(row, name), true):
                yield f"routes[{number}].{name}: states {getattr(row, name):.9g}, is {true:.9g}"
    if not _same(result.objective, objective):
        yield f"objective: states {result.objective:.9g}, is {objective:.9g}"
    if result.bound is not None and result.bound < objective and not _same(result.bound, objective):
        yield f"bound: {result.bound:.9g} is below the objective {objective:.9g}"
    gap = relative_gap(objective, result.bound)
    stated = result.gap
    if (gap is None) != (stated is None) or (gap is not None and abs(gap - stated) > _AGREES):
        yield f"gap: states {stated}, bound and objective give {gap}"
    if result.status not in STATUSES:
        yield f"status: found {fields.brief(result.status)}, expected one of {', '.join(STATUSES)}"
    if result.status == "optimal" and (gap is None or gap > PROVEN):
        yield f"status: states optimal, but the gap is {gap}"
    if result.status == "feasible" and gap is None:
        yield "status: states feasible, which needs a bound; without one it is heuristic"
    if result.status == "infeasible":
        yield "status: states infeasible, but the empty allocation is feasible"


def _same(stated: float, true: float) -> bool:
    return math.isclose(stated, true, rel_tol=_AGREES, abs_tol=1e-12)
