"""`bench exact`: time to proof, gap over time and memory of the exact methods, each held against its peers.

Every run has a process of its own (`qnroute.benchmark.single`); the ways of a case run in turn, so that noise is
shared, and its rows hold the medians over the runs.
"""

from __future__ import annotations

import itertools
import math
import statistics
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from qnroute.benchmark.cases import CASES, GROUPS, Case, named
from qnroute.benchmark.processes import measured
from qnroute.errors import ProblemError, SolverError
from qnroute.interruption import noted
from qnroute.result import PROVEN
from qnroute.settings import Trace

TIME_LIMIT = 60.0  # seconds of each run
NEAR_PROOF = 1e-3  # the gap whose time is a column
_FILE_ONLY = {"shown": False}


@dataclass(frozen=True)
class Proof:
    """One way on one case: medians of CPU and wall time, the largest memory; the rest is of the run of median CPU time.

    `ratio` is the CPU time over that of the case's first way, a lower bound of it where `status` is not ``optimal``.
    `agrees` is ``no`` where the value exceeds a bound that some way of the case proved. `permille_s`: until the gap
    was 0.1 %. `reachable`: requests joined by a route that keeps their floor; `served`: routes, or links selected.
    """

    case: str
    group: str = field(metadata=_FILE_ONLY)
    nodes: int = field(metadata=_FILE_ONLY)
    links: int = field(metadata=_FILE_ONLY)
    requests: int = field(metadata=_FILE_ONLY)
    objective: str = field(metadata=_FILE_ONLY)
    way: str
    runs: int
    limit_s: float = field(metadata=_FILE_ONLY)
    status: str
    value: float | None
    bound: float | None
    gap: float | None
    agrees: str
    cpu_s: float | None
    ratio: float | None
    wall_s: float | None
    peak_mb: float | None
    first_value_s: float | None
    first_bound_s: float | None
    permille_s: float | None
    reachable: int | None
    served: int | None
    remarks: str = field(metadata=_FILE_ONLY)
    trace: Trace = field(metadata=_FILE_ONLY)


def listing() -> list[str]:
    """A line for each group, each followed by one for each of its cases."""
    lines = []
    for group, words in GROUPS.items():
        cases = [case for case in CASES.values() if case.group == group]
        lines.append(f"{group}  {words}")
        for case in cases:
            more = "" if case.usual else "; only when named"
            lines.append(f"  {case.name}  {case.description}: {', '.join(case.ways)}{more}")
    return lines


def measure(
    *,
    runs: int = 1,
    case: Sequence[str] | None = None,
    time_limit: float = TIME_LIMIT,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[Proof]:
    """The rows of all cases; those measured so far where it is interrupted.

    Parameters
    ----------
    case
        Names of cases and groups; the usual ones without any.
    time_limit
        Wall-clock seconds of each run.
    doing
        Told what is measured next.
    interrupted
        Set it from elsewhere to end with what there is; Ctrl-C sets it, too.
    """
    if not math.isfinite(time_limit) or time_limit <= 0.0:
        raise ProblemError(f"time_limit: found {time_limit}, expected seconds, more than 0")
    interrupted, rows = interrupted or threading.Event(), []
    with noted(interrupted):
        for each in named(case):
            seen: dict[str, list[dict[str, Any]]] = {way: [] for way in each.ways}
            for run, way in itertools.product(range(1, runs + 1), each.ways):
                if doing is not None:
                    doing(f"{each.name}, {way}, run {run} of {runs}")
                found = _run(each, way, time_limit, interrupted)
                if found is None:
                    return rows + _rows(each, seen, time_limit)
                seen[way].append(found)
            rows += _rows(each, seen, time_limit)
    return rows


def _run(case: Case, way: str, time_limit: float, interrupted: threading.Event) -> dict[str, Any] | None:
    """What `single` prints, None where it was interrupted; a run that dies leaves its reason as its status."""
    patience = 3.0 * time_limit + 120.0  # past it, something hangs
    try:
        return measured(
            "qnroute.benchmark.single", case.name, way, str(time_limit), interrupted=interrupted, patience=patience
        )
    except SolverError as error:
        return {"status": f"failed: {error}"}


def _rows(case: Case, seen: dict[str, list[dict[str, Any]]], time_limit: float) -> list[Proof]:
    """The rows of a case, without the ways that were not run."""
    middle = {way: _median(found) for way, found in seen.items() if found}
    bounds = [run["bound"] for run in middle.values() if run.get("bound") is not None]
    least = min(bounds) if bounds else None
    first = middle.get(case.ways[0], {}).get("cpu_s")
    rows = []
    for way, run in middle.items():
        value, cpu, trace = run.get("value"), run.get("cpu_s"), run.get("trace", [])
        row = {name: run.get(name) for name in Proof.__dataclass_fields__}
        row |= {
            "case": case.name,
            "group": case.group,
            "nodes": run.get("nodes", case.nodes),
            "way": way,
            "runs": len(seen[way]),
            "limit_s": time_limit,
            "agrees": "" if value is None or least is None else _yes(value <= least + PROVEN * abs(least)),
            "ratio": cpu / first if cpu is not None and first else None,
            "first_value_s": _first(trace, lambda point: bool(point[1])),
            "first_bound_s": _first(trace, lambda point: point[2] is not None),
            "permille_s": _first(trace, lambda point: gap_at(point) <= NEAR_PROOF),
            "remarks": run.get("remarks", ""),
            "trace": trace,
        }
        rows.append(Proof(**row))
    return rows


def _median(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The run of median CPU time, with the medians and the peak of all; a run that failed hides the others."""
    failed = [run for run in found if "cpu_s" not in run]
    if failed:
        return failed[0]
    middle = statistics.median_low(run["cpu_s"] for run in found)
    chosen = next(run for run in found if run["cpu_s"] == middle)
    figures = {name: statistics.median(run[name] for run in found) for name in ("cpu_s", "wall_s")}
    return {**chosen, **figures, "peak_mb": max(run["peak_mb"] for run in found)}


def gap_at(point: Sequence[float | None]) -> float:
    """The relative gap at a point of a trace, at most 1, which is also that of knowing nothing."""
    _, value, bound = point
    if bound is None or value is None:
        return 1.0
    return min(max(bound - value, 0.0) / max(abs(bound), 1e-9), 1.0)


def _first(trace: Trace, holds: Callable[[Sequence[float | None]], bool]) -> float | None:
    return next((point[0] for point in trace if holds(point)), None)


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"
