"""Our annealer: the same as its plain twin, the same however it is spread, honest about energies, and stoppable."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
import scipy.sparse as sparse

import qnroute as qn
from qnroute import generate
from qnroute.allocation import check
from qnroute.benchmark import sampling
from qnroute.errors import SolverError
from qnroute.models import PathPacking, RouteChoiceQubo
from qnroute.models.quadratic import merged
from qnroute.settings import Settings
from qnroute.solvers import lanes, path_annealing
from qnroute.solvers.annealing import Schedule
from qnroute.solvers.bit_lanes import packed, sweep_words, unpacked
from qnroute.solvers.column_generation import ColumnGeneration
from qnroute.solvers.highs import solve_matrix
from qnroute.solvers.lanes import LANES, Model, sweep
from qnroute.solvers.path_annealing import annealed, in_blocks

COOL = Schedule(0.1, 10.0, 100)


def drawn(rng, n, *, blocks=False):
    """A model of whole numbers, so that single precision is exact."""
    pairs = np.array(list(itertools.combinations(range(n), 2)))
    some = pairs[rng.random(len(pairs)) < 0.5]
    bias = rng.integers(-4, 5, len(some)).astype(float)
    quadratic = merged(rng.integers(-5, 4, n).astype(float), [(some[:, 0], some[:, 1], bias)], float(rng.integers(3)))
    rows = sparse.csr_array(rng.integers(0, 3, (2, n)).astype(float) * (rng.random((2, n)) < 0.6))
    block = np.array([0, *sorted(rng.choice(np.arange(1, n), 2, replace=False)), n]) if blocks else None
    return Model(quadratic, rows, rng.integers(1, 4, 2).astype(float), rng.integers(1, 5, 2).astype(float), block)


def energy(model, x):
    q = model.quadratic
    over = np.maximum(model.rows.toarray() @ x - model.capacity, 0.0) @ model.penalty
    return q.offset + q.linear @ x + sum(b * x[i] * x[j] for i, j, b in zip(*q.couplers)) + over


def weight(energy):
    chance = np.clip(np.float32(1) - np.float32(energy) * np.float32(1 / 256), np.float32(0), np.float32(1))
    for _ in range(8):
        chance = np.float32(chance * chance)
    return chance


def twin(model, x, random, weyl, temperatures):
    """One lane, in plain Python, from energies of whole states."""
    for b in temperatures:
        for first, last in itertools.pairwise(model.block.tolist()):
            random ^= (random << 13) & 0xFFFFFFFF
            random ^= random >> 17
            random ^= (random << 5) & 0xFFFFFFFF
            weyl = (weyl + 0x9E3779B9) & 0xFFFFFFFF
            u = np.float32(((random + weyl) & 0xFFFFFFFF) >> 8) * np.float32(2.0**-24)
            choices = [np.zeros(last - first), *np.eye(last - first)]
            states = [np.concatenate([x[:first], choice, x[last:]]) for choice in choices]
            energies = [np.float32((energy(model, state) - energy(model, states[0])) / model.unit) for state in states]
            if last == first + 1:
                now = int(x[first])
                if u < weight(np.float32(b) * (energies[1 - now] - energies[now])):
                    x = states[1 - now]
                continue
            weights = [weight(np.float32(b) * (each - min(energies))) for each in energies]
            left, chosen = np.float32(u * np.float32(np.sum(weights, dtype=np.float32))), 0
            for k in range(1, len(states)):
                left -= weights[k]
                if left < 0:
                    chosen = k
                    break
            x = states[chosen]
    return x


@pytest.mark.parametrize("blocks", [False, True])
def test_the_compiled_sweeps_do_what_the_plain_ones_do(blocks):
    rng, differ = np.random.default_rng(1), 0
    temperatures = np.array([0.25, 0.5, 1.0, 2.0, 4.0], np.float32)
    for _ in range(15):
        model = drawn(rng, 7, blocks=blocks)
        x, random = np.zeros((7, LANES), np.float32), rng.integers(1, 2**32, (2, LANES), dtype=np.uint32)
        seeds = random.T.tolist()
        sweep(model.charged, x, random, temperatures)
        for lane in range(LANES):
            differ += not np.array_equal(twin(model, np.zeros(7), *seeds[lane], temperatures), x[:, lane])
            assert not blocks or (np.add.reduceat(x[:, lane], model.block[:-1]) <= 1).all()
    assert differ <= 2  # a sum in another order may fall on the other side of a draw


def test_sweeps_over_words_do_what_the_others_do():
    rng, differ = np.random.default_rng(11), 0
    temperatures = np.array([0.25, 0.5, 1.0, 2.0, 4.0], np.float32)
    for _ in range(30):
        model = Model(drawn(rng, 9).quadratic)
        x = rng.integers(0, 2, (9, LANES)).astype(np.float32)
        random, words = rng.integers(1, 2**32, (2, LANES), dtype=np.uint32), packed(x)
        assert np.array_equal(unpacked(words), x)
        same = random.copy()
        sweep(model.charged, x, random, temperatures)
        sweep_words(model.charged, words, same, temperatures)
        assert np.array_equal(random, same)
        differ += int((unpacked(words) != x).any(axis=0).sum())
    assert differ <= 2


def test_large_plain_models_are_swept_as_words(monkeypatch):
    model = Model(drawn(np.random.default_rng(12), 12).quadratic)
    plain = annealed(model, COOL, 40, Settings(seed=1))
    monkeypatch.setattr(lanes, "_LARGE", 1)
    assert model.in_words and not drawn(np.random.default_rng(12), 12).in_words  # that one has rows
    words = annealed(model, COOL, 40, Settings(seed=1))
    assert words.energy.min() == pytest.approx(plain.energy.min())
    assert np.allclose(words.energy, [energy(model, x) for x in words.x])


@pytest.mark.parametrize("blocks", [False, True])
def test_it_finds_ground_states_and_tells_energies_as_they_are(blocks):
    rng = np.random.default_rng(2)
    for _ in range(30):
        model = drawn(rng, 9, blocks=blocks)
        every = np.array(list(itertools.product((0, 1), repeat=9)))
        every = every[(np.add.reduceat(every, model.block[:-1], axis=1) <= 1).all(axis=1)]
        truth = np.array([energy(model, x) for x in every])
        assert np.allclose(model.energies(every), truth)
        found = annealed(model, COOL, 40, Settings(seed=1))
        assert found.x.shape == (40, 9) and np.allclose([energy(model, x) for x in found.x], found.energy)
        assert found.energy.min() == pytest.approx(truth.min())


def test_reads_do_not_depend_on_workers_lanes_or_each_other():
    model = drawn(np.random.default_rng(3), 12)
    full = annealed(model, COOL, 50, Settings(seed=7), workers=1)
    for reads, workers in ((50, 2), (50, 4), (5, 1), (17, 3)):
        part = annealed(model, COOL, reads, Settings(seed=7), workers=workers)
        assert np.array_equal(part.x, full.x[:reads]) and np.array_equal(part.energy, full.energy[:reads])
    assert not np.array_equal(annealed(model, COOL, 50, Settings(seed=8)).x, full.x)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_the_size_of_coefficients_does_not_matter(scale):
    model = drawn(np.random.default_rng(4), 10)
    q = model.quadratic
    scaled = merged(scale * q.linear, [(q.row, q.col, scale * q.bias)], scale * q.offset)
    other = Model(scaled, model.rows, model.capacity, scale * model.penalty)
    schedule = Schedule(COOL.start / scale, COOL.end / scale, COOL.sweeps)
    one, same = annealed(model, COOL, 20, Settings(seed=1)), annealed(other, schedule, 20, Settings(seed=1))
    assert np.allclose(scale * one.energy.min(), same.energy.min(), rtol=1e-9, atol=0.0)


def test_it_begins_where_it_is_told_and_ends_at_a_target():
    model = drawn(np.random.default_rng(5), 10)
    best = annealed(model, COOL, 64, Settings(seed=1)).energy.min()
    state = annealed(model, COOL, 64, Settings(seed=1)).x[[0]]
    cold = Schedule(1e6, 1e6, 1)
    assert (annealed(model, cold, 8, Settings(seed=1), initial=state).energy <= model.energies(state) + 1e-9).all()
    few = annealed(model, COOL, 100_000, Settings(seed=1), target=best, workers=1)
    assert few.energy.min() <= best and len(few.x) < 100_000


@pytest.fixture
def begun(monkeypatch):
    """The first reads of the blocks that were begun."""
    numbers, block = [], path_annealing._block

    def counted(model, temperatures, reads, *others):
        numbers.append(int(reads[0]))
        return block(model, temperatures, reads, *others)

    monkeypatch.setattr(path_annealing, "_block", counted)
    return numbers


def test_blocks_come_in_order_and_the_rest_is_left_when_nobody_asks(begun):
    model = drawn(np.random.default_rng(6), 10)
    both = annealed(model, COOL, 2 * LANES, Settings(seed=1))
    begun.clear()
    parts = in_blocks(model, COOL, 10**9, Settings(seed=1), workers=2)
    first, second = next(parts), next(parts)
    parts.close()
    assert np.array_equal(np.concatenate([first.x, second.x]), both.x)
    assert 2 <= len(begun) <= 6  # two that were asked for, and two in waiting for each worker


# --- as a method ---


def crowded(seed, n=40, count=30, **how):
    network = generate.random_geometric(
        n, 100 * (8 / np.pi / n) ** 0.5, seed=seed, p=(0.5, 0.95), channels=(1, 2), **how
    )
    return qn.Problem(network, generate.requests(network, count, seed=seed))


def test_it_finds_the_best_choice_of_routes():
    reached = 0
    for seed in range(20):
        problem = crowded(seed, memory=(2, 6))
        result = qn.solve(problem, "path-anneal", seed=1, candidates=5)
        check(problem, result.allocation)
        bound = solve_matrix(RouteChoiceQubo(problem).model.matrix, Settings()).bound
        assert result.status == "heuristic" and 0.99 * bound <= result.objective <= bound * (1 + 1e-7)
        reached += result.objective >= bound * (1 - 1e-7)
        assert "64 samples keep all rules" in result.remarks[0]
    assert reached >= 18


def test_from_the_routes_of_column_generation_it_finds_the_optimum():
    reached, more = 0, 0
    for seed in range(12):
        problem = crowded(seed, memory=(2, 6))
        best, found = qn.solve(problem, "exact").objective, qn.solve(problem, "path-anneal", seed=1).objective
        assert 0.99 * best <= found <= best * (1 + 1e-9)
        reached += found >= best * (1 - 1e-7)
        more += found > qn.solve(problem, "path-anneal", seed=1, candidates=5).objective
    assert reached >= 10 and more >= 8


def test_routes_ruled_out_by_reduced_costs_are_not_missed():
    ruled_out = 0
    for seed in range(12):
        problem = crowded(seed, memory=(2, 6))
        solver = ColumnGeneration(problem)
        (some, bound), known = solver.columns(Settings()), solver._master.table
        ruled_out += len(known) - len(some)
        values = [solve_matrix(PathPacking(problem, table).matrix, Settings()).bound for table in (some, known)]
        assert max(values[0], solver.search.value) == pytest.approx(values[1])
        assert (np.diff(some.request) >= 0).all() and bound >= values[1] * (1 - 1e-9)
    assert ruled_out > 100


def test_the_bound_of_the_relaxation_stands_beside_the_answer_and_ends_the_search():
    proven, early = 0, 0
    for seed in range(12):
        problem = crowded(seed, memory=(2, 6))
        best = qn.solve(problem, "exact").objective
        result, loose = (qn.solve(problem, "path-anneal", seed=1, gap=gap, reads=640) for gap in (0.0, 0.05))
        assert best <= result.bound * (1 + 1e-9) and result.trace[-1][2] == pytest.approx(result.bound)
        assert result.status == ("optimal" if result.gap <= 1e-6 else "feasible") and loose.gap <= 0.05
        proven += result.status == "optimal"
        early += _samples(loose) < 640
    assert proven >= 1 and early == 12


def test_it_ends_at_a_target_or_goes_on_until_the_time_limit():
    problem = crowded(4)
    least = qn.solve(problem, "path-anneal", seed=1, candidates=5, sweeps=3, reads=16)
    early = qn.solve(problem, "path-anneal", seed=1, candidates=5, reads=100_000, target=least.objective)
    assert early.objective >= least.objective and early.status == "heuristic" and _samples(early) < 1000
    none = qn.solve(problem, "path-anneal", seed=1, candidates=5, target=0.0)
    assert none.objective >= 0.0 and none.remarks == ()  # filled from nothing, nothing drawn
    full = qn.solve(problem, "path-anneal", seed=1, candidates=5, reads=0, time_limit=0.5)
    assert full.status == "time-limit" and full.remarks[0] == "time limit reached"
    with pytest.raises(SolverError, match="reads=0 draws until the time limit, but there is none"):
        qn.solve(problem, "path-anneal", reads=0)


def _samples(result):
    """How many were drawn."""
    told = [remark for remark in result.remarks if "samples keep all rules" in remark]
    return int(told[0].split(" samples")[0].split()[-1]) if told else 0


@pytest.mark.parametrize("degree", [1, 2])
def test_it_selects_links(degree):
    network = generate.random_geometric(60, 25.0, seed=degree, p=(0.3, 0.99))
    problem = qn.Problem(network, task="link-selection", rules={"degree": degree})
    result = qn.solve(problem, "path-anneal", seed=1)
    assert result.objective >= 0.99 * qn.solve(problem, "exact").objective


def test_requests_of_several_routes_and_nothing_at_all():
    problem = crowded(3)
    several = [qn.Request(r.id, r.source, r.target, routes=2) for r in problem.requests]
    result = qn.solve(problem.replace(requests=several), "path-anneal", seed=1)
    assert result.objective > qn.solve(problem, "path-anneal", seed=1).objective
    assert qn.solve(problem.replace(requests=[]), "path-anneal").objective == 0.0


def test_equal_values_do_not_make_it_depend_on_workers():
    for seed in range(6):
        problem = crowded(seed)
        problem = problem.replace(network=problem.network.replace(p=0.5))
        results = [
            qn.solve(problem, "path-anneal", candidates=5, reads=128, sweeps=20, seed=1, workers=workers)
            for workers in (1, 2, 4, 4)
        ]
        assert all(r.allocation == results[0].allocation and r.remarks == results[0].remarks for r in results)


def test_remarks_say_where_the_answer_is_from():
    drawn_as_it_is = 0
    for seed in range(10):
        result = qn.solve(crowded(seed), "path-anneal", candidates=5, seed=1)
        drawn_as_it_is += result.remarks[0].endswith("a sample as it was drawn")
    assert drawn_as_it_is >= 8
    hurried = [qn.solve(crowded(seed), "path-anneal", candidates=5, reads=1, sweeps=1) for seed in range(20)]
    origins = {result.remarks[0].split("; ")[1] for result in hurried}
    assert "the answer is filled from nothing, as no sample was better" in origins
    assert "inverse temperature" in result.remarks[1]


def test_what_is_raised_while_it_works_ends_it(begun):
    calls = []

    def tired(*_):
        calls.append(1)
        if len(calls) == 3:
            raise ValueError("tired")

    with pytest.raises(ValueError, match="tired"):
        qn.solve(crowded(1), "path-anneal", reads=1_000_000, candidates=5, workers=2, progress=tired)
    assert 2 <= len(begun) <= 6


@pytest.mark.parametrize("weights", [(1e-310, 1e-310), (1e150, 1e-150), (1e-200, 1.0)])
def test_weights_of_any_size(weights):
    problem = crowded(2)
    sizes = [weights[i % 2] for i in range(len(problem.requests))]
    requests = [qn.Request(r.id, r.source, r.target, weight=w) for r, w in zip(problem.requests, sizes)]
    for name in ("path-anneal", "neal"):
        result = qn.solve(problem.replace(requests=requests), name, seed=1, candidates=5)
        assert result.objective >= 0.0 and "inf" not in result.remarks[1]


def test_its_benchmark_measures_both_ways(monkeypatch):
    monkeypatch.setattr(sampling, "_NEAL_READS", 20)
    rows = sampling.measure(runs=2, nodes=25, requests=10)
    assert [(row.network, row.way) for row in rows] == [
        (network, way) for network in ("100", "101", "all") for way in ("path-anneal", "neal, repaired")
    ]
    assert all(row.tts99_ms >= row.read_ms > 0.0 and 0.0 <= row.within <= 1.0 for row in rows)
    assert all(row.ratio == 1.0 for row in rows[::2]) and rows[0].within > 0.1
    stop = threading.Event()
    stop.set()
    assert sampling.measure(runs=2, nodes=25, requests=10, interrupted=stop) == []
