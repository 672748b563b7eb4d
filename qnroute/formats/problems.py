"""The problem file of the contract, `qnroute.problem/1`: JSON in and out."""

from __future__ import annotations

import os
from typing import Any

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.formats import json_text
from qnroute.formats.reading import read_bytes, source_of
from qnroute.formats.schema import ProblemFile, network_of, validate
from qnroute.formats.writing import write_text
from qnroute.problem import FORMAT, Problem


def load_problem(path: str | os.PathLike[str]) -> Problem:
    """Read a problem file.

    Parameters
    ----------
    path
        The file; ``-`` is standard input.

    Raises
    ------
    ProblemError
        With every fault of the file: the field, what was found, what was expected.
    """
    return parse_problem(read_bytes(path), source=source_of(path))


def parse_problem(text: str | bytes, *, source: str | None = None) -> Problem:
    """The problem that the text of a problem file describes; `source` is its name in messages."""
    try:
        return problem_of(*json_text.parse(text))
    except ProblemError as error:
        raise error.at(source) if source else error from None


def problem_of(document: Any, faults: list[str]) -> Problem:
    """The problem in a decoded document; `faults` are those that decoding found."""
    require_format(document, FORMAT)
    file = validate(ProblemFile, document, faults=faults)
    return Problem(
        network_of(file.network),
        file.requests,
        objective=file.objective,
        rules=file.rules,
        task=file.task,
        name=file.name,
    )


def require_format(document: Any, expected: str) -> None:
    """Refuse what is not a JSON object carrying the `expected` format tag: nothing else in it would mean anything."""
    if not isinstance(document, dict):
        raise ProblemError(f"found {fields.brief(document)}, expected a JSON object with the format {expected!r}")
    if "format" not in document:
        raise ProblemError(f"format: missing, expected {expected!r}")
    if document["format"] != expected:
        raise ProblemError(f"format: found {fields.brief(document['format'])}, expected {expected!r}")


def save_problem(problem: Problem, path: str | os.PathLike[str]) -> None:
    """Write a problem file, whole or not at all; ``-`` is standard output."""
    write_text(path, json_text.render(problem.to_dict()))
