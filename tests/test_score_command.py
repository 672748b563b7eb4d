"""`qnroute score` and `simulate --telemetry`: what they write, what they refuse, what Ctrl-C leaves."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import signal
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hostile import finished, one_line, refused, untouched
from link_tables import wandering

import qnroute as qn
from qnroute.cli import run, scoring
from qnroute.learning.links import KINDS, LinkModel, evaluate_models, load_model, load_telemetry, save_telemetry
from qnroute.learning.links.linear import Linear

TWO = [wandering(windows=16, links=6, seed=seed, name=f"net {seed}")[0] for seed in range(2)]


def shown(capsys, *arguments, err=""):
    """Standard output of a command that must succeed, with these words (or none) on standard error."""
    code = run([*map(str, arguments)])
    out, said = capsys.readouterr()
    assert code == 0, said
    assert (err in said) if err else (said == "")
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Telemetry of one and of two networks, a model, and a problem on the ring that they are of."""
    place = tmp_path_factory.mktemp("score")
    save_telemetry(place / "one.csv", TWO[:1])
    save_telemetry(place / "two.csv.gz", TWO)
    save_telemetry(place / "other.csv", [wandering(windows=9, links=5, seed=7, name="other")[0]])
    LinkModel("linear").fit(TWO).save(place / "m.safetensors")
    network = {"nodes": [{"id": f"n{i}"} for i in range(6)], "links": []}
    network["links"] = [{"source": f"n{e}", "target": f"n{(e + 1) % 6}", "p": 0.5} for e in range(6)]
    document = {"format": "qnroute.problem/1", "network": network, "objective": {"kind": "link-sum"}}
    document["requests"] = [{"id": "r", "source": "n0", "target": "n2"}]
    (place / "p.json").write_text(json.dumps(document), encoding="utf-8")
    (place / "folder.csv").mkdir()
    (place / "cut.safetensors").write_bytes((place / "m.safetensors").read_bytes()[:-9])
    (place / "bad.csv").write_text("source,target,window,attempts\n")
    (place / "short.csv").write_text("source,target,window,attempts,successes\na,b,0,5,2\na,b,1,5,3\n")
    return place


# --- what it does ---


def test_the_kinds_and_their_options(capsys):
    out = shown(capsys, "score", "kinds")
    assert [line.split()[0] for line in out.splitlines()] == list(KINDS)
    assert "hidden=64,64" in out and "trees=60" in out and "random_state" not in out
    assert sorted(scoring.KINDS.split(", ")) == sorted(KINDS)
    for command in ("fit", "evaluate"):
        assert "last-value" in shown(capsys, "score", command, "--help")


def test_a_model_is_learned_and_written(made, tmp_path, capsys):
    out = shown(
        capsys, "score", "fit", made / "one.csv", made / "other.csv", "--model", "mlp", "--option", "hidden=3,2",
        "--option", "epochs=2", "--option", "learning_rate=0.5", "--seed", 4, "--out", tmp_path / "m.safetensors",
    )  # fmt: skip
    model = load_model(tmp_path / "m.safetensors")
    assert dict(model.options) == {"hidden": (3, 2), "epochs": 2, "learning_rate": 0.5} and model.seed == 4
    assert model.trained_["networks"] == 2 and model.trained_["links"] == 11
    assert f"quality from {model.trained_['rows']['quality']} rows" in out and model.trained_["fingerprint"] in out
    assert ["net", "0", "6", "16"] in [line.split()[:4] for line in out.splitlines()]
    assert "no fidelity %" in out and [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


def test_what_was_cleaned_is_told(tmp_path, capsys):
    text = "source,target,window,attempts,successes\n" + "".join(f"a,b,{t},5,{t}\n" for t in range(9))
    (tmp_path / "t.csv").write_text(text)
    asked = ["score", "fit", tmp_path / "t.csv", "--model", "empirical", "--out", tmp_path / "m.safetensors"]
    assert "note: successes: 3 above attempts, taken as missing" in shown(capsys, *asked)


def test_a_forecast_as_table_json_and_files(made, tmp_path, capsys):
    asked = ["score", "predict", made / "m.safetensors", made / "one.csv"]
    out = shown(capsys, *asked, "--level", 0.5, "--out", tmp_path / "f.csv")
    forecast = load_model(made / "m.safetensors").predict(load_telemetry(made / "one.csv")[0], level=0.5)
    assert "net 0, window 16; intervals of 50 %" in out and f"{forecast.p.mean[2]:.4f}" in out
    rows = list(csv.DictReader(io.StringIO((tmp_path / "f.csv").read_text())))
    assert [(row["source"], row["target"]) for row in rows] == [*TWO[0].ends]
    assert [float(row["quality_high"]) for row in rows] == forecast.quality.high.tolist()
    told = json.loads(shown(capsys, *asked, "--json", "--level", 0.5))
    assert [row["fidelity_sd"] for row in told] == forecast.fidelity.sd.tolist()
    assert shown(capsys, *asked, "--out", "-", "--level", 0.5) == (tmp_path / "f.csv").read_text()
    shown(capsys, *asked, "--out", tmp_path / "f.json", "--level", 0.5)
    assert json.loads((tmp_path / "f.json").read_text()) == told


def test_one_of_several_networks(made, capsys):
    asked = ["score", "predict", made / "m.safetensors", made / "two.csv.gz", "--network", "net 1", "--json"]
    told = json.loads(shown(capsys, *asked))
    forecast = LinkModel("linear").fit(TWO).predict(TWO[1])
    assert [row["p"] for row in told] == forecast.p.mean.tolist()


def test_a_forecast_goes_into_a_problem(made, tmp_path, capsys):
    forecast = load_model(made / "m.safetensors").predict(TWO[0])
    asked = ["score", "predict", made / "m.safetensors", made / "one.csv", "--problem", made / "p.json"]
    shown(capsys, *asked, "--save", tmp_path / "new.json")
    network = qn.load_problem(tmp_path / "new.json").network
    assert network.score.tolist() == forecast.quality.mean.tolist() and set(network.p.tolist()) == {0.5}
    changed = json.loads(shown(capsys, *asked, "--as", "p-and-fidelity", "--save", "-"))
    assert [link["p"] for link in changed["network"]["links"]] == forecast.p.mean.tolist()
    out = shown(capsys, *asked, "--save", tmp_path / "new.json", "--out", "-")
    assert out.startswith("source,target,quality")


def test_telemetry_from_standard_input(made, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((made / "one.csv").read_bytes())))
    assert "net 0, window 16" in shown(capsys, "score", "predict", made / "m.safetensors", "-")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((made / "m.safetensors").read_bytes())))
    assert "net 0, window 16" in shown(capsys, "score", "predict", "-", made / "one.csv")


def test_an_evaluation_as_table_files_and_picture(made, tmp_path, capsys):
    files = ["--out", tmp_path / "e.json", "--plot", tmp_path / "e.svg"]
    out = shown(capsys, "score", "evaluate", made / "two.csv.gz", "--model", "linear", "--split", 0.5, *files)
    found = evaluate_models(TWO, kinds=["linear"], split=0.5).rows
    told = json.loads((tmp_path / "e.json").read_text())
    assert [(row["target"], row["kind"]) for row in told] == [(row.target, row.kind) for row in found]
    assert [row["rmse"] for row in told] == [row.rmse for row in found]
    assert [row["coverages"] for row in told] == [list(row.coverages) for row in found]
    assert all(f"{row.rmse:.4g}" in out for row in found) and "verdict" in out and "coverages" not in out
    assert "<svg" in (tmp_path / "e.svg").read_text()
    asked = ["score", "evaluate", made / "two.csv.gz", "--test", made / "other.csv", "--model", "nominal", "--out", "-"]
    rows = list(csv.DictReader(io.StringIO(shown(capsys, *asked))))
    assert {row["kind"] for row in rows} == {"nominal", "last-value"} and max(int(r["windows"]) for r in rows) == 8


# --- what is refused ---

BAD = [
    ("score", "Missing command"),
    ("score train one.csv", "train"),
    ("score fit --out m2.safetensors", "TELEMETRY"),
    ("score fit one.csv", "--out"),
    ("score fit one.csv --out m2.bin", "m2.bin: expected a name ending in .safetensors"),
    ("score fit one.csv --out -", "-: expected a name ending in .safetensors"),
    ("score fit one.csv --out nowhere/m.safetensors", "nowhere/m.safetensors: cannot be written"),
    ("score fit nowhere.csv --out m2.safetensors", "nowhere.csv: cannot be read"),
    ("score fit bad.csv --out m2.safetensors", "bad.csv: columns attempts and successes"),
    ("score fit short.csv --out m2.safetensors", "found no link seen in two windows"),
    ("score fit m.safetensors --out m2.safetensors", "m.safetensors: "),
    ("score fit - - --out m2.safetensors", "standard input: named more than once"),
    ("score fit one.csv --model oracle --out m2.safetensors", "model: found 'oracle', expected one of nominal"),
    ("score fit one.csv --seed -1 --out m2.safetensors", "--seed"),
    ("score fit one.csv --seed 99999999999999999999 --out m2.safetensors", "--seed"),
    ("score fit one.csv --seed 1.5 --out m2.safetensors", "--seed"),
    ("score fit one.csv --option trees --out m2.safetensors", "KEY=VALUE"),
    ("score fit one.csv --option colour=1 --out m2.safetensors", "option colour: unknown to gradient-boosting"),
    ("score fit one.csv --option random_state=1 --out m2.safetensors", "option random_state: unknown"),
    ("score fit one.csv --option trees=two --out m2.safetensors", "option trees: found 'two', expected an integer"),
    ("score fit one.csv --option trees=1.5 --out m2.safetensors", "option trees: found '1.5', expected an integer"),
    ("score fit one.csv --option trees=0 --out m2.safetensors", "option trees: found 0"),
    ("score fit one.csv --option trees=99999999999 --out m2.safetensors", "option trees: found 99999999999"),
    ("score fit one.csv --option penalty=nan --out m2.safetensors", "option penalty: found nan"),
    ("score fit one.csv --model mlp --option hidden=a,b --out m2.safetensors", "expected integers with commas"),
    ("score fit one.csv --model mlp --option hidden=-1 --out m2.safetensors", "option hidden[0]: found -1"),
    ("score fit one.csv --model last-value --option p=3 --out m2.safetensors", "option p: unknown to last-value"),
    ("score predict m.safetensors", "TELEMETRY"),
    ("score predict nowhere.safetensors one.csv", "nowhere.safetensors: cannot be read"),
    ("score predict one.csv one.csv", "one.csv: header: found a length"),
    ("score predict cut.safetensors one.csv", "cut.safetensors: arrays: cut off"),
    ("score predict m.safetensors nowhere.csv", "nowhere.csv: cannot be read"),
    ("score predict m.safetensors two.csv.gz", "--network: missing, expected one of the 2 networks"),
    ("score predict m.safetensors two.csv.gz --network x", "--network: found 'x', expected one of the 2 networks"),
    ("score predict m.safetensors one.csv --level 0", "--level: found 0"),
    ("score predict m.safetensors one.csv --level 1", "--level: found 1"),
    ("score predict m.safetensors one.csv --level nan", "--level: found nan"),
    ("score predict m.safetensors one.csv --out f.txt", "f.txt: expected a name ending in .csv or .json"),
    ("score predict m.safetensors one.csv --out folder.csv", "folder.csv: cannot be written: it is a folder"),
    ("score predict m.safetensors one.csv --problem p.json", "--save: missing"),
    ("score predict m.safetensors one.csv --save q.json", "--problem: missing, but --save was given"),
    ("score predict m.safetensors one.csv --as score", "--problem: missing, but --as was given"),
    ("score predict m.safetensors one.csv --problem p.json --as p --save q.json", "--as: found 'p', expected one of"),
    ("score predict m.safetensors one.csv --problem p.json --save q.csv", "q.csv: expected a name ending in .json"),
    ("score predict m.safetensors one.csv --problem p.json --save - --out -", "standard output: named more than once"),
    ("score predict m.safetensors one.csv --problem nowhere.json --save q.json", "nowhere.json: cannot be read"),
    ("score predict m.safetensors one.csv --problem one.csv --save q.json", "one.csv: line 1"),
    ("score predict - - ", "standard input: named more than once"),
    ("score evaluate", "TELEMETRY"),
    ("score evaluate one.csv --model oracle", "model: found 'oracle'"),
    ("score evaluate one.csv --split 0", "split: found 0"),
    ("score evaluate one.csv --split nan", "split: found nan"),
    ("score evaluate short.csv", "found 2 windows, expected at least 3"),
    ("score evaluate one.csv --test one.csv", "test: found net 0 among what is learned from"),
    ("score evaluate one.csv --test nowhere.csv", "nowhere.csv: cannot be read"),
    ("score evaluate one.csv --plot e.gif", "e.gif: expected a name ending in .png"),
    ("score evaluate one.csv --plot nowhere/e.png", "nowhere/e.png: cannot be written"),
    ("score evaluate one.csv --out e.txt", "e.txt: expected a name ending in .csv or .json"),
    ("score kinds one.csv", "one.csv"),
]


@pytest.mark.parametrize(("line", "words"), BAD, ids=[line for line, _ in BAD])
def test_bad_usage_is_one_line_and_nothing_is_written(line, words, made, capsys, monkeypatch):
    monkeypatch.chdir(made)
    with untouched(made):
        refused(capsys, line.split(), words)


@pytest.mark.parametrize("hidden", ["sklearn", "safetensors", "torch", "matplotlib"])
def test_what_is_not_installed_is_named_with_its_cure(hidden, made, capsys, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *r: None if name == hidden else there(name, *r))
    monkeypatch.chdir(made)
    fit = "score fit one.csv --model mlp --out m2.safetensors"
    line = "score evaluate one.csv --plot e.png" if hidden == "matplotlib" else fit
    with untouched(made):
        refused(capsys, line.split(), "pip install", "qnroute[plot]" if hidden == "matplotlib" else "qnroute[learn]")
        if hidden in ("sklearn", "safetensors"):
            refused(capsys, "score predict m.safetensors one.csv".split(), 'pip install "qnroute[learn]"')
    if hidden == "sklearn":
        assert "needs pip install" in shown(capsys, "score", "kinds")


# --- cut short ---


def pressed_at(monkeypatch, turn):
    """Ctrl-C when `Linear` learns for the turn-th time."""
    learn, calls = Linear._learn, []

    def learning(self, *arguments):
        calls.append(1)
        if len(calls) == turn:
            signal.raise_signal(signal.SIGINT)
        return learn(self, *arguments)

    monkeypatch.setattr(Linear, "_learn", learning)


def test_ctrl_c_while_learning_leaves_nothing(made, tmp_path, capsys, monkeypatch):
    pressed_at(monkeypatch, 2)
    with untouched(tmp_path):
        asked = ["score", "fit", made / "one.csv", "--model", "linear", "--out", tmp_path / "m.safetensors"]
        refused(capsys, asked, "interrupted before there was an answer", status=3)


def test_ctrl_c_while_evaluating_keeps_the_kinds_learned(made, tmp_path, capsys, monkeypatch):
    pressed_at(monkeypatch, 1)
    asked = ["score", "evaluate", made / "one.csv", "--model", "linear", "--model", "empirical"]
    assert run([*map(str, asked), "--out", str(tmp_path / "e.csv")]) == 0
    out, err = capsys.readouterr()
    one_line(err, "interrupted: these are the kinds learned by then")
    assert "linear" in out and "empirical" not in out
    assert "linear" in (tmp_path / "e.csv").read_text()


def test_in_a_process_of_its_own(made, tmp_path):
    asked = ("score", "predict", made / "m.safetensors", "-", "--problem", made / "p.json", "--save", "-")
    code, out, err = finished(*asked, feed=(made / "one.csv").read_bytes())
    assert (code, err) == (0, "") and json.loads(out)["format"] == "qnroute.problem/1"


# --- telemetry of simulations ---

GRID = "grid:rows=3,columns=3,p=0.4,fidelity=0.95,swap=0.9"
SMALL = ["simulate", "--network", GRID, "--workload", "poisson:rate=0.5", "--slots", 60, "--history", 0, "--no-bound"]


def test_simulated_runs_leave_telemetry_of_the_first_policy(tmp_path, capsys):
    from qnroute.simulation.policies import policy
    from qnroute.simulation.scenario import load_scenario
    from qnroute.simulation.telemetry import observed

    path, saved = tmp_path / "t.csv.gz", tmp_path / "s.json"
    asked = [*SMALL, "--policy", "greedy", "--policy", "reactive", "--runs", 3, "--seed", 2, "--save", saved]
    shown(capsys, *asked, "--telemetry", path, "--window", 25)
    found, scenario = load_telemetry(path), load_scenario(saved)
    assert [table.name for table in found] == [f"grid-9-seed{seed} seed {seed}" for seed in (2, 3, 4)]
    for table, seed in zip(found, (2, 3, 4)):
        (wanted,) = observed(policy("greedy"), [scenario.case(seed)], scenario, window=25)
        assert table.n_windows == 2 and table.ends == wanted.ends
        for name in ("attempts", "successes", "fidelity", "load", "nominal_p"):
            np.testing.assert_array_equal(getattr(table, name), getattr(wanted, name))
    assert sum(table.attempts.sum() for table in found) > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--telemetry t.txt", "t.txt: expected a name ending in .csv or .csv.gz"),
        ("--telemetry -", "expected a name ending in .csv"),
        ("--telemetry nowhere/t.csv", "nowhere/t.csv: cannot be written"),
        ("--telemetry t.csv --window 61", "window: found 61, expected 1 to the 60 slots of a run"),
        ("--telemetry t.csv --window 0", "--window"),
        ("--telemetry t.csv --window 1.5", "--window"),
    ],
)
def test_bad_telemetry_is_refused_before_any_work(options, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("qnroute.simulation.trials.play", lambda *_, **__: pytest.fail("played"))
    with untouched(tmp_path):
        refused(capsys, [*SMALL, "--policy", "reactive", *options.split()], words)


def test_ctrl_c_while_telemetry_is_made_writes_none(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("qnroute.simulation.recording.observed", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    asked = [*SMALL, "--policy", "reactive", "--runs", 1, "--telemetry", tmp_path / "t.csv"]
    assert run([*map(str, asked)]) == 3
    one_line(capsys.readouterr().err, "interrupted")
    assert not list(tmp_path.iterdir())
