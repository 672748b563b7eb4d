"""Scores of predictors as a table: the synthetic workload always, real series where there are any."""

import numpy as np
import pytest

from qnroute.benchmark.forecasts import DATA, listing, measure
from qnroute.errors import ProblemError
from qnroute.learning.predictors import PREDICTORS


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder with one small series, busier by day."""
    (tmp_path / "demand").mkdir()
    rng, slots = np.random.default_rng(1), np.arange(96 * 8)
    day = 1.0 + 0.8 * np.sin(2 * np.pi * slots / 96)
    demand = day[:, None, None] * rng.gamma(3.0, 1.0, (len(slots), 4, 4)) * (1 - np.eye(4))
    np.savez(tmp_path / "demand" / "geant_15min.npz", demand_kbps=demand)
    monkeypatch.setenv(DATA, str(tmp_path))


def test_without_data_there_is_the_synthetic_workload_alone(monkeypatch):
    monkeypatch.delenv(DATA, raising=False)
    assert listing() == ["business-hours"]
    with pytest.raises(ProblemError, match="--case: found 'geant traffic', expected some of business-hours"):
        measure(runs=1, case=["geant traffic"])


def test_the_synthetic_workload_has_every_predictor_beside_last_value():
    rows = {row.predictor: row for row in measure(runs=2, case=["business-hours"])}
    assert set(rows) == set(PREDICTORS)
    assert rows["oracle"].brier == 0.0 and rows["mean"].skill == 0.0
    for row in rows.values():
        assert row.last_value == pytest.approx(rows["last-value"].brier) and row.nmae_1 is None
    assert rows["logistic"].skill > 0.0 > rows["last-value"].skill


def test_real_series_as_amounts_and_thinned(folder):
    assert listing() == ["business-hours", "geant traffic", "geant thinned to 2", "geant thinned to 20"]
    rows = measure(runs=1, case=["geant traffic", "geant thinned to 20"])
    amounts = {row.predictor: row for row in rows if row.series == "geant traffic"}
    assert "frequency" not in amounts and "oracle" not in amounts
    assert amounts["seasonal"].nmae_15 < amounts["mean"].nmae_15
    assert all(row.brier is None and row.last_value == amounts["last-value"].nmae_1 for row in amounts.values())
    assert {row.predictor for row in rows if row.series != "geant traffic"} == set(PREDICTORS)
