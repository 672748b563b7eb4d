"""A study of samplers on one model: how large it is, how often each finds what, how long until it is found.

Times are CPU seconds of sampling alone. A sample succeeds if it keeps all rules and is within some share of the
optimum: as it was drawn, or once repaired, which is told apart everywhere.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from qnroute.benchmark.chances import share, time_to_target
from qnroute.benchmark.qubo_findings import Penalised, Run, Study, size_of
from qnroute.benchmark.subjects import Judged, Optimum, Subject, of_problem
from qnroute.errors import SolverError
from qnroute.interruption import noted
from qnroute.problem import Problem
from qnroute.settings import Settings
from qnroute.solvers.annealing import Schedule, draws, listens_to, sampler_called
from qnroute.solvers.embedding import SIZES, embed, target_graph
from qnroute.solvers.lanes import LANES
from qnroute.solvers.path_annealing import NAME as OURS
from qnroute.solvers.path_annealing import in_blocks

STRENGTHS = (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.25, 1.5, 2.0, 4.0, 10.0)
_BINS = 60
Doing = Callable[[str], None] | None


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Parameters
    ----------
    near
        The share of the optimum within which a sample succeeds.
    time_limit
        Seconds for each step: the optimum, each sampler with each number of sweeps, each embedding.
    strengths
        Of penalties, in units of those that suffice; none: they are not swept.
    target
        The optimum where it is known from elsewhere.
    topologies
        Graphs to embed in.
    """

    samplers: Sequence[str] = (OURS, "neal")
    sweeps: Sequence[int] = (30, 100, 300, 1000)
    reads: int = 200
    seed: int = 0
    near: float = 0.01
    time_limit: float | None = None
    strengths: Sequence[float] = ()
    target: float | None = None
    topologies: Sequence[str] = ()


def studied(
    name: str,
    subject: Subject,
    plan: Plan,
    *,
    problem: Problem | None = None,
    doing: Doing = None,
    interrupted: threading.Event | None = None,
) -> Study:
    """Measure all that is planned; what was measured before an interruption is kept.

    Parameters
    ----------
    problem
        Whose optimum over all routes is to stand beside that of the model.

    Raises
    ------
    SolverError
        A sampler, or what looks for embeddings, is not installed or not configured.
    """
    for sampler in plan.samplers:
        if sampler != OURS:
            sampler_called(sampler)
    for topology in plan.topologies:
        target_graph(topology, SIZES[topology])
    stop = interrupted or threading.Event()
    with noted(stop):
        work = _Studying(name, subject, plan, doing or (lambda _: None), stop)
        steps = [partial(work.reference, problem)]
        if len(subject.quadratic):
            steps += [work.sample, work.sweep_penalties, work.embed]
        else:
            work.study.remarks.append("nothing to sample: the model has no variables")
        for step in steps:
            try:
                step()
            except SolverError as error:  # what was measured stays
                work.study.remarks.append(str(error))
            if stop.is_set():
                work.study.stopped = "interrupted"
                break
    return work.study


class _Drawn(NamedTuple):
    """Samples of one sampler, how they are judged, their energies in its model, CPU seconds of one."""

    sampler: str
    sweeps: int | None
    samples: np.ndarray
    judged: Judged
    energies: np.ndarray
    seconds: float
    how: str
    stopped: str | None


class _Studying:
    """One study under way: what is measured is in `study`, whatever comes between."""

    def __init__(self, name: str, subject: Subject, plan: Plan, doing: Callable[[str], None], stop: threading.Event):
        self._subject, self._plan, self._doing, self._stop = subject, plan, doing, stop
        size = size_of(subject.quadratic, len(subject.quadratic) - len(subject.model))
        self.study = Study(name, subject.title, size, plan.seed, plan.near, Optimum(None, None, False))

    def reference(self, problem: Problem | None) -> None:
        """What samples are held against: a target given, else the optimum found."""
        self._doing("the optimum of the model")
        settings = Settings(time_limit=self._plan.time_limit, interrupted=self._stop)
        self.study.optimum = self._subject.optimum(settings)
        if problem is not None and not self._stop.is_set():
            self._doing("the optimum of the problem")
            self.study.problem = of_problem(problem, replace(settings, started=time.perf_counter()))
        if self._plan.target is not None:
            self.study.reference, self.study.reference_is = self._plan.target, "target"
        elif self.study.optimum.proven:
            self.study.reference, self.study.reference_is = self.study.optimum.value, "proven optimum"

    def sample(self) -> None:
        """All samplers, with as many sweeps as planned; judged at the end, as the reference may be the best sample."""
        drawn = []
        for sampler in self._plan.samplers:
            for sweeps in self._sweeps(sampler):
                if self._stop.is_set():
                    break
                self._doing(f"{sampler}{_with(sweeps)}")
                try:
                    _warm(self._subject, sampler)
                    drawn.append(self._drawn(self._subject, sampler, sweeps))
                except SolverError as error:  # what others drew stays
                    self.study.remarks.append(f"{sampler}{_with(sweeps)}: {error}")
        if drawn:
            self._settle([each.judged for each in drawn])
            zero = self._subject.energy(self.study.reference)
            edges = _edges(np.concatenate([each.energies for each in drawn]) - zero)
            self.study.energy_edges = tuple(edges.tolist())
            self.study.runs = [self._run(each, np.histogram(each.energies - zero, edges)[0]) for each in drawn]

    def sweep_penalties(self) -> None:
        """The first sampler with penalties of several strengths, and as many sweeps as it had at most."""
        sampler = (*self._plan.samplers, OURS)[0]
        sweeps = self._sweeps(sampler)[-1]
        drawn = []
        for strength in self._plan.strengths:
            subject = self._subject.at(strength)
            if subject is None:
                self.study.remarks.append("there are no penalties to sweep")
            if subject is None or self._stop.is_set():
                break
            self._doing(f"penalties times {strength:g}")
            drawn.append((strength, subject, self._drawn(subject, sampler, sweeps)))
        self._settle([each.judged for *_, each in drawn])
        self.study.penalties = [self._penalised(*each) for each in drawn]

    def _penalised(self, strength: float, subject: Subject, drawn: _Drawn) -> Penalised:
        optimum, judged, reads = self.study.optimum, drawn.judged, len(drawn.samples)
        verdict = True if subject.proven else None
        if not subject.proven and optimum.proven and subject.below(drawn.samples, optimum.value):
            verdict = False
        return Penalised(
            strength=strength,
            sampler=drawn.sampler,
            sweeps=drawn.sweeps,
            reads=reads,
            feasible=share(int(judged.feasible.sum()), reads),
            ratio=self._ratio(judged.value[judged.feasible]),
            ratio_repaired=self._ratio(judged.repaired),
            ground_feasible=verdict,
        )

    def embed(self) -> None:
        """How many qubits the model would take."""
        for topology in self._plan.topologies:
            if self._stop.is_set():
                return
            self._doing(f"embedding in {topology}")
            how = {"seed": self._plan.seed, "time_limit": self._plan.time_limit, "interrupted": self._stop}
            self.study.embeddings.append(embed(self._subject.quadratic, topology, **how))

    def _sweeps(self, sampler: str) -> list[int | None]:
        known = sampler == OURS or "num_sweeps" in listens_to(sampler_called(sampler))
        return list(self._plan.sweeps) if known else [None]

    def _drawn(self, subject: Subject, sampler: str, sweeps: int | None) -> _Drawn:
        """The clock runs while samples are drawn; stating the model before and judging them after take none of it."""
        plan, schedule = self._plan, subject.schedule(sweeps or 1)
        settings = Settings(time_limit=plan.time_limit, seed=plan.seed, interrupted=self._stop)
        parts = _parts(subject, sampler, schedule, plan.reads, settings)
        start = time.process_time()
        samples = np.concatenate(list(parts))
        seconds = (time.process_time() - start) / (_batch(sampler) * math.ceil(len(samples) / _batch(sampler)))
        stated = subject.model if sampler == OURS else subject.quadratic
        how = "" if sweeps is None else schedule.said()
        stopped = settings.stopped if sampler == OURS or len(samples) < plan.reads else None
        if stopped:
            said = f"{len(samples)} of {plan.reads} reads" + (", the last ones cut short" if sampler == OURS else "")
            self.study.remarks.append(f"{sampler}{_with(sweeps)}: {stopped} after {said}")
        energies = stated.energies(samples)
        return _Drawn(sampler, sweeps, samples, subject.judged(samples), energies, seconds, how, stopped)

    def _settle(self, found: list[Judged]) -> None:
        """Without a proven optimum the best value seen is the reference, HiGHS's best included."""
        if self.study.reference is None and found:
            sign, known = self._subject.sign, self.study.optimum.value
            best = [float((sign * judged.repaired).max()) for judged in found]
            self.study.reference = sign * max(best if known is None else [*best, sign * known])
            self.study.reference_is = "best value known"

    def _near(self, value: np.ndarray) -> np.ndarray:
        reference, sign = self.study.reference, self._subject.sign
        return sign * (reference - value) <= self._plan.near * abs(reference) + 1e-9 * max(abs(reference), 1e-9)

    def _ratio(self, value: np.ndarray) -> float | None:
        """The mean of value over reference; None where that has no meaning."""
        if not len(value) or not self.study.reference:
            return None
        return float(np.mean(value / self.study.reference))

    def _run(self, drawn: _Drawn, counts: np.ndarray) -> Run:
        judged, reads, sign = drawn.judged, len(drawn.samples), self._subject.sign
        fine, ms, batch = judged.feasible, 1e3 * drawn.seconds, _batch(drawn.sampler)
        near = int((fine & self._near(judged.value)).sum())
        near_repaired = int(self._near(judged.repaired).sum())
        return Run(
            sampler=drawn.sampler,
            sweeps=drawn.sweeps,
            reads=reads,
            read_ms=ms,
            feasible=share(int(fine.sum()), reads),
            within=share(near, reads),
            tts99_ms=time_to_target(ms, near, reads, batch),
            within_repaired=share(near_repaired, reads),
            tts99_repaired_ms=time_to_target(ms, near_repaired, reads, batch),
            ratio=self._ratio(judged.value[fine]),
            best=float(sign * (sign * judged.value[fine]).max()) if fine.any() else None,
            best_repaired=float(sign * (sign * judged.repaired).max()),
            how=drawn.how,
            stopped=drawn.stopped,
            energies=tuple(counts.tolist()),
        )


def _with(sweeps: int | None) -> str:
    return "" if sweeps is None else f", {sweeps} sweeps"


def _batch(sampler: str) -> int:
    """Reads that come at once, and cost as much as one."""
    return LANES if sampler == OURS else 1


def _edges(energies: np.ndarray) -> np.ndarray:
    low, high = float(energies.min()), float(energies.max())
    if not np.isfinite([low, high]).all():
        return np.array([0.0, 1.0])
    room = max(high - low, 1e-6 * max(abs(low), abs(high)), 1e-9)
    return np.linspace(low, low + room * (1.0 + 1e-9), _BINS + 1)


def _parts(subject: Subject, sampler: str, schedule: Schedule, reads: int, settings: Settings) -> Iterator[np.ndarray]:
    """Samples (S, N), part by part; the model is stated before the first is asked for."""
    if sampler == OURS:
        return (samples.x for samples in in_blocks(subject.model, schedule, reads, settings, workers=1))
    return draws(subject.quadratic.to_bqm(), sampler_called(sampler), schedule, reads, settings)


def _warm(subject: Subject, sampler: str) -> None:
    """What is compiled or imported at first use is no part of the time."""
    if sampler == OURS:
        list(_parts(subject, sampler, subject.schedule(1), 1, Settings(seed=0)))
    else:
        sampler_called(sampler)
