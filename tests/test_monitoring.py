"""What a run shows of itself: time series that add up to its measures, telemetry that counts what happened."""

import csv
import json

import numpy as np
import pytest
from hostile import refused, untouched
from trial_cases import alike, case_of, scenario_of

from qnroute.benchmark.timeline_figures import plot_series
from qnroute.cli import run
from qnroute.learning.links.telemetry import Telemetry
from qnroute.simulation import Scenario, simulate
from qnroute.simulation.measures import measures
from qnroute.simulation.monitoring import SERIES, Recorder
from qnroute.simulation.policies import policy
from qnroute.simulation.policy import play
from qnroute.simulation.telemetry import Monitor, mean_fidelity, mean_p, observed
from qnroute.simulation.workloads import Poisson

DRIFT = {"kind": "drift", "sd": 1.0, "correlation_slots": 100, "fidelity_sd": 0.5}


def scenario(**changes):
    plain = Scenario(
        "erdos-renyi:n=10,probability=0.4,p=0.2:0.9,fidelity=0.9:0.98", slots=240, history=0,
        workload=Poisson(rate=1.0), dynamics=[DRIFT],
    )  # fmt: skip
    return plain.replace(**changes)


@pytest.mark.parametrize("window", [1, 7, 60, 240, 1000])
def test_windows_add_up_to_the_run(window):
    some = scenario(network="erdos-renyi:n=10,probability=0.4,p=0.2:0.9,fidelity=0.9:0.98,swap=0.8")
    recorder = Recorder()
    simulator = play(policy("reactive"), [some.case(3)], some, window=window, watch=recorder.close)
    found, whole = recorder.timeline(), measures(simulator)
    slots = np.diff(np.concatenate([[0], found.end]))
    assert found.end[-1] == 240 and slots.sum() == 240
    served = found.throughput * slots
    assert served.sum() == pytest.approx(whole.served)
    some = served > 0
    assert (found.latency * served)[some].sum() == pytest.approx(whole.latency * whole.served)
    ended = served[some] / found.success[some]
    late = (simulator.world.deadline < 240) & (simulator.state.served < 0)
    assert ended.sum() + np.sum((served == 0) & (found.success == 0)) <= whole.served + late.sum() + 1e-6
    tries = (served / np.where(found.reliability > 0, found.reliability, 1.0)).sum()
    assert tries <= whole.served + whole.swap_failures + whole.below_floor + 1e-6
    assert all(((values >= 0) | np.isnan(values)).all() for values in (getattr(found, name) for name in SERIES))


def test_a_trial_has_its_timeline_where_windows_are_asked_for():
    trials = simulate(scenario(), ["reactive", "greedy"], [1], bound=False, window=50)
    assert [trial.timeline.end.tolist() for trial in trials.trials] == [[50, 100, 150, 200, 240]] * 2
    told = trials.to_dict()["runs"][0]["timeline"]
    assert set(told) == {"end", *SERIES} and len(told["success"]) == 5
    assert simulate(scenario(), ["reactive"], [1], bound=False).trials[0].timeline is None


def test_windows_change_nothing():
    plain = simulate(scenario(), ["reactive", "spep:mean"][:1], [2], bound=False).trials[0].measures
    assert simulate(scenario(), ["reactive"], [2], bound=False, window=13).trials[0].measures == plain


def test_telemetry_counts_what_the_engine_counted():
    some = scenario()
    case = some.case(5)
    (table,) = observed(policy("reactive"), [case], some, window=60)
    simulator = play(policy("reactive"), [case], some)
    attempts, made, used = simulator.state.per_link.T
    assert isinstance(table, Telemetry) and table.n_windows == 4
    np.testing.assert_array_equal(table.attempts.sum(axis=0), attempts)
    np.testing.assert_array_equal(table.successes.sum(axis=0), made)
    np.testing.assert_allclose(table.load.sum(axis=0) * 60, used)
    np.testing.assert_array_equal(table.nominal_p, np.tile(case.run.network.p, (4, 1)))
    names = case.run.network.node_ids
    assert table.ends[0] == (names[case.run.network.source[0]], names[case.run.network.target[0]])


def test_several_runs_are_seen_as_each_alone():
    some = scenario()
    cases = [some.case(seed) for seed in (1, 2)]
    together = observed(policy("reactive"), cases, some, window=60)
    for case, table in zip(cases, together):
        (alone,) = observed(policy("reactive"), [case], some, window=60)
        assert alone.fingerprint() == table.fingerprint()


def test_parity_checks_are_of_the_true_fidelity():
    """Over many windows the estimates scatter around the truth as their sampling variance says."""
    from qnroute.learning.links.features import PARITY

    some, z = scenario(), []
    for seed in range(6):
        case = some.case(seed)
        (table,) = observed(policy("reactive"), [case], some, window=60, checks=20.0)
        for window in range(4):
            true = mean_fidelity(case.run, 60 * window, 60 * (window + 1))
            even, k = (2 * true + 1) / 3, table.samples[window]
            kept = k > 0
            z += ((table.fidelity[window] - true) / np.sqrt(PARITY * even * (1 - even) / k))[kept].tolist()
    assert np.mean(z) == pytest.approx(0.0, abs=4 / np.sqrt(len(z)))
    assert np.std(z) == pytest.approx(1.0, abs=4 / np.sqrt(2 * len(z)))


def test_what_is_excused_does_not_count():
    some = scenario()
    monitor, case = Monitor(), some.case(1)
    simulator = play(policy("reactive"), [case], some, slots=60)
    excused = np.zeros((2, case.run.network.n_links))
    excused[:, 0] = simulator.state.per_link[0, :2]
    row = monitor.close(simulator, excused=excused)
    assert row[0][0] == row[1][0] == 0
    np.testing.assert_array_equal(row[0][1:], simulator.state.per_link[1:, 0])


def test_means_over_windows_are_those_of_the_series():
    run = scenario(slots_per_epoch=7).case(2).run
    for start, stop in ((0, 1), (3, 50), (200, 400)):
        slots = [run.series.at(slot) for slot in range(start, stop)]
        np.testing.assert_allclose(mean_p(run, start, stop), np.mean(slots, axis=0))
    steady = scenario(dynamics=()).case(2).run
    assert mean_fidelity(steady, 0, 10) is steady.network.fidelity


def test_cases_of_every_kind_are_watched():
    drawn = alike(range(4))
    tables = observed(policy("reactive"), [case_of(each) for each in drawn], scenario_of(drawn[0]), window=20)
    assert [table.n_windows for table in tables] == [4] * 4


# --- simulate --monitor ---

ASKED = [
    "simulate", "--network", "grid:rows=3,columns=3,p=0.5,fidelity=0.95", "--workload", "poisson:rate=0.5",
    "--slots", "70", "--history", "0", "--no-bound", "--runs", "2", "--window", "25",
    "--policy", "reactive", "--policy", "hybrid:window=25",
]  # fmt: skip


def test_a_monitored_command_writes_every_window(tmp_path, capsys):
    assert [run([*ASKED, "--monitor", str(tmp_path / name)]) for name in ("m.csv", "m.json", "m.png")] == [0, 0, 0]
    rows = json.loads((tmp_path / "m.json").read_text())
    assert [(row["policy"], row["seed"], row["end"]) for row in rows] == [
        (name, seed, end) for seed in (0, 1) for name in ("reactive", "hybrid:window=25") for end in (25, 50, 70)
    ]
    noted = [row["surprise"] is not None for row in rows]
    assert noted == [False] * 3 + [True, True, False] + [False] * 3 + [True, True, False]
    lines = list(csv.DictReader((tmp_path / "m.csv").read_text().splitlines()))
    assert [line["throughput"] for line in lines] == [str(row["throughput"]) for row in rows]
    assert (tmp_path / "m.png").read_bytes()[:4] == b"\x89PNG"
    capsys.readouterr()


@pytest.mark.parametrize("name", ["m.txt", "-", "m", "m.CSV"])
def test_what_a_monitor_may_write_is_told(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with untouched(tmp_path):
        refused(capsys, [*ASKED, "--monitor", name], ".csv, .json, .png, .svg or .pdf")


@pytest.mark.parametrize(("rate", "why"), [("0.5", "chance of 1e-09 (median)"), ("1e-9", "nobody asked")])
def test_where_nobody_is_served_the_command_says_why_and_the_picture_has_no_scale(rate, why, tmp_path, capsys):
    asked = [*ASKED, "--network", "grid:rows=3,columns=3,p=1e-9", "--workload", f"poisson:rate={rate}"]
    assert run([*asked, "--monitor", str(tmp_path / "m.png")]) == 0
    assert why in capsys.readouterr().err


def test_a_panel_of_nothing_says_so():
    trials = simulate(scenario(network="grid:rows=3,columns=3,p=1e-9"), ["reactive"], [1], bound=False, window=50)
    latency, throughput = (plot_series(trials, name) for name in ("latency", "throughput"))
    assert [text.get_text() for text in latency.texts] == ["nothing to tell"] and not latency.get_yticks().size
    assert throughput.get_yticks().tolist() == [0.0] and not throughput.texts
