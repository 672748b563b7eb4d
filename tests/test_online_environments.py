"""Requests that come one by one, for Gymnasium and Stable-Baselines3."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from test_online import small

from qnroute.allocation import check, value
from qnroute.errors import ProblemError
from qnroute.gym import ONLINE
from qnroute.learning.routing.online_environments import OnlineEnv, OnlineVectorEnv
from qnroute.learning.routing.streams import StreamPool


@pytest.fixture(scope="module")
def pool():
    return StreamPool.of([small(seed, count=10 + seed) for seed in range(4)])


def test_gymnasium_and_stable_baselines_find_nothing_wrong(pool):
    from stable_baselines3.common import env_checker as checker

    check_env(gymnasium.make(f"qnroute.gym:{ONLINE}", streams=pool).unwrapped)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Your observation  has an unconventional shape")
        checker.check_env(OnlineEnv(pool))


def test_one_and_many_play_the_same_game_and_end_with_an_allocation(pool):
    rng = np.random.default_rng(0)
    for number in range(len(pool)):
        env = OnlineEnv(pool, shaped=False)
        _, info = env.reset(seed=number, options={"instance": number})
        stream, total, done = pool.streams[number], 0.0, False
        while not done:
            action = int((rng.random(9) * info["action_mask"]).argmax())
            seen, reward, done, _, info = env.step(action)
            assert env.observation_space.contains(seen)
            total += reward
        assert total * pool.outlook.unit[number] == pytest.approx(info["value"]) and total > 0.0
        batch, count = env._game.batch, pool.demand.count[number]
        group = batch.come.group[0, :count] - pool.lot.groups[number]
        problem = stream.problem(group, batch.come.weight[0, :count])
        check(problem, env.allocation)
        assert value(problem, env.allocation) == pytest.approx(info["value"])


def test_sequences_of_a_batch_differ_and_follow_the_seed(pool):
    many = gymnasium.make_vec(
        f"qnroute.gym:{ONLINE}", num_envs=5, vectorization_mode="vector_entry_point", streams=pool
    )
    ends = []
    for _ in range(2):
        _, info = many.reset(seed=3)
        found = []
        for _ in range(60):
            _, _, done, _, info = many.step(info["action_mask"].argmax(axis=1) + 1)
            if done.any():
                found += info["final_info"]["value"][done].tolist()
        ends.append(found)
    assert ends[0] == ends[1] and len(set(ends[0])) > 5


def test_stable_baselines_learns_on_it(pool):
    from sb3_contrib import MaskablePPO

    from qnroute.learning.routing.stable_baselines import StableBaselinesEnv

    MaskablePPO("MlpPolicy", StableBaselinesEnv(OnlineVectorEnv(4, pool)), n_steps=8, batch_size=16).learn(32)


def test_what_makes_no_sense_is_refused(pool):
    with pytest.raises(ProblemError, match="candidates: found 0"):
        OnlineEnv(pool, candidates=0)
    with pytest.raises(ProblemError, match="size: the pool given"):
        OnlineVectorEnv(2, pool, size=3)
