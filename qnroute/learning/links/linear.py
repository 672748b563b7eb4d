"""Ridge regression on standardized features, or on polynomials of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import numpy as np
from annotated_types import Interval

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.learning.links.adjacency import Neighbours
from qnroute.learning.links.checking import array_faults
from qnroute.learning.links.estimator import LinkScorer, Share
from qnroute.learning.links.lessons import Lesson
from qnroute.learning.links.standard import REACH, standard_faults, standard_of, standardized

_MOST_COLUMNS = 4200
_PRODUCTS = 3e11  # of rows by columns by columns: more rows than that are not learned from
_CHUNK = 1 << 20  # numbers of an expansion at once


class Linear(LinkScorer):
    """Ridge regression; a missing feature is its median and a mark.

    Of so many columns that the normal equations would take minutes, only some rows are learned from, drawn at random:
    3e11 over the squared number of columns, or 18,000 of the 4,059 columns that 27 features have at degree 3.

    Parameters
    ----------
    degree
        Of the polynomials of the standardized features: all products of so many of them. Marks are not multiplied.
    ridge
        On squared coefficients, the constant apart; beside the sum of squared errors.
    calibration, random_state
        As those of `LinkScorer`.
    """

    def __init__(
        self,
        *,
        degree: Annotated[fields.PositiveCount, Interval(le=3)] = 1,
        ridge: fields.Positive = 1.0,
        calibration: Share = 0.2,
        random_state: fields.Count = 0,
    ):
        self.degree = degree
        self.ridge = ridge
        self.calibration = calibration
        self.random_state = random_state

    def _learn(self, lesson: Lesson, rng: np.random.Generator) -> dict[str, np.ndarray]:
        x, y, weight = lesson.x, lesson.y, lesson.weight
        arrays = standard_of(x, weight)
        columns = _columns(x.shape[1], self.degree) + arrays["marked"].size
        if columns > _MOST_COLUMNS:
            raise ProblemError(
                f"degree: found {self.degree}, which makes {columns} columns of {x.shape[1]} features, "
                f"expected at most {_MOST_COLUMNS}"
            )
        most = int(_PRODUCTS / columns**2)
        if len(y) > most:
            some = np.sort(rng.choice(len(y), most, replace=False))
            x, y, weight = x[some], y[some], weight[some]
        coef, constant = self._solved(arrays, x, y, weight, columns)
        return {**arrays, "coef": coef, "constant": np.array([constant])}

    def _solved(
        self, arrays: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray, weight: np.ndarray, columns: int
    ) -> tuple[np.ndarray, float]:
        """The ridge's normal equations, the constant eliminated."""
        total = weight.sum()
        level = weight @ y / total
        square, cross, sums = np.zeros((columns, columns)), np.zeros(columns), np.zeros(columns)
        for begin, terms in self._terms(arrays, x, columns):
            at = slice(begin, begin + len(terms))
            sums += weight[at] @ terms
            cross += (weight[at] * (y[at] - level)) @ terms
            terms *= np.sqrt(weight[at])[:, None]
            square += terms.T @ terms
        square -= np.outer(sums, sums / total)
        square.flat[:: columns + 1] += self.ridge
        try:
            coef = np.linalg.solve(square, cross)
        except np.linalg.LinAlgError:
            raise ProblemError(
                f"ridge: found {self.ridge:g}, too small for features of which some are sums of others"
            ) from None
        return coef, float(level - coef @ sums / total)

    def _terms(self, arrays: dict[str, np.ndarray], x: np.ndarray, columns: int) -> Iterator[tuple[int, np.ndarray]]:
        """Chunks of rows of the (n, columns) expansion, each with where it begins."""
        size = max(1, _CHUNK // columns)
        for begin in range(0, len(x), size):
            yield begin, _expanded(standardized(arrays, x[begin : begin + size], limit=REACH), x.shape[1], self.degree)

    def _mean(self, X: np.ndarray, near: Neighbours | None) -> np.ndarray:
        coef, mean = self.arrays_["coef"], np.empty(len(X))
        for begin, terms in self._terms(self.arrays_, X, coef.size):
            mean[begin : begin + len(terms)] = terms @ coef
        return mean + self.arrays_["constant"][0]

    def _mean_faults(self) -> Iterator[str]:
        d = self.n_features_in_
        faults = list(standard_faults(self.arrays_, d))
        yield from faults
        if not faults:
            columns = _columns(d, self.degree) + self.arrays_["marked"].size
            yield from array_faults(self.arrays_, "coef", (columns,), "f")
            yield from array_faults(self.arrays_, "constant", (1,), "f")


def _columns(d: int, degree: int) -> int:
    """Monomials of d variables of degrees 1 to `degree`."""
    return math.comb(d + degree, degree) - 1


def _expanded(z: np.ndarray, d: int, degree: int) -> np.ndarray:
    """(n, columns): z, marks and all, then the products of two, of three of its first d columns."""
    if degree == 1:
        return z
    made = np.empty((len(z), _columns(d, degree) + z.shape[1] - d))
    made[:, : z.shape[1]] = z
    at = z.shape[1]
    last, begins = z[:, :d], np.arange(d)  # products of one fewer, and where those begin whose first factor is i
    for _ in range(degree - 1):
        first = at
        new = []
        for i in range(d):
            many = last.shape[1] - begins[i]
            np.multiply(z[:, i : i + 1], last[:, begins[i] :], out=made[:, at : at + many])
            new.append(at - first)
            at += many
        last, begins = made[:, first:at], np.array(new)
    return made
