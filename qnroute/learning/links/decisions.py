"""Training of link predictions for the decisions they lead to, from the fit of squared error on.

Each step takes one instance: its links are predicted together, the loss of `qnroute.learning.links.losses` gives the
slope in the coefficient of each link, and Adam follows it through the scorer. A part of squared error keeps the
predictions in units. What is kept is the scorer with the least regret on instances of its own, which may be the one
begun with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np

from qnroute.errors import ProblemError
from qnroute.fields import brief
from qnroute.learning.links.estimator import LinkScorer
from qnroute.learning.links.features import Table
from qnroute.learning.links.layers import Adam, gradient, said
from qnroute.learning.links.losses import perturbed, spo_plus
from qnroute.learning.links.opened import Opened, closed, inputs, opened
from qnroute.learning.links.oracles import Decision, Oracle
from qnroute.learning.links.regret import relative_regret
from qnroute.learning.series import whole

LOSSES = ("spo+", "perturbed")
LEAST = 0.005  # p of which the logarithm is taken
_AT_ONCE = 10  # instances of a step


@dataclass(frozen=True, eq=False)
class Instance:
    """One problem to decide.

    Attributes
    ----------
    features : (m, K) of its links, NaN where missing
    true : (m,) what a scorer should say of them
    oracle
        Who decides.
    log
        Whether coefficients are the logarithms of what is said, from `LEAST` to 1, as p under ``log-success``.
    """

    features: np.ndarray
    true: np.ndarray
    oracle: Oracle
    log: bool = False

    def __post_init__(self) -> None:
        m = self.oracle.n_links
        shapes = np.shape(self.features), np.shape(self.true)
        if len(shapes[0]) != 2 or shapes[0][0] != m or shapes[1] != (m,):
            raise ProblemError(f"Instance: found shapes {shapes[0]} and {shapes[1]}, expected ({m}, K) and ({m},)")
        if not np.isfinite(self.true).all():
            raise ProblemError("Instance.true: found values that are not finite")

    def coefficients(self, values: np.ndarray) -> np.ndarray:
        """(m,) what the oracle is told where a scorer says `values`."""
        return np.log(np.clip(values, LEAST, 1.0)) if self.log else values

    def slope(self, values: np.ndarray) -> np.ndarray:
        """(m,) of the coefficients in what is said: none beyond the ends of a logarithm."""
        if not self.log:
            return np.ones_like(values)
        return np.where((values > LEAST) & (values < 1.0), 1.0 / np.clip(values, LEAST, 1.0), 0.0)

    @cached_property
    def told(self) -> np.ndarray:
        """(m,) the true coefficients."""
        return self.coefficients(np.asarray(self.true, dtype=float))

    @cached_property
    def best(self) -> Decision:
        """x*(c) of the true coefficients."""
        return self.oracle.best(self.told)

    def worth(self, predicted: np.ndarray) -> float:
        """What the decision that predicted values lead to brings under the true ones."""
        return self.oracle.best(self.coefficients(predicted)).worth(self.told)


class Course(NamedTuple):
    """How a scorer is trained for decisions.

    Parameters
    ----------
    loss
        ``spo+`` or ``perturbed``.
    squared
        Weight of the mean squared error beside the decision loss per link, both without units. With 0 the scorer goes
        furthest: to decisions that a misspecified one could not find, and chases chance where nothing is wrong.
    epochs, patience
        Most passes over the instances, and passes without a new least regret before it stops.
    rate
        Of Adam.
    noise, samples
        Of ``perturbed``: standard deviation in units of the spread of true coefficients, and draws per instance.
    seed
        Of the order of instances and the noise.
    """

    loss: str = "spo+"
    squared: float = 1.0
    epochs: int = 20
    patience: int = 5
    rate: float = 3e-3
    noise: float = 0.3
    samples: int = 4
    seed: int = 0

    def checked(self) -> Self:
        """Itself, if its values are in range."""
        if self.loss not in LOSSES:
            raise ProblemError(f"loss: found {brief(self.loss)}, expected {' or '.join(LOSSES)}")
        for name in ("squared", "rate", "noise"):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0.0 <= number < np.inf:
                raise ProblemError(f"{name}: found {brief(number)}, expected a number of at least 0")
        for name in ("epochs", "patience", "samples"):
            whole(name, getattr(self, name), 1)
        whole("seed", self.seed, 0)
        return self


def pooled_regret(scorer: LinkScorer, instances: Sequence[Instance]) -> float:
    """1 - what the scorer's predictions bring in all instances together / the best that could be had in them.

    Together, because one instance may have next to nothing to gain.
    """
    return _pooled([scorer.predict(instance.features) for instance in instances], instances)


def decision_focused(
    scorer: LinkScorer,
    instances: Sequence[Instance],
    validation: Sequence[Instance],
    *,
    rows: Table | None = None,
    groups: np.ndarray | None = None,
    **course: float,
) -> LinkScorer:
    """A scorer that goes on by a decision loss from one fitted by squared error.

    Parameters
    ----------
    scorer
        A fitted `Linear` of degree 1 or `Mlp`; it stays as it is.
    validation
        Instances whose pooled regret says which pass to keep, and when to stop.
    rows, groups
        Rows of which the spreads and intervals are learned, and (n,) which belong together, such as those of a link;
        by default the links of the validation instances.
    course
        As in `Course`.

    Returns
    -------
    LinkScorer
        A new one of the same class. ``loss_`` is what it was trained by; ``regret_`` the validation regret before the
        first pass and after each; ``epoch_`` the pass kept. If that is 0, mean, spreads and ``loss_`` are those of
        `scorer`.

    Raises
    ------
    ProblemError
        Another scorer, or arguments out of range.
    """
    unknown = [name for name in course if name not in Course._fields]
    if unknown:
        raise ProblemError([f"{name}: unknown, expected one of {', '.join(Course._fields)}" for name in unknown])
    made = Course(**course).checked()
    for name, some in (("instances", instances), ("validation", validation)):
        if not len(some):
            raise ProblemError(f"{name}: found none, expected at least one")
    arrays, regret, epoch = _followed(scorer, instances, validation, made)
    if epoch == 0:
        new = _copied(scorer)
    else:
        new = scorer.with_mean(arrays, **_rows(validation, rows), groups=groups)
        new.loss_ = made.loss
    new.regret_, new.epoch_ = regret, epoch
    return new


def _followed(
    scorer: LinkScorer, instances: Sequence[Instance], validation: Sequence[Instance], course: Course
) -> tuple[dict[str, np.ndarray], tuple[float, ...], int]:
    """Arrays of least validation regret, that of every pass, and which pass it was."""
    gain = _spread([instance.true for instance in instances])
    unit = _spread([instance.told for instance in instances])
    state = opened(scorer, gain)
    looked = [inputs(scorer, instance.features) for instance in instances]
    judged = [inputs(scorer, instance.features) for instance in validation]
    rng, adam = np.random.default_rng(course.seed), Adam(state.layers, course.rate)

    def regret(state: Opened) -> float:
        return _pooled([state.shift + state.gain * said(state.layers, z) for z in judged], validation)

    found, kept = [regret(state)], (0, state)
    for epoch in range(1, course.epochs + 1):
        order = rng.permutation(len(instances))
        for some in np.array_split(order, -(-len(order) // _AT_ONCE)):
            along = [_slope(state, instances[i], looked[i], unit, course, rng) / len(some) for i in some]
            slope = gradient(state.layers, np.concatenate([looked[i] for i in some]), np.concatenate(along))
            state = state._replace(layers=adam.moved(state.layers, slope))
        found.append(regret(state))
        if found[-1] < min(found[:-1]):
            kept = epoch, state
        elif epoch - kept[0] >= course.patience:
            break
    return closed(scorer, kept[1]), tuple(found), kept[0]


def _slope(
    state: Opened, instance: Instance, z: np.ndarray, unit: float, course: Course, rng: np.random.Generator
) -> np.ndarray:
    """(m,) of the loss per link in what the layers say; coefficients are measured in their unit, values in the gain."""
    values = state.shift + state.gain * said(state.layers, z)
    predicted, m = instance.coefficients(values), instance.oracle.n_links
    if course.loss == "spo+":
        own = spo_plus(instance.oracle, predicted, instance.told, instance.best)[1]
    else:
        drawn = course.noise * unit * rng.standard_normal((course.samples, m))
        own = perturbed(instance.oracle, predicted, drawn, instance.best)[1]
    along = own * instance.slope(values) * state.gain / unit
    return (along + course.squared * 2.0 * (values - instance.true) / state.gain) / m


def _pooled(predicted: Sequence[np.ndarray], instances: Sequence[Instance]) -> float:
    brought = sum(instance.worth(values) for values, instance in zip(predicted, instances))
    return relative_regret(brought, sum(instance.best.worth(instance.told) for instance in instances))


def _spread(parts: Sequence[np.ndarray]) -> float:
    found = float(np.concatenate(parts).std())
    return found if found > 0.0 else 1.0


def _copied(scorer: LinkScorer) -> LinkScorer:
    """A scorer of its own, of the same read-only arrays."""
    new = type(scorer)(**scorer.get_params(deep=False))
    new.n_features_in_, new.arrays_, new.loss_ = scorer.n_features_in_, dict(scorer.arrays_), scorer.loss_
    return new


def _rows(validation: Sequence[Instance], rows: Table | None) -> dict[str, np.ndarray]:
    if rows is not None:
        return {"X": rows.X, "y": rows.y, "noise": rows.rest, "luck": rows.luck}
    X = np.concatenate([instance.features for instance in validation])
    return {"X": X, "y": np.concatenate([instance.true for instance in validation])}
