"""Binary quadratic models answered by sampling: any dimod sampler, through one door.

A sampler sees the model of link selection or route choice (`qnroute.models.packing_qubo`); what it draws is read,
repaired and kept if it is better. The inverse temperature runs from 2 / w to 20 / v, with v the median value of an item
and w the value that half of all value is at or above: penalties, which are larger, would only make it start too hot and
end too cold.
"""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qnroute.errors import SolverError
from qnroute.methods import method, solve_with
from qnroute.models import PackingQubo, Quadratic
from qnroute.problem import Problem
from qnroute.result import PROVEN, Result
from qnroute.settings import Answer, Settings
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
_FLIPS = 8  # updates for each of which changes something, and every neighbour
_RESTARTS = 10  # of a read of tabu search; without a clock the same seed gives the same answer
_REPEATS = "openjij"  # gives the same read again and again once it has a seed
_SAME = 1e-12  # relative difference of values by rounding
_TINY = 1e-290
_COLDEST = 10.0  # inverse temperature at the end, over the smallest coupling or field that is not negligible
_NEGLIGIBLE = 0.01  # of the largest


class Schedule(NamedTuple):
    """Inverse temperatures, geometric from `start` to `end` in so many sweeps."""

    start: float
    end: float
    sweeps: int

    def said(self) -> str:
        """In words."""
        return f"inverse temperature {self.start:.4g} to {self.end:.4g} in {self.sweeps} sweeps"


def schedule_of(value: np.ndarray, sweeps: int) -> Schedule:
    """The schedule for items of these values (J,)."""
    if not len(value):
        return Schedule(2.0, 20.0, sweeps)
    falling = np.sort(value)[::-1]
    share = np.cumsum(falling / falling[0])
    heavy = falling[np.searchsorted(share, share[-1] / 2.0)]
    return Schedule(2.0 / max(float(heavy), _TINY), 20.0 / max(float(np.median(value)), _TINY), sweeps)


def temperatures(quadratic: Quadratic) -> tuple[float, float]:
    """First and last inverse temperature for any model, from how much it matters to turn a spin.

    With h and J in spin form, the field of a spin is of the size sqrt(h^2 + sum J^2); the first temperature is half of
    what it takes to turn one in the median, the last a tenth of what the least field or coupling can do.
    """
    one, other, bias = quadratic.couplers
    n, coupling = len(quadratic), bias / 4.0
    field = quadratic.linear / 2.0 + np.bincount(one, coupling, n) + np.bincount(other, coupling, n)
    sizes = np.abs(np.concatenate([field, coupling]))
    largest = sizes.max(initial=0.0)
    if largest == 0.0:
        return 1.0, 1.0
    squares = (coupling / largest) ** 2
    field = np.sqrt((field / largest) ** 2 + np.bincount(one, squares, n) + np.bincount(other, squares, n)) * largest
    start = 0.25 / max(float(np.median(field[field > 0.0])), _TINY)
    return start, max(_COLDEST / (2.0 * max(float(sizes[sizes > _NEGLIGIBLE * largest].min()), _TINY)), start)


class Harvest:
    """The best of what samples of a packing have yielded, repaired, and how many needed no repair.

    It begins with what is filled in from nothing, so no answer is worse than that. Of equal ones the first is kept.

    Parameters
    ----------
    bound
        On the value of any answer, where one is proven.
    target
        A value that is good enough.

    Attributes
    ----------
    chosen, value : (J,) items of the best so far, and what they are worth
    drawn : samples taken so far
    """

    def __init__(self, qubo: PackingQubo, settings: Settings, bound: float | None = None, target: float | None = None):
        self.qubo, self.trace, self.drawn, self.bound, self._target = qubo, [], 0, bound, target
        self._settings, self._fine, self._origin = settings, 0, "filled from nothing, as no sample was better"
        self.chosen = qubo.packing.mended(np.zeros((1, len(qubo.packing)), np.int64))[0]
        self.value = float(self.chosen @ qubo.packing.value)
        self._seen()

    def take(self, samples: np.ndarray) -> None:
        """Samples (S, N), the slack bits last if there are any."""
        reading = self.qubo.read(samples)
        self.drawn, self._fine = self.drawn + len(samples), self._fine + int(reading.feasible.sum())
        s = int(np.argmax(reading.mended_value >= (1.0 - _SAME) * reading.mended_value.max()))
        if reading.mended_value[s] > (1.0 + _SAME) * self.value:
            self.chosen, self.value = reading.mended[s], float(reading.mended_value[s])
            as_it_was = reading.feasible[s] and np.array_equal(reading.mended[s], samples[s, : len(self.chosen)])
            self._origin = "a sample as it was drawn" if as_it_was else "a sample repaired"
        self._seen()

    @property
    def feasible(self) -> float:
        """The share of samples that keep all rules as drawn."""
        return self._fine / max(self.drawn, 1)

    @property
    def reached(self) -> bool:
        """Whether the target is reached, or the gap to the bound at which to stop."""
        if self.bound is not None and self.bound - self.value <= max(self._settings.gap, PROVEN) * abs(self.bound):
            return True
        return self._target is not None and self.value >= self._target

    def _seen(self) -> None:
        point = self._settings.elapsed(), self.value, self.bound
        if not self.trace or self.value > self.trace[-1][1]:
            self.trace.append(point)
        if self._settings.progress is not None:
            self._settings.progress(*point)

    def answer(self, wanted: int, *how: str) -> Answer:
        """The answer, where so many samples were wanted (0: as many as time allows); the remarks tell `how` it was."""
        remarks = ()
        if self.drawn:
            share = f"{self._fine} of {self.drawn} samples keep all rules ({100 * self._fine / self.drawn:.3g} %)"
            remarks = (f"{share}; the answer is {self._origin}", "; ".join(how))
        unfinished = not self.reached and (wanted == 0 or self.drawn < wanted)
        stopped = self._settings.stopped if unfinished else None
        return Answer(self.qubo.decode(self.chosen), self.bound, self.trace, stopped, remarks)


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

    What a part holds follows from the seed and its place alone. A part is one read at least, which is not cut short,
    except of tabu search by a time limit. Samplers that know no sweeps are asked for all reads at once.
    """
    part, known = reads, listens_to(sampler)
    if "num_sweeps" in known:
        work = max(bqm.num_variables + bqm.num_interactions // _FLIPS, 1) * schedule.sweeps
        part = int(np.clip(_SLICE // work, 1, reads)) if not type(sampler).__module__.startswith(_REPEATS) else 1
    elif "tenure" in known:  # tabu search: a read can take long
        part = 1
    seeds = np.random.SeedSequence(settings.seed or 0).generate_state(-(-reads // part))
    for i, seed in enumerate(seeds.tolist()):
        if i and settings.stopped:
            return
        how = _arguments(schedule, min(part, reads - i * part), seed & 0x7FFFFFFF, settings, known)
        found = sampler.sample(bqm, **how)
        order = np.argsort([int(v) for v in found.variables])
        yield np.repeat(found.record.sample, found.record.num_occurrences, axis=0)[:, order]


def _arguments(schedule: Schedule, reads: int, seed: int, settings: Settings, listened_to: set[str]) -> dict[str, Any]:
    """Of what a sampler might be told, what it listens to."""
    told = {
        "num_reads": reads,
        "seed": seed,
        "num_sweeps": schedule.sweeps,
        "beta_range": (schedule.start, schedule.end),
        "beta_min": schedule.start,
        "beta_max": schedule.end,
        "beta_schedule_type": "geometric",
        "interrupt_function": lambda: settings.stopped is not None,
    }
    if "tenure" in listened_to:
        limited = math.isfinite(settings.remaining())
        timeout = max(int(1000 * settings.remaining()), 1) if limited else None
        told |= {"num_restarts": _RESTARTS, "timeout": timeout}
    return {name: given for name, given in told.items() if name in listened_to}


def listens_to(sampler: dimod.Sampler) -> set[str]:
    """What a sampler can be told; openjij's list of its parameters is not complete."""
    return {*sampler.parameters, *inspect.signature(sampler.sample).parameters}


def answered(problem: Problem, settings: Settings, sampler: dimod.Sampler, **options: Any) -> Answer:
    """The best of what a sampler draws, repaired; the remarks tell how many samples needed no repair."""
    reads = options["reads"]
    qubo, bound = packing_qubo(problem, settings, options["candidates"], encoding=options["encoding"])
    harvest, schedule = Harvest(qubo, settings, bound), schedule_of(qubo.packing.value, options["sweeps"])
    if len(qubo) and not harvest.reached:
        for samples in draws(qubo.to_bqm(), sampler, schedule, reads, settings):
            harvest.take(samples)
            if harvest.reached:
                break
    size = f"{len(qubo)} variables, {len(qubo) - len(qubo.packing)} of them slack"
    how = (size, schedule.said()) if "num_sweeps" in listens_to(sampler) else (size,)
    answer = harvest.answer(reads if "num_reads" in listens_to(sampler) else 1, *how)
    if qubo.proven or not answer.remarks:
        return answer
    return replace(answer, remarks=(*answer.remarks, "the penalties of this encoding are not proven to suffice"))


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
