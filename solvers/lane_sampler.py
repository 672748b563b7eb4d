"""Our annealer as a `dimod.Sampler`, for any binary quadratic model."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import dimod
import numpy as np

from qnroute.errors import SolverError
from qnroute.models.quadratic import Quadratic
from qnroute.models.qubo_files import of_bqm
from qnroute.settings import Settings
from qnroute.solvers.annealing import Schedule
from qnroute.solvers.lanes import Model
from qnroute.solvers.path_annealing import annealed

_COLDEST = 10.0  # inverse temperature at the end, over the smallest coupling or field that is not negligible
_NEGLIGIBLE = 0.01  # of the largest


class PathAnnealSampler(dimod.Sampler):
    """Reads annealed in lock-step lanes, one variable after the other; the same answer however many workers.

    >>> samples = PathAnnealSampler().sample(bqm, num_reads=64, seed=1)
    """

    properties: ClassVar[dict[str, Any]] = {}
    parameters: ClassVar[dict[str, list[str]]] = {
        "num_reads": [], "num_sweeps": [], "beta_range": [], "seed": [], "initial_states": [], "time_limit": [],
        "target_energy": [], "workers": [],
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
        workers
            Threads; 0 for as many as there are cores.

        Raises
        ------
        SolverError
            A coefficient is not finite.
        """
        self.remove_unknown_kwargs(**unknown)
        quadratic = of_bqm(bqm)
        schedule = Schedule(*(beta_range or _temperatures(bqm)), num_sweeps)
        if not (0.0 < schedule.start <= schedule.end < np.inf) or num_reads < 1 or num_sweeps < 1:
            raise SolverError(
                "sampling needs num_reads and num_sweeps of 1 or more, and 0 < first <= last in beta_range"
            )
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        settings = Settings(time_limit=time_limit, seed=seed, interrupted=threading.Event())
        how: dict[str, Any] = {"workers": workers, "target": target_energy}
        if initial_states is not None:
            how["initial"] = _states(initial_states, bqm)
        found = annealed(Model(quadratic), schedule, num_reads, settings, **how) if len(bqm.variables) else None
        x = np.zeros((num_reads, 0), np.int8) if found is None else found.x
        samples = (2 * x - 1 if bqm.vartype is dimod.SPIN else x), list(bqm.variables)
        info = {"beta_range": (schedule.start, schedule.end), "num_sweeps": num_sweeps, "seed": seed}
        return dimod.SampleSet.from_samples_bqm(samples, bqm, info=info)


def _temperatures(bqm: dimod.BinaryQuadraticModel) -> tuple[float, float]:
    """Inverse temperatures from how much it matters to turn a spin: half of the median field at first.

    With h and J in spin form, the field of a spin is of the size sqrt(h^2 + sum J^2).
    """
    spins = bqm.change_vartype("SPIN", inplace=False)
    linear, (row, col, bias), _ = spins.to_numpy_vectors(variable_order=list(spins.variables))
    Quadratic(linear, row, col, bias)  # refuses what is not finite
    squares = linear**2
    np.add.at(squares, row, bias**2)
    np.add.at(squares, col, bias**2)
    fields, sizes = np.sqrt(squares[squares > 0.0]), np.abs(np.concatenate([linear, bias]))
    if not len(fields):
        return 1.0, 1.0
    least = sizes[sizes > _NEGLIGIBLE * sizes.max()].min()
    start = 0.25 / float(np.median(fields))
    return start, max(_COLDEST / (2.0 * float(least)), start)


def _states(given: dimod.SampleSet, bqm: dimod.BinaryQuadraticModel) -> np.ndarray:
    """(S, N) zeros and ones in the order of the model's variables."""
    order = [given.variables.index(v) for v in bqm.variables]
    return (given.record.sample[:, order] > 0).astype(float)
