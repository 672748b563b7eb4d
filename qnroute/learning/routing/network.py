"""The policy of `policy.RoutePolicy` in torch: what is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from qnroute.learning.routing.clipped import log_chances
from qnroute.learning.routing.policy import IMPOSSIBLE, RoutePolicy, Weights
from qnroute.learning.routing.ragged import ragged_scores
from qnroute.learning.training import Adam

if TYPE_CHECKING:
    import torch

COMPILED = ("cpu",)
"""Devices that compiled functions run on; on others it is torch's."""

_AT_ONCE = 4096  # decisions scored at once where nothing is learned from them


def tensors(weights: Mapping[str, np.ndarray], device: str = "cpu") -> dict[str, torch.Tensor]:
    """Weights that can be trained."""
    import torch

    return {name: torch.tensor(value, requires_grad=True, device=device) for name, value in weights.items()}


def arrays(weights: Mapping[str, torch.Tensor]) -> Weights:
    """A copy of the weights as they are."""
    return {name: value.detach().cpu().numpy().copy() for name, value in weights.items()}


def scores(weights: Mapping[str, torch.Tensor], seen: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(..., C + 1) what `RoutePolicy.scores` says."""
    w, some = weights, mask.unsqueeze(-1)
    h = ((seen @ w["A0"] + w["a0"]).relu() @ w["A1"] + w["a1"]).relu() * some
    mean = h.sum(-2, keepdim=True) / some.sum(-2, keepdim=True)
    size = h.shape[-1]
    context = mean @ w["B0"][size : 2 * size] + h.amax(-2, keepdim=True) @ w["B0"][2 * size :] + w["b0"]
    found = ((h @ w["B0"][:size] + context).relu() @ w["B1"])[..., 0] + w["b1"]
    return found.masked_fill(~mask, IMPOSSIBLE)


class Learner:
    """Weights on a device, and the Adam that moves them."""

    def __init__(self, weights: Mapping[str, np.ndarray], device: str = "cpu", rate: float = 0.0):
        self.device, self.compiled = device, device.partition(":")[0] in COMPILED
        self.weights = tensors({name: weights[name] for name in sorted(weights)}, device)  # moments are in this order
        self.adam = Adam(list(self.weights.values()), rate)

    def put(self, values: np.ndarray) -> torch.Tensor:
        """An array on the device; nothing else moves there."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def scores(self, seen: torch.Tensor, mask: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """(len(rows), C + 1) scores of these rows, to be learned from."""
        return self._scores(self.weights, seen, mask, rows)

    def values(self, seen: torch.Tensor, mask: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """(len(rows),) where this is a critic: the mean score of what is possible."""
        some = mask[rows]
        return self.scores(seen, mask, rows).masked_fill(~some, 0.0).sum(-1) / some.sum(-1)

    def values_of(self, seen: torch.Tensor, mask: torch.Tensor) -> np.ndarray:
        """(n,) `values`, as they are."""
        import torch

        with torch.no_grad():
            return torch.cat([self.values(seen, mask, rows) for rows in _by_parts(mask)]).cpu().numpy()

    def logs_by(self, weights: Weights, seen: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(n, C + 1) log chances by other weights."""
        import torch

        other = {name: self.put(value) for name, value in weights.items()}
        with torch.no_grad():
            found = torch.cat([self._scores(other, seen, mask, rows) for rows in _by_parts(mask)])
            if self.compiled:
                return torch.from_numpy(log_chances(found.numpy(), mask.numpy()))
            return found.log_softmax(-1)

    def _scores(
        self, weights: Mapping[str, torch.Tensor], seen: torch.Tensor, mask: torch.Tensor, rows: torch.Tensor
    ) -> torch.Tensor:
        if self.compiled:
            return ragged_scores(weights, seen, mask, rows)
        return scores(weights, seen[rows], mask[rows])

    def answering(self) -> RoutePolicy:
        """The policy as it is now."""
        return RoutePolicy(arrays(self.weights))

    def playing(self) -> RoutePolicy:
        """The same, quicker where many decisions are made at once; it needs torch."""
        return _Playing(arrays(self.weights))

    def state(self) -> Weights:
        """A copy of the weights and of Adam's moments."""
        moments = {"first": self.adam.first, "second": self.adam.second}
        return arrays(self.weights | moments)

    def restore(self, state: Weights, count: int) -> None:
        """Take up a `state` after so many steps of Adam."""
        import torch

        own = {**self.weights, "first": self.adam.first, "second": self.adam.second}
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(self.put(state[name]))
        self.adam.count = count


class _Playing(RoutePolicy):
    """Scores by the functions that are trained with."""

    def scores(self, seen: np.ndarray, mask: np.ndarray) -> np.ndarray:
        import torch

        with torch.no_grad():
            weights = {name: torch.from_numpy(value) for name, value in self.weights.items()}
            every = torch.arange(len(mask))
            return ragged_scores(weights, torch.from_numpy(seen), torch.from_numpy(mask), every).numpy()


def _by_parts(mask: torch.Tensor) -> Sequence[torch.Tensor]:
    """The numbers of all rows, not too many at once."""
    import torch

    return torch.arange(len(mask), device=mask.device).split(_AT_ONCE)
