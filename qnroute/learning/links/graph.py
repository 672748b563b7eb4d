"""A small message-passing network over neighbouring links: torch trains it, numpy and scipy.sparse answer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
from annotated_types import Interval
from scipy import sparse

from qnroute import fields
from qnroute.learning.links.adjacency import Neighbours
from qnroute.learning.links.checking import array_faults
from qnroute.learning.links.estimator import LinkScorer, Share
from qnroute.learning.links.lessons import Lesson
from qnroute.learning.links.mlp import REACH, Batch, Epochs, Units
from qnroute.learning.links.standard import standard_faults, standard_of, standardized, width
from qnroute.learning.links.teaching import HEAD, Course, first_weights, held_back, passes, target_scale, taught
from qnroute.learning.training import require_torch

if TYPE_CHECKING:
    import torch

_AT_ONCE = 4096  # rows at least that are predicted together
_JUDGED = 200_000  # rows of whose batches those held back tell when to stop


class GraphNetwork(LinkScorer):
    """Rounds in which each link looks at the mean of its neighbours (GraphSAGE; Hamilton et al., NeurIPS 2017, alg. 1).

    h_0 = relu(z W0 + b0) of standardized features z; h_r = h_{r-1} + relu(h_{r-1} S_r + m_r N_r + c_r), m_r the mean of
    h_{r-1} over the neighbours, 0 without any; what is said is linear in the last. Trained as `Mlp` is, on whole
    connected blocks of links, dealt once at random to batches: a window is never cut, and one larger than a batch is a
    batch. Without neighbours each row is a block, and the network a residual perceptron.

    Rows kept from learning are still seen by their neighbours: their features, not what is to be said of them.

    Parameters
    ----------
    hidden, rounds
        Units of a link, and how often it looks around.
    learning_rate, batch, epochs, patience, holdout
        As those of `Mlp`.
    calibration, random_state
        As those of `LinkScorer`.
    """

    _near = True

    def __init__(
        self,
        *,
        hidden: Units = 32,
        rounds: Annotated[fields.PositiveCount, Interval(le=8)] = 2,
        learning_rate: fields.Positive = 0.01,
        batch: Batch = 256,
        epochs: Epochs = 60,
        patience: Epochs = 10,
        holdout: Share = 0.1,
        calibration: Share = 0.2,
        random_state: fields.Count = 0,
    ):
        self.hidden = hidden
        self.rounds = rounds
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
        z = standardized(arrays, lesson.x, limit=REACH).astype(np.float32)
        y = ((lesson.y - shift) / gain).astype(np.float32)
        weight = lesson.weight / lesson.weight[lesson.weight > 0].mean()
        batches = _batches(z, y, (_only(weight, rows), _only(weight, kept)), lesson.neighbours, self.batch, rng)
        begin = self._begin(width(arrays), lesson.neighbours is not None, rng)
        course = Course(self.learning_rate, passes(self.epochs, len(y)), self.patience, self.random_state)
        around = _around()

        def loss(weights: dict[str, torch.Tensor], turn: tuple[_Batch, int]) -> torch.Tensor:
            batch, which = turn
            error = _forward(weights, batch, self.rounds, around) - batch.y
            return (batch.weights[which] * error * error).sum()

        some = slice(None, None, max(1, len(y) // _JUDGED))
        held = [(batch, 1) for batch in batches[some]] if kept.size else []
        in_turn = lambda: [(batches[i], 0) for i in rng.permutation(len(batches))]  # noqa: E731
        weights = taught(begin, loss, in_turn, held, course)
        return {**arrays, **weights, "shift": np.array([shift]), "gain": np.array([gain])}

    def _shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        h = self.hidden
        shapes = {"W0": (inputs, h), "b0": (h,), "W1": (h, 1), "b1": (1,)}
        for r in range(1, self.rounds + 1):
            shapes |= {f"S{r}": (h, h), f"N{r}": (h, h), f"c{r}": (h,)}
        return shapes

    def _begin(self, inputs: int, near: bool, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """First weights; own and neighbours' share the variance of a round. Neighbours never seen do not count."""
        made, variances = {}, {"W0": 2.0, "W1": HEAD, "S": 1.0, "N": float(near), "b": 0.0, "c": 0.0}
        for name, shape in self._shapes(inputs).items():
            variance = variances.get(name) or variances[name[0]]
            made[name] = first_weights(rng, *shape, variance) if len(shape) == 2 else np.zeros(shape, np.float32)
        return made

    def _mean(self, X: np.ndarray, near: Neighbours | None) -> np.ndarray:
        if near is None:
            return self._mean_of(X, None)
        around, mean = near.mean(), np.empty(len(X))
        for begin, end in pairwise(near.cuts(_AT_ONCE)):
            mean[begin:end] = self._mean_of(X[begin:end], around[begin:end, begin:end])
        return mean

    def _mean_of(self, X: np.ndarray, around: sparse.csr_array | None) -> np.ndarray:
        a = {name: self.arrays_[name].astype(float) for name in self._shapes(1)}
        h = np.maximum(standardized(self.arrays_, X, limit=REACH) @ a["W0"] + a["b0"], 0.0)
        for r in range(1, self.rounds + 1):
            step = h @ a[f"S{r}"] + a[f"c{r}"]
            if around is not None:
                step += (around @ h) @ a[f"N{r}"]
            h += np.maximum(step, 0.0, out=step)
        return self.arrays_["shift"][0] + self.arrays_["gain"][0] * (h @ a["W1"] + a["b1"])[:, 0]

    def _mean_faults(self) -> Iterator[str]:
        faults = list(standard_faults(self.arrays_, self.n_features_in_))
        yield from faults
        if not faults:
            for name, shape in self._shapes(width(self.arrays_)).items():
                yield from array_faults(self.arrays_, name, shape, "f")
            for name in ("shift", "gain"):
                yield from array_faults(self.arrays_, name, (1,), "f")


class _Batch(NamedTuple):
    """Whole blocks of links; the weights are those of learning and of what tells when to stop."""

    z: torch.Tensor  # (n, k)
    y: torch.Tensor  # (n,)
    weights: tuple[torch.Tensor, torch.Tensor]  # (n,) each
    around: tuple[sparse.csr_array, sparse.csr_array] | None  # the mean over neighbours, and its transpose


def _only(weight: np.ndarray, rows: np.ndarray) -> np.ndarray:
    kept = np.zeros(weight.size, np.float32)
    kept[rows] = weight[rows]
    return kept


def _batches(
    z: np.ndarray,
    y: np.ndarray,
    weights: tuple[np.ndarray, np.ndarray],
    near: Neighbours | None,
    size: int,
    rng: np.random.Generator,
) -> list[_Batch]:
    """All rows, their blocks in random order, cut between blocks into batches of about `size` rows.

    Each batch's weights are divided by the mean weight of a batch.
    """
    from torch import from_numpy

    n = len(y)
    block = np.arange(n) if near is None else near.blocks()
    order = np.argsort(rng.permutation(block.max() + 1)[block], kind="stable")
    ends = np.flatnonzero(np.diff(block[order], append=-1)) + 1  # where a block ends
    cuts = [0]
    for end in ends:
        if end - cuts[-1] >= size or end == n:
            cuts.append(int(end))
    whole = None if near is None else near.mean().astype(np.float32)[order][:, order]
    totals = [max(float(w.sum()) / (len(cuts) - 1), 1e-9) for w in weights]
    found = []
    for begin, end in pairwise(cuts):
        rows = order[begin:end]
        around = None
        if whole is not None:
            part = whole[begin:end, begin:end]
            around = part, part.T.tocsr()
        both = tuple(from_numpy(w[rows] / np.float32(total)) for w, total in zip(weights, totals))
        found.append(_Batch(from_numpy(z[rows]), from_numpy(y[rows]), both, around))
    return found


def _around() -> type[torch.autograd.Function]:
    """The mean over neighbours as a step that torch can differentiate; scipy's product is the faster one here."""
    import torch

    class Around(torch.autograd.Function):
        @staticmethod
        def forward(ctx, h, matrices):
            ctx.transposed = matrices[1]
            return torch.from_numpy(matrices[0] @ h.detach().numpy())

        @staticmethod
        def backward(ctx, gradient):
            return torch.from_numpy(ctx.transposed @ gradient.contiguous().numpy()), None

    return Around


def _forward(
    weights: dict[str, torch.Tensor], batch: _Batch, rounds: int, around: type[torch.autograd.Function]
) -> torch.Tensor:
    """(n,) what the network says of a batch."""
    h = (batch.z @ weights["W0"] + weights["b0"]).relu()
    for r in range(1, rounds + 1):
        step = h @ weights[f"S{r}"] + weights[f"c{r}"]
        if batch.around is not None:
            step = step + around.apply(h, batch.around) @ weights[f"N{r}"]
        h = h + step.relu()
    return (h @ weights["W1"] + weights["b1"])[:, 0]
