"""Networks whose links drift from what was once calibrated, watched while in use; and what is asked of them.

One place is one network of `qnroute.benchmark.drifting`, played for 2,000 slots under the policy `hybrid`, and seen as
an operator sees it (`qnroute.simulation.telemetry`), in windows of 50 slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qnroute import generate
from qnroute.allocation import Allocation
from qnroute.benchmark.drifting import TOPOLOGIES, TRAINED_ON, WINDOW, scenario_of
from qnroute.errors import SolverError
from qnroute.learning.links.features import features
from qnroute.learning.links.telemetry import Telemetry
from qnroute.methods import solve
from qnroute.network import Network
from qnroute.problem import Problem
from qnroute.simulation.policies import policy
from qnroute.simulation.scenario import Case
from qnroute.simulation.telemetry import mean_fidelity, mean_p, observed

OBJECTIVES = ("expected-pairs", "log-success", "link-selection")
REWARD = 3.0  # for a route served, of log-success


@dataclass(frozen=True)
class Size:
    """How much is studied: seeds of each network by (topology, nodes), and windows decided in each.

    Attributes
    ----------
    trained, validation, held
        (topology, nodes, seed) of networks to learn from, to choose by, and to judge by.
    windows
        After which it is decided for the next one.
    """

    trained: tuple[tuple[str, int, int], ...]
    validation: tuple[tuple[str, int, int], ...]
    held: tuple[tuple[str, int, int], ...]
    windows: tuple[int, ...]


def _drawn(topologies: Sequence[str], nodes: Sequence[int], first: int, each: int) -> tuple[tuple[str, int, int], ...]:
    pairs = [(topology, n) for topology in topologies for n in nodes]
    return tuple((*pair, first + i * each + k) for i, pair in enumerate(pairs) for k in range(each))


_SEEN, _ALL = TRAINED_ON, tuple(TOPOLOGIES)
FULL = Size(
    trained=_drawn(_SEEN, (16, 20, 24), 500, 6),
    validation=_drawn(_SEEN, (16, 24), 700, 4),
    held=_drawn(_ALL, (16, 24, 32), 5000, 6),
    windows=(22, 26, 30, 34, 38),
)
"""Half the topologies and the largest networks were never learned from; the seeds from 5000 on were looked at once."""

SMOKE = Size(
    trained=_drawn(_SEEN, (10,), 500, 2),
    validation=_drawn(_SEEN[:1], (10,), 700, 2),
    held=_drawn(_ALL[1:3], (10,), 1000, 1),
    windows=(30,),
)


@dataclass(frozen=True, eq=False)
class Place:
    """A network that was watched: its calibration, its telemetry, and what its links were truly like."""

    topology: str
    network: Network
    telemetry: Telemetry
    features: np.ndarray  # (W, m, d)
    case: Case

    def true(self, window: int) -> Network:
        """The network as it is in the mean over the window after this one; scores are p times F."""
        slots = (window + 1) * WINDOW, (window + 2) * WINDOW
        p, fidelity = mean_p(self.case.run, *slots), mean_fidelity(self.case.run, *slots)
        return self.network.replace(p=p, fidelity=fidelity, score=p * fidelity)

    def asked(self, window: int, objective: str, floors: tuple[float, float] | None = None) -> Problem:
        """What is asked of it after a window: pairs of nodes at random, a third as many as there are nodes."""
        if objective == "link-selection":
            return Problem(self.network, task="link-selection", rules={"degree": 1})
        wanted = {} if floors is None else {"min_fidelity": floors}
        requests = generate.requests(self.network, max(self.network.n_nodes // 3, 3), seed=window, **wanted)
        return Problem(self.network, requests, objective={"kind": objective, "serve_reward": REWARD})


def watched(topology: str, nodes: int, seed: int) -> Place:
    """A place of so many nodes; every seed has a network, a drift and a demand of its own."""
    scenario = scenario_of(topology, nodes=nodes, history=0)
    case = scenario.case(seed)
    telemetry = observed(policy("hybrid"), [case], scenario, window=WINDOW)[0]
    return Place(topology, case.run.network, telemetry, features(telemetry), case)


def places(given: Sequence[tuple[str, int, int]]) -> list[Place]:
    """All of them."""
    return [watched(*each) for each in given]


def decided(problem: Problem) -> Allocation:
    """The best for the problem as it is told.

    Raises
    ------
    SolverError
        It was not proven.
    """
    result = solve(problem, "exact")
    if result.status != "optimal":
        raise SolverError(f"exact: ended {result.status}, expected a proven optimum")
    return result.allocation
