import json
import os
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from hypothesis import given
from hypothesis import strategies as st

from qnroute.errors import ProblemError
from qnroute.simulation.arrivals import _by_share
from qnroute.simulation.demand import pair_index
from qnroute.simulation.workloads import WORKLOADS, workload, workload_of

DATA = Path(os.environ.get("QNROUTE_DATA", ROOT.parent / "shared" / "data")) / "demand"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no traffic series at {DATA}; set QNROUTE_DATA")

DAY = 96
MATRICES = [[[9, 1, 2], [3, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 5, 0], [6, 0, 0]], [[1, 0, 0], [0, 0, 0], [0, 0, 0]]]
SOME = {"business-hours": {}, "poisson": {}, "bursty": {}, "traffic": {"matrices": MATRICES}}


def near(found, expected, sd, sigmas=4):
    """Within so many standard deviations; seeds are fixed, so this holds or not for good."""
    assert np.all(np.abs(found - expected) <= sigmas * sd), (found, expected, sd)


def near_poisson(found, expected):
    near(found, expected, np.sqrt(expected))


def run(kind, slots, *, seed=5, nodes=16, start=0, **parameters):
    """The process, all its arrivals and their counts per slot and pair."""
    process = workload(kind, **parameters).process(nodes, seed=seed)
    demand = process.draw(slots, seed=[seed, 1], start=start, beyond=True)
    return process, demand, demand.counts(process.pairs, slots)


def burst_variance(slots, rate, mean_on, mean_off):
    """Variance of the arrivals of one bursty pair of so many per slot: Poisson on a stationary chain of two states."""
    share, keep = mean_on / (mean_on + mean_off), 1 - 1 / mean_on - 1 / mean_off
    between = (rate / share) ** 2 * share * (1 - share)
    lag = np.arange(1, slots)
    return slots * (rate + between) + 2 * between * np.sum((slots - lag) * keep**lag)


# --- what all kinds share ---


@pytest.mark.parametrize("kind", WORKLOADS)
def test_the_same_seeds_give_the_same_demand(kind):
    made = workload(kind, **SOME[kind])
    first, again, other = (made.process(16, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.pairs, again.pairs)
    assert first.draw(300, seed=[3, 1], start=7) == again.draw(300, seed=[3, 1], start=7)
    assert first.draw(300, seed=[3, 1]) != first.draw(300, seed=[3, 2])
    assert first.draw(300, seed=[3, 1]) != first.draw(300, seed=[3, 1], start=DAY)
    assert np.array_equal(first.pairs, other.pairs) == (kind in ("poisson", "traffic"))


def test_one_and_one_zero_are_two_seeds():
    process = workload("poisson").process(16, seed=0)
    assert process.draw(300, seed=1) != process.draw(300, seed=[1, 0])
    assert process.draw(300, seed=1) == process.draw(300, seed=[1])


@pytest.mark.parametrize("kind", WORKLOADS)
def test_every_arrival_is_on_a_pair_of_the_process_and_the_rate_is_kept(kind):
    process, demand, counts = run(kind, 8 * DAY, rate=3.0, **SOME[kind])
    assert counts.sum() == len(demand)
    assert np.all(process.pairs[:, 0] < process.pairs[:, 1])
    rates = process.rates(0, 8 * DAY)
    assert rates.shape == counts.shape
    assert rates.sum() == pytest.approx(3.0 * 8 * DAY)
    variance = 20 * burst_variance(8 * DAY, 3.0 / 20, 20.0, 80.0) if kind == "bursty" else rates.sum()
    near(len(demand), rates.sum(), np.sqrt(variance))


@pytest.mark.parametrize("kind", WORKLOADS)
def test_terms_are_uniform_and_orientation_is_a_coin(kind):
    _, demand, _ = run(kind, 4000, rate=5.0, weight=(1, 3), **SOME[kind])
    n = len(demand)
    for values, low, high in ((demand.floor, 0.6, 0.9), (demand.weight, 1, 3)):
        assert np.all((values >= low) & (values <= high))
        grid = np.sort((values - low) / (high - low))
        assert np.max(np.abs(grid - np.arange(n) / n)) < 1.95 / np.sqrt(n)  # Kolmogorov-Smirnov, 0.1 %
    patience = np.bincount(demand.deadline - demand.arrival, minlength=13)
    assert patience[:3].sum() == 0 and len(patience) == 13
    near(patience[3:], n / 10, np.sqrt(n * 0.09))
    near(np.sum(demand.source < demand.target), n / 2, np.sqrt(n / 4))


def test_terms_may_be_single_numbers():
    _, demand, _ = run("poisson", 50, floor=0.7, patience=4, weight=2)
    assert set(demand.floor) == {0.7} and set(demand.weight) == {2.0}
    assert set(demand.deadline - demand.arrival) == {4}


def test_what_a_run_cannot_judge_is_left_out():
    process = workload("poisson", rate=4).process(16, seed=1)
    every = process.draw(100, seed=2, beyond=True)
    assert every.arrival.max() == 99
    assert process.draw(100, seed=2) == every.limited(100)
    assert len(process.draw(0, seed=2)) == len(process.draw(3, seed=2)) == 0


def test_no_pair_is_first_by_its_number():
    _, demand, _ = run("poisson", 2000, nodes=3, rate=6)
    first = np.flatnonzero(np.diff(demand.arrival, prepend=-1))
    number = pair_index(demand.source[first], demand.target[first])
    near(np.bincount(number), len(first) / 3, np.sqrt(len(first) * 2 / 9))


NUMBERS = st.floats(0.01, 5)
TERMS = st.fixed_dictionaries(
    {"rate": NUMBERS},
    optional={
        "floor": st.one_of(st.floats(0, 1), st.tuples(st.floats(0, 0.5), st.floats(0.5, 1))),
        "patience": st.one_of(st.integers(0, 50), st.tuples(st.integers(0, 5), st.integers(5, 9))),
        "weight": NUMBERS,
    },
)
OWN = {
    "business-hours": {"busier": NUMBERS, "periodic_share": st.floats(0, 1), "slots_per_day": st.integers(1, 200)},
    "poisson": {"pairs": st.one_of(st.none(), st.integers(1, 10))},
    "bursty": {"pairs": st.integers(1, 10), "mean_on": st.floats(1, 9), "mean_off": st.floats(1, 9)},
    "traffic": {"matrices": st.just(MATRICES), "slots_per_matrix": st.integers(1, 9)},
}


@given(
    st.sampled_from(list(WORKLOADS)).flatmap(
        lambda kind: st.tuples(st.just(kind), TERMS, st.fixed_dictionaries(OWN[kind]))
    )
)
def test_json_gives_the_same_workload_and_the_same_demand_back(drawn):
    kind, terms, own = drawn
    made = workload(kind, **terms, **own)
    again = workload_of(json.loads(json.dumps(made.to_dict())))
    assert again == made
    runs = [each.process(7, seed=1).draw(30, seed=[2, 3], start=11) for each in (made, again)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("kind", "parameters", "told"),
    [
        ("busines-hours", {}, r"workload: found 'busines-hours', .*did you mean business-hours"),
        ("poisson", {"rate": 0, "x": 1}, r"poisson.rate: found 0, .*; poisson.x: unknown field"),
        ("poisson", {"floor": (0.9, 0.6)}, r"poisson.floor: found \(0.9, 0.6\), expected a number or a range"),
        ("poisson", {"floor": 1.5}, "poisson.floor"),
        ("poisson", {"patience": 2.5}, "poisson.patience"),
        ("poisson", {"weight": "x"}, "poisson.weight"),
        ("poisson", {"pairs": 0}, "poisson.pairs"),
        ("bursty", {"mean_on": 0.5}, "bursty.mean_on: found 0.5"),
        ("business-hours", {"busy_from": 18}, "busy_from 18 is after busy_to 17"),
        ("business-hours", {"high_pairs": 0}, "high_pairs: found 0, expected some to carry 0.5"),
        ("business-hours", {"medium_pairs": 0}, "medium_pairs: found 0"),
        ("traffic", {}, "expected either a file or matrices"),
        ("traffic", {"matrices": MATRICES, "key": "x"}, "key: expected only together with a file"),
        ("traffic", {"matrices": MATRICES, "sites": [1, 1]}, "sites: found .1, 1., expected at least two different"),
        ("traffic", {"matrices": [[0, 1], [1, 0]]}, r"matrices: found the shape \(2, 2\)"),
        ("traffic", {"matrices": [[[0, 1], [-1, 0]]]}, r"matrices\[0\]\[1\]\[0\]: found negative"),
        ("traffic", {"matrices": [[[0, 1], [1]]]}, "expected numbers"),
    ],
)
def test_bad_parameters(kind, parameters, told):
    with pytest.raises(ProblemError, match=told) as error:
        workload(kind, **parameters)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("given", [None, 3, {}, {"rate": 1}, {"kind": ["poisson"]}, {"kind": "poisson", 3: 4}])
def test_bad_dictionaries(given):
    with pytest.raises(ProblemError, match=r"^workload"):
        workload_of(given)


def test_bad_sizes():
    with pytest.raises(ProblemError, match="found 20, but 4 nodes have only 6 pairs"):
        workload("business-hours").process(4, seed=0)
    with pytest.raises(ProblemError, match="n_nodes: found 1, expected an integer, at least 2"):
        workload("poisson").process(1, seed=0)
    with pytest.raises(ProblemError, match="pairs: 4999950000 of 100000 nodes, expected 2000000 at most"):
        workload("poisson").process(100_000, seed=0)
    process = workload("poisson").process(16, seed=0)
    with pytest.raises(ProblemError, match=r"about 5e\+08 requests would be drawn"):
        process.draw(10**9, seed=0)
    with pytest.raises(ProblemError, match="rates: 1000000000 slots by 120 pairs"):
        process.rates(0, 10**9)
    with pytest.raises(ProblemError, match="go on about 2e\\+08 times"):
        workload("bursty", rate=1e-6, mean_on=1, mean_off=1).process(16, seed=0).draw(2 * 10**7, seed=0)
    for seed in (-1, 1.5, [], [1, "a"], None):
        with pytest.raises(ProblemError, match="seed"):
            process.draw(5, seed=seed)


# --- business hours ---


def test_busy_hours_are_busier_and_high_pairs_carry_their_share():
    process, _, counts = run("business-hours", 200 * DAY, rate=2.0)
    slot_of_day = np.arange(200 * DAY) % DAY
    busy = (slot_of_day >= 36) & (slot_of_day < 68)  # 9 to 17 hours
    quiet_rate = 2.0 / (1 + 2 / 3)  # (16 quiet + 8 hours of three times as much) / 24
    per_slot = counts.sum(axis=1)
    near_poisson(per_slot[busy].sum(), 3 * quiet_rate * busy.sum())
    near_poisson(per_slot[~busy].sum(), quiet_rate * (~busy).sum())
    assert len(process.pairs) == len(np.unique(process.pairs, axis=0)) == 20
    near_poisson(counts[:, :5].sum(axis=0), np.full(5, 0.1 * 2.0 * len(counts)))
    near_poisson(counts[:, 5:].sum(axis=0), np.full(15, 0.5 / 15 * 2.0 * len(counts)))
    expected = process.rates(0, DAY)
    near_poisson(counts.reshape(200, DAY, 20).sum(axis=0)[[0, 35, 36, 67, 68]].sum(axis=1),
                 200 * expected[[0, 35, 36, 67, 68]].sum(axis=1))  # fmt: skip
    dispersion = per_slot[busy].var() / per_slot[busy].mean()
    near(dispersion, 1, np.sqrt(2 / busy.sum()))


def test_a_slot_is_busy_if_it_begins_in_busy_hours():
    level = workload("business-hours", rate=5.0, busier=4).process(16, seed=0).rates(0, DAY).sum(axis=1)
    assert np.allclose(level, np.where(np.isin(np.arange(DAY), np.arange(36, 68)), 10.0, 2.5))
    odd = workload("business-hours", rate=1.0, slots_per_day=7, busy_from=6.9, busy_to=20.5, busier=2)
    assert np.allclose(odd.profile() * 10 / 7, [1, 1, 1, 2, 2, 2, 1])  # slots begin at 0, 3.4, 6.86, 10.3, ..., 20.6


def test_the_high_pairs_are_any_pairs():
    found = np.concatenate([workload("business-hours").process(16, seed=s).pairs[:5] for s in range(600)])
    near(np.bincount(pair_index(*found.T), minlength=120), 25, np.sqrt(25 * 115 / 120), sigmas=4.5)


def test_a_run_that_starts_later_keeps_the_clock():
    _, _, counts = run("business-hours", 32, rate=400.0, start=10 * DAY + 36)
    near_poisson(counts.sum(), 32 * 3 * 400 / (5 / 3))  # nothing but busy hours
    process = workload("business-hours", periodic_share=0.5).process(16, seed=5)
    assert np.array_equal(process.rates(0, 3 * DAY)[50 : 50 + DAY], process.rates(50, DAY))


def test_a_timetable_is_the_same_every_day():
    process, _, counts = run("business-hours", 30 * DAY, rate=2.0, periodic_share=1.0)
    days = counts.reshape(30, DAY, 20)
    assert np.all(days == days[0])
    assert np.array_equal(process.rates(0, 30 * DAY), counts)
    later = process.draw(DAY, seed=9, start=17, beyond=True).counts(process.pairs, DAY)
    assert np.array_equal(later, np.roll(days[0], -17, axis=0))
    assert abs(days[0].sum() - 192) < 1
    expected = 192 * np.repeat([0.1, 0.5 / 15], [5, 15])
    assert np.all(np.abs(days[0].sum(axis=0) - expected) < 1)  # rounded up or down


def test_timetables_follow_the_busy_hours_in_the_mean():
    daily = sum(workload("business-hours", periodic_share=1.0).process(16, seed=s).rates(0, DAY) for s in range(400))
    near(daily[36:68].sum(), 400 * 48 * 0.6, np.sqrt(400 * 48 * 0.24))
    assert daily.sum() == 400 * 48
    near(daily[:, 0].sum(), 400 * 4.8, np.sqrt(400 * 0.16))  # 4 or 5 a day


def test_part_timetable_part_luck():
    process, _, counts = run("business-hours", 400 * DAY, rate=2.0, periodic_share=0.5)
    days = counts.reshape(400, DAY, 20)
    fixed = days.min(axis=0)
    assert fixed.sum() in (96, 97)
    near_poisson((days - fixed).sum(), 400 * 96)
    assert np.allclose(process.rates(0, DAY).sum(), fixed.sum() + 96)


# --- Poisson and bursty ---


def test_all_pairs_ask_alike():
    _, _, counts = run("poisson", 3000, rate=40.0)
    near_poisson(counts.sum(axis=0), np.full(120, 1000.0))
    near(counts.var() / counts.mean(), 1, np.sqrt((2 + 3) / counts.size))  # var of a Poisson's square: 2 m^2 + m
    near(np.mean(counts[1:] * counts[:-1]), 1 / 9, np.sqrt(1 / 9 / counts.size))


def test_only_so_many_pairs_ask():
    process, _, counts = run("poisson", 500, rate=5.0, pairs=7)
    assert process.pairs.shape == (7, 2)
    near_poisson(counts.sum(axis=0), np.full(7, 2500 / 7))


@pytest.mark.parametrize(("mean_on", "mean_off"), [(20.0, 80.0), (4.0, 2.0)])
def test_bursts_have_the_moments_of_their_chain(mean_on, mean_off):
    process, _, counts = run("bursty", 4000, nodes=30, rate=400.0, pairs=400, mean_on=mean_on, mean_off=mean_off)
    windows = counts.reshape(-1, 100, 400).sum(axis=1)  # arrivals in windows of 100 slots
    dispersion = burst_variance(100, 1.0, mean_on, mean_off) / 100
    assert dispersion > 1.5
    near(counts.sum(), counts.size, np.sqrt(400 * burst_variance(len(counts), 1.0, mean_on, mean_off)))
    # windows of one pair hardly know of each other; their kurtosis is measured, the variance is not
    kurtosis = np.mean((windows - windows.mean()) ** 4) / windows.var() ** 2
    near(windows.var() / 100, dispersion, dispersion * np.sqrt((kurtosis - 1) / windows.size))
    near(counts[0].sum(), 400, np.sqrt(400 * burst_variance(1, 1.0, mean_on, mean_off)))  # stationary from the first
    assert np.all(process.rates(9, 2) == 1.0)


# --- traffic ---


def test_arrivals_are_in_proportion_to_the_matrices():
    process, _, counts = run("traffic", 30_000, nodes=5, rate=2.0, matrices=MATRICES, slots_per_matrix=10, start=5)
    assert process.pairs.tolist() == [[0, 1], [0, 2]]  # what a site sends itself does not count
    matrix = (5 + np.arange(30_000)) // 10 % 3
    # 4 and 2, then 0 and 6, then nothing: 4 in the mean, which becomes 2
    expected = np.array([[2.0, 1.0], [0.0, 3.0], [0.0, 0.0]])
    assert np.allclose(process.rates(5, 30_000), expected[matrix])
    found = np.array([counts[matrix == k].sum(axis=0) for k in range(3)])
    near_poisson(found, 10_000 * expected)


def test_sites_are_chosen_in_the_order_of_the_nodes():
    made = workload("traffic", matrices=MATRICES, sites=[2, 0], rate=1.0)
    process = made.process(2, seed=0)
    assert process.pairs.tolist() == [[0, 1]]
    assert np.allclose(process.rates(0, 3)[:, 0], [3 * 2 / 8, 3 * 6 / 8, 0])
    with pytest.raises(ProblemError, match=r"sites: 3 for a network of 2 nodes, expected at most as many"):
        workload("traffic", matrices=MATRICES).process(2, seed=0)
    with pytest.raises(ProblemError, match=r"sites: found 3, expected indices of the 3 sites"):
        workload("traffic", matrices=MATRICES, sites=[0, 3]).process(4, seed=0)
    with pytest.raises(ProblemError, match=r"matrices: found no traffic between different sites"):
        workload("traffic", matrices=MATRICES, sites=[1, 2]).process(4, seed=0)


@pytest.mark.parametrize("luck", [0.0, np.nextafter(1.0, 0.0)])
def test_pairs_without_traffic_are_never_met_even_by_extreme_luck(luck):
    class Extreme:
        def random(self, size):
            return np.full(size, luck)

    shares = np.tile([0.0, 0.3, 0.7, 0.0], (5000, 1))
    met = _by_share(shares, np.arange(5000), Extreme())
    assert set(met.tolist()) == {1 if luck == 0 else 2}


@pytest.fixture
def saved(tmp_path):
    """Writes a .npz file of these tables."""

    def save(**tables):
        path = tmp_path / "series.npz"
        np.savez_compressed(path, **tables)
        return str(path)

    return save


def test_a_file_means_the_same_as_its_matrices(saved):
    times = np.array(["2004-03-01T00:00", "2004-03-01T00:05", "2004-03-01T00:15"])
    path = saved(demand=np.array(MATRICES, dtype=np.float32), time=times, nodes=np.array(["a", "b", "c"]))
    inside = workload("traffic", matrices=MATRICES).process(4, seed=0)
    for key in (None, "demand"):
        process = workload("traffic", file=path, key=key).process(4, seed=0)
        assert np.array_equal(process.rates(0, 9), inside.rates(0, 9))
        assert process.draw(50, seed=1) == inside.draw(50, seed=1)
        assert process.notes == ("time: 1 gap, closed up: after 2004-03-01T00:05 comes 2004-03-01T00:15",)
    assert inside.notes == ()


@pytest.mark.parametrize(
    ("tables", "key", "told"),
    [
        ({"demand": MATRICES}, "x", "key: found 'x', expected one of demand"),
        ({"a": MATRICES, "b": MATRICES}, None, r"key: found several \(a, b\)"),
        ({"a": [1, 2]}, None, r"key: found none \(a\)"),
        ({"a": [1, 2], "time": ["x"]}, "time", "time: found .*expected numbers"),
        ({"a": [1, 2]}, "a", r"a: found the shape \(2,\)"),
        ({"demand": [[[0, np.nan], [1, 0]]]}, None, r"demand\[0\]\[0\]\[1\]: found not finite \(1 such\)"),
        ({"demand": [[[0, 1], [-1, 0]]]}, None, r"demand\[0\]\[1\]\[0\]: found negative"),
        ({"demand": [[[0, 0], [0, 5]]]}, "demand", "demand: found no traffic between different sites"),
        ({"demand": np.zeros((3, 2, 4))}, None, r"demand: found the shape \(3, 2, 4\)"),
        ({"demand": np.array([{}, 1], dtype=object)}, None, "expected a .npz file of plain tables"),
    ],
)
def test_bad_files(saved, tables, key, told):
    path = saved(**tables)
    with pytest.raises(ProblemError, match=told) as error:
        workload("traffic", file=path, key=key).process(4, seed=0)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_what_is_no_file_of_tables(tmp_path, saved):
    whole = Path(saved(demand=MATRICES)).read_bytes()
    np.save(tmp_path / "single.npy", MATRICES)
    contents = {"text.npz": b"not a table", "empty.npz": b"", "cut.npz": whole[:-40]}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in (*contents, "single.npy", "missing.npz", "", "nul\0"):
        with pytest.raises(ProblemError, match=r"no such file|expected a \.npz file|cannot be read"):
            workload("traffic", file=str(tmp_path / name)).process(4, seed=0)


@needs_data
@pytest.mark.parametrize(
    ("name", "key", "sites", "notes"), [("abilene_5min", "demand", 12, 1), ("geant_15min", "demand_kbps", 22, 0)]
)
def test_real_traffic(name, key, sites, notes):
    path = DATA / f"{name}.npz"
    with np.load(path) as tables:
        matrices = tables[key].astype(float)
    u, v = np.triu_indices(sites, 1)
    both = matrices[:, u, v] + matrices[:, v, u]
    process = workload("traffic", file=str(path), key=key, rate=5.0).process(sites + 1, seed=0)
    assert len(process.notes) == notes
    place = np.argsort(pair_index(u, v))
    wanted = both[:, place][:, both[:, place].any(axis=0)]
    assert np.allclose(process.rates(0, len(matrices)), wanted * 5 / both.sum(axis=1).mean())
    demand = process.draw(len(matrices), seed=0, beyond=True)
    near_poisson(len(demand), 5.0 * len(matrices))
    counts = demand.counts(process.pairs, len(matrices)).sum(axis=0)
    expected = wanted.sum(axis=0) * 5 / both.sum(axis=1).mean()
    chi = np.sum((counts - expected) ** 2 / expected)
    near(chi, len(expected), np.sqrt(2 * len(expected) + np.sum(1 / expected)))
