"""Our own annealer: reads in lock-step lanes, capacities charged as they are instead of through slack bits.

Reads are annealed in blocks of lanes (`qnroute.solvers.lanes`) on all cores; each ends with sweeps at temperature zero.
What becomes of a read follows from the seed and its number alone.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from qnroute.errors import SolverError
from qnroute.models import PackingQubo
from qnroute.problem import Problem
from qnroute.settings import Answer, Settings
from qnroute.solvers.annealing import Harvest, Schedule, schedule_of
from qnroute.solvers.bit_lanes import packed, sweep_words, unpacked
from qnroute.solvers.choice import packing_qubo
from qnroute.solvers.lanes import LANES, Model, scatter, streams, sweep

NAME = "path-anneal"
_SLICE = 20_000_000  # updates of a variable in one lane between two looks at the clock
_COLDEST = 1e30
_QUENCH = np.full(3, _COLDEST, np.float32)  # inverse temperatures at the end


Callback = Callable[[np.ndarray, float], bool | None]
"""Called with the best state (N,) so far and its energy; True ends the search."""


class Samples(NamedTuple):
    """States (S, N) of zeros and ones with their energies (S,), in the order of reads.

    `trace` holds seconds and the least energy so far, each time that it fell.
    """

    x: np.ndarray
    energy: np.ndarray
    trace: tuple[tuple[float, float], ...] = ()

    @property
    def best(self) -> tuple[np.ndarray, float]:
        """The state of the least energy, and this energy."""
        s = int(np.argmin(self.energy))
        return self.x[s], float(self.energy[s])


def in_blocks(
    model: Model,
    schedule: Schedule,
    reads: int | None,
    settings: Settings,
    *,
    workers: int = 0,
    initial: np.ndarray | None = None,
) -> Iterator[Samples]:
    """Anneal so many reads, or as many as there is time for, and give them in their order, some at a time.

    A read that is cut short is quenched where it stands; the first ones are looked at for a moment at least.

    Parameters
    ----------
    reads
        None: there is no end but that of time, or of interest.
    workers
        Threads; 0 for as many as there are cores.
    initial
        (S, N) states to begin with, one after the other, with at most one of each block; by default they are random.
    """
    temperatures = np.geomspace(schedule.start, schedule.end, schedule.sweeps) * model.unit
    temperatures = np.minimum(temperatures, _COLDEST).astype(np.float32)
    ended, threads = threading.Event(), workers or len(os.sched_getaffinity(0))

    def over() -> bool:
        return ended.is_set() or settings.stopped is not None

    def work(first: int) -> Samples | None:
        if first and over():
            return None
        numbers = np.arange(first, first + LANES if reads is None else min(first + LANES, reads))
        return _block(model, temperatures, numbers, settings.seed or 0, initial, over)

    pool, waiting = ThreadPoolExecutor(threads), deque()
    try:
        for first in itertools.count(0, LANES) if reads is None else range(0, reads, LANES):
            if first and over():
                break
            waiting.append(pool.submit(work, first))
            if len(waiting) > 2 * threads and (samples := waiting.popleft().result()) is not None:
                yield samples
        while waiting:
            if (samples := waiting.popleft().result()) is not None:
                yield samples
    finally:
        ended.set()
        pool.shutdown(cancel_futures=True)


def annealed(
    model: Model,
    schedule: Schedule,
    reads: int,
    settings: Settings,
    *,
    target: float = -np.inf,
    callback: Callback | None = None,
    **how: Any,
) -> Samples:
    """All that `in_blocks` gives, until there is an energy of `target` or less or `callback` says True."""
    found, trace, least = [], [], np.inf
    for samples in in_blocks(model, schedule, reads, settings, **how):
        found.append(samples)
        state, energy = samples.best
        if energy < least:
            least = energy
            trace.append((settings.elapsed(), energy))
            if energy <= target or (callback is not None and callback(state, energy)):
                break
    x, energy = (np.concatenate([getattr(part, name) for part in found]) for name in ("x", "energy"))
    return Samples(x, energy, tuple(trace))


def _block(
    model: Model, temperatures: np.ndarray, reads: np.ndarray, seed: int, initial: np.ndarray | None, over: Callable
) -> Samples:
    """The reads of these numbers, at most as many as there are lanes."""
    n = len(model)
    x, random = np.zeros((n, LANES), np.float32), streams(seed, reads)
    if initial is None:
        scatter(model.charged, x, random)
    else:
        x[:, : len(reads)] = initial[reads % len(initial)].T
    state, go = (packed(x), sweep_words) if model.in_words else (x, sweep)
    at_once = max(_SLICE // max(n * LANES, 1), 1)
    for start in range(0, len(temperatures), at_once):
        if start and over():
            break
        go(model.charged, state, random, temperatures[start : start + at_once])
    go(model.charged, state, random, _QUENCH)
    x = unpacked(state) if model.in_words else state
    states = np.ascontiguousarray(x.T[: len(reads)]).astype(np.int8)
    return Samples(states, model.energies(states))


def charged(qubo: PackingQubo) -> Model:
    """A packing with its pairs as couplers and its other rows charged for their excess, requests as blocks."""
    group, most = qubo.packing.group, qubo.packing.most
    begins = np.append(True, (group[1:] != group[:-1]) | (most[group[1:]] > 1))[: len(group)]
    return Model(*qubo.excess, np.append(np.flatnonzero(begins), len(group)))


def path_anneal(
    problem: Problem,
    settings: Settings,
    *,
    reads: int,
    sweeps: int,
    candidates: int,
    workers: int,
    target: float | None,
) -> Answer:
    """Method ``path-anneal``: the best state, repaired."""
    if reads == 0 and settings.time_limit is None:
        raise SolverError("path-anneal: reads=0 draws until the time limit, but there is none; set one, or reads")
    qubo, bound = packing_qubo(problem, settings, candidates)
    harvest, schedule = Harvest(qubo, settings, bound, target), schedule_of(qubo.packing.value, sweeps)
    if len(qubo.packing) and not harvest.reached:
        for samples in in_blocks(charged(qubo), schedule, reads or None, settings, workers=workers):
            harvest.take(samples.x)
            if harvest.reached:
                break
    return harvest.answer(reads, f"{len(qubo.packing)} variables, no slack", schedule.said())
