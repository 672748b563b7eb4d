"""Online policies: that they learn, by recipes like those of the others, and that the weights are the same again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hostile import refused, untouched
from test_online import small

from qnroute.cli import run
from qnroute.errors import ProblemError
from qnroute.learning.routing import imitation, online_recipes, ppo
from qnroute.learning.routing.online import FEATURES
from qnroute.learning.routing.online_expert import Look
from qnroute.learning.routing.online_recipes import (
    BUILT_IN,
    SMOKE,
    OnlineRecipe,
    Streams,
    load_online_policy,
    load_online_recipe,
)
from qnroute.learning.routing.online_rules import BID_PRICES, FIRST_COME, play
from qnroute.learning.routing.online_training import Held, OneByOne
from qnroute.learning.routing.policy import RoutePolicy, first_weights, shapes
from qnroute.learning.routing.policy_files import load_policy, save_policy
from qnroute.learning.routing.recipes import trained
from qnroute.learning.routing.streams import StreamPool, drawn_stream
from qnroute.simulation.school_recipes import SchoolRecipe, load_school_recipe

TINY = OnlineRecipe(
    Streams(learned=6, held=4, samples=8, seed=50),
    imitation=imitation.Course(rounds=2, epochs=12, expert=0.0),
    ppo=ppo.Course(updates=2, instances=4, episodes=4, every=1),
)


def same(one, other):
    return all(np.array_equal(one.weights[name], other.weights[name]) for name in shapes())


@pytest.fixture(scope="module")
def pool():
    return StreamPool.of(small, size=6, seed=300)


@pytest.fixture(scope="module")
def held(pool):
    return Held.of(pool, sequences=4, seed=2)


def begun():
    return RoutePolicy(first_weights(np.random.default_rng(1), len(FEATURES)), features=FEATURES)


def test_a_policy_is_learned_the_same_way_twice_and_from_any_snapshot(monkeypatch):
    monkeypatch.setattr(online_recipes, "mixed_stream", small)
    told, kept = [], []
    policy = trained(TINY, doing=told.append, keep=kept.append)
    assert [type(found) for found in told] == [str, *[imitation.Round] * 2, *[ppo.Update] * 2]
    assert policy.told["recipe"] == TINY.to_dict() and policy.features == FEATURES
    assert policy.told["served"]["ppo"] >= policy.told["served"]["imitation"] == max(x.served for x in told[1:3])
    assert 0.0 < told[3].value < 1.0
    for snapshot in (None, kept[0], kept[2]):
        again = trained(TINY, resumed=snapshot)
        assert same(again, policy) and again.told == policy.told
    other = Held.of(StreamPool.of(small, size=12, seed=900), sequences=6, seed=1)
    assert other.served(policy) > other.served(FIRST_COME) + 0.03


def test_what_followed_is_credited_beside_the_others_on_the_same_sequence(pool, held):
    found = OneByOne(pool, held, discount=1.0, instances=3, episodes=4).experienced(begun(), np.random.default_rng(0))
    assert len(set(found.group)) == 3 and all((found.group == group).sum() == 4 for group in found.group)
    first = np.array([np.flatnonzero(found.episode == e)[0] for e in range(12)])
    total = np.bincount(found.episode, found.reward)
    apart = total - np.array([total[found.group == group].mean() for group in found.group])
    for group in found.group:  # they begin alike, and with all that they bring
        assert len(np.unique(found.seen[first[found.group == group]], axis=0)) == 1
    scale = np.linalg.norm(apart) / np.linalg.norm(found.advantage[first])
    np.testing.assert_allclose(scale * found.advantage[first], apart, rtol=1e-4, atol=1e-6)
    assert np.sqrt(np.mean(found.advantage**2)) == pytest.approx(1.0, rel=1e-5)


def test_what_is_imitated_is_best_where_gains_over_the_heat_are_log_odds(pool, held):
    taught = OneByOne(pool, held, heat=0.5)
    gain = torch.tensor([[0.0, 0.3, -0.2]])
    best = taught.loss(gain / 0.5, gain)
    assert float(best) == pytest.approx(-0.5 * float(torch.logsumexp(gain / 0.5, -1)))
    for nudge in torch.eye(3):
        assert taught.loss(gain / 0.5 + 0.1 * nudge, gain) > best < taught.loss(gain / 0.5 - 0.1 * nudge, gain)


def test_labels_are_gains_of_what_is_possible(pool, held):
    seen, mask, label = OneByOne(pool, held, look=Look(samples=4)).visited(begun(), 0.5, np.random.default_rng(0))
    assert seen.shape == (*mask.shape, len(FEATURES)) and label.dtype == np.float32
    assert (label[~mask] == 0.0).all() and (label[:, 0] == 0.0).all() and mask[:, 1:].any(axis=1).all()
    assert 0.1 < (label[:, 1:][mask[:, 1:]] > 0.0).mean() < 0.9  # some are worth more than waiting, some less


def test_refining_serves_more_than_a_policy_that_knows_nothing(pool, held):
    course = ppo.Course(updates=12, instances=6, episodes=8, learning_rate=3e-3, anchor=0.0, every=4)
    taught = OneByOne(pool, held, instances=6, episodes=8)
    better, most, _ = ppo.refined(begun(), taught.experienced, taught.measured, course)
    assert most == held.served(better) > held.served(begun()) + 0.05


def test_the_policy_that_comes_with_the_package_beats_bid_prices_where_it_never_was():
    streams = [drawn_stream("watts-strogatz", 16, np.random.default_rng(seed), seed) for seed in range(8)]
    pool = StreamPool.of(streams)
    instances = np.repeat(np.arange(8), 2)
    come = pool.arrivals(instances, np.random.default_rng(3))
    prices = play(BID_PRICES, pool.known, instances, come).sum()
    assert play(load_online_policy(), pool.known, instances, come).sum() > 1.02 * prices


def test_files_of_one_game_are_not_taken_for_the_other(tmp_path):
    policy = RoutePolicy(first_weights(np.random.default_rng(0), len(FEATURES)), {"a": 1}, FEATURES)
    save_policy(tmp_path / "one.safetensors", policy)
    again = load_online_policy(tmp_path / "one.safetensors")
    assert same(policy, again) and again.told == {"a": 1} and again.features == FEATURES
    with pytest.raises(ProblemError, match="features: are not those"):
        load_policy(tmp_path / "one.safetensors")
    with pytest.raises(ProblemError, match="features: are not those"):
        load_online_policy(BUILT_IN.with_name("routing.safetensors"))


# --- recipes and the command ---


def test_recipes_are_read_and_checked(tmp_path):
    told = load_online_policy().told
    assert told["recipe"] == load_online_recipe().to_dict()
    assert 0.9 < told["served"]["imitation"] <= told["served"]["ppo"] < 1.0
    path = tmp_path / "mine.toml"
    path.write_text("[ppo]\nupdates = 3\n[streams]\nheat = 1\n")
    assert load_online_recipe(path) == OnlineRecipe(Streams(heat=1), ppo=ppo.Course(updates=3))
    path.write_text("[problems]\nheld = 3\n")
    with pytest.raises(ProblemError, match="problems: unknown, expected some of streams, imitation, ppo"):
        load_online_recipe(path)


@pytest.mark.parametrize(("kind", "load"), [(OnlineRecipe, load_online_recipe), (SchoolRecipe, load_school_recipe)])
def test_a_critic_is_refused_where_advantages_need_none(kind, load, tmp_path):
    words = r"ppo\.critic: found 0\.001, expected 0"
    path = tmp_path / "mine.toml"
    path.write_text("[ppo]\ncritic = 1e-3\n")
    with pytest.raises(ProblemError, match=rf"mine\.toml: {words}"):
        load(path)
    with pytest.raises(ProblemError, match=words):
        kind(ppo=ppo.Course(critic=1e-3))


def test_experience_with_advantages_and_a_critic_is_refused(pool, held):
    taught = OneByOne(pool, held, instances=2, episodes=2)
    with pytest.raises(ProblemError, match=r"ppo\.critic: found 0\.001, expected 0"):
        ppo.refined(begun(), taught.experienced, taught.measured, ppo.Course(critic=1e-3))


@pytest.mark.parametrize(("what", "unit"), [("online", "of the bound"), ("time", "of what is asked")])
def test_policies_of_other_kinds_are_trained_by_command(what, unit, tmp_path, capsys, monkeypatch):
    out = tmp_path / "p.safetensors"
    if what == "online":
        monkeypatch.setattr(online_recipes, "mixed_stream", small)
        recipe = ["--smoke"]
    else:
        (tmp_path / "r.toml").write_text(
            "[runs]\nlearned = 2\nheld = 1\nslots = 40\n[imitation]\nrounds = 1\nepochs = 1\n"
            "[ppo]\nupdates = 1\ninstances = 1\nepisodes = 2\n"
        )
        recipe = ["--recipe", str(tmp_path / "r.toml")]
    assert run(["train", "ppo", "--for", what, *recipe, "--out", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith("imitation: ") and said[1].endswith(f"% {unit}")
    assert said[-2].startswith("update ") and f"% {unit}, held apart " in said[-2]
    assert said[-1].startswith(f"held apart, share {unit}: ")
    if what == "online":
        assert load_online_policy(out).told["recipe"] == SMOKE.to_dict()
    with untouched(tmp_path):
        refused(capsys, ["train", "ppo", "--for", "slots", "--out", out], "--for: found 'slots', expected one of slot")
