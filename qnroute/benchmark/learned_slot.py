"""Learned and simple methods on one slot against the optimum: on families seen in training, on others, on larger ones.

Seeds are those of no training. Every method meets the same problems; values are shares of the optimum that `exact`
proves.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qnroute import generate
from qnroute.benchmark.statistics import difference, mean_interval
from qnroute.fields import chosen
from qnroute.learning.routing.problems import SEEN, drawn
from qnroute.methods import solve
from qnroute.multiplicity import holm
from qnroute.problem import Problem

SEED = 5_000_000
REFERENCE = "density-greedy"
PROVING = "exact"
METHODS: dict[str, tuple[str, dict]] = {
    "density-greedy": ("density-greedy", {}),
    "greedy": ("greedy", {}),
    "priced, 20 listed": ("priced", {"candidates": 20, "proposals": 0}),
    "priced": ("priced", {}),
    "ppo": ("ppo", {}),
    "ppo, best of 16": ("ppo", {"samples": 16}),
    "refine": ("refine", {}),
    "hybrid": ("hybrid", {}),
    "hybrid, policy alone": ("hybrid", {"steps": 0}),
    PROVING: (PROVING, {}),
}


@dataclass(frozen=True)
class Family:
    """Problems of one kind: a topology of so many nodes, requests for each node, and whether policies have seen it."""

    topology: str
    nodes: int
    seen: bool

    def problem(self, seed: int) -> Problem:
        """One of them."""
        rng = np.random.default_rng([seed, 7])
        network = drawn(self.topology, self.nodes, rng, seed)
        return Problem(network, generate.requests(network, round(1.25 * self.nodes), seed=seed))


FAMILIES = {
    f"{topology}-{nodes}": Family(topology, nodes, seen)
    for topology, nodes, seen in (
        *((topology, nodes, True) for topology in SEEN for nodes in (16, 32)),
        ("watts-strogatz", 16, False),
        ("waxman", 24, False),
        ("erdos-renyi", 64, False),
        ("barabasi-albert", 64, False),
        ("watts-strogatz", 64, False),
        ("erdos-renyi", 128, False),
    )
}


@dataclass(frozen=True)
class Learned:
    """A method on a family.

    Attributes
    ----------
    share, low, high
        Of the optimum, with the 95 % interval of the mean.
    above, above_low, above_high
        Share more than `density-greedy` reaches on the same problems.
    p
        Wilcoxon's signed ranks of that, Holm-corrected over all rows.
    bound
        The method's own proven bound over the optimum.
    """

    family: str
    seen: bool
    method: str
    problems: int
    share: float | None
    low: float | None
    high: float | None
    above: float | None
    above_low: float | None
    above_high: float | None
    p: float
    bound: float | None
    cpu_ms: float


def listing() -> list[str]:
    """The families."""
    return [f"{name}: {'seen' if family.seen else 'not seen'} in training" for name, family in FAMILIES.items()]


def measure(
    *,
    runs: int,
    case: Sequence[str] | None = None,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[Learned]:
    """A row for each family and method; problems that `exact` has not proven in a minute are left out."""
    stop, asked, rows = interrupted or threading.Event(), list(case or FAMILIES), []
    for name in asked:
        chosen("--case", name, FAMILIES)
    for called, options in METHODS.values():
        solve(FAMILIES["erdos-renyi-16"].problem(0), called, **options)  # compiles
    for name in asked:
        shares: dict[str, list[float]] = {method: [] for method in METHODS}
        bounds: dict[str, list[float]] = {method: [] for method in METHODS}
        seconds: dict[str, list[float]] = {method: [] for method in METHODS}
        for run in range(runs):
            if stop.is_set():
                break
            if doing is not None:
                doing(f"{name}, problem {run + 1}")
            problem = FAMILIES[name].problem(SEED + run)
            start = time.process_time()
            best = solve(problem, PROVING, time_limit=60.0, interrupted=stop)
            taken = time.process_time() - start
            if best.status != "optimal" or best.objective <= 0.0:
                continue
            for method, (called, options) in METHODS.items():
                start = time.process_time()
                found = best if method == PROVING else solve(problem, called, seed=run, **options)
                seconds[method].append(taken if method == PROVING else time.process_time() - start)
                shares[method].append(found.objective / best.objective)
                bounds[method].append(np.nan if found.bound is None else found.bound / best.objective)
        if shares[REFERENCE]:
            rows += [_row(name, method, shares, bounds[method], seconds[method]) for method in METHODS]
    corrected = holm([row["p"] for row in rows if row["method"] != REFERENCE])
    for row, p in zip((row for row in rows if row["method"] != REFERENCE), np.asarray(corrected).tolist()):
        row["p"] = p
    return [Learned(**row) for row in rows]


def _row(name: str, method: str, shares: dict[str, list[float]], bounds: list[float], seconds: list[float]) -> dict:
    share, apart = mean_interval(shares[method]), difference(shares[method], shares[REFERENCE])
    own = method == REFERENCE
    return {
        "family": name,
        "seen": FAMILIES[name].seen,
        "method": method,
        "problems": len(shares[method]),
        "share": share.value,
        "low": share.low,
        "high": share.high,
        "above": None if own else apart.mean.value,
        "above_low": None if own else apart.mean.low,
        "above_high": None if own else apart.mean.high,
        "p": 1.0 if own else apart.p_paired,
        "bound": mean_interval(bounds).value,
        "cpu_ms": 1000.0 * float(np.median(seconds)),
    }
