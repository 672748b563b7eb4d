"""Online policies: what is credited to decisions, that they learn, and that the same recipe gives the same weights."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from test_online import small

from qnroute.errors import ProblemError
from qnroute.learning.routing import online_recipes
from qnroute.learning.routing.online import FEATURES
from qnroute.learning.routing.online_recipes import (
    IMITATED,
    REFINED,
    OnlineRecipe,
    Streams,
    load_online_policy,
    load_online_recipe,
    trained_online,
)
from qnroute.learning.routing.online_rules import BID_PRICES, FIRST_COME, play
from qnroute.learning.routing.online_training import Held, Imitation, Refinement, credited, refined
from qnroute.learning.routing.policy import RoutePolicy, first_weights, shapes
from qnroute.learning.routing.policy_files import load_policy, save_policy
from qnroute.learning.routing.streams import StreamPool, drawn_stream

TINY = OnlineRecipe(
    Streams(learned=6, held=4, sequences=2, seed=50),
    Imitation(rounds=2, samples=8, epochs=12),
    Refinement(updates=2, sequences=4, episodes=4, every=1),
)


def same(one, other):
    return all(np.array_equal(one.weights[name], other.weights[name]) for name in shapes())


def test_what_followed_is_credited_beside_the_others_that_decided():
    rng = np.random.default_rng(0)
    rewards, decided = rng.normal(size=(6, 5)), rng.random((6, 5)) < 0.7
    found = credited(rewards, decided, 3, 0.8)
    for e in range(6):
        for t in range(5):
            after = [sum(0.8 ** (s - t) * rewards[o, s] for s in range(t, 5)) for o in range(6)]
            others = [after[o] for o in range(6) if o // 3 == e // 3 and decided[o, t]]
            expected = after[e] - sum(others) / len(others) if decided[e, t] else 0.0
            assert found[e, t] == pytest.approx(expected)


def test_a_policy_is_learned_the_same_way_twice(monkeypatch):
    monkeypatch.setattr(online_recipes, "mixed_stream", small)
    told = []
    first, last = trained_online(TINY, doing=told.append)
    assert len(told) == 4 and told[0].startswith("imitation: ") and told[-1].startswith("update 2: ")
    again = trained_online(TINY)
    assert same(first, again[0]) and same(last, again[1])
    pool = StreamPool.of(small, size=12, seed=900)
    held = Held.of(pool, sequences=6, seed=1)
    assert held.served(first) > held.served(FIRST_COME) + 0.03
    scores = last.told["served_of_bound"]
    assert scores["ppo"] >= scores["imitation"] == first.told["served_of_bound"]["imitation"]


def test_refining_serves_more_than_a_policy_that_knows_nothing():
    pool = StreamPool.of(small, size=6, seed=300)
    held = Held.of(pool, sequences=4, seed=2)
    begin = RoutePolicy(first_weights(np.random.default_rng(1), len(FEATURES)), features=FEATURES)
    course = Refinement(updates=12, sequences=6, episodes=8, learning_rate=3e-3, anchor=0.0, every=4)
    better, most = refined(begin, pool, held, course, doing=lambda text: None, interrupted=threading.Event())
    assert most == held.served(better) > held.served(begin) + 0.05


def test_policies_that_come_with_the_package_beat_bid_prices_where_they_never_were():
    streams = [drawn_stream("watts-strogatz", 16, np.random.default_rng(seed), seed) for seed in range(8)]
    pool = StreamPool.of(streams)
    instances = np.repeat(np.arange(8), 2)
    come = pool.arrivals(instances, np.random.default_rng(3))
    prices = play(BID_PRICES, pool.known, instances, come).sum()
    for path in (IMITATED, REFINED):
        assert play(load_online_policy(path), pool.known, instances, come).sum() > 1.02 * prices


def test_files_of_one_game_are_not_taken_for_the_other(tmp_path):
    policy = RoutePolicy(first_weights(np.random.default_rng(0), len(FEATURES)), {"a": 1}, FEATURES)
    save_policy(tmp_path / "one.safetensors", policy)
    again = load_online_policy(tmp_path / "one.safetensors")
    assert same(policy, again) and again.told == {"a": 1} and again.features == FEATURES
    with pytest.raises(ProblemError, match="features: are not those"):
        load_policy(tmp_path / "one.safetensors")
    with pytest.raises(ProblemError, match="features: are not those"):
        load_online_policy(online_recipes.RECIPE.with_name("routing.safetensors"))


def test_recipes_are_read_and_checked(tmp_path):
    assert load_online_policy(REFINED).told["recipe"] == load_online_recipe().to_dict()
    path = tmp_path / "mine.toml"
    path.write_text("[ppo]\nupdates = 3\n")
    assert load_online_recipe(path) == OnlineRecipe(ppo=Refinement(updates=3))
    for text, words in (
        ("[walks]", "walks: expected one of the tables"),
        ("[ppo]\nsteps = 3", "ppo.steps: unknown"),
        ("[ppo]\nupdates = 1.5", "ppo.updates: found 1.5"),
        ("[imitation]\nseed = -1", "imitation.seed: found -1"),
        ("a = ", "is no TOML"),
    ):
        path.write_text(text)
        with pytest.raises(ProblemError, match=words):
            load_online_recipe(path)
