"""The one-slot study in small: its rows say what decisions bring, worked out another way."""

from __future__ import annotations

import threading

import networkx as nx
import numpy as np
import pytest

from qnroute.benchmark import link_losses
from qnroute.benchmark.link_decisions import WITH_FLOORS, one_slot, table_lines
from qnroute.benchmark.link_floors import FLOOR, FLOORS, RULES, calibrated, floored
from qnroute.benchmark.link_losses import trained_losses
from qnroute.benchmark.link_places import OBJECTIVES, SMOKE, WINDOW, places
from qnroute.benchmark.link_regrets import above_zero, losses, models_of, regrets
from qnroute.benchmark.statistics import holm
from qnroute.learning.links.model import Estimate, Forecast

KINDS = ("nominal", "empirical", "linear", "mlp")


@pytest.fixture(scope="module")
def watched():
    return {name: places(getattr(SMOKE, name)) for name in ("trained", "validation", "held")}


@pytest.fixture(scope="module")
def models(watched):
    return models_of(watched["trained"], KINDS)


def matched(network, scores):
    """(m,) the links of a matching worth most, by networkx."""
    graph = nx.Graph()
    for i, (u, v) in enumerate(zip(network.source.tolist(), network.target.tolist())):
        graph.add_edge(u, v, weight=float(scores[i]), at=i)
    taken = np.zeros(network.n_links)
    taken[[graph.edges[pair]["at"] for pair in nx.max_weight_matching(graph)]] = 1.0
    return taken


def test_places_are_seen_as_they_were(watched):
    for place in watched["held"]:
        assert place.telemetry.n_windows == 40 and len(place.features) == 40
        series, window = place.case.run.series, 7
        step = series.slots_per_epoch
        slots = np.arange((window + 1) * WINDOW, (window + 2) * WINDOW) // step
        true = place.true(window)
        assert true.p == pytest.approx(series.p[slots].mean(axis=0))
        assert true.score == pytest.approx(true.p * series.fidelity[slots].mean(axis=0))
        assert place.asked(window, "expected-pairs").requests == place.asked(window, "log-success").requests


def test_regrets_of_link_selection_are_those_of_matchings(watched, models):
    held, windows = watched["held"], (20, 30)
    found = regrets(models, held, windows, ("link-selection",))["link-selection"]
    for i, place in enumerate(held):
        for kind, model in models.items():
            best = brought = 0.0
            for window in windows:
                true = place.true(window).score
                told = model.forecast(place.features[window], place.telemetry.neighbours()).quality.mean
                best += true @ matched(place.network, true)
                brought += true @ matched(place.network, told)
            assert found[kind][i] == pytest.approx(1.0 - brought / best, abs=1e-9)


def test_rows_of_kinds(watched, models):
    rows = losses(models, watched["validation"], watched["held"], SMOKE.windows)
    assert [(row.objective, row.kind) for row in rows] == [(name, kind) for name in OBJECTIVES for kind in KINDS]
    assert [sum(row.chosen for row in rows if row.objective == name) for name in OBJECTIVES] == [1, 1, 1]
    found = regrets(models, watched["held"], SMOKE.windows)
    for row in rows:
        own, stale = found[row.objective][row.kind], found[row.objective]["nominal"]
        assert row.regret == pytest.approx(own.mean()) and row.spare == pytest.approx(stale.mean() / 2 - own.mean())
        assert row.regret >= -1e-9
    for chosen in (True, False):
        tested = [row for row in rows if row.kind != "nominal" and row.chosen == chosen]
        plain = [found[row.objective]["nominal"] / 2 - found[row.objective][row.kind] for row in tested]
        for place, name in enumerate(("p_t", "p_wilcoxon")):
            assert [getattr(row, name) for row in tested] == holm([above_zero(each)[place] for each in plain]).tolist()


def test_chances_of_sure_links_are_the_plain_decision(watched, models):
    """Where no deviation is left, weighing by chances changes nothing; with one, it does in some network."""
    sure = {"empirical": Sure(models["empirical"])}
    both = (watched["held"] + watched["trained"], (20, 30))
    rows = floored(sure, *both, stale="empirical")
    assert [row.rule for row in rows] == list(RULES)
    for row in rows:
        assert row.plain == pytest.approx(row.chances, abs=1e-9) and row.p_t == 1.0 and row.plain > 0.0
    unsure = floored({"empirical": models["empirical"]}, *both, stale="empirical")
    assert any(abs(row.plain - row.chances) > 1e-6 for row in unsure)
    assert [row.plain for row in unsure] == [row.plain for row in rows] and FLOORS[0] < FLOOR


class Sure:
    """A model that is sure of its fidelities."""

    def __init__(self, model):
        self.model = model

    def forecast(self, X, neighbours):
        found = self.model.forecast(X, neighbours)
        mean = found.fidelity.mean
        return Forecast(found.quality, found.p, Estimate(mean, np.zeros_like(mean), mean, mean))


def test_calibration_is_of_errors_in_deviations(watched, models):
    rows = calibrated({"linear": models["linear"]}, watched["held"], (10, 30))
    assert [row.target for row in rows] == ["quality", "p", "fidelity"]
    error, sd = [], []
    for place in watched["held"]:
        for window in (10, 30):
            found = models["linear"].forecast(place.features[window], place.telemetry.neighbours()).p
            error.append(found.mean - place.true(window).p)
            sd.append(found.sd)
    error, sd = np.concatenate(error), np.concatenate(sd)
    assert rows[1].spread == pytest.approx(np.sqrt(np.mean((error / sd) ** 2)))
    assert rows[1].within_most == np.mean(np.abs(error) < 1.6449 * sd) >= rows[1].within_half
    assert rows[1].error == pytest.approx(np.sqrt(np.mean(error**2)))


def test_rows_of_losses(watched, models, monkeypatch):
    monkeypatch.setattr(link_losses, "TRAINED", {"spo+": link_losses.TRAINED["spo+"]})
    rows = trained_losses(models, watched["trained"], watched["held"], SMOKE.windows, options={"epochs": 1})
    assert len(rows) == 2 * 2 * 2
    for row in rows:
        squared = next(x for x in rows if (x.objective, x.kind, x.loss) == (row.objective, row.kind, "squared"))
        whole = max(squared.regret, 1e-12)
        assert row.cut == pytest.approx((squared.regret - row.regret) / whole, abs=1e-9) or squared.regret <= 0.0
        assert row.pass_kept in ((0,) if row.loss == "squared" else (0, 1))


def test_one_sided_tests():
    rng = np.random.default_rng(0)
    assert max(above_zero(rng.normal(1.0, 1.0, 40))) < 1e-4
    assert min(above_zero(rng.normal(-1.0, 1.0, 40))) > 0.99
    assert above_zero(np.zeros(5)) == above_zero(np.ones(1)) == (1.0, 1.0)


def test_the_study_says_what_it_does_and_stops_when_told(monkeypatch):
    said, stop = [], threading.Event()

    def doing(step):
        said.append(step)
        if step == "kinds":
            stop.set()

    found = one_slot(SMOKE, kinds=KINDS[:3], doing=doing, interrupted=stop)
    assert said == ["networks watched", "models learned", "calibration", "kinds"]
    assert found.calibration and found.kinds and not found.floors and not found.trained
    assert found.rows() == [*found.kinds, *found.calibration]
    lines = found.lines()
    assert lines[0].startswith("regret of decisions") and sum(line == "" for line in lines) == 2
    assert set(WITH_FLOORS) <= set(KINDS)


def test_tables_are_aligned():
    from dataclasses import make_dataclass

    row = make_dataclass("Row", ["kind", "p_t", "chosen", "low"])
    lines = table_lines([row("linear", 1e-9, True, None), row("mlp", 0.25, False, 0.5)])
    assert lines == ["kind    p_t      chosen  low", "linear  1.0e-09  yes     -", "mlp     0.2500           0.5000"]
