"""The environments: what Gymnasium and Stable-Baselines3 ask of them, and that one and many play the same game."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import qnroute as qn
from qnroute import generate
from qnroute.allocation import check, value
from qnroute.errors import ProblemError
from qnroute.gym import ALLOCATION
from qnroute.learning.routing.environments import AllocationEnv, AllocationVectorEnv
from qnroute.learning.routing.online_environments import OnlineEnv
from qnroute.learning.routing.pool import Pool, usual_problem
from qnroute.learning.routing.streams import StreamPool


@pytest.fixture(scope="module")
def pool():
    return Pool.of(usual_problem, size=5)


def chosen(rng, mask):
    """A possible action at random, waiting seldom."""
    return (rng.random(mask.shape) * mask * np.where(np.arange(mask.shape[-1]) == 0, 0.2, 1.0)).argmax(axis=-1)


def test_gymnasium_finds_nothing_wrong():
    env = gymnasium.make(f"qnroute.gym:{ALLOCATION}", size=3)
    check_env(env.unwrapped)
    assert env.observation_space.shape == (9, 16) and env.action_space.n == 9


def test_stable_baselines_finds_nothing_wrong(pool):
    from stable_baselines3.common import env_checker as checker

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Your observation  has an unconventional shape")
        checker.check_env(AllocationEnv(pool))


def test_an_episode_ends_with_a_checked_allocation_and_its_bound(pool):
    env, rng = AllocationEnv(pool), np.random.default_rng(0)
    for number in range(len(pool)):
        seen, info = env.reset(options={"instance": number})
        total, done = 0.0, False
        while not done:
            assert env.observation_space.contains(seen)
            seen, reward, done, cut, info = env.step(int(chosen(rng, info["action_mask"])))
            total += reward
            assert not cut and not info["refused"]
        instance = pool.instances[number]
        check(instance.problem, env.allocation)
        assert value(instance.problem, env.allocation) == pytest.approx(info["value"])
        assert info["value"] <= info["bound"] and info["bound"] == pool.prices.bound[number]
        unit = pool.lot.unit[number]
        assert total == pytest.approx((info["value"] - info["bound"]) / unit, abs=1e-9)


def test_what_is_not_possible_counts_as_waiting(pool):
    one, other = AllocationEnv(pool), AllocationEnv(pool)
    (_, info), _ = (env.reset(options={"instance": 1}) for env in (one, other))
    refused = 0
    for _ in range(200):
        bad = np.flatnonzero(~info["action_mask"])
        action = int(bad[0]) if len(bad) else 1
        seen, reward, done, _, info = one.step(action)
        expected = other.step(0 if len(bad) else 1)
        np.testing.assert_array_equal(seen, expected[0])
        assert reward == expected[1] and info["refused"] == bool(len(bad)) and not expected[4]["refused"]
        refused += len(bad) > 0
        if done:
            break
    assert refused


def test_same_seed_same_episodes(pool):
    runs = []
    for _ in range(2):
        env, rng, rows = AllocationVectorEnv(4, pool), np.random.default_rng(3), []
        seen, info = env.reset(seed=11)
        for _ in range(120):
            seen, reward, done, _, info = env.step(chosen(rng, info["action_mask"]))
            rows.append((seen.sum(), reward.sum(), done.sum()))
        runs.append(rows)
    assert runs[0] == runs[1] and sum(row[2] for row in runs[0]) > 4


def test_side_by_side_is_as_alone(pool):
    many, rng = AllocationVectorEnv(3, pool), np.random.default_rng(1)
    alone = [AllocationEnv(pool) for _ in range(3)]
    seen, info = many.reset(seed=5)
    state = many._game.batch.state
    assert many.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP

    def begin(e):
        return alone[e].reset(options={"instance": int(state.instance[e])})[0]

    np.testing.assert_array_equal(seen, [begin(e) for e in range(3)])
    ended = 0
    for _ in range(150):
        actions = chosen(rng, info["action_mask"])
        seen, reward, done, cut, info = many.step(actions)
        assert many.observation_space.contains(seen) and not cut.any()
        for e, env in enumerate(alone):
            own = env.step(int(actions[e]))
            assert own[1] == reward[e] and own[2] == done[e]
            if done[e]:
                ended += 1
                np.testing.assert_array_equal(info["final_obs"][e], own[0])
                assert {name: info["final_info"][name][e] for name in ("value", "bound")} == {
                    name: own[4][name] for name in ("value", "bound")
                }
                np.testing.assert_array_equal(seen[e], begin(e))
            else:
                np.testing.assert_array_equal(seen[e], own[0])
                np.testing.assert_array_equal(info["action_mask"][e], own[4]["action_mask"])
    assert ended > 5


def test_rewards_unshaped_are_values(pool):
    env, rng = AllocationEnv(pool, shaped=False), np.random.default_rng(2)
    _, info = env.reset(options={"instance": 2})
    total, done = 0.0, False
    while not done:
        _, reward, done, _, info = env.step(int(chosen(rng, info["action_mask"])))
        assert reward >= 0.0
        total += reward
    assert total * pool.lot.unit[2] == pytest.approx(info["value"])


def test_problems_are_given_in_any_way():
    problem = usual_problem(3)
    for given in (problem, [problem, problem], lambda seed: problem):
        assert AllocationEnv(given, **({"size": 2} if callable(given) else {})).pool.instances[0].problem is problem
    assert AllocationEnv(problem, candidates=3).observation_space.shape == (4, 16)


def test_what_does_not_fit_is_refused(pool):
    network = generate.erdos_renyi(6, 0.5, seed=1)
    nothing = qn.Problem(network.replace(p=1e-9), generate.requests(network, 2, seed=1), objective="log-success")
    for given, words in (
        ([nothing.replace(objective={"kind": "log-success", "serve_reward": 1.0})], "no request with a route"),
        ([3], r"problems\[0\]: found 3, expected a Problem"),
        ([], "no request with a route"),
    ):
        with pytest.raises(ProblemError, match=words):
            AllocationEnv(given)
    for candidates in (0, 2.5, True):
        with pytest.raises(ProblemError, match="candidates: found"):
            AllocationEnv(pool, candidates=candidates)
    for num_envs in (0, -1, 2.5, True, "64"):
        with pytest.raises(ProblemError, match=r"num_envs: found .*, expected an integer at least 1"):
            AllocationVectorEnv(num_envs, pool)
    with pytest.raises(ProblemError, match="size: the pool given says that already"):
        AllocationVectorEnv(2, pool, size=3)
    for number in (5, -1, True, "a"):
        with pytest.raises(ProblemError, match="instance: found"):
            AllocationEnv(pool).reset(options={"instance": number})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: AllocationEnv(5), "problems: found 5, expected some"),
        (lambda: AllocationEnv("geant"), "problems: found 'geant', expected some"),
        (lambda: AllocationEnv(size="a"), "size: found 'a'"),
        (lambda: AllocationEnv(seed=-1), "seed: found -1"),
        (lambda: AllocationEnv(per_request=0), "per_request: found 0"),
        (lambda: AllocationEnv(sizes=3), "sizes: unknown, expected some of size, seed, per_request"),
        (lambda: AllocationEnv().reset(options=["instance"]), "options: found"),
        (lambda: OnlineEnv(5), "streams: found 5, expected some"),
        (lambda: OnlineEnv(size=2.5), "size: found 2.5"),
        (lambda: OnlineEnv(per_request=8), "per_request: unknown, expected some of size, seed"),
        (lambda: StreamPool.of(None), "streams: found None"),
    ],
)
def test_what_makes_no_pool_is_refused(make, words):
    with pytest.raises(ProblemError, match=words):
        make()


@pytest.mark.parametrize("actions", [np.zeros(6, int), np.zeros(2, int), np.zeros(4), np.zeros((4, 1), int), 1, None])
def test_so_many_actions_as_episodes_are_wanted(pool, actions):
    """Compiled code would read on behind the last one."""
    table = AllocationVectorEnv(4, pool)
    table.reset(seed=1)
    before = table.action_masks()
    with pytest.raises(ProblemError, match=r"actions: found .*, expected 4 whole numbers"):
        table.step(actions)
    assert (table.action_masks() == before).all()
    table.step(np.zeros(4, dtype=np.uint8))


@pytest.mark.parametrize("action", [1.0, np.array([1]), np.nan, "1", None])
def test_an_action_is_a_whole_number(pool, action):
    environment = AllocationEnv(pool)
    environment.reset(seed=1)
    with pytest.raises(ProblemError, match="action: found"):
        environment.step(action)
    environment.step(np.array(1))


def test_routes_that_are_not_shown_cannot_be_taken(pool):
    narrow = AllocationVectorEnv(8, pool, candidates=1)
    narrow.reset(seed=2)
    for _ in range(40):
        info = narrow.step(np.full(8, 3))[-1]
        assert info["refused"].all()


def test_seeds_of_stable_baselines_reach_the_episodes(pool):
    from qnroute.learning.routing.stable_baselines import StableBaselinesEnv

    def begun(seed):
        env = StableBaselinesEnv(AllocationVectorEnv(16, pool))
        env.seed(seed)
        return env.reset()

    assert np.array_equal(begun(1), begun(1)) and not np.array_equal(begun(1), begun(2))


def test_maskable_ppo_runs_on_the_batch(pool):
    import sb3_contrib as contrib

    from qnroute.learning.routing.stable_baselines import StableBaselinesEnv

    env = StableBaselinesEnv(AllocationVectorEnv(8, pool), seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = contrib.MaskablePPO("MlpPolicy", env, n_steps=32, batch_size=64, n_epochs=1, seed=0, device="cpu")
        before = [value.clone() for value in model.policy.parameters()]
        model.learn(512)
    assert model.num_timesteps == 512
    assert any((a != b).any() for a, b in zip(before, model.policy.parameters()))
    masks = np.stack(env.env_method("action_masks"))
    actions, _ = model.predict(env.reset(), action_masks=np.stack(env.env_method("action_masks")))
    assert masks.shape == (8, 9) and env.environment.action_masks()[np.arange(8), actions].all()
