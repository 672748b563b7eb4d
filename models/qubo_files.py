"""Binary quadratic models as files: ``.bqm`` (dimod's own), ``.qubo`` (qbsolv's) and ``.coo``; every number as it is.

Text files keep the offset in a comment: ``c offset 1.5`` in ``.qubo``, ``# offset=1.5`` in ``.coo``.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from qnroute.errors import ProblemError, SolverError
from qnroute.models.quadratic import Quadratic, merged
from qnroute.models.triples import MOST, Triples, triples

ENDINGS = (".bqm", ".qubo", ".coo")


def write_quadratic(model: Quadratic, path: str, legend: dict[str, Any] | None = None) -> list[str]:
    """Write a model, and its legend beside it, whole files or nothing; returns the paths written.

    Raises
    ------
    ProblemError
        The name ends otherwise, or a place cannot be written.
    """
    from qnroute.formats.writing import require_writable, write_bytes, write_text

    stem, ending = os.path.splitext(path)
    if ending not in ENDINGS:
        raise ProblemError(f"expected a name ending in {', '.join(ENDINGS)}, found {ending or 'none'}", source=path)
    paths = [path] if legend is None else [path, stem + ".legend.json"]
    for place in paths:
        require_writable(place)
    if legend is not None:
        write_text(paths[1], json.dumps(legend, indent=1, ensure_ascii=False) + "\n")
    if ending == ".bqm":
        with model.to_bqm().to_file() as made:
            write_bytes(path, made.read())
    else:
        write_text(path, _qubo(model) if ending == ".qubo" else _coo(model))
    return paths


def read_quadratic(path: str) -> Quadratic:
    """Read a model back; variables are numbered from 0.

    Raises
    ------
    ProblemError
        Naming the file, the line, and what was expected.
    """
    ending = os.path.splitext(path)[1]
    if ending not in ENDINGS:
        raise ProblemError(f"expected a name ending in {', '.join(ENDINGS)}, found {ending or 'none'}", source=path)
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ProblemError(f"cannot be read: {error.strerror or error}", source=path) from None
    try:
        return _from_bqm(content) if ending == ".bqm" else _from_text(content, ending)
    except SolverError as error:  # a number that is none
        raise ProblemError(str(error), source=path) from None
    except ProblemError as error:
        raise error.at(path) from None


def _terms(model: Quadratic, number: Callable[[float], str] = repr) -> tuple[list[str], list[str]]:
    single = np.flatnonzero(model.linear)
    own = [f"{i} {i} {number(bias)}" for i, bias in zip(single.tolist(), model.linear[single].tolist())]
    order = np.lexsort((model.col, model.row))
    both = zip(*(part[order].tolist() for part in model.couplers))
    return own, [f"{i} {j} {number(bias)}" for i, j, bias in both]


def _qubo(model: Quadratic) -> str:
    own, both = _terms(model)
    head = f"c offset {float(model.offset)!r}\np qubo 0 {len(model)} {len(own)} {len(both)}"
    return "\n".join([head, *own, *both]) + "\n"


def _coo(model: Quadratic) -> str:
    own, both = _terms(model, partial(np.format_float_positional, trim="0"))  # dimod's reader passes over exponents
    head = f"# vartype=BINARY\n# variables={len(model)}\n# offset={float(model.offset)!r}"
    return "\n".join([head, *own, *both]) + "\n"


def _from_bqm(content: bytes) -> Quadratic:
    import dimod

    try:
        bqm = dimod.BinaryQuadraticModel.from_file(io.BytesIO(content))
    except Exception as error:
        raise ProblemError(f"is no file of a binary quadratic model: {error}") from None
    return of_bqm(bqm)


def of_bqm(bqm) -> Quadratic:
    """A dimod model, whatever its variables are called, in their order; of spins as of binary variables."""
    bqm = bqm.change_vartype("BINARY", inplace=False)
    linear, (row, col, bias), offset = bqm.to_numpy_vectors(variable_order=list(bqm.variables))
    return merged(
        linear.astype(float), [(row.astype(np.int64), col.astype(np.int64), bias.astype(float))], float(offset)
    )


def _from_text(content: bytes, ending: str) -> Quadratic:
    lines = content.decode("utf-8", "replace").splitlines()
    start = next((k for k, line in enumerate(lines) if line[:1].isdigit()), len(lines))
    offset, count, found = _read(lines[:start])
    body = triples("\n".join(lines[start:]))
    if body is None or len(found[0]) or (len(body[0]) and min(body[0].min(), body[1].min()) < 0):
        offset, count, body = _read(lines)  # comments between the lines, or a fault
    one, other, bias = body
    count = max(count, int(max(one.max(initial=-1), other.max(initial=-1))) + 1)
    if count > MOST:
        raise ProblemError(f"{count:,} variables, more than {MOST:,}")
    own = one == other
    linear = np.bincount(one[own], bias[own], minlength=count)
    return merged(linear, [(one[~own], other[~own], bias[~own])], offset)


def _read(lines: list[str]) -> tuple[float, int, Triples]:
    """Offset, number of variables as far as it is said, and entries, line by line."""
    offset, count, ends, biases = 0.0, 0, [], []
    for number, line in enumerate(lines, start=1):
        words = line.replace("=", " ").split()
        try:
            if not words:
                continue
            if words[0] in ("c", "#"):
                offset = float(words[2]) if words[1:2] == ["offset"] else offset
                count = max(count, int(words[2])) if words[1:2] == ["variables"] else count
            elif words[0] == "p":
                count = max(count, int(words[3]))
            else:
                i, j, bias = int(words[0]), int(words[1]), float(words[2])
                if min(i, j) < 0 or len(words) > 3:
                    raise ValueError
                ends.append((i, j))
                biases.append(bias)
        except (ValueError, IndexError):
            raise ProblemError(f"line {number}: found {line[:60]!r}, expected two variables and a number") from None
    try:
        where = np.array(ends, dtype=np.int64).reshape(-1, 2)
    except OverflowError:
        raise ProblemError(f"a variable's number beyond {MOST:,}") from None
    return offset, count, (where[:, 0], where[:, 1], np.array(biases))
