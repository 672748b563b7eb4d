"""Training of link predictions for the decisions they lead to, from the fit of squared error on.

Each step takes one instance: its links are predicted together, the loss of `qnroute.learning.links.losses` gives the
slope in what is said of each link, and Adam follows it through the map. A part of squared error keeps the predictions
in units. What is kept is the map with the least regret on instances of its own, which may be the one begun with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from qnroute.errors import ProblemError
from qnroute.fields import brief
from qnroute.learning.links.layers import Adam, Arrays, gradient, said, squared_fit
from qnroute.learning.links.losses import perturbed, spo_plus
from qnroute.learning.links.oracles import Decision, Oracle
from qnroute.learning.links.regret import relative_regret
from qnroute.learning.series import whole

LOSSES = ("spo+", "perturbed")


@dataclass(frozen=True, eq=False)
class Instance:
    """One problem to decide: `features` (m, K) of its links, their `true` coefficients (m,), who decides."""

    features: np.ndarray
    true: np.ndarray
    oracle: Oracle

    def __post_init__(self) -> None:
        m = self.oracle.n_links
        shapes = np.shape(self.features), np.shape(self.true)
        if len(shapes[0]) != 2 or shapes[0][0] != m or shapes[1] != (m,):
            raise ProblemError(f"Instance: found shapes {shapes[0]} and {shapes[1]}, expected ({m}, K) and ({m},)")
        for name in ("features", "true"):
            if not np.isfinite(getattr(self, name)).all():
                raise ProblemError(f"Instance.{name}: found values that are not finite")

    @cached_property
    def best(self) -> Decision:
        """x*(c) of the true coefficients."""
        return self.oracle.best(np.asarray(self.true, dtype=float))

    def worth(self, predicted: np.ndarray) -> float:
        """What the decision that predicted coefficients lead to brings under the true ones."""
        return self.oracle.best(predicted).worth(self.true)


@dataclass(frozen=True, eq=False)
class Trained:
    """Arrays of least validation regret, that `regret` of every epoch (the first is that begun with), and its epoch."""

    arrays: Arrays
    regret: tuple[float, ...] = field(default=())
    epoch: int = 0


def fitted(instances: Sequence[Instance], *, hidden: Sequence[int] = (), seed: int = 0, **options: float) -> Arrays:
    """The map of least squared error over the links of all instances; options as in `layers.squared_fit`."""
    _some("instances", instances)
    features = np.concatenate([instance.features for instance in instances])
    true = np.concatenate([instance.true for instance in instances])
    return squared_fit(features, true, hidden=hidden, seed=seed, **options)


def pooled_regret(arrays: Arrays, instances: Sequence[Instance]) -> float:
    """1 - what the map's predictions bring in all instances together / the best that could be had in them.

    Together, because one instance may have next to nothing to gain.
    """
    brought = sum(instance.worth(said(arrays, instance.features)) for instance in instances)
    return relative_regret(brought, sum(instance.best.worth(instance.true) for instance in instances))


def decision_focused(
    start: Arrays,
    instances: Sequence[Instance],
    validation: Sequence[Instance],
    *,
    loss: str = "spo+",
    squared: float = 1.0,
    epochs: int = 20,
    patience: int = 5,
    rate: float = 3e-3,
    batch: int = 10,
    noise: float = 0.3,
    samples: int = 4,
    seed: int = 0,
) -> Trained:
    """Go on from a map of least squared error by a decision loss.

    Parameters
    ----------
    start
        As `layers` has it: of `fitted`, or of a scorer.
    validation
        Instances whose pooled regret says which epoch to keep, and when to stop: after `patience` epochs without a new
        least one.
    loss
        ``spo+`` or ``perturbed``.
    squared
        Weight of the mean squared error beside the decision loss per link, both in units of `gain`. With 0 the map
        goes furthest: to decisions that a misspecified one could not find, and chases chance where nothing is wrong.
    rate, batch
        Of Adam, and instances per step.
    noise, samples
        Of ``perturbed``: standard deviation in units of `gain`, and draws per instance and step.
    seed
        Of the order of instances and the noise: same seed, same map.

    Raises
    ------
    ProblemError
        Arguments out of range.
    """
    _check(loss, instances, validation, squared=squared, rate=rate, noise=noise)
    for name, number in (("epochs", epochs), ("patience", patience), ("batch", batch), ("samples", samples)):
        whole(name, number, 1)
    rng, gain = np.random.default_rng(seed), float(start["gain"])
    arrays, adam = start, Adam(start, rate)
    found, kept = [pooled_regret(start, validation)], Trained(start)

    def slope(arrays: Arrays, instance: Instance) -> np.ndarray:
        """(m,) in what is said; the gain makes it that of a loss without units."""
        predicted, m = said(arrays, instance.features), instance.oracle.n_links
        if loss == "spo+":
            own = spo_plus(instance.oracle, predicted, instance.true, instance.best)[1]
        else:
            drawn = noise * gain * rng.standard_normal((samples, m))
            own = perturbed(instance.oracle, predicted, drawn, instance.best)[1]
        return (own / gain + squared * 2.0 * (predicted - instance.true) / gain**2) / m

    for epoch in range(1, epochs + 1):
        order = rng.permutation(len(instances))
        for some in np.array_split(order, -(-len(order) // batch)):
            together = [instances[i] for i in some]
            along = np.concatenate([slope(arrays, instance) for instance in together]) / len(together)
            features = np.concatenate([instance.features for instance in together])
            arrays = adam.moved(arrays, gradient(arrays, features, along))
        found.append(pooled_regret(arrays, validation))
        if found[-1] < min(found[:-1]):
            kept = Trained(arrays, epoch=epoch)
        elif epoch - kept.epoch >= patience:
            break
    return Trained(kept.arrays, tuple(found), kept.epoch)


def _check(loss: str, instances: Sequence[Instance], validation: Sequence[Instance], **numbers: float) -> None:
    if loss not in LOSSES:
        raise ProblemError(f"loss: found {brief(loss)}, expected {' or '.join(LOSSES)}")
    _some("instances", instances)
    _some("validation", validation)
    for name, number in numbers.items():
        if not (np.isfinite(number) and number >= 0.0):
            raise ProblemError(f"{name}: found {brief(number)}, expected a number of at least 0")


def _some(name: str, instances: Sequence[Instance]) -> None:
    if not len(instances):
        raise ProblemError(f"{name}: found none, expected at least one")
