"""Policy ``ppo``: a trained policy chooses which requests are served by which routes, who waits, and what is held."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qnroute.learning.routing.policy import RoutePolicy
from qnroute.learning.routing.policy_files import load_policy
from qnroute.learning.routing.scoring import weights_of
from qnroute.simulation.desk import FEATURES, Desk, Sight, desk_of
from qnroute.simulation.events import with_room
from qnroute.simulation.frontier import labels_of
from qnroute.simulation.horizon import Tuning
from qnroute.simulation.lookahead import OLDEST, demands_of
from qnroute.simulation.plans import static_plan
from qnroute.simulation.policy import Policy
from qnroute.simulation.prospects import Belief
from qnroute.simulation.rollouts import Mind, Store, decide, rolled, store_of
from qnroute.simulation.scenario import Case
from qnroute.simulation.search import Workspace, workspace_of
from qnroute.simulation.simulator import Simulator

TUNING = Tuning(waiting=1.0, urgency=2.0, place=0.01, trust=0.3, longest=4)
"""Of the prices that candidates are shown with; as those of `lookahead`."""

WEIGHTS, IMITATED = (
    Path(__file__).with_name("weights") / name for name in ("network.safetensors", "network-imitated.safetensors")
)
"""The policy that comes with the package, and what it was before PPO."""

_HORIZON = 15
_ROUTES = 6  # likely routes of each request
_ENDLESS = 2**31


def load_network_policy(path: str | os.PathLike[str] = WEIGHTS) -> RoutePolicy:
    """Read a policy that chooses within slots, by default the one that comes with the package."""
    return load_policy(path, FEATURES)


def sight_of(simulator: Simulator, cases: Sequence[Case], predictor: Any) -> Sight:
    """What is known of all cases before they begin: demand as forecast, and routes."""
    world, physics = simulator.world, simulator.physics
    ages = min(physics.lifetime, OLDEST) + 1
    demands = demands_of(simulator, cases, predictor, _HORIZON, _ROUTES, ages)
    plan = static_plan(world, [case.run.network for case in cases], physics, candidates=_ROUTES)
    return Sight(demands, TUNING, plan, Belief(demands.nominal, np.zeros(len(world.tail)), _ENDLESS))


class Table:
    """All that compiled decisions are given besides the runs: what is known, the desk, and room.

    Attributes
    ----------
    sight, desk, work, labels
        See `choices`.
    """

    def __init__(self, simulator: Simulator, sight: Sight, candidates: int):
        world = simulator.world
        self.sight: Sight = sight
        self.desk: Desk = desk_of(world, sight, candidates, sight.demands.use.shape[2])
        self.work: Workspace = workspace_of(world)
        self.labels = labels_of(world)
        self.unkept: Store = store_of(self.desk, 0, 0)

    @property
    def given(self) -> tuple:
        """In the order in which compiled functions take them."""
        return self.sight, self.desk, self.work, self.labels


class Chooser:
    """See the module.

    Parameters
    ----------
    predictor
        What forecasts demand.
    policy
        Weights, with the features of `desk.FEATURES`.
    candidates
        Shown of each decision at most.
    """

    def __init__(self, predictor: Any, policy: RoutePolicy, *, candidates: int = 8):
        self._predictor, self._candidates = predictor, candidates
        self._mind = Mind(weights_of(policy, len(FEATURES)), 0.0, 0.0, 0)

    def start(self, simulator: Simulator, cases: Sequence[Case]) -> None:
        """Forecast demand, and find likely routes."""
        self.table = Table(simulator, sight_of(simulator, cases, self._predictor), self._candidates)

    @property
    def belief(self) -> Belief:
        """What is believed of links, to be changed in place by who knows more; prices follow."""
        return self.table.sight.belief

    def act(self, simulator: Simulator) -> None:
        """Decide in the present slot."""
        for run in range(len(simulator.runs)):
            self.decide(simulator, run)

    def decide(self, simulator: Simulator, run: int) -> None:
        """Decide in the present slot of one run."""
        simulator.log = with_room(simulator.log, simulator.most_events)
        decide(
            simulator.world, simulator.state, run, *self.table.given, self._mind, self.table.unkept, simulator.log
        )  # fmt: skip

    def advance(self, simulator: Simulator, until: int) -> None:
        """Play slots without leaving compiled code."""
        while simulator.slot < until:
            simulator.log = with_room(simulator.log, simulator.most_events)
            for run in range(len(simulator.runs)):
                rolled(
                    simulator.world, simulator.state, run, until, *self.table.given, self._mind, self.table.unkept,
                    simulator.log, simulator.most_events,
                )  # fmt: skip


class Refined:
    """Policy ``refine``: another policy decides first; the trained one goes on with what that leaves in the slot."""

    def __init__(self, base: Policy, chooser: Chooser):
        self._base, self._chooser = base, chooser

    def start(self, simulator: Simulator, cases: Sequence[Case]) -> None:
        """Make both ready."""
        self._base.start(simulator, cases)
        self._chooser.start(simulator, cases)

    def act(self, simulator: Simulator) -> None:
        """Decide in the present slot."""
        self._base.act(simulator)
        self._chooser.act(simulator)
