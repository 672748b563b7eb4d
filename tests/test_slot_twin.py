"""The twin of the slot simulator: each rule of docs/simulation.md once by hand, conservation, and exact answers."""

from __future__ import annotations

import math
from collections import Counter

import closed_forms
import numpy as np
import pytest
import slot_twin
from slot_twin import Refused, Twin, highest_fidelity, luck, random_case, reactive, run, shortest_path, spep

from qnroute import fidelity as algebra

EXPIRED, HELD_EXPIRED, MADE, ARRIVED, USED, SERVED, SERVED_HELD, SWAP_FAILED, HELD, DROPPED = range(10)
GENERATE, SWAP = 0, 1
LINE = [(0, 1), (1, 2), (2, 3)]


def twin_of(links, **changes):
    """Everything succeeds, nothing is limited, nobody asks, unless changed."""
    n = 1 + max(max(ends) for ends in links)
    usual = {
        "channels": [1] * len(links), "p": [[1.0] * len(links)], "fidelity": [1.0] * len(links), "memory": [None] * n,
        "swap": [1.0] * n, "decay": 0.96, "lifetime": 15, "min_fidelity": 0.0, "model": "werner", "demand": [],
        "held": 8, "seed": 7,
    }  # fmt: skip
    return Twin(links=links, **{**usual, **changes})


def once(m):
    """Epochs in which each link succeeds in slot 0 and never again."""
    return [[1.0] * m, [0.0] * m]


def wants(source, target, arrival=0, deadline=99, floor=0.0, weight=1.0):
    return (source, target, arrival, deadline, floor, weight)


def idle(twin, slots=1):
    return run(twin, lambda _: None, slots)


def rows(events, *kinds):
    """(slot, a, b, c) of the events of some kinds."""
    return [(slot, a, b, c) for slot, event, a, b, c, _ in events if event in kinds]


# --- luck ---


def test_mix_is_the_finalizer_of_splitmix64():
    first = (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F)  # its published outputs from state 0
    assert tuple(slot_twin.mix(i * slot_twin.GOLDEN & slot_twin.WORD) for i in (1, 2, 3)) == first


def test_luck_is_even_and_each_argument_counts():
    drawn = [luck(s, k, t, e, c) for s in (0, 2**64 - 1) for k in (0, 1) for t in range(25) for e in range(25)
             for c in range(4)]  # fmt: skip
    assert len(set(drawn)) == len(drawn) == 10_000
    assert 0.0 <= min(drawn) and max(drawn) < 1.0
    counts = Counter(int(u * 20) for u in drawn)
    assert sum((counts[i] - 500) ** 2 / 500 for i in range(20)) < 52.4  # chi-square, 19 degrees, 1 - 6e-5


# --- expiry, generation, arrivals ---


def test_a_pair_is_kept_up_to_its_lifetime():
    events = idle(twin_of([(0, 1)], p=once(1), lifetime=3), 6)
    assert [event[:5] for event in events] == [(0, MADE, 0, -1, -1), (4, EXPIRED, 0, 4, -1)]
    assert events[0][5] == 1.0 and events[1][5] == pytest.approx((1 + 3 * 0.96**4) / 4)


@pytest.mark.parametrize(("model", "least"), [("werner", 0.625), ("printed", 0.5)])  # of age 1
def test_a_pair_is_kept_down_to_the_least_fidelity(model, least):
    for excess, age in ((-1e-6, 2), (0.0, 2), (0.9e-9, 2), (2e-9, 1)):
        events = idle(twin_of([(0, 1)], p=once(1), decay=0.5, model=model, min_fidelity=least + excess), 4)
        assert rows(events, EXPIRED) == [(age, 0, age, -1)]


def test_an_expired_channel_tries_in_the_same_slot_and_a_used_one_in_the_next():
    fleeting = idle(twin_of([(0, 1)], lifetime=0), 2)
    assert rows(fleeting, MADE, EXPIRED) == [(0, 0, -1, -1), (1, 0, 1, -1), (1, 0, -1, -1)]
    used = run(twin_of([(0, 1)], demand=[wants(0, 1), wants(1, 0)]), reactive, 2)
    assert [event[1] for event in used] == [MADE, ARRIVED, ARRIVED, USED, SERVED, MADE, USED, SERVED]


def test_links_take_turns_at_a_full_memory():
    star = twin_of([(1, 0), (0, 2), (3, 0)], lifetime=0, memory=[1, None, None, None])
    assert rows(idle(star, 5), MADE) == [(t, t % 3, -1, -1) for t in range(5)]
    wide = twin_of([(0, 1), (1, 2)], channels=[3, 2], memory=[None, 4, 1])
    assert rows(idle(wide), MADE) == [(0, c, -1, -1) for c in (0, 1, 2, 3)]
    assert [wide.qubits(node) for node in range(3)] == [3, 4, 1]
    assert rows(idle(twin_of([(0, 1)], memory=[0, None]), 3), MADE) == []


def test_the_true_p_follows_its_epochs_and_the_last_one_stays():
    twin = twin_of([(0, 1)], lifetime=0, p=[[1.0], [0.0], [1.0]], slots_per_epoch=2)
    assert [slot for slot, *_ in rows(idle(twin, 9), MADE)] == [0, 1, 4, 5, 6, 7, 8]


def test_generation_compares_luck_of_the_channel_within_its_link():
    twin = twin_of([(0, 1), (1, 2)], channels=[2, 3], p=[[0.5, 0.5]], lifetime=0, seed=11)
    expected = [(t, c) for t in range(40) for c, (e, k) in enumerate(twin.places) if luck(11, GENERATE, t, e, k) < 0.5]
    assert sorted((slot, channel) for slot, channel, _, _ in rows(idle(twin, 40), MADE)) == expected


def test_requests_join_at_the_end_and_leave_after_their_deadline():
    demand = [wants(0, 1, 0, 2), wants(0, 1, 0, 0), wants(1, 0, 1, 2), wants(0, 1, 2, 99, 0.25)]
    events = idle(twin_of([(0, 1)], p=[[0.0]], demand=demand), 4)
    assert rows(events, ARRIVED) == [(0, 0, -1, -1), (0, 1, -1, -1), (1, 2, -1, -1), (2, 3, -1, -1)]
    assert rows(events, DROPPED) == [(0, 1, -1, -1), (2, 0, -1, -1), (2, 2, -1, -1)]
    late = twin_of([(0, 1)], p=[[0.0], [0.0], [1.0]], demand=demand[:1])
    assert rows(run(late, reactive, 4), SERVED, DROPPED) == [(2, 0, 2, 1)]


# --- routes ---


@pytest.mark.parametrize("model", ["werner", "printed"])
def test_routes_are_worth_what_the_algebra_says(model):
    fresh = [0.95, 0.9, 0.97]
    twin = twin_of(LINE, fidelity=fresh, p=[[1, 0, 0], [0, 1, 0], [0, 0, 1]], model=model, demand=[wants(3, 0)])
    idle(twin, 2)
    twin.begin()
    decayed = algebra.decayed if model == "werner" else algebra.decayed_printed
    path = algebra.path_fidelity if model == "werner" else algebra.path_fidelity_printed
    pairs = [float(decayed(f, 0.96, age)) for f, age in zip(fresh, (2, 1, 0))]
    assert [twin.fidelity_of_pair(c) for c in range(3)] == pytest.approx(pairs, rel=1e-14)
    assert twin.serve(0, [2, 1, 0])
    *used, served = twin.events[-4:]
    assert [event[1:5] for event in used] == [(USED, 2, 0, 0), (USED, 1, 1, 1), (USED, 0, 2, 2)]
    assert [event[5] for event in used] == pytest.approx(pairs[::-1], rel=1e-14)
    assert served[:5] == (2, SERVED, 0, 2, 3) and served[5] == pytest.approx(path(pairs), rel=1e-14)


def test_a_failed_swap_loses_all_pairs_and_the_request_stays():
    demand = [wants(0, 3), wants(3, 0)]
    for swap, failed in (([1, 1, 0, 1], (2, 2)), ([1, 0, 0, 1], (1, 2)), ([1, 0, 1, 1], (1, 1))):
        twin = twin_of(LINE, swap=swap, demand=demand)
        for request, route in ((0, [0, 1, 2]), (1, [2, 1, 0])):
            twin.begin()
            assert not twin.serve(request, route)
            assert twin.events[-1][1:5] == (SWAP_FAILED, request, failed[request], 3)
            assert math.isnan(twin.events[-1][5])
            assert not twin.stored and twin.queue == [0, 1] and not rows(twin.events, SERVED)
            twin.finish()


def test_a_swap_has_the_luck_of_the_channel_on_the_source_side():
    for seed in range(20):
        first, second = (luck(seed, SWAP, 0, link, 1) for link in (0, 1))
        half = (first + second) / 2
        for request, channels, lucky in ((0, [1, 3], first), (1, [3, 1], second)):
            demand = [wants(0, 2), wants(2, 0)]
            twin = twin_of(LINE[:2], channels=[2, 2], swap=[0, half, 0], seed=seed, demand=demand)
            twin.begin()
            assert twin.serve(request, channels) == (lucky < half)


# --- held pairs ---


def test_a_held_pair_uses_memory_at_its_ends_only_decays_and_serves_either_way():
    twin = twin_of(LINE, fidelity=[0.9] * 3, memory=[1, 2, 2, 1], p=[[1.0] * 3], demand=[wants(3, 0, 2)])
    twin.begin()
    assert twin.preposition([0, 1, 2])
    made = algebra.path_fidelity([0.9] * 3)
    assert twin.events[-1][:5] == (0, HELD, 0, 0, 3) and twin.events[-1][5] == pytest.approx(made)
    assert [twin.qubits(node) for node in range(4)] == [1, 0, 0, 1]
    twin.finish()
    idle(twin)
    assert rows(twin.events, MADE)[3:] == [(1, 1, -1, -1)]  # both outer links have an end that is full
    twin.begin()
    twin.serve_held(0, 0)
    assert twin.events[-1][:5] == (2, SERVED_HELD, 0, 0, 0)
    assert twin.events[-1][5] == pytest.approx(float(algebra.decayed(made, 0.96, 2)))
    assert not twin.held and not twin.queue


@pytest.mark.parametrize("model", ["werner", "printed"])
def test_held_pairs_expire_by_age_and_by_fidelity(model):
    def held(**changes):
        twin = twin_of(LINE[:2], fidelity=[0.95, 0.9], p=once(2), model=model, **changes)
        twin.begin()
        assert twin.preposition([0, 1])
        twin.finish()
        return idle(twin, 10)

    quality = math.prod((4 * f - 1) / 3 if model == "werner" else (3 * f + 1) / 4 for f in (0.95, 0.9))
    worth = [(1 + 3 * quality * 0.96**a) / 4 if model == "werner" else quality * 0.96**a for a in range(6)]
    for events, age in ((held(lifetime=4), 5), (held(min_fidelity=worth[3]), 4), (held(min_fidelity=worth[0]), 1)):
        assert rows(events, HELD_EXPIRED) == [(age, 0, age, -1)]
        assert events[-1][5] == pytest.approx(worth[age], rel=1e-14)


def test_a_failed_preposition_holds_nothing_and_numbers_count_held_pairs():
    twin = twin_of(LINE[:2], swap=[1, 0, 1])
    twin.begin()
    assert not twin.preposition([0, 1])
    assert twin.events[-1][:5] == (0, SWAP_FAILED, -1, 1, 2) and not twin.held and not twin.stored
    twin.finish()
    twin.begin()
    assert twin.preposition([1]) and twin.preposition([0])
    assert list(twin.held) == [0, 1] and twin.held[0][:2] == (1, 2)


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (lambda twin: twin.serve(3, [0]), "request 3 is not in the queue"),
        (lambda twin: twin.serve(0, []), "no simple path"),
        (lambda twin: twin.serve(0, [0, 1]), "ends at node 2"),
        (lambda twin: twin.serve(0, [2, 1, 0]), "does not start at node 0"),
        (lambda twin: twin.serve(0, [0, 0]), "no simple path"),
        (lambda twin: twin.serve(0, [0, 3]), "channel 3 has no stored pair"),
        (lambda twin: twin.serve(1, [0, 1, 2]), "below the floor 0.9"),
        (lambda twin: twin.preposition([2, 1, 0]), "higher end to its lower"),
        (lambda twin: twin.preposition([0, 2]), "does not start"),
        (lambda twin: twin.preposition([0, 1]), "below the least 0.85"),
        (lambda twin: (twin.preposition([0]), twin.preposition([1])), "1 pairs are held already"),
        (lambda twin: twin.serve_held(0, 0), "pair 0 is not held"),
        (lambda twin: (twin.preposition([0]), twin.serve_held(0, 0)), "other nodes"),
        (lambda twin: (twin.preposition([0]), twin.serve_held(2, 0)), "below the floor 0.95"),
    ],
)
def test_what_breaks_a_rule_is_refused(decision, reason):
    demand = [wants(0, 3), wants(0, 3, floor=0.9), wants(1, 0, floor=0.95), wants(0, 1, 5)]
    twin = twin_of([*LINE, (0, 3)], p=[[1, 1, 1, 0]], fidelity=[0.9] * 4, min_fidelity=0.85, held=1, demand=demand)
    twin.begin()
    with pytest.raises(Refused, match=reason):
        decision(twin)
    assert len(rows(twin.events, USED)) == len(rows(twin.events, HELD)) and twin.queue == [0, 1, 2]


def test_floors_are_kept_within_the_tolerance():
    for excess, served in ((0.0, 1), (0.9e-9, 1), (2e-9, 0)):
        twin = twin_of([(0, 1)], fidelity=[0.9], demand=[wants(0, 1, floor=0.9 + excess)])
        assert len(rows(run(twin, reactive, 1), SERVED)) == served


# --- policies ---


def test_the_shortest_path_is_fixed_whatever_is_stored():
    detour = twin_of([*LINE[:2], (0, 2)], p=[[1, 1, 0]], demand=[wants(0, 2)])
    assert not rows(run(detour, shortest_path, 5), USED)
    square = [(0, 2), (1, 3), (0, 1), (2, 3)]  # two shortest routes: from 0 the first is by node 2, from 3 by node 1
    p = [[0, 1, 1, 0], [1, 1, 1, 1]]
    for ends, used in (((0, 3), [0, 3]), ((3, 0), [3, 0])):
        events = run(twin_of(square, p=p, demand=[wants(*ends)]), shortest_path, 2)
        assert rows(events, USED) == [(1, used[0], 0, 0), (1, used[1], 0, 1)]
    poor = twin_of(square, fidelity=[0.9, 1, 1, 1], demand=[wants(0, 3, floor=0.95)])
    assert not rows(run(poor, shortest_path, 2), USED)


def test_the_youngest_pair_of_a_link_is_used():
    twin = twin_of([(0, 1)], channels=[3], demand=[wants(0, 1, 0), wants(0, 1, 1), wants(0, 1, 1), wants(0, 1, 1)])
    assert [row[1] for row in rows(run(twin, reactive, 2), USED)] == [0, 0, 1, 2]
    twin = twin_of([(0, 1)], channels=[2], p=once(1), demand=[wants(0, 1)] * 3)
    assert [row[1] for row in rows(run(twin, shortest_path, 2), USED)] == [0, 1]


@pytest.mark.parametrize(
    ("policy", "floor", "used"),
    [(reactive, 0.0, [4]), (reactive, 0.8, [2, 3]), (reactive, 0.93, [0, 1, 5]), (reactive, 0.99, []),
     (highest_fidelity, 0.0, [0, 1, 5]), (highest_fidelity, 0.99, []), (shortest_path, 0.8, [])],
)  # fmt: skip
def test_which_route_each_policy_takes(policy, floor, used):
    # direct; by node 2, or worse by node 5, or worst by node 6; by nodes 1 and 4
    links = [(0, 1), (1, 4), (0, 2), (2, 3), (0, 3), (4, 3), (0, 5), (5, 3), (0, 6), (6, 3)]
    fresh = [0.99, 0.98, 0.93, 0.92, 0.75, 0.98, 0.92, 0.92, 0.91, 0.92]
    for order in (list(range(10)), [8, 9, 6, 7, 4, 5, 2, 3, 0, 1]):  # whatever is enumerated first
        twin = twin_of([links[i] for i in order], fidelity=[fresh[i] for i in order], demand=[wants(0, 3, floor=floor)])
        assert [order[row[1]] for row in rows(run(twin, policy, 1), USED)] == used


def test_the_heaviest_request_comes_first_then_the_order_of_the_queue():
    demand = [wants(0, 1), wants(0, 1, weight=3.0), wants(0, 1, weight=3.0)]
    for policy in (reactive, shortest_path, highest_fidelity):
        assert [row[1] for row in rows(run(twin_of([(0, 1)], demand=demand), policy, 3), SERVED)] == [1, 2, 0]


def held_by_spep(chances, slots=1, threshold=0.1, most_new=9, least=0.0, **changes):
    """Ends of what is held, or None for a failed swap, in their order."""
    twin = twin_of(LINE, fidelity=[0.9, 0.95, 0.9], **changes)
    events = run(twin, lambda now: spep(now, chances, threshold, most_new, least), slots)
    return [(low, high) if a >= 0 else None for _, a, low, high in rows(events, HELD, SWAP_FAILED)]


def test_spep_takes_candidates_by_their_score_and_each_pair_once():
    assert held_by_spep({(0, 2): 0.5, (1, 2): 0.5, (2, 3): 0.4, (0, 1): 0.1}) == [(1, 2), (2, 3)]  # 0.1: not above
    ends = {(0, 2): 0.6, (1, 2): 0.5, (2, 3): 0.5}
    assert held_by_spep(ends) == [(0, 2), (2, 3)]
    assert held_by_spep(ends, 3, most_new=1) == [(0, 2), (1, 2), (2, 3)]
    assert held_by_spep(ends, 3, held=2) == [(0, 2), (2, 3)]
    assert held_by_spep(ends, 3, held=0) == []
    assert held_by_spep(ends, 2, least=0.91) == held_by_spep(ends, 2, min_fidelity=0.91) == [(1, 2)]
    assert held_by_spep({(0, 2): 0.9, (2, 3): 0.5}, most_new=1, swap=[0] * 4) == [None]


def test_spep_serves_with_the_worst_held_pair_that_will_do_else_reactively():
    twin = twin_of([(0, 1)], fidelity=[0.9], decay=1.0, held=3)
    twin.begin()
    twin.held = {number: (0, 1, quality, 0) for number, quality in enumerate((0.9, 0.7, 0.8))}
    worth = [twin.fidelity_of_held(number) for number in range(3)]
    twin.demand[:] = [wants(1, 0, floor=floor) for floor in (worth[2], 0.0, worth[0], 0.89)]
    twin.queue = [0, 1, 2, 3]
    spep(twin, {(0, 1): 1.0}, 0.1, 9, 0.0)
    served = [(event, a, c if event == SERVED_HELD else -1) for _, event, a, _, c, _ in twin.events if event in (5, 6)]
    assert served == [(SERVED_HELD, 0, 2), (SERVED_HELD, 1, 1), (SERVED_HELD, 2, 0), (SERVED, 3, -1)]


# --- random runs ---


def always_spep(twin):
    n = len(twin.memory)
    spep(twin, {(u, v): (u + 1) / (v + 1) for v in range(n) for u in range(v)}, 0.3, 2, 0.6)


@pytest.mark.parametrize("policy", [shortest_path, reactive, highest_fidelity, always_spep])
def test_random_runs_conserve_pairs_and_requests(policy):
    seen = Counter()
    for seed in range(40):
        twin = Twin(**random_case(seed))
        for _ in range(80):
            twin.begin()
            assert all(limit is None or twin.qubits(node) <= limit for node, limit in enumerate(twin.memory))
            policy(twin)
            assert len(twin.held) <= twin.most_held
            twin.finish()
        count = Counter(event[1] for event in twin.events)
        assert count[MADE] == count[USED] + count[EXPIRED] + len(twin.stored)
        assert count[HELD] == count[SERVED_HELD] + count[HELD_EXPIRED] + len(twin.held)
        assert count[ARRIVED] == count[SERVED] + count[SERVED_HELD] + count[DROPPED] == len(twin.demand)
        joined = sum(event[4] for event in twin.events if event[1] in (SERVED, SWAP_FAILED))
        assert count[USED] - joined >= count[HELD]
        seen += count
    possible = set(range(10)) - (set() if policy is always_spep else {HELD, HELD_EXPIRED, SERVED_HELD})
    assert {event for event in seen if seen[event] > 20} == possible


def test_pairs_of_one_slot_are_the_same_under_every_policy():
    for seed in range(10):
        case = random_case(seed)
        case |= {"lifetime": 0, "memory": [None] * len(case["memory"])}
        made = [rows(run(Twin(**case), policy, 60), MADE) for policy in (shortest_path, reactive, highest_fidelity)]
        assert made[0] == made[1] == made[2]


# --- exact answers ---


def chain(p, swap, lifetime, seed, setting):
    links = [(i, i + 1) for i in range(len(p))]
    slots = setting.pop("slots")
    twin = twin_of(links, swap=[1.0, *swap, 1.0], lifetime=lifetime, seed=seed, **setting)
    return closed_forms.outcomes(run(twin, reactive, slots), len(twin.demand))


def test_closed_forms_agree_where_they_overlap():
    expected = closed_forms.memoryless([0.3, 0.5], [0.8], 4)
    assert closed_forms.from_empty([0.3, 0.5], [0.8], 0, 4, 3) == pytest.approx(expected)
    assert closed_forms.periodic([0.3, 0.5], [0.8], 0, 4, 7) == pytest.approx(expected)
    assert closed_forms.from_empty([0.2], [], 30, 6, 2) == pytest.approx(closed_forms.single_link(0.2, 6, 2))
    assert closed_forms.single_link(0.2, 6, 0)[0] == pytest.approx(1 - 0.8**7)
    assert closed_forms.from_empty([0.5, 0.5], [1.0], 1, 1, 0)[0] == pytest.approx(1 / 4 + 3 / 4 * 5 / 12)


@pytest.mark.parametrize(
    ("p", "swap", "patience"), [([0.15], [], 7), ([0.4, 0.6], [0.7], 5), ([0.7] * 3, [0.9, 0.9], 4)]
)
def test_pairs_of_one_slot_succeed_as_computed(p, swap, patience):
    found = chain(p, swap, 0, 3, closed_forms.steady(p, patience=patience, period=patience + 1, number=4000))
    assert np.abs(closed_forms.deviations(found, closed_forms.memoryless(p, swap, patience))).max() < 4


@pytest.mark.parametrize(
    ("p", "swap", "lifetime", "patience", "wait"),
    [([0.1], [], 30, 6, 2), ([0.1], [], 2, 6, 8), ([0.2, 0.35], [0.6], 3, 7, 4), ([0.3, 0.5, 0.4], [0.9] * 2, 2, 6, 3)],
)  # fmt: skip
def test_kept_pairs_succeed_as_computed_from_an_empty_start(p, swap, lifetime, patience, wait):
    setting = closed_forms.isolated(p, lifetime=lifetime, patience=patience, wait=wait, number=3000)
    found = chain(p, swap, lifetime, 5, setting)
    expected = closed_forms.from_empty(p, swap, lifetime, patience, wait)
    assert np.abs(closed_forms.deviations(found, expected)).max() < 4


@pytest.mark.parametrize(("p", "swap", "lifetime"), [([0.1], [], 5), ([0.2, 0.35], [0.6], 4)])
def test_kept_pairs_succeed_as_computed_in_the_long_run(p, swap, lifetime):
    setting = closed_forms.steady(p, patience=5, period=7, number=6000)
    found = chain(p, swap, lifetime, 9, setting)
    expected = closed_forms.periodic(p, swap, lifetime, 5, 7)
    assert np.abs(closed_forms.deviations(found, expected, batch=50)).max() < 4
    wrong = closed_forms.memoryless(p, swap, 5)
    assert np.abs(closed_forms.deviations(found, wrong, batch=50)).max() > 8
