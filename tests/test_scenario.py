"""Scenarios: files in and out, what is refused, and that a seed decides everything."""

import copy
import json

import numpy as np
import pytest
from hostile import GONE, Raw, changed

from qnroute.errors import ProblemError
from qnroute.formats import load_network
from qnroute.generate import grid
from qnroute.learning.predictors import predictor
from qnroute.network import Network
from qnroute.simulation.changes import KINDS, Diurnal, Drift, Jumps, Outages
from qnroute.simulation.physics import Physics
from qnroute.simulation.scenario import MOST_SLOTS, Scenario, cases_of, load_scenario
from qnroute.simulation.workloads import WORKLOADS, Bursty, BusinessHours, Poisson, Traffic

RECIPE = "erdos-renyi:n=9,probability=0.4,p=0.2:0.6,fidelity=0.9,connected=true"
WORKLOADS_HERE = (
    BusinessHours(rate=0.7, high_pairs=2, medium_pairs=4),
    Poisson(pairs=4, floor=(0.4, 0.8), patience=5, weight=(1.0, 3.0)),
    Bursty(pairs=3),
    Traffic(matrices=[[[0, 1], [2, 0]], [[0, 3], [0, 0]]], slots_per_matrix=4),
)
DYNAMICS_HERE = (
    Drift(sd=0.3, fidelity_sd=0.2, shared=0.5),
    Diurnal(amplitude=0.2),
    Outages(share=0.5, node_share=0.2),
    Jumps(every=30, fidelity_sd=0.5, start="nominal"),
)


def small(**changes):
    given = {"workload": Poisson(rate=0.5), "slots": 80, "history": 60, "slots_per_epoch": 5, "name": "small"}
    return Scenario(**{"network": RECIPE, "dynamics": DYNAMICS_HERE, **given, **changes})


def same_case(one, other):
    assert one.run.network == other.run.network and one.run.series == other.run.series
    assert one.run.demand == other.run.demand and one.history == other.history and one.run.seed == other.run.seed
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_array_equal(one.pairs, other.pairs)


# --- files ---


@pytest.mark.parametrize("workload", WORKLOADS_HERE, ids=lambda each: each.kind)
@pytest.mark.parametrize("network", [RECIPE, "surfnet", "whole"])
def test_json_gives_the_same_scenario_back(workload, network, tmp_path):
    if network == "whole":
        network = grid(rows=3, columns=3, p=0.4, memory=5, swap=0.9, channels=2, name="Größe")
    made = small(workload=workload, network=network, physics=Physics(decay=0.9, lifetime=4, model="printed"))
    path = tmp_path / "s.json"
    path.write_text(json.dumps(made.to_dict(), allow_nan=False), encoding="utf-8")
    read = load_scenario(path)
    assert read.to_dict() == made.to_dict()
    assert (read.workload, read.dynamics, read.physics) == (made.workload, made.dynamics, made.physics)
    same_case(read.case(3), made.case(3))


def test_every_kind_is_tried_here():
    assert {each.kind for each in WORKLOADS_HERE} == set(WORKLOADS)
    assert {each.kind for each in DYNAMICS_HERE} == set(KINDS) - {"constant"}


def test_what_a_file_leaves_out_is_the_default():
    least = Scenario.from_dict({"format": "qnroute.scenario/1", "network": RECIPE})
    assert least.to_dict() == Scenario(RECIPE).to_dict()


def test_records_mappings_and_kinds_are_the_same():
    said = small(dynamics=["outages", {"kind": "drift", "sd": 0.1}, Diurnal()], workload={"kind": "poisson", "rate": 2})
    assert said.dynamics == (Outages(), Drift(sd=0.1), Diurnal()) and said.workload == Poisson(rate=2)
    assert small(dynamics="outages").dynamics == small(dynamics=Outages()).dynamics == (Outages(),)
    assert json.dumps(said.to_dict())


EXAMPLE = json.dumps(small(network=grid(rows=2, columns=2, p=0.5)).to_dict())
BAD = [
    ((("format",), "qnroute.problem/1"), "format: found 'qnroute.problem/1', expected 'qnroute.scenario/1'"),
    ((("format",), GONE), "format: missing, expected"),
    ((("colour",), 1), "colour: unknown field"),
    ((("network",), GONE), "network: missing"),
    ((("network",), 5), "network: found 5, expected a Network or its name"),
    ((("network",), None), "network: found None"),
    ((("network",), []), "network: found a list"),
    ((("network",), {}), "network.nodes: missing"),
    ((("network", "colour"), 1), "network.colour: unknown field"),
    ((("network", "nodes"), 3), "nodes"),
    ((("network", "links", 0, "p"), 2), "links[0].p"),
    ((("network", "links", 0, "p"), Raw("NaN")), "links[0].p"),
    ((("workload",), 5), "workload: found 5"),
    ((("workload",), None), "workload: found None"),
    ((("workload",), []), "workload: found a list"),
    ((("workload",), {}), "workload.kind: missing"),
    ((("workload", "kind"), "rush"), "workload: found 'rush', expected one of business-hours"),
    ((("workload", "kind"), 3), "workload: found 3"),
    ((("workload", "rate"), 0), "poisson.rate: found 0"),
    ((("workload", "rate"), -1), "poisson.rate: found -1"),
    ((("workload", "rate"), Raw("NaN")), "poisson.rate: found nan"),
    ((("workload", "rate"), "much"), "poisson.rate: found 'much'"),
    ((("workload", "rhythm"), 1), "poisson.rhythm: unknown field"),
    ((("workload", "floor"), [0.9, 0.1]), "poisson.floor"),
    ((("dynamics",), 5), "dynamics[0]: found 5, expected"),
    ((("dynamics",), None), "dynamics[0]: found None, expected"),
    ((("dynamics",), [5]), "dynamics[0]: found 5"),
    ((("dynamics", 1, "kind"), "magic"), "dynamics[1]: found 'magic', expected one of constant"),
    ((("dynamics", 1, "amplitude"), 7), "dynamics[1]: diurnal.amplitude: found 7"),
    ((("physics",), 5), "physics: found 5, expected"),
    ((("physics",), None), "physics: found None"),
    ((("physics", "decay"), Raw("NaN")), "hysics.decay: found nan"),
    ((("physics", "decay"), 0), "hysics.decay: found 0"),
    ((("physics", "lifetime"), -1), "hysics.lifetime: found -1"),
    ((("physics", "lifetime"), 1.5), "hysics.lifetime: found 1.5"),
    ((("physics", "lifetime"), 10**12), "hysics.lifetime"),
    ((("physics", "model"), "ideal"), "hysics.model: found 'ideal'"),
    ((("physics", "colour"), 1), "hysics.colour: unknown field"),
    ((("slots",), 0), "slots: found 0, expected an integer, at least 1"),
    ((("slots",), MOST_SLOTS + 1), f"slots: found {MOST_SLOTS + 1}, expected {MOST_SLOTS} at most"),
    ((("slots",), Raw("1e999")), "slots: found inf"),
    ((("slots",), Raw("9" * 400)), "slots: found inf"),
    ((("slots",), "2000"), "slots: found '2000'"),
    ((("slots",), True), "slots: found True"),
    ((("history",), -1), "history: found -1"),
    ((("history",), None), "history: found None"),
    ((("held",), 10**9), "held: found 1000000000, expected 10000 at most"),
    ((("slots_per_epoch",), 0), "slots_per_epoch: found 0"),
    ((("name",), 5), "name: found 5"),
    ((("name",), "x" * 2000), "name"),
]


@pytest.mark.parametrize(("change", "words"), BAD, ids=[words[:50] for _, words in BAD])
def test_bad_scenario_files_are_told_in_a_line(change, words, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(changed(change, base=EXAMPLE), encoding="utf-8")
    with pytest.raises(ProblemError) as told:
        load_scenario(path)
    assert words in str(told.value) and str(path) in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (EXAMPLE[:300].encode(), "line 1"),
        (EXAMPLE[:-1].encode(), "ends before it is complete"),
        (b"[]", "found a list of 0, expected a JSON object"),
        (b"null", "expected a JSON object"),
        (b"\xff\xfe\x00", "UTF-8"),
        (EXAMPLE.replace('"slots": 80', '"slots": 80, "slots": 81').encode(), "slots: given 2 times"),
        (b"[" * 100_000, "nested too deeply"),
    ],
    ids=["empty", "truncated", "one short", "list", "null", "binary", "twice", "nested"],
)
def test_files_that_hold_no_scenario(content, words, tmp_path):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(ProblemError) as told:
        load_scenario(path)
    assert words in str(told.value) and str(path) in str(told.value) and "\n" not in str(told.value)


def test_several_faults_are_told_together():
    with pytest.raises(ProblemError) as told:
        small(slots=0, history=-1, held="many", name=3, workload=7, dynamics=3)
    for name in ("slots", "history", "held", "name", "workload", "dynamics[0]"):
        assert f"{name}: found" in str(told.value)


def test_what_does_not_fit_together_is_said():
    for given, words in (
        ({"workload": BusinessHours(high_pairs=5, medium_pairs=90)}, "pairs"),
        ({"slots": MOST_SLOTS, "workload": Poisson(rate=100)}, "slots: about"),
        ({"slots": MOST_SLOTS, "history": 0}, "slots_per_epoch"),
        ({"network": "nowhere"}, "nowhere"),
        ({"network": "erdos-renyi:n=9"}, "probability"),
        ({"workload": Traffic(file="nowhere.npz")}, "nowhere.npz"),
    ):
        with pytest.raises(ProblemError, match=words):
            small(**given).case(1)
    for seed in (-1, 1.5, "one", None, True):
        with pytest.raises(ProblemError, match="seed: found"):
            small().case(seed)


# --- what a seed decides ---


def test_same_seed_same_case_and_other_seeds_other_ones():
    made = small()
    first, again, other = made.case(5), copy.deepcopy(made).case(5), made.case(6)
    same_case(first, again)
    assert first.run.network != other.run.network and first.run.demand != other.run.demand
    assert [case.run.seed for case in cases_of(made, [5, 6])] == [5, 6]


def test_a_network_given_stays_and_the_rest_is_drawn():
    network = load_network("tokyo")
    one, other = (small(network=network).case(seed).run for seed in (1, 2))
    assert one.network is other.network is network
    assert one.demand != other.demand and one.series != other.series


def test_physics_and_held_pairs_leave_demand_and_luck_as_they_are():
    same_case(small().case(4), small(physics=Physics(decay=0.5, lifetime=1), held=0).case(4))


def test_demand_of_the_run_counts_what_is_beyond_it():
    """What a predictor sees in the last slots is not thinned by requests that the run cannot judge."""
    case = small(workload=Poisson(rate=3.0, patience=30, pairs=5)).case(1)
    judged, seen = len(case.run.demand), case.counts[case.past :].sum()
    assert case.run.demand.deadline.max() < case.slots and seen > 1.2 * judged
    np.testing.assert_array_equal(case.counts[: case.past].sum(), len(case.history))


def test_forecasts_are_made_once_and_of_the_predictor_asked():
    case = small(history=200).case(2)
    mean = case.forecast(predictor("mean"), 3)
    assert case.forecast(predictor("mean"), 3) is mean and mean.shape == (case.slots, len(case.pairs), 3)
    assert case.forecast(predictor("mean"), 2).shape[2] == 2
    assert not np.array_equal(case.forecast(predictor("last-value"), 3), mean)
    last, longer = (case.forecast(predictor("last-value", window=window), 3) for window in (1, 9))
    assert not np.array_equal(last, longer)
    for k in range(20):  # each gone before the next is made, so that they may lie at one address
        assert (case.forecast(Constant(k / 20), 3) == np.float32(k / 20)).all()


class Constant:
    """A predictor of one's own; nothing is said of how it is to be printed."""

    def __init__(self, chance):
        self._chance = chance

    def fit(self, counts, *, clock=0):
        return self

    def predict(self, counts, *, clock=0, horizon=15, start=0):
        return np.full((len(counts) - start, counts.shape[1], horizon), self._chance, dtype=np.float32)


def test_an_empty_network_is_no_trouble():
    bare = Network([{"id": "A"}, {"id": "B"}], [])
    assert small(network=bare, workload=Poisson()).case(0).run.network.n_links == 0


def test_forecasts_that_would_not_fit_are_refused(monkeypatch):
    from qnroute.simulation import scenario

    case = small(slots=50).case(1)
    monkeypatch.setattr(scenario, "MOST_FORECASTS", 50)
    with pytest.raises(ProblemError, match=r"50 slots by .* forecasts, expected 50 at most; take fewer slots"):
        case.forecast(predictor("mean"), 15)
