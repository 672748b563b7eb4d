"""The policies: against plain-Python twins, against trying everything, and against the rules of the slot."""

import copy
import importlib.metadata
import random

import numpy as np
import policy_twins
import pytest
import slot_twin as twin
from policy_twins import best_value, value
from slot_twin import Twin, random_case
from test_engine import SLOTS, conserved, rows, same
from trial_cases import DAY, PAST, alike, case_of, history_of, played, scenario_of, text

from qnroute.errors import ProblemError
from qnroute.network import Network
from qnroute.simulation import policies as registry
from qnroute.simulation.demand import Demand
from qnroute.simulation.dynamics import LinkSeries
from qnroute.simulation.policies import PolicyKind, policies, policy
from qnroute.simulation.policy import Policy, play
from qnroute.simulation.scenario import Case, Scenario
from qnroute.simulation.simulator import Simulator
from qnroute.simulation.trials import simulate
from qnroute.simulation.world import Run

PREDICTED = (
    "reactive", "shortest-path", "highest-fidelity", "greedy", "static", "exact", "spep:predictor=mean",
    "spep:predictor=frequency,within=slot,base=shortest-path", "lookahead:predictor=mean",
    "lookahead:predictor=last-value,trust=1,place=0",
)  # fmt: skip
CASES = range(150)


def twinned(name, plain_policy, seeds=CASES):
    """A policy event for event as its twin, alone; requests served."""
    served = 0
    for seed in seeds:
        plain = Twin(**random_case(seed))
        twin.run(plain, plain_policy(case_of(random_case(seed))), SLOTS)
        same(rows(played(policy(name), random_case(seed))), plain.events)
        served += sum(row[1] == twin.SERVED for row in plain.events)
    return served


def test_shortest_path_is_its_twin():
    assert twinned("shortest-path", lambda case: twin.shortest_path) > 300


def test_greedy_is_its_twin():
    assert twinned("greedy", lambda case: policy_twins.greedy) > 500


@pytest.mark.parametrize("candidates", [1, 2, 5])
def test_static_is_its_twin(candidates):
    def plain(case):
        p = case.run.network.p.tolist()
        return lambda slot: policy_twins.static(slot, p, candidates)

    assert twinned(f"static:candidates={candidates}", plain, range(60)) > 150


@pytest.mark.parametrize(("name", "plain"), [("shortest-path", twin.shortest_path), ("greedy", policy_twins.greedy)])
def test_side_by_side_as_the_twins_alone(name, plain):
    several = alike(range(30))
    together = played(policy(name), several)
    for r, case in enumerate(several):
        alone = Twin(**case)
        twin.run(alone, plain, SLOTS)
        same(rows(together, r), alone.events)
        conserved(together, r)


# --- exact ---


def small_case(seed):
    """Few nodes, so that all sets of routes can be tried; both models, floors of none and high ones, much demand."""
    rng, case = random.Random(seed), random_case(seed)
    n = len(case["memory"])
    if not 3 <= n <= 5:
        return None
    perfect = (1.0,) if seed % 2 else (1.0, 0.5, 0.9)
    demand = []
    for arrival in range(0, 40, 2):
        floor = rng.choice((0.0, 0.0, rng.uniform(0.5, 0.95)))
        demand.append(
            (*rng.sample(range(n), 2), arrival, arrival + rng.randint(0, 4), floor, rng.choice((1.0, 1.0, 3.0)))
        )
    return case | {
        "channels": [rng.randint(1, 2) for _ in case["links"]], "swap": [rng.choice(perfect) for _ in range(n)],
        "lifetime": rng.choice((3, 15)), "p": [[0.2] * len(case["links"])], "demand": demand,
    }  # fmt: skip


def taken(plain, events):
    """What a slot's routes were worth before luck: weight times swaps, from its rows."""
    total, route = 0.0, []
    for row in events:
        if row[1] == twin.USED:
            route.append(row[2])
        elif row[1] in (twin.SERVED, twin.SWAP_FAILED, twin.BELOW_FLOOR):
            total += value(plain, row[2], route)
            route = []
    return total


def test_exact_reaches_what_trying_everything_reaches():
    ways, reactive_worse = exact_against_everything(range(150), drifting=False)
    assert ways["simple"] > 500 and ways["solved"] > 50 and reactive_worse > 5, (ways, reactive_worse)


def test_exact_reaches_it_by_what_is_believed():
    ways, _ = exact_against_everything(range(150, 190), drifting=True)
    assert ways["simple"] > 100 and ways["solved"] > 10, ways


def exact_against_everything(seeds, *, drifting):
    """How often it needed its solver or not, and how often serving reactively would have been worse."""
    ways, reactive_worse = {"simple": 0, "solved": 0}, 0
    for seed in seeds:
        case, rng = small_case(seed), random.Random(seed)
        if case is None:
            continue
        if drifting:
            case["true_fidelity"] = [[rng.uniform(0.7, 1.0) for _ in case["links"]]]
        drawn, exact = case_of(case), policy("exact")
        simulator = Simulator([drawn.run], scenario_of(case).physics, held=case["held"], logged=True)
        exact.start(simulator, [drawn])
        believed = list(case["fidelity"])
        for _ in range(40):
            if drifting:
                believed = [rng.uniform(0.7, 1.0) for _ in believed]
                simulator.believe(believed)
            simulator.begin()
            plain = Twin(**case)
            plain.believed = believed
            plain.slot, plain.queue = simulator.slot, simulator.waiting().tolist()
            plain.stored = {channel: born for channel, born in enumerate(simulator.state.birth.tolist()) if born >= 0}
            before, told = (exact.simple, exact.solved), int(simulator.log.length[0])
            if not 2 <= len(plain.queue) <= 4 or len(plain.stored) > 8:
                simulator.finish()
                continue
            exact.act(simulator)
            if (exact.simple, exact.solved) != before:
                reached = taken(plain, rows(simulator)[told:])
                assert reached == pytest.approx(best_value(plain), abs=1e-6)
                ways["simple" if exact.simple > before[0] else "solved"] += 1
                other = copy.deepcopy(plain)
                twin.reactive(other)
                others = taken(plain, other.events)
                assert reached >= others - 1e-9
                reactive_worse += reached > others + 1e-9
            simulator.finish()
        conserved(simulator)
    return ways, reactive_worse


def test_exact_serves_over_pairs_that_are_all_but_spent():
    """A decay so strong that qualities vanish in rounding; without floors such pairs still serve."""
    case = random_case(0) | {
        "links": [(0, 1), (1, 2), (0, 2)], "channels": [1, 2, 1], "p": [[1.0, 1.0, 0.0], [0.0] * 3],
        "memory": [None] * 3, "fidelity": [0.9] * 3, "swap": [0.7, 1.0, 1.0], "decay": 0.01, "lifetime": 15,
        "min_fidelity": 0.0, "model": "werner",
        "demand": [(0, 2, 12, 15, 0.0, 1.0), (2, 1, 12, 15, 0.0, 5.0)], "slots_per_epoch": 1,
    }  # fmt: skip
    exact, simulator = policy("exact"), played(policy("reactive"), case)
    assert (simulator.state.served == 12).all()
    simulator = played(exact, case)
    assert (simulator.state.served == 12).all()
    case["swap"] = [0.7, 0.9, 1.0]  # so that the solver is asked
    simulator = played(exact, case)
    assert exact.solved and simulator.state.counts[0, 3] > 0


# --- all of them ---


@pytest.mark.parametrize("name", PREDICTED)
def test_keeps_every_rule_and_repeats_itself(name):
    for seed in range(3 if name == "exact" else 25):
        simulator = played(policy(name), random_case(seed))
        conserved(simulator)
        assert text(simulator) == text(played(policy(name), random_case(seed)))


class SlotBySlot:
    """A policy without its `advance`."""

    def __init__(self, inner):
        self.start, self.act = inner.start, inner.act


@pytest.mark.parametrize("name", PREDICTED)
def test_act_slot_by_slot_is_advance(name):
    for seed in range(3 if name == "exact" else 25):
        slow, fast = (played(made, random_case(seed)) for made in (SlotBySlot(policy(name)), policy(name)))
        assert text(slow) == text(fast)


@pytest.mark.parametrize("name", PREDICTED)
def test_side_by_side_as_alone(name):
    several = alike(range(4 if name == "exact" else 20))
    cases = [case_of(each, history=history_of(each)) for each in several]
    together = played(policy(name), several, cases)
    for r, (case, drawn) in enumerate(zip(several, cases)):
        assert text(together, r) == text(played(policy(name), case, [drawn])), r
        conserved(together, r)


@pytest.mark.parametrize("name", PREDICTED)
def test_a_policy_can_be_used_again(name):
    made = policy(name)
    first = text(played(made, random_case(12)))
    played(made, random_case(13))
    assert text(played(made, random_case(12))) == first


@pytest.mark.parametrize("name", PREDICTED)
@pytest.mark.parametrize("bare", ["no request", "no link", "no history of demand"])
def test_where_there_is_nothing_to_do(name, bare):
    case, none = random_case(3), Demand([], [], [], [])
    if bare == "no link":
        network = Network([{"id": "A"}, {"id": "B"}], [])
        demand = Demand([0], [1], [2], [9], 0.0)
        run = Run(network, LinkSeries(np.zeros((1, 0)), case["slots_per_epoch"]), demand, 1)
        drawn = Case(run, demand, SLOTS, PAST, DAY, np.array([[0, 1]]), np.zeros((PAST + SLOTS, 1), dtype=np.int64))
    else:
        drawn = case_of(case, **({"demand": none} if bare == "no request" else {"history": none}))
    conserved(played(policy(name), case, [drawn]))


def test_a_log_has_room_for_a_queue_that_grew_and_is_dropped_at_once():
    """In compiled code nobody would stop a log from being written beyond its end."""
    network = Network([{"id": "A"}, {"id": "B"}], [{"source": "A", "target": "B", "p": 0.1}])
    arrival = np.repeat(np.arange(150), 6)
    demand = Demand(np.zeros(len(arrival), int), np.ones(len(arrival), int), arrival, np.full(len(arrival), 150), 1.0)
    past = Demand([0], [1], [0], [3], 0.5)
    drawn = Case(
        Run(network, LinkSeries(np.array([[0.0]]), 1), demand, 1), past, 500, 10, 5, np.array([[0, 1]]),
        np.zeros((510, 1), dtype=np.int64),
    )  # fmt: skip
    for name in ("reactive", "greedy", "lookahead:predictor=mean"):
        simulator = play(policy(name), [drawn], Scenario(network, slots=500, history=10), logged=True)
        found = simulator.events()["event"]
        assert (found == twin.ARRIVED).sum() == (found == twin.DROPPED).sum() == len(demand)
        assert simulator.log.length[0] <= len(simulator.log.rows)


def test_a_log_minds_no_arrival_far_away():
    network = Network([{"id": "A"}, {"id": "B"}], [{"source": "A", "target": "B", "p": 0.1}])
    run = Run(network, LinkSeries(np.array([[0.0]]), 1), Demand([0], [1], [2**52], [2**52]), 1)
    simulator = Simulator([run], logged=True)
    simulator.begin()
    simulator.finish()
    assert len(simulator.events()["slot"]) == 0


# --- policies of one's own ---


class Heaviest:
    """Serves by single links alone; written against the documented interface."""

    def start(self, simulator, cases):
        self.slots = [case.slots for case in cases]

    def act(self, simulator):
        world, state = simulator.world, simulator.state
        for run in range(len(simulator.runs)):
            for request in simulator.waiting(run):
                ends = {int(world.source[request]), int(world.target[request])}
                for channel in np.flatnonzero(state.birth >= 0):
                    link = world.link[channel]
                    quality = state.believed[link] * world.law.decays[simulator.slot - state.birth[channel]]
                    fits = quality + world.law.shift >= world.need[request]
                    if {int(world.tail[link]), int(world.head[link])} == ends and fits:
                        simulator.serve([request], [channel], [0, 1])
                        break


def scenario():
    return Scenario(
        "grid:rows=3,columns=3,p=0.4,fidelity=0.95",
        {"kind": "poisson", "rate": 1.0, "floor": [0.3, 0.6]},
        slots=60,
        history=30,
    )


def test_a_policy_given_as_an_object():
    assert isinstance(Heaviest(), Policy)
    found = simulate(scenario(), ["reactive", ("mine", Heaviest())], [1, 2], bound=False)
    assert found.policies == ("reactive", "mine")
    assert all(0 < trial.measures.served < 60 for trial in found.of("mine"))
    again = simulate(scenario(), [("mine", Heaviest())], [2], bound=False)
    assert again.trials[0].measures == found.of("mine")[1].measures


class Entry:
    """An entry point that loads what it is given, or fails."""

    def __init__(self, name, loaded):
        self.name, self.value, self._loaded = name, f"somewhere:{name}", loaded

    def load(self):
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


@pytest.fixture
def registered(monkeypatch):
    def register(*entries):
        found = lambda group: list(entries) if group == registry.GROUP else []  # noqa: E731
        monkeypatch.setattr(importlib.metadata, "entry_points", found)

    return register


def test_a_policy_registered_by_entry_point(registered):
    from qnroute.method import Option

    asked = []

    def make(*, eagerness):
        asked.append(eagerness)
        return Heaviest()

    registered(Entry("mine", PolicyKind("mine", "of my own", make, (Option("eagerness", int, 3, "how much", 0, 9),))))
    assert policies()["mine"].description == "of my own"
    found = simulate(scenario(), ["mine", "mine:eagerness=7"], [1], bound=False)
    assert {3, 7} == set(asked) and found.trials[0].measures == found.trials[1].measures
    with pytest.raises(ProblemError, match="policy mine: option eagerness: found 10, expected an integer from 0 to 9"):
        policy("mine:eagerness=10")


def test_a_broken_entry_point_leaves_the_others(registered):
    registered(
        Entry("broken", ImportError("no module named moon")),
        Entry("odd", object()),
        Entry("mine", PolicyKind("reactive", "an impostor", lambda: None)),
    )
    assert "no module named moon" in policies()["broken"].description
    assert policies()["reactive"].description != "an impostor"
    for name, why in (("broken", "no module named moon"), ("odd", "is not a qnroute PolicyKind")):
        with pytest.raises(ProblemError, match=f"policy {name} is not available: .*{why}"):
            policy(name)
        with pytest.raises(ProblemError, match=f"policy {name} is not available: .*{why}"):
            policy(f"{name}:speed=3")
    played(policy("reactive"), random_case(2))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("", "policy: found ''"),
        ("reactiv", "did you mean reactive?"),
        ("reactive:speed=3", "policy reactive has no option 'speed'; it has none"),
        ("static:candidates=0", "policy static: option candidates: found 0, expected an integer from 1 to 1000"),
        ("static:candidates=1.5", "candidates: found 1.5"),
        ("static:candidates=2:3", "candidates: found"),
        ("static:candidates=many", "candidates: found 'many'"),
        (
            "static:candidates",
            "policy static: option candidates: found 'candidates', expected an integer from 1 to 1000",
        ),
        ("static:candidates=1,candidates=2", "given more than once"),
        ("static:colour=1,candidates=0", "colour"),
        ("static:=3", "expected KEY=VALUE"),
        ("spep:predictor=tarot", "policy spep: option predictor: found 'tarot', expected one of frequency"),
        ("spep:threshold=nan", "threshold: found nan"),
        ("spep:threshold=1.01", "threshold: found 1.01, expected a number from 0 to 1"),
        ("spep:min_fidelity=-0.1", "min_fidelity"),
        ("spep:window=0", "window"),
        ("spep:window=1001", "window"),
        ("spep:within=day", "expected one of window, slot"),
        ("spep:most_new=0", "most_new"),
        ("spep:base=exact", "expected one of reactive, shortest-path"),
        ("lookahead:horizon=0", "horizon"),
        ("lookahead:place=inf", "place: found inf"),
        ("lookahead:trust=-1", "trust"),
        ("lookahead:longest=99", "longest: found 99, expected an integer from 1 to 20"),
        ("lookahead:seed=3", "seed: not an option here"),
        ("exact:gap=0.1", "policy exact has no option 'gap'"),
    ],
)
def test_bad_texts_are_told_in_a_line(asked, words):
    with pytest.raises(ProblemError) as told:
        policy(asked)
    assert words in str(told.value) and "\n" not in str(told.value)


def test_options_are_given_once():
    with pytest.raises(ProblemError, match="policy static: candidates is given twice"):
        policy("static:candidates=2", candidates=3)
    with pytest.raises(ProblemError, match="policies: reactive is given more than once"):
        simulate(scenario(), ["reactive", "static", "reactive"], [1])
    with pytest.raises(ProblemError, match="did you mean greedy"):
        simulate(scenario(), ["reactive", "gredy"], [1])


def test_predictors_need_a_history():
    for name in ("spep", "lookahead"):
        with pytest.raises(ProblemError, match="history: found 0 slots"):
            simulate(scenario().replace(history=0), [name], [1], bound=False)
    assert simulate(scenario().replace(history=0), ["reactive", "static", "exact"], [1], bound=False).trials


def test_history_of_a_case_is_its_own():
    assert history_of(random_case(1)) == history_of(random_case(1)) != history_of(random_case(2))
