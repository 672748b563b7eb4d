"""Arrays that come from elsewhere: what is wrong with one, before it is computed with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

_KINDS = {"f": (np.dtype(np.float64), np.dtype(np.float32)), "i": (np.dtype(np.int64), np.dtype(np.int32))}
_MOST = 1e100  # of values that must be finite: their products shall be, too
_WORDS = {"f": "float64 or float32", "i": "int64 or int32"}


def array_faults(
    arrays: Mapping[str, np.ndarray],
    name: str,
    shape: tuple[int | None, ...],
    kind: str,
    *,
    low: float | None = None,
    high: float | None = None,
    finite: bool = True,
) -> Iterator[str]:
    """What is wrong with an array.

    Parameters
    ----------
    shape
        Expected; None where any length will do.
    kind
        ``f`` for real numbers, ``i`` for integers.
    low, high
        Bounds of the values, both allowed.
    finite
        Whether infinite values are refused as well; NaN always is.
    """
    values = arrays.get(name)
    if not isinstance(values, np.ndarray):
        yield f"{name}: missing, but required"
    elif values.dtype not in _KINDS[kind]:
        yield f"{name}: found {values.dtype}, expected {_WORDS[kind]}"
    elif values.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, values.shape)):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        yield f"{name}: found shape {values.shape}, expected ({wanted})"
    elif kind == "f" and finite and (np.abs(values.astype(np.float64)) > _MOST).any():
        yield f"{name}: found values beyond {_MOST:g}"
    elif not (np.isfinite(values) if finite else ~np.isnan(values)).all():
        yield f"{name}: found values that are not finite" if finite else f"{name}: found values that are not numbers"
    elif values.size and ((low is not None and values.min() < low) or (high is not None and values.max() > high)):
        yield f"{name}: found values from {values.min()} to {values.max()}, expected {low} to {high}"
