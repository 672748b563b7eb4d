"""The time limit and Ctrl-C at the command line: the best answer is kept, or it is said that there is none."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hostile import (
    DATA,
    GIVE_UP,
    changed,
    command,
    finished,
    holds,
    one_line,
    refused,
    surroundings,
    untouched,
)

from qnroute.cli import run
from qnroute.formats.reading import read_bytes
from qnroute.models import LinkFlow
from qnroute.solvers import baselines

# --- the time limit and Ctrl-C ---


@pytest.fixture(scope="module")
def hard(tmp_path_factory) -> dict[str, Path]:
    """Problems that take minutes: for `exact`, for flow models, and one on which these find answers early."""
    folder, drawn = tmp_path_factory.mktemp("hard"), {}
    wanted = {
        "exact": "random-geometric:n=400,radius=10,p=0.9,swap=0.97 --requests 400 --weight 1:3 --channels 2 --memory 7",
        "flow": "waxman:n=150,alpha=0.2,beta=0.4 --requests 60 --routes 2 --channels 2 --memory 6",
        "early": "waxman:n=60,alpha=0.12,beta=0.4,p=0.7,swap=0.9 --requests 20 --weight 1:3 --memory 4",
    }
    for name, line in wanted.items():
        drawn[name] = folder / f"{name}.json"
        objective = "link-sum" if name == "early" else "expected-pairs"
        common = ["--seed", "3", "--objective", objective, "--out", str(drawn[name])]
        assert run(["problem", "--network", *line.split(), *common]) == 0
    return drawn


@pytest.mark.parametrize(("method", "instance"), [("exact", "exact"), ("link-flow", "flow")])
def test_a_time_limit_leaves_a_valid_result_or_says_that_there_is_none(method, instance, hard, capsys, tmp_path):
    out = tmp_path / "r.json"
    code, _, err = finished("solve", hard[instance], "--method", method, "--time-limit", 1, "--out", out)
    one_line(err, "time")
    assert code == (0 if out.exists() else 3)
    if code == 0:
        assert holds(capsys, hard[instance], out)["status"] == "time-limit"


def test_a_packing_too_dense_for_presolve_minds_the_time_limit(tmp_path, capsys):
    """43,000 routes of 45 links and nodes each: presolve alone would take minutes, and no limit ends it."""
    problem, out = tmp_path / "dense.json", tmp_path / "r.json"
    drawn = "problem --network surfnet --requests 20 --seed 3 --memory 6 --objective link-sum --out"
    assert run([*drawn.split(), str(problem)]) == 0
    capsys.readouterr()
    code, _, err = finished("solve", problem, "--method", "path-packing", "--time-limit", 5, "--out", out)
    one_line(err, "time")
    assert code == (0 if out.exists() else 3)
    if code == 0:
        assert holds(capsys, problem, out)["status"] == "time-limit"


@pytest.mark.parametrize("kind", ["expected-pairs", "log-success", "link-sum"])
def test_no_time_at_all_is_called_a_time_limit(kind, hard, written, capsys, tmp_path):
    base, out = hard["exact"].read_text(encoding="utf-8"), tmp_path / "r.json"
    path = written(changed((("objective",), {"kind": kind}), base=base))
    code = run(["solve", str(path), "--time-limit", "0", "--out", str(out)])
    one_line(capsys.readouterr().err, "time")
    assert code == (0 if out.exists() else 3)
    if code == 0:
        assert holds(capsys, path, out)["status"] == "time-limit"


def bests_shown(text: str) -> list[float]:
    """The objectives that a progress line has shown, one after the other."""
    return [abs(float(shown)) for shown in re.findall(r"best (-?\d[\d.e+-]*),", text)]


def interrupted(arguments: Sequence[Any], enough: Callable[[list[float]], bool]) -> tuple[int, str]:
    """Status and terminal text of a solve that gets Ctrl-C once its progress line has shown enough."""
    ours, theirs = pty.openpty()
    process = command(
        *arguments, stdout=subprocess.DEVNULL, stderr=theirs, environment={"COLUMNS": "200", "TERM": "xterm"}
    )
    os.close(theirs)
    text, sent, deadline = "", False, time.monotonic() + GIVE_UP
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1.0)[0]:
                continue
            try:
                text += os.read(ours, 65536).decode(errors="replace")
            except OSError:  # Linux: the other end is closed
                break
            if not sent and enough(bests_shown(text)):
                process.send_signal(signal.SIGINT)
                sent = True
        assert sent, text[-500:]
        return process.wait(GIVE_UP), text
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def kept(problem: Path, out: Path, text: str, capsys) -> None:
    """The result file is valid and no worse than the best answer that was shown."""
    assert "interrupted" in text.splitlines()[-1], text[-500:]
    result = holds(capsys, problem, out)
    assert result["status"] == "time-limit"
    assert result["objective"] >= max(bests_shown(text)) * (1 - 1e-5)


def test_ctrl_c_keeps_the_best_answer_of_link_flow(hard, capsys, tmp_path):
    arguments = ("solve", hard["early"], "--method", "link-flow", "--out", tmp_path / "r.json")
    code, text = interrupted(arguments, any)
    assert code == 0, text[-500:]
    kept(hard["early"], tmp_path / "r.json", text, capsys)


def test_ctrl_c_keeps_the_best_answer_of_exact(hard, capsys, tmp_path):
    arguments = ("solve", hard["exact"], "--method", "exact", "--out", tmp_path / "r.json")
    code, text = interrupted(arguments, lambda bests: bool(bests) and max(bests) > bests[0])
    assert code == 0, text[-500:]
    kept(hard["exact"], tmp_path / "r.json", text, capsys)


READY = """
import sys
from qnroute.cli import run
small, problem, method, out = sys.argv[1:]
run(["solve", small, "--method", method, "--json"])  # imports are over, and Ctrl-C meets the solve itself
print("ready", flush=True)
sys.exit(run(["solve", problem, "--method", method, "--out", out]))
"""


@pytest.mark.parametrize(
    ("method", "instance", "delay"),
    [("path-packing", "exact", 0.7), ("link-flow", "flow", 0.1), ("pyomo", "early", 2.0)],
)
def test_ctrl_c_at_any_time_keeps_an_answer_or_says_that_there_is_none(method, instance, delay, hard, capsys, tmp_path):
    out, problem = tmp_path / "r.json", hard[instance]
    line = [sys.executable, "-c", READY, DATA / "diamond.json", problem, method, out]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([str(part) for part in line], text=True, env=surroundings(), **pipes) as process:
        for text in process.stdout:
            if text == "ready\n":
                break
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        try:
            shown, err = process.communicate(timeout=GIVE_UP)
        finally:
            process.kill()
    assert process.returncode == (0 if out.exists() else 3), err
    one_line(err, "interrupted")
    assert "warning" not in shown.lower()
    if out.exists():
        holds(capsys, problem, out)


def ctrl_c_then(work: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with Ctrl-C pressed as it is called."""

    def pressed(*arguments: Any, **settings: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return work(*arguments, **settings)

    return pressed


def test_ctrl_c_while_a_file_is_read_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr("qnroute.formats.problems.read_bytes", ctrl_c_then(read_bytes))
    refused(capsys, ["solve", DATA / "diamond.json"], "interrupted", status=3)


@pytest.mark.parametrize("line", ["compare P", "export P --model path-packing --out m.mps"])
def test_ctrl_c_in_other_commands_is_one_line(line, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("qnroute.formats.problems.read_bytes", ctrl_c_then(read_bytes))
    with untouched(tmp_path):
        arguments = [DATA / "diamond.json" if part == "P" else part for part in line.split()]
        refused(capsys, arguments, "interrupted", status=3)


@pytest.mark.parametrize("method", ["shortest_path", "greedy", "static"])
def test_ctrl_c_in_a_simple_method_keeps_an_answer_or_says_that_there_is_none(method, capsys, monkeypatch, tmp_path):
    out = tmp_path / "r.json"
    monkeypatch.setattr(baselines, method, ctrl_c_then(getattr(baselines, method)))
    arguments = ["solve", str(DATA / "diamond.json"), "--method", method.replace("_", "-"), "--out", str(out)]
    assert run(arguments) == (0 if out.exists() else 3)
    one_line(capsys.readouterr().err, "interrupted")


def test_ctrl_c_while_exact_turns_to_arcs_keeps_the_packing(capsys, monkeypatch, tmp_path):
    path, out = tmp_path / "grid.json", tmp_path / "r.json"
    drawn = ["problem", "--network", "grid:rows=5,columns=5,p=0.9", "--requests", "6", "--objective", "link-sum"]
    assert run([*drawn, "--out", str(path)]) == 0
    monkeypatch.setattr("qnroute.solvers.exact.LinkFlow", ctrl_c_then(LinkFlow))
    code = run(["solve", str(path), "--option", "max_routes=1", "--out", str(out)])
    assert code == 0
    one_line(capsys.readouterr().err, "interrupted")
    assert holds(capsys, path, out)["routes"]


def test_too_little_memory_is_one_line(capsys, monkeypatch):
    def exhausted(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("qnroute.solvers.baselines.greedy", exhausted)
    refused(capsys, ["solve", DATA / "diamond.json", "--method", "greedy"], "memory")


def _wrapped():
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as stop:
        raise ImportError("compiled code") from stop


@pytest.mark.parametrize("drawn", [signal.default_int_handler, _wrapped])
def test_ctrl_c_while_drawing_leaves_the_answer(drawn, tmp_path, capsys, monkeypatch):
    def save_figure(ax, path):
        drawn(*([signal.SIGINT, None] if drawn is signal.default_int_handler else []))

    monkeypatch.setattr("qnroute.plot.save_figure", save_figure)
    path, out, picture = DATA / "diamond.json", tmp_path / "r.json", tmp_path / "map.png"
    assert run(["solve", str(path), "--out", str(out), "--plot", str(picture)]) == 0
    shown = capsys.readouterr()
    assert "1 of 1 requests served" in shown.out
    one_line(shown.err, "interrupted while drawing; the answer stands")
    assert holds(capsys, path, out)["status"] == "optimal" and not picture.exists()


@pytest.mark.parametrize("saved", [True, False])
def test_ctrl_c_while_the_answer_is_printed(saved, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("qnroute.cli.solving._print_result", lambda result: signal.raise_signal(signal.SIGINT))
    path, out = DATA / "diamond.json", tmp_path / "r.json"
    assert run(["solve", str(path), *(["--out", str(out)] if saved else [])]) == (0 if saved else 3)
    one_line(capsys.readouterr().err, "interrupted while showing; the answer stands" if saved else "interrupted before")
    assert not saved or holds(capsys, path, out)["status"] == "optimal"
