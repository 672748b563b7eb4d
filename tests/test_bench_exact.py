"""`bench exact` on its tiny cases: the whole path to tables and figures; no times are asserted."""

from __future__ import annotations

import csv
import itertools
import json
import threading

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pytest
from helpers import ROOT
from matplotlib.colors import to_hex

import qnroute as qn
from qnroute.benchmark import exact, figures, processes, single
from qnroute.benchmark.cases import CASES, GROUPS, PEERS, UPDATING, named
from qnroute.benchmark.exact import Proof
from qnroute.benchmark.tables import shown
from qnroute.cli import run
from qnroute.errors import ProblemError, SolverError

FIGURES = {
    "nodes": 24,
    "links": 96,
    "requests": 6,
    "objective": "log-success",
    "reachable": 6,
    "served": 6,
    "status": "optimal",
    "value": 5.0,
    "bound": 5.0,
    "gap": 0.0,
    "cpu_s": 2.0,
    "wall_s": 3.0,
    "peak_mb": 100.0,
    "remarks": "",
    "trace": [[0.5, 0.0, None], [1.0, 4.0, 8.0], [2.0, 5.0, 5.001], [3.0, 5.0, 5.0]],
}


@pytest.fixture
def pretended(monkeypatch):
    """Runs that cost nothing: each call gives the next of the figures, the last one again and again."""
    calls = []

    def pretend(*changes, error=None):
        def measured(module, *arguments, interrupted, patience):
            calls.append(arguments)
            if error is not None and len(calls) > len(changes):
                raise error
            return {**FIGURES, **changes[min(len(calls), len(changes)) - 1]}

        monkeypatch.setattr(exact, "measured", measured)
        return calls

    return pretend


# --- the registry ---


def test_every_case_has_a_group_and_known_ways_and_its_own_name():
    for name, case in CASES.items():
        assert case.name == name and case.group in GROUPS and name not in GROUPS
        assert set(case.ways) <= {*single.WAYS, UPDATING[0]} and case.description
        assert (UPDATING[0] in case.ways) == (case.before is not None)


def test_small_problems_of_every_kind_can_be_solved_by_every_way_of_the_case():
    for case in {(case.make, case.ways[:2]): case for case in CASES.values()}.values():
        problem = case.make(24)
        assert problem == case.make(24) and (case.before is None or problem != case.before(24))
        for way in case.ways[:2]:
            assert single.ready(case, way, 24, 20)(problem, 20).objective > 0


def test_cases_by_name_and_group_in_the_order_of_the_registry():
    assert [case.name for case in named(["tiny-pairs", "tiny-log"])] == ["tiny-log", "tiny-pairs"]
    assert {case.group for case in named(["hard", "selection"])} == {"hard", "selection"}
    assert all(case.usual for case in named(None)) and named([]) == named(None)
    assert max(case.nodes for case in named(None)) == 10_000
    with pytest.raises(ProblemError, match=r"case: found .growth-51., expected one of peers, .*did you mean"):
        named(["tiny", "growth-51"])


def test_sizes_are_those_of_their_names():
    big = CASES["peers-500"].problem()
    assert (big.network.n_nodes, big.network.n_links, len(big.requests)) == (500, 2000, 100)
    assert big.name == "peers-500" and big.objective.kind == "log-success"
    near = CASES["growth-near-200"].problem()
    assert len(near.requests) == near.network.n_nodes == 200 and CASES["growth-200"].problem().network == near.network


def test_the_page_names_every_group_and_way():
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    assert all(f"| `{group}` |" in page for group in GROUPS)
    assert all(f"`{way}`" in page for case in CASES.values() for way in case.ways)


# --- one run ---


def test_reachable_requests_are_those_whose_best_route_keeps_the_floor():
    problem = CASES["tiny-pairs"].problem()
    problem = problem.replace(requests=qn.generate.requests(problem.network, 60, seed=3, min_fidelity=(0.5, 0.99)))
    graph, expected = problem.network.to_networkx(), 0
    for request in problem.requests:
        expected += any(
            np.prod([(4 * graph.edges[link]["fidelity"] - 1) / 3 for link in itertools.pairwise(path)])
            >= (4 * request.min_fidelity - 1) / 3
            for path in nx.all_simple_paths(graph, request.source, request.target, cutoff=6)
        )
    assert 0 < expected < 60 and single.reachable(problem) == expected
    assert single.reachable(CASES["tiny-selection"].problem()) is None


def test_perfect_links_do_not_hide_requests():
    assert single.reachable(CASES["hard-grid"].problem()) == 300


def test_traces_are_thinned_to_what_changed():
    trace = [(float(i), float(i // 10), None) for i in range(100)]
    assert single.thinned(trace) == [(10.0 * i, float(i), None) for i in range(10)]
    long = [(float(i), float(i), None) for i in range(5000)]
    kept = single.thinned(long)
    assert len(kept) == 200 and kept[0] == long[0] and kept[-1] == long[-1]
    assert single.thinned([]) == []


def test_a_run_without_an_answer_says_so():
    found = single.measured(CASES["tiny-log"], "pyomo", 0.0)
    assert found["status"] == "no-answer" and found["peak_mb"] > 1 and "value" not in found
    refused = single.measured(CASES["tiny-selection"], "link-flow", 60.0)
    assert refused["status"].startswith("refused: method link-flow does not solve the task link-selection")


def test_a_process_that_fails_or_hangs_is_told_apart():
    with pytest.raises(SolverError, match="status 1: KeyError: 'no-such-case'"):
        processes.measured("qnroute.benchmark.single", "no-such-case", "exact", "1", interrupted=threading.Event())
    with pytest.raises(SolverError, match="no end after 0 s"):
        arguments = ("tiny-log", "column-generation", "1")
        processes.measured("qnroute.benchmark.single", *arguments, interrupted=threading.Event(), patience=0.0)
    stopped = threading.Event()
    stopped.set()
    assert processes.measured("qnroute.benchmark.single", *arguments, interrupted=stopped) is None


# --- rows ---


def test_rows_hold_medians_ratios_and_what_the_trace_says(pretended):
    calls = pretended(
        {"cpu_s": 1.0}, {"cpu_s": 10.0, "trace": []}, {"cpu_s": 3.0}, {"cpu_s": 30.0, "trace": [], "peak_mb": 7000.0}
    )
    ours, theirs = exact.measure(runs=2, case=["tiny-selection"], time_limit=7.0)
    assert calls == [("tiny-selection", way, "7.0") for way in ("exact", "highs")] * 2
    assert (ours.cpu_s, ours.ratio, theirs.cpu_s, theirs.ratio) == (2.0, 1.0, 20.0, 10.0)
    assert (ours.first_value_s, ours.first_bound_s, ours.permille_s) == (1.0, 1.0, 2.0)
    assert (theirs.first_value_s, theirs.first_bound_s, theirs.permille_s) == (None, None, None)
    assert (theirs.peak_mb, ours.peak_mb, ours.runs, ours.limit_s, ours.agrees) == (7000.0, 100.0, 2, 7.0, "yes")


@pytest.mark.parametrize(
    ("value", "agrees"), [(5.0, "yes"), (5.0 + 1e-7, "yes"), (5.1, "no"), (4.0, "yes"), (None, "")]
)
def test_a_value_above_a_proven_bound_does_not_agree(pretended, value, agrees):
    pretended({}, {"value": value, "bound": None})
    assert [row.agrees for row in exact.measure(case=["tiny-selection"])] == ["yes", agrees]


def test_a_run_that_dies_leaves_its_reason_and_the_others(pretended):
    pretended({}, error=SolverError("a process ended with status -9: it said nothing"))
    ours, theirs = exact.measure(case=["tiny-selection"])
    assert ours.status == "optimal" and theirs.status.endswith("status -9: it said nothing")
    assert theirs.value is theirs.cpu_s is theirs.ratio is None


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_limit_is_more_than_nothing(limit):
    with pytest.raises(ProblemError, match="time_limit"):
        exact.measure(case=["tiny"], time_limit=limit)


def test_an_interrupted_benchmark_keeps_what_it_has():
    stop, told = threading.Event(), []

    def doing(step):
        told.append(step)
        if len(told) == 2:
            stop.set()

    (row,) = exact.measure(case=["tiny-selection"], runs=1, doing=doing, interrupted=stop)
    assert told == ["tiny-selection, exact, run 1 of 1", "tiny-selection, highs, run 1 of 1"]
    assert (row.way, row.status, row.runs) == ("exact", "optimal", 1)


# --- the command ---


def test_the_whole_path_to_files(tmp_path, capsys):
    table, picture = tmp_path / "t.csv", tmp_path / "t.png"
    assert run(["bench", "exact", "--case", "tiny-log", "--out", str(table), "--plot", str(picture)]) == 0
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["way"] for row in rows] == list(PEERS)
    assert {row["status"] for row in rows} == {"optimal"} and {row["agrees"] for row in rows} == {"yes"}
    values = [float(row["value"]) for row in rows]
    np.testing.assert_allclose(values, values[0], rtol=1e-6)
    assert rows[0]["ratio"] == "1.0" and all(float(row["peak_mb"]) > 10 for row in rows)
    trace = json.loads(rows[0]["trace"])
    assert trace[-1][1:] == [float(rows[0]["value"]), float(rows[0]["bound"])] and json.loads(rows[3]["trace"]) == []
    assert picture.read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out
    assert "tiny-log" in out and "column-generation" in out and "trace" not in out


def test_json_has_the_same_fields(tmp_path, pretended):
    pretended({})
    table = tmp_path / "t.json"
    assert run(["bench", "exact", "--case", "tiny", "--time-limit", "5", "--out", str(table)]) == 0
    rows = json.loads(table.read_text())
    assert len(rows) == 8 and list(rows[0]) == list(Proof.__dataclass_fields__)
    assert rows[0]["limit_s"] == 5.0 and rows[0]["trace"] == FIGURES["trace"]


def test_an_interruption_writes_the_rows_measured_so_far(tmp_path, monkeypatch, capsys):
    table, stops = tmp_path / "t.csv", []

    def measured(module, *arguments, interrupted, patience):
        stops.append(interrupted)
        if len(stops) > 2:
            interrupted.set()
            return None
        return FIGURES

    monkeypatch.setattr(exact, "measured", measured)
    assert run(["bench", "exact", "--case", "tiny", "--out", str(table)]) == 0
    assert capsys.readouterr().err.splitlines() == ["qnroute: interrupted: these are the rows measured so far"]
    assert [line.split(",")[6] for line in table.read_text().splitlines()] == ["way", *PEERS[:2]]
    table.unlink()
    assert run(["bench", "exact", "--case", "tiny", "--out", str(table)]) == 3
    assert "interrupted before" in capsys.readouterr().err and not table.exists()


def test_cases_are_listed(capsys):
    assert run(["bench", "exact", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(f"{name}  " in out for name in (*GROUPS, *CASES))
    assert run(["bench"]) == 0
    assert "exact  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("exact --case nonsense", ("nonsense", "peers", "growth-10000")),
        ("exact --time-limit 0", ("time_limit",)),
        ("exact --time-limit soon", ("--time-limit",)),
        ("exact --case tiny --plot p.gif", ("p.gif", ".png")),
        ("exact --case tiny --out t.txt", ("t.txt", ".csv")),
        ("building --case tiny", ("building has no --case",)),
        ("building --time-limit 3 --plot p.png --list", ("--time-limit, --list, --plot",)),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(line, words, capsys, monkeypatch):
    monkeypatch.setattr(exact, "measured", None)
    assert run(["bench", *line.split()]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and all(word in err for word in words)


# --- figures ---


def row(case="growth-50", way="column-generation", **changes):
    made = {name: FIGURES.get(name) for name in Proof.__dataclass_fields__}
    group = CASES[case].group
    made |= {"case": case, "group": group, "nodes": CASES[case].nodes, "way": way, "runs": 1, "limit_s": 60.0}
    return Proof(**{**made, "agrees": "yes", "ratio": 1.0, **changes})


@pytest.fixture(autouse=True)
def closed():
    """Every test leaves no figure open."""
    yield
    plt.close("all")


def test_a_column_of_axes_for_each_group():
    rows = [row("growth-50"), row("growth-100"), row("growth-50", "link-flow", trace=[]), row("hard-grid")]
    axes = figures.plot_proofs(rows).figure.axes
    figures.plot_proofs(rows).figure.canvas.draw()
    assert len(axes) == 4 and {ax.get_xscale() for ax in axes} == {"log"} == {ax.get_yscale() for ax in axes}
    assert [ax.get_title(loc="left") for ax in axes[:2]] == ["growth", "hard"]
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == ["column-generation", "link-flow"]
    assert [text.get_text() for text in axes[2].texts] == ["proven", "50", "100"]
    assert [text.get_text() for text in axes[3].texts] == ["proven", "grid"]


def test_only_cases_of_one_kind_are_joined_by_a_line():
    names = ("selection-1000", "selection-10000", "selection-regular-10000")
    ax = figures.plot_costs([row(name, way="exact") for name in names])
    assert [len(line.get_xdata()) for line in ax.lines] == [2, 0, 1]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["exact"]


def test_what_is_not_proven_is_hollow():
    ax = figures.plot_costs([row("growth-50"), row("growth-100", status="time-limit"), row("growth-200", cpu_s=None)])
    (dots,) = ax.collections
    assert [to_hex(colour) for colour in dots.get_facecolors()] == ["#0b6fb8", "#ffffff"]
    ax = figures.plot_gaps([row(trace=FIGURES["trace"][:3])])
    assert [to_hex(colour) for colour in ax.collections[0].get_facecolors()] == ["#ffffff"]


def test_gaps_begin_at_one_and_end_at_the_floor_of_the_picture():
    ax = figures.plot_gaps([row()])
    (line,) = [line for line in ax.lines if len(line.get_xdata()) == 4]
    np.testing.assert_allclose(line.get_ydata(), [1.0, 0.5, 0.001 / 5.001, 1e-7])


def test_rows_without_any_figures_can_be_drawn():
    nothing = dict.fromkeys(("cpu_s", "value", "bound", "gap", "wall_s"))
    figures.plot_proofs([row(status="failed: hung", trace=[], **nothing)]).figure.canvas.draw()


def test_columns_for_people_leave_out_what_only_files_need():
    assert {"trace", "remarks", "group"}.isdisjoint(shown([row()])) and {"gap", "ratio"} <= set(shown([row()]))
