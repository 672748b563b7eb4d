"""A network in time as an environment: what Gymnasium and Stable-Baselines3 ask; that it is the simulator's game."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from qnroute.errors import ProblemError
from qnroute.gym import NETWORK
from qnroute.learning.predictors import predictor
from qnroute.learning.routing.policy import RoutePolicy, first_weights
from qnroute.simulation import Scenario
from qnroute.simulation.chooser import Chooser
from qnroute.simulation.desk import FEATURES
from qnroute.simulation.environments import NetworkEnv, NetworkVectorEnv
from qnroute.simulation.policy import play
from qnroute.simulation.world import Run

SCENARIO = Scenario("erdos-renyi:n=10,probability=0.35,p=0.15,fidelity=0.93", slots=60, history=100)


def drawn(rng, mask):
    return (rng.random(mask.shape) * mask).argmax(axis=-1)


def test_gymnasium_and_stable_baselines_find_nothing_wrong():
    from stable_baselines3.common import env_checker as checker

    env = gymnasium.make(f"qnroute.gym:{NETWORK}", scenario=SCENARIO)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of shapes that are no images
        check_env(env.unwrapped, skip_render_check=True)
        checker.check_env(env.unwrapped)
    assert env.observation_space.shape == (9, len(FEATURES)) and env.action_space.n == 9


def test_episodes_add_up_to_what_is_served_shaped_or_not():
    for shaped in (True, False):
        env = NetworkVectorEnv(
            3, [SCENARIO, SCENARIO.replace(network="regular:n=8,degree=3,p=0.2,fidelity=0.95")], size=5, shaped=shaped
        )
        seen, info = env.reset(seed=2)
        rng, ends, batch = np.random.default_rng(1), 0, env._game.batch
        total = shaped * batch.promise[batch.run]
        while ends < 6:
            assert env.observation_space.contains(seen) and info["action_mask"][:, 0].all()
            seen, reward, done, cut, info = env.step(drawn(rng, info["action_mask"]))
            total += reward
            assert not cut.any() and not info["refused"].any()
            for e in np.flatnonzero(done):
                assert total[e] == pytest.approx(info["final_info"]["served"][e], abs=1e-9)
                assert 0.0 <= info["final_info"]["success"][e] <= 1.0
                total[e], ends = shaped * batch.promise[batch.run[e]], ends + 1
        assert len(set(batch.run.tolist())) == 3


def test_refused_actions_count_as_waiting_and_seeds_repeat():
    found = []
    for _ in range(2):
        env = NetworkEnv(SCENARIO, size=2)
        seen, info = env.reset(seed=3)
        rows, refused = [seen], 0
        for step in range(40):
            mask = info["action_mask"]
            action = int(np.flatnonzero(~mask)[0]) if step % 3 == 0 and not mask.all() else int(mask.sum()) - 1
            seen, reward, done, _, info = env.step(action)
            refused += info["refused"]
            rows.append(np.append(seen.ravel(), reward))
            if done:
                break
        found.append(np.concatenate([row.ravel() for row in rows]))
        assert refused > 0
    assert np.array_equal(*found)


def test_a_policy_plays_the_environment_as_it_plays_the_simulator():
    made = RoutePolicy(first_weights(np.random.default_rng(4), len(FEATURES)), {}, FEATURES)
    env = NetworkEnv(SCENARIO, size=1, seed=7, predictor="mean", shaped=False)
    seen, info = env.reset(seed=0)
    done, served = False, 0.0
    while not done:
        action = int(made.scores(seen[None], info["action_mask"][None])[0].argmax())
        seen, reward, done, _, info = env.step(action)
        served += reward
    case, luck = SCENARIO.case(7), int(env._game.batch._simulator.world.seeds[0])
    run = Run(case.run.network, case.run.series, case.run.demand, luck)
    from dataclasses import replace

    simulator = play(Chooser(predictor("mean"), made), [replace(case, run=run)], SCENARIO)
    assert (simulator.state.served >= 0).sum() == served == info["served"] > 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"scenario": []}, "scenario: found none"),
        ({"num_envs": 0}, "num_envs: found 0"),
        ({"size": 1, "num_envs": 2}, "size: found 1 runs for 2 episodes"),
        ({"candidates": 0}, "candidates: found 0"),
        ({"scenario": [SCENARIO, SCENARIO.replace(held=1)]}, "scenario: held differs"),
    ],
)
def test_what_cannot_be_is_refused(given, words):
    with pytest.raises(ProblemError, match=words):
        NetworkVectorEnv(**{"num_envs": 1, "scenario": SCENARIO, **given})


def test_maskable_ppo_runs_on_it_as_it_is():
    from sb3_contrib import MaskablePPO

    from qnroute.learning.routing.stable_baselines import StableBaselinesEnv

    env = StableBaselinesEnv(NetworkVectorEnv(4, SCENARIO))
    model = MaskablePPO("MlpPolicy", env, n_steps=16, batch_size=32, n_epochs=1, seed=0).learn(64)
    assert model.num_timesteps == 64
