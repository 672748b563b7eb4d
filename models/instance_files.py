"""Published instances as files: QUBOs (BiqMac and OR-Library ``.sparse``, our own formats), max-cut (rudy, G-set).

Both are lists of edges below a line ``n m``, with variables numbered from 1; lines before it may be comments (``#``):

    .sparse   i j w of the upper triangle of a symmetric Q:  E(x) = sum_i w_ii x_i + 2 sum_{i<j} w_ij x_i x_j
    max-cut   i j w of each edge, or i j where all weigh 1:  cut(x) = sum_ij w_ij (x_i + x_j - 2 x_i x_j) = -E(x)
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import numpy as np

from qnroute.errors import ProblemError, SolverError
from qnroute.models.quadratic import Quadratic, merged
from qnroute.models.qubo_files import ENDINGS, read_quadratic
from qnroute.models.triples import MOST, Triples, triples

KINDS = ("qubo", "max-cut")
_STRIPPED = (*ENDINGS, ".sparse", ".mc", ".rud", ".mcut", ".txt")
_SHOWN = 60  # characters of a faulty line
Number = TypeVar("Number", float, np.ndarray)


@dataclass(frozen=True)
class Instance:
    """A published instance as a model to be minimised.

    Attributes
    ----------
    name : of the file, without its ending
    kind : ``qubo`` or ``max-cut``
    quadratic : the model; variable 0 is the file's number 1 in ``.sparse`` and max-cut files
    """

    name: str
    kind: str
    quadratic: Quadratic

    @property
    def sense(self) -> str:
        """How the figure that is published for it is meant: ``minimise`` an energy, or ``maximise`` a cut."""
        return "maximise" if self.kind == "max-cut" else "minimise"

    def value(self, energy: Number) -> Number:
        """An energy, or an array of them, in the figure that is published: as it is, or the cut."""
        return 0.0 - energy if self.kind == "max-cut" else energy


def read_instance(path: str | os.PathLike[str], kind: str | None = None) -> Instance:
    """Read a published instance.

    Parameters
    ----------
    kind
        ``qubo`` or ``max-cut``. By default .bqm, .qubo, .coo and .sparse hold a QUBO, and all else is max-cut.

    Raises
    ------
    ProblemError
        Naming the file, the line, what was found and what was expected.
    """
    path = os.fspath(path)
    stem, ending = os.path.splitext(os.path.basename(path))
    name = stem if ending in _STRIPPED else stem + ending
    if kind not in (None, *KINDS):
        raise ProblemError(f"kind: found {kind!r}, expected {' or '.join(KINDS)}", source=path)
    if ending in ENDINGS:
        if kind == "max-cut":
            raise ProblemError(f"kind: found 'max-cut', but {ending} files hold a QUBO", source=path)
        return Instance(name, "qubo", read_quadratic(path))
    kind = kind or ("qubo" if ending == ".sparse" else "max-cut")
    text = _text(path)
    try:
        n, (one, other, weight) = _edges(text, kind)
        with np.errstate(over="ignore", invalid="ignore"):  # the model says so itself
            return Instance(name, kind, (_qubo if kind == "qubo" else _max_cut)(n, one, other, weight))
    except SolverError as error:  # weights whose sum is no longer finite
        raise ProblemError(str(error), source=path) from None
    except ProblemError as error:
        raise error.at(path) from None


def _qubo(n: int, one: np.ndarray, other: np.ndarray, weight: np.ndarray) -> Quadratic:
    own = one == other
    linear = np.bincount(one[own], weight[own], minlength=n)
    return merged(linear, [(one[~own], other[~own], 2.0 * weight[~own])], 0.0)


def _max_cut(n: int, one: np.ndarray, other: np.ndarray, weight: np.ndarray) -> Quadratic:
    linear = np.bincount(one, -weight, minlength=n) + np.bincount(other, -weight, minlength=n)
    return merged(linear, [(one, other, 2.0 * weight)], 0.0)


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ProblemError(f"cannot be read: {error.strerror or error}", source=path) from None
    return content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def _edges(text: str, kind: str) -> tuple[int, Triples]:
    """How many variables there are, and the edges between them, numbered from 0."""
    at, start = 0, 1
    while (end := text.find("\n", at)) >= 0 and text[at:end].strip()[:1] in ("", "#"):
        at, start = end + 1, start + 1
    head, _, body = text[at:].partition("\n")
    n, m = _header(head, start)
    found = triples(body, _columns(body) if kind == "max-cut" else 3)
    if found is None or not _plain(n, m, found, kind):
        found = _one_by_one(body, start + 1, n, m, kind)
    one, other, weight = found
    return n, (one - 1, other - 1, weight)


def _header(line: str, number: int) -> tuple[int, int]:
    words = line.split()
    if not words:
        raise ProblemError("is empty, expected a line with the numbers of variables and of edges")
    try:
        n, m = map(int, words)
        if min(n, m) < 0:
            raise ValueError
    except ValueError:
        _refuse(number, line, "the numbers of variables and of edges, such as 60 885")
    if n > MOST:
        raise ProblemError(f"line {number}: {n:,} variables, more than {MOST:,}")
    return n, m


def _columns(body: str) -> int:
    return 2 if len(body.lstrip().split("\n", 1)[0].split()) == 2 else 3


def _plain(n: int, m: int, found: Triples, kind: str) -> bool:
    """Whether edges that were read at once are as they should be."""
    one, other, weight = found
    if len(one) != m or not np.all(np.isfinite(weight)):
        return False
    if m and (min(one.min(), other.min()) < 1 or max(one.max(), other.max()) > n):
        return False
    if kind == "max-cut":
        return not np.any(one == other)
    key = np.sort(np.minimum(one, other) * (n + 1) + np.maximum(one, other))
    return not np.any(key[1:] == key[:-1])


def _one_by_one(body: str, start: int, n: int, m: int, kind: str) -> Triples:
    """The same line by line, which takes longer and knows where a fault is.

    Weights may be absent from some lines only, which is why this can succeed.
    """
    edges: dict[tuple[int, int], int] = {}
    rows: list[tuple[int, int, float]] = []
    for number, line in enumerate(body.split("\n"), start):
        if not line.strip():
            continue
        i, j, w = _edge(line, number, n, kind)
        if len(rows) == m:
            _refuse(number, line, f"no more than the {m:,} edges that line {start - 1} announces")
        if i == j and kind == "max-cut":
            _refuse(number, line, "an edge between two nodes (of a QUBO? then say so: kind qubo)")
        pair = (min(i, j), max(i, j))
        if kind == "qubo" and edges.setdefault(pair, number) != number:
            _refuse(number, line, f"each pair once, as only one triangle is given: line {edges[pair]} has it")
        rows.append((i, j, w))
    if len(rows) < m:
        raise ProblemError(f"line {start - 1} announces {m:,} edges, found {len(rows):,}: is the file cut short?")
    one, other, weight = zip(*rows) if rows else ((), (), ())
    return np.array(one, np.int64), np.array(other, np.int64), np.array(weight, np.float64)


def _edge(line: str, number: int, n: int, kind: str) -> tuple[int, int, float]:
    words = line.split()
    shape = "two numbers of variables and a weight" if kind == "qubo" else "two numbers of nodes, and a weight or none"
    try:
        i, j, w = int(words[0]), int(words[1]), float(words[2]) if len(words) > 2 or kind == "qubo" else 1.0
    except (ValueError, IndexError):
        _refuse(number, line, shape)
    if len(words) > 3:
        _refuse(number, line, shape)
    if not (1 <= i <= n and 1 <= j <= n):
        _refuse(number, line, f"numbers from 1 to {n:,}")
    if not np.isfinite(w):
        _refuse(number, line, "a weight that is finite")
    return i, j, w


def _refuse(number: int, line: str, expected: str) -> NoReturn:
    raise ProblemError(f"line {number}: found {line.strip()[:_SHOWN]!r}, expected {expected}")
