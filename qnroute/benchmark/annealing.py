"""How near `path-anneal` comes to the optimum in how much time, on 50, 400 and 1,000 requests.

On five candidate routes a request it is held against the bound that HiGHS proves over the same routes, and against
greedy filling with them; `cpu_s` is stating, annealing and repair. On the routes of column generation (a default call,
all of it in `cpu_s`) it is held against the problem's optimum and the greedy methods. Settings were fixed on seeds
below 100.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qnroute.benchmark.sampling import CANDIDATES, FIRST_SEED, instance
from qnroute.errors import ProblemError
from qnroute.fields import chosen
from qnroute.interruption import noted
from qnroute.methods import solve
from qnroute.models import PackingQubo, RouteChoiceQubo
from qnroute.problem import Problem
from qnroute.routes import enumerate_routes
from qnroute.settings import Settings
from qnroute.solvers.annealing import Harvest, schedule_of
from qnroute.solvers.choice import packing_qubo
from qnroute.solvers.highs import solve_matrix
from qnroute.solvers.path_annealing import charged, in_blocks

_EQUAL = 1e-6


class Case(NamedTuple):
    """Networks of so many nodes and requests, and how they are annealed; candidates 0: column generation's."""

    nodes: int
    requests: int
    candidates: int = CANDIDATES
    reads: int = 32
    sweeps: int = 60
    time_limit: float = 120.0  # of what proves the bound


CASES = {
    "default": Case(100, 50, 0, 64, 300),  # what the method does unless told otherwise
    "default-400": Case(800, 400, 0, 64, 300),
    "five-50": Case(100, 50, reads=64, sweeps=300),
    "five-400": Case(800, 400),
    "five-1000": Case(2000, 1000),
}


@dataclass(frozen=True)
class Annealed:
    """One network of a case, or ``all``: then medians, the worst gaps, and how many are equal to the optimum.

    `gap_percent` is to the proven bound; `greedy_percent` is the same of the better of two greedy ways; `feasible` is
    the share of samples that keep all rules as drawn; `listing_s` and `proof_s` are the times of others.
    """

    case: str
    network: str
    variables: int
    listing_s: float
    cpu_s: float
    proof_s: float
    gap_percent: float
    equal: str
    feasible: float
    greedy_percent: float


def listing() -> list[str]:
    """The cases, in words."""
    return [
        f"{name}  {case.nodes} nodes, {case.requests} requests; {case.reads} reads of {case.sweeps} sweeps, "
        + (f"{case.candidates} routes each" if case.candidates else "routes of column generation")
        for name, case in CASES.items()
    ]


def measure(
    *,
    runs: int = 20,
    case: list[str] | None = None,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[Annealed]:
    """So many networks of each case, and then what they come to; fewer where it is interrupted."""
    interrupted, rows = interrupted or threading.Event(), []
    cases = {name: chosen("case", name, CASES) for name in case or CASES}
    if runs < 1:
        raise ProblemError(f"runs: found {runs}, expected 1 or more")
    with noted(interrupted):
        for candidates in (0, CANDIDATES):
            _measured("warm", 0, Case(20, 10, candidates))
        for name, each in cases.items():
            some = []
            for seed in range(FIRST_SEED, FIRST_SEED + runs):
                if interrupted.is_set():
                    break
                if doing is not None:
                    doing(f"{name}, network {seed - FIRST_SEED + 1} of {runs}")
                some.append(_measured(name, seed, each))
            rows += [*some, *([_all(some)] if some else [])]
    return rows


def _measured(name: str, seed: int, case: Case) -> Annealed:
    problem, settings, start = instance(seed, case.nodes, case.requests), Settings(seed=1), time.process_time()
    routes = enumerate_routes(problem, per_request=case.candidates) if case.candidates else None
    listed = time.process_time()
    qubo, known = packing_qubo(problem, settings, 0) if routes is None else (RouteChoiceQubo(problem, routes), None)
    harvest = Harvest(qubo, settings, known)
    if not harvest.reached:
        for samples in in_blocks(charged(qubo), schedule_of(qubo.packing.value, case.sweeps), case.reads, settings):
            harvest.take(samples.x)
            if harvest.reached:
                break
    done = time.process_time()
    bound = _bound(problem, qubo, case)
    proven = time.process_time()
    greedy, equal = _greedy(problem, qubo, case), harvest.value >= (1.0 - _EQUAL) * bound
    return Annealed(
        case=name,
        network=str(seed),
        variables=len(qubo.packing),
        listing_s=listed - start,
        cpu_s=done - listed,
        proof_s=proven - done,
        gap_percent=100.0 * (1.0 - harvest.value / bound),
        equal="yes" if equal else "no",
        feasible=harvest.feasible if harvest.drawn else 1.0,
        greedy_percent=100.0 * (1.0 - greedy / bound),
    )


def _bound(problem: Problem, qubo: PackingQubo, case: Case) -> float:
    """Of the problem, or over the same routes."""
    if case.candidates == 0:
        return solve(problem, "exact", time_limit=case.time_limit).bound
    return solve_matrix(qubo.model.matrix, Settings(time_limit=case.time_limit)).bound


def _greedy(problem: Problem, qubo: PackingQubo, case: Case) -> float:
    """What the better of two greedy ways reaches: the methods, or filling by density or value from the same routes."""
    if case.candidates == 0:
        return max(solve(problem, way).objective for way in ("greedy", "density-greedy"))
    starts = np.array([np.zeros(len(qubo.packing)), np.ones(len(qubo.packing))], np.int64)
    return float((qubo.packing.mended(starts) @ qubo.packing.value).max())


def _all(rows: list[Annealed]) -> Annealed:
    middle = {
        name: statistics.median(getattr(row, name) for row in rows)
        for name in ("variables", "listing_s", "cpu_s", "proof_s", "feasible", "greedy_percent")
    }
    equal = f"{sum(row.equal == 'yes' for row in rows)} of {len(rows)}"
    worst = max(row.gap_percent for row in rows)
    return Annealed(rows[0].case, "all", **middle, gap_percent=worst, equal=equal)
