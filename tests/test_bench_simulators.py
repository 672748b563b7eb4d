"""The benchmark of slot simulators: what both are given, our side of it, and what is said where the peer is missing."""

from __future__ import annotations

import stat

import pytest

from qnroute.benchmark import simulators
from qnroute.errors import SolverError


def fake(tmp_path, monkeypatch, script):
    """A peer that does what a shell script says."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv(simulators.PYTHON, str(path))


def test_ours_delivers_what_was_asked_where_nothing_is_lost():
    given = simulators.setting(1.0, 40)
    found = simulators.ours(given)
    assert found["asked"] == found["delivered"] == 200
    ends = [node for pair in given["pairs"] for node in pair]
    assert len(set(ends)) == 20 and len(given["links"]) == 200


def test_both_are_measured(tmp_path, monkeypatch):
    fake(tmp_path, monkeypatch, """echo '{"cpu_s": 1.0, "delivered": 100, "asked": 200, "fidelity": 0.9}'""")
    rows = simulators.measure(runs=2, slots=40, chances=(0.9,))
    assert [(row.simulator, row.p, row.runs, row.asked) for row in rows] == [
        ("qnroute", 0.9, 2, 200), ("SimQN", 0.9, 2, 200),
    ]  # fmt: skip
    assert rows[0].ratio == 1.0
    assert rows[1].ratio == pytest.approx(rows[1].us_per_pair / rows[0].us_per_pair)
    assert rows[1].us_per_pair == pytest.approx(1e4)


@pytest.mark.parametrize(
    ("script", "message"),
    [("echo qns is not installed >&2; exit 1", "pip install qns"), ("echo what >&2; exit 3", "status 3: what")],
)
def test_a_peer_that_is_not_there_or_fails(tmp_path, monkeypatch, script, message):
    fake(tmp_path, monkeypatch, script)
    with pytest.raises(SolverError, match=message):
        simulators.simqn(simulators.setting(1.0, 4))


def test_an_interpreter_that_is_not_there(monkeypatch):
    monkeypatch.setenv(simulators.PYTHON, "/nowhere/python")
    with pytest.raises(SolverError, match=simulators.PYTHON):
        simulators.simqn(simulators.setting(1.0, 4))
