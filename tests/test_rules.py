"""The compiled policies against their plain-Python twins, event for event."""

import random

import numpy as np
import pytest
import slot_twin as twin
from drifting import drifting_case
from slot_twin import Twin, random_case
from test_engine import SLOTS, conserved, physics_of, rows, same, say, simulator_of

from qnroute.simulation import rules
from qnroute.simulation.events import with_room
from qnroute.simulation.search import workspace_of


def advanced(case, rule, *, plan=None, chances=None):
    simulator = simulator_of(case)
    work = workspace_of(simulator.world)
    while simulator.slot < SLOTS:
        simulator.log = with_room(simulator.log, simulator.most_events)
        rules.advance(
            simulator.world, simulator.state, SLOTS, rule, plan or rules.no_plan(), chances or rules.no_chances(1),
            work, simulator.log, simulator.most_events,
        )  # fmt: skip
    conserved(simulator)
    return simulator


CASES = range(150)


@pytest.mark.parametrize(
    ("rule", "policy"), [(rules.REACTIVE, twin.reactive), (rules.HIGHEST_FIDELITY, twin.highest_fidelity)]
)
def test_routes_over_stored_pairs(rule, policy):
    served = 0
    for seed in CASES:
        plain = Twin(**random_case(seed))
        twin.run(plain, policy, SLOTS)
        same(rows(advanced(random_case(seed), rule)), plain.events)
        served += sum(row[1] == twin.SERVED for row in plain.events)
    assert served > 500


def test_pre_positioning_is_algorithm_2():
    held = 0
    for seed in CASES:
        case, rng = random_case(seed), random.Random(seed)
        n = len(case["memory"])
        pairs = [(u, v) for v in range(n) for u in range(v) if rng.random() < 0.6]
        table = np.array([[rng.random() for _ in pairs] for _ in range(SLOTS)], dtype=np.float32).reshape(SLOTS, -1)
        threshold, most_new, least = rng.random(), rng.randint(1, 3), rng.choice((0.0, 0.6, 0.8))
        plain = Twin(**case)

        def policy(plain, table=table, pairs=pairs, rest=(threshold, most_new, least)):
            twin.spep(plain, dict(zip(pairs, table[plain.slot].tolist())), *rest)

        twin.run(plain, policy, SLOTS)
        low, high = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        chances = rules.Chances(
            np.array([0, len(pairs)]), low.copy(), high.copy(), table, threshold, most_new,
            float(physics_of(case).quality(least)),
        )  # fmt: skip
        same(rows(advanced(case, rules.REACTIVE, chances=chances)), plain.events)
        held += sum(row[1] == twin.SERVED_HELD for row in plain.events)
    assert held > 100


@pytest.mark.parametrize(
    ("rule", "policy", "seeds"),
    [(rules.REACTIVE, twin.reactive, range(60)), (rules.HIGHEST_FIDELITY, twin.highest_fidelity, range(60, 120))],
)
def test_routes_are_judged_by_what_is_believed(rule, policy, seeds):
    below = 0
    for seed in seeds:
        case, rng = drifting_case(seed), random.Random(seed)
        plain, real = Twin(**case), simulator_of(case)
        work = workspace_of(real.world)
        for _ in range(SLOTS):
            say(plain, real, rng)
            plain.begin()
            real.begin()
            say(plain, real, rng)
            policy(plain)
            real.log = with_room(real.log, real.most_events)
            rules.decide(
                real.world, real.state, 0, rule, rules.no_plan(), rules.no_chances(1), work, real.log
            )  # fmt: skip
            plain.finish()
            real.finish()
        same(rows(real), plain.events)
        conserved(real)
        below += sum(row[1] == twin.BELOW_FLOOR for row in plain.events)
    assert below > 30


def test_pre_positioning_where_fidelity_drifts():
    held = below = 0
    for seed in range(60):
        case, rng = drifting_case(seed), random.Random(seed)
        n = len(case["memory"])
        ends = [(u, v) for v in range(n) for u in range(v)]
        chance = [float(np.float32(rng.random())) for _ in ends]
        plain = Twin(**case)
        told = dict(zip(ends, chance))
        twin.run(plain, lambda plain, told=told: twin.spep(plain, told, 0.3, 2, 0.6), SLOTS)
        low, high = np.array(ends, dtype=np.int64).T
        chances = rules.Chances(
            np.array([0, len(ends)]), low.copy(), high.copy(), np.array([chance], dtype=np.float32), 0.3, 2,
            float(physics_of(case).quality(0.6)),
        )  # fmt: skip
        same(rows(advanced(case, rules.REACTIVE, chances=chances)), plain.events)
        held += sum(row[1] == twin.SERVED_HELD for row in plain.events)
        below += sum(row[1:3] == (twin.BELOW_FLOOR, -1) for row in plain.events)
    assert held > 50 and below > 5
