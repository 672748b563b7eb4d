import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnroute.errors import ProblemError
from qnroute.generate import grid
from qnroute.problem import Request
from qnroute.simulation.demand import COLUMNS, Demand, pair_index, pair_of

NETWORK = grid(rows=2, columns=3)


@st.composite
def rows(draw, nodes=6):
    """(source, target, arrival, deadline, floor, weight) of some requests."""
    made = []
    for _ in range(draw(st.integers(0, 12))):
        u, v = draw(st.permutations(range(nodes)))[:2]
        arrival = draw(st.integers(0, 20))
        floor, weight = draw(st.floats(0, 1)), draw(st.floats(0.001, 1000))
        made.append((u, v, arrival, arrival + draw(st.integers(0, 9)), floor, weight))
    return made


def demand_of(requests):
    return Demand(*([row[i] for row in requests] for i in range(6)))


def small():
    return Demand([0, 1, 2], [1, 2, 0], [5, 1, 5], [7, 1, 9], [0.5, 0.6, 0.7], 2.0)


def test_rows_are_sorted_by_arrival_and_equal_ones_keep_their_order():
    demand = small()
    assert len(demand) == 3
    assert demand.arrival.tolist() == [1, 5, 5]
    assert demand.source.tolist() == [1, 0, 2]
    assert demand.floor.tolist() == [0.6, 0.5, 0.7]
    assert demand.weight.tolist() == [2.0] * 3


@given(rows())
def test_every_row_is_kept(requests):
    demand = demand_of(requests)
    assert list(zip(*(getattr(demand, name).tolist() for name in COLUMNS))) == sorted(requests, key=lambda row: row[2])
    assert [getattr(demand, name).dtype for name in COLUMNS] == [np.int64] * 4 + [np.float64] * 2


@given(rows())
def test_json_and_requests_and_pickles_give_the_same_demand_back(requests):
    demand = demand_of(requests)
    assert Demand.from_dict(json.loads(json.dumps(demand.to_dict()))) == demand
    assert Demand.from_requests(NETWORK, demand.requests(NETWORK)) == demand
    assert pickle.loads(pickle.dumps(demand)) == demand
    assert copy.deepcopy(demand) == demand


def test_columns_are_closed_to_writing_and_free_of_their_origin():
    given_arrival = np.array([1, 2])
    demand = Demand([0, 0], [1, 1], given_arrival, [3, 3])
    given_arrival[0] = 2
    assert demand.arrival.tolist() == [1, 2]
    for one in (demand, pickle.loads(pickle.dumps(demand))):
        with pytest.raises(ValueError, match="read-only"):
            one.arrival[0] = 0
    with pytest.raises(AttributeError):
        demand.arrival = given_arrival


def test_requests_carry_what_the_rows_say():
    first = small().requests(NETWORK)[0]
    assert first == Request("r1", "n1", "n2", weight=2.0, min_fidelity=0.6, arrival=1, deadline=1)


def test_what_cannot_be_simulated_is_told_at_once():
    wrong = [
        {"id": "a", "source": "n0", "target": "n1", "deadline": 3},
        {"id": "b", "source": "n0", "target": "x", "arrival": -1, "deadline": 3},
        {"id": "c", "source": "n0", "target": "n1", "arrival": 1, "deadline": 3, "routes": 2},
    ]
    with pytest.raises(ProblemError) as told:
        Demand.from_requests(NETWORK, wrong)
    assert told.value.faults == (
        "requests[0].arrival: found None, expected a slot, at least 0",
        "requests[1].target: no node is called 'x'",
        "requests[1].arrival: found -1, expected a slot, at least 0",
        "requests[2].routes: found 2, expected 1: in a simulation one pair serves a request",
    )
    with pytest.raises(ProblemError, match="requests: expected a list, found 3"):
        Demand.from_requests(NETWORK, 3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"source": [-1, 1]}, r"requests\[0\].source: found -1, expected in \[0, "),
        ({"arrival": [1.5, 2]}, r"requests\[0\].arrival: found 1.5, expected an integer"),
        ({"arrival": [np.nan, 2]}, r"requests\[0\].arrival: found nan, expected an integer"),
        ({"arrival": [1, 10**30]}, "requests.arrival: found a list of 2, expected a column of numbers"),
        ({"deadline": [0, 5]}, r"requests\[0\].deadline: found 0, expected at least the arrival, 1"),
        ({"deadline": [5]}, "requests.deadline: found 1 values, expected 2"),
        ({"target": [0, 2]}, r"requests\[0\].target: is the source"),
        ({"target": [[1], [2, 3]]}, "requests.target: found a list of 2"),
        ({"source": 3}, "requests.source: found 3, expected a column"),
        ({"floor": [0.5, 1.1]}, r"requests\[1\].floor: found 1.1, expected in \[0, 1\]"),
        ({"floor": np.nan}, r"requests.floor: found nan"),
        ({"weight": 0}, "requests.weight: found 0.0, expected more than 0"),
        ({"weight": np.inf}, "requests.weight: found inf"),
        ({"weight": "much"}, "requests.weight: found 'much', expected a column of numbers"),
    ],
)
def test_bad_columns(change, told):
    good = {"source": [0, 1], "target": [1, 2], "arrival": [1, 2], "deadline": [4, 5]}
    with pytest.raises(ProblemError, match=told):
        Demand(**{**good, **change})


def test_all_faults_come_together_and_many_are_cut_short():
    with pytest.raises(ProblemError) as told:
        Demand([0] * 100, [1] * 100, [-1] * 100, [2] * 100, [2.0] * 100, -1.0)
    assert len(told.value.faults) == 21 + 21 + 1
    assert told.value.faults[20] == "requests.arrival: more of the same"
    assert "\n" not in str(told.value)


def test_bad_dictionaries():
    with pytest.raises(ProblemError, match=r"demand: arrivals: unknown column.*; target: missing, but required"):
        Demand.from_dict({"source": [], "arrivals": [], "arrival": [], "deadline": []})
    with pytest.raises(ProblemError, match="expected columns by name"):
        Demand.from_dict([])


def test_nodes_that_the_network_lacks():
    with pytest.raises(ProblemError, match="found node 6, expected indices of the 6 nodes"):
        Demand([0], [6], [0], [1]).requests(NETWORK)
    Demand([], [], [], []).require_nodes(0)


def test_limited_keeps_what_a_run_can_judge():
    demand = small()
    assert demand.limited(8).deadline.tolist() == [1, 7]
    assert len(demand.limited(0)) == 0
    assert demand.limited(100) == demand
    with pytest.raises(ProblemError, match="slots: found -1"):
        demand.limited(-1)


# --- counting ---


@given(rows(), st.integers(0, 25), st.permutations([(u, v) for v in range(6) for u in range(v)]), st.integers(0, 15))
def test_counts_are_those_of_counting(requests, slots, pairs, kept):
    pairs = [pair[::-1] if i % 2 else pair for i, pair in enumerate(pairs[:kept])]
    table = demand_of(requests).counts(np.array(pairs, dtype=int).reshape(-1, 2), slots)
    assert table.shape == (slots, kept)
    for t in range(slots):
        for place, pair in enumerate(pairs):
            assert table[t, place] == sum(row[2] == t and {row[0], row[1]} == set(pair) for row in requests)


@pytest.mark.parametrize(
    ("pairs", "slots", "told"),
    [
        ([[0, 1], [1, 0]], 5, "stands there twice"),
        ([[0, 0]], 5, "node 0 paired with itself"),
        ([0, 1], 5, "expected rows of two node indices"),
        ([[0, 1], [2]], 5, "expected rows of two node indices"),
        ([[0, -1]], 5, "expected node indices"),
        ([[0, 1]], 2.5, "slots: found 2.5, expected an integer"),
        ([[0, 1]], 10**12, "expected 134217728 entries at most"),
    ],
)
def test_bad_countings(pairs, slots, told):
    with pytest.raises(ProblemError, match=told):
        small().counts(pairs, slots)


def test_pairs_are_numbered_without_holes():
    v, u = np.tril_indices(40, -1)
    assert pair_index(u, v).tolist() == list(range(780))
    assert np.array_equal(pair_index(v, u), pair_index(u, v))
    assert np.array_equal(pair_of(np.arange(780)), np.column_stack([u, v]))


@given(st.integers(0, 2**31 - 2), st.integers(0, 2**31 - 2))
def test_pairs_come_back_from_their_numbers(u, v):
    if u != v:
        assert pair_of(pair_index(u, v)).tolist() == [min(u, v), max(u, v)]


def test_numbers_of_no_pair():
    with pytest.raises(ProblemError, match="at least 0"):
        pair_of([0, -1])
