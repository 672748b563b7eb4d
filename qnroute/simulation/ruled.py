"""Policies that follow one of the compiled rules: `reactive`, `shortest-path`, `static`, `spep` and their like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qnroute.simulation import rules
from qnroute.simulation.events import with_room
from qnroute.simulation.plans import shortest_plan, static_plan
from qnroute.simulation.rules import Chances, Plan
from qnroute.simulation.scenario import Case
from qnroute.simulation.search import workspace_of
from qnroute.simulation.simulator import Simulator


class Ruled:
    """A rule of `qnroute.simulation.rules`, with what it needs made before the run.

    Parameters
    ----------
    rule
        One of REACTIVE, HIGHEST_FIDELITY, GREEDY, PLANNED.
    plan, chances
        Functions of the simulator and the cases that make the `Plan` of routes and the `Chances` of paper C's
        pre-positioning; None for neither.
    """

    def __init__(
        self,
        rule: int,
        *,
        plan: Callable[[Simulator, Sequence[Case]], Plan] | None = None,
        chances: Callable[[Simulator, Sequence[Case]], Chances] | None = None,
    ):
        self._rule, self._plan_of, self._chances_of = rule, plan, chances

    def start(self, simulator: Simulator, cases: Sequence[Case]) -> None:
        """Plan routes and predict demand."""
        self._plan = self._plan_of(simulator, cases) if self._plan_of else rules.no_plan()
        self._chances = self._chances_of(simulator, cases) if self._chances_of else rules.no_chances(len(cases))
        self._work = workspace_of(simulator.world)

    def act(self, simulator: Simulator) -> None:
        """Decide in the present slot."""
        simulator.log = with_room(simulator.log, simulator.most_events)
        for run in range(len(simulator.runs)):
            rules.decide(
                simulator.world, simulator.state, run, self._rule, self._plan, self._chances, self._work, simulator.log
            )

    def advance(self, simulator: Simulator, until: int) -> None:
        """Play slots without leaving compiled code."""
        while simulator.slot < until:
            simulator.log = with_room(simulator.log, simulator.most_events)
            rules.advance(
                simulator.world, simulator.state, until, self._rule, self._plan, self._chances, self._work,
                simulator.log, simulator.most_events,
            )  # fmt: skip


def reactive() -> Ruled:
    """Each request by the route of fewest links over what is stored that keeps its floor."""
    return Ruled(rules.REACTIVE)


def highest_fidelity() -> Ruled:
    """Each request by the route of highest fidelity over what is stored."""
    return Ruled(rules.HIGHEST_FIDELITY)


def greedy() -> Ruled:
    """Again and again the request worth most for the root of its links."""
    return Ruled(rules.GREEDY)


def shortest_path() -> Ruled:
    """Each request by one fixed route of fewest links, once it is stored."""
    return Ruled(rules.PLANNED, plan=lambda simulator, cases: shortest_plan(simulator.world))


def static(*, candidates: int = 5) -> Ruled:
    """Each request by the first of its likeliest routes, fixed beforehand, that is stored."""

    def plan(simulator: Simulator, cases: Sequence[Case]) -> Plan:
        networks = [case.run.network for case in cases]
        return static_plan(simulator.world, networks, simulator.physics, candidates=candidates)

    return Ruled(rules.PLANNED, plan=plan)


@dataclass(frozen=True)
class Prepositioning:
    """Paper C's algorithm 2 (C7): which likely pairs of nodes get a pair beforehand.

    Parameters
    ----------
    threshold
        Chance above which a pair is a candidate.
    window
        Slots ahead that are predicted (C8: 15).
    most_new
        Per slot.
    min_fidelity
        That a new held pair must have.
    within
        ``window``: the chance of at least one arrival in the window; ``slot``: of the likeliest single slot of it, the
        printed reading.
    """

    threshold: float = 0.1
    window: int = 15
    most_new: int = 2
    min_fidelity: float = 0.6
    within: str = "window"

    def chances(self, simulator: Simulator, cases: Sequence[Case], predictor: Any) -> Chances:
        """What a predictor says of all cases."""
        world, physics = simulator.world, simulator.physics
        ends = [case.pairs + world.nodes[run] for run, case in enumerate(cases)]
        several = [_within(case.forecast(predictor, self.window), self.within) for case in cases]
        first = np.concatenate([[0], np.cumsum([len(part) for part in ends])]).astype(np.int64)
        low, high = np.concatenate(ends).T if first[-1] else np.zeros((2, 0), dtype=np.int64)
        chance = np.concatenate([_lengthened(part, max(map(len, several))) for part in several], axis=1)
        least = float(physics.quality(self.min_fidelity)) if self.min_fidelity > 0.0 else 0.0
        return Chances(first, low.copy(), high.copy(), chance, self.threshold, self.most_new, least)


def spep(predictor: Any, *, base: str = "reactive", prepositioning: Prepositioning | None = None) -> Ruled:
    """Strategic predictive pre-positioning: pairs held for demand that a predictor expects, then a base policy.

    Paper C, algorithms 1 and 2. `base` is what serves requests for which no pair is held: ``reactive`` or
    ``shortest-path``.
    """
    settings = prepositioning or Prepositioning()
    plan = (lambda simulator, cases: shortest_plan(simulator.world)) if base == "shortest-path" else None
    return Ruled(
        rules.PLANNED if plan else rules.REACTIVE,
        plan=plan,
        chances=lambda simulator, cases: settings.chances(simulator, cases, predictor),
    )


def _within(forecast: np.ndarray, within: str) -> np.ndarray:
    """(slots, P) one chance for each pair from (slots, P, horizon)."""
    if within == "slot":
        return forecast.max(axis=2)
    return (1.0 - np.prod(1.0 - forecast, axis=2)).astype(np.float32)


def _lengthened(part: np.ndarray, slots: int) -> np.ndarray:
    return np.concatenate([part, np.zeros((slots - len(part), part.shape[1]), dtype=part.dtype)])
