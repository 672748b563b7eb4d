"""Event files: every run follows from its decisions again, and whatever was tampered with is found and named."""

import copy
import json

import numpy as np
import pytest
from hostile import GONE, Raw, changed

from qnroute.errors import ProblemError
from qnroute.simulation import events
from qnroute.simulation.events import EVENTS
from qnroute.simulation.policies import policy
from qnroute.simulation.policy import play
from qnroute.simulation.replay import load_log, log_document, replay
from qnroute.simulation.scenario import Scenario
from qnroute.simulation.simulator import Simulator

POLICIES = (
    "reactive", "shortest-path", "highest-fidelity", "greedy", "static", "exact", "spep:min_fidelity=0,threshold=0.05",
    "spep:base=shortest-path", "lookahead", "lookahead:trust=1,place=0",
)  # fmt: skip
COLUMNS = ("slot", "event", "a", "b", "c", "fidelity")
SCENARIO = Scenario(
    "grid:rows=3,columns=3,p=0.4,fidelity=0.93,swap=0.9,memory=6",
    {"kind": "poisson", "rate": 1.5, "pairs": 5, "floor": [0.3, 0.7]},
    dynamics=["outages", {"kind": "drift", "sd": 0.1, "fidelity_sd": 0.7, "correlation_slots": 20}],
    slots=60,
    history=100,
)


class Restless:
    """A policy that says what it believes, and who should try, at random, after and before its decisions."""

    def __init__(self, name, seed=0):
        self._inner, self._rng = policy(name), np.random.default_rng(seed)

    def start(self, simulator, cases):
        self._inner.start(simulator, cases)
        self.say(simulator)

    def act(self, simulator):
        self.say(simulator)
        self._inner.act(simulator)
        self.say(simulator)

    def say(self, simulator):
        links, channels = len(simulator.state.believed), len(simulator.state.active)
        if self._rng.random() < 0.2:
            simulator.believe(np.where(self._rng.random(links) < 0.3, self._rng.uniform(0.6, 1.0, links), np.nan))
        if self._rng.random() < 0.2:
            simulator.activate(self._rng.random(channels) < 0.9)


def logged(name, seed=3, *, restless=False):
    made = Restless(name, seed) if restless else policy(name)
    simulator = play(made, [SCENARIO.case(seed)], SCENARIO, logged=True)
    return json.loads(json.dumps(log_document(simulator, SCENARIO, seed, name), allow_nan=False))


SAID = (events.SWITCHED, events.BELIEVED)  # decisions that may have no consequence
FOLLOWING = [event for event in range(len(EVENTS)) if event not in SAID]


@pytest.fixture(scope="module")
def document():
    """A log in which everything happens, but nothing is said."""
    found = logged("spep:min_fidelity=0,threshold=0.05", 4)
    assert set(found["events"]["event"]) == set(FOLLOWING)
    return found


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_can_be_replayed(name, tmp_path):
    for seed, restless in ((3, False), (4, False), (5, True)):
        path = tmp_path / "log.json"
        path.write_text(json.dumps(logged(name, seed, restless=restless)), encoding="utf-8")
        read = load_log(path)
        again = replay(read)
        assert log_document(again, SCENARIO, seed, name) == read


def test_what_is_said_between_slots_is_repeated_between_them():
    """Also where nothing happens first in a slot that would tell whether it had begun."""
    told = 0
    for seed in range(30):
        rng, scenario = (
            np.random.default_rng(seed),
            SCENARIO.replace(
                network="grid:rows=1,columns=3,p=0.3,fidelity=0.9", workload={"kind": "poisson", "rate": 0.1}
            ),
        )
        simulator = Simulator([scenario.case(seed).run], scenario.physics, held=8, logged=True)
        for _ in range(25):
            for begun in (False, True):
                for _ in range(rng.integers(3)):
                    if rng.random() < 0.6:
                        simulator.activate(rng.random(2) < 0.5)
                    else:
                        simulator.believe(rng.choice([np.nan, 0.5, 0.9], 2))
                simulator.finish() if begun else simulator.begin()
        simulator.activate(~simulator.state.active)  # before a slot that is never played
        found = log_document(simulator, scenario, seed, "by hand")
        again = replay(json.loads(json.dumps(found)))
        assert log_document(again, scenario, seed, "by hand") == found
        np.testing.assert_array_equal(again.state.counts, simulator.state.counts)  # attempts, too
        np.testing.assert_array_equal(again.state.active, simulator.state.active)
        np.testing.assert_array_equal(again.state.believed, simulator.state.believed)
        told += len(found["events"]["slot"])
    assert told > 1000


def test_a_run_that_ended_early_is_a_run():
    simulator = play(
        policy("reactive"), [SCENARIO.case(1)], SCENARIO, logged=True, stopped=iter([False, True]).__next__
    )
    document = log_document(simulator, SCENARIO, 1, "reactive")
    assert replay(document).slot == simulator.slot
    document["slots"] = 0
    document["events"] = {name: [] for name in COLUMNS}
    assert replay(document).slot == 0


def row_of(document, event, nth=0):
    return [i for i, found in enumerate(document["events"]["event"]) if found == event][nth]


def refused(document, *words):
    with pytest.raises(ProblemError) as told:
        replay(document)
    assert "events" in str(told.value) and "\n" not in str(told.value)
    assert not [word for word in words if str(word) not in str(told.value)], str(told.value)


@pytest.mark.parametrize("event", FOLLOWING, ids=[EVENTS[event] for event in FOLLOWING])
def test_no_row_can_be_left_out(event, document):
    """Nor be told twice, nor carry another number."""
    at = row_of(document, event)
    for change in ("dropped", "twice"):
        bad = copy.deepcopy(document)
        for name in COLUMNS:
            column = bad["events"][name]
            column[at : at + 1] = [] if change == "dropped" else [column[at]] * 2
        refused(bad)
    for name in COLUMNS[:5]:
        for step in (1, -1):
            bad = copy.deepcopy(document)
            bad["events"][name][at] += step
            if name == "event" and not 0 <= bad["events"][name][at] < len(EVENTS):
                continue
            refused(bad)


@pytest.mark.parametrize("event", SAID, ids=[EVENTS[event] for event in SAID])
def test_what_is_said_is_said_once_of_something_there_is(event):
    found = logged("reactive", restless=True)
    places = [i for i, each in enumerate(found["events"]["event"]) if each == event]
    followed = 0
    for at in places[::7]:
        twice = copy.deepcopy(found)
        for name in COLUMNS:
            twice["events"][name].insert(at, twice["events"][name][at])
        refused(twice)
        changes = [("a", 10**6), ("a", -1), ("b", 2), ("b", -2), ("c", -2), ("event", 23 - event)]
        changes += [("fidelity", 0.2), ("fidelity", float("inf"))] if event == events.BELIEVED else [("fidelity", 0.7)]
        for name, value in [*changes, ("fidelity", None if event == events.BELIEVED else 1.0)]:
            bad = copy.deepcopy(found)
            bad["events"][name][at] = value
            refused(bad)
        gone = copy.deepcopy(found)
        for name in COLUMNS:
            del gone["events"][name][at]
        try:
            replay(gone)
        except ProblemError:
            followed += 1
    assert len(places) > 40 and followed


@pytest.mark.parametrize("event", FOLLOWING, ids=[EVENTS[event] for event in FOLLOWING])
def test_no_fidelity_can_be_changed(event, document):
    at = row_of(document, event)
    told = document["events"]["fidelity"][at]
    for value in (0.5, 1e-9 + (told or 0.0), None if told is not None else 1.0, float("inf")):
        bad = copy.deepcopy(document)
        bad["events"]["fidelity"][at] = value
        refused(bad, f"events[{at}]: found slot {bad['events']['slot'][at]} {EVENTS[event]}", "follows")


def test_rows_cannot_change_places(document):
    swapped = 0
    for at in range(0, len(document["events"]["slot"]) - 1, 7):
        bad = copy.deepcopy(document)
        for name in COLUMNS:
            column = bad["events"][name]
            column[at], column[at + 1] = column[at + 1], column[at]
        kinds = set(bad["events"]["event"][at : at + 2])
        if bad != document and kinds != {events.SERVED_HELD}:  # which of two comes first is for the policy to say
            refused(bad)
            swapped += 1
    assert swapped > 20


def test_the_last_rows_cannot_be_cut_off(document):
    for left in (0, 1, len(document["events"]["slot"]) - 1):
        bad = copy.deepcopy(document)
        bad["events"] = {name: bad["events"][name][:left] for name in COLUMNS}
        refused(bad)


def test_a_decision_that_the_rules_do_not_allow_is_named(document):
    bad = copy.deepcopy(document)
    at = row_of(bad, events.SERVED)
    bad["events"]["a"][at] = 10**6
    refused(bad, f"slot {bad['events']['slot'][at]}", "served is refused", "not in the queue")
    bad = copy.deepcopy(document)
    at = row_of(bad, events.SERVED_HELD)
    bad["events"]["c"][at] = 10**6
    refused(bad, "served-held is refused", "no such pair is held")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("seed",), 5),
        (("slots",), 40),
        (("scenario", "network"), "grid:rows=3,columns=3,p=0.5,fidelity=0.93,swap=0.9,memory=6"),
        (("scenario", "network"), "grid:rows=3,columns=3,p=0.4,fidelity=0.93,swap=0.8,memory=6"),
        (("scenario", "network"), "grid:rows=3,columns=3,p=0.4,fidelity=0.93,swap=0.9,memory=4"),
        (("scenario", "physics", "decay"), 0.961),
        (("scenario", "physics", "lifetime"), 14),
        (("scenario", "physics", "model"), "printed"),
        (("scenario", "workload", "rate"), 1.4),
        (("scenario", "dynamics"), []),
        (("scenario", "history"), 99),
        (("scenario", "held"), 1),
    ],
)
def test_what_the_run_was_drawn_from_cannot_be_changed(path, value, document):
    refused(json.loads(changed((path, value), base=json.dumps(document))))


BAD = [
    ((("format",), "qnroute.scenario/1"), "expected a JSON object with the format 'qnroute.events/1'"),
    ((("seed",), GONE), "seed: missing"),
    ((("policy",), GONE), "policy: missing"),
    ((("policy",), 5), "policy: found 5, expected text"),
    ((("scenario",), GONE), "scenario: missing"),
    ((("scenario",), 5), "scenario: found 5, expected a JSON object"),
    ((("scenario", "physics", "decay"), -1), "decay: found -1"),
    ((("seed",), "3"), "seed: found '3'"),
    ((("seed",), -3), "seed: found -3"),
    ((("slots",), 1.5), "slots: found 1.5"),
    ((("slots",), -1), "slots: found -1"),
    ((("slots",), True), "slots: found True"),
    ((("slots",), 61), "slots: found 61, expected at most 60, as many as the scenario has"),
    ((("slots",), 10**7), "slots: found 10000000, expected at most 60"),
    ((("events",), []), "events: expected the columns slot, event"),
    ((("events", "b"), GONE), "events: expected the columns"),
    ((("events", "b"), []), "different lengths"),
    ((("events", "a", 3), 1.5), "events.a[3]: found 1.5, expected an integer"),
    ((("events", "a", 3), True), "events.a[3]: found True"),
    ((("events", "a", 3), 10**30), "events.a[3]: found 1000000"),
    ((("events", "c", 3), -(10**30)), "events.c[3]: found -1000000"),
    ((("events", "slot", 3), Raw("1e999")), "events.slot[3]: found inf"),
    ((("events", "event", 3), 13), "events.event[3]: found 13, expected 0 to 12"),
    ((("events", "event", 3), -1), "events.event[3]: found -1"),
    ((("events", "event", 3), "made"), "events.event[3]: found 'made'"),
    ((("events", "fidelity", 3), "high"), "events.fidelity[3]: found 'high', expected a number or null"),
    ((("events", "fidelity", 3), [1]), "events.fidelity[3]: found a list"),
    ((("events", "fidelity", 3), True), "events.fidelity[3]: found True"),
    ((("events", "fidelity", 3), 10**400), "events"),
]


@pytest.mark.parametrize(("change", "words"), BAD, ids=[f"{words[:40]} {i}" for i, (_, words) in enumerate(BAD)])
def test_bad_event_files_are_told_in_a_line(change, words, document, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(changed(change, base=json.dumps(document)), encoding="utf-8")
    with pytest.raises(ProblemError) as told:
        replay(load_log(path))
    assert words in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "null", '"events"', '{"format": "qnroute.events/1"}', '{"format": 3, ']
)
def test_files_that_hold_no_log(content, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ProblemError, match=str(path)):
        load_log(path)


def test_truncated_anywhere(document, tmp_path):
    text, path = json.dumps(document), tmp_path / "cut.json"
    for size in np.linspace(0, len(text) - 1, 25).astype(int):
        path.write_text(text[:size], encoding="utf-8")
        with pytest.raises(ProblemError, match=str(path)):
            load_log(path)
