"""The policy of `policy.RoutePolicy` in torch: what is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from qnroute.learning.routing.policy import IMPOSSIBLE, Weights

if TYPE_CHECKING:
    import torch


def tensors(weights: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Weights that can be trained."""
    import torch

    return {name: torch.tensor(value, requires_grad=True) for name, value in weights.items()}


def arrays(weights: Mapping[str, torch.Tensor]) -> Weights:
    """A copy of the weights as they are."""
    return {name: value.detach().numpy().copy() for name, value in weights.items()}


def scores(weights: Mapping[str, torch.Tensor], seen: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(..., C + 1) what `RoutePolicy.scores` says."""
    w, some = weights, mask.unsqueeze(-1)
    h = ((seen @ w["A0"] + w["a0"]).relu() @ w["A1"] + w["a1"]).relu() * some
    mean = h.sum(-2, keepdim=True) / some.sum(-2, keepdim=True)
    size = h.shape[-1]
    context = mean @ w["B0"][size : 2 * size] + h.amax(-2, keepdim=True) @ w["B0"][2 * size :] + w["b0"]
    found = ((h @ w["B0"][:size] + context).relu() @ w["B1"])[..., 0] + w["b1"]
    return found.masked_fill(~mask, IMPOSSIBLE)
