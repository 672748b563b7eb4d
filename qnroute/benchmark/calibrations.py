"""Real histories of links: two years of calibrations of ibmq_kolkata's couplers, every six hours, as telemetry.

The one series here that nobody made: errors of two-qubit gates, as the nearest thing to the fidelity of a link of which
a public record exists. `QNROUTE_DATA` names the folder of the shared data; only its measured columns are used.
"""

from __future__ import annotations

import csv
import gzip
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from qnroute.errors import ProblemError
from qnroute.learning.links.evaluation import Assessment, evaluate_models
from qnroute.learning.links.telemetry import Telemetry

DATA = "QNROUTE_DATA"
FILE = Path("traces", "ibmq_kolkata_link_calibration_6h.csv.gz")
COUPLERS = (("q0", "q1"), ("q1", "q2"), ("q2", "q3"))
STALE = 28  # windows for which a calibration is taken for nominal: a week
_SPLIT = 0.6
_OUT_OF_USE = 1.0  # the error that is written for a coupler that is off


@dataclass(frozen=True)
class Calibration:
    """A kind of model on windows it did not learn from; errors of predicted gate errors, in thousandths.

    Attributes
    ----------
    windows
        Of how many hours.
    verdict
        ``better`` or ``worse`` than `last-value` where the Holm-corrected p is below 0.05.
    """

    windows: str
    kind: str
    rmse: float
    mae: float
    difference: float | None
    low: float | None = field(metadata={"shown": False})
    high: float | None = field(metadata={"shown": False})
    p: float | None
    verdict: str
    coverage: float
    held_out: int
    fit_s: float = field(metadata={"shown": False})


def data_file() -> Path | None:
    """The series, where it is here."""
    folder = os.environ.get(DATA)
    path = Path(folder, FILE) if folder else None
    return path if path is not None and path.is_file() else None


def couplers(path: Path, every: int = 1) -> Telemetry:
    """The couplers as links whose fidelity is one less the gate's error, every so many rows.

    What was measured a week before, at the start of a block of `STALE` rows, is taken for nominal.

    Raises
    ------
    ProblemError
        The file is not that series.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        errors = np.array([[float(row[f"cx_err_{u}{v}"] or "nan") for u, v in COUPLERS] for row in rows])[::every]
    except (OSError, EOFError, KeyError, ValueError, csv.Error, zlib.error) as error:
        raise ProblemError(f"expected calibrations of {len(COUPLERS)} couplers: {error}", source=str(path)) from None
    fidelity = np.where(errors >= _OUT_OF_USE, np.nan, 1.0 - errors)
    nothing = np.full(fidelity.shape, np.nan)
    nominal = nothing.copy()
    step = max(STALE // every, 1)
    for start in range(step, len(fidelity), step):
        nominal[start] = fidelity[start - step]
    alone = np.full(len(COUPLERS), np.nan)
    return Telemetry(
        "ibmq_kolkata", COUPLERS, nothing, nothing, fidelity, nothing, nothing, nothing, nominal, alone, alone
    )


def calibrations(doing: Callable[[str], None] | None = None, interrupted=None, kinds=None) -> list[Calibration]:
    """Every kind beside `last-value`, on the last two fifths of the series; none where the data is not here."""
    path, rows = data_file(), []
    if path is None:
        return rows
    for hours, every in (("6 hours", 1), ("1 day", 4)):
        found = evaluate_models(
            [couplers(path, every)], kinds=kinds, split=_SPLIT, doing=doing, interrupted=interrupted
        )
        rows += [_row(hours, each) for each in found.rows if each.target == "fidelity"]
    return rows


def _row(hours: str, found: Assessment) -> Calibration:
    scaled = lambda value, by: None if value is None else by * value  # noqa: E731
    return Calibration(
        windows=hours,
        kind=found.kind,
        rmse=1e3 * found.rmse,
        mae=1e3 * found.mae,
        difference=scaled(found.difference, 1e6),
        low=scaled(found.difference_low, 1e6),
        high=scaled(found.difference_high, 1e6),
        p=found.p_corrected,
        verdict=found.verdict,
        coverage=found.coverage,
        held_out=found.windows,
        fit_s=found.fit_s,
    )
