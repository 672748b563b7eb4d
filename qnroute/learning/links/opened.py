"""The mean of a `Linear` or an `Mlp` as layers over standardized inputs, to be moved, and the scorer's arrays again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qnroute.errors import ProblemError
from qnroute.learning.links.estimator import LinkScorer
from qnroute.learning.links.layers import Layers
from qnroute.learning.links.linear import Linear
from qnroute.learning.links.mlp import Mlp
from qnroute.learning.links.standard import REACH, standardized


class Opened(NamedTuple):
    """The mean of a scorer is shift + gain * what the layers say of `inputs`."""

    layers: Layers
    shift: float
    gain: float


def require_open(scorer: LinkScorer) -> None:
    """Refuse scorers that are no layers.

    Raises
    ------
    ProblemError
        Another kind than linear (of degree 1) and mlp, or one that learned nothing yet.
    """
    if not isinstance(scorer, (Linear, Mlp)):
        raise ProblemError(f"scorer: found {type(scorer).__name__}, expected linear or mlp to train for decisions")
    if isinstance(scorer, Linear) and scorer.degree != 1:
        raise ProblemError(f"degree: found {scorer.degree}, expected 1 to train for decisions")
    if not hasattr(scorer, "arrays_"):
        raise ProblemError(f"scorer: found {type(scorer).__name__} that learned nothing yet, call fit first")


def opened(scorer: LinkScorer, gain: float) -> Opened:
    """A fitted scorer's layers; `gain`, the spread of what is to be said, is for a scorer that keeps none itself."""
    require_open(scorer)
    arrays = scorer.arrays_
    if isinstance(scorer, Linear):
        shift = float(arrays["constant"][0])
        return Opened({"W0": arrays["coef"][:, None] / gain, "b0": np.zeros(1)}, shift, gain)
    layers = {name: arrays[name].astype(float) for i in range(len(scorer.hidden) + 1) for name in (f"W{i}", f"b{i}")}
    return Opened(layers, float(arrays["shift"][0]), float(arrays["gain"][0]))


def inputs(scorer: LinkScorer, X: np.ndarray) -> np.ndarray:
    """(n, K) what the layers look at: missing features filled and marked as the scorer learned to."""
    return standardized(scorer.arrays_, X, limit=REACH)


def closed(scorer: LinkScorer, found: Opened) -> dict[str, np.ndarray]:
    """The scorer's arrays with other layers; its spreads are still those of the old ones."""
    if isinstance(scorer, Linear):
        coef, constant = found.gain * found.layers["W0"][:, 0], found.shift + found.gain * found.layers["b0"]
        return {**scorer.arrays_, "coef": coef, "constant": constant}
    return {**scorer.arrays_, **{name: value.astype(np.float32) for name, value in found.layers.items()}}
