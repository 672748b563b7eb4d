"""The compiled engine against its plain-Python twin, event for event, and its own promises."""

import math
import random

import numpy as np
import pytest
import slot_twin as twin
from drifting import drifting_case, restless
from slot_twin import Refused, Twin, random_case

from qnroute.fields import UNLIMITED
from qnroute.network import Network
from qnroute.simulation.demand import Demand
from qnroute.simulation.dynamics import LinkSeries
from qnroute.simulation.physics import Physics
from qnroute.simulation.simulator import RefusedDecision, Simulator
from qnroute.simulation.world import BELOW_FLOOR, COUNTS, Run

SLOTS = 80


def run_of(case) -> Run:
    tail, head = np.array(case["links"]).T
    network = Network.from_columns(
        [f"n{i}" for i in range(len(case["memory"]))], tail, head, p=0.5, fidelity=np.array(case["fidelity"]),
        channels=np.array(case["channels"]), swap=np.array(case["swap"]),
        memory=np.array([UNLIMITED if bound is None else bound for bound in case["memory"]]),
    )  # fmt: skip
    columns = list(zip(*case["demand"])) or [[]] * 6
    demand = Demand(*(np.array(column, dtype=np.int64) for column in columns[:4]), *map(np.array, columns[4:]))
    series = LinkSeries(np.array(case["p"]), case["slots_per_epoch"], case.get("true_fidelity"))
    return Run(network, series, demand, case["seed"])


def physics_of(case) -> Physics:
    return Physics(**{name: case[name] for name in ("decay", "lifetime", "min_fidelity", "model")})


def simulator_of(case) -> Simulator:
    return Simulator([run_of(case)], physics_of(case), held=case["held"], logged=True)


def rows(simulator, run=0):
    columns = simulator.events(run)
    return list(zip(*(columns[name].tolist() for name in ("slot", "event", "a", "b", "c", "fidelity"))))


def same(found, expected):
    assert [row[:5] for row in found] == [row[:5] for row in expected]
    np.testing.assert_allclose([row[5] for row in found], [row[5] for row in expected], rtol=0, atol=1e-12)


def conserved(simulator, run=0):
    world, state = simulator.world, simulator.state
    counts = dict(zip(COUNTS, state.counts[run].tolist()))
    stored = int((state.birth[world.channels[run] : world.channels[run + 1]] >= 0).sum())
    assert counts["made"] == counts["used"] + counts["expired"] + stored
    assert counts["held"] == counts["held_used"] + counts["held_expired"] + int(state.holding[run])
    links = slice(world.links[run], world.links[run + 1])
    np.testing.assert_array_equal(
        state.per_link[links].sum(axis=0), [counts["attempts"], counts["made"], counts["used"]]
    )
    tail, head = world.tail[world.link], world.head[world.link]
    kept = state.birth >= 0
    places = np.concatenate([np.arange(r * world.held, r * world.held + h) for r, h in enumerate(state.holding)])
    ends = np.concatenate([tail[kept], head[kept], state.low[places.astype(int)], state.high[places.astype(int)]])
    np.testing.assert_array_equal(np.bincount(ends, minlength=len(world.memory)), state.qubits)


def say(plain, real, rng):
    """The same beliefs and active channels for the twin and for the engine."""
    believed, active = restless(plain, rng)
    if believed is not None:
        plain.believe(believed)
        real.believe(np.array(believed, dtype=float))
    if active is not None:
        plain.activate(active)
        real.activate(np.array(active))


def wander(case, *, saying=False):
    """Random decisions, many of them wrong, taken by both; what one refuses the other must refuse."""
    rng, plain, real = random.Random(case["seed"]), Twin(**case), simulator_of(case)
    refused = 0
    for _ in range(SLOTS):
        if saying:
            say(plain, real, rng)
        plain.begin()
        real.begin()
        assert real.waiting().tolist() == plain.queue
        for _ in range(rng.randint(0, 6)):
            if saying:
                say(plain, real, rng)
            one, other = some_decision(plain, real, rng)
            outcome = outcome_of(one, Refused)
            assert outcome == outcome_of(other, RefusedDecision)
            refused += outcome == "refused"
        plain.finish()
        real.finish()
    same(rows(real), plain.events)
    conserved(real)
    assert real.state.counts[0, BELOW_FLOOR] == sum(row[1] == twin.BELOW_FLOOR for row in plain.events)
    return refused, int(real.state.counts[0, BELOW_FLOOR])


def some_decision(plain, real, rng):
    """The same decision for the twin and for the engine."""
    asking, kind = len(plain.demand), rng.random()
    if kind < 0.2 and plain.held and asking:
        request, place = rng.randrange(asking), rng.randrange(len(plain.held))
        return (plain.serve_held, request, list(plain.held)[place]), (real.serve_held, [request], [place])
    route, request = some_route(plain, rng), rng.randrange(asking) if asking else 0
    if plain.queue and rng.random() < 0.8:
        request = rng.choice(plain.queue)
        found = twin.stored_routes(plain, *plain.demand[request][:2])
        route = rng.choice(found) if found and rng.random() < 0.7 else route
    if kind < 0.7 and asking:
        return (plain.serve, request, route), (real.serve, [request], route, [0, len(route)])
    return (plain.preposition, route), (real.preposition, [0], route, [0, len(route)])


def outcome_of(call, error):
    try:
        done = call[0](*call[1:])
    except error:
        return "refused"
    return None if done is None else bool(done if isinstance(done, bool) else done[0])


def some_route(plain, rng):
    """A walk over stored pairs, or any channels at all."""
    channels = list(range(len(plain.places)))
    if not plain.stored or rng.random() < 0.2:
        return [rng.choice(channels) for _ in range(rng.randint(0, 3))]
    found = twin.stored_routes(plain, *rng.sample(range(len(plain.memory)), 2))
    return rng.choice(found) if found else [rng.choice(list(plain.stored))]


def test_agrees_with_the_twin_whatever_is_decided():
    refused = sum(wander(random_case(seed))[0] for seed in range(400))
    assert refused > 1000


def test_agrees_with_the_twin_where_links_are_not_what_they_are_believed_to_be():
    found = [wander(drifting_case(seed), saying=True) for seed in range(130)]
    refused, below = np.sum(found, axis=0)
    assert refused > 400 and below > 100
    assert sum(wander(drifting_case(seed))[1] for seed in range(130, 150)) > 10


@pytest.mark.slow
def test_agrees_with_the_twin_on_thousands_of_scenarios():
    for seed in range(400, 4000):
        wander(random_case(seed))
        wander(drifting_case(seed), saying=True)


def test_runs_side_by_side_are_the_runs_alone():
    cases = [(drifting_case if seed % 2 else random_case)(seed) for seed in range(40)]
    for case in cases[1:]:
        case |= {
            name: cases[0][name] for name in ("decay", "lifetime", "min_fidelity", "model", "held", "slots_per_epoch")
        }
    together = Simulator([run_of(case) for case in cases], physics_of(cases[0]), held=cases[0]["held"], logged=True)
    for _ in range(SLOTS):
        together.begin()
        together.finish()
    for r, case in enumerate(cases):
        alone = Twin(**case)
        for _ in range(SLOTS):
            alone.begin()
            alone.finish()
        same(rows(together, r), alone.events)
        conserved(together, r)


def test_the_log_says_nothing_unless_asked():
    case = random_case(1)
    silent = Simulator([run_of(case)], physics_of(case), held=case["held"])
    for _ in range(10):
        silent.begin()
        silent.finish()
    assert all(len(column) == 0 for column in silent.events().values())


def test_luck_is_that_of_the_twin():
    from qnroute.simulation.luck import SWAP, key, uniform

    rng = random.Random(3)
    for _ in range(1000):
        seed, slot, link, channel = (
            rng.getrandbits(64),
            rng.randrange(10**7),
            rng.randrange(10**6),
            rng.randrange(2**20 - 1),
        )
        for kind in (0, SWAP):
            found = uniform(np.uint64(key(np.uint64(seed), kind, slot)), link, channel)
            assert found == twin.luck(seed, kind, slot, link, channel)
            assert 0.0 <= found < 1.0


def test_nothing_of_a_wrong_call_is_done():
    case = random_case(5) | {"p": [[1.0] * len(random_case(5)["links"])]}
    simulator = simulator_of(case)
    simulator.begin()
    for call in (
        lambda: simulator.serve([0], [0], [0]),
        lambda: simulator.serve([-1], [0], [0, 1]),
        lambda: simulator.serve([10**9], [0], [0, 1]),
        lambda: simulator.preposition([-1], [0], [0, 1]),
        lambda: simulator.preposition([7], [0], [0, 1]),
        lambda: simulator.preposition([0], [10**9], [0, 1]),
        lambda: simulator.serve_held([0], [0]),
        lambda: simulator.serve_held([-1], [0]),
    ):
        before = simulator.state.counts.copy()
        with pytest.raises(RefusedDecision, match=r"slot 0|expected"):
            call()
        np.testing.assert_array_equal(before, simulator.state.counts)


# --- what may be said at any time ---


def test_a_belief_decides_what_is_refused_and_the_truth_what_is_served():
    case = random_case(0) | {
        "links": [(0, 1)], "channels": [1], "p": [[1.0]], "true_fidelity": [[0.8]], "fidelity": [0.95],
        "memory": [None] * 2, "swap": [1.0] * 2, "min_fidelity": 0.5, "model": "werner", "lifetime": 5, "held": 1,
        "demand": [(0, 1, 0, 99, 0.9, 1.0), (0, 1, 0, 99, 0.75, 1.0)],
    }  # fmt: skip
    simulator = simulator_of(case)

    def tried(request):
        simulator.begin()
        served = simulator.serve([request], [0], [0, 1])
        simulator.finish()
        return served.tolist()

    assert tried(0) == [False]  # believed to be good enough, and is not
    assert rows(simulator)[-1] == (0, twin.BELOW_FLOOR, 0, -1, 1, pytest.approx(0.8))
    assert math.isnan(simulator.state.fidelity[0]) and simulator.waiting().tolist() == [0, 1]
    simulator.believe([0.7])
    simulator.believe([0.7])
    assert [row for row in rows(simulator) if row[1] == twin.BELIEVED] == [(1, twin.BELIEVED, 0, -1, -1, 0.7)]
    with pytest.raises(RefusedDecision, match="below the floor"):
        tried(1)  # believed to be worse than it is
    simulator.believe([1.0])
    assert simulator.serve([1], [0], [0, 1]).tolist() == [True]
    assert rows(simulator)[-1][:5] == (1, twin.SERVED, 1, 1, 1) and simulator.state.fidelity[1] == pytest.approx(0.8)
    simulator.finish()
    simulator.begin()
    assert simulator.preposition([0], [0], [0, 1]).tolist() == [True]
    assert rows(simulator)[-1][5] == pytest.approx(0.8)  # what is held is known
    with pytest.raises(RefusedDecision, match="below the floor"):
        simulator.serve_held([0], [0])


def test_channels_that_rest_make_nothing_and_leave_others_their_luck():
    for seed in range(30):
        case = random_case(seed) | {"lifetime": 0, "memory": [None] * len(random_case(seed)["memory"])}
        all_try, some = simulator_of(case), simulator_of(case)
        resting = np.random.default_rng(seed).random(len(some.state.active)) < 0.5
        some.activate(~resting)
        for simulator in (all_try, some):
            for _ in range(20):
                simulator.begin()
                simulator.finish()
        made = [[row for row in rows(each) if row[1] == twin.MADE] for each in (all_try, some)]
        assert made[1] == [row for row in made[0] if not resting[row[2]]]
        assert some.state.counts[0, 0] == 20 * (~resting).sum()  # attempts


def test_a_channel_that_rests_keeps_its_pair_and_runs_are_told_apart():
    case = random_case(0) | {
        "links": [(0, 1)], "channels": [2], "p": [[1.0]], "fidelity": [0.95], "memory": [None] * 2,
        "swap": [1.0] * 2, "demand": [(0, 1, 0, 99, 0.0, 1.0)], "lifetime": 3, "decay": 1.0,
    }  # fmt: skip
    pair = Simulator([run_of(case)] * 2, physics_of(case), logged=True)
    pair.begin()
    pair.activate([False, True], run=1)
    pair.believe([0.9], run=1)
    assert rows(pair, 0)[-1][1] == twin.ARRIVED
    assert [row[:5] for row in rows(pair, 1)[-2:]] == [(0, twin.SWITCHED, 0, 0, 1), (0, twin.BELIEVED, 0, -1, -1)]
    assert (pair.state.birth == 0).all() and pair.serve([1], [2], [0, 1]).all()
    pair.finish()
    pair.begin()
    assert pair.state.birth.tolist() == [0, 0, -1, 0]


def test_a_log_has_room_for_all_that_is_said():
    case = random_case(4)
    simulator = simulator_of(case)
    for slot in range(200):
        for _ in range(7):
            simulator.activate(~simulator.state.active)
        simulator.believe(np.full(len(case["links"]), 0.6 + 0.001 * slot))
        simulator.begin()
        simulator.activate(~simulator.state.active)
        simulator.finish()
        assert simulator.log.length[0] <= len(simulator.log.rows)
    found = simulator.events()["event"]
    assert (found == twin.SWITCHED).sum() == 200 * 8 * len(simulator.state.active)
    assert (found == twin.BELIEVED).sum() == 200 * len(case["links"])


def test_what_cannot_be_said_is_refused():
    simulator = simulator_of(random_case(5))
    links, channels = len(simulator.state.believed), len(simulator.state.active)
    for call, words in (
        (lambda: simulator.activate([True]), f"channels: found the shape .* each of {channels}"),
        (lambda: simulator.activate(np.ones(channels)), "channels: found float64 values, expected truth values"),
        (lambda: simulator.activate(np.ones(channels, dtype=bool), run=1), "run: found 1, expected a number below 1"),
        (lambda: simulator.activate(np.ones(channels, dtype=bool), run=-1), "run: found -1"),
        (lambda: simulator.believe([0.5]), f"fidelity: found the shape .*each of {links}"),
        (lambda: simulator.believe(["high"] * links), "fidelity: found .* values, expected numbers"),
        (lambda: simulator.believe([0.5] * (links - 1) + [0.25]), r"\[\d+\]: found 0.25, expected in \(0.25, 1\]"),
        (lambda: simulator.believe([0.5] * (links - 1) + [1.01]), "found 1.01"),
        (lambda: simulator.believe([np.inf] * links), r"fidelity\[0\]: found inf"),
    ):  # fmt: skip
        with pytest.raises(RefusedDecision, match=words):
            call()
    np.testing.assert_array_equal(simulator.state.believed, simulator.world.nominal)
    assert simulator.state.active.all() and not rows(simulator)


def test_fidelities_are_finite_only_for_what_was_served():
    case = random_case(8)
    simulator = simulator_of(case)
    assert all(math.isnan(value) for value in simulator.state.fidelity)
