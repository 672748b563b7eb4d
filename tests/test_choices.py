"""Decisions within slots: candidates and features against plain Python, the teacher against `lookahead`."""

from __future__ import annotations

import numpy as np
import pytest
from choice_twin import Twin, clipped
from slot_twin import random_case
from test_engine import conserved
from trial_cases import alike, case_of, played, scenario_of, text

from qnroute.errors import ProblemError
from qnroute.learning.predictors import predictor
from qnroute.learning.routing.policy import RoutePolicy, first_weights
from qnroute.learning.routing.scoring import score, weights_of
from qnroute.simulation import Scenario
from qnroute.simulation.choices import act, to_next
from qnroute.simulation.chooser import IMITATED, Chooser, Refined, Table, load_network_policy, sight_of
from qnroute.simulation.desk import FEATURES, NOBODY, NOTHING, WAIT
from qnroute.simulation.events import SWITCHED, log_of
from qnroute.simulation.policies import policy
from qnroute.simulation.policy import play
from qnroute.simulation.rollouts import Mind, drawn, log_chance, rolled, store_of, teacher
from qnroute.simulation.school_recipes import load_school_recipe
from qnroute.simulation.simulator import Simulator


def policy_of(seed=0, hidden=8):
    return RoutePolicy(first_weights(np.random.default_rng(seed), len(FEATURES), hidden), {}, FEATURES)


def ready(several, candidates=5):
    """A simulator of random cases, and the table for decisions."""
    cases, scenario = [case_of(each) for each in several], scenario_of(several[0])
    simulator = Simulator([case.run for case in cases], scenario.physics, held=scenario.held)
    return simulator, Table(simulator, sight_of(simulator, cases, predictor("mean")), candidates), cases


@pytest.mark.parametrize("seed", range(6))
def test_candidates_and_what_is_seen_of_them_are_those_of_plain_python(seed):
    simulator, table, cases = ready([case | {"held": 3} for case in alike([10 * seed, 10 * seed + 1])])
    w, s, desk, rng, log = simulator.world, simulator.state, table.desk, np.random.default_rng(seed), log_of(0)
    met = set()
    for run, case in enumerate(cases):
        to_next(w, s, run, case.slots, *table.given, log)
        while desk.request[run] != NOTHING:
            twin, k = Twin(simulator, table, run), int(desk.request[run])
            count = int(desk.mask[run].sum()) - 1
            routes = [tuple(desk.route[run, i, : desk.length[run, i]].tolist()) for i in range(count)]
            assert desk.mask[run, : count + 1].all() and len(set(routes)) == count
            if k == NOBODY:
                worth = twin.to_hold()
                best = sorted(worth.values(), reverse=True)[: len(desk.worth)]
                assert [worth[route] for route in routes] == pytest.approx(best, abs=1e-12)
            else:
                all_ = twin.to_serve(k)
                price, links, quality = (min, min, max)
                assert all_[routes[0]][0] == pytest.approx(price(each[0] for each in all_.values()))
                assert min(all_[route][1] for route in routes) == links(each[1] for each in all_.values())
                assert max(all_[route][2] for route in routes) == pytest.approx(
                    quality(each[2] for each in all_.values())
                )
                gains = [w.weight[x] - min(each[0] for each in twin.to_serve(x).values()) for x in twin.waiting()
                         if desk.settled[x] < twin.slot and twin.to_serve(x)]  # fmt: skip
                assert w.weight[k] - all_[routes[0]][0] == pytest.approx(max(gains))
            rows = [twin.common(None if k == NOBODY else k)]
            rows += [twin.seen(route, i, None if k == NOBODY else k) for i, route in enumerate(routes)]
            for row, found in zip(rows, desk.seen[run]):
                expected = [clipped(row).get(name, 0.0) for name in FEATURES]
                assert found == pytest.approx(expected, abs=2e-6)
            met.add((k == NOBODY, count > 1))
            act(w, s, run, rng.integers(0, count + 1), desk, table.work, log)
            to_next(w, s, run, case.slots, *table.given, log)
        assert s.slot[run] == case.slots
    assert (True, True) in met


def test_the_first_candidate_where_it_gains_is_what_lookahead_does():
    scenario = Scenario("erdos-renyi:n=12,probability=0.3,p=0.12,fidelity=0.92", slots=300, history=300)
    case = scenario.case(5)

    class Teacher(Chooser):
        """Takes the first candidate that gains."""

        def decide(self, simulator, run):
            given, w, s = self.table.given, simulator.world, simulator.state
            sight, desk, work, labels = given
            from qnroute.simulation.choices import at_hand, look

            look(w, s, run, sight, desk, work, simulator.log)
            while at_hand(w, s, run, sight, desk, work, labels):
                act(
                    w, s, run, 1 if desk.seen[run, 1, FEATURES.index("gain")] > 0.0 else WAIT, desk, work, simulator.log
                )

        advance = None

    found = play(Teacher(predictor("mean"), policy_of()), [case], scenario, logged=True)
    assert text(found) == text(play(policy("lookahead:mean"), [case], scenario, logged=True))
    assert 0.2 < (found.state.served >= 0).mean() < 0.9


@pytest.mark.parametrize("seed", range(0, 40, 8))
def test_a_chooser_keeps_the_rules_and_is_the_same_slot_by_slot(seed):
    several = alike([seed, seed + 1, seed + 2])
    whole = played(Chooser(predictor("mean"), policy_of(seed)), several)

    class Slotwise(Chooser):
        advance = None

    for run in range(3):
        conserved(whole, run)
        alone = played(Slotwise(predictor("mean"), policy_of(seed)), several[run])
        assert text(whole, run) == text(alone)


def test_refine_serves_in_a_slot_whom_its_base_serves():
    scenario = Scenario("regular:n=12,degree=3,p=0.2,fidelity=0.93", slots=400, history=300)
    cases = [scenario.case(seed) for seed in (1, 2)]
    rates = {}
    for name in ("shortest-path", "exact"):
        base = play(policy(name), cases, scenario)
        both = play(Refined(policy(name), Chooser(predictor("mean"), policy_of())), cases, scenario)
        rates[name] = (base.state.served >= 0).mean(), (both.state.served >= 0).mean()
        assert both.state.counts[:, 5].sum() > 0 == base.state.counts[:, 5].sum()  # pairs held
        first = np.flatnonzero(base.state.served >= 0)[0]  # until then both saw the same, but for what was held
        assert (both.state.served[: first + 1] >= 0).any()
    assert rates["shortest-path"][1] != rates["shortest-path"][0]


def test_a_policy_that_sees_something_else_is_refused():
    """Compiled scores would read behind its weights."""
    with pytest.raises(ProblemError, match="policy: sees 16 features, expected one that sees 28"):
        Chooser(predictor("mean"), RoutePolicy(first_weights(np.random.default_rng(1))))


def test_scores_are_those_of_the_policy():
    rng = np.random.default_rng(1)
    for hidden in (4, 32):
        made, weights = policy_of(3, hidden), weights_of(policy_of(3, hidden), len(FEATURES))
        seen = rng.normal(size=(40, 6, len(FEATURES))).astype(np.float32)
        mask = rng.random((40, 6)) < 0.7
        mask[:, 0] = True
        expected = made.scores(seen, mask)
        inner, found = np.zeros((6, hidden), np.float32), np.zeros(6, np.float32)
        for i in range(40):
            score(weights, seen[i], mask[i], inner, found)
            assert found[mask[i]] == pytest.approx(expected[i][mask[i]], rel=1e-4, abs=1e-4)


def test_actions_are_drawn_by_their_chances():
    found, mask = np.array([0.0, 1.0, 5.0, -1.0], np.float32), np.array([True, True, False, True])
    for heat in (1.0, 2.0):
        odds = np.where(mask, np.exp(found / heat), 0.0)
        drawn_ = np.array([drawn(found, mask, heat, np.uint64(k * 7919 + 1), 0) for k in range(20000)])
        share = np.bincount(drawn_, minlength=4) / 20000
        assert share == pytest.approx(odds / odds.sum(), abs=0.015)
        for action in (0, 1, 3):
            assert log_chance(found, mask, action, heat) == pytest.approx(np.log(odds[action] / odds.sum()))
    assert drawn(found, mask, 0.0, np.uint64(1), 0) == 1


def test_what_is_stored_is_what_was_decided():
    simulator, table, cases = ready([random_case(3)])
    store = store_of(table.desk, 10_000, cases[0].slots)
    mind = Mind(weights_of(policy_of(), len(FEATURES)), 1.0, 0.5, 7)
    rolled(simulator.world, simulator.state, 0, cases[0].slots, *table.given, mind, store, log_of(0), 0)
    n, served = int(store.count[0]), simulator.state.served
    assert n > 20 and (np.diff(store.slot[:n]) >= 0).all()
    assert store.mask[np.arange(n), store.action[:n]].all()
    slots = served[served >= 0]
    weight = np.bincount(slots, simulator.world.weight[served >= 0], len(store.reward))
    assert store.reward == pytest.approx(weight) and weight.sum() > 0.0
    taught = np.array([teacher(x, m) for x, m in zip(store.seen[:n], store.mask[:n])])
    by_teacher = store.log_chance[:n] == 0.0
    assert by_teacher.mean() == pytest.approx(0.5, abs=0.2)
    assert (taught == store.action[:n])[by_teacher].mean() > 0.95 > (taught == store.action[:n])[~by_teacher].mean()
    few = store_of(table.desk, 3, 0)
    again = Simulator([cases[0].run], simulator.physics, held=simulator.world.held)
    rolled(again.world, again.state, 0, cases[0].slots, *table.given, mind, few, log_of(0), 0)
    assert few.count[0] == 3 and (again.state.served == served).all()


def test_hybrid_may_decide_by_the_trained_policy():
    scenario = Scenario("erdos-renyi:n=12,probability=0.3,p=0.15,fidelity=0.93", slots=300, history=300)
    case = scenario.case(9)
    alone = play(policy("ppo:mean"), [case], scenario, logged=True)
    hybrid = play(policy("hybrid:nominal,decide=ppo,failures=ignored,predictor=mean"), [case], scenario, logged=True)
    assert text(alone) == text(hybrid)  # what it knows is what was calibrated, and no memory has a limit
    limited = Scenario(
        "erdos-renyi:n=12,probability=0.3,p=0.2:0.9,fidelity=0.93:0.99,memory=3", slots=200, history=200, held=2,
        dynamics=[{"kind": "drift", "sd": 1.0, "fidelity_sd": 0.5}],
    )  # fmt: skip
    case = limited.case(4)
    found = play(policy("hybrid:decide=ppo,window=20"), [case], limited, logged=True)
    conserved(found, 0)
    assert (found.state.served >= 0).any() and (found.events(0)["event"] == SWITCHED).any()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ppo:weights=none.safetensors", "none.safetensors"),
        ("refine:hybrid", "policy refine: option base: found"),
        ("ppo:shown=2", "policy ppo: option shown: found 2"),
    ],
)
def test_what_cannot_be_is_refused(said, words):
    with pytest.raises(ProblemError, match=words):
        policy(said)


def test_the_policy_that_comes_with_the_package_says_how_it_was_trained():
    told, imitated = load_network_policy().told, load_network_policy(IMITATED).told
    assert told["recipe"] == load_school_recipe().to_dict() == imitated["recipe"]
    assert 0.3 < imitated["served"]["imitation"] == told["served"]["imitation"] <= told["served"]["ppo"] < 0.6
