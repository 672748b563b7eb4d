"""Training of the LSTM with torch, on one thread, the same for the same seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qnroute.learning.recurrent import Layer, Recurrent
from qnroute.learning.training import Adam, alone, require_torch

if TYPE_CHECKING:
    import torch

_HEAD = 0.1  # scale of the first weights of the dense layer: the network starts at about the mean rates


class Lesson(NamedTuple):
    """What a network is trained on.

    Attributes
    ----------
    rows : (T, K) float32 inputs
    targets : (T, P) float32 in [0, 1], what is to be said of each row
    clock : (T + horizon, C) float32 features of the time of day of each row; C = 0 for none
    length, horizon : rows looked at, steps ahead
    """

    rows: np.ndarray
    targets: np.ndarray
    clock: np.ndarray
    length: int
    horizon: int


class Course(NamedTuple):
    """How it is trained; see `lstm.Lstm`."""

    units: int
    dropout: float
    learning_rate: float
    batch: int
    epochs: int
    patience: int
    holdout: float
    seed: int


def trained(lesson: Lesson, course: Course) -> tuple[Recurrent, list[float]]:
    """The network with the least squared error on the last part of the lesson, and those errors, epoch by epoch.

    The windows of that part follow the others, whose targets end before it begins.
    """
    require_torch("an LSTM")
    ends = np.arange(lesson.length - 1, len(lesson.rows) - lesson.horizon)  # last row of each window
    held = max(1, round(course.holdout * ends.size))
    learned, kept = ends[: max(1, ends.size - held - lesson.horizon)], ends[-held:]
    with alone(course.seed):
        network = _Network(lesson, course)
        adam = Adam(network.parameters, course.learning_rate)
        rng = np.random.default_rng(course.seed)
        best, errors = network.plain(), [network.error(kept)]
        for epoch in range(course.epochs):
            order = rng.permutation(learned)
            for begin in range(0, order.size, course.batch):
                network.loss(order[begin : begin + course.batch]).backward()
                adam.step()
            errors.append(network.error(kept))
            if errors[-1] < min(errors[:-1]):
                best = network.plain()
            elif epoch + 1 - int(np.argmin(errors)) >= course.patience:
                break
    return best, errors


class _Network:
    """Two LSTM layers, dropout after each, a dense layer."""

    def __init__(self, lesson: Lesson, course: Course):
        import torch

        n_pairs, n_clock = lesson.targets.shape[1], lesson.clock.shape[1]
        outputs = n_pairs if n_clock else n_pairs * lesson.horizon
        self.lesson, self.torch = lesson, torch
        self.lstm = torch.nn.LSTM(lesson.rows.shape[1], course.units, 2, dropout=course.dropout)
        self.dropout = torch.nn.Dropout(course.dropout)
        self.dense = torch.nn.Linear(course.units, outputs)
        self.clock = torch.zeros(n_pairs, n_clock, requires_grad=True)
        mean = np.clip(lesson.targets.mean(axis=0), 1e-4, 1 - 1e-4)
        with torch.no_grad():
            self.dense.weight *= _HEAD
            self.dense.bias.copy_(torch.from_numpy(np.repeat(np.log(mean / (1 - mean)), outputs // n_pairs)))
        self.parameters = [*self.lstm.parameters(), *self.dense.parameters(), *([self.clock] if n_clock else [])]
        self.rows, self.times = torch.from_numpy(lesson.rows), torch.from_numpy(lesson.clock)
        self.targets = torch.from_numpy(lesson.targets)
        self.window = torch.arange(1 - lesson.length, 1)[:, None]
        self.steps = torch.arange(1, lesson.horizon + 1)

    def loss(self, ends: np.ndarray) -> torch.Tensor:
        """Mean squared error of what is said after the rows `ends`."""
        at = self.torch.from_numpy(ends)
        states = self.dropout(self.lstm(self.rows[at + self.window])[0][-1])
        score, later = self.dense(states), at[:, None] + self.steps  # (B, O), (B, H)
        if self.clock.shape[1]:
            score = score[:, None, :] + self.times[later] @ self.clock.T  # (B, H, P)
        else:
            score = score.view(len(ends), -1, self.steps.numel()).transpose(1, 2)
        return ((score.sigmoid() - self.targets[later]) ** 2).mean()

    def error(self, ends: np.ndarray) -> float:
        """The same without dropout, and without learning from it."""
        self.lstm.eval(), self.dropout.eval()
        with self.torch.no_grad():
            found = float(self.loss(ends))
        self.lstm.train(), self.dropout.train()
        return found

    def plain(self) -> Recurrent:
        """A copy as plain arrays."""
        w = {name: value.detach().numpy().copy() for name, value in self.lstm.named_parameters()}
        layers = [
            Layer(w[f"weight_ih_l{i}"], w[f"weight_hh_l{i}"], w[f"bias_ih_l{i}"] + w[f"bias_hh_l{i}"]) for i in (0, 1)
        ]
        dense, bias, clock = (x.detach().numpy().copy() for x in (self.dense.weight, self.dense.bias, self.clock))
        return Recurrent(tuple(layers), dense, bias, clock)
