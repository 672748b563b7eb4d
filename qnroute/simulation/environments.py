"""``qnroute/Network-v0``: a network in time as a Gymnasium environment, alone or many runs side by side.

Slot after slot, a request that could be served takes one of some routes over the pairs stored, or waits; then pairs are
held by one of some routes, or no more in this slot. `gymnasium.make` and `make_vec` know both by `qnroute.gym`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qnroute.errors import ProblemError
from qnroute.learning.predictors import predictor as predictor_of
from qnroute.learning.routing.environments import GameEnv, GameVectorEnv, spaces
from qnroute.simulation.desk import FEATURES, MOST
from qnroute.simulation.lanes import Lanes
from qnroute.simulation.parameters import whole
from qnroute.simulation.scenario import Case, Scenario

USUAL = "erdos-renyi:n=16,probability=0.25,p=0.12,fidelity=0.92"


class _NetworkGame:
    """Runs to draw episodes from, and spaces."""

    def __init__(
        self,
        scenario: Any,
        episodes: int,
        *,
        size: int | None,
        seed: int,
        predictor: str,
        candidates: int,
        shaped: bool,
    ):
        several = [scenario] if isinstance(scenario, (str, Scenario)) or scenario is None else list(scenario)
        if not several:
            raise ProblemError("scenario: found none, expected at least one")
        made = [_scenario_of(each) for each in several]
        for name in ("physics", "held", "slots", "slots_per_epoch"):
            if any(getattr(each, name) != getattr(made[0], name) for each in made):
                raise ProblemError(f"scenario: {name} differs, expected the same in all")
        size = max(2 * episodes, len(made)) if size is None else whole("size", size, least=1)
        first = whole("seed", seed)
        if size < len(made):
            raise ProblemError(f"size: found {size} runs of {len(made)} scenarios, expected one each at least")
        cases: list[Case] = [made[i % len(made)].case(first + i) for i in range(size)]
        candidates = whole("candidates", candidates, least=1)
        self.batch = Lanes(
            cases, made[0], predictor_of(predictor), episodes, candidates=candidates, shaped=bool(shaped)
        )  # fmt: skip
        self.observations, self.actions = spaces(candidates, len(FEATURES), MOST)

    def start(self, episodes: np.ndarray, rng: np.random.Generator) -> None:
        """Begin these episodes, on runs drawn at random."""
        self.batch.start(episodes, rng)

    def ends(self, episodes: np.ndarray) -> dict[str, np.ndarray]:
        """What episodes that are over came to."""
        return self.batch.ends(episodes)


def _scenario_of(given: Any) -> Scenario:
    if isinstance(given, Scenario):
        return given
    return Scenario(USUAL if given is None else given, slots=200, history=500)


class NetworkVectorEnv(GameVectorEnv):
    """`num_envs` runs side by side in one compiled step, each at a slot of its own.

    Parameters
    ----------
    scenario
        A `Scenario`, what names its network, or several of either, whose networks may differ; a random network of 16
        nodes if not given. Of a name, runs have 200 slots after a history of 500.
    size, seed
        How many runs are drawn (twice `num_envs`), and the seed of the first one. Episodes are played on these, each
        time with other luck.
    predictor
        What forecasts demand.
    candidates
        Shown at most.
    shaped
        Whether rewards are shaped by the chances of those that wait, see `lanes.Lanes`; else they are what is served.

    Observations are (candidates + 1, features) float32, waiting first, see `desk.FEATURES`. At the end the info has the
    weight ``served`` and ``success``, the share of the requests.
    """

    def __init__(
        self,
        num_envs: int = 64,
        scenario: str | Scenario | Sequence[str | Scenario] | None = None,
        *,
        size: int | None = None,
        seed: int = 0,
        predictor: str = "frequency",
        candidates: int = 8,
        shaped: bool = True,
    ):
        rest = {"size": size, "seed": seed, "predictor": predictor, "candidates": candidates, "shaped": shaped}
        super().__init__(num_envs, lambda episodes: _NetworkGame(scenario, episodes, **rest))


class NetworkEnv(GameEnv):
    """One run at a time; see `NetworkVectorEnv`."""

    def __init__(self, scenario: str | Scenario | Sequence[str | Scenario] | None = None, **rest: Any):
        usual = {"size": None, "seed": 0, "predictor": "frequency", "candidates": 8, "shaped": True}
        if unknown := set(rest) - set(usual):
            raise ProblemError(f"{min(unknown)}: unknown, expected some of {', '.join(usual)}")
        super().__init__(_NetworkGame(scenario, 1, **{**usual, **rest}))
