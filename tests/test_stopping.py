"""Out of time, interrupted, or contradicted by a solver: the work ends soon and says the truth about it."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import threading

import highspy
import oracle
import pytest
from helpers import problem_of

import qnroute as qn
from qnroute import routes
from qnroute.benchmark.comparison import compare
from qnroute.cli import run
from qnroute.errors import NoAnswer
from qnroute.models import LinkFlow
from qnroute.settings import Settings
from qnroute.solvers.pulp import solve_with_pulp
from qnroute.solvers.pyomo import solve_with_pyomo

THROUGH = {"pulp": solve_with_pulp, "pyomo": solve_with_pyomo}


class Counting(Settings):
    """Settings that are interrupted when they are asked for the n-th time."""

    def stop_at(self, number):
        object.__setattr__(self, "left", number)
        return self

    @property
    def stopped(self):
        object.__setattr__(self, "left", self.left - 1)
        return "interrupted" if self.left <= 0 else None


@pytest.mark.parametrize("library", THROUGH)
def test_other_libraries_ask_at_every_variable_and_row_whether_to_go_on(library, contract_example):
    """Twice: where the model is stated in the library, and where the library states it to HiGHS."""
    model = LinkFlow(problem_of(contract_example))
    entries = model.n_columns + sum(bool(row) for row in (model.matrix.a != 0).sum(axis=1))
    asked = Counting().stop_at(10**9)
    THROUGH[library](model, asked)
    assert 10**9 - asked.left >= 2 * entries
    for number in (1, entries // 2, entries, entries + 5, 2 * entries - 1):
        with pytest.raises(NoAnswer, match=f"{library}: interrupted before any answer"):
            THROUGH[library](LinkFlow(problem_of(contract_example)), Counting().stop_at(number))


@pytest.mark.parametrize("method", ["pulp", "pyomo", "path-packing"])
def test_routes_are_not_listed_past_the_time_limit(method, monkeypatch):
    """Not one more request is searched once the work must end."""
    options = {} if method == "path-packing" else {"model": "path-packing"}
    network = qn.generate.grid(6, 6, p=0.9)
    problem = qn.Problem(network, [qn.Request(f"r{k}", "n0", "n35") for k in range(4000)])
    search, searched, ended = routes.cheapest_paths, [], threading.Event()

    def counted(*arguments, **limits):
        searched.append(1)
        if len(searched) == 7:
            ended.set()
        return search(*arguments, **limits)

    monkeypatch.setattr(routes, "cheapest_paths", counted)
    with pytest.raises(NoAnswer, match="path-packing: interrupted before any answer"):
        qn.solve(problem, method, interrupted=ended, **options)
    assert len(searched) == 7
    with pytest.raises(NoAnswer, match="path-packing: time-limit before any answer"):
        qn.solve(problem, method, time_limit=0.0, **options)
    assert len(searched) == 7


@pytest.mark.parametrize("method", ["link-flow", "path-packing", "exact", "pulp", "pyomo"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_feasible_program_called_infeasible_is_solved_again_without_presolve(method, number, monkeypatch):
    """HiGHS's presolve has done so; `number`: at which of the runs it does it here."""
    document = oracle.random_problem(random.Random("refuted 3"), max_requests=4)
    truth, runs, presolve = highspy.Highs.getModelStatus, [], []

    def run(highs):
        runs.append(highs)
        presolve.append(highs.getOptionValue("presolve")[1])
        return highspy._core._Highs.run(highs)

    def status(highs):
        lie = len(runs) == number and runs[-1] is highs
        return highspy.HighsModelStatus.kInfeasible if lie else truth(highs)

    monkeypatch.setattr(highspy.Highs, "run", run)
    monkeypatch.setattr(highspy.Highs, "getModelStatus", status)
    result = qn.solve(problem_of(document), method)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(oracle.optimum(document)[0]) and result.objective > 0
    assert len(runs) < number or presolve[:number] == ["choose"] * number
    assert len(runs) <= number or presolve[number] == "off" or runs[number] is not runs[number - 1]
    assert method == "exact" or number > 1 or presolve == ["choose", "off"]


@pytest.mark.parametrize(
    "method", ["link-flow", "exact", "greedy", "shortest-path", "density-greedy", "priced", "static"]
)
def test_an_event_from_elsewhere_stops_a_method_like_ctrl_c(method, contract_example):
    stop = threading.Event()
    stop.set()
    result = None
    with contextlib.suppress(NoAnswer):
        result = qn.solve(problem_of(contract_example), method, interrupted=stop)
    assert result is None or (result.status == "time-limit" and "interrupted" in result.remarks[0])


# --- compare ---


@pytest.fixture
def ctrl_c_in_greedy(monkeypatch):
    """Ctrl-C is pressed when greedy is asked for anything but the small problem that warms it up."""
    real = qn.solve

    def solve(asked, name, **settings):
        if name == "greedy" and asked.network.n_nodes > 3:
            signal.raise_signal(signal.SIGINT)
        return real(asked, name, **settings)

    monkeypatch.setattr("qnroute.benchmark.comparison.solve", solve)


def test_compare_keeps_the_rows_it_has_when_interrupted(contract_example, ctrl_c_in_greedy):
    problem = problem_of(contract_example)
    rows = compare(problem, ["exact", "greedy", "static", "link-flow"])
    assert [row.method for row in rows] == ["exact", "greedy", "static", "link-flow"]
    assert [row.status for row in rows] == ["optimal", "time-limit", "not run: interrupted", "not run: interrupted"]
    assert "interrupted" in rows[1].remarks and rows[0].remarks == ""
    assert rows[0].value == pytest.approx(0.648) and rows[2].value is None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_compare_stops_for_an_event_from_elsewhere(contract_example):
    stop = threading.Event()
    stop.set()
    rows = compare(problem_of(contract_example), ["exact", "static"], interrupted=stop)
    assert [row.status for row in rows] == ["not run: interrupted"] * 2


def test_the_command_says_what_an_interruption_left_out(contract_example, ctrl_c_in_greedy, tmp_path, capsys):
    paths = []
    for name in ("one", "two"):
        paths.append(str(tmp_path / f"{name}.json"))
        (tmp_path / f"{name}.json").write_text(json.dumps({**contract_example, "name": name}))
    out = tmp_path / "table.json"
    assert run(["compare", *paths, "--methods", "exact,greedy,static", "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "not run: interrupted" in shown.out
    assert shown.err.splitlines() == [
        "qnroute: one, greedy: interrupted: this is the best answer found so far",
        "qnroute: two: not compared: interrupted",
    ]
    rows = json.loads(out.read_text())
    assert [(row["problem"], row["method"]) for row in rows] == [("one", m) for m in ("exact", "greedy", "static")]


@pytest.mark.parametrize(
    ("methods", "code"), [("link-flow,pyomo", 3), ("link-flow", 3), ("link-flow,greedy", 0), ("static", 0)]
)
def test_a_table_without_any_answer_for_lack_of_time_has_its_own_status(
    methods, code, contract_example, tmp_path, capsys, monkeypatch
):
    real = qn.solve

    def solve(asked, name, **settings):
        if name == "static":
            raise qn.SolverError("static: cannot")
        if name in ("link-flow", "pyomo"):
            raise NoAnswer(f"{name}: time-limit before any answer")
        return real(asked, name, **settings)

    monkeypatch.setattr("qnroute.benchmark.comparison.solve", solve)
    path, out = tmp_path / "p.json", tmp_path / "table.json"
    path.write_text(json.dumps(contract_example))
    assert run(["compare", str(path), str(path), "--methods", methods, "--out", str(out)]) == code
    shown = capsys.readouterr()
    assert shown.out.count("share of best bound") == 2
    assert (shown.err != "") == (code == 3)
    rows = json.loads(out.read_text())
    assert [row["unanswered"] for row in rows] == [name in ("link-flow", "pyomo") for name in methods.split(",")] * 2
