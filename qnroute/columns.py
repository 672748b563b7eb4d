"""Rows of records to columns and back, and the faults that only show between rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.fields import UNLIMITED


def structure_faults(ids: Sequence[Any], ends: Sequence[tuple[Any, Any]]) -> Iterator[str]:
    """Faults between rows: duplicate ids, links to unknown nodes, self-loops, second links.

    Entries that are not strings are passed over: they are faults of their own, reported elsewhere.
    """
    first: dict[str, int] = {}
    for i, node in enumerate(ids):
        if isinstance(node, str) and first.setdefault(node, i) != i:
            yield f"nodes[{i}].id: {fields.brief(node)} is already the id of nodes[{first[node]}]"
    seen: dict[frozenset[str], int] = {}
    for e, pair in enumerate(ends):
        if not all(isinstance(end, str) for end in pair):
            continue
        unknown = [(side, end) for side, end in zip(("source", "target"), pair) if end not in first]
        for side, end in unknown:
            yield f"links[{e}].{side}: no node is called {fields.brief(end)}"
        if pair[0] == pair[1]:
            yield f"links[{e}]: joins {fields.brief(pair[0])} to itself; a link needs two different ends"
        elif seen.setdefault(frozenset(pair), e) != e:
            yield (
                f"links[{e}]: a second link between {fields.brief(pair[0])} and {fields.brief(pair[1])} "
                f"(first: links[{seen[frozenset(pair)]}]); merge parallels into channels"
            )


def pair_faults(ids: Sequence[str], source: np.ndarray, target: np.ndarray) -> Iterator[str]:
    """Faults of links given by the indices of their ends; `structure_faults` for whole columns."""
    if source.shape != target.shape or source.ndim != 1:
        yield f"links: source and target must be vectors of one length, found {source.shape} and {target.shape}"
        return
    yield from (f"nodes[{i}].id: expected text of 1 to {fields.LONGEST_ID} characters" for i in _bad_ids(ids))
    outside = np.flatnonzero((source < 0) | (source >= len(ids)) | (target < 0) | (target >= len(ids)))
    yield from (f"links[{e}]: an end is not the index of a node" for e in outside)
    yield from (f"links[{e}]: joins a node to itself" for e in np.flatnonzero(source == target))
    key = np.minimum(source, target) * len(ids) + np.maximum(source, target)
    _, first = np.unique(key, return_index=True)
    second = np.setdiff1d(np.arange(len(key)), first)
    yield from (f"links[{e}]: a second link between the same nodes; merge parallels into channels" for e in second)


def _bad_ids(ids: Sequence[str]) -> list[int]:
    return [i for i, name in enumerate(ids) if not 1 <= len(name) <= fields.LONGEST_ID]


def read_only(values: np.ndarray) -> np.ndarray:
    """The same array, closed to writing."""
    values.flags.writeable = False
    return values


def rows_of(kind: type, rows: Iterable[Any], where: str) -> tuple[list[Any], list[str]]:
    """Records of `kind` from records or mappings, and the faults of those that are none."""
    made, faults = [], []
    for i, row in enumerate(rows):
        try:
            made.append(row if isinstance(row, kind) else kind(**row))
        except ProblemError as error:
            faults += [f"{where}[{i}]{fault.removeprefix(kind.__name__)}" for fault in error.faults]
        except TypeError:
            faults.append(f"{where}[{i}]: expected a {kind.__name__} or a mapping, found {fields.brief(row)}")
    return made, faults


def _absent(kind: type, field: str) -> float:
    """What a column holds where a row leaves the field out."""
    default = fields.defaults(kind).get(field)
    if default is not None:
        return default
    return UNLIMITED if fields.bounds(kind, field)[1] else np.nan


def column(kind: type, field: str, values: list[Any]) -> np.ndarray:
    """A record's field as a column, None standing for absent."""
    absent = _absent(kind, field)
    dtype = np.int64 if fields.bounds(kind, field)[1] else np.float64
    return np.array([absent if value is None else value for value in values], dtype=dtype)


def broadcast(kind: type, field: str, values: Any, size: int, where: str) -> np.ndarray:
    """A column of `size` entries from one value for all, one for each, or None for absent."""
    dtype = np.int64 if fields.bounds(kind, field)[1] else np.float64
    whole = dtype is np.int64
    given = np.asarray(_absent(kind, field) if values is None else values)
    if whole and given.dtype.kind == "f" and not np.all(np.abs(given) <= 2.0**53):
        raise ProblemError(f"{where}.{field}: expected integers up to 2^53, or UNLIMITED where there is no limit")
    if given.ndim and given.shape != (size,):
        raise ProblemError(f"{where}.{field}: expected {size} values, found {given.shape}")
    if given.dtype.kind not in "iuf" or (dtype is np.int64 and np.any(given != np.floor(given))):
        raise ProblemError(f"{where}.{field}: expected {'integers' if dtype is np.int64 else 'numbers'}")
    return np.broadcast_to(given, (size,)).astype(dtype)


def dicts(kind: type, names: Mapping[str, Sequence[str]], columns: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Rows as mappings, what is absent or at its default left out."""
    rows = [dict(zip(names, values)) for values in zip(*names.values())]
    for field, values in columns.items():
        absent = _absent(kind, field)
        given = ~np.isnan(values) if np.isnan(absent) else values != absent
        for i, value in zip(np.flatnonzero(given).tolist(), values[given].tolist()):
            rows[i][field] = value
    return rows
