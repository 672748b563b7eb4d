"""Result: a checked answer with its bound beside it, and the contract's result file."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qnroute.allocation import Allocation, route_figures
from qnroute.problem import Problem
from qnroute.settings import Trace

FORMAT = "qnroute.result/1"
STATUSES = ("optimal", "feasible", "heuristic", "time-limit", "infeasible")
PROVEN = 1e-6  # relative gap at which an answer counts as optimal
_VERSIONED = ("qnroute", "numpy", "highspy")


@dataclass(frozen=True)
class Result:
    """What `qnroute.solve` returns.

    Attributes
    ----------
    objective
        Recomputed by the judge from the routes, never copied from a solver.
    bound
        Proven upper bound on every allocation's value, or None.
    trace
        (seconds, objective, bound) as the search went on.
    remarks
        What was not proven, what stopped the search; not part of the file.
    """

    problem: Problem
    method: str
    status: str
    allocation: Allocation
    objective: float
    bound: float | None
    seconds: float
    seed: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    trace: Trace = field(default_factory=list)
    remarks: tuple[str, ...] = ()

    @property
    def gap(self) -> float | None:
        """(bound - objective) / max(|bound|, 1e-9), None where there is no bound."""
        return relative_gap(self.objective, self.bound)

    def to_dict(self) -> dict[str, Any]:
        """The contract's result file."""
        return {
            "format": FORMAT,
            "problem": {"name": self.problem.name, "sha256": self.problem.sha256},
            "method": self.method,
            "status": self.status,
            "objective": self.objective,
            "bound": self.bound,
            "gap": self.gap,
            "seconds": self.seconds,
            "routes": [self._route_dict(route) for route in self.allocation.routes],
            "links": [list(pair) for pair in self.allocation.links],
            "seed": self.seed,
            "options": dict(self.options),
            "trace": [list(point) for point in self.trace],
            "versions": versions(),
        }

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, path: str) -> None:
        """Write the result file; nothing half-written is left behind."""
        from qnroute.formats.writing import write_text

        write_text(path, self.to_json())

    def _route_dict(self, route) -> dict[str, Any]:
        figures = route_figures(self.problem, route)
        return {"request": route.request, "nodes": list(route.nodes), **figures._asdict()}

    def __repr__(self) -> str:
        gap = "" if self.gap is None else f", gap {self.gap:.2g}"
        return f"<Result {self.method} on {self.problem.name!r}: {self.status}, objective {self.objective:.6g}{gap}>"


def relative_gap(objective: float, bound: float | None) -> float | None:
    """The contract's gap, None without a bound."""
    if bound is None or not math.isfinite(bound):
        return None
    return (bound - objective) / max(abs(bound), 1e-9)


def closed(value: float, bound: float, gap: float) -> bool:
    """Whether a search may end: unlike the contract's gap, this holds values near 0 to the same share as others."""
    return math.isfinite(bound) and bound - value <= gap * abs(bound)


def status_of(objective: float, bound: float | None, stopped: str | None) -> str:
    """The contract's status: it follows from bound and judge alone, never from what a solver calls it."""
    gap = relative_gap(objective, bound)
    if gap is not None and gap <= PROVEN:
        return "optimal"
    if stopped is not None:
        return "time-limit"
    return "heuristic" if gap is None else "feasible"


def versions() -> dict[str, str]:
    """Versions of what made the answer."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in _VERSIONED}}
