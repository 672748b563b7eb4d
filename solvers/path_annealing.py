"""Our own annealer: reads in lock-step lanes, capacities charged as they are instead of through slack bits.

Reads are annealed in blocks of lanes (`qnroute.solvers.lanes`) on all cores; each ends with sweeps at temperature zero.
What becomes of a read follows from the seed and its number alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import NamedTuple

import numpy as np

from qnroute.models import PackingQubo
from qnroute.problem import Problem
from qnroute.settings import Answer, Settings, Trace
from qnroute.solvers.annealing import Schedule, schedule_of
from qnroute.solvers.choice import packing_qubo
from qnroute.solvers.lanes import LANES, Model, sweep

_SLICE = 20_000_000  # updates of a variable in one lane between two looks at the clock
_QUENCH = np.full(3, 1e30, np.float32)  # inverse temperatures at the end


class Samples(NamedTuple):
    """States (S, N) of zeros and ones with their energies (S,), in the order of reads."""

    x: np.ndarray
    energy: np.ndarray


def annealed(
    model: Model,
    schedule: Schedule,
    reads: int,
    settings: Settings,
    *,
    workers: int = 0,
    initial: np.ndarray | None = None,
    target: float = -np.inf,
    seen: Callable[[np.ndarray, float], bool | None] | None = None,
) -> Samples:
    """Anneal so many reads, or as many as there is time for; one that is cut short is quenched where it stands.

    Parameters
    ----------
    workers
        Threads; 0 for as many as there are cores.
    initial
        (S, N) states to begin with, one after the other; by default they are random.
    target
        An energy at which the search ends early.
    seen
        Called with the best state so far (N,) and its energy, when there is a better one; True ends the search.
    """
    temperatures = np.geomspace(schedule.start * model.unit, schedule.end * model.unit, schedule.sweeps)
    blocks = np.array_split(np.arange(reads), np.arange(LANES, reads, LANES))
    done: list[Samples | None] = [None] * len(blocks)
    best, ended = np.inf, False

    def over() -> bool:
        return ended or settings.stopped is not None

    def work(number: int) -> None:
        if number == 0 or not over():
            done[number] = _block(
                model, temperatures.astype(np.float32), blocks[number], settings.seed or 0, initial, over
            )

    with ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool:
        running = {pool.submit(work, number): number for number in range(len(blocks))}
        while running:
            finished, _ = wait(running, timeout=0.05, return_when="FIRST_COMPLETED")
            for one in finished:
                one.result()
                samples = done[running.pop(one)]
                if samples is not None and samples.energy.min() < best:
                    s = int(np.argmin(samples.energy))
                    best = float(samples.energy[s])
                    ended = ended or best <= target or bool(seen is not None and seen(samples.x[s], best))
    some = [samples for samples in done if samples is not None]
    return Samples(np.concatenate([part.x for part in some]), np.concatenate([part.energy for part in some]))


def _block(
    model: Model, temperatures: np.ndarray, reads: np.ndarray, seed: int, initial: np.ndarray | None, over: Callable
) -> Samples:
    """The reads of these numbers, at most as many as there are lanes."""
    n = len(model)
    streams = [np.random.default_rng(np.random.SeedSequence([seed, int(read)])) for read in reads]
    x = np.zeros((n, LANES), np.float32)
    random = np.ones(LANES, np.uint32)
    for lane, (read, stream) in enumerate(zip(reads.tolist(), streams)):
        random[lane] = stream.integers(1, 2**32, dtype=np.uint32)
        x[:, lane] = _random(model, stream) if initial is None else initial[read % len(initial)]
    at_once = max(_SLICE // max(n * LANES, 1), 1)
    for start in range(0, len(temperatures), at_once):
        if start and over():
            break
        sweep(model.charged, x, random, temperatures[start : start + at_once])
    sweep(model.charged, x, random, _QUENCH)
    states = np.ascontiguousarray(x.T[: len(reads)]).astype(np.int8)
    return Samples(states, model.energies(states))


def _random(model: Model, stream: np.random.Generator) -> np.ndarray:
    """(N,) a random state with at most one of each block."""
    size = np.diff(model.block)
    pick = (stream.random(len(size)) * (size + 1)).astype(np.int64)  # the last one is none
    state = np.zeros(len(model))
    state[(model.block[:-1] + pick)[pick < size]] = 1.0
    return state


def charged(qubo: PackingQubo) -> Model:
    """A packing with its pairs as couplers and its other rows charged for their excess, requests as blocks."""
    group, most = qubo.packing.group, qubo.packing.most
    new = (
        np.concatenate([[True], (group[1:] != group[:-1]) | (most[group[1:]] > 1)]) if len(group) else np.zeros(0, bool)
    )
    return Model(*qubo.excess, np.append(np.flatnonzero(new), len(group)))


def path_anneal(
    problem: Problem, settings: Settings, *, reads: int, sweeps: int, candidates: int, workers: int
) -> Answer:
    """Method ``path-anneal``: the best state, repaired."""
    trace: Trace = []
    qubo = packing_qubo(problem, settings, candidates)
    chosen, value = qubo.packing.mended(np.zeros((1, len(qubo.packing)), np.int64))[0], 0.0

    def better(samples: np.ndarray) -> float:
        nonlocal chosen, value
        mended = qubo.packing.mended(samples)
        worth = mended @ qubo.packing.value
        s = int(np.argmax(worth))
        if worth[s] > value or not trace:
            chosen, value = mended[s], float(worth[s])
            trace.append((settings.elapsed(), value, None))
            if settings.progress is not None:
                settings.progress(*trace[-1])
        return value

    if not len(qubo.packing):
        return Answer(qubo.decode(chosen), stopped=settings.stopped)
    better(chosen[None])
    schedule = schedule_of(qubo.packing.value, sweeps)
    found = annealed(
        charged(qubo), schedule, reads, settings, workers=workers, seen=lambda state, _: better(state[None]) is None
    )
    raw = qubo.packing.feasible(found.x)
    best = better(found.x)
    fine = bool(raw.any()) and (found.x[raw] @ qubo.packing.value).max() >= best
    origin = "a sample as it was drawn" if fine else "a sample repaired"
    remarks = (
        f"{raw.sum()} of {len(raw)} samples keep all rules ({100 * raw.mean():.3g} %); the answer is {origin}",
        f"{len(qubo.packing)} variables; inverse temperature {schedule.start:.4g} to {schedule.end:.4g} in {sweeps} "
        "sweeps",
    )
    return Answer(qubo.decode(chosen), None, trace, settings.stopped if len(raw) < reads else None, remarks)
