"""How good models of links are on windows or networks they did not learn from, held against what was last seen."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse

from qnroute.errors import ProblemError, SolverError
from qnroute.fields import brief, brief_name, chosen
from qnroute.learning.links.features import FEATURES, TARGETS, features, outcomes
from qnroute.learning.links.model import KINDS, LEAST, LinkModel, NothingSeen
from qnroute.learning.links.serial import mean_over_windows
from qnroute.learning.links.spread import deviation, quantile
from qnroute.learning.links.telemetry import Telemetry
from qnroute.multiplicity import holm

REFERENCE = "last-value"
BESIDE = ("nominal", REFERENCE)  # always evaluated
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
LEVEL = 0.9  # of the intervals whose width is told
SIGNIFICANT = 0.05
_FEWEST = 3  # windows of a network that is split: two to learn from, one to forecast

_hidden = {"shown": False}


@dataclass(frozen=True)
class Assessment:
    """One kind of model on one target.

    Attributes
    ----------
    rmse, mae
        Of what links showed in the next window; with the 95 % interval of the first.
    behind
        The root of the mean squared error less the mean sampling variance of what was seen, 0 where that is negative:
        the error about what is behind the luck of a window.
    coverage, width
        Of 90 % intervals: share of what was seen that lies within, and mean width, as far as values are possible.
    difference
        Mean squared error less that of `REFERENCE`, with its 95 % interval; None for that itself.
    p, p_corrected
        That the difference is 0, by `mean_over_windows`; and after Holm's correction over the kinds.
    verdict
        ``better`` or ``worse`` than `REFERENCE` where the corrected p is below 0.05, else ``-``.
    rows, windows
        Links in windows that showed something, and windows.
    fit_s
        Seconds that learning all targets took.
    coverages
        At `LEVELS`.
    """

    target: str
    kind: str
    rmse: float
    rmse_low: float | None = field(metadata=_hidden)
    rmse_high: float | None = field(metadata=_hidden)
    behind: float
    mae: float
    coverage: float
    width: float
    difference: float | None
    difference_low: float | None = field(metadata=_hidden)
    difference_high: float | None = field(metadata=_hidden)
    p: float | None = field(metadata=_hidden)
    p_corrected: float | None
    verdict: str
    rows: int
    windows: int
    fit_s: float
    coverages: tuple[float, ...] = field(metadata=_hidden)


@dataclass(frozen=True)
class Evaluation:
    """Rows by target and kind, and what the user should know: kinds left out, and why."""

    rows: tuple[Assessment, ...]
    remarks: tuple[str, ...] = ()
    stopped: bool = False


class _Held(NamedTuple):
    """All links in all windows held out, as forecasts are made of them."""

    X: np.ndarray  # (n, len(FEATURES))
    near: sparse.csr_array  # (n, n)
    window: np.ndarray  # (n,)
    parts: list[tuple[Telemetry, int]]  # networks, and the first window of each


class _Lot(NamedTuple):
    """The rows held out that showed what was realised of a target."""

    held: _Held
    some: np.ndarray  # (r,) places in the rows
    y: np.ndarray  # (r,)
    noise: np.ndarray  # (r,)

    @property
    def window(self) -> np.ndarray:
        """(r,) numbers of windows through all networks."""
        return self.held.window[self.some]


def evaluate_models(
    tables: Sequence[Telemetry],
    *,
    test: Sequence[Telemetry] = (),
    kinds: Sequence[str] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    split: float = 0.7,
    seed: int = 0,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> Evaluation:
    """Fit each kind and hold its forecasts against what came, one window ahead.

    Parameters
    ----------
    tables
        Networks to learn from: the share `split` of their windows, or all of them where there are others to `test` on.
    kinds
        Names in `KINDS`, all if not given; ``nominal`` and ``last-value`` are always beside.
    options
        Of some kinds, by their names.
    interrupted
        Set from outside to stop after the present kind.

    Raises
    ------
    ProblemError
        Unknown kinds or options, too few windows, or networks to test on that were learned from.
    SolverError
        A kind that was named needs a library that is not installed.
    """
    asked = list(KINDS) if kinds is None else list(dict.fromkeys(kinds))
    for kind in (*asked, *(options or {})):
        chosen("model", kind, KINDS)
    if not tables:
        raise ProblemError("telemetry: found no networks, expected at least one to learn from")
    learned, parts = _parted(list(tables), list(test), split)
    held = _rows(parts)
    lots = {target: _lot(held, target) for target in TARGETS}
    stop, found, remarks = interrupted or threading.Event(), {}, []
    for kind in [*BESIDE[::-1], *(kind for kind in asked if kind not in BESIDE)]:
        if stop.is_set():
            break
        if doing is not None:
            doing(f"learning {kind}")
        try:
            found[kind] = _fitted(LinkModel(kind, dict((options or {}).get(kind, {})), seed), learned)
        except NothingSeen:
            if kind != "nominal":
                raise
        except SolverError as error:
            if kinds is not None or kind in BESIDE:
                raise
            remarks.append(f"{kind} is left out: {error}")
    rows = []
    for target, lot in lots.items():
        if lot is not None:
            known = "nominal" in found and target in found["nominal"][0].scorers_ and _calibrated(held, target)
            remarks += [] if known else [f"{target}: nominal is left out: the telemetry has no calibrated values"]
            some = [kind for kind in KINDS if kind in found and (known or kind != "nominal")]
            rows += _assessed(target, lot, {kind: found[kind] for kind in some})
    if not rows and not stop.is_set():
        raise ProblemError("telemetry: found nothing seen in the windows to forecast, expected some")
    return Evaluation(tuple(rows), tuple(remarks), stop.is_set())


def _fitted(model: LinkModel, tables: list[Telemetry]) -> tuple[LinkModel, float]:
    """The model and the seconds it learned."""
    model.recipe(TARGETS[0])  # imports what it takes, before the clock runs
    started = time.perf_counter()
    return model.fit(tables), time.perf_counter() - started


def _parted(
    tables: list[Telemetry], test: list[Telemetry], split: float
) -> tuple[list[Telemetry], list[tuple[Telemetry, int]]]:
    """What to learn from, and each network with its first window to forecast."""
    if isinstance(split, bool) or not isinstance(split, (int, float)) or not 0 < split < 1:
        raise ProblemError(f"split: found {brief(split)}, expected a number in (0, 1)")
    if test:
        known = {each.fingerprint() for each in tables}
        if same := [each.name for each in test if each.fingerprint() in known]:
            raise ProblemError(f"test: found {brief_name(same[0])} among what is learned from, expected other networks")
        if few := [each for each in test if each.n_windows < 2]:
            raise ProblemError(_too_few(few[0], 2, "to be tested on"))
        return tables, [(each, 1) for each in test]
    if few := [each for each in tables if each.n_windows < _FEWEST]:
        raise ProblemError(_too_few(few[0], _FEWEST, "to be split"))
    cuts = [min(max(int(split * each.n_windows), 2), each.n_windows - 1) for each in tables]
    return [each.between(0, cut) for each, cut in zip(tables, cuts)], list(zip(tables, cuts))


def _too_few(table: Telemetry, least: int, what: str) -> str:
    called = brief_name(table.name) if table.name else "telemetry"
    return f"{called}: found {table.n_windows} windows, expected at least {least} {what}"


def _rows(parts: list[tuple[Telemetry, int]]) -> _Held:
    """What is known of all links before each window held out."""
    X, near, window, before = [], [], [], 0
    for table, start in parts:
        count = table.n_windows - start
        X.append(features(table)[start - 1 : -1].reshape(count * table.n_links, -1))
        near.append(sparse.kron(sparse.eye_array(count), table.neighbours(), format="csr"))
        window.append(np.repeat(np.arange(count) + before, table.n_links))
        before += count
    return _Held(np.concatenate(X), sparse.block_diag(near, format="csr"), np.concatenate(window), parts)


def _lot(held: _Held, target: str) -> _Lot | None:
    """All that is to be forecast of a target; None where nothing was seen of it."""
    columns = [tuple(part[start:].ravel() for part in outcomes(table, target)) for table, start in held.parts]
    y, noise = (np.concatenate(parts) for parts in zip(*columns))
    some = np.flatnonzero(~np.isnan(y))
    return _Lot(held, some, y[some], noise[some]) if len(some) else None


def _calibrated(held: _Held, target: str) -> bool:
    """Whether there is anything nominal of a target; a model without it would say 0."""
    return not np.isnan(held.X[:, FEATURES.index(f"nominal_{target}")]).all()


def _assessed(target: str, lot: _Lot, found: Mapping[str, tuple[LinkModel, float]]) -> Iterator[Assessment]:
    """The rows of one target, verdicts included."""
    rows, square = {}, {}
    for kind, (model, seconds) in found.items():
        if target in model.scorers_:
            rows[kind], square[kind] = _measured(target, kind, lot, model, seconds)
    rivals = [kind for kind in rows if kind != REFERENCE and REFERENCE in rows]
    tests = {kind: mean_over_windows(square[kind] - square[REFERENCE], lot.window) for kind in rivals}
    corrected = dict(zip(rivals, holm([tests[kind].p for kind in rivals]).tolist()))
    for kind, row in rows.items():
        if kind not in tests:
            yield row
            continue
        one = tests[kind]
        sure = corrected[kind] < SIGNIFICANT
        yield replace(
            row,
            difference=one.mean,
            difference_low=one.low,
            difference_high=one.high,
            p=one.p,
            p_corrected=corrected[kind],
            verdict=("better" if one.mean < 0 else "worse") if sure else "-",
        )


def _measured(target: str, kind: str, lot: _Lot, model: LinkModel, seconds: float) -> tuple[Assessment, np.ndarray]:
    """One kind's row before it is compared, and (r,) its squared errors."""
    scorer = model.scorers_[target]
    said = scorer.predict(lot.held.X, neighbours=lot.held.near)[lot.some]
    spread = deviation(scorer.arrays_, lot.held.X[lot.some], said, "seen")  # of which `interval` is made
    within, width = {}, {}
    for level in LEVELS:
        reach = spread * quantile(scorer.arrays_, level)
        low, high = (np.clip(said + side * reach, LEAST[target], 1.0) for side in (-1, 1))
        within[level], width[level] = (low <= lot.y) & (lot.y <= high), high - low
    error = lot.y - np.clip(said, 0.0, 1.0)
    square = error**2
    whole = mean_over_windows(square, lot.window)
    row = Assessment(
        target=target,
        kind=kind,
        rmse=math.sqrt(whole.mean),
        rmse_low=None if whole.low is None else math.sqrt(max(whole.low, 0.0)),
        rmse_high=None if whole.high is None else math.sqrt(whole.high),
        behind=math.sqrt(max(whole.mean - float(lot.noise.mean()), 0.0)),
        mae=float(np.abs(error).mean()),
        coverage=float(within[LEVEL].mean()),
        width=float(width[LEVEL].mean()),
        difference=None,
        difference_low=None,
        difference_high=None,
        p=None,
        p_corrected=None,
        verdict="-",
        rows=len(lot.y),
        windows=len(np.unique(lot.window)),
        fit_s=seconds,
        coverages=tuple(float(within[level].mean()) for level in LEVELS),
    )
    return row, square
