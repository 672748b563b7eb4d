"""Series of demand: what they must look like, and what came after each slot.

A series has a row per slot and a column per pair of nodes. *Counts* are arrivals, whole numbers; *amounts* are traffic,
any numbers from 0 on. Row 0 lies in the slot called `clock`, and the slot of day is ``slot % slots_per_day``.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from annotated_types import Le
from numpy.lib.stride_tricks import sliding_window_view

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.fields import brief, checked

LONGEST = 100_000  # steps ahead, and slots of a day
LARGEST = 1e15  # of what is in a slot: squares and their sums stay within floating point
SlotsPerDay = Annotated[fields.PositiveCount, Le(LONGEST)]


def counts_of(counts: Any, *, name: str = "counts") -> np.ndarray:
    """(T, P) arrivals as float64; whole numbers from 0 on, or a `ProblemError`."""
    found = amounts_of(counts, name=name)
    whole = np.floor(found) == found
    if not whole.all():
        raise ProblemError(_first(found, ~whole, name, "a whole number"))
    return found


def amounts_of(amounts: Any, *, name: str = "amounts") -> np.ndarray:
    """(T, P) amounts as float64 from 0 to 1e15, or a `ProblemError`."""
    try:
        found = np.asarray(amounts)
    except ValueError:  # rows of unequal length
        raise ProblemError(f"{name}: expected a table of numbers, slots by pairs") from None
    if found.dtype.kind not in "biuf":
        raise ProblemError(f"{name}: found values of type {found.dtype}, expected numbers")
    if found.ndim != 2:
        raise ProblemError(f"{name}: found {found.ndim} dimensions, expected 2, slots by pairs")
    if found.size == 0:
        raise ProblemError(f"{name}: found {found.shape[0]} slots of {found.shape[1]} pairs, expected at least 1 each")
    found = found.astype(np.float64)
    bad = ~((found >= 0) & (found <= LARGEST))  # NaN too
    if bad.any():
        raise ProblemError(_first(found, bad, name, f"a number in [0, {LARGEST:g}]"))
    return found


def _first(found: np.ndarray, bad: np.ndarray, name: str, expected: str) -> str:
    row, column = (int(axis[0]) for axis in np.nonzero(bad))
    more = f" (and {bad.sum() - 1} more)" if bad.sum() > 1 else ""
    return f"{name}[{row}, {column}]: found {found[row, column]!s}, expected {expected}{more}"


def whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """An integer within bounds, or a `ProblemError`."""
    fit = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not fit or value < low or (high is not None and value > high):
        bounds = f"at least {low}" if high is None else f"in [{low}, {high}]"
        raise ProblemError(f"{name}: found {brief(value)}, expected an integer {bounds}")
    return int(value)


def days(clock: int, rows: int, slots_per_day: int) -> np.ndarray:
    """(rows,) slot of day of each row."""
    return (clock + np.arange(rows)) % slots_per_day


def outcomes(counts: Any, *, horizon: int = 15, start: int = 0) -> np.ndarray:
    """Whether each pair has an arrival in each of the slots ahead.

    Parameters
    ----------
    counts
        (T, P) arrivals.
    horizon
        Steps ahead.
    start
        The first row from which one looks ahead.

    Returns
    -------
    np.ndarray
        (T - start, P, horizon) bool, a read-only view: row i, step h is slot start + i + 1 + h; beyond the end False.
    """
    found = counts_of(counts) > 0
    return ahead(found, whole("horizon", horizon, 1, LONGEST), whole("start", start, 0, len(found) - 1))


def ahead(values: np.ndarray, horizon: int, start: int) -> np.ndarray:
    """(T - start, P, horizon) view of what comes after each row; beyond the end 0."""
    after = np.zeros((len(values) - start + horizon, values.shape[1]), values.dtype)
    after[: len(values) - start - 1] = values[start + 1 :]
    return sliding_window_view(after, horizon, axis=0)[: len(values) - start]


@checked
def thinned(amounts: Any, *, rate: fields.Positive, seed: fields.Count = 0) -> np.ndarray:
    """Arrivals drawn from real traffic: Poisson, with a mean proportional to the traffic of the slot and pair.

    A stand-in for requests of entanglement, of which there is no public trace.

    Parameters
    ----------
    amounts
        (T, P) traffic in any unit.
    rate
        Arrivals per slot in the mean, of all pairs together.
    seed
        The same seed, the same arrivals.

    Returns
    -------
    np.ndarray
        (T, P) int64.
    """
    found = amounts_of(amounts)
    total = found.sum()
    if total == 0:
        raise ProblemError("amounts: found zeros alone, expected some traffic")
    return np.random.default_rng(seed).poisson(found * (rate * len(found) / total))
