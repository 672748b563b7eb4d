"""Recipe files: tables of numbers in TOML, checked against those that there are.

A recipe is a dataclass of named tuples, a table each.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from qnroute.errors import ProblemError
from qnroute.fields import brief, brief_name
from qnroute.formats.reading import decode, read_bytes, source_of

_FROM_0 = "seed", "warmup"  # whole numbers that may be 0
_SHARES = "discount", "decay", "expert"  # at most 1
_ABOVE_0 = "heat", "clip"
_END = 1e9

Tables = dict[str, dict[str, Any]]
_R = TypeVar("_R")


def tables_of(recipe: Any) -> Tables:
    """Plain values of a recipe, as in its file."""
    parts = sorted(dataclasses.fields(recipe), key=lambda part: part.kw_only)  # what is taught, then the courses
    return {part.name: getattr(recipe, part.name)._asdict() for part in parts}


def load_as(usual: _R, path: str | os.PathLike[str]) -> _R:
    """Read a recipe of the same kind as the usual one; what it does not say is as there.

    Raises
    ------
    ProblemError
        As `load_tables`, or values do not go together.
    """
    made = load_tables(path, tables_of(usual))
    try:
        return type(usual)(**{part: type(getattr(usual, part))(**values) for part, values in made.items()})
    except ProblemError as error:
        raise error.at(source_of(path)) from None


def load_tables(path: str | os.PathLike[str], usual: Mapping[str, Mapping[str, Any]]) -> Tables:
    """The tables of a recipe; what it does not say is as usual.

    Raises
    ------
    ProblemError
        It is no TOML, or names or values are not those of a recipe.
    """
    source = source_of(path)
    try:
        told = tomllib.loads(decode(read_bytes(path)))
    except tomllib.TOMLDecodeError as error:
        raise ProblemError(f"is no TOML: {error}", source=source) from None
    faults = [f"{brief_name(part)}: unknown, expected some of {', '.join(usual)}" for part in told if part not in usual]
    for part, known in usual.items():
        given = told.get(part, {})
        faults += _faults(part, given, known) if isinstance(given, dict) else [f"{part}: expected a table"]
    if faults:
        raise ProblemError(faults, source=source)
    return {part: {**known, **told.get(part, {})} for part, known in usual.items()}


def _faults(part: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    bad = set()
    for name, value in given.items():
        if name not in known:
            yield f"{part}.{brief_name(name)}: unknown, expected one of {', '.join(known)}"
            continue
        whole, least = isinstance(known[name], int), int(isinstance(known[name], int) and name not in _FROM_0)
        fit = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        most = 1.0 if name in _SHARES else _END
        if not fit or not least <= value <= most or (name in _ABOVE_0 and value == 0):
            what = "whole number" if whole else "number"
            from_ = "above 0" if name in _ABOVE_0 else f"from {least}"
            yield f"{part}.{name}: found {brief(value)}, expected a {what} {from_} to {most:.10g}"
            bad.add(name)
    here = {**known, **given}
    if not bad and here.get("episodes") == 1 and not here.get("critic"):
        yield f"{part}.episodes: found 1, expected 2 or more, or a critic: no other tells how good one is"
