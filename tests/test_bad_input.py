"""Hostile input at the command line: what is refused, what is survived, and what an interrupted solve leaves behind.

Every refusal is status 2 and one line on standard error that says where; nothing is ever half-written.
"""

from __future__ import annotations

import contextlib
import copy
import csv
import io
import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from qnroute.cli import run
from qnroute.errors import ProblemError
from qnroute.formats import load_problem
from qnroute.formats.reading import read_bytes
from qnroute.models import LinkFlow
from qnroute.solvers import baselines

DATA = Path(__file__).parent / "data"
EXAMPLE = (DATA / "diamond.json").read_text(encoding="utf-8")
NETWORK, NODE, LINK, REQUEST = ("network",), ("network", "nodes", 1), ("network", "links", 1), ("requests", 0)
METHODS = ("exact", "link-flow", "path-packing", "pyomo", "pulp", "greedy")
GIVE_UP = 60  # seconds after which a subprocess counts as hanging
GONE = object()
BIG = 2**53 - 1

# --- making bad files ---


class Raw(str):
    """JSON text that stands in a document as it is."""


def changed(*changes: tuple[tuple, Any], base: str = EXAMPLE) -> str:
    """The example with the value at each path replaced, or removed where it is `GONE`."""
    document = json.loads(base)
    raw: dict[str, str] = {}
    for path, value in changes:
        inner = document
        for step in path[:-1]:
            inner = inner[step]
        if value is GONE:
            del inner[path[-1]]
            continue
        if isinstance(value, Raw):
            raw[f'"@raw{len(raw)}@"'], value = str(value), f"@raw{len(raw)}@"
        inner[path[-1]] = copy.deepcopy(value)
    text = json.dumps(document)
    for mark, value in raw.items():
        text = text.replace(mark, value)
    return text


def place(path: tuple) -> str:
    """``network.nodes[1].swap`` for its path."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def renamed(name: str) -> list[tuple[tuple, Any]]:
    """Changes that call node B `name` and make every useful route pass it."""
    ends = [((*NODE, "id"), name), (("network", "links", 0, "target"), name), ((*LINK, "source"), name)]
    return [*ends, *((("network", "links", e, "p"), 0.1) for e in (2, 3))]


def every_link(field: str, value: Any) -> list[tuple[tuple, Any]]:
    return [(("network", "links", e, field), value) for e in range(4)]


def every_node(field: str, value: Any) -> list[tuple[tuple, Any]]:
    return [(("network", "nodes", i, field), value) for i in range(4)]


@pytest.fixture
def written(tmp_path) -> Callable[..., Path]:
    """Writes a problem file made of text, bytes or changes to the example."""

    def write(*content: Any, name: str = "problem.json") -> Path:
        path = tmp_path / name
        if len(content) == 1 and isinstance(content[0], (str, bytes)):
            text = content[0]
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        else:
            path.write_text(changed(*content), encoding="utf-8")
        return path

    return write


# --- judging what came of them ---


def one_line(err: str, *words: Any) -> str:
    """The message, when it is one line that holds every word."""
    assert err.startswith("qnroute: ") and err.endswith("\n") and err.count("\n") == 1, err[-2000:]
    missing = [str(word) for word in words if str(word) not in err]
    assert not missing, (missing, err)
    return err


def refused(capsys, arguments: Sequence[Any], *words: Any, status: int = 2) -> str:
    """The message of a command that must be refused for a reason that holds these words."""
    code = run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert code == status, (code, err)
    assert out == ""
    return one_line(err, *words)


def contents(folder: Path) -> dict[str, bytes | None]:
    """What lies in a folder; None for what is no file."""
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


@contextlib.contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Nothing in the folder is new, gone or changed afterwards."""
    before = contents(folder)
    yield
    assert contents(folder) == before


def solved(capsys, *arguments: Any) -> str:
    """Standard output of a solve that must succeed without a word on standard error."""
    code = run(["solve", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


def holds(capsys, problem: Any, result: Any) -> dict[str, Any]:
    """A result file that the check accepts."""
    code = run(["check", str(problem), str(result)])
    _, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return json.loads(Path(result).read_text(encoding="utf-8"))


def surroundings(**changes: str) -> dict[str, str]:
    unwanted = ("PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONWARNINGS")
    return {**{name: value for name, value in os.environ.items() if name not in unwanted}, **changes}


def command(*arguments: Any, environment: dict[str, str] | None = None, **settings: Any) -> subprocess.Popen:
    """`qnroute` in a process of its own."""
    line = [sys.executable, "-m", "qnroute", *map(str, arguments)]
    return subprocess.Popen(line, env=surroundings(**(environment or {})), **settings)


def finished(*arguments: Any, feed: bytes | None = None, **settings: Any) -> tuple[int, str, str]:
    """Status, standard output and standard error of `qnroute` in a process of its own."""
    pipes = {name: settings.pop(name, subprocess.PIPE) for name in ("stdin", "stdout", "stderr")}
    with command(*arguments, **pipes, **settings) as process:
        try:
            out, err = process.communicate(feed, timeout=GIVE_UP)
        finally:
            process.kill()
    return process.returncode, (out or b"").decode(), (err or b"").decode()


# --- the "refused" column of the contract, cell by cell ---

REFUSED = [
    ("task", [(("task",), "routing")]),
    ("task", [(("task",), None)]),
    ("requests", [(("task",), "link-selection")]),
    ("network.nodes[1].id", [((*NODE, "id"), "A")]),
    ("network.nodes[1].id", [((*NODE, "id"), "")]),
    ("network.nodes[1].id", [((*NODE, "id"), GONE)]),
    ("network.nodes[1].memory", [((*NODE, "memory"), -1)]),
    ("network.nodes[1].memory", [((*NODE, "memory"), 1.5)]),
    ("network.nodes[1].swap", [((*NODE, "swap"), -1e-9)]),
    ("network.nodes[1].swap", [((*NODE, "swap"), 1.000001)]),
    ("network.nodes[1].degree", [((*NODE, "degree"), -1)]),
    ("network.links[1].p", [((*LINK, "p"), 0)]),
    ("network.links[1].p", [((*LINK, "p"), -0.5)]),
    ("network.links[1].p", [((*LINK, "p"), 1.000001)]),
    ("network.links[1].p", [((*LINK, "p"), GONE)]),
    ("network.links[1].fidelity", [((*LINK, "fidelity"), 0.25)]),
    ("network.links[1].fidelity", [((*LINK, "fidelity"), 1.000001)]),
    ("network.links[1].channels", [((*LINK, "channels"), 0)]),
    ("network.links[1].channels", [((*LINK, "channels"), 1.5)]),
    ("network.links[1].length_km", [((*LINK, "length_km"), -1e-9)]),
    ("network.links[1].loss_db", [((*LINK, "loss_db"), -1e-9)]),
    ("network.links[1].score", [((*LINK, "score"), Raw("NaN"))]),
    ("network.links[1].score", [((*LINK, "score"), Raw("-Infinity"))]),
    ("network.links[1].source", [((*LINK, "source"), "Z")]),
    ("network.links[1].target", [((*LINK, "target"), "Z")]),
    ("network.links[1]: joins", [((*LINK, "source"), "D")]),
    ("network.links[1]: a second link", [((*LINK, "target"), "A")]),
    ("requests[0].source", [((*REQUEST, "source"), "Z")]),
    ("requests[0].target", [((*REQUEST, "target"), "Z")]),
    ("requests[0]: source and target", [((*REQUEST, "source"), "D")]),
    ("requests[0].weight", [((*REQUEST, "weight"), 0)]),
    ("requests[0].weight", [((*REQUEST, "weight"), -1)]),
    ("requests[0].min_fidelity", [((*REQUEST, "min_fidelity"), -0.1)]),
    ("requests[0].min_fidelity", [((*REQUEST, "min_fidelity"), 1.1)]),
    ("requests[0].routes", [((*REQUEST, "routes"), 0)]),
    ("requests[0]: deadline", [((*REQUEST, "arrival"), 5), ((*REQUEST, "deadline"), 4)]),
    ("rules.degree", [(("rules", "degree"), -1)]),
    ("rules.max_hops", [(("rules", "max_hops"), 0)]),
    ("rules: max_width", [(("rules", "max_width"), 2)]),
]


@pytest.mark.parametrize(("field", "changes"), REFUSED)
def test_every_cell_of_the_refused_column(field, changes, written, capsys, tmp_path):
    bad, out = written(*changes), tmp_path / "result.json"
    out.write_text("an older answer")
    with untouched(tmp_path):
        refused(capsys, ["solve", bad, "--out", out], f"{bad}: ", field)


@pytest.mark.parametrize("arguments", [["compare"], ["export", "--model", "link-flow", "--out", "model.mps"]])
def test_other_commands_refuse_a_bad_problem_too(arguments, written, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad = written(((*LINK, "p"), 7))
    with untouched(tmp_path):
        refused(capsys, [arguments[0], bad, *arguments[1:]], f"{bad}: ", "network.links[1].p")


def test_check_refuses_a_bad_problem(written, capsys):
    bad = written(((*LINK, "p"), 7))
    refused(capsys, ["check", bad, bad], f"{bad}: ", "network.links[1].p")


# --- values that are no numbers, in every numeric field ---

NUMERIC = [
    *((*NODE, field) for field in ("memory", "swap", "degree", "lat", "lon", "x", "y")),
    *((*LINK, field) for field in ("p", "fidelity", "channels", "length_km", "loss_db", "score")),
    *((*REQUEST, field) for field in ("weight", "min_fidelity", "routes", "arrival", "deadline")),
    ("objective", "serve_reward"),
    *(("rules", field) for field in ("degree", "max_hops", "max_width")),
]
NO_NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, '"0.5"', "true", "[]")


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda text: text[:9])
@pytest.mark.parametrize("path", NUMERIC, ids=place)
def test_no_numeric_field_takes_what_is_no_number(path, value, written, capsys):
    bad = written((path, Raw(value)))
    assert len(refused(capsys, ["solve", bad], f"{bad}: ", f"{place(path)}: found")) < 600


# --- files that are no problem files ---

NO_PROBLEMS = {
    "empty": (b"", "empty"),
    "blank": (b" \n\t\n", "empty"),
    "byte order mark alone": (b"\xef\xbb\xbf", "empty"),
    "latin-1": (EXAMPLE.replace("diamond", "d\xe9").encode("latin-1"), "UTF-8"),
    "utf-16": (EXAMPLE.encode("utf-16"), "UTF-8"),
    "zeros": (bytes(100), "JSON"),
    "compressed": (b"\x1f\x8b\x08\x00\x00\x00", "UTF-8"),
    "text": (b"no problem\n", "JSON"),
    "comment": (b"// the diamond\n" + EXAMPLE.encode(), "JSON"),
    "trailing comma": (EXAMPLE.rstrip()[:-1].encode() + b",}", "JSON"),
    "two documents": (EXAMPLE.encode() * 2, "JSON"),
    "nested": (b"[" * 10**5, "nested"),
    "nested inside": (changed((("name",), Raw("[" * 10**5 + "]" * 10**5))).encode(), "nested"),
    "list": (b"[]", "object"),
    "null": (b"null", "object"),
    "number": (b"12", "object"),
    "NaN": (b"NaN", "object"),
    "string": (b'"qnroute.problem/1"', "object"),
    "boolean": (b"true", "object"),
    "object": (b"{}", "format"),
    "other version": (changed((("format",), "qnroute.problem/2")).encode(), "format"),
    "result": (changed((("format",), "qnroute.result/1")).encode(), "format"),
    "numeric tag": (changed((("format",), 1)).encode(), "format"),
    "listed tag": (changed((("format",), ["qnroute.problem/1"])).encode(), "format"),
    "tag alone": (b'{"format": "qnroute.problem/1"}', "network"),
    "null network": (changed((NETWORK, None)).encode(), "network"),
    "nodes as object": (changed((("network", "nodes"), {"A": {}})).encode(), "network.nodes"),
    "links as pairs": (changed((("network", "links"), [["A", "B"]])).encode(), "network.links[0]"),
    "null request": (changed((REQUEST, None)).encode(), "requests[0]"),
    "requests as object": (changed((("requests",), {"r": 1})).encode(), "requests"),
    "objective as text": (changed((("objective",), "link-sum")).encode(), "objective"),
    "unknown objective": (changed((("objective", "kind"), "speed")).encode(), "objective.kind"),
    "rules as list": (changed((("rules",), [])).encode(), "rules"),
    "surrogate": (changed((("network", "nodes", 3, "id"), Raw('"\\ud800"'))).encode(), "network.nodes[3].id"),
}


@pytest.mark.parametrize(("content", "word"), NO_PROBLEMS.values(), ids=NO_PROBLEMS)
def test_files_that_are_no_problem_files(content, word, written, capsys, tmp_path):
    bad = written(content)
    with untouched(tmp_path):
        assert len(refused(capsys, ["solve", bad, "--out", tmp_path / "r.json"], f"{bad}: ", word)) < 2000


def test_a_problem_file_cut_short_anywhere(written, capsys):
    for length in range(0, len(EXAMPLE.rstrip()), 13):
        bad = written(EXAMPLE[:length])
        refused(capsys, ["solve", bad], f"{bad}: ")


@pytest.mark.parametrize("name", ["missing.json", ".", "missing/problem.json", "problem.json/inner", "x" * 300])
def test_what_cannot_be_read(name, written, capsys, tmp_path):
    written(EXAMPLE)
    path = f"{tmp_path}/{name}"
    refused(capsys, ["solve", path], f"{path}: cannot be read")


LONG = "x" * 10**6


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ((*NODE, "id"), "network.nodes[1].id"),
        ((*LINK, "source"), "network.links[1].source"),
        ((*REQUEST, "id"), "requests[0].id"),
        ((*REQUEST, "target"), "requests[0].target"),
        ((*NODE, "memory"), "network.nodes[1].memory"),
        ((*NODE, LONG), "unknown field"),
        ((LONG,), "unknown field"),
        (("name",), "name"),
        (("task",), "task"),
        (("format",), "format"),
        (("objective", "kind"), "objective.kind"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else place(value)[:20],
)
def test_a_million_characters_make_a_short_message(path, field, written, capsys):
    bad = written((path, LONG))
    assert len(refused(capsys, ["solve", bad], f"{bad}: ", field)) < 3000


def test_an_id_given_twice(written, capsys):
    request = json.loads(EXAMPLE)["requests"][0]
    bad = written((("requests",), [request, request]))
    refused(capsys, ["solve", bad], "requests[0].id", "requests[1].id", "'r1'")


LEVELS = [(), NETWORK, NODE, LINK, REQUEST, ("objective",), ("rules",)]


@pytest.mark.parametrize("path", LEVELS, ids=place)
@pytest.mark.parametrize("name", ["colour", "P", "", "a b", "id "])
def test_an_unknown_field_at_any_level(path, name, written, capsys):
    bad = written(((*path, name), 1))
    refused(capsys, ["solve", bad], f"{bad}: ", place(path), name, "unknown field")


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('"name": "diamond"', '"name": "a", "name": "b"', "name"),
        ('"nodes":', '"nodes": [], "nodes":', "network.nodes"),
        ('"memory": 2', '"memory": 2, "memory": 2', "network.nodes[2].memory"),
        ('"p": 0.5', '"p": 0.5, "p": 0.5', "network.links[1].p"),
        ('"weight": 1.0', '"weight": 1, "weight": 2, "weight": 1', "requests[0].weight"),
        ('"kind":', '"kind": "link-sum", "kind":', "objective.kind"),
        ('"degree": null', '"degree": null, "degree": null', "rules.degree"),
    ],
)
def test_a_field_given_twice(old, new, field, written, capsys):
    assert old in EXAMPLE
    bad = written(EXAMPLE.replace(old, new, 1))
    refused(capsys, ["solve", bad], f"{bad}: ", f"{field}: given")


def test_all_faults_are_reported_at_once(written, capsys):
    faults = {
        (*NODE, "swap"): 2,
        (*NODE, "memory"): -1,
        (*NODE, "colour"): 1,
        (*LINK, "p"): Raw("NaN"),
        (*LINK, "channels"): 0,
        ("network", "links", 2, "target"): "Q",
        (*REQUEST, "weight"): 0,
        (*REQUEST, "routes"): 0,
        ("rules", "max_hops"): 0,
        ("objective", "serve_reward"): Raw("1e999"),
        ("task",): "both",
        ("extra",): 1,
    }
    bad = written(*faults.items())
    refused(capsys, ["solve", bad], f"{bad}: ", *map(place, faults))


def test_of_very_many_faults_the_number_is_told(written, capsys):
    bad = written((("network", "links"), [{"source": "A", "target": "B", "p": 2}] * 1000))
    assert len(refused(capsys, ["solve", bad], "network.links[0].p", "more")) < 3000


def test_a_path_with_a_line_break_makes_one_line(capsys, tmp_path):
    refused(capsys, ["solve", tmp_path / "a\nb.json"], "cannot be read")


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
    ("problem --network tokyo --out o.json", "demands"),
    ("problem --network tokyo --requests -1 --out o.json", "count"),
    ("problem --network tokyo --requests 1e3 --out o.json", "requests"),
    ("problem --network tokyo --requests 99999999999 --out o.json", "count"),
    ("problem --network tokyo --requests 2 --seed -1 --out o.json", "seed"),
    ("problem --network tokyo --requests 2 --hardware abacus --out o.json", "abacus"),
    ("problem --network tokyo --requests 2 --repeaters 0 --out o.json", "km"),
    ("problem --network tokyo --requests 2 --repeaters nan --out o.json", "km"),
    ("problem --network tokyo --requests 2 --slot -1 --out o.json", "slot"),
    ("problem --network tokyo --requests 2 --slot nan --out o.json", "slot"),
    ("problem --network tokyo --requests 2 --objective speed --out o.json", "speed"),
    ("problem --network tokyo --requests 2 --objective log-success --serve-reward inf --out o.json", "serve_reward"),
    ("problem --network tokyo --requests 2 --task both --out o.json", "task"),
    ("problem --network tokyo --requests 2 --weight 0 --out o.json", "weight"),
    ("problem --network tokyo --requests 2 --weight nan --out o.json", "weight"),
    ("problem --network tokyo --requests 2 --weight 3:1 --out o.json", "weight"),
    ("problem --network tokyo --requests 2 --weight 1:2:3 --out o.json", "weight"),
    ("problem --network tokyo --requests 2 --weight heavy --out o.json", "weight"),
    ("problem --network tokyo --requests 2 --min-fidelity 1.5 --out o.json", "fidelity"),
    ("problem --network tokyo --requests 2 --routes 0 --out o.json", "routes"),
    ("problem --network tokyo --requests 2 --routes 1.5 --out o.json", "routes"),
    ("problem --network tokyo --requests 2 --channels 0 --out o.json", "channels"),
    ("problem --network tokyo --requests 2 --channels 9223372036854775808 --out o.json", "channels"),
    ("problem --network tokyo --requests 2 --memory -1 --out o.json", "memory"),
    ("problem --network tokyo --requests 2 --swap 1.5 --out o.json", "swap"),
    ("problem --network tokyo --requests 2 --swap nan --out o.json", "swap"),
    ("problem --network tokyo --requests 2 --degree -1 --out o.json", "degree"),
    ("problem --network tokyo --requests 2 --max-hops 0 --out o.json", "max_hops"),
    ("problem --network waxman: --requests 2 --out o.json", "alpha"),
    ("problem --network waxman:n=5,alpha --requests 2 --out o.json", "KEY=VALUE"),
    ("problem --network waxman:n=x,alpha=1,beta=1 --requests 2 --out o.json", "waxman.n"),
    ("problem --network waxman:n=5,alpha=nan,beta=1 --requests 2 --out o.json", "alpha"),
    ("problem --network waxman:n=5,alpha=1,beta=1,colour=1 --requests 2 --out o.json", "colour"),
    ("problem --network waxman:n=5,alpha=1,beta=1,seed=3 --requests 2 --out o.json", "seed"),
    ("problem --network waxman:n=5,alpha=1,beta=1,kind=3 --requests 2 --out o.json", "kind"),
    ("problem --network waxman:n=1,alpha=1,beta=1 --requests 2 --out o.json", "pairs"),
    ("problem --network grid:rows=0,columns=3 --requests 2 --out o.json", "rows"),
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


# --- strange but legal problems ---

LONELY = {"id": "A"}
STRANGE = {
    "disconnected": changed((("network", "links"), json.loads(EXAMPLE)["network"]["links"][:1])),
    "zero links": changed((("network", "links"), [])),
    "zero requests": changed((("requests",), [])),
    "one node": json.dumps({"format": "qnroute.problem/1", "network": {"nodes": [LONELY], "links": []}}),
    "no memory anywhere": changed(*every_node("memory", 0)),
    "no degree": changed((("rules", "degree"), 0)),
    "no swap": changed(*every_node("swap", 0)),
    "floor out of reach": changed(((*REQUEST, "min_fidelity"), 1.0)),
    "too few hops": changed((("rules", "max_hops"), 1)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
def test_where_nothing_can_be_served_the_answer_is_empty(text, method, written, capsys, tmp_path):
    path, out = written(text), tmp_path / "r.json"
    solved(capsys, path, "--method", method, "--out", out)
    result = holds(capsys, path, out)
    assert (result["routes"], result["objective"]) == ([], 0)
    assert result["status"] in ("optimal", "heuristic")


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
def test_strange_problems_are_compared_exported_and_drawn(text, written, capsys, tmp_path):
    path = str(written(text))
    assert run(["compare", path, "--out", str(tmp_path / "c.csv")]) == 0
    assert run(["export", path, "--model", "link-flow", "--out", str(tmp_path / "m.lp")]) == 0
    assert run(["solve", path, "--method", "link-flow", "--plot", str(tmp_path / "map.png")]) == 0
    assert {"c.csv", "m.lp", "m.legend.json", "map.png"} < set(os.listdir(tmp_path))


def test_a_network_without_nodes_is_no_crash(written, capsys):
    path = written(json.dumps({"format": "qnroute.problem/1", "network": {"nodes": [], "links": []}}))
    code = run(["solve", str(path)])
    err = capsys.readouterr().err
    assert (code, err) == (0, "") or (code == 2 and one_line(err, f"{path}: ", "nodes"))


@pytest.mark.parametrize("method", ["exact", "pyomo", "pulp", "greedy"])
def test_a_link_selection_without_links(method, written, capsys, tmp_path):
    path, out = written((("task",), "link-selection"), (("requests",), []), (("network", "links"), [])), tmp_path / "r"
    solved(capsys, path, "--method", method, "--out", out)
    assert holds(capsys, path, out)["links"] == []


# --- numbers at the ends of their ranges ---

SUM = {"kind": "link-sum"}
LOG = {"kind": "log-success", "serve_reward": 1000.0}
EXTREME = {
    "channels and memory 2**53 - 1": [*every_link("channels", BIG), *every_node("memory", BIG)],
    "routes 10**9": [((*REQUEST, "routes"), 10**9)],
    "routes 2**53 - 1": [((*REQUEST, "routes"), BIG)],
    "bounds 2**53 - 1": [(("rules", "degree"), BIG), (("rules", "max_hops"), BIG), *every_node("degree", BIG)],
    "weight 1e300": [((*REQUEST, "weight"), 1e300)],
    "weight 1e-300": [((*REQUEST, "weight"), 1e-300)],
    "weight 5e-324": [((*REQUEST, "weight"), 5e-324)],
    "p 1e-300": every_link("p", 1e-300),
    "p 5e-324": every_link("p", 5e-324),
    "p 1e-300 in logarithms": [*every_link("p", 1e-300), (("objective",), LOG)],
    "p 5e-324 in logarithms": [*every_link("p", 5e-324), (("objective",), LOG)],
    "p 1e-300 in a sum": [*every_link("p", 1e-300), (("objective",), SUM)],
    "weight 1e300 in logarithms": [((*REQUEST, "weight"), 1e300), (("objective",), LOG)],
    "reward 1e308": [(("objective",), {"kind": "log-success", "serve_reward": 1e308})],
    "reward -1e308": [(("objective",), {"kind": "log-success", "serve_reward": -1e308})],
    "length 1e308": [*every_link("length_km", 1e308), *every_link("loss_db", 1e308)],
    "fidelity just above 1/4": [*every_link("fidelity", 0.25000000000000006), ((*REQUEST, "min_fidelity"), 0)],
    "slots at the ends": [((*REQUEST, "arrival"), -BIG), ((*REQUEST, "deadline"), BIG)],
}


@pytest.mark.parametrize("method", ["exact", "link-flow", "pulp", "greedy"])
@pytest.mark.parametrize("changes", EXTREME.values(), ids=EXTREME)
def test_extreme_numbers_get_an_answer_that_holds(changes, method, written, capsys, tmp_path):
    path, out = written(*changes), tmp_path / "r.json"
    solved(capsys, path, "--method", method, "--out", out)
    holds(capsys, path, out)


TRAP = {"r1": ("A", "D", 0.9), "r2": ("A", "B", 0.55), "r3": ("B", "D", 0.55)}  # the greedy methods serve r1 alone


@pytest.mark.parametrize("method", ["exact", "link-flow", "path-packing"])
@pytest.mark.parametrize("factor", [1e300, 1e-17, 1e-300])
def test_a_common_factor_of_all_weights_changes_no_answer(factor, method, written, capsys, tmp_path):
    asked = [{"id": k, "source": u, "target": v, "weight": w * factor} for k, (u, v, w) in TRAP.items()]
    links = [{"source": u, "target": v, "p": 1.0} for u, v in ("AB", "BD")]
    path, out = written((("requests",), asked), (("network", "links"), links)), tmp_path / "r.json"
    solved(capsys, path, "--method", method, "--out", out)
    assert {route["request"] for route in holds(capsys, path, out)["routes"]} == {"r2", "r3"}


HEAVY = [{"id": f"r{k}", "source": "A", "target": "D", "weight": 1.7e308} for k in range(3)]
OVERFLOWING = {
    "sum of values": [(("requests",), HEAVY), *every_link("p", 1.0), *every_link("channels", 5)],
    "weight times reward": [((*REQUEST, "weight"), 1.7e308), (("objective",), {"kind": "log-success"})],
    "weight times sum": [((*REQUEST, "weight"), 1.7e308), (("objective",), SUM)],
    "sum of scores": [*every_link("score", 1e308), (("objective",), SUM)],
}


@pytest.mark.parametrize("method", ["exact", "link-flow", "pulp", "greedy"])
@pytest.mark.parametrize("changes", OVERFLOWING.values(), ids=OVERFLOWING)
def test_values_beyond_floating_point_are_refused_not_computed(changes, method, written, capsys, tmp_path):
    path, out = written(*changes), tmp_path / "r.json"
    code = run(["solve", str(path), "--method", method, "--out", str(out)])
    err = capsys.readouterr().err
    assert (code, out.exists()) in ((0, True), (2, False)), err
    if code == 2:
        one_line(err)


@pytest.mark.parametrize("method", ["exact", "path-packing"])
def test_more_routes_than_can_be_written_down_end_in_one_line(method, written):
    path = written(((*REQUEST, "routes"), 10**9), *every_link("channels", BIG), *every_node("memory", BIG))
    limit = (5 * 2**30, 5 * 2**30)
    process = command(
        *("solve", path, "--method", method, "--time-limit", 0.5, "--json"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit),
    )
    with process:
        try:
            _, err = process.communicate(timeout=GIVE_UP)
        finally:
            process.kill()
    assert process.returncode in (0, 2, 3), err.decode()[-500:]
    assert err.decode().count("\n") <= 1


# --- names that are hard to show ---

NAMES = ["$\\foo_{$", "$x$", "a\nb", "a\x1b[2Jb", "\u6f22", "[red]a[/red]", "~", "a" * 1000]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:12])
def test_any_name_can_be_printed_and_drawn(name, written, capsys, tmp_path):
    path = written(*renamed(name), (("name",), name))
    solved(capsys, path, "--out", tmp_path / "r.json", "--plot", tmp_path / "map.png")
    assert holds(capsys, path, tmp_path / "r.json")["routes"][0]["nodes"] == ["A", name, "D"]
    assert (tmp_path / "map.png").stat().st_size > 1000


def test_a_terminal_that_knows_ascii_only(written):
    path = written(*renamed("\u0416\u6f22"))
    code, _, err = finished("solve", path, "--method", "greedy", environment={"PYTHONIOENCODING": "ascii"})
    assert (code, err) == (0, "") or (code == 2 and one_line(err))


def test_coordinates_too_far_apart_to_draw(written, capsys, tmp_path):
    far = [(("network", "nodes", i, axis), 0.0) for i in range(4) for axis in "xy"]
    path = written(*far, (("network", "nodes", 0, "x"), -1e308), ((*NODE, "x"), 1e308))
    code = run(["solve", str(path), "--plot", str(tmp_path / "map.png")])
    err = capsys.readouterr().err
    assert (code, err) == (0, "") or (code == 2 and one_line(err, "map.png"))


# --- result files that lie ---


@pytest.fixture(scope="module")
def answer(tmp_path_factory) -> dict[str, Any]:
    """A true result file of the example."""
    out = tmp_path_factory.mktemp("answer") / "r.json"
    assert run(["solve", str(DATA / "diamond.json"), "--out", str(out)]) == 0
    return json.loads(out.read_text(encoding="utf-8"))


def forged(answer: dict[str, Any], path: Path, **lies: Any) -> Path:
    """A result file beside the problem at `path`, with some of its fields changed and the right fingerprint."""
    out, sha256 = path.with_name("lie.json"), "0" * 64
    with contextlib.suppress(ProblemError):  # where the problem itself is refused, any will do
        sha256 = load_problem(path).sha256
    stamp = {"name": "diamond", "sha256": sha256}
    out.write_text(json.dumps({**answer, "problem": stamp, **lies}), encoding="utf-8")
    return out


@pytest.mark.parametrize(
    ("lies", "rule"),
    [
        ({"objective": 0.7}, "objective"),
        ({"objective": 0}, "objective"),
        ({"gap": 0.1}, "gap"),
        ({"gap": None}, "gap"),
        ({"bound": 0.6480001, "gap": 0.5}, "gap"),
        ({"bound": None}, "gap"),
        ({"bound": None, "gap": None}, "status"),
        ({"bound": None, "gap": None, "status": "feasible"}, "status"),
        ({"bound": 0.5, "gap": -0.296}, "bound"),
        ({"bound": 1.0, "gap": 0.352}, "status"),
        ({"status": "infeasible"}, "status"),
        ({"status": "splendid"}, "status"),
        ({"problem": {"name": "diamond", "sha256": "0" * 64}}, "problem"),
        ({"problem": {"name": "other", "sha256": "two\nlines\nof it"}}, "problem"),
        ({"links": [["A", "B"]]}, "task"),
    ],
)
def test_a_result_that_lies_about_itself(lies, rule, answer, written, capsys):
    path = written(EXAMPLE)
    lie = forged(answer, path, **lies)
    refused(capsys, ["check", path, lie], f"{lie}: ", rule, status=1)


@pytest.mark.parametrize("field", ["probability", "fidelity", "value"])
def test_a_route_that_lies_about_its_figures(field, answer, written, capsys):
    path = written(EXAMPLE)
    lie = forged(answer, path, routes=[{**answer["routes"][0], field: 0.99}])
    refused(capsys, ["check", path, lie], f"{lie}: ", f"routes[0].{field}", status=1)


def test_a_lie_about_a_small_figure_is_still_a_lie(answer, written, capsys):
    path = written(*every_link("p", 1e-6))  # the best route is worth 1e-12 or so
    row = {"request": "r1", "nodes": ["A", "C", "D"], "probability": 8e-13, "fidelity": 0.8133333333333332}
    claims = {"objective": 8e-10, "bound": None, "gap": None, "status": "heuristic"}
    lie = forged(answer, path, routes=[{**row, "value": 8e-10}], **claims)
    refused(capsys, ["check", path, lie], "objective", status=1)


WIDE = [*every_link("channels", 9), ((*REQUEST, "routes"), 9)]
BROKEN = [
    ("link", [], ["A D"]),
    ("node", [], ["A Z D"]),
    ("ends", [], ["A B"]),
    ("ends", [], ["D C A"]),
    ("ends", [], [""]),
    ("simple path", [], ["A B A C D"]),
    ("routes", [], ["A B D", "A C D"]),
    ("channels", [((*REQUEST, "routes"), 2)], ["A C D", "A C D"]),
    ("memory", WIDE, ["A C D", "A C D"]),
    ("degree", [*WIDE, (("rules", "degree"), 1)], ["A B D", "A C D"]),
    ("degree", [((*NODE, "degree"), 0)], ["A B D"]),
    ("max_hops", [(("rules", "max_hops"), 1)], ["A C D"]),
    ("min_fidelity", [((*REQUEST, "min_fidelity"), 0.99)], ["A C D"]),
]


@pytest.mark.parametrize(("rule", "changes", "routes"), BROKEN)
def test_a_result_that_breaks_a_rule(rule, changes, routes, answer, written, capsys):
    path = written(*changes)
    rows = [{**answer["routes"][0], "nodes": route.split()} for route in routes]
    lie = forged(answer, path, routes=rows)
    refused(capsys, ["check", path, lie], f"{lie}: {rule} at ", status=1)


def test_a_result_that_serves_an_unknown_request(answer, written, capsys):
    path = written(EXAMPLE)
    lie = forged(answer, path, routes=[{**answer["routes"][0], "request": "r9"}])
    refused(capsys, ["check", path, lie], "request", "'r9'", status=1)


@pytest.mark.parametrize(
    ("links", "rule"),
    [([["A", "D"]], "link"), ([["A", "B"], ["B", "A"]], "link"), ([["A", "B"], ["A", "C"]], "degree")],
)
def test_a_selection_that_breaks_a_rule(links, rule, answer, written, capsys):
    path = written((("task",), "link-selection"), (("requests",), []))
    lie = forged(answer, path, routes=[], links=links)
    refused(capsys, ["check", path, lie], f"{lie}: {rule} at ", status=1)


@pytest.mark.parametrize(
    ("lies", "field"),
    [
        ({"objective": float("nan")}, "objective"),
        ({"objective": None}, "objective"),
        ({"bound": float("inf")}, "bound"),
        ({"seconds": -1}, "seconds"),
        ({"routes": None}, "routes"),
        ({"routes": [{}]}, "routes[0].request"),
        ({"links": [["A"]]}, "links[0]"),
        ({"trace": [[0, 0]]}, "trace[0]"),
        ({"colour": 1}, "colour"),
        ({"format": "qnroute.problem/1"}, "format"),
        ({"problem": None}, "problem"),
    ],
)
def test_a_result_file_of_the_wrong_form(lies, field, answer, written, capsys):
    path = written(EXAMPLE)
    bad = forged(answer, path, **lies)
    refused(capsys, ["check", path, bad], f"{bad}: ", field)


@pytest.mark.parametrize("field", ["format", "problem", "status", "objective", "routes", "seed", "versions"])
def test_a_result_file_that_lacks_a_field(field, answer, written, capsys):
    path, bad = written(EXAMPLE), written(json.dumps({k: v for k, v in answer.items() if k != field}), name="r.json")
    refused(capsys, ["check", path, bad], f"{bad}: {field}: missing")


def test_a_result_file_cut_short_anywhere(answer, written, capsys):
    path, text = written(EXAMPLE), json.dumps(answer)
    for length in range(0, len(text), 31):
        bad = written(text[:length], name="r.json")
        refused(capsys, ["check", path, bad], f"{bad}: ")


def test_a_result_whose_value_is_beyond_floating_point(answer, written, capsys):
    path = written(*OVERFLOWING["sum of values"])
    row = {**answer["routes"][0], "nodes": ["A", "B", "D"]}
    lie = forged(answer, path, routes=[{**row, "request": f"r{k}"} for k in range(2)])
    code = run(["check", str(path), str(lie)])
    assert code in (1, 2)
    one_line(capsys.readouterr().err)


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


# --- the time limit and Ctrl-C ---


@pytest.fixture(scope="module")
def hard(tmp_path_factory) -> dict[str, Path]:
    """Problems that take minutes: one for `exact` and one on which `link-flow` finds answers early."""
    folder, drawn = tmp_path_factory.mktemp("hard"), {}
    wanted = {
        "exact": "waxman:n=150,alpha=0.2,beta=0.4 --requests 60 --routes 2 --channels 2 --memory 6",
        "link-flow": "waxman:n=60,alpha=0.12,beta=0.4,p=0.7,swap=0.9 --requests 20 --weight 1:3 --memory 4",
    }
    for name, line in wanted.items():
        drawn[name] = folder / f"{name}.json"
        objective = "log-success" if name == "exact" else "link-sum"
        common = ["--seed", "3", "--objective", objective, "--out", str(drawn[name])]
        assert run(["problem", "--network", *line.split(), *common]) == 0
    return drawn


@pytest.mark.parametrize("method", ["exact", "link-flow"])
def test_a_time_limit_leaves_a_valid_result_or_says_that_there_is_none(method, hard, capsys, tmp_path):
    out = tmp_path / "r.json"
    code, _, err = finished("solve", hard["exact"], "--method", method, "--time-limit", 1, "--out", out)
    one_line(err, "time")
    assert code == (0 if out.exists() else 3)
    if code == 0:
        assert holds(capsys, hard["exact"], out)["status"] == "time-limit"


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
    arguments = ("solve", hard["link-flow"], "--method", "link-flow", "--out", tmp_path / "r.json")
    code, text = interrupted(arguments, any)
    assert code == 0, text[-500:]
    kept(hard["link-flow"], tmp_path / "r.json", text, capsys)


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
    [("path-packing", "exact", 0.7), ("link-flow", "exact", 0.1), ("pyomo", "link-flow", 2.0)],
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
    drawn = ["problem", "--network", "grid:rows=5,columns=5,p=0.9", "--requests", "6", "--out", str(path)]
    assert run(drawn) == 0
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
