"""The batched environment as Stable-Baselines3 asks for it, `MaskablePPO` of sb3-contrib included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from qnroute.errors import SolverError

try:
    from stable_baselines3.common.vec_env import VecEnv
except ImportError:
    raise SolverError("Stable-Baselines3 is not installed: pip install sb3-contrib") from None

from qnroute.learning.routing.environments import GameVectorEnv


class StableBaselinesEnv(VecEnv):
    """A vector environment of the package whose steps Stable-Baselines3 can take.

    >>> MaskablePPO("MlpPolicy", StableBaselinesEnv(AllocationVectorEnv(64))).learn(100_000)
    """

    def __init__(self, environment: GameVectorEnv, seed: int | None = 0):
        self.environment, self._seed, self._actions = environment, seed, np.zeros(environment.num_envs, np.int64)
        super().__init__(environment.num_envs, environment.single_observation_space, environment.single_action_space)

    def reset(self) -> np.ndarray:
        """Begin all episodes; the first time with the seed given, and anew with one that `seed` was told since."""
        seen, _ = self.environment.reset(seed=self._seed if self._seeds[0] is None else self._seeds[0])
        self._seed = None
        self._reset_seeds()
        return seen

    def step_async(self, actions: np.ndarray) -> None:
        """Take note of the actions."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Take the actions."""
        seen, reward, done, _, info = self.environment.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for e in np.flatnonzero(done):
            ends = {name: float(values[e]) for name, values in info["final_info"].items()}
            infos[e] = {"terminal_observation": info["final_obs"][e], "TimeLimit.truncated": False, **ends}
        return seen, reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Nothing is open."""

    def has_attr(self, attr_name: str) -> bool:
        """Whether every episode has it."""
        return attr_name == "action_masks" or hasattr(self.environment, attr_name)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same for every episode."""
        return [getattr(self.environment, attr_name) for _ in self._places(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Episodes have nothing that could be set one by one."""
        raise SolverError(f"{attr_name}: episodes of one batch cannot be changed one by one")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """What a method says of each episode; known is ``action_masks``."""
        if method_name != "action_masks":
            raise SolverError(f"{method_name}: unknown to episodes of a batch, expected action_masks")
        masks = self.environment.action_masks()
        return [masks[e] for e in self._places(indices)]

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Nothing is wrapped."""
        return [False for _ in self._places(indices)]

    def _places(self, indices: int | Iterable[int] | None) -> Sequence[int]:
        if indices is None:
            return range(self.num_envs)
        return [indices] if isinstance(indices, int) else list(indices)
