"""A multilayer perceptron: torch trains it, numpy answers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Interval, MaxLen

from qnroute import fields
from qnroute.learning.links.adjacency import Neighbours
from qnroute.learning.links.checking import array_faults
from qnroute.learning.links.estimator import LinkScorer, Share
from qnroute.learning.links.lessons import Lesson
from qnroute.learning.links.standard import REACH, Arrays, standard_faults, standard_of, standardized, width
from qnroute.learning.links.teaching import HEAD, Course, first_weights, held_back, passes, target_scale, taught
from qnroute.learning.training import require_torch

if TYPE_CHECKING:
    import torch

Units = Annotated[fields.PositiveCount, Interval(le=4096)]
Epochs = Annotated[fields.PositiveCount, Interval(le=100_000)]
Batch = Annotated[fields.PositiveCount, Interval(le=1_000_000)]
_AT_ONCE = 4096  # rows that are predicted together


class Mlp(LinkScorer):
    """Layers of rectified units on standardized features, trained by Adam on the squared error.

    Training sees at most 4 million rows in all passes together: of a million rows 4 passes and a little more.

    Parameters
    ----------
    hidden
        Units of each layer.
    learning_rate, batch
        Adam's rate at first, which falls linearly, and rows per step.
    epochs, patience, holdout
        Most passes, passes without progress before it stops, and the share of the groups (or rows) learned from that
        tells by its error when to stop; without it, or of fewer than 40 rows, all passes are made.
    calibration, random_state
        As those of `LinkScorer`.
    """

    def __init__(
        self,
        *,
        hidden: Annotated[tuple[Units, ...], MaxLen(8)] = (64, 64),
        learning_rate: fields.Positive = 0.01,
        batch: Batch = 256,
        epochs: Epochs = 60,
        patience: Epochs = 10,
        holdout: Share = 0.1,
        calibration: Share = 0.2,
        random_state: fields.Count = 0,
    ):
        self.hidden = hidden
        self.learning_rate = learning_rate
        self.batch = batch
        self.epochs = epochs
        self.patience = patience
        self.holdout = holdout
        self.calibration = calibration
        self.random_state = random_state

    def _learn(self, lesson: Lesson, rng: np.random.Generator) -> dict[str, np.ndarray]:
        require_torch("a scorer's network")
        arrays = standard_of(lesson.x, lesson.weight)
        shift, gain = target_scale(lesson.y, lesson.weight)
        rows, kept = held_back(lesson, self.holdout, rng)
        table = _Table(arrays, lesson, (shift, gain))
        sizes = [width(arrays), *self.hidden, 1]
        begin = {}
        for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
            begin[f"W{layer}"] = first_weights(rng, inputs, outputs, HEAD if layer == len(self.hidden) else 2.0)
            begin[f"b{layer}"] = np.zeros(outputs, np.float32)
        course = Course(self.learning_rate, passes(self.epochs, rows.size), self.patience, self.random_state)
        held = table.batches(kept, max(kept.size, 1))  # one: means of batches do not add up
        weights = taught(begin, table.loss, lambda: table.batches(rng.permutation(rows), self.batch), held, course)
        return {**arrays, **weights, "shift": np.array([shift]), "gain": np.array([gain])}

    def _mean(self, X: np.ndarray, near: Neighbours | None) -> np.ndarray:
        layers = [(self.arrays_[f"W{i}"].astype(float), self.arrays_[f"b{i}"]) for i in range(len(self.hidden) + 1)]
        mean = np.empty(len(X))
        for begin in range(0, len(X), _AT_ONCE):
            z = standardized(self.arrays_, X[begin : begin + _AT_ONCE], limit=REACH)
            for weights, bias in layers[:-1]:
                z = np.maximum(z @ weights + bias, 0.0)
            mean[begin : begin + _AT_ONCE] = (z @ layers[-1][0] + layers[-1][1])[:, 0]
        return self.arrays_["shift"][0] + self.arrays_["gain"][0] * mean

    def _mean_faults(self) -> Iterator[str]:
        faults = list(standard_faults(self.arrays_, self.n_features_in_))
        yield from faults
        if faults:
            return
        sizes = [width(self.arrays_), *self.hidden, 1]
        for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
            yield from array_faults(self.arrays_, f"W{layer}", (inputs, outputs), "f")
            yield from array_faults(self.arrays_, f"b{layer}", (outputs,), "f")
        for name in ("shift", "gain"):
            yield from array_faults(self.arrays_, name, (1,), "f")


class _Table:
    """The rows of a lesson, standardized, for torch."""

    def __init__(self, arrays: Arrays, lesson: Lesson, scale: tuple[float, float]):
        import torch

        self.torch = torch
        self.x = torch.from_numpy(standardized(arrays, lesson.x, limit=REACH).astype(np.float32))
        self.y = torch.from_numpy(((lesson.y - scale[0]) / scale[1]).astype(np.float32))
        self.weight = torch.from_numpy((lesson.weight / lesson.weight[lesson.weight > 0].mean()).astype(np.float32))

    def batches(self, rows: np.ndarray, size: int) -> list[torch.Tensor]:
        """The rows in this order, `size` at a time."""
        return list(self.torch.from_numpy(rows).split(size)) if rows.size else []

    def loss(self, weights: dict[str, torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
        """The mean weighted squared error of some rows."""
        error = forward(weights, self.x[rows]) - self.y[rows]
        return (self.weight[rows] * error * error).mean()


def forward(weights: dict[str, torch.Tensor], z: torch.Tensor) -> torch.Tensor:
    """(n,) what the network says of (n, k) inputs, in torch."""
    last = len(weights) // 2 - 1
    for layer in range(last):
        z = (z @ weights[f"W{layer}"] + weights[f"b{layer}"]).relu()
    return (z @ weights[f"W{last}"] + weights[f"b{last}"])[:, 0]
