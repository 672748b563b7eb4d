"""The benchmark of stating route choice: its peer says the same, and all ways are measured."""

from __future__ import annotations

import threading

import dimod
import pytest

from qnroute.benchmark import stating
from qnroute.models.penalties import PAIRS, ROW


@pytest.mark.parametrize(("nodes", "requests"), [(60, 60), (60, 40), (200, 100)])
def test_dictionaries_give_the_same_model(nodes, requests):
    routes = stating.instance(nodes, requests)
    ours, theirs = stating.stated(routes), dimod.BinaryQuadraticModel(*stating.dictionaries(routes), dimod.BINARY)
    assert {PAIRS, ROW} <= set(ours.kind.tolist())
    assert ours.to_bqm().is_almost_equal(theirs, places=9)
    assert theirs.num_interactions == len(ours.quadratic.bias)


def test_all_ways_are_measured():
    told = []
    rows = stating.measure(runs=2, nodes=60, requests=20, doing=told.append)
    assert [row.way for row in rows] == [
        "from_numpy_vectors",
        "from_numpy_vectors, row by row",
        "arrays",
        "arrays, without dimod",
        "dictionaries",
    ]
    size = stating.stated(stating.instance(60, 20))
    assert {(row.variables, row.couplers, row.runs) for row in rows} == {(len(size), len(size.quadratic.bias), 2)}
    assert rows[0].ratio == 1.0 and told[0] == "candidate routes" and told[-1] == "dictionaries, run 2 of 2"


def test_interrupted_before_all_had_a_turn_it_has_no_rows():
    interrupted = threading.Event()
    interrupted.set()
    assert stating.measure(runs=2, nodes=30, requests=5, interrupted=interrupted) == []
