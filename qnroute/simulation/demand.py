"""Demand: the requests of one run as columns, sorted by arrival.

Slots are numbered from 0, nodes by their index in the network. A request may be served from its slot of arrival
to its deadline, both included (`docs/simulation.md`).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval
from numpy.typing import ArrayLike

from qnroute import fields
from qnroute.columns import read_only, rows_of
from qnroute.errors import SHOWN, ProblemError
from qnroute.fields import Count, Positive, Probability, record
from qnroute.network import Network
from qnroute.problem import Request
from qnroute.simulation.parameters import whole

MOST_CELLS = 2**27  # of a table of slots by pairs: 1 GiB
_LAST_NODE = 2**31 - 2  # so that numbers of pairs fit into 64 bits

_NodeIndex = Annotated[int, Interval(ge=0, le=_LAST_NODE)]


@record
class _Row:
    """What the columns may hold."""

    source: _NodeIndex
    target: _NodeIndex
    arrival: Count
    deadline: Count
    floor: Probability = 0.0
    weight: Positive = 1.0


COLUMNS = tuple(field.name for field in dataclasses.fields(_Row))


# --- unordered pairs of nodes ---


def pair_index(u: ArrayLike, v: ArrayLike) -> np.ndarray:
    """Numbers of unordered pairs of nodes: 0, 1, 2, ... for (0, 1), (0, 2), (1, 2), (0, 3), ...

    The pairs of n nodes have the numbers 0 to n (n - 1) / 2 - 1, and keep them when nodes are added.

    Parameters
    ----------
    u, v
        Node indices of any one shape, different from each other, either way round.

    Raises
    ------
    ProblemError
        A node is paired with itself, or an index is negative or too large.
    """
    u, v = np.broadcast_arrays(np.asarray(u, dtype=np.int64), np.asarray(v, dtype=np.int64))
    low, high = np.minimum(u, v), np.maximum(u, v)
    if np.any(low == high):
        raise ProblemError(f"pairs: node {low[low == high].flat[0]} paired with itself, expected two different nodes")
    if np.any((low < 0) | (high > _LAST_NODE)):
        raise ProblemError(f"pairs: expected node indices in [0, {_LAST_NODE}]")
    return high * (high - 1) // 2 + low


def pair_of(number: ArrayLike) -> np.ndarray:
    """(..., 2) node indices u < v of the pairs with these numbers, see `pair_index`."""
    number = np.asarray(number, dtype=np.int64)
    if np.any((number < 0) | (number > pair_index(_LAST_NODE - 1, _LAST_NODE))):
        raise ProblemError("pairs: expected numbers of pairs, at least 0")
    high = ((1 + np.sqrt(1 + 8.0 * number)) / 2).astype(np.int64)
    high -= high * (high - 1) // 2 > number  # the square root may be off by one place, either way
    high += high * (high + 1) // 2 <= number
    return np.stack([number - high * (high - 1) // 2, high], axis=-1)


# --- demand ---


@dataclass(frozen=True, eq=False)
class Demand:
    """The Q requests of one run; read-only columns sorted by arrival, equal arrivals in the order given.

    Attributes
    ----------
    source, target : (Q,) int64
        Node indices.
    arrival, deadline : (Q,) int64
        Slots, the deadline not before the arrival.
    floor : (Q,) float64
        Least end-to-end fidelity in [0, 1]; one number stands for all.
    weight : (Q,) float64
        More than 0; one number stands for all.

    Raises
    ------
    ProblemError
        With every fault found; of one column with many, the first are spelled out.
    """

    source: np.ndarray
    target: np.ndarray
    arrival: np.ndarray
    deadline: np.ndarray
    floor: np.ndarray = 0.0  # type: ignore[assignment]
    weight: np.ndarray = 1.0  # type: ignore[assignment]

    def __post_init__(self) -> None:
        columns, faults = _columns({name: getattr(self, name) for name in COLUMNS})
        if not faults:
            faults = list(_faults_between(columns))
        if faults:
            raise ProblemError(faults)
        arrival = columns["arrival"]
        if np.any(arrival[1:] < arrival[:-1]):
            order = np.argsort(arrival, kind="stable")
            columns = {name: values[order] for name, values in columns.items()}
        for name, values in columns.items():
            object.__setattr__(self, name, read_only(values))

    @classmethod
    def from_requests(cls, network: Network, requests: Iterable[Request | Mapping[str, Any]]) -> Demand:
        """The demand that `requests` on `network` make; `min_fidelity` is the floor. Their ids are not kept.

        Raises
        ------
        ProblemError
            A request without arrival or deadline, between unknown nodes, or for more than one route.
        """
        if not isinstance(requests, Iterable):
            raise ProblemError(f"requests: expected a list, found {fields.brief(requests)}")
        rows, faults = rows_of(Request, requests, "requests")
        faults += [f"requests[{i}].{fault}" for i, row in enumerate(rows) for fault in _unfit(network, row)]
        if faults:
            raise ProblemError(faults)
        return cls(
            [network.index[row.source] for row in rows],
            [network.index[row.target] for row in rows],
            [row.arrival for row in rows],
            [row.deadline for row in rows],
            [row.min_fidelity for row in rows],
            [row.weight for row in rows],
        )

    def requests(self, network: Network) -> list[Request]:
        """One `Request` on `network` for each row, called r1, r2, ..."""
        self.require_nodes(network.n_nodes)
        names = network.node_ids
        rows = zip(*(getattr(self, name).tolist() for name in COLUMNS))
        return [
            Request(f"r{k}", names[u], names[v], weight, floor, arrival=arrival, deadline=deadline)
            for k, (u, v, arrival, deadline, floor, weight) in enumerate(rows, start=1)
        ]

    def require_nodes(self, n_nodes: int) -> None:
        """Refuse demand between nodes that a network of `n_nodes` does not have."""
        worst = max(self.source.max(initial=-1), self.target.max(initial=-1))
        if worst >= n_nodes:
            raise ProblemError(f"demand: found node {worst}, expected indices of the {n_nodes} nodes of the network")

    def limited(self, slots: int) -> Demand:
        """Only the requests that a run of so many slots can judge: those whose deadline is one of its slots."""
        return self._taken(self.deadline < whole("slots", slots))

    def counts(self, pairs: ArrayLike, slots: int) -> np.ndarray:
        """(slots, P) int64 number of arrivals in each slot between each pair of nodes, either way round.

        Parameters
        ----------
        pairs
            (P, 2) node indices, each pair once, either way round. Requests between others are not counted.
        slots
            The first so many.

        Raises
        ------
        ProblemError
            `pairs` is no such list, or the table would be too large.
        """
        number, slots = _pair_numbers(pairs), whole("slots", slots)
        if slots * len(number) > MOST_CELLS:
            raise ProblemError(f"counts: {slots} slots by {len(number)} pairs, expected {MOST_CELLS} entries at most")
        order = np.argsort(number)
        early = self.arrival < slots
        wanted = pair_index(self.source[early], self.target[early])
        place = np.searchsorted(number, wanted, sorter=order)
        known = place < len(number)
        known[known] = number[order[place[known]]] == wanted[known]
        cell = self.arrival[early][known] * len(number) + order[place[known]]
        return np.bincount(cell, minlength=slots * len(number)).reshape(slots, len(number))

    def to_dict(self) -> dict[str, list]:
        """The columns as plain lists, for JSON."""
        return {name: getattr(self, name).tolist() for name in COLUMNS}

    @classmethod
    def from_dict(cls, columns: Mapping[str, Any]) -> Demand:
        """The demand with these columns; `floor` and `weight` may be left out."""
        if not isinstance(columns, Mapping):
            raise ProblemError(f"demand: expected columns by name, found {fields.brief(columns)}")
        faults = [f"{fields.brief_name(name)}: unknown column, expected some of {', '.join(COLUMNS)}"
                  for name in columns if name not in COLUMNS]  # fmt: skip
        faults += [f"{name}: missing, but required" for name in COLUMNS[:4] if name not in columns]
        if faults:
            raise ProblemError(faults, source="demand")
        return cls(**columns)

    def _taken(self, which: np.ndarray) -> Demand:
        return Demand(*(getattr(self, name)[which] for name in COLUMNS))

    def __len__(self) -> int:
        return len(self.source)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Demand):
            return NotImplemented
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in COLUMNS)

    __hash__ = None  # type: ignore[assignment]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copied or unpickled demand is as immutable as its original; numpy forgets that on the way."""
        self.__dict__.update({name: read_only(values) for name, values in state.items()})

    def __repr__(self) -> str:
        last = f", slots {self.arrival[0]} to {self.arrival[-1]}" if len(self) else ""
        return f"<Demand: {len(self)} requests{last}>"


def _columns(given: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Each column in its own type, and what is wrong with their values."""
    columns, faults, size = {}, [], None
    for name, values in given.items():
        _, whole_numbers = fields.bounds(_Row, name)
        try:
            column = _numbers(name, values, size, whole_numbers)
        except ProblemError as error:
            faults += error.faults
            continue
        size = len(column) if size is None else size
        alone = np.ndim(values) == 0
        faults += _first(
            fields.column_faults(_Row, name, column[:1] if alone else column, "requests", alone=alone), name
        )
        columns[name] = column
    return columns, faults


def _numbers(name: str, values: Any, size: int | None, whole_numbers: bool) -> np.ndarray:
    """One column: `size` values, or one for all; of any length where `size` is not known yet."""
    try:
        given = np.asarray(values)
    except ValueError:  # rows of different lengths
        given = np.empty(0, dtype=object)
    if given.dtype.kind not in "iuf" or (given.ndim != 1 and (given.ndim or size is None)):
        raise ProblemError(f"requests.{name}: found {fields.brief(values)}, expected a column of numbers")
    if given.ndim and size is not None and len(given) != size:
        raise ProblemError(f"requests.{name}: found {len(given)} values, expected {size}, as many as sources")
    if whole_numbers and given.dtype.kind != "i":
        broken = np.flatnonzero(~((given == np.floor(given)) & (np.abs(given) <= fields.LARGEST)))
        told = (f"requests[{k}].{name}: found {given.flat[k]!s}, expected an integer" for k in broken)
        if broken.size:
            raise ProblemError(_first(told, name))
    shape = given.shape if size is None else (size,)
    return np.broadcast_to(given, shape).astype(np.int64 if whole_numbers else np.float64)


def _faults_between(columns: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Faults that only show between columns."""
    same = np.flatnonzero(columns["source"] == columns["target"])
    yield from _first((f"requests[{k}].target: is the source, expected two different nodes" for k in same), "target")
    arrival, deadline = columns["arrival"], columns["deadline"]
    late = np.flatnonzero(deadline < arrival)
    told = (f"requests[{k}].deadline: found {deadline[k]}, expected at least the arrival, {arrival[k]}" for k in late)
    yield from _first(told, "deadline")


def _first(faults: Iterator[str], column: str) -> list[str]:
    """The first few: a column of a million faults is told in a line more."""
    told = list(itertools.islice(faults, SHOWN + 1))
    return told if len(told) <= SHOWN else [*told[:SHOWN], f"requests.{column}: more of the same"]


def _unfit(network: Network, row: Request) -> Iterator[str]:
    """What keeps a request out of a simulation."""
    for name in ("source", "target"):
        if getattr(row, name) not in network.index:
            yield f"{name}: no node is called {fields.brief(getattr(row, name))}"
    for name in ("arrival", "deadline"):
        slot = getattr(row, name)
        if slot is None or slot < 0:
            yield f"{name}: found {slot}, expected a slot, at least 0"
    if row.routes != 1:
        yield f"routes: found {row.routes}, expected 1: in a simulation one pair serves a request"


def _pair_numbers(pairs: Any) -> np.ndarray:
    """(P,) numbers of a list of distinct pairs."""
    try:
        rows = np.asarray(pairs)
    except ValueError:  # rows of different lengths
        rows = np.empty(0)
    if rows.ndim != 2 or rows.shape[1] != 2 or rows.dtype.kind not in "iu":
        raise ProblemError(f"pairs: found {fields.brief(pairs)}, expected rows of two node indices")
    number = pair_index(*rows.T)
    if len(np.unique(number)) < len(number):
        raise ProblemError("pairs: some pair stands there twice, expected each once")
    return number
