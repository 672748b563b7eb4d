"""The experiment of paper C in small: every row is there, and says what the trials say."""

import math
import threading

import pytest

from qnroute.benchmark import spep
from qnroute.benchmark.spep import LOOKAHEAD, PRINTED, REFERENCE, SPEP, measure, outcomes, scenario_of
from qnroute.benchmark.spep_figures import plot_outcomes
from qnroute.errors import ProblemError
from qnroute.simulation.trials import simulate

FEW = (REFERENCE, "reactive", "spep:mean", "spep:frequency", LOOKAHEAD)


@pytest.fixture(scope="module")
def trials():
    return simulate(scenario_of("regular").replace(slots=400, history=400), FEW, range(6))


def test_rows_say_what_the_trials_say(trials):
    rows = {row.policy: row for row in outcomes(trials, "regular")}
    assert list(rows) == list(FEW)
    for name, row in rows.items():
        served = [trial.measures.served for trial in trials.of(name)]
        asked = [trial.measures.requests for trial in trials.of(name)]
        assert row.success == pytest.approx(sum(s / a for s, a in zip(served, asked)) / 6)
        assert row.success_low < row.success < row.success_high
        assert row.success + row.half == pytest.approx(row.success_high)
        assert 0.0 < row.share <= 1.0 and row.possible >= row.success and row.runs == 6
    assert rows[REFERENCE].printed == "0.08" and rows[REFERENCE].p_shortest is None
    over = rows[LOOKAHEAD].success - rows[REFERENCE].success
    assert rows[LOOKAHEAD].over_shortest == pytest.approx(over) == rows[REFERENCE].below_lookahead
    assert rows["spep:frequency"].over_mean == pytest.approx(rows["spep:frequency"].success - rows["spep:mean"].success)
    assert rows["spep:mean"].over_mean is None and rows[LOOKAHEAD].below_lookahead is None


def test_printed_figures_stand_beside_the_policies_they_are_for():
    assert spep._printed("scale-free", SPEP) == "0.2-0.21" and spep._printed("scale-free", "exact") == ""
    assert set(PRINTED) == set(spep.TOPOLOGIES)


def test_all_topologies_sweeps_and_the_figure(monkeypatch, tmp_path):
    monkeypatch.setattr(spep, "POLICIES", FEW)
    monkeypatch.setattr(spep, "_THRESHOLDS", ("spep:frequency,threshold=0.4",))
    plain = spep.scenario_of
    monkeypatch.setattr(spep, "scenario_of", lambda name: plain(name).replace(slots=60, history=120))
    rows = measure(runs=2)
    sweeps = ["", "threshold", *spep._SWEEPS]
    for name in spep.TOPOLOGIES:
        assert list(dict.fromkeys(row.sweep for row in rows if row.topology == name)) == sweeps
    assert all(math.isfinite(row.success) for row in rows)
    figure = plot_outcomes(rows).figure
    figure.savefig(tmp_path / "spep.png")
    assert len(figure.axes) == 8


def test_topologies_by_name(monkeypatch):
    monkeypatch.setattr(spep, "POLICIES", FEW[:2])
    plain = spep.scenario_of
    monkeypatch.setattr(spep, "scenario_of", lambda name: plain(name).replace(slots=40, history=40))
    assert {(row.topology, row.sweep) for row in measure(runs=1, case=["regular"])} == {("regular", "")}
    for bad in (["torus"], ["regular", "regular"]):
        with pytest.raises(ProblemError, match="--case"):
            measure(runs=1, case=bad)


def test_interrupted_before_anything_there_are_no_rows():
    stop = threading.Event()
    stop.set()
    assert measure(runs=2, interrupted=stop) == []
