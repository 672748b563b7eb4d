"""Features on one scale: missing ones filled by the median and marked, all centred and scaled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from qnroute.learning.links.checking import array_faults

Arrays = Mapping[str, np.ndarray]
REACH = 10.0  # standardized features further out say no more, or a link unlike any seen would be off any scale
_FILLS = 100_000  # rows of which the median is taken


def standard_of(x: np.ndarray, weight: np.ndarray, prefix: str = "") -> dict[str, np.ndarray]:
    """What puts features on one scale, learned from (n, d) of them with (n,) weights.

    Returns
    -------
    dict
        ``fill`` (d,) median of what is not missing, of at most 100,000 rows at even distances; ``marked`` (m,) columns
        of which something was missing; ``mean`` and ``scale`` (d,) after filling, the scale 1 where all are the same.
    """
    missing = np.isnan(x)
    some = x[:: max(1, len(x) // _FILLS)]
    fill = np.zeros(x.shape[1])
    for j in range(x.shape[1]):
        known = some[~np.isnan(some[:, j]), j]
        if known.size:
            fill[j] = np.median(known)
    marked = np.flatnonzero(missing.any(axis=0))
    filled = np.where(missing, fill, x) if marked.size else x
    share = weight / weight.sum()
    mean = share @ filled
    scale = np.sqrt(share @ (filled - mean) ** 2)
    scale[~(scale > 1e-12 * (1 + np.abs(mean)))] = 1.0
    found = {"fill": fill, "marked": marked.astype(np.int64), "mean": mean, "scale": scale}
    return {prefix + name: values for name, values in found.items()}


def standardized(arrays: Arrays, x: np.ndarray, prefix: str = "", limit: float | None = None) -> np.ndarray:
    """(n, d + m): the d features on one scale, at most `limit` from 0, then m that are 1 where one was missing."""
    fill, marked, mean, scale = (arrays[prefix + name] for name in ("fill", "marked", "mean", "scale"))
    d = x.shape[1]
    made = np.empty((len(x), d + marked.size))
    missing = np.isnan(x)
    made[:, :d] = np.where(missing, fill, x) if missing.any() else x
    made[:, :d] -= mean
    made[:, :d] /= scale
    if limit is not None:
        np.clip(made[:, :d], -limit, limit, out=made[:, :d])
    made[:, d:] = missing[:, marked]
    return made


def width(arrays: Arrays, prefix: str = "") -> int:
    """d + m of `standardized`."""
    return arrays[prefix + "mean"].size + arrays[prefix + "marked"].size


def standard_faults(arrays: Arrays, d: int, prefix: str = "") -> Iterator[str]:
    """What is wrong with arrays that should be those of d features."""
    for name in ("fill", "mean", "scale"):
        yield from array_faults(arrays, prefix + name, (d,), "f")
    yield from array_faults(arrays, prefix + "marked", (None,), "i", low=0, high=d - 1)
    scale, marked = arrays.get(prefix + "scale"), arrays.get(prefix + "marked")
    if isinstance(scale, np.ndarray) and scale.dtype.kind == "f" and not (scale > 0).all():
        yield f"{prefix}scale: found values that are not positive"
    if isinstance(marked, np.ndarray) and marked.ndim == 1 and (np.diff(marked) <= 0).any():
        yield f"{prefix}marked: found columns that do not ascend"
