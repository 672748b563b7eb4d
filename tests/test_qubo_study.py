"""The study of samplers, its figures, and the command `qnroute qubo`."""

from __future__ import annotations

import itertools
import json
import threading

import numpy as np
import pytest

import qnroute as qn
from qnroute import generate
from qnroute.benchmark import annealing, rates
from qnroute.benchmark.qubo_figures import plot_study
from qnroute.benchmark.qubo_findings import size_of
from qnroute.benchmark.qubo_study import STRENGTHS, Plan, studied
from qnroute.benchmark.subjects import Published, Routing, opened
from qnroute.cli import run as command
from qnroute.formats import load_problem
from qnroute.models import LinkSelectionQubo, PathQubo, RouteChoiceQubo
from qnroute.models.instance_files import Instance, read_instance
from qnroute.models.linearized import linearized
from qnroute.models.quadratic import merged
from qnroute.settings import Settings
from qnroute.solvers.highs import solve_matrix

QUICK = Plan(sweeps=(5, 40), reads=40, near=0.03, time_limit=10.0)


def crowded(seed=1, n=24, count=12, **how):
    network = generate.random_geometric(n, 35.0, seed=seed, p=(0.5, 0.95), channels=(1, 2), **how)
    return qn.Problem(network, generate.requests(network, count, seed=seed), name=f"crowded-{seed}")


def drawn(seed, n=10):
    rng = np.random.default_rng(seed)
    pairs = np.array(list(itertools.combinations(range(n), 2)))
    some = pairs[rng.random(len(pairs)) < 0.5]
    couplers = [(some[:, 0], some[:, 1], rng.normal(size=len(some)))]
    return merged(rng.normal(size=n), couplers, float(rng.normal()))


def states(n):
    return np.array(list(itertools.product((0, 1), repeat=n)))


# --- the program behind the optimum ---


def test_the_linear_program_has_the_ground_state_as_its_optimum():
    for seed in range(20):
        model = drawn(seed)
        found = solve_matrix(linearized(model), Settings())
        least = model.energies(states(10)).min()
        assert model.offset - found.bound == pytest.approx(least, abs=1e-6)
        assert model.energies(np.rint(found.values[None, :10]))[0] == pytest.approx(least)


# --- the study ---


@pytest.mark.parametrize("kind", ["routes", "links", "path"])
def test_reads_are_held_against_the_proven_optimum(kind):
    problem = crowded()
    if kind == "routes":
        qubo = RouteChoiceQubo(problem)
    elif kind == "links":
        qubo = LinkSelectionQubo(qn.Problem(problem.network, task="link-selection", rules={"degree": 2}))
    else:
        qubo = PathQubo(problem.replace(requests=problem.requests[:1]))
    study = studied("x", Routing(qubo), QUICK, problem=qubo.problem)
    best = study.optimum.value
    assert study.optimum.proven and study.reference == best and study.stopped is None
    if kind != "routes":  # there the model has some routes alone
        assert study.problem.value == pytest.approx(best, rel=1e-6)
    assert [(run.sampler, run.sweeps) for run in study.runs] == [
        (sampler, sweeps) for sampler in ("path-anneal", "neal") for sweeps in (5, 40)
    ]
    for run in study.runs:
        assert run.reads == sum(run.energies) == 40 and run.best_repaired <= best * (1 + 1e-9)
        assert run.within.value <= run.feasible.value and run.within.value <= run.within_repaired.value
        assert run.within.low <= run.within.value <= run.within.high
        assert run.best is None or run.best <= best * (1 + 1e-9)
    assert max(run.within_repaired.value for run in study.runs) > 0.0
    assert study.energy_edges[0] >= -1e-6  # nothing lies below a ground state


def test_feasibility_sets_in_just_below_the_penalty_that_suffices():
    for seed in range(4):
        qubo = RouteChoiceQubo(crowded(seed, n=40, count=30))
        plan = Plan(samplers=("path-anneal",), sweeps=(100,), reads=64, strengths=STRENGTHS)
        study = studied("x", Routing(qubo), plan)
        feasible = {each.strength: each.feasible.value for each in study.penalties}
        assert list(feasible) == list(STRENGTHS)
        assert feasible[0.25] == 0.0 and feasible[0.8] < 0.5 and min(feasible[s] for s in (1.0, 1.25, 2.0)) > 0.9
        for each in study.penalties:
            assert each.ground_feasible is (True if each.strength >= 1.0 else each.ground_feasible)
        assert study.penalties[0].ground_feasible is False


def test_published_instances_have_no_penalties_and_a_known_target():
    instance = Instance("drawn", "max-cut", drawn(3, 12))
    every = instance.value(instance.quadratic.energies(states(12)))
    study = studied("drawn", Published(instance), Plan(**vars(QUICK) | {"strengths": (1.0, 2.0)}))
    assert study.optimum.proven and study.optimum.value == pytest.approx(every.max())
    assert study.penalties == [] and study.remarks == ["there are no penalties to sweep"]
    assert study.runs[1].best == pytest.approx(every.max()) and study.runs[1].feasible.value == 1.0
    known = studied("drawn", Published(instance), Plan(**vars(QUICK) | {"target": 2.0 * every.max()}))
    assert known.reference == 2.0 * every.max() and known.runs[0].within.value == 0.0
    lowest = Instance("drawn", "qubo", drawn(4, 12))
    found = studied("drawn", Published(lowest), QUICK)
    assert found.optimum.value == pytest.approx(lowest.quadratic.energies(states(12)).min())
    assert found.runs[1].best == pytest.approx(found.optimum.value) and found.runs[1].ratio is not None


def test_sizes_are_counted():
    model = merged(
        np.array([1.0, -4.0, 0.0, 0.5]),
        [(np.array([0, 0, 1]), np.array([1, 2, 3]), np.array([2.0, -0.25, 8.0]))],
        0.0,
    )
    size = size_of(model, 1)
    assert (size.variables, size.slack, size.couplers, size.density) == (4, 1, 3, 0.5)
    assert size.degrees == (0, 2, 2) and size.coefficient_range == 32.0
    nothing = size_of(merged(np.zeros(0), [], 0.0), 0)
    assert nothing.variables == 0 and nothing.degrees == () and nothing.coefficient_range == 1.0


def test_an_interruption_keeps_what_was_measured():
    stop, steps = threading.Event(), []

    def doing(step):
        steps.append(step)
        if step == "path-anneal, 40 sweeps":
            stop.set()

    study = studied("x", Routing(RouteChoiceQubo(crowded())), QUICK, doing=doing, interrupted=stop)
    assert study.stopped == "interrupted" and [run.sweeps for run in study.runs] == [5, 40]
    assert steps == ["the optimum of the model", "path-anneal, 5 sweeps", "path-anneal, 40 sweeps"]
    assert json.loads(json.dumps(study.to_dict()))["stopped"] == "interrupted"


def test_a_target_is_no_proof_and_no_target_breaks_anything():
    subject = Routing(RouteChoiceQubo(crowded(2, n=40, count=30)))
    plan = Plan(samplers=("path-anneal",), sweeps=(50,), reads=32, strengths=(0.25, 1.0, 2.0))
    for target in (0.0, -1.0, 2.0, 1e17):
        study = studied("x", subject, Plan(**vars(plan) | {"target": target}))
        assert study.reference_is == "target" and len(study.runs) == 1
        assert [each.ground_feasible for each in study.penalties] == [False, True, True]
    one = crowded().replace(requests=crowded().requests[:1])
    for target in (0.0, -1.0):
        assert studied("x", Routing(PathQubo(one)), Plan(**vars(QUICK) | {"target": target})).runs


def test_of_penalties_that_prove_nothing_nothing_is_said():
    plan = Plan(samplers=("neal",), sweeps=(50,), reads=32, strengths=(1.25, 10.0))
    unbalanced = studied("x", Routing(RouteChoiceQubo(crowded(2), encoding="unbalanced")), plan)
    assert [each.ground_feasible for each in unbalanced.penalties] in ([None, None], [True, True])  # all pairs, or not
    one = crowded().replace(requests=crowded().requests[:1])
    path = studied("x", Routing(PathQubo(one)), Plan(**vars(plan) | {"strengths": (0.5, 4.0)}))
    assert [each.ground_feasible for each in path.penalties] == [None, True]


def test_a_path_that_is_worth_less_than_nothing_is_still_the_optimum_of_its_model():
    one = crowded().replace(requests=crowded().requests[:1], objective={"kind": "log-success", "serve_reward": 1e-6})
    study = studied("x", Routing(PathQubo(one)), QUICK, problem=one)
    assert study.optimum.value < 0.0 == study.problem.value and study.runs[1].within.value > 0.0


def test_offsets_prove_nothing():
    model = drawn(5, 30)
    far = merged(model.linear, [model.couplers], 1e12)
    found = Published(Instance("far", "qubo", far)).optimum(Settings(time_limit=0.0))
    assert not found.proven


def test_what_was_cut_short_is_said():
    plan = Plan(samplers=("path-anneal", "neal"), sweeps=(1_000_000,), reads=64, time_limit=0.2)
    study = studied("x", Routing(RouteChoiceQubo(crowded(3, n=60, count=40))), plan)
    assert [run.stopped for run in study.runs] == ["time-limit", "time-limit"]
    assert "path-anneal, 1000000 sweeps: time-limit after" in study.remarks[0] and "cut short" in study.remarks[0]


def test_a_batch_costs_as_much_as_one_read():
    subject = Routing(RouteChoiceQubo(crowded(1)))
    study = studied("x", subject, Plan(samplers=("path-anneal",), sweeps=(300,), reads=64, near=0.05))
    (ours,) = study.runs
    assert ours.within.value > 0.2 and ours.tts99_ms.value >= 31.9 * ours.read_ms


# --- the command ---


@pytest.fixture
def files(tmp_path):
    problem = tmp_path / "problem.json"
    problem.write_text(json.dumps(crowded().to_dict()))
    cut = tmp_path / "small.mc"
    cut.write_text("4 5\n1 2 1\n2 3 1\n3 4 1\n1 4 1\n1 3 1\n")
    return tmp_path, str(problem), str(cut)


def test_the_command_measures_prints_writes_and_draws(files, capsys):
    folder, problem, _ = files
    out, plot, model = (str(folder / name) for name in ("study.json", "study.png", "model.coo"))
    common = ["--reads", "20", "--sweeps", "5,20", "--penalties", "--seed", "3"]
    assert command(["qubo", problem, *common, "--out", out, "--plot", plot, "--export", model]) == 0
    said = capsys.readouterr().out
    for text in ("route-choice-qubo", "proven to suffice", "optimum of the model", "path-anneal", "neal", "TTS99"):
        assert text in said
    study = json.loads((folder / "study.json").read_text())
    assert study["format"] == "qnroute.qubo-study/1" and len(study["runs"]) == 4
    assert len(study["penalties"]) == len(STRENGTHS) and study["optimum"]["value"] > 0.0
    assert (folder / "study.png").stat().st_size > 10_000
    assert len(read_instance(model).quadratic) == study["size"]["variables"]
    assert command(["qubo", problem, *common[:4], "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["size"] == study["size"] and printed["penalties"] == []


def test_the_same_seed_gives_the_same_study(files, capsys):
    *_, problem, _ = files
    seen = []
    for _ in range(2):
        assert command(["qubo", problem, "--reads", "20", "--sweeps", "10", "--json"]) == 0
        runs = json.loads(capsys.readouterr().out)["runs"]
        seen.append([{name: each[name] for name in ("feasible", "within", "ratio", "energies")} for each in runs])
    assert seen[0] == seen[1]


def test_other_files_and_other_models(files, capsys):
    folder, problem, cut = files
    how = ["--reads", "10", "--sweeps", "10"]
    assert command(["qubo", cut, *how, "--samplers", "path-anneal,neal,tabu,steepest-descent"]) == 0
    said = capsys.readouterr().out
    assert "small: max-cut" in said and "optimum of the model: 4, proven" in said and "repaired" not in said
    for samplers in ("", " , "):
        assert command(["qubo", cut, *how, "--samplers", samplers]) == 0
        assert "TTS99" not in capsys.readouterr().out
    small = load_problem(problem)
    one = folder / "one.json"
    one.write_text(json.dumps(small.replace(requests=small.requests[:1]).to_dict()))
    assert command(["qubo", str(one), "--model", "path-qubo", *how, "--strength", "1.5"]) == 0
    assert "strength 1.5" in capsys.readouterr().out
    name, subject = opened(problem, encoding="unbalanced")
    assert name == "crowded-1" and not subject.proven
    assert opened(cut, model="qubo")[1].title["model"] == "qubo"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--samplers", "nela"], "--samplers: found 'nela', expected one of path-anneal, neal"),
        (["--sweeps", "ten"], "--sweeps: option sweeps: found 'ten', expected an integer"),
        (["--sweeps", ","], "--sweeps: found ',', expected numbers with commas"),
        (["--embed", "torus"], "--embed: found 'torus', expected one of pegasus"),
        (["--model", "path-qubo"], "path-qubo states one request"),
        (["--encoding", "ternary"], "no encoding is called 'ternary'"),
        (["--strength", "-1"], "strength: found -1.0, expected a number above 0"),
        (["--out", "study.csv"], "study.csv: expected a name ending in .json"),
        (["--plot", "study.bmp"], "study.bmp: expected a name ending in .png"),
        (["--export", "study.xyz"], "study.xyz: expected a name ending in .bqm"),
        (["--samplers", "path-anneal,openjij"], "sampler openjij is not installed: pip install openjij"),
        (["--model", "path-qubo", "--candidates", "3"], "path-qubo knows no candidates, encoding and margin"),
        (["--target", "nan"], "--target: found nan, expected a finite number"),
    ],
)
def test_bad_usage_is_one_line_before_any_work(files, capsys, monkeypatch, wrong, message):
    folder, problem, _ = files
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert command(["qubo", problem, *wrong]) == 2
    told = capsys.readouterr()
    assert message in told.err and told.err.count("\n") == 1 and told.out == ""
    assert sorted(folder.iterdir()) == before


def test_a_problem_with_nothing_to_choose_from(files, capsys):
    folder, problem, _ = files
    empty = folder / "empty.json"
    empty.write_text(json.dumps(load_problem(problem).replace(requests=[]).to_dict()))
    assert command(["qubo", str(empty), "--plot", str(folder / "empty.png")]) == 0
    said = capsys.readouterr()
    assert "0 variables" in said.out and "nothing to sample" in said.err


def test_figures_say_what_was_never_reached():
    plan = Plan(sweeps=(1, 2), reads=10, near=0.0, samplers=("neal",))
    axes = plot_study(studied("x", Routing(RouteChoiceQubo(crowded(5, n=40, count=30))), plan))
    import matplotlib.pyplot as plt

    titles = [ax.get_title(loc="left") for ax in axes.figure.axes]
    assert any("lower limit" in title for title in titles)
    plt.close(axes.figure)


# --- the benchmarks ---


def test_benchmarks_measure_both_ways_on_all_sizes():
    rows = rates.measure(runs=1, sizes=(50, 80), sweeps=3)
    assert [(row.variables, row.way) for row in rows] == [
        (size, way) for size in (50, 80) for way in ("path-anneal", "dwave-samplers")
    ]
    assert all(row.update_ns > 0.0 and row.sweeps == 3 for row in rows) and rows[0].ratio == 1.0
    stop = threading.Event()
    stop.set()
    assert rates.measure(runs=1, sizes=(50,), sweeps=3, interrupted=stop) == []


def test_gaps_are_to_proven_bounds(monkeypatch):
    small = {name: case._replace(nodes=25, requests=12) for name, case in annealing.CASES.items()}
    monkeypatch.setattr(annealing, "CASES", small)
    rows = annealing.measure(runs=2, case=["default", "five-50"])
    assert [(row.case, row.network) for row in rows] == [
        (case, network) for case in ("default", "five-50") for network in ("100", "101", "all")
    ]
    for row in rows:
        assert -1e-4 <= row.gap_percent <= row.greedy_percent + 1e-9 and 0.0 <= row.feasible <= 1.0
    assert rows[2].equal == f"{sum(row.equal == 'yes' for row in rows[:2])} of 2"
    assert [line.split()[0] for line in annealing.listing()] == list(small)
    with pytest.raises(qn.ProblemError, match="case: found 'none'"):
        annealing.measure(case=["none"])
