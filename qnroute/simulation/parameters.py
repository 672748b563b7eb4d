"""What workloads and link dynamics have in common: ranges, seeds, and records known by their kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.fields import LARGEST, chosen
from qnroute.generate import Range

STRUCTURE, ARRIVALS, DYNAMICS, CHECKS = 1, 2, 3, 4  # streams of randomness that never meet, whatever the seeds

Seed = int | Sequence[int]  # one number or several, each at least 0

_Kind = TypeVar("_Kind")


# --- arguments ---


def whole(name: str, value: Any, *, least: int = 0) -> int:
    """`value` as an int, or a `ProblemError` that names the argument."""
    fit = isinstance(value, (int, np.integer)) and not isinstance(value, bool) and least <= value <= LARGEST
    if not fit:
        raise ProblemError(f"{name}: found {fields.brief(value)}, expected an integer, at least {least}")
    return int(value)


def generator(seed: Seed, *stream: int) -> np.random.Generator:
    """Random numbers that depend on `seed` and on the stream they are for.

    The length of the seed is a part of the stream: numpy takes 1 and (1, 0) for the same seed.

    Raises
    ------
    ProblemError
        `seed` is neither an integer of at least 0 nor a list of such.
    """
    words = list(seed) if isinstance(seed, (list, tuple)) else [seed]
    if not words:
        raise ProblemError("seed: found none, expected an integer or a list of integers")
    words = [whole("seed", word) for word in words]
    return np.random.default_rng(np.random.SeedSequence(words, spawn_key=(len(words), *stream)))


# --- records known by their kind ---


def plain(record: Any) -> dict[str, Any]:
    """``{"kind": ..., fields}`` as plain JSON values; fields that are not set are left out."""
    values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    return {"kind": record.kind} | {name: _plain(value) for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, Range) and value.low == value.high:
        return value.low
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def by_kind(option: str, table: Mapping[str, type[_Kind]], kind: Any, values: Mapping[str, Any]) -> _Kind:
    """The record of `table` called `kind` with these fields; faults name the option, the kind and the field."""
    made = chosen(option, kind, table)
    try:
        return made(**values)
    except ProblemError as error:
        raise ProblemError([f"{kind}{fault.removeprefix(made.__name__)}" for fault in error.faults]) from None


def of_dict(option: str, table: Mapping[str, type[_Kind]], values: Any) -> _Kind:
    """The record that `plain` made these values of."""
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise ProblemError(f"{option}: found {fields.brief(values)}, expected a mapping with a kind")
    if "kind" not in values:
        raise ProblemError(f"{option}.kind: missing, expected one of {', '.join(table)}")
    return by_kind(option, table, values["kind"], {name: value for name, value in values.items() if name != "kind"})
