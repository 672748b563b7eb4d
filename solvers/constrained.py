"""Constrained quadratic models for our annealer: linear constraints become rows that are charged for their excess.

Integers and spins are written in bits, x = low + T b. Rows of which at most one bit fits become blocks where they are
disjoint, and pairs elsewhere; all others are charged. How much is proven to suffice where all rows are packings
(`qnroute.models.penalties`); elsewhere it is where the search for a sufficient strength begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy.sparse as sparse

from qnroute.errors import SolverError
from qnroute.models.encodings import worths
from qnroute.models.quadratic import Quadratic, merged
from qnroute.solvers.lanes import Model

if TYPE_CHECKING:
    import dimod

_WIDEST = 2**16  # values of an integer variable
_MOST_PAIRED = 200  # bits of a row that is written as pairs
_MARGIN = 0.05
_ABSOLUTE, _RELATIVE = 1e-8, 1e-6  # by so much dimod lets constraints be broken


class Row(NamedTuple):
    """amount b <= room over bits; `weight` is what a unit of excess costs where it is allowed, else None."""

    bit: np.ndarray
    amount: np.ndarray
    room: float
    weight: float | None = None

    @property
    def exclusive(self) -> bool:
        """Whether each bit fits alone, and no two together."""
        if (
            self.weight is not None
            or len(self.bit) < 2
            or self.amount.max() > self.room + _ABSOLUTE + _RELATIVE * abs(self.room)
        ):
            return False
        return bool(np.partition(self.amount, 1)[:2].sum() > self.room + _ABSOLUTE + _RELATIVE * abs(self.room))


class Constrained:
    """A constrained model in bits, ready to be charged.

    Attributes
    ----------
    quadratic : the objective and equalities of squared cost, over bits in the order of `Model`
    size : (N,) how much each bit may matter to the objective
    """

    def __init__(self, cqm: dimod.ConstrainedQuadraticModel):
        self._names = list(cqm.variables)
        self._number = {name: v for v, name in enumerate(self._names)}
        self._low, self._bits = self._encoded(cqm)
        parts = [self._squared(label, each) for label, each in cqm.constraints.items() if _is_squared(each)]
        self.quadratic = self._stated(cqm.objective, parts)
        rows = [row for label, each in cqm.constraints.items() for row in self._rows(label, each)]
        self._order_by_blocks(rows)
        one, other, bias = self.quadratic.couplers
        n = len(self.quadratic)
        falls, rises, squares = (
            np.bincount(one, each, n) + np.bincount(other, each, n)
            for each in (np.minimum(bias, 0.0), np.maximum(bias, 0.0), bias**2)
        )
        linear = self.quadratic.linear
        self.size = np.maximum(np.abs(linear + falls), np.abs(linear + rises))
        self._gain = np.maximum(-(linear + falls), 0.0)
        self.field = np.sqrt((linear + (falls + rises) / 2.0) ** 2 + squares / 4.0)

    def __len__(self) -> int:
        return len(self.quadratic)

    def model(self, strength: float) -> Model:
        """The model charged `strength` times what suffices for packings, or may suffice."""
        charged, pairs = [], []
        for row in self._charged:
            (pairs if row.exclusive and len(row.bit) <= _MOST_PAIRED else charged).append(row)
        penalty = np.array([self._penalty(row, strength) for row in charged])
        entry = np.repeat(np.arange(len(charged)), [len(row.bit) for row in charged])
        bit, amount = (np.concatenate([np.zeros(0), *(getattr(row, name) for row in charged)]) for name in _BOTH)
        matrix = sparse.csr_array((amount, (entry, bit.astype(np.int64))), (len(charged), len(self)))
        parts = [self.quadratic.couplers, self._conflicts(pairs, strength)]
        quadratic = merged(self.quadratic.linear, parts, self.quadratic.offset)
        return Model(quadratic, matrix, np.array([row.room for row in charged]), penalty, self._block)

    def values(self, states: np.ndarray) -> np.ndarray:
        """(S, V) what states (S, N) mean, in the order of the model's variables."""
        return self._low + states.astype(float) @ self._bits.T

    def states(self, values: np.ndarray) -> np.ndarray:
        """(S, N) bits of values (S, V) within bounds: the worth of each bit is taken in turn while it fits."""
        left, states = values - self._low, np.zeros((len(values), len(self)))
        for v in range(len(self._names)):
            part = slice(self._bits.indptr[v], self._bits.indptr[v + 1])
            bits, worth = self._bits.indices[part], self._bits.data[part]
            for t in np.argsort(-worth, kind="stable").tolist():
                states[:, bits[t]] = left[:, v] >= worth[t]
                left[:, v] -= worth[t] * states[:, bits[t]]
        for start, end in zip(self._block[:-1].tolist(), self._block[1:].tolist()):  # of a block at most one
            states[:, start:end] *= np.cumsum(states[:, start:end], axis=1) <= 1.0
        return states

    # --- reading it ---

    def _encoded(self, cqm: dimod.ConstrainedQuadraticModel) -> tuple[np.ndarray, sparse.csr_array]:
        low, worth = np.zeros(len(self._names)), []
        for v, name in enumerate(self._names):
            kind = cqm.vartype(name).name
            if kind == "REAL":
                raise SolverError(f"variable {name!r} is real: path-anneal takes binary, spin and integer ones")
            if kind == "INTEGER":
                low[v], high = np.ceil(cqm.lower_bound(name)), np.floor(cqm.upper_bound(name))
                if high < low[v]:
                    raise SolverError(f"variable {name!r}: there is no whole number within its bounds")
                if high - low[v] >= _WIDEST:
                    raise SolverError(f"variable {name!r}: from {low[v]:g} to {high:g}, more than {_WIDEST:,} values")
                worth.append(worths(int(high - low[v]), "binary"))
            else:
                low[v] = -1.0 if kind == "SPIN" else 0.0
                worth.append(np.array([1.0 - low[v]]))
        sizes = [len(each) for each in worth]
        start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        data = np.concatenate([np.zeros(0), *worth])
        return low, sparse.csr_array((data, np.arange(len(data)), start), (len(worth), len(data)))

    def _stated(self, objective, parts: list[tuple[np.ndarray, sparse.csr_array, float]]) -> Quadratic:
        """The objective over bits, and the parts (linear, quadratic, constant) over variables that are added to it."""
        count = len(self._names)
        linear = np.zeros(count)
        for name, bias in objective.linear.items():
            linear[self._number[name]] += bias
        entries = [(self._number[u], self._number[v], bias) for u, v, bias in objective.iter_quadratic()]
        row, col, bias = (np.array(part) for part in zip(*entries)) if entries else (np.zeros(0, int),) * 3
        square = sparse.csr_array((bias.astype(float), (row, col)), shape=(count, count))
        offset = float(objective.offset)
        for more, squares, constant in parts:
            linear, square, offset = linear + more, square + squares, offset + constant
        bits, low = self._bits, self._low
        inner = sparse.coo_array(bits.T @ square @ bits)
        own = inner.coords[0] == inner.coords[1]  # b^2 = b
        linear_bits = bits.T @ (linear + square @ low + square.T @ low)
        linear_bits += np.bincount(inner.coords[0][own], inner.data[own], minlength=bits.shape[1])
        couplers = (*(ends[~own].astype(np.int64) for ends in inner.coords), inner.data[~own])
        return merged(linear_bits, [couplers], offset + float(linear @ low + low @ (square @ low)))

    def _sides(self, label, each) -> tuple[np.ndarray, np.ndarray, float]:
        """Variables, amounts and right-hand side of a linear constraint."""
        if not each.lhs.is_linear():
            raise SolverError(f"constraint {label!r} has products of variables: path-anneal takes linear constraints")
        terms = [(self._number[name], bias) for name, bias in each.lhs.linear.items() if bias]
        variable, amount = (np.array(part) for part in zip(*terms)) if terms else (np.zeros(0, int), np.zeros(0))
        room = float(each.rhs) - float(each.lhs.offset)
        if not (np.isfinite(amount).all() and np.isfinite(room)):
            raise SolverError(f"constraint {label!r}: a number is not finite")
        return variable, amount.astype(float), room

    def _squared(self, label, each) -> tuple[np.ndarray, sparse.csr_array, float]:
        """weight (a x - room)^2 as linear, quadratic and constant parts over variables."""
        variable, amount, room = self._sides(label, each)
        count, weight = len(self._names), each.lhs.weight()
        a = sparse.csr_array((amount, (np.zeros(len(amount), int), variable)), shape=(1, count))
        return -2.0 * weight * room * a.toarray()[0], weight * (a.T @ a), weight * room**2

    def _rows(self, label, each) -> list[Row]:
        if _is_squared(each):
            return []
        if each.lhs.is_soft() and each.lhs.penalty() == "quadratic":
            raise SolverError(f"constraint {label!r}: excess is charged as it is, not squared; use penalty='linear'")
        variable, amount, room = self._sides(label, each)
        room -= float(amount @ self._low[variable])
        chosen = self._bits[variable]
        bit, over = chosen.indices.astype(np.int64), chosen.data * np.repeat(amount, np.diff(chosen.indptr))
        weight = each.lhs.weight() if each.lhs.is_soft() else None
        below, above = Row(bit, over, room, weight), Row(bit, -over, -room, weight)
        return {"<=": [below], ">=": [above], "==": [below, above]}[each.sense.value]

    def _order_by_blocks(self, rows: list[Row]) -> None:
        """Put disjoint rows of which one bit fits into runs; everything is numbered in this order from here on."""
        taken, runs = np.zeros(len(self.quadratic), bool), []
        for row in sorted((row for row in rows if row.exclusive), key=lambda row: -len(row.bit)):
            if not taken[row.bit].any():
                taken[row.bit] = True
                runs.append(row)
        sizes = [len(row.bit) for row in runs] + [1] * int((~taken).sum())
        self._block = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        order = np.concatenate([np.zeros(0, np.int64), *(row.bit for row in runs), np.flatnonzero(~taken)])
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        known = {id(row) for row in runs}
        self._charged = [row._replace(bit=place[row.bit]) for row in rows if id(row) not in known]
        self._bits = sparse.csr_array(self._bits[:, order])
        one, other, bias = self.quadratic.couplers
        self.quadratic = merged(self.quadratic.linear[order], [(place[one], place[other], bias)], self.quadratic.offset)

    # --- charging it ---

    def _penalty(self, row: Row, strength: float) -> float:
        if row.weight is not None:
            return row.weight
        size, unit = self.size[row.bit], _unit(row.amount)
        largest = float(self.size.max(initial=0.0)) or 1.0
        if not len(size):
            return largest
        count = 1
        if row.amount.min() > 0.0 and row.room >= 0.0:  # so many bits exceed it, and the least of them can go
            count = int(np.searchsorted(np.cumsum(-np.sort(-row.amount)), row.room, side="right")) + 1
        enough = -np.partition(-size, min(count, len(size)) - 1)[min(count, len(size)) - 1]
        return strength * (float(enough) + _MARGIN * largest) / unit

    def _conflicts(self, rows: list[Row], strength: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        keys = [np.zeros(0, np.int64)]
        for row in rows:
            one, other = np.triu_indices(len(row.bit), 1)
            low, high = np.minimum(row.bit[one], row.bit[other]), np.maximum(row.bit[one], row.bit[other])
            keys.append(low * len(self) + high)
        one, other = np.divmod(np.unique(np.concatenate(keys)), max(len(self), 1))
        extra = _MARGIN * (float(self.size.max(initial=0.0)) or 1.0)
        return one, other, strength * (np.minimum(self._gain[one], self._gain[other]) + extra)


_BOTH = ("bit", "amount")


def _is_squared(each) -> bool:
    return each.lhs.is_soft() and each.lhs.penalty() == "quadratic" and each.sense.value == "=="


def _unit(amount: np.ndarray) -> float:
    """What the amounts have in common where they are whole, else the least of them."""
    sizes = np.abs(amount)
    if not len(sizes):
        return 1.0
    if (sizes == np.rint(sizes)).all() and sizes.max() < 2.0**52:
        return float(np.gcd.reduce(sizes.astype(np.int64)))
    return float(sizes.min())
