"""The experiment of paper A in small: every part has its rows, and they say what the runs say."""

import gzip
import threading

import numpy as np
import pytest

from qnroute.benchmark import calibrations, paper_a, recovery
from qnroute.benchmark.drifting import scenario_of
from qnroute.benchmark.link_floors import Deviations
from qnroute.benchmark.link_regrets import Loss
from qnroute.benchmark.paper_a import (
    INFORMED,
    NOMINAL,
    PRINTED,
    Settings,
    loops,
    models,
    routed,
    routing,
    scaling,
    telemetry,
)
from qnroute.benchmark.paper_a_figures import plot_rows
from qnroute.errors import NoAnswer, ProblemError
from qnroute.simulation.trials import simulate

KINDS = ("last-value", "empirical")


@pytest.fixture(scope="module")
def made():
    return models(telemetry(2, slots=200), KINDS)


@pytest.fixture(scope="module")
def several(made):
    return [
        simulate(scenario_of(name, nodes=20, slots=300), ["shortest-path", "reactive", *loops(made)], range(4))
        for name in ("regular", "scale-free")
    ]


def test_rows_say_what_the_trials_say(several):
    rows = {row.policy: row for row in routed(several, "all", "empirical")}
    assert list(rows) == [
        "shortest-path", "reactive", NOMINAL, "hybrid:last-value", "hybrid:empirical (chosen)", INFORMED,
    ]  # fmt: skip
    values = {name: np.concatenate([t.values(name, "success") for t in several]) for name in several[0].policies}
    for name, found in values.items():
        row = rows.get(name, rows.get(f"{name} (chosen)"))
        assert row.runs == 8 and row.success == pytest.approx(found.mean())
        if row.lost is not None:
            assert row.lost == pytest.approx((values[INFORMED] - found).mean())
            assert row.of_nominal == pytest.approx(row.lost / (values[INFORMED] - values[NOMINAL]).mean())
    assert rows[INFORMED].lost is None and rows["reactive"].lost is None and rows["reactive"].p_reactive is None
    assert rows[NOMINAL].of_nominal == pytest.approx(1.0) and rows[NOMINAL].halved_p is None
    assert (
        rows["shortest-path"].printed == "0.68, 310 ms" and rows["hybrid:empirical (chosen)"].printed == "0.92, 95 ms"
    )
    assert rows[NOMINAL].printed == ""


def test_halving_is_tested_one_sided():
    """Who loses nothing has more than halved it; who loses as much has not."""
    rng = np.random.default_rng(0)
    informed = rng.uniform(0.7, 0.9, 12)
    success = {INFORMED: informed, NOMINAL: informed - rng.uniform(0.05, 0.1, 12)}
    success |= {"good": informed - rng.uniform(0.0, 0.01, 12), "bad": success[NOMINAL] + 0.001}
    assert paper_a._halved(success, "good") < 1e-6 and paper_a._halved(success, "bad") > 0.99


def test_routing_and_scaling_in_small():
    rows = routing(
        2, settings=Settings(), slots=110, training=1, choosing=1, kinds=("empirical",), baselines=("reactive",),
        topologies=("regular", "waxman"),
    )  # fmt: skip
    assert [row.network for row in rows] == ["regular"] * 4 + ["waxman"] * 4 + ["all"] * 4
    grown = scaling(1, settings=Settings(), slots=110, training=1, sizes=(8, 12))
    assert {(row.nodes, row.policy) for row in grown} == {
        (n, p) for n in (8, 12) for p in ("shortest-path", "static", "greedy", "reactive", "hybrid:empirical", INFORMED)
    }
    assert all(0.0 <= row.success <= 1.0 for row in [*rows, *grown])
    assert len(plot_rows([*rows, *grown]).figure.axes) == 8
    assert routing(1, settings=_stopped(), slots=110, training=1, choosing=1, kinds=("empirical",)) == []


def _stopped():
    stop = threading.Event()
    stop.set()
    return Settings(interrupted=stop)


def test_links_fail_and_come_back(made):
    some = scenario_of("regular", nodes=20)
    case = some.replace(slots=recovery.END, slots_per_epoch=1).case(5)
    for which in ("random", "busiest"):
        failed = recovery.failing(case, which).run.series
        down = np.flatnonzero(failed.p[recovery.FAILED] == 0.0)
        assert len(down) == 2
        assert (failed.p[recovery.FAILED : recovery.MENDED, down] == 0.0).all()
        whole = np.ones(len(failed.p), dtype=bool)
        whole[recovery.FAILED : recovery.MENDED] = False
        np.testing.assert_array_equal(failed.p[whole], case.run.series.p[whole])
        np.testing.assert_array_equal(failed.fidelity, case.run.series.fidelity)
    rows = recovery.recovery(some, made["empirical"], range(2), settings=Settings())
    for which in ("random", "busiest"):
        mine = [row for row in rows if row.links == which]
        assert mine[-1].slots == "all while links are down" and mine[-1].recovered
        down = [row for row in mine[:-1] if 0 <= int(row.slots.split(" to ")[0]) < 200]
        assert sum(row.requests for row in down) == mine[-1].requests
        for how in ("watched", "known", "ignored"):
            served = sum(getattr(row, how) * row.requests for row in down)
            assert served == pytest.approx(getattr(mine[-1], how) * mine[-1].requests)
    plot_rows(rows)


def test_the_real_series_is_telemetry_of_couplers(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    lines = ["time,cx_err_q0q1,cx_err_q1q2,cx_err_q2q3,ghz"]
    errors = rng.uniform(0.004, 0.02, (120, 3))
    errors[7, 1] = 1.0
    lines += [f"{i},{a!r},{b!r},{c!r},0.9" for i, (a, b, c) in enumerate(errors.tolist())]
    path = tmp_path / calibrations.FILE
    path.parent.mkdir()
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    monkeypatch.setenv("QNROUTE_DATA", str(tmp_path))
    table = calibrations.couplers(path)
    np.testing.assert_allclose(table.fidelity[8:], 1.0 - errors[8:])
    assert np.isnan(table.fidelity[7, 1]) and np.isnan(table.attempts).all()
    np.testing.assert_allclose(table.nominal_fidelity[56:60], np.tile(1.0 - errors[28], (4, 1)))
    assert calibrations.couplers(path, 4).n_windows == 30
    rows = calibrations.calibrations(kinds=("empirical",))
    assert {(row.windows, row.kind) for row in rows} == {
        (w, k) for w in ("6 hours", "1 day") for k in ("empirical", "nominal", "last-value")
    }
    plot_rows(rows)
    monkeypatch.setattr(paper_a, "calibrations", lambda *_: rows)
    assert paper_a.measure(runs=1, case=["calibrations"]) == rows
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ProblemError, match="expected calibrations of 3 couplers"):
        calibrations.couplers(path)
    monkeypatch.delenv("QNROUTE_DATA")
    assert calibrations.calibrations() == []
    with pytest.raises(ProblemError, match="QNROUTE_DATA: expected a folder with traces/ibmq_kolkata"):
        paper_a.measure(runs=1, case=["scaling", "calibrations"])


def test_value_lost_is_drawn_too():
    rows = [
        Loss(objective, kind, kind == "linear", 4, 0.1, 0.05, 0.15, 0.5, 0.0, -0.1, 0.1, 0.5, 0.5, "")
        for objective in ("expected-pairs", "link-selection")
        for kind in ("nominal", "linear")
    ]
    assert plot_rows(rows).get_xlabel().startswith("value lost")


def test_an_interruption_may_leave_nothing_to_draw():
    rows = [Deviations("p", "linear", 9, 0.1, 0.1, 1.0, 0.5, 0.9)]
    with pytest.raises(NoAnswer, match="found no rows that are drawn"):
        plot_rows(rows)


def test_parts_by_name():
    for bad in (["everything"], ["scaling", "scaling"]):
        with pytest.raises(ProblemError, match="--case"):
            paper_a.measure(runs=1, case=bad)
    assert [line.partition(":")[0] for line in paper_a.listing()] == list(paper_a.PARTS)
    assert set(PRINTED) == {"shortest-path", "greedy", "static", "hybrid"}
    stop = threading.Event()
    stop.set()
    assert paper_a.measure(runs=1, interrupted=stop) == []
