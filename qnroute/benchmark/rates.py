"""How long one update of a variable takes: our annealer against dwave-samplers, on plain models of several sizes.

Models have five couplers a variable between random spins, biases from the normal distribution. Both get the same
temperatures and the same number of sweeps, 1,000 or more; all that a call does is in its CPU time.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dimod
import numpy as np

from qnroute.interruption import noted
from qnroute.models.qubo_files import of_bqm
from qnroute.solvers.annealing import sampler_called, temperatures
from qnroute.solvers.lane_sampler import PathAnnealSampler

SIZES = (1_000, 3_000, 10_000, 100_000)
_COUPLERS = 5
_SWEEPS, _UPDATES = 1000, 10_000_000  # at least so many sweeps, and updates of a read
_OUR_READS, _THEIR_READS = 32, 1


@dataclass(frozen=True)
class Rate:
    """One way on one size, the median of several runs; `ratio` is the time of an update over that of the first way."""

    variables: int
    couplers: int
    way: str
    reads: int
    sweeps: int
    update_ns: float
    ratio: float
    mean_energy: float


def model(variables: int, seed: int = 1) -> dimod.BinaryQuadraticModel:
    """Spins with five random couplers each."""
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, variables, (2, _COUPLERS * variables))
    kept = one != other
    couplers = one[kept], other[kept], rng.normal(size=int(kept.sum()))
    return dimod.BinaryQuadraticModel.from_numpy_vectors(rng.normal(size=variables), couplers, 0.0, "SPIN")


def measure(
    *,
    runs: int = 3,
    sizes: tuple[int, ...] = SIZES,
    sweeps: int = 0,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[Rate]:
    """Both ways on all sizes, in turn, fewer where it is interrupted; `sweeps` instead of the usual ones, if any."""
    interrupted, rows = interrupted or threading.Event(), []
    ways = {"path-anneal": (PathAnnealSampler(), _OUR_READS), "dwave-samplers": (sampler_called("neal"), _THEIR_READS)}
    with noted(interrupted):
        PathAnnealSampler().sample(model(20), num_reads=_OUR_READS, num_sweeps=1)  # compiled at first use
        for size in sizes:
            bqm = model(size)
            beta, many = temperatures(of_bqm(bqm)), sweeps or max(_UPDATES // size, _SWEEPS)
            found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
            for run in range(runs):
                for way, (sampler, reads) in ways.items():
                    if interrupted.is_set():
                        return rows
                    if doing is not None:
                        doing(f"{size:,} variables, {way}, run {run + 1} of {runs}")
                    how = {"num_reads": reads, "num_sweeps": many, "beta_range": beta, "seed": run}
                    found[way].append(_timed(sampler, bqm, how))
            rows += _rows(bqm, {way: (found[way], reads, many) for way, (_, reads) in ways.items()})
    return rows


def _timed(sampler: dimod.Sampler, bqm: dimod.BinaryQuadraticModel, how: dict[str, Any]) -> tuple[float, float]:
    """CPU ns of an update, and the mean energy."""
    start = time.process_time()
    samples = sampler.sample(bqm, **how)
    cpu = time.process_time() - start
    return 1e9 * cpu / (how["num_reads"] * how["num_sweeps"] * bqm.num_variables), float(samples.record.energy.mean())


def _rows(bqm: dimod.BinaryQuadraticModel, found: dict[str, Any]) -> list[Rate]:
    times = {way: statistics.median(ns for ns, _ in each) for way, (each, *_) in found.items()}
    first = next(iter(times.values()))
    size = bqm.num_variables, bqm.num_interactions
    return [
        Rate(*size, way, reads, sweeps, times[way], times[way] / first, statistics.mean(energy for _, energy in each))
        for way, (each, reads, sweeps) in found.items()
    ]
