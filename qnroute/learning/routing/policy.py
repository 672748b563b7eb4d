"""A policy that scores candidates with shared weights: plain arrays, answered by numpy alone.

Of features x_i of waiting and of each candidate that is possible:

    h_i = relu(relu(x_i A0 + a0) A1 + a1),    c = mean and maximum of h over what is possible
    score_i = relu([h_i, c] B0 + b0) B1 + b1

The weights are the same for every candidate and every network, so one policy serves any number of either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qnroute.learning.links.checking import array_faults
from qnroute.learning.routing.episodes import FEATURES

HIDDEN = 32
IMPOSSIBLE = -1e9  # score of what is not possible

Weights = dict[str, np.ndarray]


def shapes(features: int = len(FEATURES), hidden: int = HIDDEN) -> dict[str, tuple[int, ...]]:
    """The arrays of a policy."""
    return {
        "A0": (features, hidden), "a0": (hidden,), "A1": (hidden, hidden), "a1": (hidden,),
        "B0": (3 * hidden, hidden), "b0": (hidden,), "B1": (hidden, 1), "b1": (1,),
    }  # fmt: skip


def first_weights(rng: np.random.Generator, features: int = len(FEATURES), hidden: int = HIDDEN) -> Weights:
    """float32 weights to begin with: normal, of variance 2 over the inputs (He et al., ICCV 2015, eq. 10)."""
    made = {}
    for name, shape in shapes(features, hidden).items():
        scale = np.sqrt(2.0 / shape[0]) if len(shape) == 2 else 0.0
        made[name] = (scale * rng.standard_normal(shape)).astype(np.float32)
    return made


def finite(weights: Mapping[str, np.ndarray]) -> bool:
    """Whether all weights are numbers."""
    return all(bool(np.isfinite(value).all()) for value in weights.values())


@dataclass(frozen=True, eq=False)
class RoutePolicy:
    """Scores of what can be chosen.

    Attributes
    ----------
    weights : float32 arrays, see `shapes`
    told : where they come from: data, seeds, scores
    features : what is seen of a candidate, in this order
    """

    weights: Mapping[str, np.ndarray]
    told: Mapping[str, Any] = field(default_factory=dict)
    features: tuple[str, ...] = FEATURES

    def scores(self, seen: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(..., C + 1) of (..., C + 1, F) features and what is possible; `IMPOSSIBLE` for the rest."""
        w = self.weights
        h = np.maximum(np.maximum(seen @ w["A0"] + w["a0"], 0.0) @ w["A1"] + w["a1"], 0.0)
        some = mask[..., None]
        h *= some  # h is at least 0, so that the maximum over what is possible is that over all
        mean = h.sum(axis=-2, keepdims=True) / some.sum(axis=-2, keepdims=True)
        context = np.concatenate([mean, h.max(axis=-2, keepdims=True)], axis=-1)
        size = h.shape[-1]
        inner = np.maximum(h @ w["B0"][:size] + (context @ w["B0"][size:] + w["b0"]), 0.0)
        return np.where(mask, (inner @ w["B1"])[..., 0] + w["b1"][0], np.float32(IMPOSSIBLE))

    def faults(self) -> Iterator[str]:
        """What is wrong with weights that come from elsewhere."""
        hidden = self.weights["a0"].size if "a0" in self.weights else HIDDEN
        for name, shape in shapes(len(self.features), hidden).items():
            yield from array_faults(self.weights, name, shape, "f")
        for name in self.weights:
            if name not in shapes():
                yield f"{name}: unknown array"
