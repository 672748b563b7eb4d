"""How fast policies are trained: steps of the environments, and decisions played and learned from in a CPU second.

MaskablePPO of sb3-contrib is the reference, on 64 ordinary environments and on the batched one; batches, epochs,
decisions of an update and hidden units are the same. All ways begin with random weights and run in turns.
"""

from __future__ import annotations

import importlib.util
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qnroute.errors import SolverError
from qnroute.fields import chosen
from qnroute.learning.routing.one_slot import experienced
from qnroute.learning.routing.policy import HIDDEN, RoutePolicy, first_weights
from qnroute.learning.routing.pool import Pool
from qnroute.learning.routing.ppo import Course, Experience, refined
from qnroute.learning.routing.problems import mixed
from qnroute.learning.training import alone

GROUP = "throughput"
SEED = 6_000_000
PROBLEMS = 200
SIDE_BY_SIDE = 64  # environments
STEPS = 256  # of each between two updates
COURSE = Course(updates=3, instances=57, episodes=16, epochs=2, batch=2048, every=1000)  # 16,400 decisions an update
RANDOM = 3000  # steps with random actions
OURS = "qnroute"


@dataclass(frozen=True)
class Throughput:
    """A way of playing or training.

    Attributes
    ----------
    per_second : median of decisions in a CPU second
    low, high : the slowest and the fastest run
    ours_over_this : median over the runs of our training's figure over this one's; None for what is no training
    """

    way: str
    runs: int
    per_second: float
    low: float
    high: float
    ours_over_this: float | None


def listing() -> list[str]:
    """What there is."""
    return [f"{GROUP}: decisions trained on in a CPU second, MaskablePPO beside"]


def measure(
    *,
    runs: int,
    case: Sequence[str] = (GROUP,),
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[Throughput]:
    """A row for each way; one run of each is thrown away."""
    for name in case:
        chosen("--case", name, {GROUP: ""})
    if importlib.util.find_spec("sb3_contrib") is None:
        raise SolverError("the case throughput needs MaskablePPO: pip install sb3-contrib")
    stop, pool = interrupted or threading.Event(), Pool.of(mixed, size=PROBLEMS, seed=SEED)
    ways: dict[str, Callable[[int], float]] = {
        "environment, random actions": lambda run: _random(pool, run),
        OURS: lambda run: _ours(pool, COURSE._replace(seed=run)),
        "qnroute with a critic": lambda run: _ours(pool, COURSE._replace(seed=run, critic=1e-3, warmup=0)),
        "MaskablePPO, ordinary environments": lambda run: _theirs(_ordinary(pool), run),
        "MaskablePPO, batched environment": lambda run: _theirs(_batched(pool), run),
    }
    found: dict[str, list[float]] = {way: [] for way in ways}
    for run in range(runs + 1):
        if stop.is_set():
            break
        for way, play in ways.items():
            if doing is not None:
                doing(f"{way}, run {run} of {runs}")
            speed = play(run)
            if run:
                found[way].append(speed)
    return [_row(way, speeds, found[OURS]) for way, speeds in found.items() if speeds]


def _row(way: str, speeds: list[float], ours: list[float]) -> Throughput:
    over = None if way.startswith("environment") else float(np.median(np.divide(ours, speeds)))
    return Throughput(way, len(speeds), float(np.median(speeds)), min(speeds), max(speeds), over)


def _random(pool: Pool, run: int) -> float:
    """Steps of the batched environment."""
    from qnroute.learning.routing.environments import AllocationVectorEnv

    environment, rng = AllocationVectorEnv(SIDE_BY_SIDE, pool), np.random.default_rng(run)
    _, info = environment.reset(seed=run)
    begin = time.process_time()
    for _ in range(RANDOM):
        odds = rng.random(info["action_mask"].shape) * info["action_mask"]
        info = environment.step(odds.argmax(axis=1))[-1]
    return SIDE_BY_SIDE * RANDOM / (time.process_time() - begin)


def _ours(pool: Pool, course: Course) -> float:
    """Decisions of our training."""

    def experience(policy: RoutePolicy, rng: np.random.Generator) -> Experience:
        some = rng.choice(len(pool), course.instances, replace=False)
        return experienced(policy, pool, np.repeat(some, course.episodes), rng, candidates=8)

    first = RoutePolicy(first_weights(np.random.default_rng(course.seed)))
    begin = time.process_time()
    updates = refined(first, experience, lambda policy: 0.0, course)[-1]
    return sum(update.decisions for update in updates) / (time.process_time() - begin)


def _theirs(environment, seed: int) -> float:
    """Decisions of MaskablePPO."""
    with alone(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sb3_contrib import MaskablePPO

        trainer = MaskablePPO(
            "MlpPolicy", environment, n_steps=STEPS, batch_size=COURSE.batch, n_epochs=COURSE.epochs, device="cpu",
            policy_kwargs={"net_arch": [HIDDEN, HIDDEN]}, seed=seed,
        )  # fmt: skip
        begin = time.process_time()
        trainer.learn(SIDE_BY_SIDE * STEPS * COURSE.updates)
        return trainer.num_timesteps / (time.process_time() - begin)


def _ordinary(pool: Pool):
    from stable_baselines3.common.vec_env import DummyVecEnv

    from qnroute.learning.routing.environments import AllocationEnv

    return DummyVecEnv([lambda: AllocationEnv(pool) for _ in range(SIDE_BY_SIDE)])


def _batched(pool: Pool):
    from qnroute.learning.routing.environments import AllocationVectorEnv
    from qnroute.learning.routing.stable_baselines import StableBaselinesEnv

    return StableBaselinesEnv(AllocationVectorEnv(SIDE_BY_SIDE, pool))
