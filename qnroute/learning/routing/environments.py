"""``qnroute/Allocation-v0``: route choice of one slot as a Gymnasium environment, alone or many side by side.

Request after request chooses one of its candidate routes or waits; an action that is not possible counts as waiting.
`gymnasium.make` and `make_vec` know both by `qnroute.gym`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from qnroute.allocation import Allocation, check
from qnroute.errors import ProblemError
from qnroute.fields import brief
from qnroute.learning.routing.batch import Batch
from qnroute.learning.routing.episodes import FEATURES
from qnroute.learning.routing.pool import Pool, Source, usual_problem
from qnroute.learning.series import whole

_MOST = 4.0  # of any feature


class _Game:
    """What both have in common: a pool, spaces, and episodes on instances drawn at random."""

    def __init__(self, problems: Source | Pool | None, episodes: int, candidates: int, shaped: bool, rest: dict):
        given = usual_problem if problems is None else problems
        self.pool = pool_of(Pool, given, rest, ("size", "seed", "per_request"))
        candidates = whole("candidates", candidates, 1)
        self.batch = Batch(self.pool.lot, self.pool.plan, episodes, candidates=candidates, shaped=bool(shaped))
        self.observations, self.actions = spaces(candidates, len(FEATURES), _MOST)

    def start(self, episodes: np.ndarray, rng: np.random.Generator, instances: np.ndarray | None = None) -> None:
        """Begin these episodes, on instances drawn at random if none are given."""
        if instances is None:
            instances = rng.integers(0, len(self.pool), len(episodes))
        self.batch.start(episodes, instances)

    def ends(self, episodes: np.ndarray) -> dict[str, np.ndarray]:
        """What episodes that are over came to."""
        state = self.batch.state
        return {"value": state.worth[episodes], "bound": self.pool.prices.bound[state.instance[episodes]]}

    def allocation(self, episode: int) -> Allocation:
        """What an episode has chosen so far."""
        state = self.batch.state
        instance = self.pool.instances[state.instance[episode]]
        chosen = instance.allocation(state.taken[episode, : len(instance.lot.value)])
        check(instance.problem, chosen)
        return chosen


def pool_of(kind: Any, given: Any, rest: Mapping[str, Any], known: tuple[str, ...]) -> Any:
    """What is given, if it is a pool of this kind; else the pool made of it, where `rest` may say what is `known`."""
    if unknown := set(rest) - set(known):
        raise ProblemError(f"{min(unknown)}: unknown, expected some of {', '.join(known)}")
    if isinstance(given, kind) and rest:
        raise ProblemError(f"{', '.join(rest)}: the pool given says that already")
    return given if isinstance(given, kind) else kind.of(given, **rest)


def spaces(candidates: int, features: int, most: float) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Discrete]:
    """Of observations, no feature beyond `most`, and of actions."""
    box = gymnasium.spaces.Box(-most, most, (candidates + 1, features), np.float32)
    return box, gymnasium.spaces.Discrete(candidates + 1)


class GameEnv(gymnasium.Env):
    """One episode of a game at a time: a game has ``batch``, ``start``, ``ends`` and its spaces."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, game: Any):
        self._game = game
        self.observation_space, self.action_space = game.observations, game.actions

    def action_masks(self) -> np.ndarray:
        """(candidates + 1,) bool: what is possible, as sb3-contrib asks for it."""
        return self._game.batch.view.mask[0].copy()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Begin an episode drawn at random."""
        super().reset(seed=seed)
        self._game.start(np.zeros(1, np.int64), self.np_random)
        return self._begun()

    def step(self, action: int):
        """Choose for the request at hand."""
        try:
            action = operator.index(action)
        except TypeError:
            raise ProblemError(f"action: found {brief(action)}, expected a whole number") from None
        found = self._game.batch.step(np.array([action], dtype=np.int64))
        done, info = bool(found.done[0]), {"action_mask": self.action_masks(), "refused": bool(found.refused[0])}
        if done:
            info |= {name: float(values[0]) for name, values in self._game.ends(np.zeros(1, np.int64)).items()}
        return self._game.batch.view.seen[0].copy(), float(found.reward[0]), done, False, info

    def _begun(self):
        return self._game.batch.view.seen[0].copy(), {"action_mask": self.action_masks()}


class GameVectorEnv(VectorEnv):
    """`num_envs` episodes of a game side by side in one compiled step; `make` makes a game of so many.

    An episode that ends is followed by another in the same step: ``final_obs`` and ``final_info`` of the info are those
    of its end.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(self, num_envs: int, make: Callable[[int], Any]):
        self.num_envs = whole("num_envs", num_envs, 1)
        self._game = make(self.num_envs)
        self.single_observation_space, self.single_action_space = self._game.observations, self._game.actions
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space: gymnasium.Space = batch_space(self.single_action_space, self.num_envs)

    def action_masks(self) -> np.ndarray:
        """(num_envs, candidates + 1) bool: what is possible."""
        return self._game.batch.view.mask.copy()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Begin all episodes on instances drawn at random."""
        super().reset(seed=seed)
        self._game.start(np.arange(self.num_envs), self.np_random)
        return self._game.batch.view.seen.copy(), {"action_mask": self.action_masks()}

    def step(self, actions: np.ndarray):
        """Choose in every episode."""
        batch, given = self._game.batch, np.asarray(actions)
        if given.shape != (self.num_envs,) or given.dtype.kind not in "iu":
            found = f"{given.dtype} of shape {given.shape}"
            raise ProblemError(f"actions: found {found}, expected {self.num_envs} whole numbers, one for each episode")
        found = batch.step(given)
        rewards, done, info = found.reward.copy(), found.done.copy(), {"refused": found.refused.copy()}
        ended = np.flatnonzero(done)
        if len(ended):
            info["_final_obs"] = info["_final_info"] = done.copy()
            info["final_obs"] = np.full(self.num_envs, None, dtype=object)
            for e in ended:
                info["final_obs"][e] = batch.view.seen[e].copy()
            info["final_info"] = {}
            for name, values in self._game.ends(ended).items():
                info["final_info"][name] = np.zeros(self.num_envs)
                info["final_info"][name][ended] = values
            self._game.start(ended, self.np_random)
        info["action_mask"] = self.action_masks()
        return batch.view.seen.copy(), rewards, done, np.zeros(self.num_envs, dtype=bool), info


class AllocationEnv(GameEnv):
    """One episode at a time.

    Parameters
    ----------
    problems
        A problem, several, a function that makes one of a seed, or a `Pool`; 24 requests on 16 nodes if not given.
    candidates
        Routes offered of a request, at most; the rest of the pool's are never seen.
    shaped
        Whether rewards are shaped by bid prices, see `batch.Batch`. They are in units of the mean value of the
        requests' best routes.
    rest
        ``size``, ``seed``, ``per_request`` of `Pool.of`.

    Observations are (candidates + 1, features) float32, waiting first, see `episodes.FEATURES`; ``action_mask`` in the
    info and `action_masks` say what is possible. At the end the info has the ``value`` of the allocation and a proven
    ``bound`` on that of any choice of the candidate routes.
    """

    def __init__(self, problems: Source | Pool | None = None, *, candidates: int = 8, shaped: bool = True, **rest: Any):
        super().__init__(_Game(problems, 1, candidates, shaped, rest))

    @property
    def pool(self) -> Pool:
        """The instances."""
        return self._game.pool

    @property
    def allocation(self) -> Allocation:
        """What was chosen so far, checked."""
        return self._game.allocation(0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Begin an episode on an instance drawn at random, or on that of ``options["instance"]``."""
        begun = super().reset(seed=seed)
        if options is not None and not isinstance(options, Mapping):
            raise ProblemError(f"options: found {brief(options)}, expected a mapping")
        if options and "instance" in options:
            number = whole("instance", options["instance"], 0, len(self.pool) - 1)
            self._game.start(np.zeros(1, np.int64), self.np_random, np.array([number]))
            return self._begun()
        return begun


class AllocationVectorEnv(GameVectorEnv):
    """`num_envs` episodes side by side in one compiled step; see `AllocationEnv`."""

    def __init__(
        self,
        num_envs: int = 64,
        problems: Source | Pool | None = None,
        *,
        candidates: int = 8,
        shaped: bool = True,
        **rest: Any,
    ):
        super().__init__(num_envs, lambda episodes: _Game(problems, episodes, candidates, shaped, rest))

    @property
    def pool(self) -> Pool:
        """The instances."""
        return self._game.pool

    def allocation(self, episode: int) -> Allocation:
        """What one of the episodes has chosen so far, checked."""
        return self._game.allocation(whole("episode", episode, 0, self.num_envs - 1))
