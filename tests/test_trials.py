"""Policies side by side: the same luck for all, nothing of the future, measures that a recount of the log confirms."""

import dataclasses
import json
import random
import threading
from collections import Counter

import numpy as np
import pytest
import slot_twin as twin
from drifting import drifting_case
from slot_twin import random_case
from test_engine import SLOTS, rows
from trial_cases import PAST, case_of, history_of, played, text

from qnroute.errors import ProblemError
from qnroute.settings import Settings
from qnroute.simulation import trials as module
from qnroute.simulation.demand import Demand
from qnroute.simulation.measures import fidelities, latencies, measures
from qnroute.simulation.policies import policy
from qnroute.simulation.scenario import Scenario
from qnroute.simulation.trials import simulate

CHEAP = ("frequency", "mean", "last-value", "seasonal", "logistic", "arima")
POLICIES = (
    "reactive", "shortest-path", "highest-fidelity", "greedy", "static", "exact",
    *(f"{name}:predictor={each}" for name in ("spep", "lookahead") for each in CHEAP),
    "spep:predictor=mean,within=slot,threshold=0,most_new=5", "lookahead:predictor=mean,trust=1,place=0",
)  # fmt: skip


def scenario(**changes):
    given = {"workload": {"kind": "poisson", "rate": 1.0, "pairs": 6, "floor": [0.3, 0.7]}, "slots": 60, "history": 100}
    return Scenario(**{"network": "grid:rows=3,columns=3,p=0.4,fidelity=0.95,swap=0.9", **given, **changes})


# --- the future ---


def changed_after(demand, slot, rng, n):
    """The same requests up to a slot, quite other ones after it."""
    early = demand.arrival <= slot
    later = [(*rng.sample(range(n), 2), rng.randrange(slot + 1, SLOTS)) for _ in range(30)]
    later = [(u, v, arrival, arrival + rng.randint(0, 9), rng.random(), 1.0 + rng.random()) for u, v, arrival in later]
    known = [
        getattr(demand, name)[early].tolist() for name in ("source", "target", "arrival", "deadline", "floor", "weight")
    ]
    return Demand(*([*old, *new] for old, new in zip(known, zip(*later))))


@pytest.mark.parametrize("name", POLICIES)
def test_no_policy_sees_the_future(name):
    apart = 0
    for seed in (2, 6, 9, 17):
        drawn, rng = random_case(seed), random.Random(seed)
        one = case_of(drawn)
        slot = rng.randrange(20, 50)
        other = case_of(drawn, demand=changed_after(one.run.demand, slot, rng, len(drawn["memory"])))
        found = [rows(played(policy(name), drawn, [case])) for case in (one, other)]
        early = [[repr(row) for row in events if row[0] <= slot] for events in found]
        assert early[0] == early[1], (seed, slot)
        apart += len(early[0]) < len(found[0]) and repr(found[0]) != repr(found[1])
    assert apart


def test_the_oracle_alone_may():
    drawn, rng = random_case(5), random.Random(5)
    one, n = case_of(drawn), len(drawn["memory"])
    several = [one, *(case_of(drawn, demand=changed_after(one.run.demand, 30, rng, n)) for _ in range(9))]
    name = "spep:predictor=oracle,min_fidelity=0,threshold=0.5"
    assert (
        len({repr([row for row in rows(played(policy(name), drawn, [case])) if row[0] <= 30]) for case in several}) > 1
    )


# --- the same luck ---


def test_what_a_run_meets_is_the_same_for_all_policies():
    """Where two policies leave a channel free in a slot they see the same success."""
    drawn = random_case(17)
    drawn = drawn | {"memory": [None] * len(drawn["memory"])}
    sure = played(policy("reactive"), drawn | {"lifetime": 0, "demand": []})  # channels are free in every slot
    lucky = {(row[0], row[2]) for row in rows(sure) if row[1] == twin.MADE}
    for name in POLICIES[:6]:
        made = {(row[0], row[2]) for row in rows(played(policy(name), drawn)) if row[1] == twin.MADE}
        assert made and made <= lucky


def test_same_seed_same_numbers():
    names = ["reactive", "exact", "spep", "lookahead"]
    found, again = (simulate(scenario(), names, [3, 4]) for _ in range(2))
    assert [trial.measures for trial in found.trials] == [trial.measures for trial in again.trials]
    assert found.bounds == again.bounds and found.stopped is None
    alone = simulate(scenario(), ["lookahead"], [4], bound=False)
    assert alone.trials[0].measures == found.of("lookahead")[1].measures and not alone.bounds
    assert found.of("reactive")[0].measures != found.of("reactive")[1].measures
    for trial in found.trials:
        assert trial.measures.requests == found.bounds[trial.seed].requests
        assert trial.measures.served <= found.bounds[trial.seed].bound + 1e-6
    np.testing.assert_allclose(
        found.shares("exact"), [t.measures.served / found.bounds[t.seed].bound for t in found.of("exact")]
    )


def test_plain_values_tell_all_of_it():
    found = simulate(scenario(), ["reactive", "spep:threshold=0.2"], [1, 2])
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["format"] == "qnroute.simulation/1" and told["stopped"] is None and told["seeds"] == [1, 2]
    assert Scenario.from_dict(told["scenario"]).to_dict() == found.scenario.to_dict()
    assert [(row["policy"], row["seed"], row["served"]) for row in told["runs"]] == [
        (trial.policy, trial.seed, trial.measures.served) for trial in found.trials
    ]
    assert [row["seed"] for row in told["clairvoyant"]] == [1, 2]


def test_where_nothing_is_served_there_is_nothing_to_say():
    found = simulate(scenario(network="grid:rows=2,columns=2,p=0.5,fidelity=0.5", physics={"min_fidelity": 0.9},
                              workload={"kind": "poisson", "floor": 0.9}), ["reactive"], [0])  # fmt: skip
    told = found.trials[0].measures
    assert (told.served, told.success, told.latency, told.fidelity, told.by_held) == (0, 0.0, None, None, None)
    assert np.isnan(found.values("reactive", "latency")).all() and json.dumps(found.to_dict(), allow_nan=False)
    none = simulate(
        scenario(workload={"kind": "poisson", "rate": 1e-9}), ["reactive", "exact", "spep", "lookahead"], [0]
    )
    assert all(trial.measures.success is None and trial.measures.worth is None for trial in none.trials)
    assert np.isnan(none.shares("exact")).all() and json.dumps(none.to_dict(), allow_nan=False)


# --- cut short ---


class Interrupting:
    """Reactive, and presses Ctrl-C in a slot of a run."""

    def __init__(self, event, run, slot):
        self._event, self._inner, self._run, self._slot, self._runs = event, policy("reactive"), run, slot, 0

    def start(self, simulator, cases):
        self._inner.start(simulator, cases)
        self._runs += 1

    def act(self, simulator):
        self._inner.act(simulator)
        if self._runs == self._run and simulator.slot == self._slot:
            self._event.set()


@pytest.mark.parametrize(("slot", "kept"), [(0, 2), (30, 2), (59, 3)])
def test_interruption_keeps_whole_trials(slot, kept):
    """A run whose last slot was played is whole, whenever Ctrl-C came."""
    event = threading.Event()
    policies = ["static", ("mine", Interrupting(event, 1, slot)), "greedy"]
    found = simulate(scenario(), ["reactive", *policies], [5, 6], settings=Settings(interrupted=event))
    whole = simulate(scenario(), ["reactive", "static"], [5], bound=False)
    assert found.stopped == "interrupted" and not found.bounds
    assert [trial.policy for trial in found.trials] == ["reactive", "static", "mine"][:kept]
    assert [trial.measures for trial in found.trials[:2]] == [trial.measures for trial in whole.trials]
    if kept == 3:
        assert found.trials[2].measures == found.trials[0].measures  # it decides as reactive does
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["stopped"] == "interrupted"


def test_no_time_leaves_nothing_and_says_so():
    found = simulate(scenario(), ["reactive"], [1], settings=Settings(time_limit=0.0))
    assert (found.trials, found.bounds, found.stopped) == ((), {}, "time-limit")


def test_what_is_done_is_told_in_order(monkeypatch):
    told = []
    simulate(scenario(), ["reactive", "static"], [7, 8], doing=lambda what, share: told.append((what, share)))
    assert [what for what, _ in told] == [
        f"seed {seed}, {name}" for seed in (7, 8) for name in ("reactive", "static", "clairvoyant")
    ]
    np.testing.assert_allclose([share for _, share in told], np.arange(6) / 6)


def test_names_are_checked_before_any_work(monkeypatch):
    monkeypatch.setattr(module, "play", lambda *_: pytest.fail("played"))
    for policies in (["reactive", "tarot"], ["static:candidates=0"], ["reactive", ("reactive", policy("static"))]):
        with pytest.raises(ProblemError):
            simulate(scenario(), policies, [1])


# --- measures ---


@pytest.mark.parametrize("name", ["reactive", "exact", "spep:predictor=mean,threshold=0,min_fidelity=0",
                                  "lookahead:predictor=mean,trust=1,place=0"])  # fmt: skip
def test_measures_are_a_recount_of_the_log(name):
    by_held = below = 0
    for seed in range(4 if name == "exact" else 40):
        drawn = (drifting_case if seed % 2 else random_case)(seed) | {
            "memory": [None] * len(random_case(seed)["memory"]),
            "held": 3,
        }
        drawn["demand"] = [(*row[:4], row[4] / (1 + (seed + 1) % 2), row[5]) for row in drawn["demand"]]
        simulator = played(policy(name), drawn, [case_of(drawn, history=history_of(drawn))])
        counts, served, spent, route = Counter(), {}, {}, 0
        for slot, event, a, b, c, fidelity in rows(simulator):
            counts[event] += 1
            route = route + 1 if event == twin.USED else route
            if event == twin.HELD:
                spent[a] = route
            if event in (twin.SERVED, twin.SERVED_HELD):
                held = event == twin.SERVED_HELD
                assert a not in served and slot - drawn["demand"][a][2] == b and slot <= drawn["demand"][a][3]
                assert fidelity >= drawn["demand"][a][4] - 1e-9
                served[a] = (b, fidelity, spent[c] if held else route, held)
            route = 0 if event != twin.USED else route
        found, total, made = measures(simulator), len(drawn["demand"]), counts[twin.MADE]
        order = [served[k] for k in sorted(served)]
        weights = [row[5] for row in drawn["demand"]]
        assert dataclasses.asdict(found) == pytest.approx({
            "requests": total, "served": len(served), "success": len(served) / total if total else None,
            "latency": np.mean([each[0] for each in order]) if order else None,
            "fidelity": np.mean([each[1] for each in order]) if order else None,
            "utilisation": counts[twin.USED] / made if made else None,
            "useful": sum(each[2] for each in order) / made if made else None,
            "worth": sum(weights[k] for k in served) / sum(weights) if total else None,
            "throughput": len(served) / SLOTS, "by_held": np.mean([each[3] for each in order]) if order else None,
            "made": made, "held": counts[twin.HELD], "swap_failures": counts[twin.SWAP_FAILED],
            "below_floor": counts[twin.BELOW_FLOOR],
        })  # fmt: skip
        below += found.below_floor
        np.testing.assert_array_equal(latencies(simulator), [each[0] for each in order])
        np.testing.assert_allclose(fidelities(simulator), [each[1] for each in order])
        by_held += sum(each[3] for each in order)
    assert by_held > 20 or name in ("reactive", "exact")
    assert below > 5 or name == "exact"


def test_the_history_is_not_played():
    drawn = random_case(17)
    assert PAST > 0 and text(
        played(policy("reactive"), drawn, [case_of(drawn, history=Demand([], [], [], []))])
    ) == text(played(policy("reactive"), drawn))
