"""Binary quadratic models answered by sampling: any dimod sampler, through one door.

A sampler sees the model of link selection or route choice (`qnroute.models.packing_qubo`); what it draws is read,
repaired and kept if it is better. The inverse temperature runs from 2 / v to 20 / v, v the median value of an item:
penalties, which are larger, would only make it start too hot and end too cold.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qnroute.errors import SolverError
from qnroute.methods import method, solve_with
from qnroute.models import PackingQubo
from qnroute.problem import Problem
from qnroute.result import Result
from qnroute.settings import Answer, Settings, Trace
from qnroute.solvers.choice import packing_qubo

if TYPE_CHECKING:
    import dimod

_HOMES = {
    "neal": ("dwave.samplers:SimulatedAnnealingSampler", "dwave-samplers"),
    "tabu": ("dwave.samplers:TabuSampler", "dwave-samplers"),
    "steepest-descent": ("dwave.samplers:SteepestDescentSampler", "dwave-samplers"),
    "openjij": ("openjij:SASampler", "openjij"),
    "dwave": ("dwave.system:DWaveSampler", "dwave-system"),
    "leap": ("dwave.system:LeapHybridSampler", "dwave-system"),
}
_SLICE = 5_000_000  # updates of a variable from one look at the clock to the next
_RESTARTS = 100  # of a read of tabu search; without a clock the same seed gives the same answer


class Schedule(NamedTuple):
    """Inverse temperatures, geometric from `start` to `end` in so many sweeps."""

    start: float
    end: float
    sweeps: int


def schedule_of(value: np.ndarray, sweeps: int) -> Schedule:
    """The schedule for items of these values (J,)."""
    median = float(np.median(value)) if len(value) else 1.0
    return Schedule(2.0 / median, 20.0 / median, sweeps)


def sampler_called(name: str) -> dimod.Sampler:
    """The sampler of that name.

    Raises
    ------
    SolverError
        It is not installed, or not configured.
    """
    place, package = _HOMES[name]
    module, _, kind = place.partition(":")
    try:
        made = getattr(importlib.import_module(module), kind)()
        return importlib.import_module(module).EmbeddingComposite(made) if name == "dwave" else made
    except ImportError:
        raise SolverError(f"sampler {name} is not installed: pip install {package}") from None
    except Exception as error:  # no account, no connection
        raise SolverError(f"sampler {name} cannot be used: {error}") from None


def draws(
    bqm: dimod.BinaryQuadraticModel,
    sampler: dimod.Sampler,
    schedule: Schedule,
    reads: int,
    settings: Settings,
) -> Iterator[np.ndarray]:
    """Samples (S, N) of a model with variables 0 to N - 1, part by part, until there are `reads` or time is up.

    What a part holds follows from the seed and its place alone.
    """
    size = max(bqm.num_variables, 1)
    part = int(np.clip(_SLICE // (size * schedule.sweeps), 1, reads))
    seeds = np.random.SeedSequence(settings.seed or 0).generate_state(-(-reads // part))
    for i, seed in enumerate(seeds.tolist()):
        if i and settings.stopped:
            return
        how = _arguments(sampler, schedule, min(part, reads - i * part), seed & 0x7FFFFFFF, settings)
        found = sampler.sample(bqm, **how)
        order = np.argsort([int(v) for v in found.variables])
        yield np.repeat(found.record.sample, found.record.num_occurrences, axis=0)[:, order]


def _arguments(sampler: dimod.Sampler, schedule: Schedule, reads: int, seed: int, settings: Settings) -> dict[str, Any]:
    """Of what a sampler might be told, what it listens to."""
    known = {
        "num_reads": reads,
        "seed": seed,
        "num_sweeps": schedule.sweeps,
        "beta_range": (schedule.start, schedule.end),
        "beta_min": schedule.start,
        "beta_max": schedule.end,
        "beta_schedule_type": "geometric",
        "interrupt_function": lambda: settings.stopped is not None,
    }
    if "tenure" in sampler.parameters:
        known |= {"num_restarts": _RESTARTS, "timeout": None}
    return {name: given for name, given in known.items() if name in sampler.parameters}


def answered(problem: Problem, settings: Settings, sampler: dimod.Sampler, **options: Any) -> Answer:
    """The best of what a sampler draws, repaired; the remarks tell how many samples needed no repair."""
    reads, sweeps = options["reads"], options["sweeps"]
    qubo = packing_qubo(problem, settings, options["candidates"], encoding=options["encoding"])
    trace: Trace = []
    best, best_value, raw, drawn, fine = np.zeros(len(qubo.packing), np.int64), 0.0, -np.inf, 0, 0
    schedule = schedule_of(qubo.packing.value, sweeps)
    for samples in draws(qubo.to_bqm(), sampler, schedule, reads, settings) if len(qubo) else ():
        reading = qubo.read(samples)
        drawn, fine = drawn + len(samples), fine + int(reading.feasible.sum())
        raw = max(raw, reading.value[reading.feasible].max(initial=-np.inf))
        s = int(np.argmax(reading.mended_value))
        if reading.mended_value[s] > best_value:
            best, best_value = reading.mended[s], float(reading.mended_value[s])
        trace.append((settings.elapsed(), best_value, None))
        if settings.progress is not None:
            settings.progress(*trace[-1])
    remarks = _remarks(qubo, schedule, drawn, fine, raw >= best_value)
    return Answer(qubo.decode(best), None, trace, settings.stopped if drawn < reads else None, remarks)


def _remarks(qubo: PackingQubo, schedule: Schedule, drawn: int, fine: int, raw: bool) -> tuple[str, ...]:
    if not drawn:
        return ()
    origin = "a sample as it was drawn" if raw else "a sample repaired"
    remarks = (
        f"{fine} of {drawn} samples keep all rules ({100 * fine / drawn:.3g} %); the answer is {origin}",
        f"{len(qubo)} variables, {len(qubo.quadratic.bias)} couplers; inverse temperature {schedule.start:.4g} to "
        f"{schedule.end:.4g} in {schedule.sweeps} sweeps",
    )
    return remarks if qubo.proven else (*remarks, "the penalties of this encoding are not proven to suffice")


def anneal(problem: Problem, settings: Settings, *, sampler: str, **options: Any) -> Answer:
    """Method ``anneal``: the sampler of that name."""
    return answered(problem, settings, sampler_called(sampler), **options)


def neal(problem: Problem, settings: Settings, **options: Any) -> Answer:
    """Method ``neal``."""
    return anneal(problem, settings, sampler="neal", **options)


def tabu(problem: Problem, settings: Settings, **options: Any) -> Answer:
    """Method ``tabu``."""
    return anneal(problem, settings, sampler="tabu", **options)


def solve_by(
    sampler: dimod.Sampler, problem: Problem, *, common: dict[str, Any] | None = None, **options: Any
) -> Result:
    """A checked answer by any dimod sampler; `options` as of the method ``neal``, `common` as of `qnroute.solve`."""
    own = replace(method("neal"), name="anneal", solve=lambda *given, **how: answered(*given, sampler, **how))
    return solve_with(problem, own, options, **(common or {}))
