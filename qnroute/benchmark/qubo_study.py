"""A study of samplers on one model: how large it is, how often each finds what, how long until it is found.

Times are CPU seconds of sampling alone. A sample succeeds if it keeps all rules and is within some share of the
optimum: as it was drawn, or once repaired, which is told apart everywhere.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from qnroute.benchmark.chances import Interval, share, time_to_target
from qnroute.benchmark.subjects import Judged, Optimum, Subject, of_problem
from qnroute.interruption import noted
from qnroute.models.quadratic import Quadratic
from qnroute.problem import Problem
from qnroute.settings import Settings
from qnroute.solvers.annealing import Schedule, draws, listens_to, sampler_called
from qnroute.solvers.embedding import Embedding, embed
from qnroute.solvers.path_annealing import in_blocks

OURS = "path-anneal"
STRENGTHS = (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.25, 1.5, 2.0, 4.0, 10.0)
_BINS = 60
_BELOW = 1e-9  # of the optimum: an energy that lies so far below it is no rounding
Doing = Callable[[str], None] | None


@dataclass(frozen=True)
class Size:
    """How large a model is: `coefficient_range` is the largest over the smallest size of any bias that is not 0.

    `degrees[d]` variables have d couplers; `density` is the share of all pairs that are coupled.
    """

    variables: int
    slack: int
    couplers: int
    density: float
    degrees: tuple[int, ...]
    coefficient_least: float
    coefficient_most: float
    coefficient_range: float


@dataclass(frozen=True)
class Run:
    """What the reads of one sampler came to.

    `within` is the share of reads that keep all rules and are within the share asked for of the reference,
    `within_repaired` that of repaired ones, each with the time to target in ms; `ratio` is the mean of value over
    reference among the feasible reads; `energies` counts reads between the study's `energy_edges`.
    """

    sampler: str
    sweeps: int | None
    reads: int
    read_ms: float
    feasible: Interval
    within: Interval
    tts99_ms: Interval
    within_repaired: Interval
    tts99_repaired_ms: Interval
    ratio: float | None
    best: float | None
    best_repaired: float
    how: str
    energies: tuple[int, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Penalised:
    """What becomes of samples with penalties `strength` times those that provably suffice.

    `least` is the least energy seen, above that of an optimum that keeps all rules. `ground_feasible` says whether the
    ground state keeps all rules: yes where that is proven, no where some sample lies below a proven optimum, else None.
    """

    strength: float
    sampler: str
    sweeps: int | None
    reads: int
    feasible: Interval
    ratio: float | None
    ratio_repaired: float | None
    least: float
    ground_feasible: bool | None


@dataclass
class Study:
    """All that was measured.

    `reference` is what samples are held against, the proven optimum or the best value known; `energy_edges` bound the
    bins in which energies above that of the reference are counted.
    """

    name: str
    title: dict[str, Any]
    size: Size
    seed: int
    near: float
    optimum: Optimum
    problem: Optimum | None = None
    reference: float | None = None
    energy_edges: tuple[float, ...] = ()
    runs: list[Run] = field(default_factory=list)
    penalties: list[Penalised] = field(default_factory=list)
    embeddings: list[Embedding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    stopped: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; chains of embeddings are left out."""
        found = {each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name != "embeddings"}
        plain = {name: _plain(value) for name, value in found.items()}
        sizes = ("topology", "size", "qubits", "variables", "couplers", "found", "used", "longest", "mean", "seconds")
        return {"format": "qnroute.qubo-study/1"} | plain | {
            "embeddings": [{name: getattr(each, name) for name in (*sizes, "why")} for each in self.embeddings]
        }  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)) and not hasattr(value, "_asdict"):
        return [_plain(each) for each in value]
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if dataclasses.is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    return value


def size_of(quadratic: Quadratic, slack: int) -> Size:
    """Of a model whose last `slack` variables are slack bits."""
    n, q = len(quadratic), len(quadratic.bias)
    degree = np.bincount(quadratic.row, minlength=n) + np.bincount(quadratic.col, minlength=n)
    some = np.abs(np.concatenate([quadratic.linear, quadratic.bias]))
    some = some[some > 0.0]
    least, most = (float(some.min()), float(some.max())) if len(some) else (0.0, 0.0)
    counts = tuple(np.bincount(degree.astype(np.int64)).tolist()) if n else ()
    pairs = n * (n - 1) / 2
    return Size(n, slack, q, q / pairs if pairs else 0.0, counts, least, most, most / least if least else 1.0)


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
    """
    stop = interrupted or threading.Event()
    with noted(stop):
        work = _Studying(name, subject, plan, doing or (lambda _: None), stop)
        steps = [partial(work.reference, problem)]
        if len(subject.quadratic):
            steps += [work.sample, work.sweep_penalties, work.embed]
        else:
            work.study.remarks.append("nothing to sample: the model has no variables")
        for step in steps:
            step()
            if stop.is_set():
                work.study.stopped = "interrupted"
                break
    return work.study


class _Studying:
    """One study under way: what is measured is in `study`, whatever comes between."""

    def __init__(self, name: str, subject: Subject, plan: Plan, doing: Callable[[str], None], stop: threading.Event):
        self._subject, self._plan, self._doing, self._stop = subject, plan, doing, stop
        size = size_of(subject.quadratic, len(subject.quadratic) - len(subject.model))
        self.study = Study(name, subject.title, size, plan.seed, plan.near, Optimum(None, None))

    def reference(self, problem: Problem | None) -> None:
        """What samples are held against: a target given, else the optimum found."""
        self._doing("the optimum of the model")
        settings = Settings(time_limit=self._plan.time_limit, interrupted=self._stop)
        self.study.optimum = self._subject.optimum(settings)
        if problem is not None and not self._stop.is_set():
            self._doing("the optimum of the problem")
            self.study.problem = of_problem(problem, replace(settings, started=time.perf_counter()))
        if self._plan.target is not None:
            self.study.reference = self._plan.target
        elif self.study.optimum.proven:
            self.study.reference = self.study.optimum.value

    def sample(self) -> None:
        """All samplers, with as many sweeps as planned; judged at the end, as the reference may be the best sample."""
        drawn = []
        for sampler in self._plan.samplers:
            for sweeps in self._sweeps(sampler):
                if self._stop.is_set():
                    break
                self._doing(f"{sampler}{'' if sweeps is None else f', {sweeps} sweeps'}")
                _warm(self._subject, sampler)
                drawn.append((sampler, sweeps, *self._drawn(self._subject, sampler, sweeps)))
        if drawn:
            self._settle([judged for *_, judged, _ in drawn])
            energies = [energy - self._subject.energy(self.study.reference) for *_, energy in drawn]
            edges = np.histogram_bin_edges(np.concatenate(energies), _BINS)
            self.study.energy_edges = tuple(edges.tolist())
            self.study.runs = [self._run(*each[:-1], np.histogram(e, edges)[0]) for each, e in zip(drawn, energies)]

    def sweep_penalties(self) -> None:
        """The first sampler with penalties of several strengths, and as many sweeps as it had at most."""
        sampler = (*self._plan.samplers, OURS)[0]
        sweeps = self._sweeps(sampler)[-1]
        for strength in self._plan.strengths:
            subject = self._subject.at(strength)
            if subject is None:
                self.study.remarks.append("there are no penalties to sweep")
            if subject is None or self._stop.is_set():
                return
            self._doing(f"penalties times {strength:g}")
            *_, judged, energy = self._drawn(subject, sampler, sweeps)
            self._settle([judged])
            least = float(energy.min()) - subject.energy(self.study.reference)
            below = self.study.optimum.proven and least < -_BELOW * abs(self.study.reference)
            self.study.penalties.append(
                Penalised(
                    strength,
                    sampler,
                    sweeps,
                    len(judged.value),
                    share(int(judged.feasible.sum()), len(judged.value)),
                    self._ratio(judged.value[judged.feasible]),
                    self._ratio(judged.repaired),
                    least,
                    False if below else (True if subject.proven else None),
                )
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

    def _drawn(self, subject: Subject, sampler: str, sweeps: int | None) -> tuple[Schedule, float, Judged, np.ndarray]:
        """The schedule, CPU seconds of a read, what reads are worth, and their energies."""
        plan, schedule = self._plan, subject.schedule(sweeps or 1)
        settings = Settings(time_limit=plan.time_limit, seed=plan.seed, interrupted=self._stop)
        parts = _parts(subject, sampler, schedule, plan.reads, settings)
        start = time.process_time()
        samples = np.concatenate(list(parts))
        cpu = time.process_time() - start
        stated = subject.model if sampler == OURS else subject.quadratic
        return schedule, cpu / len(samples), subject.judged(samples), stated.energies(samples)

    def _settle(self, found: list[Judged]) -> None:
        """Without a proven optimum the best value seen is the reference, HiGHS's best included."""
        if self.study.reference is None and found:
            sign, known = self._subject.sign, self.study.optimum.value
            best = [float((sign * judged.repaired).max()) for judged in found]
            self.study.reference = sign * max(best if known is None else [*best, sign * known])

    def _near(self, value: np.ndarray) -> np.ndarray:
        reference, sign = self.study.reference, self._subject.sign
        return sign * (reference - value) <= self._plan.near * abs(reference) + 1e-9 * max(abs(reference), 1e-9)

    def _ratio(self, value: np.ndarray) -> float | None:
        """The mean of value over reference; None where that has no meaning."""
        if not len(value) or not self.study.reference:
            return None
        return float(np.mean(value / self.study.reference))

    def _run(
        self, sampler: str, sweeps: int | None, schedule: Schedule, seconds: float, judged: Judged, counts: np.ndarray
    ) -> Run:
        fine, reads, sign, ms = judged.feasible, len(judged.value), self._subject.sign, 1e3 * seconds
        near = int((fine & self._near(judged.value)).sum())
        near_repaired = int(self._near(judged.repaired).sum())
        return Run(
            sampler,
            sweeps,
            reads,
            ms,
            share(int(fine.sum()), reads),
            share(near, reads),
            time_to_target(ms, near, reads),
            share(near_repaired, reads),
            time_to_target(ms, near_repaired, reads),
            self._ratio(judged.value[fine]),
            float(sign * (sign * judged.value[fine]).max()) if fine.any() else None,
            float(sign * (sign * judged.repaired).max()),
            schedule.said() if sweeps is not None else "",
            tuple(counts.tolist()),
        )


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
