"""The closed loop: what it proposes against brute force, decides within the rules, learns and avoids."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from drifting import drifting_case
from slot_twin import random_case
from test_engine import conserved
from trial_cases import alike, case_of, played, text

from qnroute.errors import ProblemError
from qnroute.learning.links.model import LinkModel
from qnroute.network import Network
from qnroute.simulation import Scenario, simulate
from qnroute.simulation.demand import Demand
from qnroute.simulation.dynamics import LinkSeries
from qnroute.simulation.hybrid import Hybrid, packed
from qnroute.simulation.knowledge import Calibrated, Failures, Informed, Learned, Outlook
from qnroute.simulation.physics import Physics
from qnroute.simulation.policies import policy
from qnroute.simulation.policy import play
from qnroute.simulation.proposals import Candidates, densest_first, propose, room_of
from qnroute.simulation.prospects import Belief
from qnroute.simulation.replay import log_document, replay
from qnroute.simulation.scenario import Case
from qnroute.simulation.search import offer, workspace_of
from qnroute.simulation.simulator import Simulator
from qnroute.simulation.telemetry import observed
from qnroute.simulation.workloads import Poisson
from qnroute.simulation.world import Run

UNTRAINED = ("hybrid:nominal", "hybrid:window=10", "hybrid:oracle", "hybrid:nominal,decide=exact")


def scenario(**changes):
    plain = Scenario(
        "erdos-renyi:n=12,probability=0.3,p=0.2:0.9,fidelity=0.93:0.99,memory=3", slots=400, history=0,
        workload=Poisson(rate=0.5), physics=Physics(decay=0.98, lifetime=3),
        dynamics=[{"kind": "drift", "sd": 1.5, "correlation_slots": 2000, "fidelity_sd": 0.5}],
    )  # fmt: skip
    return plain.replace(**changes)


# --- what routes are worth ---


def line(links, *, p, deadline, floor=0.0, swap=1.0, lifetime=100, decay=1.0, fidelity=1.0):
    """A simulator of one request along a line of links, and what `propose` says of its only route."""
    network = Network.from_columns(
        [f"n{i}" for i in range(links + 1)],
        np.arange(links),
        np.arange(1, links + 1),
        p=p,
        fidelity=fidelity,
        swap=swap,
    )
    demand = Demand(np.array([0]), np.array([links]), np.array([0]), np.array([deadline]), np.array([floor]))
    run = Run(network, LinkSeries(np.full((1, links), p)), demand, 3)
    simulator = Simulator([run], Physics(decay=decay, lifetime=lifetime, min_fidelity=0.3))
    return simulator, Candidates(np.array([0, 1]), np.array([0, links]), np.arange(links))


def worth(simulator, candidates, *, horizon=1000, variance=0.0, stored=()):
    w, s, work = simulator.world, simulator.state, workspace_of(simulator.world)
    for link, age in stored:
        s.birth[link], s.scale[link], s.last[link] = s.slot[0] - age, 1.0, 10**6
    offer(w, s, 0, work)
    belief = Belief(w.chance[0].copy(), np.full(len(w.tail), variance), horizon)
    columns = propose(w, s, 0, np.array([0]), np.array([0]), candidates, belief, work)
    return (float(columns.worth[0]), bool(columns.ready[0])) if len(columns.worth) else (0.0, False)


@pytest.mark.parametrize(("links", "p", "deadline"), [(1, 0.3, 4), (2, 0.5, 3), (3, 0.9, 1), (2, 0.1, 8)])
def test_without_decay_a_route_is_worth_its_chance_by_the_deadline(links, p, deadline):
    """All links must have made a pair in the slots that are left; pairs wait for each other."""
    expected = 0.9 ** (links - 1) * (1 - (1 - p) ** deadline) ** links
    assert worth(*line(links, p=p, deadline=deadline, swap=0.9)) == (pytest.approx(expected), False)
    if deadline > 2:
        sooner = 0.9 ** (links - 1) * (1 - (1 - p) ** 2) ** links
        assert worth(*line(links, p=p, deadline=deadline, swap=0.9), horizon=2)[0] == pytest.approx(sooner)


def test_links_that_hold_pairs_are_there():
    assert worth(*line(2, p=0.3, deadline=4), stored=[(0, 0)])[0] == pytest.approx(1 - 0.7**4)
    assert worth(*line(2, p=0.3, deadline=4, swap=0.5), stored=[(0, 0), (1, 0)]) == (0.5, True)
    assert worth(*line(2, p=0.3, deadline=0))[0] == 0.0


def test_what_lasts_one_slot_must_come_at_once():
    """With a lifetime of 0 all links must succeed in one slot, in any of those that are left."""
    for links, p, deadline in ((2, 0.5, 3), (3, 0.7, 5)):
        expected = 1 - (1 - p**links) ** deadline
        assert worth(*line(links, p=p, deadline=deadline, lifetime=0))[0] == pytest.approx(expected)


def test_floors_that_fresh_pairs_miss_are_worth_nothing_unless_fidelity_is_unsure():
    missed = line(2, p=0.5, deadline=4, fidelity=0.9, floor=0.9)
    assert worth(*missed)[0] == 0.0
    assert 0.0 < worth(*missed, variance=0.1)[0] < worth(*missed, variance=0.4)[0] < 0.5 * (1 - 0.5**4) ** 2
    kept = line(2, p=0.5, deadline=4, fidelity=0.99, floor=0.9)
    assert worth(*kept, variance=0.1)[0] < worth(*kept)[0]


@pytest.mark.parametrize("model", ["werner", "printed"])
def test_what_is_not_known_of_fidelities_spreads_the_noise(model):
    """Against the quotient of differences of -ln quality, in either law."""
    physics, some = Physics(model=model), scenario(slots=2).case(1)
    fidelity, sd = some.run.network.fidelity * 0.9, np.full(some.run.network.n_links, 0.03)

    class Unsure(Calibrated):
        def outlook(self):
            return Outlook(some.run.network.p, sd, fidelity, sd)

    made = Hybrid(lambda case: Unsure(case, Failures()))
    made.start(Simulator([some.run], physics), [some])
    noise = lambda f: -np.log(physics.scale(f) + physics.law(f).shift)  # noqa: E731
    slope = (noise(fidelity + 1e-6) - noise(fidelity - 1e-6)) / 2e-6
    np.testing.assert_allclose(made._belief.variance, (sd * slope) ** 2, rtol=1e-5)


def test_worth_rises_with_p_and_time_and_falls_with_the_floor():
    of = lambda **changes: worth(*line(3, **{"p": 0.4, "deadline": 6, "decay": 0.97, "lifetime": 5, "fidelity": 0.98,  # noqa: E731
                                             "floor": 0.7} | changes))[0]  # fmt: skip
    assert of(p=0.3) < of() < of(p=0.6)
    assert of(deadline=3) < of() < of(deadline=12)
    assert of(floor=0.85) < of() <= of(floor=0.5)


@pytest.mark.parametrize("seed", range(4))
def test_worth_is_near_what_happens(seed):
    """Against the engine itself: a single request on a line, served as soon as it can be, many times."""
    rng = np.random.default_rng(seed)
    links, lifetime, deadline = int(rng.integers(1, 4)), int(rng.integers(1, 5)), int(rng.integers(2, 9))
    p = rng.uniform(0.3, 0.8)
    simulator, candidates = line(links, p=p, deadline=deadline, lifetime=lifetime)
    said = worth(simulator, candidates)[0]
    run = simulator.runs[0]
    again = Demand(*(np.full(1, value) for value in (0, links, 0, deadline - 1)), np.zeros(1))  # as many tries
    runs = [Run(run.network, run.series, again, luck) for luck in range(1500)]
    late = Simulator(runs, Physics(decay=1.0, lifetime=lifetime, min_fidelity=0.3))
    reactive = policy("reactive")
    reactive.start(late, [None] * len(runs))
    reactive.advance(late, deadline + 2)
    served = (late.state.served >= 0).mean()
    assert said == pytest.approx(served, abs=0.12)


# --- which fit together ---


def weighed(seed):
    """Columns of a random crowded slot, the room there is, and how many ask."""
    drawn = random_case(seed)
    rng = np.random.default_rng(seed)
    drawn["memory"] = [int(value) for value in rng.integers(1, 4, len(drawn["memory"]))]
    simulator = Simulator([case_of(drawn).run], Physics(lifetime=6), held=0)
    inner = policy("hybrid:oracle")
    inner.start(simulator, [case_of(drawn)])
    for _ in range(6):
        simulator.begin()
        simulator.finish()
    simulator.begin()
    w, s, loop = simulator.world, simulator.state, inner.loops[0]
    asked = simulator.waiting(0)[:4]
    candidates, pair = loop._routes.of(w.source[asked], w.target[asked])
    offer(w, s, 0, inner._work)
    belief = Belief(np.full(len(w.tail), 0.5), np.zeros(len(w.tail)), 100)
    columns = propose(w, s, 0, asked, pair, candidates, belief, inner._work)
    return w, s, columns, len(asked)


def fits(w, room, columns, some):
    stored, free, qubits = (np.array(part) for part in room)
    for j in some:
        for at in range(columns.indptr[j], columns.indptr[j + 1]):
            e = columns.links[at]
            if columns.stored[at]:
                stored[e] -= 1
            else:
                free[e] -= 1
                qubits[w.tail[e]] -= 1
                qubits[w.head[e]] -= 1
    once = len({int(columns.request[j]) for j in some}) == len(some)
    return once and min(stored.min(), free.min(), qubits.min()) >= 0


def best_of_all(w, room, columns, asked):
    """The most that any choice of one column or none for each request is worth."""
    several = [[None, *np.flatnonzero(columns.request == k)] for k in range(asked)]
    found = 0.0
    for choice in itertools.product(*several):
        some = [j for j in choice if j is not None]
        if fits(w, room, columns, some):
            found = max(found, float(columns.worth[some].sum()))
    return found


def test_choices_against_all_choices():
    crowded = 0
    for seed in range(60):
        w, s, columns, asked = weighed(seed)
        if not len(columns.worth):
            continue
        room = room_of(w, s, 0)
        best = best_of_all(w, room, columns, asked)
        greedy, proven = densest_first(w, columns, room_of(w, s, 0), asked)
        exact = packed(w, columns, room, asked)
        for some in (greedy, exact):
            assert fits(w, room, columns, some)
        assert columns.worth[exact].sum() == pytest.approx(best)
        assert columns.worth[greedy].sum() <= best + 1e-9
        if proven:
            assert columns.worth[greedy].sum() == pytest.approx(best)
        else:
            crowded += 1
    assert crowded > 5


# --- within the rules ---


@pytest.mark.parametrize("name", UNTRAINED)
def test_it_keeps_the_rules_whatever_the_case(name):
    for seed in range(4 if "exact" in name else 12):
        simulator = played(policy(name), drifting_case(seed))
        conserved(simulator)
        assert (simulator.state.qubits <= simulator.world.memory).all()


def test_same_seed_same_log_and_runs_side_by_side_are_as_alone():
    drawn = alike(range(3))
    for name in UNTRAINED[:2]:
        together = played(policy(name), drawn)
        for run, case in enumerate(drawn):
            assert text(together, run) == text(played(policy(name), case)) != ""


@pytest.mark.parametrize("name", UNTRAINED[:2])
def test_its_log_can_be_repeated(name):
    some = scenario(slots=150)
    simulator = play(policy(name), [some.case(4)], some, logged=True)
    document = log_document(simulator, some, 4, name)
    again = replay(document)
    assert text(again) == text(simulator)
    assert (simulator.events()["event"] == 11).any() and (simulator.events()["event"] == 12).any() == ("window" in name)


@pytest.mark.parametrize("name", UNTRAINED[:2])
def test_it_never_sees_what_is_true_or_to_come(name):
    """Another truth after slot 40, the same luck for each try until then: the same decisions until then."""
    some = scenario(slots=80, dynamics=())
    case = some.case(7)
    p = np.tile(case.run.network.p, (80, 1))
    changed = p.copy()
    changed[40:] = 0.05
    logs = []
    for table in (p, changed):
        run = Run(case.run.network, LinkSeries(table), case.run.demand, case.run.seed)
        simulator = play(policy(name), [Case(run, *(getattr(case, f) for f in ("history", "slots", "past",
                         "slots_per_day", "pairs", "counts")))], some, logged=True)  # fmt: skip
        events = simulator.events()
        logs.append(
            [row for row in zip(*(events[c].tolist() for c in ("slot", "event", "a", "b", "c"))) if row[0] < 40]
        )
    assert logs[0] == logs[1] and len(logs[0]) > 100


# --- what it brings ---


def test_knowing_links_brings_more_than_trusting_the_calibration():
    harder = "erdos-renyi:n=20,probability=0.2,p=0.2:0.9,fidelity=0.95:0.99,memory=2"
    drift = [{"kind": "drift", "sd": 2.0, "correlation_slots": 5000}]
    some, how = scenario(network=harder, slots=800, dynamics=drift), Failures("ignored")
    knowing = {
        "nominal": lambda case: Calibrated(case, how),
        "seen": lambda case: Learned(case, how, kind="recent", retrain=0),
        "true": lambda case: Informed(case, how),
    }
    trials = simulate(some, [(name, Hybrid(made)) for name, made in knowing.items()], range(5), bound=False)
    means = {name: trials.values(name, "success").mean() for name in knowing}
    assert means["nominal"] + 0.02 < means["seen"] < means["true"]
    reactive = simulate(some, ["reactive", "static"], range(5), bound=False)
    assert means["true"] > reactive.values("reactive", "success").mean() > reactive.values("static", "success").mean()


def failing(case, links, start, stop):
    """The case with some links down for a while."""
    p = np.tile(case.run.series.p, (case.slots, 1))[: case.slots]
    p[start:stop, links] = 0.0
    run = Run(case.run.network, LinkSeries(p), case.run.demand, case.run.seed)
    return Case(
        run, *(getattr(case, name) for name in ("history", "slots", "past", "slots_per_day", "pairs", "counts"))
    )


def test_failing_links_are_found_avoided_and_taken_up_again():
    some = scenario(slots=300, dynamics=())
    links = np.array([0, 1, 2])
    case = failing(some.case(3), links, 100, 200)
    watching = Hybrid(lambda case: Calibrated(case, Failures("watched")))
    up, asked = [], []

    def watch(simulator):
        up.append(watching.loops[0].knowledge._up.now[links].copy())
        asked.append(watching.loops[0]._asked_for[links].copy())
        watching.loops[0]._asked_for[links] = 0.0

    play(watching, [case], some, window=10, watch=watch)
    up, asked = np.array(up), np.array(asked)
    assert up[8].min() > 0.5 and (up[12:20].min(axis=0) < 0.1).all() and up[-1].min() > 0.5
    before, down, after = (asked[start : start + 6].mean() for start in (4, 14, 24))
    assert down < 0.5 * before and after > 2.0 * down


def test_a_jump_of_all_links_is_noticed_and_the_model_learned_anew():
    some = scenario(slots=1000, dynamics=())
    case = some.case(2)
    p = np.tile(case.run.network.p, (1000, 1))
    p[500:] = 1.0 - p[500:]
    run = Run(case.run.network, LinkSeries(p), case.run.demand, case.run.seed)
    case = Case(
        run, *(getattr(case, name) for name in ("history", "slots", "past", "slots_per_day", "pairs", "counts"))
    )
    learning = Hybrid(lambda case: Learned(case, Failures("ignored"), kind="empirical", retrain=1000), window=50)
    play(learning, [case], some)
    notes = learning.notes
    assert len(notes) == 20 and notes[0]["slot"] == 50
    alarms = [note["slot"] for note in notes if note["alarm"]]
    assert alarms and 500 < alarms[0] <= 650
    assert next(note["slot"] for note in notes if note["retrained"]) == alarms[0]
    assert max(note["surprise"] for note in notes[:10]) < max(note["surprise"] for note in notes[10:])


@pytest.mark.parametrize("option", ["weights=mine.safetensors", "shown=9", "predictor=mean"])
def test_what_only_a_trained_policy_heeds_is_refused_without_one(option):
    name = option.partition("=")[0]
    with pytest.raises(ProblemError, match=f"policy hybrid: {name}: is for decide=ppo, found decide=greedy"):
        policy(f"hybrid:{option}")


def test_retraining_keeps_to_its_windows():
    some = scenario(slots=400)
    learning = policy("hybrid:linear,window=50,retrain=4")
    play(learning, [some.case(1)], some)
    assert next(note["slot"] for note in learning.notes if note["retrained"] and not note["alarm"]) == 200


@pytest.mark.parametrize("kind", ["linear", "empirical"])
def test_with_nothing_to_learn_from_the_loop_goes_on(kind):
    """One window, links that rest, no links at all: recent rates stand, and training waits for the next window."""
    some = scenario(slots=60, dynamics=())
    longer = some.replace(slots=160)
    at_once = policy(f"hybrid:{kind},window=20,retrain=1")
    play(at_once, [longer.case(1)], longer)
    told = [note["retrained"] for note in at_once.notes]
    assert told[:2] == [False, False] and told[-2:] == [True, True]
    nobody = Demand(*(np.zeros(0, dtype=np.int64) for _ in range(4)), np.zeros(0))
    for memory, links in ((0, 2), (None, 0)):
        network = Network.from_columns(
            ["a", "b", "c"], np.arange(links), np.arange(1, links + 1), p=0.5, fidelity=0.9, memory=memory
        )
        run = Run(network, LinkSeries(np.full((1, links), 0.5)), nobody, 3)
        waiting = policy(f"hybrid:{kind},window=5,retrain=2")
        play(waiting, [replace(some.case(1), run=run)], some)
        assert len(waiting.notes) == 12 and not any(note["retrained"] for note in waiting.notes)


@pytest.mark.parametrize("window", [1, 20])
def test_the_loop_sees_what_is_seen_from_outside(window):
    """Its windows end within a slot, those of `observed` after it: they are of the same slots."""
    some = scenario(slots=40)
    case = some.case(6)
    loop = Hybrid(lambda case: Learned(case, Failures("ignored"), kind="recent", retrain=0), window=window)
    simulator = play(loop, [case], some)
    (outside,) = observed(loop, [case], some, window=window)
    assert loop.loops[0].knowledge.telemetry(simulator).fingerprint() == outside.fingerprint()


def test_a_trained_model_is_learned_anew_as_it_was_made(tmp_path):
    some, path = scenario(slots=200), str(tmp_path / "m.safetensors")
    seen = Hybrid(lambda case: Learned(case, Failures(), kind="recent", retrain=0), window=20)
    simulator = play(seen, [some.case(1)], some)
    table = seen.loops[0].knowledge.telemetry(simulator)
    LinkModel("linear", {"degree": 2}, seed=5).fit([table]).save(path)
    for links in ("", ",links=linear"):
        learning = policy(f"hybrid:model={path},window=20,retrain=5{links}")
        play(learning, [some.case(2)], some)
        model = learning.loops[0].knowledge.model
        assert [note["retrained"] for note in learning.notes] == ([False] * 4 + [True]) * 2
        assert (model.kind, dict(model.options), model.seed) == ("linear", {"degree": 2}, 5)
        assert model.trained_["networks"] == 1 and set(model.scorers_) == {"p", "fidelity"}
    for links in ("nominal", "oracle", "empirical"):
        with pytest.raises(ProblemError, match=f"links: found {links}, expected linear"):
            policy(f"hybrid:links={links},model={path}")


def test_options_are_checked():
    for bad in ("hybrid:links=cubic", "hybrid:window=0", "hybrid:decide=maybe", "hybrid:model=/nowhere.safetensors"):
        with pytest.raises(ProblemError):
            policy(bad)


def test_a_handful_of_rows_is_nothing_to_learn_from():
    """Recent rates stay until there are rows enough; a model of a dozen rows is worse than none."""
    some = scenario(slots=200)
    learning = policy("hybrid:linear,window=10,retrain=1")
    play(learning, [some.case(1)], some)
    links = some.case(1).run.network.n_links
    first = next(note["slot"] for note in learning.notes if note["retrained"])
    assert first > 10 * max(50, 2 * links) / links


def test_the_oracle_knows_the_fidelity_of_every_slot():
    some = scenario(slots=60)
    case, seen = some.case(2), []
    knowing = policy("hybrid:oracle,window=50")

    def watch(simulator):
        true = case.run.series.fidelity[simulator.slot - 1]
        seen.append(np.allclose(simulator.state.believed, (4 * true - 1) / 3))

    play(knowing, [case], some, window=7, watch=watch)
    assert all(seen) and len(seen) == 9
