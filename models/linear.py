"""LinearModel: a mixed-integer linear program as named blocks of columns and rows over sparse arrays.

Always a maximization. A solver sees one `Matrix`; blocks keep what the columns and rows mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import scipy.sparse

from qnroute.errors import SolverError

if TYPE_CHECKING:
    from qnroute.allocation import Allocation
    from qnroute.problem import Problem

LARGEST = 50_000_000  # columns or nonzeros; beyond this a model is refused rather than built


@dataclass(frozen=True)
class Block:
    """A named run of columns or rows, numbered in C order over `axes`.

    `axes` are (name, labels) pairs: ``(("request", ids), ("arc", names))`` for a two-dimensional block.
    """

    name: str
    start: int
    axes: tuple[tuple[str, Sequence[Any]], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Entries along each axis."""
        return tuple(len(labels) for _, labels in self.axes)

    @property
    def size(self) -> int:
        """Entries in all."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def stop(self) -> int:
        """The number after the block's last."""
        return self.start + self.size

    @property
    def index(self) -> np.ndarray:
        """Column or row numbers in the shape of the block."""
        return np.arange(self.start, self.stop, dtype=np.int32).reshape(self.shape)

    def of(self, values: np.ndarray) -> np.ndarray:
        """This block's part of a vector over all columns (or rows), in the shape of the block."""
        return values[self.start : self.stop].reshape(self.shape)

    def names(self) -> list[str]:
        """Safe names ``block_i_j``: no brackets, no blanks, nothing an LP reader takes for a number."""
        if len(self.axes) == 1:
            return [f"{self.name}_{i}" for i in range(self.size)]
        return ["_".join((self.name, *map(str, index))) for index in np.ndindex(self.shape)]

    def meanings(self) -> list[str]:
        """What each entry stands for, in the order of `names`."""
        labels = [list(map(str, values)) for _, values in self.axes]
        return [" ".join(labels[d][i] for d, i in enumerate(index)) for index in np.ndindex(self.shape)]


@dataclass(frozen=True)
class Matrix:
    """maximize cost @ x subject to row_lower <= A x <= row_upper, lower <= x <= upper, some x integer."""

    cost: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    integer: np.ndarray
    row_lower: np.ndarray
    row_upper: np.ndarray
    a: scipy.sparse.csc_array


class LinearModel:
    """Base of the formulations: a subclass adds blocks in `__init__` and turns values into an allocation.

    Attributes
    ----------
    columns, rows : dict of `Block` by name
    """

    name: ClassVar[str] = "model"

    def __init__(self, problem: Problem):
        self.problem = problem
        self.columns: dict[str, Block] = {}
        self.rows: dict[str, Block] = {}
        self._column_parts: list[tuple[np.ndarray, ...]] = []
        self._row_parts: list[tuple[np.ndarray, ...]] = []
        self._entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    @property
    def n_columns(self) -> int:
        """Columns of all blocks."""
        return sum(block.size for block in self.columns.values())

    @property
    def n_rows(self) -> int:
        """Rows of all blocks."""
        return sum(block.size for block in self.rows.values())

    def decode(self, values: np.ndarray) -> Allocation:
        """The allocation that column values stand for."""
        raise TypeError(f"{type(self).__name__} does not say what its columns mean")

    @property
    def tail_value(self) -> float:
        """Upper bound on what the model leaves out could add to its optimum."""
        return 0.0

    # --- building ---

    def add_columns(self, name, axes, *, lower=0.0, upper=np.inf, cost=0.0, integer=False) -> Block:
        """Append a block of columns; the numbers are scalars or broadcast to the block's shape."""
        block = Block(name, self.n_columns, tuple(axes))
        self._refuse_huge(block.size, f"columns in {name}")
        if not np.all(np.isfinite(cost)):
            raise SolverError(f"{self.name}: a cost in block {name} is not finite")
        self.columns[name] = block
        self._column_parts.append(tuple(_flat(v, block.shape) for v in (lower, upper, cost, integer)))
        return block

    def add_rows(self, name, axes, *, lower=-np.inf, upper=np.inf) -> Block:
        """Append a block of rows with these bounds."""
        block = Block(name, self.n_rows, tuple(axes))
        self._refuse_huge(block.size, f"rows in {name}")
        self.rows[name] = block
        self._row_parts.append(tuple(_flat(v, block.shape) for v in (lower, upper)))
        return block

    def add_entries(self, rows, columns, values) -> None:
        """Append coefficients; the three broadcast against each other. Each (row, column) is given once."""
        rows, columns, values = np.broadcast_arrays(rows, columns, np.asarray(values, dtype=float))
        self._refuse_huge(values.size, "coefficients")
        if not np.all(np.isfinite(values)):
            raise SolverError(f"{self.name}: a coefficient is not finite")
        self._entries.append((rows, columns, values))

    @cached_property
    def matrix(self) -> Matrix:
        """The whole program as arrays."""
        lower, upper, cost, integer = _joined(self._column_parts, 4)
        row_lower, row_upper = _joined(self._row_parts, 2)
        a = _compressed(self._entries, self.n_rows, self.n_columns)
        self._entries, self._column_parts, self._row_parts = [], [], []  # a large model is held once, not twice
        return Matrix(cost, lower, upper, integer.astype(bool), row_lower, row_upper, a)

    def _refuse_huge(self, size: int, what: str) -> None:
        if size > LARGEST:
            raise SolverError(f"{self.name} would need {size:,} {what}, more than {LARGEST:,}; use another method")

    # --- names ---

    def column_names(self) -> list[str]:
        """Safe export name of every column."""
        return [name for block in self.columns.values() for name in block.names()]

    def row_names(self) -> list[str]:
        """Safe export name of every row."""
        return [name for block in self.rows.values() for name in block.names()]

    def legend(self) -> dict[str, Any]:
        """What the exported names mean: block -> axes, and name -> meaning of each column."""
        return {
            "model": self.name,
            "problem": {"name": self.problem.name, "sha256": self.problem.sha256},
            "sense": "maximize",
            "columns": {
                block.name: {
                    "axes": [axis for axis, _ in block.axes],
                    "names": dict(zip(block.names(), block.meanings())),
                }
                for block in self.columns.values()
            },
            "rows": {
                block.name: {"axes": [axis for axis, _ in block.axes], "count": block.size}
                for block in self.rows.values()
            },
        }

    # --- exports ---

    def to_highs(self):
        """A silent `highspy.Highs` that holds this model; solve it with ``.run()``."""
        from qnroute.models.exports import to_highs

        return to_highs(self.matrix)

    def to_pyomo(self):
        """A `pyomo.environ.ConcreteModel` with one variable and one constraint component for each block."""
        from qnroute.models.exports import to_pyomo

        return to_pyomo(self)

    def to_pulp(self):
        """A `pulp.LpProblem`."""
        from qnroute.models.exports import to_pulp

        return to_pulp(self)

    def write(self, path: str) -> list[str]:
        """Write ``.mps`` or ``.lp`` and beside it ``.legend.json``; returns the paths written."""
        from qnroute.models.exports import write

        return write(self, path)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.problem.name!r}: {self.n_columns} columns, {self.n_rows} rows>"


def _flat(value, shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(np.asarray(value, dtype=float), shape).ravel()


def _joined(parts: list[tuple[np.ndarray, ...]], width: int) -> list[np.ndarray]:
    return [np.concatenate(part) for part in zip(*parts)] if parts else [np.zeros(0)] * width


def _compressed(entries: list[tuple[np.ndarray, ...]], n_rows: int, n_columns: int) -> scipy.sparse.csc_array:
    """Compressed columns, filled part by part: no triplet of all entries is ever held, and nothing is sorted."""
    count = np.zeros(n_columns, dtype=np.int64)
    for _, columns, _ in entries:
        count += np.bincount(columns.ravel(), minlength=n_columns)
    indptr = np.concatenate([[0], np.cumsum(count)])
    indices, data = np.empty(indptr[-1], dtype=np.int32), np.empty(indptr[-1])
    free = indptr[:-1].copy()
    for part in entries:
        rows, columns, values = (array.ravel() for array in part)
        if np.all(columns[1:] > columns[:-1]):  # each column at most once, as in most parts
            place = free[columns]
            free[columns] += 1
        else:
            if np.any(columns[1:] < columns[:-1]):
                order = np.argsort(columns, kind="stable")
                rows, columns, values = rows[order], columns[order], values[order]
            more = np.bincount(columns, minlength=n_columns)
            place = (free - np.cumsum(more) + more)[columns] + np.arange(len(columns))
            free += more
        indices[place], data[place] = rows, values
    return scipy.sparse.csc_array((data, indices, indptr.astype(np.int32)), shape=(n_rows, n_columns))
