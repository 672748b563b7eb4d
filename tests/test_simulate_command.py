"""`qnroute simulate`: what it writes, what it refuses, and what Ctrl-C leaves."""

from __future__ import annotations

import importlib.util
import io
import json
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from hostile import GIVE_UP, finished, one_line, refused, surroundings, untouched

from qnroute.cli import run
from qnroute.simulation.policies import policies
from qnroute.simulation.scenario import load_scenario

GRID = "grid:rows=3,columns=3,p=0.4,fidelity=0.95,swap=0.9"
SMALL = ["--network", GRID, "--workload", "poisson:rate=0.5,floor=0.3:0.7", "--slots", "60", "--history", "100"]
TWO = ["--policy", "reactive", "--policy", "spep:predictor=mean"]


def shown(capsys, *arguments):
    """Standard output of a command that must succeed without a word on standard error."""
    code = run(["simulate", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


@pytest.fixture
def scenario(tmp_path, capsys):
    path = tmp_path / "scenario.json"
    shown(capsys, *SMALL, "--runs", 1, "--policy", "reactive", "--save", path, "--no-bound")
    return path


# --- what it does ---


def test_a_table_of_all_policies_that_need_no_training(capsys):
    out = shown(capsys, *SMALL, "--runs", 2)
    for name in set(policies()):
        assert sum(line.split()[:2] == [name, "2"] for line in out.splitlines()) == 1, out
    assert "a clairvoyant serves at most" in out and "±" in out
    assert "clairvoyant" not in shown(capsys, *SMALL, "--runs", 1, "--policy", "reactive", "--no-bound")


def test_every_file_is_written(tmp_path, capsys):
    paths = {name: tmp_path / f"{name}.json" for name in ("out", "log", "save")} | {"plot": tmp_path / "plot.svg"}
    options = [part for name, path in paths.items() for part in (f"--{name}", path)]
    out = shown(capsys, *SMALL, *TWO, "--runs", 2, "--seed", 5, *options)
    told = json.loads(paths["out"].read_text(encoding="utf-8"))
    assert told["format"] == "qnroute.simulation/1" and told["seeds"] == [5, 6] and len(told["runs"]) == 4
    assert paths["plot"].read_text(encoding="utf-8").lstrip().startswith("<?xml")
    assert load_scenario(paths["save"]).to_dict() == told["scenario"]
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths.values()}
    served = next(row["served"] for row in told["runs"] if row["policy"] == "reactive" and row["seed"] == 5)
    replayed = shown(capsys, "--replay", paths["log"])
    assert replayed.startswith("reactive, seed 5: ") and f"{served} of " in replayed and "in 60 slots" in replayed
    again = shown(capsys, paths["save"], *TWO, "--runs", 2, "--seed", 5)
    assert without_times(again) == without_times(out)


def without_times(table):
    return [line.split()[:-1] for line in table.splitlines()]


def test_a_scenario_file_and_options_that_override_it(scenario, tmp_path, capsys):
    saved = tmp_path / "changed.json"
    changes = ["--slots", 40, "--decay", 0.9, "--held", 2, "--dynamics", "drift:sd=0.2,fidelity_sd=0.3"]
    changes += ["--dynamics", "jumps:every=300,fidelity_sd=1", "--dynamics", "outages"]
    shown(capsys, scenario, *changes, "--policy", "reactive", "--runs", 1, "--save", saved, "--no-bound")
    old, new = (load_scenario(path).to_dict() for path in (scenario, saved))
    assert new["slots"] == 40 and new["held"] == 2 and new["physics"] == old["physics"] | {"decay": 0.9}
    assert [each["kind"] for each in new["dynamics"]] == ["drift", "jumps", "outages"]
    assert (new["dynamics"][0]["fidelity_sd"], new["dynamics"][1]["every"]) == (0.3, 300)
    assert (new["network"], new["workload"], new["history"]) == (old["network"], old["workload"], old["history"])
    other = ["--network", "tokyo", "--workload", "bursty:pairs=3", "--model", "printed", "--lifetime", 4]
    shown(capsys, scenario, *other, "--min-fidelity", 0.1, "--policy", "reactive", "--runs", 1, "--save", saved)
    new = load_scenario(saved).to_dict()
    assert new["network"] == "tokyo" and new["workload"]["kind"] == "bursty" and new["slots"] == 60
    assert new["physics"] == {"decay": 0.96, "lifetime": 4, "min_fidelity": 0.1, "model": "printed"}


def test_standard_input_and_output(scenario, capsys, monkeypatch):
    text = scenario.read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    told = json.loads(shown(capsys, "-", "--policy", "reactive", "--runs", 1, "--out", "-"))
    assert told["scenario"] == json.loads(text)
    for option, form in (("--save", "qnroute.scenario/1"), ("--log", "qnroute.events/1")):
        told = json.loads(shown(capsys, scenario, "--policy", "reactive", "--runs", 1, option, "-"))
        assert told["format"] == form
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(json.dumps(told).encode())))
    assert shown(capsys, "--replay", "-").startswith("reactive, seed 0")


def test_the_list_names_policies_and_their_options(capsys):
    out = shown(capsys, "--list")
    for kind in policies().values():
        assert f"{kind.name}  {kind.description}" in out
        assert all(f"    {option.name}={option.default}  " in out for option in kind.options)


# --- what is refused ---

BAD = [
    ("", "--network: missing, and no scenario file was given"),
    ("S --policy tarot", "policy: found 'tarot', expected one of reactive"),
    ("S --policy reactiv", "did you mean reactive?"),
    ("S --policy reactive --policy reactive", "reactive is given more than once"),
    ("S --policy static:candidates=0", "candidates: found 0, expected an integer from 1"),
    ("S --policy spep:threshold=nan", "threshold: found nan"),
    ("S --runs 0", "--runs"),
    ("S --runs -1", "--runs"),
    ("S --runs 1.5", "--runs"),
    ("S --seed -1", "--seed"),
    ("S --seed 99999999999999999999", "seed: found 99999999999999999999"),
    ("S --slots 0", "slots: found 0, expected an integer, at least 1"),
    ("S --slots -5", "slots: found -5"),
    ("S --slots 10000001", "slots: found 10000001, expected 10000000 at most"),
    ("S --slots 1000000000000000000000", "slots: found 1000000000000000000000"),
    ("S --slots 10000000 --workload poisson:rate=100", "slots: about 1e+09 requests"),
    ("S --history -1", "history: found -1"),
    ("S --history 0 --policy spep", "history: found 0 slots"),
    ("S --held -1", "held: found -1"),
    ("S --held 99999999", "held: found 99999999, expected 10000 at most"),
    ("S --lifetime -1", "lifetime: found -1, expected"),
    ("S --lifetime 1e9", "--lifetime"),
    ("S --lifetime 1000000000", "lifetime: found 1000000000"),
    ("S --decay nan", "decay: found nan, expected a finite number"),
    ("S --decay 0", "decay: found 0.0, expected"),
    ("S --decay 1.5", "decay: found 1.5"),
    ("S --decay fast", "--decay"),
    ("S --min-fidelity nan", "min_fidelity: found nan"),
    ("S --min-fidelity 2", "min_fidelity: found 2"),
    ("S --model ideal", "model: found 'ideal', expected 'werner' or 'printed'"),
    ("S --workload poisson:rate=0", "poisson.rate: found 0, expected"),
    ("S --workload poisson:rate=-1", "poisson.rate: found -1"),
    ("S --workload poisson:rate=nan", "poisson.rate: found nan"),
    ("S --workload poisson:rhythm=3", "poisson.rhythm: unknown field"),
    ("S --workload rush", "workload: found 'rush', expected one of business-hours"),
    ("S --workload poisson:rate", "found 'rate', expected KEY=VALUE"),
    ("S --workload traffic:file=nowhere.npz", "nowhere.npz"),
    ("S --workload business-hours:high_pairs=900", "pairs"),
    ("S --dynamics magic", "dynamics: found 'magic', expected one of constant"),
    ("S --dynamics drift:sd=-1", "drift.sd: found -1"),
    ("S --dynamics jumps:every=0", "jumps.every: found 0"),
    ("S --dynamics diurnal:amplitude=nan", "diurnal.amplitude: found nan"),
    ("S --network nowhere", "nowhere"),
    ("S --network grid:rows=0,columns=2", "rows"),
    ("S --time-limit -1", "time_limit: found -1"),
    ("S --time-limit nan", "time_limit: found nan"),
    ("S --time-limit inf", "time_limit: found inf"),
    ("S --time-limit soon", "--time-limit"),
    ("S --out runs.txt", "runs.txt: expected a name ending in .json"),
    ("S --out nowhere/runs.json", "nowhere/runs.json: cannot be written: there is no folder nowhere"),
    ("S --out folder.json", "folder.json: cannot be written: it is a folder"),
    ("S --log nowhere/log.json", "nowhere/log.json: cannot be written"),
    ("S --save nowhere/save.json", "nowhere/save.json: cannot be written"),
    ("S --save save.yaml", "save.yaml: expected a name ending in .json"),
    ("S --plot nowhere/map.png", "nowhere/map.png: cannot be written"),
    ("S --plot map.gif", "map.gif: expected a name ending in .png"),
    ("S --plot -", "expected a name ending in .png"),
    ("S --out a.json --log a.json", "a.json: named more than once"),
    ("S --out - --save -", "standard output: named more than once"),
    ("nowhere.json", "nowhere.json: cannot be read"),
    ("log.json", "log.json: format: found 'qnroute.events/1', expected 'qnroute.scenario/1'"),
    ("cut.json", "cut.json: line"),
    ("--replay nowhere.json", "nowhere.json: cannot be read"),
    ("--replay S", "format 'qnroute.events/1'"),
    ("--replay cut.json", "cut.json: line"),
    ("--replay short.json", "short.json: events: found"),
    ("--replay changed.json", "changed.json: events"),
    ("S T", "T"),
    ("S --colour red", "--colour"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A scenario, a log, and logs that are not what they were."""
    place = tmp_path_factory.mktemp("simulate")
    options = ["--policy", "reactive", "--runs", "1", "--no-bound"]
    assert run(["simulate", *SMALL, *options, "--save", str(place / "S"), "--log", str(place / "log.json")]) == 2
    assert run(["simulate", *SMALL, *options, "--save", str(place / "S.json"), "--log", str(place / "log.json")]) == 0
    (place / "S.json").rename(place / "S")
    log = json.loads((place / "log.json").read_text(encoding="utf-8"))
    (place / "cut.json").write_text(json.dumps(log)[:5000], encoding="utf-8")
    short = log | {"events": {name: column[:-1] for name, column in log["events"].items()}}
    (place / "short.json").write_text(json.dumps(short), encoding="utf-8")
    log["events"]["fidelity"][7] = 0.123
    (place / "changed.json").write_text(json.dumps(log), encoding="utf-8")
    (place / "folder.json").mkdir()
    return place


@pytest.mark.parametrize(("line", "words"), BAD, ids=[line or "nothing" for line, _ in BAD])
def test_bad_usage_is_one_line_and_nothing_is_written(line, words, folder, capsys, monkeypatch):
    capsys.readouterr()
    monkeypatch.chdir(folder)
    with untouched(folder):
        refused(capsys, ["simulate", *line.split()], words)


@pytest.mark.parametrize("option", ["out", "save", "log", "plot"])
def test_a_place_closed_to_writing_is_said_before_any_work(option, folder, capsys, monkeypatch):
    monkeypatch.setattr("qnroute.simulation.trials.play", lambda *_, **__: pytest.fail("played"))
    name = "/proc/nowhere/x." + ("png" if option == "plot" else "json")
    refused(capsys, ["simulate", folder / "S", f"--{option}", name], name, "cannot be written")


def test_what_is_not_installed_is_named_with_its_cure(folder, capsys, monkeypatch):
    there = importlib.util.find_spec
    hidden = lambda name, *rest: None if name in ("matplotlib", "torch") else there(name, *rest)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", hidden)
    monkeypatch.chdir(folder)
    with untouched(folder):
        refused(capsys, ["simulate", "S", "--plot", "m.png"], "plots need matplotlib: pip install 'qnroute[plot]'")
        for name in ("spep", "lookahead"):
            asked = ["simulate", "S", "--policy", f"{name}:predictor=lstm", "--out", "r.json"]
            refused(capsys, asked, "needs torch: pip install", "qnroute[learn]")


@pytest.mark.parametrize(
    ("links", "missing"), [("linear", "sklearn"), ("mlp", "sklearn"), ("mlp", "torch"), ("graph", "torch")]
)
def test_a_loop_that_could_not_learn_does_not_begin(links, missing, folder, capsys, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: there(name, *rest) if name != missing else None
    )
    monkeypatch.setattr("qnroute.simulation.trials.play", lambda *_, **__: pytest.fail("played"))
    with untouched(folder):
        refused(
            capsys, ["simulate", folder / "S", "--policy", f"hybrid:links={links}"], "pip install", "qnroute[learn]"
        )


def test_no_time_is_no_answer(folder, tmp_path, capsys):
    with untouched(tmp_path):
        asked = ["simulate", folder / "S", "--time-limit", 0, "--out", tmp_path / "r.json"]
        refused(capsys, asked, "time-limit before any run was finished", status=3)


# --- cut short ---

READY = """
import sys
from qnroute.cli import run
run(["simulate", *sys.argv[2:], "--runs", "1", "--slots", "20", "--no-bound"])  # Ctrl-C meets the runs themselves
print("ready", flush=True)
sys.exit(run(["simulate", *sys.argv[2:], "--runs", "10000", "--out", sys.argv[1] + "/r.json",
              "--save", sys.argv[1] + "/s.json", "--plot", sys.argv[1] + "/p.svg"]))
"""


def test_ctrl_c_keeps_what_is_finished_and_says_so(folder, tmp_path):
    line = [sys.executable, "-c", READY, tmp_path, folder / "S", "--policy", "reactive", "--policy", "greedy"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([str(part) for part in line], text=True, env=surroundings(), **pipes) as process:
        for text in process.stdout:
            if text == "ready\n":
                break
        time.sleep(2.0)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=GIVE_UP)
        finally:
            process.kill()
    assert process.returncode == 0, err
    one_line(err, "interrupted: these are the runs finished by then")
    told = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert told["stopped"] == "interrupted" and 2 < len(told["runs"]) < 20000
    finished_runs = str(sum(row["policy"] == "reactive" for row in told["runs"]))
    assert ["reactive", finished_runs] in [line.split()[:2] for line in out.splitlines()]
    assert {path.name for path in tmp_path.iterdir()} == {"r.json", "s.json", "p.svg"}
    short = told["runs"][-1]
    assert short["requests"] == next(row["requests"] for row in told["runs"] if row["seed"] == short["seed"])


def test_ctrl_c_before_any_run_is_no_answer(folder, tmp_path, capsys, monkeypatch):
    from qnroute.simulation import trials

    play = trials.play

    def pressed(*arguments, **settings):
        signal.raise_signal(signal.SIGINT)
        return play(*arguments, **settings)

    monkeypatch.setattr(trials, "play", pressed)
    with untouched(tmp_path):
        asked = ["simulate", folder / "S", "--policy", "reactive", "--out", tmp_path / "r.json"]
        refused(capsys, asked, "interrupted before any run was finished", status=3)


def test_ctrl_c_in_the_first_run_of_the_second_policy(folder, tmp_path, capsys, monkeypatch):
    """With one policy finished and the other not begun there is a table, and files; the picture shows the one."""
    from qnroute.simulation import trials

    play, calls = trials.play, []

    def pressed(*arguments, **settings):
        calls.extend([1] if "slots" not in settings else [])  # not the few slots that only compile
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return play(*arguments, **settings)

    monkeypatch.setattr(trials, "play", pressed)
    options = ["--policy", "reactive", "--policy", "greedy", "--out", str(tmp_path / "r.json")]
    code = run(["simulate", str(folder / "S"), *options, "--plot", str(tmp_path / "p.svg")])
    out, err = capsys.readouterr()
    assert code == 0 and "reactive" in out and "greedy" not in out
    one_line(err, "interrupted: these are the runs finished by then")
    assert len(json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["runs"]) == 1
    assert (tmp_path / "p.svg").exists()


def test_in_a_process_of_its_own(folder):
    code, out, err = finished("simulate", "-", "--policy", "reactive", "--runs", "1", feed=(folder / "S").read_bytes())
    assert (code, err) == (0, "") and "reactive" in out
