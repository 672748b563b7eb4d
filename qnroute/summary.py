"""The figures of a network that people ask for first."""

from __future__ import annotations

from typing import Any

import numpy as np

from qnroute.fields import UNLIMITED
from qnroute.joining import components
from qnroute.network import Network


def summarize(network: Network) -> dict[str, Any]:
    """Size, connectedness, degrees, and the ranges of lengths, p and fidelity; ranges as text."""
    n, m = network.n_nodes, network.n_links
    part = components(n, np.column_stack([network.source, network.target]))
    degree = np.bincount(np.concatenate([network.source, network.target]), minlength=n)
    return {
        "name": network.name,
        "nodes": n,
        "links": m,
        "connected parts": int(part.max(initial=-1)) + 1,
        "links at a node": _range(degree, "{:.0f}"),
        "channels of a link": _range(network.channels, "{:.0f}"),
        "memory of a node": _limits(network.memory),
        "length of a link, km": _range(network.length_km, "{:.1f}"),
        "p of a link": _range(network.p, "{:.3g}"),
        "fidelity of a link": _range(network.fidelity, "{:.4f}"),
        "swap of a node": _range(network.swap, "{:.3g}"),
    }


def _limits(memory: np.ndarray) -> str:
    limited = memory[memory < UNLIMITED]
    if not len(limited):
        return "no limit"
    free = len(memory) - len(limited)
    return _range(limited, "{:.0f}") + (f" ({free} without limit)" if free else "")


def _range(values: np.ndarray, form: str) -> str:
    known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    if not len(known):
        return "not known"
    low, middle, high = (form.format(value) for value in (known.min(), np.median(known), known.max()))
    text = low if low == high else f"{low} to {high}, median {middle}"
    unknown = len(values) - len(known)
    return text + (f" ({unknown} not known)" if unknown else "")
