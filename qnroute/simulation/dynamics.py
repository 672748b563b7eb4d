"""Link dynamics: the true success probability and fidelity of each link in each slot.

Records say what changes; they act one after another on the network's own p and fidelity, which are the nominal ones.
A series holds the outcome in epochs of `slots_per_epoch` slots each (`docs/simulation.md`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qnroute import fields
from qnroute.columns import read_only
from qnroute.errors import ProblemError
from qnroute.network import Network
from qnroute.simulation.changes import KINDS, Clock, Constant, Dynamics, Truth
from qnroute.simulation.parameters import DYNAMICS as STREAM
from qnroute.simulation.parameters import Seed, by_kind, generator, of_dict, whole

MOST_VALUES = 25_000_000  # epochs times links: 200 MB
_NOISE = 0.25  # fidelity of white noise


@dataclass(frozen=True, eq=False)
class LinkSeries:
    """The truth of m links in E epochs: slot t has row ``t // slots_per_epoch``, later slots the last row.

    Attributes
    ----------
    p : (E, m) float64
        In [0, 1]; 0 is an outage. Read-only.
    slots_per_epoch : int
        At least 1.
    fidelity : (E, m) float64 or None
        Of pairs made in each epoch, in (0.25, 1]; None: always the network's own. Read-only.

    Raises
    ------
    ProblemError
        With every fault found.
    """

    p: np.ndarray
    slots_per_epoch: int = 1
    fidelity: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "slots_per_epoch", whole("slots_per_epoch", self.slots_per_epoch, least=1))
        faults = []
        for name, least in (("p", 0.0), ("fidelity", _NOISE)):
            if getattr(self, name) is not None or name == "p":
                values, found = _table(name, getattr(self, name), least)
                faults += found
                object.__setattr__(self, name, read_only(values))
        if not faults and self.fidelity is not None and self.fidelity.shape != self.p.shape:
            faults.append(f"fidelity: found the shape {self.fidelity.shape}, expected that of p, {self.p.shape}")
        if faults:
            raise ProblemError(faults)

    def at(self, slot: int) -> np.ndarray:
        """(m,) p of each link in a slot."""
        return self.p[min(whole("slot", slot) // self.slots_per_epoch, len(self.p) - 1)]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LinkSeries):
            return NotImplemented
        if (self.fidelity is None) != (other.fidelity is None) or self.slots_per_epoch != other.slots_per_epoch:
            return False
        return np.array_equal(self.p, other.p) and (
            self.fidelity is None or np.array_equal(self.fidelity, other.fidelity)
        )

    __hash__ = None  # type: ignore[assignment]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copied or unpickled series is as immutable as its original; numpy forgets that on the way."""
        self.__dict__.update(state)
        for values in (self.p, self.fidelity):
            if values is not None:
                read_only(values)

    def __repr__(self) -> str:
        return f"<LinkSeries: {len(self.p)} epochs of {self.slots_per_epoch} slots, {self.p.shape[1]} links>"


def _table(name: str, given: ArrayLike, least: float) -> tuple[np.ndarray, list[str]]:
    """A copy of a table of epochs by links, and its faults: numbers up to 1, from 0 or above the fidelity of noise."""
    try:
        values = np.asarray(given)
    except ValueError:  # rows of different lengths
        values = np.empty(0, dtype=object)
    if values.dtype.kind not in "iuf" or values.ndim != 2 or not len(values):
        return np.empty((1, 0)), [f"{name}: found {fields.brief(given)}, expected a table of epochs by links"]
    bad = np.argwhere(~((values > least if least else values >= least) & (values <= 1)))[:1000]
    expected = f"({least}, 1]" if least else "[0, 1]"
    faults = [f"{name}[{i}][{e}]: found {values[i, e]!s}, expected in {expected}" for i, e in bad]
    return values.astype(np.float64), faults


def dynamics(kind: str, **parameters: Any) -> Dynamics:
    """A record of one of the `KINDS` of change, by name.

    Raises
    ------
    ProblemError
        No such kind, or a parameter that is unknown or out of range.
    """
    return by_kind("dynamics", KINDS, kind, parameters)


def dynamics_of(parameters: Mapping[str, Any]) -> Dynamics:
    """The record that its `to_dict` tells of."""
    return of_dict("dynamics", KINDS, parameters)


def draw_dynamics(
    network: Network,
    records: Any,
    slots: int,
    *,
    seed: Seed,
    slots_per_epoch: int = 1,
    start: int = 0,
) -> LinkSeries:
    """The true p and fidelity of each link in a run of so many slots.

    Parameters
    ----------
    records
        What changes, in this order: records, their kinds, or mappings as `to_dict` makes them; one or a list.
        Each has luck of its own: those added at the end leave that of the others as it is.
    slots_per_epoch
        For so long all stays the same. Where nothing changes there is one epoch.
    start
        Slot of the clock at which the run starts.

    Raises
    ------
    ProblemError
        A bad record, or a table of epochs by links that is too large.
    """
    made = records_of(records)
    slots, step = whole("slots", slots), whole("slots_per_epoch", slots_per_epoch, least=1)
    if all(isinstance(each, Constant) for each in made):
        return LinkSeries(network.p[None, :], max(slots, 1))
    start, epochs = whole("start", start), max(-(-slots // step), 1)
    if epochs * network.n_links > MOST_VALUES or epochs > MOST_VALUES:
        enough = -(-slots // max(MOST_VALUES // max(network.n_links, 1), 1))
        raise ProblemError(
            f"slots_per_epoch: found {step}, {epochs} epochs of {network.n_links} links, expected {MOST_VALUES} "
            f"values at most; raise it to {enough}"
        )
    clock = Clock(start, epochs, step)
    links = Truth(network, np.tile(network.p, (clock.epochs, 1)))
    for place, each in enumerate(made):
        each.apply(links, clock, partial(_luck, seed, place))
    return LinkSeries(links.p, step, links.fidelity())


def _luck(seed: Seed, place: int, part: int) -> np.random.Generator:
    """One part of the luck of a record."""
    return generator(seed, STREAM, place, *([part] if part else []))


def records_of(records: Any) -> tuple[Dynamics, ...]:
    """Records from records, their kinds or their parameters: one or several; faults name the place in the list."""
    one = isinstance(records, (str, Mapping, *KINDS.values())) or not isinstance(records, Iterable)
    made, faults = [], []
    for place, given in enumerate([records] if one else records):
        try:
            known = isinstance(given, tuple(KINDS.values()))
            made.append(given if known else dynamics(given) if isinstance(given, str) else dynamics_of(given))
        except ProblemError as error:
            faults += [f"dynamics[{place}]: {fault.removeprefix('dynamics: ')}" for fault in error.faults]
    if faults:
        raise ProblemError(faults)
    return tuple(made)
