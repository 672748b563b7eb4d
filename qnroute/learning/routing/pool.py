"""Pools of instances: what environments draw their episodes from, with prices and bounds found once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from qnroute import generate
from qnroute.errors import ProblemError
from qnroute.fields import brief
from qnroute.learning.routing.episodes import Plan, plan_of
from qnroute.learning.series import whole
from qnroute.models.lots import Instance, Lot, instance_of, together
from qnroute.problem import Problem
from qnroute.solvers.prices import Prices, prices_of

Source = Problem | Sequence[Problem] | Callable[[int], Problem]
"""One problem, several, or what makes one of a seed."""


@dataclass(frozen=True)
class Pool:
    """Instances that have something to decide, as one lot.

    Attributes
    ----------
    instances : of the problems, in their order
    """

    instances: tuple[Instance, ...]
    lot: Lot
    prices: Prices
    plan: Plan

    @classmethod
    def of(cls, source: Source, *, size: int = 64, seed: int = 0, per_request: int = 8) -> Pool:
        """The pool of some problems.

        Parameters
        ----------
        source
            Where it makes problems, those of the seeds ``seed`` to ``seed + size - 1``.
        per_request
            Candidate routes of each request, the most valuable ones.

        Raises
        ------
        ProblemError
            Something is no problem, or no request of any of them has a route.
        """
        problems = (source,) if isinstance(source, Problem) else made(source, "problems", size, seed)
        per_request = whole("per_request", per_request, 1)
        for i, problem in enumerate(problems):
            if not isinstance(problem, Problem):
                raise ProblemError(f"problems[{i}]: found {brief(problem)}, expected a Problem")
        instances = [instance_of(problem, per_request=per_request) for problem in problems]
        some = tuple(each for each in instances if len(each.lot.value))
        if not some:
            raise ProblemError("problems: found no request with a route worth anything, expected at least one")
        lot = together([each.lot for each in some])
        prices = prices_of(lot)
        return cls(some, lot, prices, plan_of(lot, prices))

    def __len__(self) -> int:
        return len(self.instances)


def made(source: Any, what: str, size: int, seed: int) -> tuple[Any, ...]:
    """What a function of a seed makes of so many seeds from `seed` on, or the members of a sequence."""
    if callable(source):
        first = whole("seed", seed, 0)
        return tuple(source(first + i) for i in range(whole("size", size, 1)))
    if isinstance(source, str) or not isinstance(source, Iterable):
        raise ProblemError(f"{what}: found {brief(source)}, expected some, or a function that makes one of a seed")
    return tuple(source)


def usual_problem(seed: int) -> Problem:
    """24 requests on 16 nodes, more than its one to three channels a link can serve."""
    network = generate.erdos_renyi(
        16, 0.25, p=(0.3, 0.95), fidelity=(0.9, 0.99), channels=(1, 3), swap=0.9, seed=seed
    )  # fmt: skip
    return Problem(network, generate.requests(network, 24, seed=seed))
