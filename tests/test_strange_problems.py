"""Legal problems at the edge: nothing to serve, extreme numbers, names that are hard to show."""

from __future__ import annotations

import json
import os
import resource
import subprocess

import pytest
from hostile import (
    BIG,
    EXAMPLE,
    GIVE_UP,
    METHODS,
    NODE,
    OVERFLOWING_SUM,
    REQUEST,
    changed,
    command,
    every_link,
    every_node,
    finished,
    holds,
    one_line,
    renamed,
    solved,
)

from qnroute.cli import run

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


OVERFLOWING = {
    "sum of values": OVERFLOWING_SUM,
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
