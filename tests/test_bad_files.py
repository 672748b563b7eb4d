"""Problem files that are refused: every cell of the contract, and files that are no problem files at all."""

from __future__ import annotations

import json

import pytest
from hostile import (
    EXAMPLE,
    GONE,
    LINK,
    NETWORK,
    NODE,
    REQUEST,
    Raw,
    changed,
    place,
    refused,
    untouched,
)

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
