"""Our annealer as a `dimod.Sampler`, for any binary quadratic model, and for constrained ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import dimod
import numpy as np

from qnroute.errors import SolverError
from qnroute.interruption import noted
from qnroute.models.qubo_files import of_bqm
from qnroute.settings import Settings
from qnroute.solvers.annealing import Schedule, schedule_of, temperatures
from qnroute.solvers.constrained import Constrained
from qnroute.solvers.lanes import Model
from qnroute.solvers.path_annealing import annealed, in_blocks

_ROUNDS, _SHARE = 8, 0.25  # penalties are doubled so often, until such a share of the reads is feasible
Callback = Callable[[Mapping[Any, float], float], bool | None]
"""Called with the best sample so far, by variables, and its energy; True ends the search."""


class PathAnnealSampler(dimod.Sampler):
    """Reads annealed in lock-step lanes, one variable after the other; the same answer however many workers.

    >>> samples = PathAnnealSampler().sample(bqm, num_reads=64, seed=1)

    The first Ctrl-C ends the search with what there is, as a time limit does; `info` says which of them it was.
    """

    properties: ClassVar[dict[str, Any]] = {}
    parameters: ClassVar[dict[str, list[str]]] = {
        "num_reads": [], "num_sweeps": [], "beta_range": [], "seed": [], "initial_states": [], "time_limit": [],
        "target_energy": [], "callback": [], "workers": [],
    }  # fmt: skip

    def sample(
        self,
        bqm: dimod.BinaryQuadraticModel,
        *,
        num_reads: int = 64,
        num_sweeps: int = 1000,
        beta_range: tuple[float, float] | None = None,
        seed: int | None = None,
        initial_states: dimod.SampleSet | None = None,
        time_limit: float | None = None,
        target_energy: float = -np.inf,
        callback: Callback | None = None,
        workers: int = 0,
        **unknown: Any,
    ) -> dimod.SampleSet:
        """Samples of low energy, of the vartype of the model.

        Parameters
        ----------
        num_reads, num_sweeps
            How many samples, and how often each looks at every variable.
        beta_range
            First and last inverse temperature; by default from the model's fields and couplings.
        seed
            The same seed gives the same samples; none: another each time.
        initial_states
            States to begin with, one after the other.
        time_limit
            Seconds; fewer reads are given where they do not suffice.
        target_energy
            The search ends once it is reached.
        callback
            Called with each new best sample and its energy; True ends the search.
        workers
            Threads; 0 for as many as there are cores.

        Raises
        ------
        SolverError
            A coefficient is not finite, or an argument is out of range.
        """
        self.remove_unknown_kwargs(**unknown)
        quadratic, names = of_bqm(bqm), list(bqm.variables)
        schedule = _schedule(temperatures(quadratic) if beta_range is None else beta_range, num_reads, num_sweeps)
        settings, low = _settings(seed, time_limit, workers), -1 if bqm.vartype is dimod.SPIN else 0
        initial = None if initial_states is None else (_ordered(initial_states, names) > 0).astype(float)

        def told(x: np.ndarray, energy: float) -> bool | None:
            return callback is not None and callback(_named(names, (1 - low) * x + low), energy)

        x, trace = np.zeros((num_reads, 0), np.int8), ()
        with noted(settings.interrupted):
            if names:
                how = {"target": target_energy, "callback": told, "workers": workers, "initial": initial}
                found = annealed(Model(quadratic), schedule, num_reads, settings, **how)
                x, trace = found.x, found.trace
        info = _info(schedule, settings, trace)
        return dimod.SampleSet.from_samples_bqm(((1 - low) * x + low, names), bqm, info=info)

    def sample_cqm(
        self,
        cqm: dimod.ConstrainedQuadraticModel,
        *,
        num_reads: int = 64,
        num_sweeps: int = 1000,
        beta_range: tuple[float, float] | None = None,
        seed: int | None = None,
        initial_states: dimod.SampleSet | None = None,
        time_limit: float | None = None,
        target_energy: float = -np.inf,
        callback: Callback | None = None,
        workers: int = 0,
        label: str | None = None,
        **unknown: Any,
    ) -> dimod.SampleSet:
        """Samples of a constrained model, those that keep all its constraints first, then those of low energy.

        Constraints are charged for their excess, without slack. Where fewer than a quarter of the reads are feasible,
        charges are doubled and `num_reads` are drawn again, up to eight times; the best `num_reads` are given.
        `is_feasible` and `is_satisfied` tell of each sample what they tell of Leap's.

        Parameters
        ----------
        cqm
            Of binary, spin and bounded integer variables, with linear constraints; soft ones, too.
        target_energy, callback
            As of `sample`, of feasible samples alone.

        Raises
        ------
        SolverError
            A constraint has products, a variable is real or unbounded, or a coefficient is not finite.
        """
        self.remove_unknown_kwargs(**unknown)
        stated, names, settings = Constrained(cqm), list(cqm.variables), _settings(seed, time_limit, workers)
        scale = schedule_of(stated.field[stated.field > 0.0], num_sweeps)
        schedule = _schedule((scale.start, scale.end) if beta_range is None else beta_range, num_reads, num_sweeps)
        initial = None if initial_states is None else stated.states(_ordered(initial_states, names).astype(float))
        seen = _Seen(cqm, target_energy, callback, settings)
        if not len(stated):  # every variable has one value
            seen.take(stated.values(np.zeros((num_reads, 0))), names)
        with noted(settings.interrupted):
            for turn in range(_ROUNDS if len(stated) else 0):
                own = replace(settings, seed=int(np.random.SeedSequence([settings.seed, turn]).generate_state(1)[0]))
                model, before = stated.model(2.0**turn), seen.feasible
                for block in in_blocks(model, schedule, num_reads, own, workers=workers, initial=initial):
                    if seen.take(stated.values(block.x), names):
                        break
                if seen.done or settings.stopped or seen.feasible - before >= _SHARE * num_reads:
                    break
        info = _info(schedule, settings, seen.trace)
        if label is not None:
            info["problem_label"] = label
        return dimod.SampleSet.from_samples_cqm((seen.best(num_reads), names), cqm, info=info)


class _Seen:
    """Samples of a constrained model, of which the feasible ones come first."""

    def __init__(
        self,
        cqm: dimod.ConstrainedQuadraticModel,
        target: float,
        callback: Callback | None,
        settings: Settings,
    ):
        self.trace, self.feasible, self.done, self._cqm = [], 0, False, cqm
        self._target, self._callback, self._settings, self._parts = target, callback, settings, []

    def take(self, values: np.ndarray, names: list[Any]) -> bool:
        """Whether values (S, V) are enough, with all before them."""
        record = dimod.SampleSet.from_samples_cqm((values, names), self._cqm).record
        self._parts.append((values, record.energy, record.is_feasible))
        self.feasible += int(record.is_feasible.sum())
        energy = np.where(record.is_feasible, record.energy, np.inf)
        s = int(np.argmin(energy))
        if energy[s] < (self.trace[-1][1] if self.trace else np.inf):
            self.trace.append((self._settings.elapsed(), float(energy[s])))
            told = self._callback is not None and self._callback(_named(names, values[s]), float(energy[s]))
            self.done = bool(energy[s] <= self._target or told)
        return self.done

    def best(self, count: int) -> np.ndarray:
        """(S, V) the best ones."""
        sample, energy, feasible = (np.concatenate(part) for part in zip(*self._parts))
        return sample[np.lexsort((energy, ~feasible))[:count]]


def _settings(seed: int | None, time_limit: float | None, workers: int) -> Settings:
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    _require(_whole(seed), "seed", seed, "an integer")
    _require(_whole(workers) and workers >= 0, "workers", workers, "an integer from 0")
    _require(time_limit is None or time_limit >= 0.0, "time_limit", time_limit, "seconds from 0")
    return Settings(time_limit=time_limit, seed=int(seed) % 2**63, interrupted=threading.Event())


def _schedule(betas: Sequence[float], reads: int, sweeps: int) -> Schedule:
    _require(_whole(reads) and reads >= 1, "num_reads", reads, "an integer from 1")
    _require(_whole(sweeps) and sweeps >= 1, "num_sweeps", sweeps, "an integer from 1")
    fits = len(betas) == 2 and 0.0 < betas[0] <= betas[1] < np.inf
    _require(fits, "beta_range", tuple(betas), "two numbers, 0 < first <= last")
    return Schedule(float(betas[0]), float(betas[1]), int(sweeps))


def _whole(given: Any) -> bool:
    return isinstance(given, (int, np.integer)) and not isinstance(given, bool)


def _require(fits: bool, name: str, found: Any, expected: str) -> None:
    if not fits:
        raise SolverError(f"{name}: found {found!r}, expected {expected}")


def _info(schedule: Schedule, settings: Settings, trace: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """What is told of a search: `trace` holds seconds and the least energy so far, `stopped` why it ended early."""
    how = {"beta_range": (schedule.start, schedule.end), "num_sweeps": schedule.sweeps, "seed": settings.seed}
    return how | {"trace": list(trace), "stopped": settings.stopped}


def _named(names: Sequence[Any], values: np.ndarray) -> dict[Any, float]:
    return dict(zip(names, values.tolist()))


def _ordered(given: Any, names: list[Any]) -> np.ndarray:
    """(S, V) samples, as dimod takes them, in the order of the model's variables."""
    try:
        samples, labels = dimod.as_samples(given)
    except (TypeError, ValueError) as error:
        raise SolverError(f"initial_states: {error}") from None
    place = {name: v for v, name in enumerate(labels)}
    missing = [name for name in names if name not in place]
    if missing or not len(samples):
        raise SolverError(
            f"initial_states: no value for variable {missing[0]!r}" if missing else "initial_states: empty"
        )
    return samples[:, [place[name] for name in names]]
