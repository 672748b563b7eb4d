"""The commands, as a user types them."""

from __future__ import annotations

import csv
import dataclasses
import inspect
import io
import json
import re
import subprocess
import sys

import oracle
import pytest
from helpers import ROOT
from hostile import DATA

from qnroute import generate
from qnroute.builtin import MODELS
from qnroute.cli import run
from qnroute.hardware import preset


@pytest.fixture
def diamond(tmp_path, contract_example):
    """The contract's example as a file."""
    path = tmp_path / "diamond.json"
    path.write_text(json.dumps(contract_example))
    return str(path)


def test_solve_check_and_result_file(diamond, tmp_path, capsys, contract_example):
    out = str(tmp_path / "result.json")
    assert run(["solve", diamond, "--method", "exact", "--out", out, "--seed", "7", "--option", "threads=1"]) == 0
    shown = capsys.readouterr().out
    assert "optimal" in shown and "A - C - D" in shown and "1 of 1 requests served" in shown
    result = json.loads((tmp_path / "result.json").read_text())
    assert oracle.violations(contract_example, result) == []
    assert result["format"] == "qnroute.result/1" and result["seed"] == 7
    assert result["options"] == {"threads": 1, "workers": 0, "max_routes": 200000}
    assert run(["check", diamond, out]) == 0
    assert "holds" in capsys.readouterr().out


def test_check_names_the_broken_rule(diamond, tmp_path, capsys):
    out = tmp_path / "result.json"
    run(["solve", diamond, "--out", str(out)])
    result = json.loads(out.read_text())
    result["routes"] *= 2
    out.write_text(json.dumps(result))
    capsys.readouterr()
    assert run(["check", diamond, str(out)]) == 1
    assert "routes at request r1: 2 routes, at most 1" in capsys.readouterr().err


def test_json_goes_to_standard_output_whole(diamond, capsys):
    assert run(["solve", diamond, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["objective"] == pytest.approx(0.648)


def test_problem_from_standard_input_and_result_to_standard_output(diamond):
    command = [sys.executable, "-m", "qnroute", "solve", "-", "--out", "-"]
    with open(diamond) as stream:
        made = subprocess.run(command, stdin=stream, capture_output=True, text=True, check=True)
    assert json.loads(made.stdout)["status"] == "optimal" and made.stderr == ""


def test_compare_prints_and_writes_the_table(diamond, tmp_path, capsys):
    out = tmp_path / "table.csv"
    assert run(["compare", diamond, diamond, "--methods", "shortest-path,exact", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "share of best bound" in shown and "100.00 %" in shown
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["method"] for row in rows] == ["shortest-path", "exact"] * 2
    assert float(rows[0]["gap"]) == pytest.approx((0.648 - 0.27) / 0.648)


def test_compare_goes_on_where_a_method_cannot(tmp_path, capsys, contract_example):
    contract_example.update(task="link-selection", requests=[])
    path = tmp_path / "selection.json"
    path.write_text(json.dumps(contract_example))
    assert run(["compare", str(path), "--methods", "exact,greedy,static"]) == 0
    assert "does not solve the task link-selection" in capsys.readouterr().out


def test_compare_measures_against_the_best_bound_of_all(diamond, tmp_path):
    out = tmp_path / "table.json"
    run(["compare", diamond, "--out", str(out)])
    rows = json.loads(out.read_text())
    assert {row["method"] for row in rows} == {"shortest-path", "static", "greedy", "density-greedy", "exact"}
    assert [row["best_bound"] for row in rows] == pytest.approx([0.648] * 5)


@pytest.mark.parametrize("command", ["methods", "networks", "hardware"])
def test_lists_are_one_line_each_or_json(command, capsys):
    assert run([command]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert run([command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found) == len(lines) >= 7
    assert all(line.startswith(name) for name, line in zip(found, lines))


def test_one_network_and_one_preset_in_figures(capsys):
    assert run(["networks", "surfnet"]) == 0
    shown = capsys.readouterr().out
    assert "nodes                  50" in shown and "note: imputed" in shown
    assert run(["networks", "surfnet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["links"] == 68
    assert run(["hardware", "trapped-ion"]) == 0
    shown = capsys.readouterr().out
    assert "2207.10579" in shown and "pairs per second" in shown
    assert run(["hardware", "trapped-ion", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(preset("trapped-ion").to_dict()))


def test_networks_of_a_file_tells_what_reading_it_did(tmp_path, capsys):
    path = tmp_path / "two.gml"
    path.write_text(
        'graph [ node [ id 0 label "a" ] node [ id 1 label "b" ] '
        "edge [ source 0 target 1 ] edge [ source 1 target 0 ] ]"
    )
    assert run(["networks", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "note: merged" in shown and "note: doubtful" in shown


def test_problem_draws_on_real_and_generated_networks(tmp_path, capsys):
    first, second, other = (tmp_path / name for name in ("a.json", "b.json", "c.json"))
    common = ["--requests", "9", "--weight", "1:3", "--memory", "4", "--max-hops", "9"]
    for path, seed in ((first, "5"), (second, "5"), (other, "6")):
        assert run(["problem", "--network", "surfnet", "--seed", seed, "--out", str(path), *common]) == 0
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()
    drawn = json.loads(first.read_text())
    assert len(drawn["requests"]) == 9 and drawn["rules"] == {"max_hops": 9}
    assert all(1 <= request["weight"] <= 3 for request in drawn["requests"])
    assert "imputed" in capsys.readouterr().err
    grid = ["problem", "--network", "grid:rows=3,columns=4,p=0.8", "--requests", "4", "--objective", "log-success"]
    assert run([*grid, "--serve-reward", "6", "--out", "-"]) == 0
    drawn = json.loads(capsys.readouterr().out)
    assert len(drawn["network"]["nodes"]) == 12 and drawn["objective"]["serve_reward"] == 6


def test_the_help_names_every_model_to_export(capsys):
    assert run(["export", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert all(model in shown for model in MODELS)


def test_the_help_says_what_can_be_generated(capsys):
    assert run(["problem", "--help"]) == 0
    shown = capsys.readouterr().out
    for kind, make in generate.TOPOLOGIES.items():
        own = inspect.signature(make).parameters.values()
        needed = ", ".join(key.name for key in own if key.default is key.empty and key.kind is not key.VAR_KEYWORD)
        assert re.search(rf"^ +{kind} +{needed}( |$)", shown, re.MULTILINE)
        assert all(key.name in shown for key in own if key.default is not key.empty)
    common = {field.name for field in dataclasses.fields(generate.Options)} - {"seed"}
    assert common <= set(re.findall(r"\w+", shown[shown.index("Keys of all kinds") :]))
    readme = (ROOT / "README.md").read_text()
    assert all(f"`{kind}`" in readme for kind in generate.TOPOLOGIES)
    (line,) = re.findall(r"`qnroute (problem --network waxman.*?) --out p.json`", readme)
    assert run([*line.split(), "--out", "-"]) == 0
    drawn = json.loads(capsys.readouterr().out)
    assert len(drawn["requests"]) == 20 and all(0.3 <= link["p"] <= 0.6 for link in drawn["network"]["links"])


def test_repeaters_on_a_generated_network_use_the_slot(capsys):
    draw = ["problem", "--network", "grid:rows=2,columns=2,spacing_km=80,memory=4:8", "--repeaters", "50"]
    assert run([*draw, "--slot", "0.5", "--requests", "3", "--out", "-"]) == 0
    shown = capsys.readouterr()
    nodes = json.loads(shown.out)["network"]["nodes"]
    assert len(nodes) == 8 and {4, 5, 6, 7, 8} >= {node["memory"] for node in nodes[:4]}
    assert "slot 0.5 s" in shown.err


def test_repeater_stations_are_not_asked_for_entanglement(tmp_path):
    path = tmp_path / "p.json"
    draw = ["problem", "--network", "geant", "--hardware", "repeater", "--repeaters", "250", "--slot", "1"]
    assert run([*draw, "--requests", "30", "--out", str(path)]) == 0
    drawn = json.loads(path.read_text())
    assert len(drawn["network"]["nodes"]) > 300
    assert not any("~" in request["source"] + request["target"] for request in drawn["requests"])


def test_demands_of_a_file_become_requests(tmp_path):
    path = tmp_path / "net.txt"
    path.write_text(
        "?SNDlib native format; type: network; version: 1.0\n"
        "NODES (\n A ( 1.0 50.0 )\n B ( 2.0 50.0 )\n)\n"
        "LINKS (\n L1 ( A B ) 0.00 0.00 0.00 0.00 ( 40.00 1.00 )\n)\n"
        "DEMANDS (\n D1 ( A B ) 1 7.00 UNLIMITED\n)\n"
    )
    out = tmp_path / "p.json"
    assert run(["problem", "--network", str(path), "--out", str(out)]) == 0
    assert [request["source"] for request in json.loads(out.read_text())["requests"]] == ["A"]
    options = ["--min-fidelity", "0.7", "--routes", "3", "--out", str(out)]
    assert run(["problem", "--network", str(path), *options]) == 0
    (request,) = json.loads(out.read_text())["requests"]
    assert (request["min_fidelity"], request["routes"]) == (0.7, 3)


@pytest.mark.parametrize("options", [(), ("--repeaters", "15"), ("--requests", "3", "--repeaters", "15")])
@pytest.mark.parametrize("name", ["tiny_sndlib.txt", "diamond.json"])
def test_a_network_from_standard_input_is_read_once(options, name, tmp_path, capsys, monkeypatch):
    written = {}
    for given in (str(DATA / name), "-"):
        out = tmp_path / "p.json"
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((DATA / name).read_bytes())))
        assert run(["problem", "--network", given, "--name", "drawn", *options, "--out", str(out)]) == 0
        written[given] = json.loads(out.read_text())
        written[given]["network"].pop("name")
    first, second = written.values()
    assert first == second and first["requests"]
    assert not any("~" in request["source"] + request["target"] for request in first["requests"])


@pytest.mark.parametrize("model", ["auto", "link-flow", "path-packing"])
@pytest.mark.parametrize("ending", ["mps", "lp"])
def test_export_writes_model_and_legend(model, ending, diamond, tmp_path, capsys):
    out = tmp_path / f"model.{ending}"
    assert run(["export", diamond, "--model", model, "--out", str(out)]) == 0
    legend = json.loads((tmp_path / "model.legend.json").read_text())
    assert legend["model"] == model.replace("auto", "link-flow") and out.stat().st_size > 100
    assert all(name in out.read_text() for block in legend["columns"].values() for name in block["names"])


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_plot_draws_the_routes(ending, diamond, tmp_path, capsys):
    out = tmp_path / f"map.{ending}"
    assert run(["solve", diamond, "--plot", str(out)]) == 0
    assert out.stat().st_size > 3000
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_without_a_command_the_help_is_shown_as_it_is(capsys):
    assert run(["--help"]) == 0
    asked = capsys.readouterr()
    assert run([]) == 0
    assert capsys.readouterr() == asked and asked.err == ""
    assert len(asked.out.splitlines()) > 15


@pytest.mark.parametrize(
    ("method", "said"), [("exact", "claimed gap 0.00 %, bound not verified"), ("greedy", "objective 0.648, no bound")]
)
def test_check_says_what_it_did_not_verify(method, said, diamond, tmp_path, capsys, monkeypatch):
    out = tmp_path / "r.json"
    run(["solve", diamond, "--method", method, "--out", str(out)])
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(out.read_bytes())))
    assert run(["check", diamond, "-"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("standard input: holds") and shown.rstrip().endswith(said)


def test_bench_lists_what_there_is(capsys):
    assert run(["bench"]) == 0
    assert "building" in capsys.readouterr().out
    assert run(["bench", "nonsense"]) == 2


def test_help_of_every_command(capsys):
    for command in ("solve", "compare", "check", "methods", "networks", "hardware", "problem", "export", "bench"):
        assert run([command, "--help"]) == 0
        assert "Usage" in capsys.readouterr().out


def test_module_and_script_are_the_same_command():
    made = subprocess.run([sys.executable, "-m", "qnroute", "methods"], capture_output=True, text=True, check=True)
    assert made.stdout.startswith("exact")
    assert (ROOT / "qnroute" / "__main__.py").exists()
