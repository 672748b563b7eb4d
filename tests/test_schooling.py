"""Learning to choose within slots: what is gathered, what is imitated, and that training repeats itself."""

from __future__ import annotations

import numpy as np
import pytest

from qnroute.learning.routing import imitation, ppo
from qnroute.learning.routing.advantages import above_others
from qnroute.learning.routing.policy import RoutePolicy, first_weights
from qnroute.learning.routing.recipes import trained
from qnroute.simulation.desk import FEATURES
from qnroute.simulation.school_recipes import Runs, SchoolRecipe, drawn
from qnroute.simulation.schooling import School, taught_chances

SMALL = SchoolRecipe(
    Runs(learned=3, held=1, slots=60),
    imitation=imitation.Course(rounds=2, epochs=1),
    ppo=ppo.Course(updates=3, instances=2, episodes=2, epochs=1, batch=64, every=1),
)


@pytest.fixture(scope="module")
def lessons():
    return [drawn(9_000_000 + i) for i in range(3)]


def made(seed=0):
    return RoutePolicy(first_weights(np.random.default_rng(seed), len(FEATURES)), {}, FEATURES)


def test_what_follows_counts_above_the_others_of_the_group():
    rng = np.random.default_rng(0)
    rewards, group = rng.random((5, 7)), np.array([4, 4, 9, 9, 9])
    found = above_others(rewards, group, 0.8)
    for e in range(5):
        for t in range(7):
            follows = [sum(0.8 ** (u - t) * row[u] for u in range(t, 7)) for row in rewards]
            mates = [follows[i] for i in range(5) if group[i] == group[e]]
            assert found[e, t] == pytest.approx(follows[e] - sum(mates) / len(mates))


def test_what_is_gathered_does_not_depend_on_the_workers(lessons):
    found = []
    for workers in (1, 3):
        school = School(lessons, lessons[:1], slots=80, instances=2, episodes=3, workers=workers)
        steps = school.experienced(made(), np.random.default_rng(5))
        found.append(steps)
        n, episodes = len(steps.action), len(steps.group)
        assert steps.seen.shape == (n, 9, len(FEATURES)) and episodes == 6 and n > 50
        assert steps.mask[np.arange(n), steps.action].all() and (steps.mask.sum(axis=1) > 1).all()
        assert steps.episode.max() == 5 and (np.diff(steps.episode) >= 0).all()
        assert np.sqrt(np.mean(steps.advantage**2)) == pytest.approx(1.0, rel=1e-4)
        assert 0.0 < steps.value < 1.0
        scores = made().scores(steps.seen, steps.mask)
        logs = scores - np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1, keepdims=True))
        logs -= scores.max(1, keepdims=True)
        assert steps.log_chance == pytest.approx(logs[np.arange(n), steps.action], abs=1e-3)
    assert all(np.array_equal(a, b) for a, b in zip(*(steps[:7] for steps in found)))


def test_the_teacher_s_chances_rank_candidates_by_what_they_gain(lessons):
    states = School(lessons, lessons[:1], slots=80).visited(made(), 1.0, np.random.default_rng(1))
    chance = states.label
    assert chance.sum(axis=1) == pytest.approx(1.0, abs=1e-5) and (chance[~states.mask] == 0.0).all()
    at = {name: i for i, name in enumerate(FEATURES)}
    gain = states.seen[..., at["gain"]] + 0.6 * states.seen[..., at["others"]] * states.seen[..., at["holding"]]
    gain = np.where(states.mask, gain, -np.inf)
    gain[:, 0] = 0.0
    assert (gain[np.arange(len(gain)), chance.argmax(axis=1)] >= gain.max(axis=1) - 1e-6).mean() > 0.99
    sharper = taught_chances(states.seen, states.mask, 0.001).max(axis=1)
    assert sharper.mean() > chance.max(axis=1).mean()


def test_the_same_recipe_gives_the_same_weights_and_goes_on_where_it_was():
    kept = []
    through = trained(SMALL, keep=kept.append)
    again = trained(SMALL)
    assert through.features == FEATURES and set(through.told["served"]) == {"imitation", "ppo"}
    assert through.told["served"]["ppo"] >= through.told["served"]["imitation"]
    assert all(np.array_equal(through.weights[name], again.weights[name]) for name in through.weights)
    for snapshot in (kept[1], kept[3]):  # after imitation's last round, and amid PPO
        last = []
        resumed = trained(SMALL, resumed=snapshot, keep=last.append)
        assert all(np.array_equal(through.weights[name], resumed.weights[name]) for name in through.weights)
        assert all(np.array_equal(kept[-1].arrays[name], last[-1].arrays[name]) for name in kept[-1].arrays)


def test_problems_of_training_are_not_those_of_the_benchmark():
    from qnroute.benchmark.learned_time import SEED

    runs = Runs()
    assert not runs.seed - 1000 <= SEED <= runs.seed + runs.learned + runs.held
