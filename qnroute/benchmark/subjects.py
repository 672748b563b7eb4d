"""What a study of samplers is about: a problem stated as a QUBO, or a published instance; how samples are judged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from qnroute.errors import ProblemError
from qnroute.formats import load_problem
from qnroute.methods import solve_with
from qnroute.models import PackingQubo, PathQubo
from qnroute.models.instance_files import Instance, read_instance
from qnroute.models.linearized import linearized
from qnroute.models.quadratic import Quadratic
from qnroute.models.qubo_files import write_quadratic
from qnroute.problem import Problem
from qnroute.result import PROVEN
from qnroute.settings import Settings
from qnroute.solvers.annealing import Schedule, schedule_of, temperatures
from qnroute.solvers.choice import stated_qubo
from qnroute.solvers.highs import solve_matrix
from qnroute.solvers.lanes import Model
from qnroute.solvers.path_annealing import charged


class Judged(NamedTuple):
    """(S,) each: whether samples keep all rules as drawn, what they are worth, and what repaired ones are worth."""

    feasible: np.ndarray
    value: np.ndarray
    repaired: np.ndarray


class Optimum(NamedTuple):
    """The best value known and the bound proven, None where there is none; and whether they meet."""

    value: float | None
    bound: float | None
    proven: bool


def _optimum(value: float | None, bound: float | None, offset: float = 0.0) -> Optimum:
    """What `offset` adds to both is no part of what is compared."""
    if value is None or bound is None:
        return Optimum(value, bound, False)
    return Optimum(value, bound, abs(bound - value) <= PROVEN * max(abs(bound - offset), 1e-9))


class Subject(Protocol):
    """A model and how its samples are judged.

    Attributes
    ----------
    sign : 1 where values are maximised, -1 where energies are minimised
    title : what is told of the model
    proven : whether ground states keep all rules for certain
    quadratic : the QUBO
    model : the same for `path-anneal`, rows charged without slack
    """

    sign: int
    title: dict[str, Any]
    proven: bool
    quadratic: Quadratic
    model: Model

    @property
    def problem(self) -> Problem | None:
        """What it was made from, if from a problem."""

    def write(self, path: str) -> list[str]:
        """Write the QUBO as ``.bqm``, ``.qubo`` or ``.coo``; returns the paths written."""

    def schedule(self, sweeps: int) -> Schedule:
        """Temperatures from the scale of values."""

    def judged(self, samples: np.ndarray) -> Judged:
        """What samples (S, N) of either model are worth."""

    def energy(self, value: float) -> float:
        """Of a state that keeps all rules and is worth `value`; room that is left costs nothing."""

    def below(self, samples: np.ndarray, value: float) -> bool:
        """Whether some sample (S, N) has less energy than states that keep all rules and are worth `value`."""

    def optimum(self, settings: Settings) -> Optimum:
        """Of the model."""

    def at(self, strength: float) -> Subject | None:
        """The same with penalties of that strength; None where there are none."""


@dataclass(frozen=True)
class Routing:
    """A problem stated as a packing (link selection, route choice) or as one path."""

    qubo: PackingQubo | PathQubo
    sign: int = 1

    @property
    def problem(self) -> Problem:
        """The problem."""
        return self.qubo.problem

    def write(self, path: str) -> list[str]:
        """With a legend beside it."""
        return self.qubo.write(path)

    @property
    def title(self) -> dict[str, Any]:
        """What is told of the model."""
        return {name: value for name, value in self.qubo.legend().items() if name != "variables"}

    @property
    def proven(self) -> bool:
        """Whether the penalties suffice."""
        return self.qubo.proven

    @property
    def quadratic(self) -> Quadratic:
        """The QUBO, with slack bits."""
        return self.qubo.quadratic

    @cached_property
    def model(self) -> Model:
        """Without slack bits."""
        return charged(self.qubo) if isinstance(self.qubo, PackingQubo) else Model(self.quadratic)

    def schedule(self, sweeps: int) -> Schedule:
        """From the values of items, or the costs of arcs."""
        scale = self.qubo.packing.value if isinstance(self.qubo, PackingQubo) else self.qubo.cost[self.qubo.cost > 0.0]
        return schedule_of(scale, sweeps)

    def judged(self, samples: np.ndarray) -> Judged:
        """By the rules of the problem; slack does not matter."""
        reading = self.qubo.read(samples)
        return Judged(reading.feasible, reading.value, reading.mended_value)

    def energy(self, value: float) -> float:
        """Of items chosen, or the costs of a path."""
        return -value if isinstance(self.qubo, PackingQubo) else self.qubo.cost_of(value)

    def below(self, samples: np.ndarray, value: float) -> bool:
        """Slack is set as well as can be; with room that costs something nothing can be said."""
        if isinstance(self.qubo, PathQubo) or self.qubo.encoding == "unbalanced":
            return False
        quadratic, rows, capacity, penalty = self.qubo.excess
        chosen = samples[:, : len(quadratic)].astype(float)
        over = np.maximum((rows @ chosen.T).T - capacity, 0.0)
        energies = quadratic.energies(chosen) + over**2 @ penalty
        return bool(energies.min() < -value - _BELOW * max(abs(value), float(penalty.max(initial=0.0))))

    def optimum(self, settings: Settings) -> Optimum:
        """Over the items of the model, by HiGHS; of a path by Dijkstra, who needs no limit."""
        if isinstance(self.qubo, PathQubo):
            best = float(self.qubo.value_of(self.qubo.cheapest))
            return _optimum(best, best)
        matrix = self.qubo.model.matrix
        found = solve_matrix(matrix, settings)
        value = None if found.values is None else float(matrix.cost @ np.rint(found.values))
        bound = found.bound if np.isfinite(found.bound) else None
        return _optimum(value, bound if value is None or bound is None else max(bound, value))

    def at(self, strength: float) -> Routing:
        """With penalties `strength` times what suffices, and next to no margin."""
        if isinstance(self.qubo, PathQubo):
            return Routing(PathQubo(self.qubo.problem, strength=strength))
        return Routing(self.qubo.restated(strength=strength, margin=_MARGIN))


@dataclass(frozen=True)
class Published:
    """A QUBO or max-cut instance: nothing to repair, no rules to break."""

    instance: Instance
    proven: bool = True
    problem: None = None

    def write(self, path: str) -> list[str]:
        """The model alone."""
        return write_quadratic(self.quadratic, path)

    @property
    def sign(self) -> int:
        """Cuts are maximised, energies minimised."""
        return 1 if self.instance.sense == "maximise" else -1

    @property
    def title(self) -> dict[str, Any]:
        """What is told of it."""
        return {"model": self.instance.kind, "sense": self.instance.sense}

    @property
    def quadratic(self) -> Quadratic:
        """The model."""
        return self.instance.quadratic

    @cached_property
    def model(self) -> Model:
        """For our annealer."""
        return Model(self.quadratic)

    @cached_property
    def _range(self) -> tuple[float, float]:
        return temperatures(self.quadratic)

    def schedule(self, sweeps: int) -> Schedule:
        """From fields and couplings."""
        return Schedule(*self._range, sweeps)

    def judged(self, samples: np.ndarray) -> Judged:
        """By energy."""
        value = self.instance.value(self.quadratic.energies(samples))
        return Judged(np.ones(len(samples), bool), value, value)

    def energy(self, value: float) -> float:
        """An energy as it is; a cut with its sign turned."""
        return float(self.instance.value(value))

    def below(self, samples: np.ndarray, value: float) -> bool:
        """There are no rules."""
        return False

    def optimum(self, settings: Settings) -> Optimum:
        """By HiGHS, products as variables of their own: small or sparse instances alone are proven."""
        found = solve_matrix(linearized(self.quadratic), settings)
        value = bound = None
        if found.values is not None:
            value = float(self.judged(np.rint(found.values[None, : len(self.model)])).value[0])
        if np.isfinite(found.bound):
            bound = float(self.instance.value(self.quadratic.offset - found.bound))
        return _optimum(value, bound, float(self.instance.value(self.quadratic.offset)))

    def at(self, strength: float) -> None:
        """There are no penalties to tell from the rest."""


def opened(
    path: str,
    *,
    model: str = "auto",
    candidates: int = 0,
    encoding: str = "binary",
    strength: float | None = None,
    margin: float | None = None,
    settings: Settings | None = None,
) -> tuple[str, Subject]:
    """A problem file stated as a QUBO, or a published instance: its name, and the subject.

    Files ending in .json, and standard input, are problems; `model` ``qubo`` or ``max-cut`` says what others hold.
    """  # fmt: skip
    if path != "-" and not path.endswith(".json"):
        if (candidates, encoding, strength, margin) != (0, "binary", None, None):
            raise ProblemError("candidates, encoding, strength and margin are for problems", source=path)
        instance = read_instance(path, None if model == "auto" else model)
        return instance.name, Published(instance)
    problem = load_problem(path)
    if model == "path-qubo" and (candidates, encoding, margin) != (0, "binary", None):
        raise ProblemError("path-qubo knows no candidates, encoding and margin", source=path)
    settings = settings or Settings()
    how = {"candidates": candidates, "encoding": encoding, "margin": margin}
    how |= {} if strength is None else {"strength": strength}
    qubo = stated_qubo(problem, model, settings, **how)
    settings.go_on(problem.name or "problem")  # a model that was cut short is another one
    return problem.name or "problem", Routing(qubo)


_MARGIN = 0.001
_BELOW = 1e-9  # of values and penalties: an energy that lies so far below is no rounding


def of_problem(problem: Problem, settings: Settings) -> Optimum:
    """The optimum of a problem over all its routes, and the bound that the exact method proves."""
    common = {"time_limit": settings.time_limit, "interrupted": settings.interrupted}
    result = solve_with(problem, "exact", {}, **common)
    return _optimum(result.objective, result.bound)
