"""Route choice as a compiled game: step by step as its plain twin, and true to what it says of itself."""

from __future__ import annotations

import random

import numpy as np
import oracle
import pytest
from helpers import problem_of
from routing_twin import Choice, Game

import qnroute as qn
from qnroute import generate
from qnroute.allocation import check, value
from qnroute.learning.routing.batch import Batch
from qnroute.learning.routing.episodes import FEATURES, WAIT, act, plan_of
from qnroute.models.lots import instance_of, together
from qnroute.solvers.prices import Prices, prices_of


def document(rng, **more):
    """A crowded small problem of some kind."""
    return oracle.random_problem(rng, **{"max_links": 12, "max_requests": 6, "max_total_routes": 12, **more})


def network_problem(seed):
    """Sixteen nodes with room for some of what is asked for."""
    limits = [{"memory": (2, 5)}, {"channels": (1, 3), "memory": 6}, {"channels": (1, 2)}][seed % 3]
    network = generate.waxman(16, 0.5, 0.4, seed=seed, p=(0.3, 0.95), fidelity=(0.9, 0.99), swap=0.95, **limits)
    asked = generate.requests(network, 7, seed=seed, weight=(0.5, 2.0), routes=(1, 3), min_fidelity=(0.4, 0.8))
    kind = ["expected-pairs", qn.Objective("log-success", 4.0)][seed % 2]
    return qn.Problem(network, asked, objective=kind, rules={"degree": 3} if seed % 4 == 0 else None)


def problems(name, small, large=0):
    rng = random.Random(name)
    return [problem_of(document(rng)) for _ in range(small)] + [network_problem(seed) for seed in range(large)]


class Table:
    """Problems as one lot, with a batch of episodes, and the twin's choice of each."""

    def __init__(self, found, *, rounds=60, episodes=None, **more):
        self.instances = [instance_of(problem) for problem in found]
        self.lot = together([instance.lot for instance in self.instances])
        self.prices = prices_of(self.lot, rounds=rounds)
        self.plan = plan_of(self.lot, self.prices)
        self.episodes = len(found) if episodes is None else episodes
        self.batch = Batch(self.lot, self.plan, self.episodes, **more)

    def choice(self, b):
        lot = self.lot
        price = self.prices.price[lot.rows[b] : lot.rows[b + 1]]
        chosen = self.prices.chosen[lot.items[b] : lot.items[b + 1]]
        return Choice(self.instances[b].problem).price(price.tolist(), chosen.tolist())

    def start(self, instances=None):
        """One episode on each of these instances, and the promises it starts with."""
        instances = np.arange(self.episodes) if instances is None else np.asarray(instances)
        self.batch.start(np.arange(self.episodes), instances)
        return self.batch.state.promise.copy()

    def allocation(self, e):
        b = self.batch.state.instance[e]
        return self.instances[b].allocation(self.batch.state.taken[e, : np.diff(self.lot.items)[b]])

    def play(self, rng, *, more=0):
        """Random actions to the end; the sum of the rewards of each episode."""
        total, done = np.zeros(self.episodes), np.zeros(self.episodes, dtype=bool)
        while not done.all():
            step = self.batch.step(rng.integers(0, self.batch.view.mask.shape[1] + more, self.episodes))
            total, done = total + step.reward, step.done.copy()
        return total


def test_the_problems_are_of_several_kinds():
    """Else the tests below would say less than they seem to."""
    found = problems("twin", 45, 15)
    choices = [Choice(problem) for problem in found]
    asked = [request for problem in found for request in problem.requests]
    assert sum(len(choice.groups) < len(choice.problem.requests) for choice in choices) > 10
    assert sum(not choice.items for choice in choices) > 1
    assert sum(max(choice.most, default=0) > 1 for choice in choices) > 20
    assert {place[0] for choice in choices for place in choice.room} == {"channels", "memory", "degree"}
    assert {2} <= {amount for choice in choices for item in choice.items for amount in item.uses.values()}
    assert sum(max(map(len, choice.groups), default=0) > 8 for choice in choices) > 2
    assert {problem.objective.kind for problem in found} == {"expected-pairs", "log-success", "link-sum"}
    assert sum(request.min_fidelity > 0.5 for request in asked) > 30
    assert sum((problem.network.channels > 1).any() for problem in found) > 20


@pytest.mark.parametrize(("shaped", "rounds", "shown"), [(True, 60, 8), (False, 4, 3)])
def test_the_twin_plays_the_same_game(shaped, rounds, shown):
    """Twice over, on other instances the second time: nothing of an episode stays when the next begins."""
    table = Table(problems("twin", 45, 15), rounds=rounds, candidates=shown, shaped=shaped)
    choices = [table.choice(b) for b in range(table.episodes)]
    rng, steps, seen = random.Random(rounds), 0, []
    for turn in range(2):
        instances = rng.sample(range(len(choices)), len(choices))
        games = [Game(choices[b]) for b in instances]
        table.start(instances)
        state, view = table.batch.state, table.batch.view
        for step in range(1000):
            for e, game in enumerate(games):
                features, mask = game.view(shown)
                assert view.mask[e].tolist() == mask
                np.testing.assert_allclose(view.seen[e], features, rtol=0.0, atol=1e-6)
                assert state.promise[e] == pytest.approx(game.promise, abs=1e-9)
                assert state.worth[e] == pytest.approx(game.worth, abs=1e-9)
                seen += view.seen[e][mask].tolist()
            if all(game.over for game in games) or (turn == 0 and step == 5):
                break
            likely = [[a for a in range(shown + 1) if row[a]] for row in view.mask.tolist()]
            actions = [rng.choice(some) if rng.random() < 0.7 else rng.randint(-3, shown + 3) for some in likely]
            steps += sum(not game.over for game in games)
            expected = [game.act(action, shaped, shown) for game, action in zip(games, actions)]
            came = table.batch.step(np.array(actions))
            assert came.reward.tolist() == pytest.approx([reward for reward, _, _ in expected], abs=1e-9)
            assert came.done.tolist() == [done for _, done, _ in expected]
            assert came.refused.tolist() == [refused for _, _, refused in expected]
        assert turn == 0 or all(game.over for game in games)
    assert steps > 300 and len(seen[0]) == len(FEATURES)
    assert (np.ptp(np.array(seen), axis=0) > 0.0).all()  # every feature tells some candidates from others


def test_what_was_taken_is_an_allocation_at_every_step():
    table, rng = Table(problems("taken", 20, 6)), np.random.default_rng(1)
    for _ in range(3):
        table.start()
        for _ in range(12):
            table.batch.step(rng.integers(-1, 10, table.episodes))
            for e, instance in enumerate(table.instances):
                allocation = table.allocation(e)
                check(instance.problem, allocation)
                assert value(instance.problem, allocation) == pytest.approx(table.batch.state.worth[e], abs=1e-9)
    assert table.batch.state.worth.sum() > 10.0


@pytest.mark.parametrize("shaped", [True, False])
def test_rewards_add_up_to_what_was_won(shaped):
    table = Table(problems("rewards", 30, 6), shaped=shaped)
    promised = table.start()
    total = table.play(np.random.default_rng(2), more=2)
    worth, unit = table.batch.state.worth, table.lot.unit
    assert worth.max() > 1.0 and (promised > worth + 1e-3).any()
    assert total == pytest.approx((worth - promised * shaped) / unit, abs=1e-9)
    assert (table.batch.state.promise == 0.0).all()


def test_promises_are_never_below_what_the_best_continuation_brings():
    rng, near, far = random.Random("promise"), 0, 0
    for number in range(60):
        limits = {"max_requests": 3, "max_total_routes": 5, "max_links": 8}
        problem = problem_of(document(rng, **limits))
        table = Table([problem], rounds=rng.choice((1, 5, 200)))
        table.start()
        game, actions = Game(table.choice(0)), random.Random(number)
        while not game.over:
            best, promise = game.best() - game.worth, table.batch.state.promise[0]
            assert promise >= best - 1e-9
            near, far = near + (promise < best + 1e-6), far + (promise > 1.01 * best)
            action = actions.choice([a for a in range(len(game.group) + 1) if game.possible(a)])
            game.act(action, True)
            table.batch.step([action])
    assert near > 20 and far > 5


def test_the_best_play_is_the_optimum():
    """Nothing that a problem allows is out of reach of the game."""
    rng, won = random.Random("best play"), []
    for _ in range(60):
        drawn = document(rng, max_requests=4, max_total_routes=5, max_links=8)
        problem = problem_of(drawn)
        choice = Choice(problem, per_request=100)
        choice.price([0.0] * len(choice.room), [rng.random() for _ in choice.items])
        won.append(Game(choice).best())
        assert won[-1] == pytest.approx(oracle.optimum(drawn)[0], abs=1e-9)
    assert np.count_nonzero(won) > 40


def copied(batch):
    return [np.array(part) for part in (*batch.view, *batch.last)]


def same(some, others):
    return all(np.array_equal(one, other) for one, other in zip(some, others, strict=True))


def test_instances_together_and_episodes_side_by_side_behave_as_each_alone():
    found = problems("side by side", 10, 4)
    instances = np.random.default_rng(3).integers(0, len(found), 40)
    table, alone = Table(found, episodes=40), [Table([problem]) for problem in found]
    table.start(instances)
    actions = np.random.default_rng(4).integers(0, 9, (50, 40))
    history = [copied(table.batch)]
    for row in actions:
        table.batch.step(row)
        history.append(copied(table.batch))
    assert history[-1][3].all() and not history[3][3].all()
    for e, b in enumerate(instances):
        alone[b].start()
        for step, all_of_them in enumerate(history):
            mine = [part[e] for part in all_of_them]
            if step:
                alone[b].batch.step(actions[step - 1, e : e + 1])
                assert same(mine[2:], [part[0] for part in alone[b].batch.last])
            assert same(mine[:2], [part[0] for part in alone[b].batch.view])
        assert table.batch.state.worth[e] == alone[b].batch.state.worth[0]
        assert table.batch.state.steps[e] == alone[b].batch.state.steps[0]
        assert table.allocation(e) == alone[b].allocation(0)


def test_some_episodes_begin_anew_while_others_go_on():
    table, untouched = (Table(problems("anew", 6, 6)) for _ in range(2))
    for each in (table, untouched):
        each.start()
        each.batch.step(np.ones(each.episodes))
    table.batch.start(np.array([11, 4]), np.array([7, 11]))
    fresh = Table(problems("anew", 6, 6))
    fresh.start()
    for e in range(12):
        other, b = (fresh, {11: 7, 4: 11}[e]) if e in (4, 11) else (untouched, e)
        assert same([part[e] for part in table.batch.view], [part[b] for part in other.batch.view])
        assert table.batch.state.worth[e] == other.batch.state.worth[b]
        assert table.batch.state.steps[e] == other.batch.state.steps[b]


@pytest.mark.parametrize("shaped", [True, False])
def test_an_episode_that_is_over_stays_over(shaped):
    table = Table(problems("over", 8, 4), shaped=shaped)
    table.start()
    table.play(np.random.default_rng(5))
    state = [part.copy() for part in table.batch.state]
    for action in (WAIT, 1, 100, -1):
        step = table.batch.step(np.full(table.episodes, action))
        assert step.done.all() and not step.refused.any() and (step.reward == 0.0).all()
        assert same(table.batch.state, state)
        assert table.batch.view.mask[:, WAIT].all() and not table.batch.view.mask[:, 1:].any()
        assert not table.batch.view.seen.any()


def test_problems_without_routes_are_over_before_they_begin():
    empty = qn.Problem(generate.grid(2, 2, p=0.5), [])
    apart = qn.Network([{"id": v} for v in "abc"], [{"source": "a", "target": "b", "p": 0.5}])
    unreachable = qn.Problem(apart, [{"id": "r", "source": "a", "target": "c"}])
    for found in ([empty], [unreachable, empty], [unreachable, network_problem(1), empty]):
        table = Table(found, episodes=3)
        for b, problem in enumerate(found):
            promised = table.start([b] * 3)
            over = not instance_of(problem).lot.value.size
            step = table.batch.step(np.array([0, 1, -1]))
            assert step.done.tolist() == [over] * 3
            assert not over or (not promised.any() and not step.reward.any() and not table.batch.state.steps.any())


def diamond(**request):
    """Two ways from a to d, by b with two channels and by c, and a link from a to b for another request."""
    ends = {"ab": (0.9, 2), "bd": (0.8, 2), "ac": (0.5, 1), "cd": (0.6, 1)}
    links = [{"source": u, "target": v, "p": p, "channels": c} for (u, v), (p, c) in ends.items()]
    asked = [{"id": "r", "source": "a", "target": "d", **request}, {"id": "s", "source": "a", "target": "b"}]
    return qn.Problem(qn.Network([{"id": v} for v in "abcd"], links), asked, rules={"max_hops": 2})


def played(problem, actions, **more):
    """Rewards without shaping, in the problem's own worth, refusals, masks before each step, and the table."""
    table = Table([problem], shaped=False, **more)
    table.start()
    rewards, refused, masks = [], [], [table.batch.view.mask[0].tolist()]
    for action in actions:
        step = table.batch.step([action])
        rewards.append(step.reward[0] * table.lot.unit[0])
        refused.append(bool(step.refused[0]))
        masks.append(table.batch.view.mask[0].tolist())
    return rewards, refused, masks, table


def test_the_game_by_hand():
    """s comes first, as the relaxation chooses its a-b wholly; r then has a-b-d on two channels, and a-c-d."""
    problem = diamond(routes=3)
    rewards, refused, masks, table = played(problem, [0, 1, 2, 3])
    assert rewards == pytest.approx([0.0, 0.72, 0.72, 0.3]) and not any(refused)
    able = [np.flatnonzero(mask).tolist() for mask in masks]
    assert able == [[0, 1], [0, 1, 2, 3], [0, 2, 3], [0, 3], [0]]
    assert [route.nodes for route in table.allocation(0).routes] == [tuple("abd"), tuple("abd"), tuple("acd")]
    rewards, _, masks, table = played(problem, [1, 1])
    assert rewards == pytest.approx([0.9, 0.72]) and table.batch.state.steps[0] == 2
    assert masks[2][:4] == [True, False, False, True]  # the second a-b-d has no channel any more


def test_a_request_waits_once_and_for_all():
    rewards, _, masks, table = played(diamond(routes=3), [1, 3, 0, 1])
    assert rewards == pytest.approx([0.9, 0.3, 0.0, 0.0]) and sum(masks[3]) == 1
    assert table.batch.last.done[0] and table.batch.state.steps[0] == 3


@pytest.mark.parametrize("action", [2, 3, 100, -1, -100, 2**62, -(2**62)])
def test_what_is_not_possible_counts_as_waiting(action):
    rewards, refused, masks, table = played(diamond(), [action])
    waited = played(diamond(), [0])
    assert refused == [True] and waited[1] == [False]
    assert (rewards, masks) == (waited[0], waited[2]) and table.batch.state.steps[0] == 1


def test_candidates_beyond_those_shown():
    """They are no part of the view, but count: a request of which only such fit is not passed over."""
    problem = diamond(routes=3)
    wide, narrow = (played(problem, [1, 1], candidates=count) for count in (8, 1))
    assert [len(mask) for mask in narrow[2]] == [2, 2, 2]
    for one, other in zip(wide[2], narrow[2]):
        assert other == one[:2]
    assert narrow[2][2] == [True, False] and not narrow[3].batch.last.done[0]
    assert played(problem, [1, 1, 0], candidates=1)[3].batch.last.done[0]
    start = [played(problem, [0], candidates=count)[3].batch.view.seen[0] for count in (8, 2)]
    assert np.array_equal(start[0][:3], start[1]) and start[0][3].any()


def test_an_action_that_does_not_fit_changes_nothing():
    table = Table([diamond(routes=3)])
    table.start()
    before = [part.copy() for part in table.batch.state]
    for action in (2, -1, 9):
        assert act(table.lot, table.plan, table.batch.state, 0, action) == -1.0
        assert same(table.batch.state[:8], before[:8])


def test_same_prices_same_plan_however_the_lot_is_made():
    found = problems("plans", 8, 3)
    table, alone = Table(found), [Table([problem]) for problem in found]
    for name in ("price", "chosen", "reduced", "top", "own"):
        parts = np.concatenate([getattr(each.plan, name) for each in alone])
        assert np.array_equal(getattr(table.plan, name), parts)
    orders = [each.plan.order + start for each, start in zip(alone, table.lot.groups)]
    assert np.array_equal(table.plan.order, np.concatenate(orders))


def test_features_and_rewards_by_hand():
    """One place is scarce, the two channels of a-b, at 0.2 each: r expects 1.7 of them and s, which is first, 0.75."""
    instance = instance_of(diamond(routes=3))
    lot, chosen = instance.lot, np.array([0.9, 0.8, 1.0, 0.75])
    assert lot.value.tolist() == pytest.approx([0.72, 0.72, 0.3, 0.9]) and lot.capacity.tolist() == [2.0]
    reduced = np.array([0.52, 0.52, 0.3, 0.7])
    batch = Batch(lot, plan_of(lot, Prices(np.array([0.2]), chosen, reduced, np.zeros(1))), 1, candidates=3)
    unit, root = 0.81, 2.0**0.5
    zeros = [0.0] * len(FEATURES)

    view = batch.start(np.array([0]), np.array([0]))
    wait = [*zeros[:9], -0.7 / unit, 0.0, 0.0, 0.0, 1.0, 0.75, 0.0]
    ab = [0.9 / unit, 1.0, 0.9 / unit, 0.1, 0.9, 1.0, 0.7 / unit, 0.2 / unit, 0.75, 0.0]
    ab += [0.5, 0.85, 0.2 * 0.7 / unit, 1.0, 0.75, 1.0]
    np.testing.assert_allclose(view.seen[0], [wait, ab, zeros, zeros], atol=1e-6)
    assert batch.state.promise[0] == pytest.approx(0.2 * 2 + 0.7 + 3 * 0.52)

    assert batch.step([1]).reward[0] == pytest.approx(0.0, abs=1e-12)  # no other choice is better at these prices
    wait = [*zeros[:9], -0.52 / unit, 0.0, 0.0, 0.0, 0.5, 2.7, 0.0]
    abd = [0.72 / unit, 1.0, 0.72 / unit / root, 0.2, 0.72, 1.0, 0.52 / unit, 0.2 / unit, 0.9, 0.0]
    abd += [0.0, 0.0, 0.0, 0.5, 2.7, 1.0]
    acd = [0.3 / unit, 0.3 / 0.72, 0.3 / unit / root, 0.2, 0.3, 1.0, 0.3 / unit, 0.0, 1.0, -0.22 / unit]
    acd += [1.0, 0.0, 0.0, 0.5, 2.7, 1.0]
    np.testing.assert_allclose(view.seen[0], [wait, abd, [*abd[:8], 0.8, *abd[9:]], acd], atol=1e-6)

    assert batch.step([3]).reward[0] == pytest.approx(-0.22 / unit)
    assert batch.step([0]).reward[0] == pytest.approx(-(2 * 0.52 + 0.2) / unit)  # two more routes, and one channel left
