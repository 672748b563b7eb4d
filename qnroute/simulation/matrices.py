"""Series of traffic matrices, from a file or an array, as the intensities of unordered pairs of sites."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.simulation.demand import pair_of

_EXPECTED = "matrices of sites by sites, one after another"


class Series(NamedTuple):
    """Traffic between sites over time."""

    matrices: np.ndarray  # (S, n, n) float64, finite, at least 0
    notes: tuple[str, ...] = ()


def checked_matrices(given: Any, where: str) -> np.ndarray:
    """(S, n, n) float64 matrices, or a `ProblemError` that says what is wrong with what `where` holds."""
    try:
        values = np.asarray(given)
    except ValueError:  # rows of different lengths
        values = np.empty(0, dtype=object)
    if values.dtype.kind not in "iuf":
        raise ProblemError(f"{where}: found {fields.brief(given)}, expected numbers: {_EXPECTED}")
    if values.ndim != 3 or values.shape[1] != values.shape[2] or not len(values) or values.shape[1] < 2:
        raise ProblemError(f"{where}: found the shape {values.shape}, expected {_EXPECTED}")
    values = values.astype(np.float64)
    for fault, bad in (("not finite", ~np.isfinite(values)), ("negative", values < 0)):
        if bad.any():
            first = "][".join(str(i) for i in np.unravel_index(bad.argmax(), bad.shape))
            raise ProblemError(f"{where}[{first}]: found {fault} ({bad.sum()} such), expected numbers of at least 0")
    return values


def read_series(path: str, key: str | None) -> Series:
    """The series that stands under `key` in an .npz file; the only table of three dimensions where no key is given.

    Times under ``time`` (ISO 8601) serve to tell of gaps.

    Raises
    ------
    ProblemError
        No such file or key, or it does not hold matrices of finite numbers of at least 0.
    """
    try:
        with open(path, "rb") as stream:  # numpy leaves a broken file open if it opens it itself
            tables = np.load(stream, allow_pickle=False)
            if not isinstance(tables, np.lib.npyio.NpzFile):
                raise ProblemError("found a single table, expected a .npz file")
            content = {name: tables[name] for name in _keys(tables, key)}
    except ProblemError as error:
        raise error.at(path) from None
    except FileNotFoundError:
        raise ProblemError("no such file", source=path) from None
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        reason = getattr(error, "strerror", None)
        told = (
            f"cannot be read: {reason}"
            if reason
            else "expected a .npz file of plain tables, found none or a broken one"
        )
        raise ProblemError(told, source=path) from None
    time = content.pop("time", None) if key != "time" else None
    large = {name: values for name, values in content.items() if values.ndim == 3 or key is not None}
    if len(large) != 1:
        found = f"several ({', '.join(large)})" if large else f"none ({', '.join(content) or 'nothing there'})"
        raise ProblemError(f"key: found {found}, expected the name of one table: {_EXPECTED}", source=path)
    (name, values), *_ = large.items()
    try:
        return Series(checked_matrices(values, name), _gaps(time, len(values)))
    except ProblemError as error:
        raise error.at(path) from None


def _keys(tables: Any, key: str | None) -> list[str]:
    """What must be read of a file."""
    if key is not None and key not in tables.files:
        raise ProblemError(f"key: found {fields.brief(key)}, expected one of {', '.join(tables.files)}")
    return list(tables.files) if key is None else [key, *(name for name in ("time",) if name in tables.files)]


def _gaps(time: np.ndarray | None, matrices: int) -> tuple[str, ...]:
    """A line on where the series skips time; nothing where the file tells no times."""
    if time is None or time.shape != (matrices,) or matrices < 3:
        return ()
    try:
        step = np.diff(time.astype("datetime64[s]"))
    except ValueError:
        return ("time: not read, expected ISO 8601",)
    lengths, times = np.unique(step, return_counts=True)
    gaps = np.flatnonzero(step != lengths[times.argmax()])
    if not len(gaps):
        return ()
    told = "; ".join(f"after {time[k]} comes {time[k + 1]}" for k in gaps[:5]) + ("; ..." if len(gaps) > 5 else "")
    return (f"time: {len(gaps)} gap{'s' if len(gaps) > 1 else ''}, closed up: {told}",)


def pair_traffic(matrices: np.ndarray, sites: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """(P, 2) pairs of the chosen sites that have any traffic, numbered as chosen, and (S, P) how much, both ways.

    In units of the largest entry.
    """
    matrices = matrices / max(matrices.max(), np.finfo(float).tiny)  # sums of the largest numbers would not hold
    pairs = pair_of(np.arange(len(sites) * (len(sites) - 1) // 2))
    u, v = np.asarray(sites, dtype=np.int64)[pairs].T
    traffic = matrices[:, u, v] + matrices[:, v, u]
    active = traffic.any(axis=0)
    return pairs[active], traffic[:, active]
