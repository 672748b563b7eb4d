"""Policy ``lookahead``: each slot is decided by what the slots ahead would pay for the pairs at hand.

A receding-horizon program. Demand over the horizon is known in part (requests that wait, with their floors and
deadlines) and forecast in part; it falls on candidate routes of each pair of nodes. The program decomposes by links:
`qnroute.simulation.horizon` goes back through the horizon on each and finds what every stored pair is worth. At these
prices the slot serves requests by the cheapest routes that keep their floors, and pre-positions where pairs are worth
more held than stored: because their ends may soon be asked for, or because a stale pair keeps its link from making a
fresh one. Only serving and pre-positioning are used: the rules know no other way to be rid of a pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qnroute.simulation.events import with_room
from qnroute.simulation.frontier import labels_of, offers_of
from qnroute.simulation.horizon import Demands, Tuning, advance_by_prices, look_ahead
from qnroute.simulation.physics import Physics
from qnroute.simulation.plans import likely_routes
from qnroute.simulation.scenario import Case
from qnroute.simulation.simulator import Simulator

_FLOORS = 8  # levels that stand for all floors asked
_USUAL_AGE = 5  # slots a pair stands in the mean where links are kept fresh
OLDEST = 64  # ages told apart


class LookAhead:
    """See the module; the parameters are the horizon, those of `horizon.Tuning`, and candidate routes per pair."""

    def __init__(
        self,
        predictor: Any,
        *,
        horizon: int = 15,
        waiting: float = 1.0,
        urgency: float = 2.0,
        place: float = 0.01,
        trust: float = 0.3,
        longest: int = 4,
        candidates: int = 6,
    ):
        self._predictor, self._horizon, self._candidates = predictor, horizon, candidates
        self._tuning = Tuning(waiting, urgency, place, trust, longest)

    def start(self, simulator: Simulator, cases: Sequence[Case]) -> None:
        """Predict demand, and see on which links it falls."""
        world = simulator.world
        ages = min(simulator.physics.lifetime, OLDEST) + 1
        self._demands = demands_of(simulator, cases, self._predictor, self._horizon, self._candidates, ages)
        self._prices = np.zeros((len(world.tail), ages))
        self._offers, self._labels = offers_of(world), labels_of(world)

    def act(self, simulator: Simulator) -> None:
        """Decide in the present slot."""
        simulator.log = with_room(simulator.log, simulator.most_events)
        for run in range(len(simulator.runs)):
            look_ahead(simulator.world, simulator.state, run, *self._given, simulator.log)

    def advance(self, simulator: Simulator, until: int) -> None:
        """Play slots without leaving compiled code."""
        while simulator.slot < until:
            simulator.log = with_room(simulator.log, simulator.most_events)
            advance_by_prices(
                simulator.world, simulator.state, until, *self._given, simulator.log, simulator.most_events
            )

    @property
    def _given(self) -> tuple:
        return self._demands, self._tuning, self._prices, self._offers, self._labels


def demands_of(
    simulator: Simulator, cases: Sequence[Case], predictor: Any, horizon: int, candidates: int, ages: int
) -> Demands:
    """What is known of the demand of all cases before they begin."""
    world, physics = simulator.world, simulator.physics
    floors = np.array([_levels(case, physics) for case in cases])
    slots = max(case.slots for case in cases)
    first, keys, rates, uses, links, tables = [0], [], [], [0], [], []
    for run, case in enumerate(cases):
        pairs = np.sort(case.pairs, axis=1)
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        low, high = pairs[order].T
        keys.append((low + world.nodes[run]) * len(world.memory) + high + world.nodes[run])
        first.append(first[-1] + len(pairs))
        ahead = np.zeros((slots, len(pairs), horizon), dtype=np.float32)
        ahead[: case.slots] = case.forecast(predictor, horizon)[:, order]
        rates.append(ahead)
        for link, table in _expected_uses(case, physics, low, high, floors[run], candidates, ages):
            links.append(link + world.links[run])
            tables.append(table)
            uses.append(uses[-1] + len(link))
    ahead = np.concatenate(rates, axis=1)
    both = np.concatenate(tables, axis=1) if tables else np.zeros((2, 0, _FLOORS + 1, ages))
    return Demands(
        np.array(first, dtype=np.int64), np.concatenate(keys).astype(np.int64), ahead.mean(axis=2), ahead, floors,
        np.array(uses, dtype=np.int64), np.concatenate([np.zeros(0, np.int64), *links]).astype(np.int64),
        both[0].copy(), both[1].copy(), np.concatenate([case.run.network.p for case in cases]),
    )  # fmt: skip


def _levels(case: Case, physics: Physics) -> np.ndarray:
    """(F,) qualities that stand for the floors asked in the history, each for as many of them."""
    asked = case.history.floor
    levels = np.quantile(asked, (np.arange(_FLOORS) + 0.5) / _FLOORS) if len(asked) else np.zeros(_FLOORS)
    return np.maximum(physics.quality(levels), 1e-6)


def _expected_uses(case: Case, physics: Physics, low, high, floors, candidates: int, ages: int):
    """For each pair of nodes its links, and (2, links, F + 1, A): uses and requests served, of a request that waits.

    A pair of age a on one link of a route serves a request if the other links hold pairs too, and all are young enough
    together for the floor. A link is taken to hold a pair of each age with probability p / (1 + p * the usual age).
    """
    network = case.run.network
    law = physics.law(network.fidelity)
    scale = law.scale[0]
    noise = -np.log(np.clip(scale + law.shift, 1e-9, 1.0))
    some = min(3, physics.lifetime + 1)
    aged = -np.log(np.clip(scale * law.decays[some] + law.shift, 1e-9, 1.0))
    per_slot = np.maximum((aged - noise) / some, 1e-12)
    stands = network.p * network.channels / (1.0 + network.p * _USUAL_AGE)
    budget = -np.log(floors)
    table = likely_routes(network, physics, low, high, 0.0, candidates) if len(low) else None
    steps = np.concatenate([[0], np.cumsum(table.hops)]) if table is not None else np.zeros(1, dtype=np.int64)
    begin = (
        np.searchsorted(table.request, np.arange(len(low) + 1)) if table is not None else np.zeros(1, dtype=np.int64)
    )
    ways = _ways(int(table.hops.max(initial=1)) if table is not None else 1)
    for j in range(len(low)):
        routes = [table.links[steps[r] : steps[r + 1]] for r in range(begin[j], begin[j + 1])]
        link = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *routes]))
        both = np.zeros((2, len(link), len(floors) + 1, ages))
        for route in routes:
            place = np.searchsorted(link, route)
            spare = (budget - noise[route].sum()) / per_slot[route].mean()  # slots that all pairs may be old together
            left = np.floor(spare[:, None] - np.arange(ages)[None, :] + 1e-9)
            fit = np.where(left < 0, 0.0, ways[len(route) - 1][np.clip(left, 0, ways.shape[1] - 1).astype(np.int64)])
            others = np.prod(stands[route]) / stands[route]
            used = np.minimum(fit[None, :, :] * others[:, None, None], 1.0)
            np.add.at(both[0][:, 1:], place, used)
            np.add.at(both[1][:, 1:], place, used / len(route))
        both[:, :, 0] = both[:, :, 1:].mean(axis=2)
        yield link, both


def _ways(most: int) -> np.ndarray:
    """(most, ages) how many ages of 0, 1, ... other pairs, each at most the usual one, add up to at most so much."""
    room = (most + 1) * (_USUAL_AGE + 1)
    ways, exactly = np.zeros((most, room)), np.zeros(room)
    exactly[0] = 1.0
    for others in range(most):
        ways[others] = np.cumsum(exactly)
        exactly = np.convolve(exactly, np.ones(_USUAL_AGE + 1))[:room]
    return ways
