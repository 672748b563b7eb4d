"""What a scorer is taught, and what is kept from its teaching."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qnroute.errors import ProblemError
from qnroute.learning.links.adjacency import Neighbours

LARGEST = 1e15  # of what is said, of weights and of noise
LARGEST_FEATURE = 1e60
_SURE = 0.002  # of the way between two outcomes
_SMALL = 1000  # rows among which equal ones are sought


class Luck(NamedTuple):
    """Where each y is the mean of `trials` outcomes that are either `low` or `high`; (n,) each."""

    trials: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def of(self, rows: np.ndarray) -> Luck:
        """That of some rows."""
        return Luck(*(values[rows] for values in self))

    def noise(self, mean: np.ndarray) -> np.ndarray:
        """(n,) sampling variance where a trial's mean is (n,) `mean`, kept a little off the ends: a sure thing."""
        margin = _SURE * (self.high - self.low)
        inside = np.clip(mean, self.low + margin, self.high - margin)
        return (self.high - inside) * (inside - self.low) / self.trials


class Lesson(NamedTuple):
    """Rows to learn a mean from.

    Attributes
    ----------
    x : (n, d) features, NaN where missing
    y : (n,) what is to be said of each row
    weight : (n,), 0 for rows that are only seen by their neighbours
    group : (n,) rows of the same number belong together; None if each stands for itself
    neighbours : who is near whom, None where that is not used
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    group: np.ndarray | None
    neighbours: Neighbours | None


def column(name: str, values: Any, n: int, default: float) -> np.ndarray:
    """(n,) numbers of at least 0 that go with the rows; `default` throughout where None is given."""
    if values is None:
        return np.full(n, default)
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProblemError(f"{name}: found {type(values).__name__}, expected ({n},) numbers") from None
    if found.shape != (n,):
        raise ProblemError(f"{name}: found shape {found.shape}, expected ({n},)")
    if not ((found >= 0) & (found <= LARGEST)).all():
        raise ProblemError(f"{name}: found values outside [0, {LARGEST:g}]")
    return found


def luck_of(given: Luck | None, n: int) -> Luck | None:
    """What was given, checked."""
    if given is None:
        return None
    found = Luck(*(np.asarray(values, dtype=np.float64) for values in given))
    if any(values.shape != (n,) or not np.isfinite(values).all() for values in found):
        raise ProblemError(f"luck: expected ({n},) finite trials, low and high ends")
    if not ((found.trials >= 1.0) & (found.low < found.high)).all():
        raise ProblemError("luck: found less than one trial, or a high end that is not above the low one")
    return found


def require_bounded(name: str, values: np.ndarray, most: float) -> None:
    """Refuse numbers so large that their squares or products might overflow; NaN is let through."""
    if (np.abs(values) > most).any():
        raise ProblemError(
            f"{name}: found {np.nanmax(np.abs(values)):g}, expected numbers of at most {most:g} either way"
        )


def numbered(groups: Any, n: int) -> np.ndarray | None:
    """(n,) groups as the numbers 0, 1, ...; None where none are given."""
    if groups is None:
        return None
    found = np.asarray(groups)
    if found.shape != (n,):
        raise ProblemError(f"groups: found shape {found.shape}, expected ({n},)")
    try:
        return np.unique(found, return_inverse=True)[1]
    except TypeError:
        raise ProblemError("groups: found values that cannot be compared, expected numbers or names") from None


def parted(
    rows: np.ndarray, group: np.ndarray | None, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The rows in two parts at random, the second a `share` of the groups; neither is empty if there are two rows.

    `group` is that of all rows; where those given are all of one group they are parted one by one.
    """
    of = rows if group is None else group[rows]
    units, number = np.unique(of, return_inverse=True)
    if units.size < 2:
        units, number = rows, np.arange(rows.size)
    many = min(max(round(share * units.size), 1), units.size - 1)
    second = np.zeros(units.size, bool)
    second[rng.choice(units.size, many, replace=False)] = True
    return rows[~second[number]], rows[second[number]]


def merged(lesson: Lesson) -> Lesson:
    """The lesson with equal rows as one of their summed weight, if it is small: to repeat a row is to weigh it.

    Rows with neighbours stay as they are.
    """
    if lesson.neighbours is not None or len(lesson.y) > _SMALL:
        return lesson
    group = np.zeros(len(lesson.y)) if lesson.group is None else lesson.group
    table = np.ascontiguousarray(np.column_stack([lesson.x, lesson.y, group]))
    text = table.view(np.dtype((np.void, table.itemsize * table.shape[1]))).ravel()
    _, first, number = np.unique(text, return_index=True, return_inverse=True)
    weight = np.bincount(number, weights=lesson.weight)
    kept = None if lesson.group is None else lesson.group[first]
    return Lesson(lesson.x[first], lesson.y[first], weight, kept, None)
