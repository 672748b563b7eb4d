"""A standardized linear map, or network of rectified linear units, as plain arrays: what it says, learned and moved.

Arrays by name: `mean`, `scale` (K,) of the features, `W0` (K, h), `b0` (h,), ... one pair for each layer, the last one
giving a single number, `shift` and `gain` () of what is said:

    said = shift + gain * (... relu(z W0 + b0) ...),    z = (features - mean) / scale

One layer is a linear map. Gradients are taken by hand, and everything is float64 numpy: what is trained here is small,
and its gradients come from a solver that takes most of the time.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from qnroute.errors import ProblemError

Arrays = dict[str, np.ndarray]

_BETAS = 0.9, 0.999  # of Adam, as usual
_BATCH = 256


def depth(arrays: Arrays) -> int:
    """How many layers there are.

    Raises
    ------
    ProblemError
        Arrays are missing, or of shapes that do not follow from each other.
    """
    layers = sum(name.startswith("W") for name in arrays)
    missing = [name for name in ("mean", "scale", "shift", "gain", *_trained(layers)) if name not in arrays]
    if missing or not layers:
        raise ProblemError(f"arrays: {', '.join(missing) or 'W0'} missing, but required")
    width = np.shape(arrays["mean"])
    for i in range(layers):
        last = i == layers - 1
        rows, columns = (*np.shape(arrays[f"W{i}"]), -1, -1)[:2]
        if (rows,) != width or np.shape(arrays[f"b{i}"]) != (columns,) or (last and columns != 1):
            found = f"{np.shape(arrays[f'W{i}'])} and {np.shape(arrays[f'b{i}'])}"
            raise ProblemError(f"arrays: found W{i} and b{i} of shapes {found}, after {width[-1:]} inputs")
        width = (columns,)
    return layers


def said(arrays: Arrays, features: np.ndarray) -> np.ndarray:
    """(n,) what the map says of features (n, K)."""
    return _forward(arrays, features)[0]


def gradient(arrays: Arrays, features: np.ndarray, along: np.ndarray) -> Arrays:
    """The gradient of along @ said with respect to every `W` and `b`, for along (n,)."""
    _, inputs = _forward(arrays, features)
    back = (along * float(arrays["gain"]))[:, None]
    found: Arrays = {}
    for i in reversed(range(len(inputs))):
        found[f"W{i}"], found[f"b{i}"] = inputs[i].T @ back, back.sum(axis=0)
        back = (back @ arrays[f"W{i}"].T) * (inputs[i] > 0.0)
    return found


def squared_fit(
    features: np.ndarray,
    target: np.ndarray,
    *,
    hidden: Sequence[int] = (),
    epochs: int = 200,
    patience: int = 20,
    rate: float = 3e-3,
    ridge: float = 1e-6,
    holdout: float = 0.15,
    seed: int = 0,
) -> Arrays:
    """The map of least squared error.

    Parameters
    ----------
    features, target
        (n, K) and (n,).
    hidden
        Widths of hidden layers; without any, ridge regression in closed form.
    epochs, patience, rate
        Of Adam, stopped early by the error on a share `holdout` of the rows; not for ridge regression.
    ridge
        Penalty on squared weights, per row.
    seed
        Same seed, same map.
    """
    features, target = _rows(features, target)
    arrays = _standard(features, target, hidden, np.random.default_rng(seed))
    if not hidden:
        z = (features - arrays["mean"]) / arrays["scale"]
        normal = z.T @ z / len(z) + ridge * np.eye(z.shape[1])
        u = (target - arrays["shift"]) / arrays["gain"]
        arrays["W0"] = np.linalg.solve(normal, z.T @ u / len(z))[:, None]
        return arrays
    rng = np.random.default_rng(seed + 1)
    order = rng.permutation(len(features))
    kept, learned = np.split(order, [max(1, round(holdout * len(order)))])
    learned = learned if len(learned) else kept
    adam, best, least, since = Adam(arrays, rate), arrays, np.inf, 0
    for _ in range(epochs):
        for batch in np.array_split(rng.permutation(learned), -(-len(learned) // _BATCH)):
            error = (said(arrays, features[batch]) - target[batch]) / arrays["gain"] ** 2
            arrays = adam.moved(arrays, gradient(arrays, features[batch], 2.0 * error / len(batch)))
        found = float(np.mean((said(arrays, features[kept]) - target[kept]) ** 2))
        best, least, since = (arrays, found, 0) if found < least else (best, least, since + 1)
        if since >= patience:
            break
    return best


class Adam:
    """Kingma and Ba's Adam (2015) on arrays by name."""

    def __init__(self, arrays: Arrays, rate: float):
        self._rate, self._count = rate, 0
        self._first = {name: np.zeros_like(arrays[name]) for name in _trained(depth(arrays))}
        self._second = {name: np.zeros_like(value) for name, value in self._first.items()}

    def moved(self, arrays: Arrays, slope: Arrays) -> Arrays:
        """New arrays, a step down the slope."""
        self._count += 1
        new = dict(arrays)
        for name, first in self._first.items():
            self._first[name] = first = _BETAS[0] * first + (1.0 - _BETAS[0]) * slope[name]
            self._second[name] = _BETAS[1] * self._second[name] + (1.0 - _BETAS[1]) * slope[name] ** 2
            one, two = (1.0 - beta**self._count for beta in _BETAS)
            new[name] = arrays[name] - self._rate * (first / one) / (np.sqrt(self._second[name] / two) + 1e-8)
        return new


def _forward(arrays: Arrays, features: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """What is said, and what went into each layer."""
    inputs = [(np.asarray(features, dtype=float) - arrays["mean"]) / arrays["scale"]]
    layers = depth(arrays)
    for i in range(layers - 1):
        inputs.append(np.maximum(inputs[-1] @ arrays[f"W{i}"] + arrays[f"b{i}"], 0.0))
    last = inputs[-1] @ arrays[f"W{layers - 1}"] + arrays[f"b{layers - 1}"]
    return arrays["shift"] + arrays["gain"] * last[:, 0], inputs


def _standard(features: np.ndarray, target: np.ndarray, hidden: Sequence[int], rng: np.random.Generator) -> Arrays:
    """Arrays to start from: He's normal weights (2015), the last ones small."""
    spread, gain = features.std(axis=0), float(target.std())
    arrays = {"mean": features.mean(axis=0), "scale": np.where(spread > 0.0, spread, 1.0)}
    arrays |= {"shift": np.array(target.mean()), "gain": np.array(gain if gain > 0.0 else 1.0)}
    widths = [features.shape[1], *hidden, 1]
    for i, (rows, columns) in enumerate(itertools.pairwise(widths)):
        size = np.sqrt(2.0 / rows) if i < len(hidden) else 0.1 / np.sqrt(rows)
        arrays[f"W{i}"], arrays[f"b{i}"] = size * rng.standard_normal((rows, columns)), np.zeros(columns)
    return arrays


def _rows(features: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features, target = np.asarray(features, dtype=float), np.asarray(target, dtype=float)
    if features.ndim != 2 or target.shape != features.shape[:1] or not len(target):
        raise ProblemError(f"features: found shapes {features.shape} and {target.shape}, expected (n, K) and (n,)")
    if not (np.isfinite(features).all() and np.isfinite(target).all()):
        raise ProblemError("features: found values that are not finite; fill in what is missing first")
    return features, target


def _trained(layers: int) -> list[str]:
    return [f"{kind}{i}" for i in range(layers) for kind in "Wb"]
