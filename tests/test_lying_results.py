"""Result files that lie, and result files of the wrong form."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hostile import (
    DATA,
    EXAMPLE,
    NODE,
    OVERFLOWING_SUM,
    REQUEST,
    every_link,
    one_line,
    refused,
)

from qnroute.cli import run
from qnroute.errors import ProblemError
from qnroute.formats import load_problem

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
        ({"seed": "7"}, "seed"),
        ({"seed": 7.0}, "seed"),
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
    path = written(*OVERFLOWING_SUM)
    row = {**answer["routes"][0], "nodes": ["A", "B", "D"]}
    lie = forged(answer, path, routes=[{**row, "request": f"r{k}"} for k in range(2)])
    code = run(["check", str(path), str(lie)])
    assert code in (1, 2)
    one_line(capsys.readouterr().err)
