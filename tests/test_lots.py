"""Lots say what the problem says, once for each use of a route, and lead back to it."""

from __future__ import annotations

import random

import numpy as np
import oracle
import pytest
from helpers import problem_of
from routing_twin import Choice

import qnroute as qn
from qnroute import generate
from qnroute.allocation import Allocation, check, value
from qnroute.errors import ProblemError
from qnroute.models import PathPacking
from qnroute.models.lots import FACTS, instance_of, together
from qnroute.routes import enumerate_routes
from qnroute.solvers.priced import filled


def documents(name, count):
    rng = random.Random(name)
    return [oracle.random_problem(rng, max_links=12, max_requests=6, max_total_routes=12) for _ in range(count)]


def dense(lot):
    """(R, J) what items use of rows."""
    uses = np.zeros((len(lot.capacity), len(lot.value)))
    item = np.repeat(np.arange(len(lot.value)), np.diff(lot.indptr))
    np.add.at(uses, (lot.row, item), lot.amount)
    return uses


def group_of(lot):
    return np.repeat(np.arange(len(lot.most)), np.diff(lot.first))


def choices(count):
    """(2^count, count) all subsets."""
    return (np.arange(2**count)[:, None] >> np.arange(count) & 1).astype(float)


def test_the_arrays_are_the_rows_of_the_path_packing():
    """Divided by what the numbers of a row have in common, without the rows that all items fit in."""
    bound, shared = 0, 0
    for document in documents("packing", 80):
        problem = problem_of(document)
        instance = instance_of(problem, per_request=5)
        lot, table = instance.lot, instance.table
        model = PathPacking(problem, enumerate_routes(problem, per_request=5))
        matrix, group = model.matrix, group_of(lot)
        assert lot.value.tolist() == matrix.cost[instance.column].tolist()
        request = table.request[instance.column]
        assert np.array_equal(np.unique(request, return_inverse=True)[1], group)
        assert lot.most.tolist() == np.minimum(problem.most_routes[np.unique(request)], len(lot.value)).tolist()
        a, expected = matrix.a.toarray()[:, instance.column], []
        for amounts, most in zip(a[len(problem.requests) :], matrix.row_upper[len(problem.requests) :]):
            common = max(np.gcd.reduce(amounts.astype(int)), 1) if len(amounts) else 1
            amounts, most = amounts / common, most // common
            if amounts.sum() > most:
                expected.append([*amounts, most])
        assert np.column_stack([dense(lot), lot.capacity]).tolist() == expected
        bound, shared = bound + len(expected), shared + (dense(lot) > 1.0).any()
    assert bound > 50 and shared > 10


def test_the_arrays_say_what_the_routes_say():
    """Against the twin, which counts channels, qubits and degrees by itself."""
    for document in documents("routes", 80):
        choice, lot = Choice(problem_of(document), per_request=4), instance_of(problem_of(document), per_request=4).lot
        places = choice.places()
        assert lot.capacity.tolist() == [choice.room[place] for place in places]
        assert (lot.most.tolist(), lot.rest.tolist()) == (choice.most, choice.rest)
        assert np.diff(lot.first).tolist() == list(map(len, choice.groups))
        assert lot.unit.tolist() == [pytest.approx(choice.unit)] and lot.size == 1
        for j, item in enumerate(choice.items):
            uses = slice(lot.indptr[j], lot.indptr[j + 1])
            assert {places[r]: a for r, a in zip(lot.row[uses], lot.amount[uses])} == item.uses
            assert lot.value[j] == pytest.approx(item.value, rel=1e-12)
            assert lot.facts[j, :3] == pytest.approx([item.success, item.fidelity, item.hops], rel=1e-9)


def test_items_are_as_many_as_fit_alone_and_the_best_come_first():
    for document in documents("alone", 60):
        problem = problem_of(document)
        instance = instance_of(problem)
        lot, group = instance.lot, group_of(instance.lot)
        room = oracle._capacities(document)
        times = np.bincount(instance.column, minlength=len(instance.table))
        for j in range(len(instance.table)):
            route = instance.table.route(j)
            uses = oracle._uses(route.nodes)
            alone = [room[place] // amount for place, amount in uses.items() if place in room]
            assert times[j] == min([*alone, problem.requests[instance.table.request[j]].routes])
        assert (np.diff(lot.value)[np.diff(group) == 0] <= 0.0).all() and (lot.value > 0.0).all()


def star(**request):
    """Request r from a to d by b, which has five qubits, on one channel each, or by c; request s from a to b."""
    nodes = [{"id": "a"}, {"id": "b", "memory": 5, "swap": 0.5}, {"id": "c"}, {"id": "d"}]
    ends = {"ab": (0.9, 0.97, 3), "bd": (0.8, 1.0, 2), "ac": (0.5, 0.9, 1), "cd": (0.6, 0.9, 1)}
    links = [{"source": u, "target": v, "p": p, "fidelity": f, "channels": c} for (u, v), (p, f, c) in ends.items()]
    asked = [{"id": "r", "source": "a", "target": "d", "routes": 2, "weight": 2.0, **request},
             {"id": "s", "source": "a", "target": "b", "routes": 3}]  # fmt: skip
    return qn.Problem(qn.Network(nodes, links), asked, rules={"max_hops": 2})


def test_a_lot_by_hand():
    """r: a-b-d twice for 2 * 0.36, a-c-d once for 2 * 0.3; s: a-b three times; the two compete at a-b and at b."""
    instance = instance_of(star())
    lot = instance.lot
    assert [part.tolist() for part in (lot.items, lot.groups, lot.rows, lot.first)] == [
        [0, 6],
        [0, 2],
        [0, 2],
        [0, 3, 6],
    ]
    assert lot.value.tolist() == pytest.approx([0.72, 0.72, 0.6, 0.9, 0.9, 0.9])
    assert (lot.most.tolist(), lot.rest.tolist()) == ([2, 3], [0.0, 0.0])
    assert lot.capacity.tolist() == [3.0, 5.0] and lot.unit.tolist() == pytest.approx([0.81])
    assert dense(lot).tolist() == [[1, 1, 0, 1, 1, 1], [2, 2, 0, 1, 1, 1]]
    assert FACTS[:3] == ("success", "fidelity", "hops")
    werner = (4 * 0.9 - 1) / 3
    facts = [[0.36, 0.97, 2]] * 2 + [[0.3, (1 + 3 * werner**2) / 4, 2]] + [[0.9, 0.97, 1]] * 3
    assert lot.facts[:, :3] == pytest.approx(np.array(facts))
    used = instance.allocation(np.array([True, False, True, False, True, True]))
    assert [(route.request, "".join(route.nodes)) for route in used.routes] == [
        ("r", "abd"), ("r", "acd"), ("s", "ab"), ("s", "ab")]  # fmt: skip


def test_what_is_not_listed_is_in_rest_or_beyond():
    few = instance_of(star(), per_request=1)
    assert few.lot.rest.tolist() == pytest.approx([0.6, 0.0]) and few.beyond == 0.0
    wide = qn.Network([{"id": v} for v in "abcde"], [
        {"source": u, "target": v, "p": 0.9} for u, v in ("ab", "ac", "cb", "ad", "db", "ae", "eb")
    ])  # fmt: skip
    lone = instance_of(qn.Problem(wide, [{"id": "r", "source": "a", "target": "b", "routes": 9}]), per_request=2)
    assert lone.lot.most.tolist() == [2] and lone.lot.rest.tolist() == pytest.approx([0.81])
    assert lone.beyond == pytest.approx(7 * 0.81)
    for document in documents("rest", 60):
        problem, all_routes = problem_of(document), instance_of(problem_of(document), per_request=1000)
        best = oracle.optimum(document)[0]
        assert all_routes.beyond == 0.0 and not all_routes.lot.rest.any()
        for count in (1, 2):
            instance = instance_of(problem, per_request=count)
            lot, table = instance.lot, all_routes.table
            rank = np.arange(len(table)) - np.searchsorted(table.request, table.request)
            rest = np.zeros(len(problem.requests))
            rest[np.unique(instance.table.request[instance.column])] = lot.rest
            unlisted = (rank >= count) & np.isin(table.request, instance.table.request[instance.column])
            assert (table.value[unlisted] <= rest[table.request[unlisted]] + 1e-12).all()
            whole = instance.beyond + (np.maximum(lot.value[lot.first[:-1]], lot.rest) * lot.most).sum()
            assert whole >= best - 1e-9


def test_allocation_gives_back_what_was_taken():
    rng, several = np.random.default_rng(0), 0
    for document in documents("back", 60):
        problem = problem_of(document)
        instance = instance_of(problem)
        for _ in range(3):
            taken = filled(instance.lot, rng.random(len(instance.lot.value)))
            allocation = instance.allocation(taken)
            check(problem, allocation)
            assert value(problem, allocation) == pytest.approx(instance.lot.value[taken].sum(), abs=1e-12)
            assert len(allocation.routes) == taken.sum()
            several += len(set(allocation.routes)) < len(allocation.routes)
        assert instance.allocation(np.zeros(len(taken), dtype=bool)) == Allocation()
    assert several > 5


def test_any_choice_of_items_is_an_allocation_if_and_only_if_it_fits_the_rows():
    fit, full = 0, 0
    for document in documents("iff", 60):
        problem = problem_of(document)
        instance = instance_of(problem, per_request=2)
        lot = instance.lot
        if len(lot.value) > 7:
            continue
        groups = (group_of(lot) == np.arange(len(lot.most))[:, None]).astype(float)
        for taken in choices(len(lot.value)):
            keeps = (dense(lot) @ taken <= lot.capacity).all() and (groups @ taken <= lot.most).all()
            fit, full = fit + keeps, full + (not keeps)
            if keeps:
                check(problem, instance.allocation(taken > 0))
            else:
                with pytest.raises(qn.InfeasibleAllocation):
                    check(problem, instance.allocation(taken > 0))
    assert fit > 100 and full > 100


def test_several_lots_are_one_after_the_other():
    lots = [instance_of(problem_of(document)).lot for document in documents("together", 12)]
    empty = instance_of(qn.Problem(generate.grid(2, 2, p=0.5), [])).lot
    lots = [empty, *lots[:6], empty, empty, *lots[6:], empty]
    whole = together(lots)
    assert whole.size == len(lots) == 16
    for b, lot in enumerate(lots):
        items, groups, rows = (slice(part[b], part[b + 1]) for part in (whole.items, whole.groups, whole.rows))
        for name, part in {"value": items, "facts": items, "most": groups, "rest": groups, "capacity": rows}.items():
            assert np.array_equal(getattr(whole, name)[part], getattr(lot, name))
        first = whole.first[groups.start : groups.stop + 1] - items.start
        indptr = whole.indptr[items.start : items.stop + 1]
        assert (first.tolist(), (indptr - indptr[0]).tolist()) == (lot.first.tolist(), lot.indptr.tolist())
        assert (whole.row[indptr[0] : indptr[-1]] - rows.start).tolist() == lot.row.tolist()
        assert whole.amount[indptr[0] : indptr[-1]].tolist() == lot.amount.tolist()
        assert whole.unit[b] == lot.unit[0]
    for one, other in zip(together([together(lots[:5]), together(lots[5:])]), whole):
        assert np.array_equal(one, other) and one.dtype == other.dtype


def test_a_lot_without_items():
    apart = qn.Network([{"id": v} for v in "abc"], [{"source": "a", "target": "b", "p": 0.5}])
    for problem in (
        qn.Problem(apart, []),
        qn.Problem(apart, [{"id": "r", "source": "a", "target": "c"}]),
        qn.Problem(apart.replace(memory=0), [{"id": "r", "source": "a", "target": "b"}]),
    ):
        instance = instance_of(problem)
        lot = instance.lot
        assert [part.tolist() for part in (lot.items, lot.groups, lot.rows)] == [[0, 0]] * 3
        assert lot.first.tolist() == lot.indptr.tolist() == [0] and lot.facts.shape == (0, len(FACTS))
        assert lot.unit.tolist() == [1.0] and instance.beyond == 0.0
        assert instance.allocation(np.zeros(0, dtype=bool)) == Allocation()


def test_links_are_no_routes():
    problem = qn.Problem(generate.grid(2, 2, p=0.5), [], task="link-selection")
    with pytest.raises(ProblemError, match="task: found link-selection, expected allocation"):
        instance_of(problem)
