"""Layers of rectified units as plain arrays: what they say, the gradient of it, and Adam.

Arrays by name: `W0` (K, h), `b0` (h,), ... a pair for each layer, the last one giving a single number. One layer is a
linear map. Gradients are taken by hand in float64: what is trained here is small, and waits for a solver most of the
time.
"""

from __future__ import annotations

import numpy as np

Layers = dict[str, np.ndarray]

_BETAS = 0.9, 0.999  # of Adam, as usual


def said(layers: Layers, z: np.ndarray) -> np.ndarray:
    """(n,) what the layers say of inputs z (n, K)."""
    return _forward(layers, z)[0]


def gradient(layers: Layers, z: np.ndarray, along: np.ndarray) -> Layers:
    """The gradient of along @ said with respect to every `W` and `b`, for along (n,)."""
    _, inputs = _forward(layers, z)
    back = along[:, None]
    found: Layers = {}
    for i in reversed(range(len(inputs))):
        found[f"W{i}"], found[f"b{i}"] = inputs[i].T @ back, back.sum(axis=0)
        back = (back @ layers[f"W{i}"].T) * (inputs[i] > 0.0)
    return found


class Adam:
    """Kingma and Ba's Adam (2015) on arrays by name."""

    def __init__(self, layers: Layers, rate: float):
        self._rate, self._count = rate, 0
        self._first = {name: np.zeros_like(value) for name, value in layers.items()}
        self._second = {name: np.zeros_like(value) for name, value in layers.items()}

    def moved(self, layers: Layers, slope: Layers) -> Layers:
        """New layers, a step down the slope."""
        self._count += 1
        one, two = (1.0 - beta**self._count for beta in _BETAS)
        new = {}
        for name, value in layers.items():
            self._first[name] = _BETAS[0] * self._first[name] + (1.0 - _BETAS[0]) * slope[name]
            self._second[name] = _BETAS[1] * self._second[name] + (1.0 - _BETAS[1]) * slope[name] ** 2
            new[name] = value - self._rate * (self._first[name] / one) / (np.sqrt(self._second[name] / two) + 1e-8)
        return new


def _forward(layers: Layers, z: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """What is said, and what went into each layer."""
    inputs, last = [z], len(layers) // 2 - 1
    for i in range(last):
        inputs.append(np.maximum(inputs[-1] @ layers[f"W{i}"] + layers[f"b{i}"], 0.0))
    return (inputs[-1] @ layers[f"W{last}"] + layers[f"b{last}"])[:, 0], inputs
