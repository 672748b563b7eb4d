"""The compiled engine against its plain-Python twin, event for event, and its own promises."""

import math
import random

import numpy as np
import pytest
import slot_twin as twin
from slot_twin import Refused, Twin, random_case

from qnroute.fields import UNLIMITED
from qnroute.network import Network
from qnroute.simulation.demand import Demand
from qnroute.simulation.dynamics import LinkSeries
from qnroute.simulation.physics import Physics
from qnroute.simulation.simulator import RefusedDecision, Simulator
from qnroute.simulation.world import COUNTS, Run

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
    return Run(network, LinkSeries(np.array(case["p"]), case["slots_per_epoch"]), demand, case["seed"])


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


def wander(case):
    """Random decisions, many of them wrong, taken by both; what one refuses the other must refuse."""
    rng, plain, real = random.Random(case["seed"]), Twin(**case), simulator_of(case)
    refused = 0
    for _ in range(SLOTS):
        plain.begin()
        real.begin()
        assert real.waiting().tolist() == plain.queue
        for _ in range(rng.randint(0, 6)):
            one, other = some_decision(plain, real, rng)
            outcome = outcome_of(one, Refused)
            assert outcome == outcome_of(other, RefusedDecision)
            refused += outcome == "refused"
        plain.finish()
        real.finish()
    same(rows(real), plain.events)
    conserved(real)
    return refused


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
    refused = sum(wander(random_case(seed)) for seed in range(400))
    assert refused > 1000


@pytest.mark.slow
def test_agrees_with_the_twin_on_thousands_of_scenarios():
    for seed in range(400, 4000):
        wander(random_case(seed))


def test_runs_side_by_side_are_the_runs_alone():
    cases = [random_case(seed) for seed in range(40)]
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


def test_fidelities_are_finite_only_for_what_was_served():
    case = random_case(8)
    simulator = simulator_of(case)
    assert all(math.isnan(value) for value in simulator.state.fidelity)
