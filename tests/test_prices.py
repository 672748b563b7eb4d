"""Bid prices: proven bounds that are nearly those of the relaxation; and method priced, which goes by them."""

from __future__ import annotations

import random
import threading

import numpy as np
import oracle
import pytest
from helpers import problem_of
from scipy.optimize import linprog
from test_lots import choices, dense, group_of

import qnroute as qn
from qnroute import generate, routes
from qnroute.allocation import Allocation, check
from qnroute.models import PathPacking
from qnroute.models.lots import instance_of, together
from qnroute.settings import Settings
from qnroute.solvers.highs import solve_matrix
from qnroute.solvers.priced import by_price, filled, priced
from qnroute.solvers.prices import prices_of

CLOSE = 1e-9


def documents(name, count, **more):
    rng = random.Random(name)
    limits = {"max_links": 12, "max_requests": 6, "max_total_routes": 12, **more}
    return [oracle.random_problem(rng, **limits) for _ in range(count)]


def network_problem(seed, *, objective="expected-pairs", count=12):
    """Sixteen nodes with room for some of what is asked for."""
    limits = [{"memory": (2, 6)}, {"channels": (1, 3), "memory": 6}, {"channels": (1, 2)}][seed % 3]
    network = generate.waxman(16, 0.5, 0.4, seed=seed, p=(0.3, 0.95), fidelity=(0.9, 0.99), swap=0.95, **limits)
    asked = generate.requests(network, count, seed=seed, weight=(0.5, 2.0), routes=(1, 2), min_fidelity=(0.4, 0.8))
    return qn.Problem(network, asked, objective=objective, rules={"degree": 4} if seed % 4 == 0 else None)


def networks(count):
    kinds = "expected-pairs", qn.Objective("log-success", 4.0), "expected-pairs", "link-sum"
    for seed in range(count):
        problem = network_problem(seed, objective=kinds[seed % 4])
        yield problem.replace(rules={"max_hops": 4}) if problem.objective.kind == "link-sum" else problem


def relaxation_value(lot):
    """The optimum of the linear relaxation over the items."""
    uses = np.vstack([dense(lot), group_of(lot) == np.arange(len(lot.most))[:, None]])
    found = linprog(-lot.value, A_ub=uses, b_ub=np.concatenate([lot.capacity, lot.most]), bounds=(0, 1))
    assert found.success
    return -found.fun


def gains(lot, price):
    """What each group's best items gain at these prices, all told."""
    reduced, total = lot.value - dense(lot).T @ price, float(lot.capacity @ price)
    for k, most in enumerate(lot.most):
        best = np.sort(reduced[lot.first[k] : lot.first[k + 1]])[::-1][:most]
        total += best[best > 0.0].sum()
    return total


# --- prices ---


def test_bounds_are_never_below_the_best_choice_of_items():
    """All choices of items of small problems, at prices good and bad."""
    tight, loose = 0, 0
    for document in documents("brute force", 150, max_requests=4):
        lot = instance_of(problem_of(document), per_request=3).lot
        if len(lot.value) > 11:
            continue
        taken = choices(len(lot.value))
        in_group = (group_of(lot)[:, None] == np.arange(len(lot.most))).astype(float)
        keeps = (taken @ dense(lot).T <= lot.capacity).all(axis=1) & (taken @ in_group <= lot.most).all(axis=1)
        best = (taken @ lot.value)[keeps].max()
        for rounds in (1, 7, 200):
            bound = prices_of(lot, rounds=rounds).bound[0]
            assert bound >= best * (1.0 - 1e-12)
            tight, loose = tight + (bound < best * 1.001 + CLOSE), loose + (bound > best * 1.1 + CLOSE)
    assert tight > 100 and loose > 10


def test_bounds_are_never_below_what_an_integer_solver_finds():
    below = 0
    for problem in networks(12):
        instance = instance_of(problem)
        best = solve_matrix(PathPacking(problem, instance.table).matrix, Settings())
        found = float(PathPacking(problem, instance.table).matrix.cost @ best.values)
        bound = prices_of(instance.lot).bound[0]
        assert found > 0.0 and bound >= found * (1.0 - CLOSE)
        below += found < 0.999 * bound
    assert below > 3


def test_bounds_are_within_a_percent_of_the_relaxation():
    for problem in networks(24):
        lot = instance_of(problem).lot
        relaxed = relaxation_value(lot)
        assert relaxed * (1.0 - CLOSE) <= prices_of(lot).bound[0] <= 1.01 * relaxed
        assert len(lot.capacity) > 2


def test_more_rounds_never_give_worse_bounds():
    lots = together([instance_of(problem).lot for problem in networks(8)])
    bounds = np.array([prices_of(lots, rounds=rounds).bound for rounds in (1, 2, 5, 20, 100, 400)])
    assert (np.diff(bounds, axis=0) <= 0.0).all() and (bounds[-1] < 0.95 * bounds[0]).sum() >= 4


def test_bounds_with_the_rest_are_never_below_the_optimum():
    """With two candidates of each request, and with one, though requests may have more routes than that."""
    added = 0
    for document in documents("rest", 150, max_total_routes=9):
        problem, best = problem_of(document), oracle.optimum(document)[0]
        for per_request in (1, 2):
            instance = instance_of(problem, per_request=per_request)
            prices = prices_of(instance.lot)
            bound = prices.with_rest(instance.lot)[0] + instance.beyond
            assert bound >= best * (1.0 - CLOSE)
            added += best > prices.bound[0] + 1e-6
    assert added > 30
    for problem in networks(8):
        instance = instance_of(problem, per_request=2)
        bound = prices_of(instance.lot).with_rest(instance.lot)[0] + instance.beyond
        assert bound >= qn.solve(problem, "path-packing").objective * (1.0 - CLOSE)


def test_with_all_routes_listed_the_rest_adds_nothing_but_copies():
    for document in documents("all listed", 60, max_total_routes=1):
        lot = instance_of(problem_of(document), per_request=1000).lot
        prices = prices_of(lot)
        assert (lot.most <= 1).all()
        assert prices.with_rest(lot)[0] == pytest.approx(prices.bound[0], abs=1e-9)


def test_what_prices_say_hangs_together():
    for number, problem in enumerate([*networks(6), *map(problem_of, documents("together", 60))]):
        lot = instance_of(problem).lot
        prices = prices_of(lot, rounds=(1, 3, 30, 200)[number % 4])
        assert (prices.price >= 0.0).all()
        assert prices.reduced == pytest.approx(lot.value - dense(lot).T @ prices.price, abs=1e-12)
        assert prices.bound[0] == pytest.approx(gains(lot, prices.price), rel=1e-12, abs=1e-12)
        assert (prices.chosen >= 0.0).all() and (prices.chosen <= 1.0).all()
        assert (np.bincount(group_of(lot), prices.chosen, len(lot.most)) <= lot.most + 1e-12).all()


def test_the_choices_are_nearly_a_solution_of_the_relaxation():
    worth, over = [], []
    for problem in networks(12):
        lot = instance_of(problem).lot
        chosen = prices_of(lot).chosen
        worth.append(chosen @ lot.value / relaxation_value(lot))
        over.append((dense(lot) @ chosen / lot.capacity).max())
    assert min(worth) > 0.98 and max(worth) < 1.02 and max(over) < 1.25 and np.mean(over) < 1.05


def test_prices_by_hand():
    """Two requests want one channel, worth 0.8 and 0.5: any price between proves 0.8."""
    network = qn.Network([{"id": "a"}, {"id": "b"}], [{"source": "a", "target": "b", "p": 1.0}])
    asked = [{"id": f"r{k}", "source": "a", "target": "b", "weight": weight} for k, weight in enumerate((0.8, 0.5))]
    lot = instance_of(qn.Problem(network, asked)).lot
    first, prices = prices_of(lot, rounds=1), prices_of(lot)
    assert (first.bound.tolist(), first.price.tolist(), first.chosen.tolist()) == ([1.3], [0.0], [1.0, 1.0])
    assert prices.bound == pytest.approx([0.8]) and 0.5 - CLOSE <= prices.price[0] <= 0.8 + CLOSE
    assert prices.reduced == pytest.approx([0.8 - prices.price[0], 0.5 - prices.price[0]])
    assert prices.chosen[0] == 1.0 and prices.chosen[1] < 0.1


def descent(lot, rounds):
    """The subgradient method for one instance, in plain Python: best price and bound, and the mean choice."""
    rows, uses = range(len(lot.capacity)), [[] for _ in lot.value]
    for j in range(len(lot.value)):
        for i in range(lot.indptr[j], lot.indptr[j + 1]):
            uses[j].append((int(lot.row[i]), float(lot.amount[i])))
    price, best, bound, stuck, step = (
        [0.0 for _ in rows],
        [0.0 for _ in rows],
        float("inf"),
        0,
        0.1 * float(lot.unit[0]),
    )
    chosen, weight = [0.0] * len(uses), 0.0
    for turn in range(rounds):
        left = lot.capacity.tolist()
        total = sum(price[r] * left[r] for r in rows)
        weight += turn + 1
        for k in range(len(lot.most)):
            worth = {}
            for j in range(lot.first[k], lot.first[k + 1]):
                worth[j] = float(lot.value[j])
                for r, amount in uses[j]:
                    worth[j] -= amount * price[r]
            taken = sorted((j for j in worth if worth[j] > 0.0), key=lambda j: -worth[j])[: lot.most[k]]
            total += sum(worth[j] for j in taken)
            for j in taken:
                chosen[j] += turn + 1
                for r, amount in uses[j]:
                    left[r] -= amount
        if total < bound * (1.0 - 1e-12):
            best, bound, stuck = list(price), total, 0
        else:
            stuck += 1
            if stuck == 10:
                step, stuck = 0.7 * step, 0
        price = [max(price[r] - step * left[r] / (1.0 + 0.02 * turn), 0.0) for r in rows]
    return best, bound, [share / weight for share in chosen]


def test_the_plain_twin_goes_down_the_same_way():
    moved = 0
    for number, problem in enumerate([*networks(4), *map(problem_of, documents("twin", 40))]):
        lot, rounds = instance_of(problem, per_request=5).lot, (1, 2, 40, 150)[number % 4]
        price, bound, chosen = descent(lot, rounds)
        prices = prices_of(lot, rounds=rounds)
        assert prices.price == pytest.approx(price, abs=1e-9)
        assert prices.chosen == pytest.approx(chosen, abs=1e-9)
        assert prices.bound == pytest.approx([bound], abs=1e-9)
        moved += any(price)
    assert moved > 10


def test_lots_together_have_the_prices_of_each_alone():
    lots = [instance_of(problem).lot for problem in [*networks(3), *map(problem_of, documents("alone", 12))]]
    lots.insert(2, instance_of(qn.Problem(generate.grid(2, 2, p=0.5), [])).lot)
    whole, alone = prices_of(together(lots)), [prices_of(lot) for lot in lots]
    for name in ("price", "chosen", "reduced", "bound"):
        assert np.array_equal(getattr(whole, name), np.concatenate([getattr(prices, name) for prices in alone]))
    rest = [prices.with_rest(lot)[0] for prices, lot in zip(alone, lots)]
    assert whole.with_rest(together(lots)) == pytest.approx(rest, rel=1e-12) and rest[2] == 0.0


def test_without_rounds_nothing_is_chosen_and_nothing_proven():
    lot = instance_of(network_problem(1)).lot
    prices = prices_of(lot, rounds=0)
    assert not prices.price.any() and not prices.chosen.any() and prices.bound.tolist() == [np.inf]
    assert prices.reduced.tolist() == lot.value.tolist()
    one = prices_of(lot, rounds=1)
    assert not one.price.any() and set(one.chosen.tolist()) == {0.0, 1.0}
    assert one.bound[0] == pytest.approx(gains(lot, one.price))


def test_a_lot_without_items_has_no_prices():
    lot = instance_of(qn.Problem(generate.grid(2, 2, p=0.5), [])).lot
    for rounds in (1, 50):
        prices = prices_of(lot, rounds=rounds)
        assert prices.bound.tolist() == prices.with_rest(lot).tolist() == [0.0]
        assert not prices.price.size and not prices.chosen.size and not prices.reduced.size


# --- priced ---


def test_priced_keeps_every_rule_and_its_bound_is_proven():
    optimal, short, far = 0, 0, 0
    for number, document in enumerate(documents("priced", 150)):
        best, _ = oracle.optimum(document)
        candidates, rounds = ((20, 200), (1, 200), (2, 5), (20, 1))[number % 4]
        result = qn.solve(problem_of(document), "priced", candidates=candidates, rounds=rounds)
        assert oracle.violations(document, result.to_dict()) == [] and not result.remarks
        assert 0.0 <= result.objective <= best + CLOSE and best <= result.bound * (1.0 + CLOSE) + CLOSE
        assert result.status in ("optimal", "feasible")
        if result.status == "optimal":
            assert result.objective == pytest.approx(best, rel=1e-6)
        optimal, short = optimal + (result.status == "optimal"), short + (result.objective < best - 1e-6)
        far += result.bound > 1.2 * best
    assert optimal > 30 and short > 5 and far > 5


def test_one_candidate_proves_nothing_of_a_request_that_may_have_many_routes():
    """All three ways are used by the optimum, though one alone is a candidate."""
    ends = ("ab", "ac", "cb", "ad", "db")
    network = qn.Network([{"id": v} for v in "abcd"], [{"source": u, "target": v, "p": 0.9} for u, v in ends])
    problem = qn.Problem(network, [{"id": "r", "source": "a", "target": "b", "routes": 3}])
    result = qn.solve(problem, "priced", candidates=1, proposals=0)
    assert (result.objective, result.status) == (pytest.approx(0.9), "feasible")
    assert result.bound >= 0.9 + 2 * 0.81
    assert qn.solve(problem, "priced", candidates=3).objective == pytest.approx(2.52)


def test_priced_on_networks_is_near_its_bound_and_above_density():
    shares, ratio = [], []
    for problem in networks(12):
        result = qn.solve(problem, "priced")
        check(problem, result.allocation)
        assert result.objective <= result.bound and result.bound >= qn.solve(problem, "path-packing").objective
        shares.append(result.objective / result.bound)
        ratio.append(result.objective / qn.solve(problem, "density-greedy").objective)
    assert len(ratio) == 12 and np.mean(shares) > 0.8 and np.mean(ratio) > 1.0


def test_priced_gives_the_same_answer_twice():
    for problem in networks(4):
        one, other = (qn.solve(problem, "priced", seed=seed) for seed in (1, 2))
        assert (one.allocation, one.objective, one.bound) == (other.allocation, other.objective, other.bound)


@pytest.mark.parametrize("objective", ["expected-pairs", "log-success", "link-sum"])
def test_priced_without_anything_to_choose(objective):
    apart = qn.Network([{"id": v} for v in "abc"], [{"source": "a", "target": "b", "p": 0.5}])
    for asked in ([], [{"id": "r", "source": "a", "target": "c"}]):
        result = qn.solve(qn.Problem(apart, asked, objective=objective), "priced")
        assert (result.allocation, result.objective, result.bound) == (Allocation(), 0.0, 0.0)
        assert result.status == "optimal"


def test_priced_takes_several_routes_of_a_request_and_a_path_twice():
    links = [{"source": "a", "target": "b", "p": 0.9, "channels": 2}, {"source": "a", "target": "c", "p": 0.8},
             {"source": "c", "target": "b", "p": 0.8}]  # fmt: skip
    network = qn.Network([{"id": v} for v in "abc"], links)
    result = qn.solve(qn.Problem(network, [{"id": "r", "source": "a", "target": "b", "routes": 5}]), "priced")
    assert [route.nodes for route in result.allocation.routes] == [("a", "b")] * 2 + [("a", "c", "b")]
    assert result.objective == pytest.approx(2.44) and result.bound >= 2.44


def test_prices_see_what_greedy_does_not():
    """A route of three links worth 0.729 shuts out three links worth 0.6 each, at 0.6 / 1 < 0.729 / 1 of greedy."""
    ends = [("a", "b"), ("b", "c"), ("c", "d")]
    network = qn.Network([{"id": v} for v in "abcd"], [{"source": u, "target": v, "p": 0.9} for u, v in ends])
    asked = [{"id": "long", "source": "a", "target": "d", "weight": 2.0}]
    asked += [{"id": u + v, "source": u, "target": v, "weight": 0.8} for u, v in ends]
    problem = qn.Problem(network, asked)
    assert (
        qn.solve(problem, "greedy").objective == qn.solve(problem, "density-greedy").objective == pytest.approx(1.458)
    )
    result = qn.solve(problem, "priced")
    assert result.objective == pytest.approx(2.16) and result.status == "optimal"


def test_items_are_taken_from_the_highest_rank_down_while_they_fit():
    for number, problem in enumerate([*networks(3), *map(problem_of, documents("filled", 40))]):
        lot = instance_of(problem).lot
        rank = np.random.default_rng(number).integers(0, 4, len(lot.value)).astype(float)
        left, more = lot.capacity.copy(), lot.most.copy()
        group, uses, expected = group_of(lot), dense(lot), []
        for j in sorted(range(len(rank)), key=lambda j: -rank[j]):
            if more[group[j]] and (left >= uses[:, j]).all():
                left, expected = left - uses[:, j], [*expected, j]
                more[group[j]] -= 1
        assert np.flatnonzero(filled(lot, rank)).tolist() == sorted(expected)
        prices = prices_of(lot)
        rank = by_price(lot, prices)
        assert rank == pytest.approx((prices.chosen + 1e-3) * lot.value * lot.facts[:, 2] ** -0.5)
    lots = [instance_of(problem).lot for problem in networks(4)]
    ranks = [np.random.default_rng(seed).random(len(lot.value)) for seed, lot in enumerate(lots)]
    alone = np.concatenate([filled(lot, rank) for lot, rank in zip(lots, ranks)])
    assert np.array_equal(filled(together(lots), np.concatenate(ranks)), alone)


def test_priced_stops_searching_when_told_and_its_bound_still_holds(monkeypatch):
    problem = network_problem(2)
    search, searched, ended = routes.cheapest_paths, [], threading.Event()

    def counted(*arguments, **limits):
        searched.append(1)
        if len(searched) == 5:
            ended.set()
        return search(*arguments, **limits)

    monkeypatch.setattr(routes, "cheapest_paths", counted)
    answer = priced(problem, Settings(interrupted=ended))
    assert len(searched) == 5 and answer.stopped == "interrupted"
    check(problem, answer.allocation)
    monkeypatch.undo()
    best = qn.solve(problem, "path-packing").objective
    assert len(answer.allocation.routes) > 0 and answer.bound >= best
    late = qn.solve(problem, "priced", time_limit=0.0)
    assert late.status == "time-limit" and late.allocation == Allocation() and late.bound >= best


def test_links_are_not_priced():
    problem = qn.Problem(generate.grid(2, 2, p=0.5), [], task="link-selection")
    with pytest.raises(qn.SolverError, match="method priced does not solve the task link-selection"):
        qn.solve(problem, "priced")
