"""Requests that come one by one: the compiled game beside its twin, rules, futures, and what nobody could beat."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from online_twin import Online, Twin

import qnroute as qn
from qnroute import generate
from qnroute.allocation import check, value
from qnroute.errors import ProblemError
from qnroute.learning.routing.demand import Arrivals, Stream
from qnroute.learning.routing.online import FEATURES, OnlineBatch
from qnroute.learning.routing.online_ahead import play_ahead
from qnroute.learning.routing.online_expert import Look, gains, sampled_gains
from qnroute.learning.routing.online_rules import BID_PRICES, FIRST_COME, ROW_PROGRAMS, play, play_resolved
from qnroute.learning.routing.policy import RoutePolicy, first_weights
from qnroute.learning.routing.streams import StreamPool, drawn_stream, mixed_stream


def small(seed, *, count=14, memory=True, pairs=7):
    """A stream on eight nodes with room for some of it."""
    rng = np.random.default_rng(seed)
    limits = {"memory": (2, 5)} if memory and seed % 2 else {}
    network = generate.erdos_renyi(8, 0.35, seed=seed, p=(0.3, 0.95), channels=(1, 3), swap=0.9, **limits)
    asked = [(r.source, r.target) for r in generate.requests(network, pairs, seed=seed, distinct=True)]
    return Stream.of(network, asked, rng.exponential(size=pairs), count=count)


@pytest.fixture(scope="module")
def pool():
    return StreamPool.of([small(seed, count=10 + seed) for seed in range(6)])


def twin(pool, b):
    lot, outlook = pool.lot, pool.outlook
    rows = slice(lot.rows[b], lot.rows[b + 1])
    return Twin(pool.streams[b], outlook.price[rows].tolist(), outlook.used[rows].tolist())


def asked(pool, come, e, b):
    count = pool.demand.count[b]
    return list(zip((come.group[e, :count] - pool.lot.groups[b]).tolist(), come.weight[e, :count].tolist()))


def test_rows_are_worth_what_their_programs_say(pool):
    for b in range(len(pool)):
        other, lot = twin(pool, b), pool.lot
        assert other.unit == pytest.approx(pool.outlook.unit[b])
        assert [other.room[place] for place in other.price] == lot.capacity[lot.rows[b] : lot.rows[b + 1]].tolist()
        for r, place in zip(range(lot.rows[b], lot.rows[b + 1]), other.price):
            for t in range(0, pool.demand.count[b] + 1, 3):
                at = pool.outlook.at[r] + t * (int(lot.capacity[r]) + 1)
                expected = [other.worth(place, t, x) for x in range(int(lot.capacity[r]) + 1)]
                np.testing.assert_allclose(pool.outlook.worth[at : at + len(expected)], expected, rtol=1e-4, atol=1e-6)


def test_bid_prices_are_near_the_best_ones(pool):
    """The bound at these prices is no more than a percent above the linear program's value."""
    from scipy.optimize import linprog

    for b in range(len(pool)):
        other = twin(pool, b)
        places, cost, rows, limit, counts = list(other.room), [], [], [], []
        for rate, items in zip(other.rate, other.pairs):
            for weight in other.weights():
                counts.append((len(cost), len(cost) + len(items), rate * other.count / 5))
                cost += [-weight * item.value for item in items]
                rows += [[item.uses.get(place, 0) for place in places] for item in items]
        limit = [other.room[place] for place in places] + [most for _, _, most in counts]
        one = [[float(first <= j < last) for j in range(len(cost))] for first, last, _ in counts]
        best = -linprog(cost, np.vstack([np.array(rows).T, one]), limit).fun
        bound = other.dual(other.room, other.count)
        assert best * (1 - 1e-9) <= bound <= best * 1.01


@pytest.mark.parametrize("shaped", [True, False])
def test_the_twin_plays_the_same_game(pool, shaped):
    rng = np.random.default_rng(7)
    instances = np.array([0, 1, 2, 3, 4, 5, 1, 4])
    batch = OnlineBatch(pool.known, 8, shaped=shaped)
    others = [twin(pool, b) for b in range(len(pool))]
    for _ in range(2):  # nothing of an episode stays when the next begins
        come = pool.arrivals(instances, rng)
        view = batch.start(np.arange(8), instances, come)
        games = [Online(others[b], asked(pool, come, e, b)) for e, b in enumerate(instances.tolist())]
        done = np.zeros(8, dtype=bool)
        while not done.all():
            for e, game in enumerate(games):
                seen, mask = game.view(batch.state.price[e].tolist(), batch.state.used[e].tolist())
                assert view.mask[e].tolist() == mask
                np.testing.assert_allclose(view.seen[e], seen, rtol=2e-3, atol=2e-4)
            actions = rng.integers(0, 10, 8)
            expected = [(0.0, False) if game.over else game.act(a, shaped) for game, a in zip(games, actions.tolist())]
            step = batch.step(actions)
            np.testing.assert_allclose(step.reward, [reward for reward, _ in expected], atol=1e-4)
            assert step.refused.tolist() == [refused for _, refused in expected]
            done = step.done.copy()
            assert done.tolist() == [game.over for game in games]
        np.testing.assert_allclose(batch.state.worth, [game.had for game in games])


def test_nobody_serves_more_than_hindsight(pool):
    """Of few requests every choice is tried; `exact` on the sequence finds the same."""
    instances = np.arange(6)
    come = Arrivals(*(part[:, :3] for part in pool.arrivals(instances, np.random.default_rng(1))))
    for e, b in enumerate(instances.tolist()):
        other = twin(pool, b)
        requests = asked(pool, come, e, b)[:3]
        best = 0.0
        for choice in itertools.product(*([None, *other.pairs[k]] for k, _ in requests)):
            some = [(item, weight) for item, (_, weight) in zip(choice, requests) if item is not None]
            used = {place: sum(item.uses.get(place, 0) for item, _ in some) for place in other.room}
            if all(used[place] <= room for place, room in other.room.items()):
                best = max(best, sum(weight * item.value for item, weight in some))
        problem = pool.streams[b].problem(*(part[e] - first for part, first in zip(come, (pool.lot.groups[b], 0))))
        assert qn.solve(problem, "exact").objective == pytest.approx(best)


def test_rules_keep_below_the_bound_and_those_that_look_ahead_serve_more():
    pool = StreamPool.of(mixed_stream, size=6, seed=77)
    instances = np.repeat(np.arange(6), 3)
    come = pool.arrivals(instances, np.random.default_rng(0))
    bound = pool.bounds(instances, come)
    share = [(play(rule, pool.known, instances, come) / bound) for rule in (FIRST_COME, BID_PRICES, ROW_PROGRAMS)]
    share.append(play_resolved(pool.known, instances, come, rounds=20) / bound)
    assert all((part <= 1.0).all() for part in share)
    first, priced, programs, resolved = (float(part.mean()) for part in share)
    assert first + 0.15 < priced < programs and priced < resolved
    assert programs > 0.85


def test_what_was_taken_is_an_allocation_of_the_sequence():
    """Of streams of few pairs, too, so that places are there that one route alone wants, again and again."""
    streams = [small(seed, count=10 + seed) for seed in range(6)]
    streams += [small(seed, count=30, pairs=1 + seed % 3) for seed in range(6, 18)]
    pool = StreamPool.of(streams)
    instances = np.arange(len(pool))
    come = pool.arrivals(instances, np.random.default_rng(5))
    batch = OnlineBatch(pool.known, len(pool))
    view = batch.start(instances, instances, come)
    while view.mask[:, 1:].any():
        batch.step(FIRST_COME.scores(view.seen, view.mask).argmax(axis=1))
    for b in instances.tolist():
        count, first = pool.demand.count[b], pool.lot.groups[b]
        problem = pool.streams[b].problem(come.group[b, :count] - first, come.weight[b, :count])
        found = pool.streams[b].allocation(problem, come.group[b, :count] - first, batch.state.taken[b, :count])
        check(problem, found)
        assert value(problem, found) == pytest.approx(batch.state.worth[b])
    assert (batch.state.worth <= pool.bounds(instances, come) * (1 + 1e-9)).all()


def test_a_link_is_not_taken_more_often_than_it_can_be():
    """Nobody but one pair asks for it: worth of the first three of ten requests, all alike but for their weights."""
    graph = nx.Graph([("a", "b", {"p": 0.9, "fidelity": 0.95, "channels": 3})])
    pool = StreamPool.of(Stream.of(qn.Network.from_networkx(graph), [("a", "b")], [1.0], count=10))
    come = pool.arrivals(np.arange(1), np.random.default_rng(0))
    assert pool.lot.capacity.tolist() == [3.0]
    assert play(FIRST_COME, pool.known, np.arange(1), come)[0] == pytest.approx(0.9 * come.weight[0, :3].sum())


def test_sequences_follow_the_demand():
    stream = small(3, count=4000)
    pool = StreamPool.of(stream)
    come = pool.arrivals(np.zeros(1, np.int64), np.random.default_rng(2))
    share = np.bincount(come.group[0], minlength=len(stream.demand.rate)) / 4000
    np.testing.assert_allclose(share, stream.demand.rate, atol=0.03)
    assert come.weight.min() >= 0.5 and come.weight.max() <= 2.0 and abs(come.weight.mean() - 1.25) < 0.03
    again = pool.arrivals(np.zeros(1, np.int64), np.random.default_rng(2))
    assert (again.group == come.group).all() and (again.weight == come.weight).all()


def test_gains_in_sampled_futures_are_those_of_a_twin(pool):
    """The futures drawn again, and the row programs played on by the twin."""
    instances, rng = np.arange(6), np.random.default_rng(4)
    come = pool.arrivals(instances, rng)
    batch = OnlineBatch(pool.known, 6)
    view = batch.start(instances, instances, come)
    for _ in range(3):
        batch.step(ROW_PROGRAMS.scores(view.seen, view.mask).argmax(axis=1))
    here = np.flatnonzero(view.mask[:, 1:].any(axis=1))
    found = gains(batch, here, np.random.default_rng(8), Look(samples=3, tried=2))
    chance, level = np.random.default_rng(8).random((2, 3, int(pool.demand.count.max())))
    assert (np.isnan(found) == ~view.mask[here]).all() and len(here) > 3
    for n, e in enumerate(here.tolist()):
        other, requests = twin(pool, e), asked(pool, come, e, e)
        place = int(batch.state.place[e])
        reach = np.cumsum(other.rate)
        by_net = sorted(np.flatnonzero(view.mask[e, 1:]) + 1, key=lambda a: -view.seen[e, a, 8])[:2]
        for action in by_net:
            total = 0.0
            for s in range(3):
                t = len(requests) - place - 1
                group = np.minimum(np.searchsorted(reach, chance[s, :t], side="right"), len(reach) - 1).tolist()
                weight = (other.low + (other.high - other.low) * level[s, :t]).tolist()
                future = list(zip(group, weight))
                with_it, without = (
                    continued(other, requests[place], a, future, batch.state.left[e]) for a in (action, 0)
                )
                total += (with_it - without) / other.unit / 3
            assert found[n, action] == pytest.approx(total, abs=2e-3)


def test_looking_ahead_is_better_than_what_it_goes_on_by_however_bad_the_policy(pool):
    """Of a policy that is not trusted only the order stays, and all candidates are tried."""
    instances = np.repeat(np.arange(6), 10)
    come = pool.arrivals(instances, np.random.default_rng(6))
    bad = RoutePolicy(first_weights(np.random.default_rng(1), len(FEATURES)), {}, FEATURES)
    ahead = play_ahead(bad, pool.known, instances, come, look=Look(samples=100, tried=8))
    by_programs, alone = (play(rule, pool.known, instances, come) for rule in (ROW_PROGRAMS, bad))
    assert ahead.mean() > by_programs.mean() > alone.mean()
    assert (ahead <= pool.bounds(instances, come) * (1 + 1e-9)).all()


def test_a_policy_trusted_above_all_is_followed(pool):
    instances = np.arange(6)
    come = pool.arrivals(instances, np.random.default_rng(7))
    policy = RoutePolicy(first_weights(np.random.default_rng(2), len(FEATURES)), {}, FEATURES)
    followed = play_ahead(policy, pool.known, instances, come, look=Look(samples=2, tried=1, trust=1e9))
    np.testing.assert_array_equal(followed, play(policy, pool.known, instances, come))
    again = [play_ahead(policy, pool.known, instances, come, look=Look(samples=2), seed=3) for _ in range(2)]
    np.testing.assert_array_equal(*again)


def continued(other, request, action, future, left):
    """The worth of an action and of what the row programs make of the future."""
    game = Online(other, [request, *future])
    game.left = dict(zip(other.price, left.tolist()))
    game.act(action, False)
    while not game.over:
        nets = [game.asked[game.at][1] * item.value - sum(game.lost(item).values()) if game.possible(at) else -1.0
                for at, item in enumerate(game.items, 1)]  # fmt: skip
        game.act(int(np.argmax([0.0, *nets])), False)
    return game.had


def test_streams_that_make_no_sense_are_refused():
    network = generate.grid(2, 3, p=0.5)
    a, b = network.node_ids[:2]
    for change, words in (
        ({"rate": [1.0, 2.0]}, "rate: expected 1 numbers"),
        ({"rate": [0.0]}, "rate"),
        ({"count": 0}, "count: found 0"),
        ({"weight": (2.0, 1.0)}, "weight: found"),
        ({"weight": (1.0,)}, "weight: found"),
        ({"weight": 1.0}, "weight: found"),
        ({"weight": ("a", "b")}, "weight: found"),
        ({"rate": ["a"]}, "rate: expected 1 numbers"),
        ({"count": 10**10}, "count: found 10000000000"),
        ({"count": True}, "count: found True"),
        ({"pairs": [3]}, r"pairs\[0\]: found 3, expected two nodes"),
        ({"pairs": [(a, b, 3)]}, r"pairs\[0\]: found .*, expected two nodes"),
        ({"pairs": ["ab"]}, r"pairs\[0\]: found 'ab', expected two nodes"),
    ):
        with pytest.raises(ProblemError, match=words):
            Stream.of(network, **{"pairs": [(a, b)], "rate": [1.0], "count": 3, **change})
    long = Stream.of(network.replace(channels=100_000), [(a, b)], [1.0], count=1_000_000)
    with pytest.raises(ProblemError, match=r"count: 1000000 requests by .* worths, expected"):
        StreamPool.of(long)
    huge = Stream.of(network, [(a, b), (b, a)], [1e308, 1e308], count=np.int64(3))
    assert huge.demand.rate.tolist() == [0.5, 0.5]
    with pytest.raises(ProblemError, match="expected a Stream"):
        StreamPool.of([network])
    with pytest.raises(ProblemError, match="found none"):
        StreamPool.of([])


@pytest.mark.parametrize("change", [{"samples": 0}, {"tried": 0}, {"trust": -1.0}, {"trust": np.inf}, {"sure": 0.0}])
def test_a_look_ahead_that_shows_nothing_is_refused(pool, change):
    policy = RoutePolicy(first_weights(np.random.default_rng(2), len(FEATURES)), {}, FEATURES)
    come = pool.arrivals(np.arange(2), np.random.default_rng(7))
    with pytest.raises(ProblemError, match="look"):
        play_ahead(policy, pool.known, np.arange(2), come, look=Look()._replace(**change))
    with pytest.raises(ProblemError, match="policy: sees other features"):
        play_ahead(RoutePolicy(first_weights(np.random.default_rng(2))), pool.known, np.arange(2), come)


def test_futures_end_early_where_the_best_choice_is_clear_and_it_stays_the_best():
    """The few that are played are the first of all."""
    pool = StreamPool.of(mixed_stream, size=6, seed=55)
    every = np.arange(6)
    batch = OnlineBatch(pool.known, 6)
    view = batch.start(every, every, pool.arrivals(every, np.random.default_rng(7)))
    guess, same, counts = np.zeros(view.mask.shape), [], []
    for _ in range(12):
        assert view.mask[:, 1:].any(axis=1).all()
        all_, early = (
            sampled_gains(batch, every, np.random.default_rng(3), guess, Look(400, sure=sure)) for sure in (np.inf, 3.0)
        )
        same += (np.nanargmax(all_[0], axis=1) == np.nanargmax(early[0], axis=1)).tolist()
        counts += early[1].tolist()
        assert (all_[1] == 400).all()
        batch.step(ROW_PROGRAMS.scores(view.seen, view.mask).argmax(axis=1))
    assert np.mean(same) > 0.95 and 16 <= min(counts) and np.mean(counts) < 200


@pytest.mark.parametrize("nodes", [3, 4])
def test_small_networks_have_no_more_pairs_than_there_are(nodes):
    stream = drawn_stream("waxman", nodes, np.random.default_rng(1), 1)
    assert len(stream.demand.rate) <= nodes * (nodes - 1) // 2


def test_drawn_streams_ask_for_more_than_there_is():
    stream = drawn_stream("waxman", 16, np.random.default_rng(0), 5)
    lot, demand = stream.instance.lot, stream.demand
    carried = stream.instance.problem.network.channels.sum() / (demand.rate @ lot.facts[lot.first[:-1], 2])
    assert 1.3 < demand.count[0] / carried < 2.7 and len(FEATURES) == 23
