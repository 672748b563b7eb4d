"""Hostile command lines, outputs that cannot be written, closed streams: one line, nothing half-written."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hostile import (
    DATA,
    EXAMPLE,
    GIVE_UP,
    command,
    finished,
    one_line,
    refused,
    solved,
    surroundings,
    untouched,
)

from qnroute.cli import run

# --- the command line itself ---

USAGE = [
    ("solve P --time-limit -1", "time"),
    ("solve P --time-limit nan", "time"),
    ("solve P --time-limit inf", "time"),
    ("solve P --time-limit soon", "time"),
    ("solve P --time-limit", "time"),
    ("solve P --gap -0.1", "gap"),
    ("solve P --gap nan", "gap"),
    ("solve P --gap inf", "gap"),
    ("solve P --gap wide", "gap"),
    ("solve P --seed -1", "seed"),
    ("solve P --seed 1.5", "seed"),
    ("solve P --seed nan", "seed"),
    ("solve P --seed 9223372036854775808", "seed"),
    ("solve P --seed one", "seed"),
    ("solve P --method exakt", "exakt"),
    ("solve P --method ", "method"),
    ("solve P --colour red", "--colour"),
    ("solve P Q", "Q"),
    ("solve", "PROBLEM"),
    ("solve P --option threads", "KEY=VALUE"),
    ("solve P --option =1", "KEY=VALUE"),
    ("solve P --option ", "KEY=VALUE"),
    ("solve P --option colour=1", "colour"),
    ("solve P --option threads=", "threads"),
    ("solve P --option threads=two", "threads"),
    ("solve P --option threads=0", "threads"),
    ("solve P --option threads=1.5", "threads"),
    ("solve P --option threads=nan", "threads"),
    ("solve P --option max_routes=-1", "max_routes"),
    ("solve P --option time_limit=5", "time_limit"),
    ("solve P --option gap=1", "gap"),
    ("solve P --option seed=1", "seed"),
    ("solve P --option progress=1", "progress"),
    ("solve P --option problem=1", "problem"),
    ("solve P --option method=1", "method"),
    ("solve P --method pulp --option model=flow", "model"),
    ("solve P --plot map.gif", "map.gif"),
    ("solve P --plot map", "map"),
    ("solve P --plot -", ".png"),
    ("compare", "PROBLEM"),
    ("compare P --methods exact,exakt", "exakt"),
    ("compare P --methods ", "--methods: found '', expected names"),
    ("compare P --methods ,", "--methods: found ',', expected names"),
    ("compare - -", "standard input: named more than once"),
    ("check - -", "standard input: named more than once"),
    ("compare P --time-limit nan", "time"),
    ("compare P --seed -1", "seed"),
    ("compare P --out table.txt", "table.txt"),
    ("check P", "RESULT"),
    ("check P missing.json", "missing.json"),
    ("check P P", "format"),
    ("export P --out m.mps", "--model"),
    ("export P --model link-flow", "--out"),
    ("export P --model flow --out m.mps", "flow"),
    ("export P --model link-selection --out m.mps", "link-selection"),
    ("export P --model link-flow --out m.txt", "m.txt"),
    ("export P --model link-flow --out m", "m"),
    ("export P --model link-flow --out -", ".mps"),
    ("networks nowhere", "nowhere"),
    ("hardware abacus", "abacus"),
    ("optimise P", "optimise"),
    ("problem --network tokyo --requests 2", "--out"),
    ("problem --requests 2 --out o.json", "--network"),
    ("problem --network nowhere --requests 2 --out o.json", "nowhere"),
    ("problem --network tokyo --out o.json", "--requests: missing, and tokyo holds no demands; give --requests N"),
    ("problem --network grid:rows=2,columns=2 --out o.json", "--requests: missing"),
    ("problem --network tokyo --requests -1 --out o.json", "--requests: found -1"),
    ("problem --network tokyo --requests 1e3 --out o.json", "requests"),
    ("problem --network tokyo --requests 99999999999 --out o.json", "--requests: found"),
    ("problem --network tokyo --requests 2 --seed -1 --out o.json", "--seed"),
    ("problem --network tokyo --requests 2 --memory 4611686018427387904 --out o.json", "memory"),
    ("problem --network tokyo --requests 2 --memory -4 --out o.json", "nodes.memory: found -4, expected at least 0"),
    ("problem --network tokyo --requests 2 --task link-selection --out o.json", "requests: found 2, expected none"),
    ("problem --network tokyo --requests 2 --hardware abacus --out o.json", "abacus"),
    ("problem --network tokyo --requests 2 --repeaters 0 --out o.json", "--repeaters: found 0"),
    ("problem --network tokyo --requests 2 --repeaters nan --out o.json", "--repeaters: found nan"),
    ("problem --network tokyo --requests 2 --slot -1 --out o.json", "--slot: found -1"),
    ("problem --network tokyo --requests 2 --slot nan --out o.json", "slot"),
    ("problem --network tokyo --requests 2 --objective speed --out o.json", "--objective: found 'speed'"),
    (
        "problem --network tokyo --requests 2 --objective log-success --serve-reward inf --out o.json",
        "--serve-reward: found inf",
    ),
    ("problem --network tokyo --requests 2 --task both --out o.json", "task"),
    ("problem --network tokyo --requests 2 --weight 0 --out o.json", "--weight: found 0"),
    ("problem --network tokyo --requests 2 --weight nan --out o.json", "weight"),
    ("problem --network tokyo --requests 2 --weight 3:1 --out o.json", "weight"),
    ("problem --network tokyo --requests 2 --weight 1:2:3 --out o.json", "weight"),
    ("problem --network tokyo --requests 2 --weight heavy --out o.json", "weight"),
    ("problem --network tokyo --requests 2 --min-fidelity 1.5 --out o.json", "--min-fidelity: found 1.5"),
    ("problem --network tokyo --requests 2 --routes 0 --out o.json", "--routes: found 0"),
    ("problem --network tokyo --requests 2 --routes 1.5 --out o.json", "routes"),
    ("problem --network tokyo --requests 2 --channels 0 --out o.json", "channels"),
    ("problem --network tokyo --requests 2 --channels 9223372036854775808 --out o.json", "channels"),
    ("problem --network tokyo --requests 2 --memory -1 --out o.json", "memory"),
    ("problem --network tokyo --requests 2 --swap 1.5 --out o.json", "swap"),
    ("problem --network tokyo --requests 2 --swap nan --out o.json", "swap"),
    ("problem --network tokyo --requests 2 --degree -1 --out o.json", "--degree: found -1"),
    ("problem --network tokyo --requests 2 --max-hops 0 --out o.json", "--max-hops: found 0"),
    ("problem --network waxman: --requests 2 --out o.json", "alpha"),
    ("problem --network waxman:n=5,alpha --requests 2 --out o.json", "KEY=VALUE"),
    ("problem --network waxman:n=x,alpha=1,beta=1 --requests 2 --out o.json", "waxman.n"),
    ("problem --network waxman:n=5,alpha=nan,beta=1 --requests 2 --out o.json", "alpha"),
    ("problem --network waxman:n=5,alpha=1,beta=1,colour=1 --requests 2 --out o.json", "colour"),
    ("problem --network waxman:n=5,alpha=1,beta=1,seed=3 --requests 2 --out o.json", "seed"),
    ("problem --network waxman:n=5,alpha=1,beta=1,kind=3 --requests 2 --out o.json", "kind"),
    ("problem --network waxman:n=1,alpha=1,beta=1 --requests 2 --out o.json", "pairs"),
    ("problem --network grid:rows=0,columns=3 --requests 2 --out o.json", "rows"),
    ("problem --network grid:rows=2,rows=3,columns=3 --requests 2 --out o.json", "rows': given more than once"),
    ("problem --network grid:rows=2,columns=2,p=0.6:0.3 --requests 2 --out o.json", "grid.p: found (0.6, 0.3)"),
    ("problem --network grid:rows=2,columns=2,colour=3 --requests 2 --out o.json", "colour: unknown field of grid"),
    ("problem --network waxman:nodes=3 --requests 2 --out o.json", "nodes: unknown field of waxman"),
    ("problem --network waxman:nodes=3 --requests 2 --out o.json", "n: missing, but waxman needs it"),
    ("problem --network grids:n=10 --requests 2 --out o.json", "random-geometric, grid (did you mean grid?)"),
    ("problem --network grid:rows=2,columns=2 --requests 2 --slot 1 --out o.json", "--slot: found 1.0, expected only"),
    ("problem --network grid:rows=2,columns=2,hardware=spdc --requests 2 --hardware spdc --out o.json", "given twice"),
    ("problem --network P --requests 2 --slot 1 --out o.json", "--slot: found 1, but the network gives p"),
    ("problem --network P --slot 1 --out o.json", "--slot: found 1, but the network gives p"),
    ("problem --network P --min-fidelity 0.5 --out o.json", "--min-fidelity: found 0.5, expected none"),
    ("problem --network P --routes 2 --out o.json", "--routes: found 2, expected none"),
    ("problem --network P --weight 2 --out o.json", "--weight: expected none"),
    ("problem --network P --min-fidelity 0.5:0.6 --out o.json", "--min-fidelity: found a range, expected one number"),
    ("problem --network tokyo --weight 2 --task link-selection --out o.json", "--weight: found 2, expected none"),
]


@pytest.mark.parametrize(("line", "word"), USAGE, ids=[line for line, _ in USAGE])
def test_bad_usage_is_one_line_that_names_the_culprit(line, word, written, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = written(EXAMPLE)
    with untouched(tmp_path):
        refused(capsys, [path if part == "P" else part for part in line.split(" ")], word)


def test_a_drawn_problem_with_a_very_long_name_is_refused_or_can_be_read(capsys, tmp_path):
    out = tmp_path / "o.json"
    if run(["problem", "--network", "tokyo", "--requests", "1", "--name", "x" * 5000, "--out", str(out)]) == 0:
        capsys.readouterr()
        solved(capsys, out)
    else:
        one_line(capsys.readouterr().err, "name")


# --- what cannot be written ---

WRITERS = [
    "solve P --method greedy --out",
    "solve P --method greedy --plot",
    "compare P --methods greedy --out",
    "export P --model link-flow --out",
    "problem --network tokyo --requests 1 --out",
]
ENDING = {"--plot": ".png", "compare": ".csv", "export": ".mps"}


@pytest.mark.parametrize("line", WRITERS)
@pytest.mark.parametrize("obstacle", ["no folder", "a folder", "a file as folder", "name too long", "link to itself"])
def test_an_output_that_cannot_be_written(line, obstacle, written, capsys, tmp_path):
    path, ending = written(EXAMPLE), next((e for word, e in ENDING.items() if word in line), ".json")
    name = {"no folder": "none/o", "a file as folder": "problem.json/o", "name too long": "x" * 300}.get(obstacle, "o")
    out = f"{tmp_path}/{name}{ending}"
    if obstacle == "a folder":
        os.mkdir(out)
    if obstacle == "link to itself":
        os.symlink(out, out)
    names = sorted(os.listdir(tmp_path))
    code = run([str(path) if part == "P" else part for part in line.split()] + [out])
    assert (code, sorted(os.listdir(tmp_path))) == (2, names)
    one_line(capsys.readouterr().err, f"{out}: cannot be written")


def test_the_legend_that_cannot_be_written_leaves_no_model_behind(written, capsys, tmp_path):
    path = written(EXAMPLE)
    (tmp_path / "m.legend.json").mkdir()
    with untouched(tmp_path):
        arguments = ["export", path, "--model", "link-flow", "--out", tmp_path / "m.mps"]
        refused(capsys, arguments, "m.legend.json: cannot be written")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk(written, capsys):
    path = written(EXAMPLE)
    code = run(["solve", str(path), "--out", "/dev/full"])
    assert code == 2
    one_line(capsys.readouterr().err, "/dev/full: cannot be written")


DRAW = "problem --network waxman:n=5,alpha=1,beta=1 --requests 1 --out -"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(("line", "unbuffered"), [("networks --json", ""), (DRAW, ""), ("methods", "1")])
def test_a_full_disk_under_standard_output(line, unbuffered):
    with open("/dev/full", "wb") as full:
        code, _, err = finished(*line.split(), stdout=full, environment={"PYTHONUNBUFFERED": unbuffered})
    assert code == 2
    one_line(err, "standard output")


WITHOUT_RIGHTS = """
import os, sys
from qnroute.cli import run
arguments = ["solve", sys.argv[1], "--method", "shortest-path", "--out"]
run([*arguments, os.devnull])  # loads what root alone may read
if os.geteuid() == 0:
    os.setresuid(65534, 65534, 65534)
print([run([*arguments, out]) for out in sys.argv[2:]])
"""


def test_a_folder_without_permission():
    with tempfile.TemporaryDirectory() as base:
        os.chmod(base, 0o755)
        path, folders = Path(base, "problem.json"), [Path(base, "unwritable"), Path(base, "unsearchable")]
        path.write_text(EXAMPLE, encoding="utf-8")
        for folder, mode in zip(folders, (0o555, 0o000)):
            folder.mkdir()
            folder.chmod(mode)
        outs = [str(folder / "o.json") for folder in folders]
        line = [sys.executable, "-c", WITHOUT_RIGHTS, str(path), *outs]
        done = subprocess.run(line, capture_output=True, text=True, timeout=GIVE_UP)
        for folder in folders:
            folder.chmod(0o755)
        assert [os.listdir(folder) for folder in folders] == [[], []]
        assert done.stdout.splitlines()[-1:] == ["[2, 2]"], done.stderr
        for out, err in zip(outs, done.stderr.splitlines(keepends=True), strict=True):
            one_line(err, f"{out}: cannot be written", "ermission denied")


# --- standard input and output ---


def test_a_problem_from_standard_input_and_its_result_to_standard_output():
    code, out, err = finished("solve", "-", "--method", "greedy", "--out", "-", feed=EXAMPLE.encode())
    assert (code, err) == (0, "")
    assert json.loads(out)["status"] == "heuristic"
    code, _, err = finished("check", DATA / "diamond.json", "-", feed=out.encode())
    assert (code, err) == (0, "")


def test_bad_standard_input_is_named():
    code, out, err = finished("solve", "-", feed=EXAMPLE[:400].encode())
    assert (code, out) == (2, "")
    one_line(err, "standard input: ")


def test_json_and_a_result_on_standard_output_are_one_document(capsys):
    document = json.loads(solved(capsys, DATA / "diamond.json", "--method", "greedy", "--json", "--out", "-"))
    assert document["method"] == "greedy"


def test_a_table_on_standard_output_is_nothing_but_the_table(capsys):
    assert run(["compare", str(DATA / "diamond.json"), "--methods", "greedy", "--out", "-"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row.get("method") for row in rows] == ["greedy"]


@pytest.mark.parametrize(("line", "unbuffered"), [("solve P --method greedy", "1"), (DRAW, ""), ("methods", "")])
def test_a_reader_that_has_gone_is_no_error(line, unbuffered):
    arguments = [DATA / "diamond.json" if part == "P" else part for part in line.split()]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with command(*arguments, environment={"PYTHONUNBUFFERED": unbuffered}, **pipes) as process:
        process.stdout.close()
        err = process.stderr.read().decode()
        process.wait(GIVE_UP)
    assert (process.returncode, err) == (0, "")


def test_only_the_head_of_a_long_output():
    arguments = ("problem", "--network", "waxman:n=2000,alpha=0.1,beta=0.1", "--requests", 9, "--out", "-")
    with command(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"{\n"
        process.stdout.close()
        err = process.stderr.read().decode()
        process.wait(GIVE_UP)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("closed", ["solve - <&-", "solve P --method greedy --out - >&-", "methods 2>&-"])
def test_a_closed_stream_is_no_crash(closed):
    line = closed.replace("P", str(DATA / "diamond.json"))
    shell = f'exec "{sys.executable}" -m qnroute {line}'
    done = subprocess.run(["sh", "-c", shell], capture_output=True, env=surroundings(), text=True, timeout=GIVE_UP)
    assert done.returncode in (0, 2), done.stderr
    assert "Traceback" not in done.stderr and done.stderr.count("\n") <= 1
