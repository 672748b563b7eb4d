"""Features of links: what a scorer is told of each link after a window, and what came of it in the next one.

Paper A's features (equation 4: p, F, distance, loss, as calibrated) and the history since: the last success rate and
fidelity seen, discounted ones of several half-lives, each shrunk to the calibrated value with the weight of one
observation, and how much they rest on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qnroute.learning.links.lessons import Luck
from qnroute.learning.links.telemetry import Telemetry

HALF_LIVES = (1.0, 4.0, 16.0)  # windows
MEMORY = 16.0  # windows: how fast a calibration goes stale in the feature that says so
_PER_LIFE = ("rate", "fidelity", "quality", "attempts", "samples")
FEATURES = (
    "nominal_p", "nominal_fidelity", "nominal_quality", "length_km", "loss_db",
    "rate_last", "fidelity_last", "quality_last",
    *(f"{name}_{life:g}" for life in HALF_LIVES for name in _PER_LIFE),
    "unseen", "staleness", "load_1", "load_4",
)  # fmt: skip
TARGETS = ("quality", "p", "fidelity")

_ENDLESS = 1e12  # trials of what is exact
PARITY = 2.25  # variance of one fidelity sample over q (1 - q), q = (2 F + 1) / 3 the chance of even parity


class Table(NamedTuple):
    """Rows to learn from: n pairs of a link and a window, and the window after it."""

    X: np.ndarray  # (n, len(FEATURES))
    y: np.ndarray  # (n,) what was realised in the next window
    noise: np.ndarray  # (n,) the sampling variance of y, as usual for the link
    row: np.ndarray  # (n,) window * links + link
    luck: Luck  # the trials that y is the mean of
    rest: np.ndarray  # (n,) the sampling variance of y beside theirs


class History:
    """What is known of m links after the windows taken in so far.

    Parameters
    ----------
    length_km, loss_db : (m,), NaN where not known
    """

    def __init__(self, length_km: np.ndarray, loss_db: np.ndarray):
        self._length, self._loss = np.asarray(length_km, dtype=float), np.asarray(loss_db, dtype=float)
        m = len(self._length)
        self._sums = np.zeros((len(HALF_LIVES), 4, m))  # attempts, successes, samples, samples times fidelity
        self._keep = 0.5 ** (1.0 / np.array(HALF_LIVES))[:, None, None]
        self._unseen, self._age, self._load = np.full(m, np.inf), np.zeros(m), np.full((2, m), np.nan)
        self._nominal, self._last = np.full((2, m), np.nan), np.full((2, m), np.nan)

    def take(self, attempts, successes, fidelity, samples, load, nominal_p, nominal_fidelity) -> None:
        """Take in one window, (m,) each as `Telemetry` has them."""
        n, s = np.nan_to_num(attempts), np.nan_to_num(successes)
        measured = ~np.isnan(fidelity)
        k = np.where(measured, np.where(np.isnan(samples), EXACT, samples), 0.0)
        self._sums *= self._keep
        self._sums += np.stack([n, s, k, k * np.where(measured, fidelity, 0.0)])
        self._unseen = np.where((n > 0) | (k > 0), 0.0, self._unseen + 1.0)
        now = np.stack([nominal_p, nominal_fidelity])
        same = ((now == self._nominal) | np.isnan(now)).all(axis=0)
        self._age, self._nominal = np.where(same, self._age + 1.0, 0.0), now
        with np.errstate(invalid="ignore", divide="ignore"):
            last = np.stack([np.where(n > 0, s / n, np.nan), fidelity])
        self._last = np.where(np.isnan(last), self._last, last)
        keep = np.where(np.isnan(self._load), 0.0, np.array([[0.0], [0.5**0.25]]))
        self._load = np.where(np.isnan(load), self._load, keep * np.nan_to_num(self._load) + (1.0 - keep) * load)

    def features(self) -> np.ndarray:
        """(m, len(FEATURES)) what may be known of the window to come."""
        p, f = self._nominal
        rate, fidelity = np.where(np.isnan(self._last), self._nominal, self._last)
        columns = [p, f, p * f, self._length, self._loss, rate, fidelity, rate * fidelity]
        for n, s, k, kf in self._sums:
            rate, fidelity = _shrunk(s, n, p), _shrunk(kf, k, f)
            columns += [rate, fidelity, rate * fidelity, n, np.minimum(k, EXACT)]
        unseen, stale = -np.expm1(-self._unseen / HALF_LIVES[1]), -np.expm1(-self._age / MEMORY)
        return np.stack([*columns, unseen, stale, *self._load], axis=1)


EXACT = 1e4  # how many samples a fidelity counts for that is given without their number


def _shrunk(part: np.ndarray, whole: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Quotients drawn to the prior by the weight of one observation, NaN where neither is known."""
    weight = np.where(np.isnan(prior), 0.0, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (part + weight * np.nan_to_num(prior)) / (whole + weight)
    return np.where(whole + weight > 1e-9, found, np.nan)


def features(telemetry: Telemetry) -> np.ndarray:
    """(W, m, len(FEATURES)) after each window; nothing later is looked at."""
    history = History(telemetry.length_km, telemetry.loss_db)
    found = np.empty((telemetry.n_windows, telemetry.n_links, len(FEATURES)))
    for window in range(telemetry.n_windows):
        history.take(*row_of(telemetry, window))
        found[window] = history.features()
    return found


def row_of(telemetry: Telemetry, window: int) -> tuple[np.ndarray, ...]:
    """One window as `History.take` has it."""
    t = telemetry
    columns = (t.attempts, t.successes, t.fidelity, t.samples, t.load, t.nominal_p, t.nominal_fidelity)
    return tuple(values[window] for values in columns)


def outcomes(telemetry: Telemetry, target: str) -> tuple[np.ndarray, np.ndarray]:
    """(W, m) what a window realised of ``quality``, ``p`` or ``fidelity``, NaN for nothing; and its sampling variance.

    The rate of n attempts has variance p (1 - p) / n; the mean of k parity checks, each 1 or -1/2, has
    9/4 q (1 - q) / k with q = (2 F + 1)/3, less than one counting as one. The quality is the product of the two. Where
    no pair was made, or none checked, the fidelity is the link's mean: without the windows whose attempts all failed
    qualities would look better than they are. Of links never checked there is no quality. p and q in the variances are
    those of the link over all windows: those of the window itself would make lucky outcomes look sure.
    """
    n, k = telemetry.attempts, telemetry.samples
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(n > 0, telemetry.successes / n, np.nan)
        p = _usual(telemetry.successes, n)
        of_rate = p * (1.0 - p) / n
        even = (2.0 * telemetry.fidelity + 1.0) / 3.0 * k
        q = _usual(np.clip(even, 0.0, k), k)
        of_fidelity = np.where(np.isnan(k), 0.0, PARITY * q * (1.0 - q) / _worth(k))
        if target == "p":
            return rate, np.where(np.isnan(rate), np.nan, of_rate)
        f = telemetry.fidelity
        if target == "fidelity":
            return f, np.where(np.isnan(f), np.nan, of_fidelity)
        weight = np.where(np.isnan(f), 0.0, np.where(np.isnan(k), EXACT, k))
        level = (weight * np.nan_to_num(f)).sum(axis=0) / weight.sum(axis=0)
        f, of_fidelity = np.where(np.isnan(f), level, f), np.where(np.isnan(f), 0.0, of_fidelity)
        noise = f**2 * of_rate + rate**2 * of_fidelity + of_rate * of_fidelity
        return rate * f, np.where(np.isnan(rate * f), np.nan, noise)


def _worth(samples: np.ndarray) -> np.ndarray:
    """How many checks samples are worth: one at least, where there are any."""
    return np.where(samples > 0.0, np.maximum(samples, 1.0), samples)


def _level(q: np.ndarray) -> np.ndarray:
    """The fidelity of which the chance of even parity is q."""
    return (3.0 * q - 1.0) / 2.0


def _usual(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """(m,) chance of each link over all windows, a little towards one half."""
    return (np.nansum(part, axis=0) + 0.5) / (np.nansum(whole, axis=0) + 1.0)


def table(telemetry: Telemetry, target: str, X: np.ndarray | None = None) -> Table:
    """The rows of one network whose next window realised the target.

    Parameters
    ----------
    target
        One of `TARGETS`.
    X
        `features` of the telemetry, where they are there already.
    """
    found = features(telemetry) if X is None else X
    y, noise = (part[1:].ravel() for part in outcomes(telemetry, target))
    row = np.flatnonzero(~np.isnan(y))
    luck, rest = _luck(telemetry, target, row)
    return Table(found[:-1].reshape(-1, found.shape[2])[row], y[row], noise[row], row, luck, rest)


def joined(parts: Sequence[Table]) -> Table:
    """The rows of several networks, one after the other; `row` is still that of each."""
    luck = Luck(*(np.concatenate(columns) for columns in zip(*(part.luck for part in parts))))
    names = ("X", "y", "noise", "row", "rest")
    return Table(luck=luck, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _luck(telemetry: Telemetry, target: str, row: np.ndarray) -> tuple[Luck, np.ndarray]:
    """The trials behind rows of a table, and the variance that is not theirs.

    A quality is the mean of as many outcomes as there were attempts, each 0 or, to first order, the link's usual
    fidelity; that the fidelity is measured adds the rest.
    """
    n, k = telemetry.attempts, telemetry.samples
    weight = np.where(np.isnan(telemetry.fidelity), 0.0, np.where(np.isnan(k), EXACT, k))
    with np.errstate(invalid="ignore", divide="ignore"):
        q = _usual(np.clip((2.0 * telemetry.fidelity + 1.0) / 3.0 * weight, 0.0, weight), weight)
        spare = _usual(telemetry.successes, n) ** 2 * PARITY * q * (1.0 - q) / _worth(k)
    low, high, trials = np.zeros(n.shape), np.ones(n.shape), n
    if target == "fidelity":
        low, trials = low - 0.5, np.where(np.isnan(k), _ENDLESS, np.maximum(k, 1.0))
    elif target == "quality":
        high = np.broadcast_to(np.maximum(_level(q), 0.25), n.shape)
    rest = np.where(np.isfinite(spare), spare, 0.0) if target == "quality" else np.zeros(n.shape)
    parts = [np.asarray(part)[1:].ravel()[row] for part in (trials, low, high, rest)]
    return Luck(*parts[:3]), parts[3]
