"""A network of two LSTM layers as plain arrays: what it says needs numpy alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_BATCH = 512  # windows at once


class Layer(NamedTuple):
    """An LSTM layer of U units with K inputs; the gates in the order input, forget, cell, output (as in torch)."""

    inputs: np.ndarray  # (4 U, K)
    states: np.ndarray  # (4 U, U)
    bias: np.ndarray  # (4 U,)


class Recurrent(NamedTuple):
    """Two layers and a dense one: out = sigmoid(dense . state + clock . time of the slot said + bias)."""

    layers: tuple[Layer, Layer]
    dense: np.ndarray  # (O, U): outputs by units
    bias: np.ndarray  # (O,)
    clock: np.ndarray  # (P, C): pairs by features of the time of day; C = 0 where none is told


def last_states(network: Recurrent, rows: np.ndarray, length: int) -> np.ndarray:
    """The state of the second layer at the end of each window.

    Parameters
    ----------
    network
        Its layers are used.
    rows
        (N + length - 1, K) float32 inputs: window i is rows i to i + length - 1, each begun anew.
    length
        L.

    Returns
    -------
    np.ndarray
        (N, U) float32.
    """
    n = len(rows) - length + 1
    first, second = network.layers
    known = rows @ first.inputs.T + first.bias  # of all windows at once: they differ in their rows alone
    states = np.empty((n, second.states.shape[1]), np.float32)
    for begin in range(0, n, _BATCH):
        size = min(_BATCH, n - begin)
        lower = upper = None
        for step in range(length):
            at = begin + step
            lower = _stepped(first, known[at : at + size], lower)
            upper = _stepped(second, lower[0] @ second.inputs.T + second.bias, upper)
        states[begin : begin + size] = upper[0]
    return states


def _stepped(
    layer: Layer, gates: np.ndarray, before: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Output and cell, each (N, U), after one more row; all zero before the first."""
    units = layer.states.shape[1]
    if before is not None:
        gates = gates + before[0] @ layer.states.T
    opened = sigmoid(gates[:, : 2 * units])
    cell = opened[:, :units] * np.tanh(gates[:, 2 * units : 3 * units])
    if before is not None:
        cell += opened[:, units:] * before[1]
    return sigmoid(gates[:, 3 * units :]) * np.tanh(cell), cell


def sigmoid(x: np.ndarray) -> np.ndarray:
    """By numpy's tanh, which is several times faster here than scipy's `expit`."""
    return np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5)
