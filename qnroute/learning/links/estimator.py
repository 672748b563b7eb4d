"""What the scorers of links have in common: scikit-learn's protocol, a spread, intervals that keep their promise."""

from __future__ import annotations

import abc
import functools
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple, Self, get_type_hints

import numpy as np
import pydantic
from annotated_types import Interval

from qnroute import fields
from qnroute.errors import ProblemError, SolverError
from qnroute.learning.links.adjacency import Neighbours, neighbours_of
from qnroute.learning.links.lessons import (
    LARGEST,
    LARGEST_FEATURE,
    Lesson,
    Luck,
    column,
    luck_of,
    merged,
    numbered,
    parted,
    require_bounded,
)
from qnroute.learning.links.spread import deviation, latent_of, quantile, scores_of, spread_faults, spread_of

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    raise SolverError('link scorers need scikit-learn: pip install "qnroute[learn]"') from None

Share = Annotated[fields.NonNegative, Interval(lt=1)]
ColumnIndex = Annotated[fields.Count, Interval(le=100_000)]
_FEWEST = 40  # rows of which some are kept from the learning of the mean
_FEWEST_GROUPS = 4


class _Given(NamedTuple):
    """What `fit` was given: (n, d) features, (n,) of each other column, None where there is none."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    noise: np.ndarray
    group: np.ndarray | None
    near: Neighbours | None
    luck: Luck | None


class LinkScorer(RegressorMixin, BaseEstimator, metaclass=abc.ABCMeta):
    """Predicts the quality of a link in the next window from its features, with a spread and intervals.

    Paper A: z = [p, F, distance, loss] (eq. 4), q = f_theta(z) (eq. 5), learned by the mean squared error (eq. 7). The
    constructor stores options; `fit` checks them. What was learned is in `arrays_`, read-only arrays by name, of which
    predictions are made without the library that trained; by which loss is in `loss_`.

    A share `calibration` of the groups (or rows) is kept from the learning of the mean. The spreads are learned of half
    of them, and the other half tells how many deviations wide an interval must be. Where there are fewer than 40 rows
    or 4 groups, or the share is 0, all is learned of all rows, and intervals promise nothing.
    """

    calibration: float
    random_state: int
    _near = False  # whether neighbours matter

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        noise: Any = None,
        groups: Any = None,
        neighbours: Any = None,
        luck: Luck | None = None,
    ) -> Self:
        """Learn from past windows.

        Parameters
        ----------
        X
            (n, d) features, one row for a link in a window; NaN where missing.
        y
            (n,) quality in the window after.
        sample_weight
            (n,) of each row in what is learned, 0 to leave it out; not in the quantile of intervals, nor in the spreads
            where noise or luck is given: these say what a row tells of them.
        noise
            (n,) known sampling variance of each y, beside that of `luck`; 0 if not given.
        groups
            (n,) rows of one group, such as those of one link, stay on one side of each split.
        neighbours
            Links that share a node in the same window: a scipy.sparse (n, n) pattern or (indptr, indices) of CSR.
            Only `GraphNetwork` looks at them.
        luck
            How many trials each y is the mean of, where it is one.

        Raises
        ------
        ProblemError
            Options or what goes with the rows do not fit.
        ValueError
            X or y do not fit, in scikit-learn's words.
        SolverError
            The library that trains is not installed.
        """
        _check_options(self)
        given = self._given(X, y, sample_weight, noise, groups, neighbours, luck)
        rng = np.random.default_rng(self.random_state)
        taught, *kept = self._parts(np.flatnonzero(given.weight), given.group, rng)
        self.arrays_ = self._learn(_lesson(given, taught), rng)  # what `_mean` reads
        self._learn_spread(given, kept, rng)
        self.loss_ = "squared"
        _freeze(self.arrays_)
        return self

    def with_mean(
        self,
        arrays: dict[str, np.ndarray],
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        noise: Any = None,
        groups: Any = None,
        luck: Luck | None = None,
    ) -> Self:
        """A copy with another mean, whose spreads and intervals are learned anew.

        Parameters
        ----------
        arrays
            What `_mean` reads.
        X, y, sample_weight, noise, groups, luck
            As in `fit`: rows of which the mean was not learned, half of them for the spreads and half for intervals.
            Of fewer than 40 rows or 4 groups both are learned of all, and intervals promise nothing.
        """
        made = type(self)(**self.get_params(deep=False))
        given = made._given(X, y, sample_weight, noise, groups, None, luck)
        made.arrays_, rng = dict(arrays), np.random.default_rng(self.random_state)
        rows = np.flatnonzero(given.weight)
        parts = parted(rows, given.group, 0.5, rng) if _enough(rows, given.group) else (rows, rows)
        made._learn_spread(given, parts, rng)
        made.loss_ = self.loss_
        _freeze(made.arrays_)
        return made

    def predict(self, X: Any, *, return_std: bool = False, neighbours: Any = None) -> Any:
        """The expected quality of links in the next window.

        Parameters
        ----------
        X
            (n, d) features as learned from.
        return_std
            Whether to say the standard deviation, too: of the quality itself, without what sampling adds to it.
        neighbours
            As in `fit`, among the rows given.

        Returns
        -------
        np.ndarray or tuple
            (n,) means, or these and (n,) standard deviations.
        """
        X, near = self._asked(X, neighbours)
        mean = self._mean(X, near)
        return (mean, deviation(self.arrays_, X, mean, "latent")) if return_std else mean

    def interval(self, X: Any, *, level: float = 0.9, neighbours: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Where what will be observed lies, with a chance of at least `level` for rows exchangeable with those learned.

        Returns
        -------
        tuple
            (n,) lower and (n,) upper ends; infinite if too few rows were kept to promise so much.
        """
        _, _, low, high = self.distribution(X, level=level, neighbours=neighbours)
        return low, high

    def distribution(
        self, X: Any, *, level: float = 0.9, neighbours: Any = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What `predict` and `interval` say, at the price of one of them: means, standard deviations, ends."""
        if isinstance(level, bool) or not isinstance(level, (int, float, np.number)) or not 0 < level < 1:
            raise ProblemError(f"level: found {fields.brief(level)}, expected a number in (0, 1)")
        X, near = self._asked(X, neighbours)
        mean = self._mean(X, near)
        reach = deviation(self.arrays_, X, mean, "seen") * quantile(self.arrays_, float(level))
        return mean, deviation(self.arrays_, X, mean, "latent"), mean - reach, mean + reach

    def faults(self) -> list[str]:
        """What is wrong with the options and with what was learned, where that comes from elsewhere."""
        found = option_faults(type(self), self.get_params(deep=False))
        if found:
            return found
        if self.n_features_in_ < self._columns_needed():
            return [f"columns: found {self.n_features_in_}, expected at least {self._columns_needed()}"]
        return [*self._mean_faults(), *spread_faults(self.arrays_, self.n_features_in_)]

    @abc.abstractmethod
    def _learn(self, lesson: Lesson, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The arrays of which `_mean` predicts."""

    @abc.abstractmethod
    def _mean(self, X: np.ndarray, near: Neighbours | None) -> np.ndarray:
        """(n,) predictions; of `arrays_` and options alone."""

    @abc.abstractmethod
    def _mean_faults(self) -> Iterator[str]:
        """What is wrong with the arrays of `_mean`, which may be anything."""

    def _columns_needed(self) -> int:
        return 1

    def _given(self, X: Any, y: Any, sample_weight: Any, noise: Any, groups: Any, neighbours: Any, luck: Any) -> _Given:
        """What `fit` was given, validated."""
        X, y = validate_data(
            self,
            X,
            y,
            dtype=np.float64,
            order="C",
            ensure_all_finite="allow-nan",
            y_numeric=True,
            ensure_min_features=self._columns_needed(),
        )
        n, y = len(y), y.astype(np.float64)
        require_bounded("X", X, LARGEST_FEATURE)
        require_bounded("y", y, LARGEST)
        weight, noise = column("sample_weight", sample_weight, n, 1.0), column("noise", noise, n, 0.0)
        if not weight.any():
            raise ProblemError("sample_weight: found zero for all rows, expected a weight of at least one")
        near = neighbours_of(neighbours, n) if self._near else None
        return _Given(X, y, weight, noise, numbered(groups, n), near, luck_of(luck, n))

    def _parts(
        self, rows: np.ndarray, group: np.ndarray | None, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows to learn the mean, the spreads and the quantile of."""
        if self.calibration == 0 or not _enough(rows, group):
            return rows, rows, rows
        taught, kept = parted(rows, group, self.calibration, rng)
        if kept.size < 2:
            return rows, rows, rows
        return taught, *parted(kept, group, 0.5, rng)

    def _learn_spread(self, given: _Given, parts: Sequence[np.ndarray], rng: np.random.Generator) -> None:
        """Spreads of the first part of the rows, what intervals need of the second."""
        x = [given.x[rows] for rows in parts]
        if given.near is None:
            means = [self._mean(some, None) for some in x]
        else:
            everywhere = self._mean(given.x, given.near)
            means = [everywhere[rows] for rows in parts]
        spread, scored = parts
        noisy = given.luck is not None or given.noise.any()
        weight = np.ones(len(spread)) if noisy else given.weight[spread]
        self.arrays_ |= spread_of(x[0], means[0], given.y[spread], weight, rng)
        self.arrays_ |= scores_of(self.arrays_, x[1], means[1], given.y[scored], rng)
        if noisy:  # no interval is made of it, so of all rows
            rows, every = np.unique(np.concatenate(parts), return_index=True)
            mean, luck = np.concatenate(means)[every], given.luck and given.luck.of(rows)
            self.arrays_ |= latent_of(self.arrays_, given.x[rows], mean, given.y[rows], given.noise[rows], rng, luck)

    def _asked(self, X: Any, neighbours: Any) -> tuple[np.ndarray, Neighbours | None]:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64, order="C", ensure_all_finite="allow-nan")
        require_bounded("X", X, LARGEST_FEATURE)
        return X, neighbours_of(neighbours, len(X)) if self._near else None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _enough(rows: np.ndarray, group: np.ndarray | None) -> bool:
    """Whether some of these rows can be kept from the learning of others."""
    many = rows.size if group is None else np.unique(group[rows]).size
    return rows.size >= _FEWEST and many >= _FEWEST_GROUPS


def _freeze(arrays: dict[str, np.ndarray]) -> None:
    for values in arrays.values():
        values.flags.writeable = False


def option_faults(cls: type[LinkScorer], options: dict[str, Any]) -> list[str]:
    """What is wrong with the values of a scorer's options."""
    faults = []
    for name, adapter in _adapters(cls).items():
        try:
            adapter.validate_python(options[name])
        except pydantic.ValidationError as error:
            faults += fields.faults_of(error, prefix=name)
    return faults


def _check_options(scorer: LinkScorer) -> None:
    faults = option_faults(type(scorer), scorer.get_params(deep=False))
    if faults:
        raise ProblemError(faults)


@functools.cache
def _adapters(cls: type) -> dict[str, pydantic.TypeAdapter]:
    hints = get_type_hints(cls.__init__, include_extras=True)
    return {name: pydantic.TypeAdapter(hint) for name, hint in hints.items() if name != "return"}


def _lesson(given: _Given, taught: np.ndarray) -> Lesson:
    """Of the rows taught alone; with neighbours all are there, but the others of no weight."""
    x, y, weight, group = given.x, given.y, given.weight, given.group
    if given.near is not None:
        only = np.zeros_like(weight)
        only[taught] = weight[taught]
        return Lesson(x, y, only, group, given.near)
    return merged(Lesson(x[taught], y[taught], weight[taught], None if group is None else group[taught], None))
