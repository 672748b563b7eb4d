"""Link dynamics: the true success probability of each link in each slot.

Records say what changes; they act one after another on the network's own p, which is the nominal one. A series holds
the outcome in epochs of `slots_per_epoch` slots each (`docs/simulation.md`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
from annotated_types import Ge, Interval, Le
from numpy.typing import ArrayLike

from qnroute import fields
from qnroute.columns import read_only
from qnroute.errors import ProblemError
from qnroute.fields import NonNegative, Positive, Probability, Real, record
from qnroute.network import Network
from qnroute.simulation.parameters import DYNAMICS as STREAM
from qnroute.simulation.parameters import Seed, by_kind, generator, of_dict, plain, whole

MOST_VALUES = 25_000_000  # epochs times links: 200 MB

_MeanSlots = Annotated[Positive, Ge(1), Le(1e12)]
_BelowOne = Annotated[Real, Interval(ge=0, lt=1)]


@dataclass(frozen=True, eq=False)
class PSeries:
    """The true p of m links in E epochs: slot t has row ``t // slots_per_epoch``, later slots the last row.

    Attributes
    ----------
    p : (E, m) float64
        In [0, 1]; 0 is an outage. Read-only.
    slots_per_epoch : int
        At least 1.

    Raises
    ------
    ProblemError
        With every fault found.
    """

    p: np.ndarray
    slots_per_epoch: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "slots_per_epoch", whole("slots_per_epoch", self.slots_per_epoch, least=1))
        object.__setattr__(self, "p", read_only(_table(self.p)))

    def at(self, slot: int) -> np.ndarray:
        """(m,) p of each link in a slot."""
        return self.p[min(whole("slot", slot) // self.slots_per_epoch, len(self.p) - 1)]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PSeries):
            return NotImplemented
        return self.slots_per_epoch == other.slots_per_epoch and np.array_equal(self.p, other.p)

    __hash__ = None  # type: ignore[assignment]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copied or unpickled series is as immutable as its original; numpy forgets that on the way."""
        self.__dict__.update(state)
        read_only(self.p)

    def __repr__(self) -> str:
        return f"<PSeries: {len(self.p)} epochs of {self.slots_per_epoch} slots, {self.p.shape[1]} links>"


def _table(given: ArrayLike) -> np.ndarray:
    """A copy of a table of probabilities, checked."""
    try:
        values = np.asarray(given)
    except ValueError:  # rows of different lengths
        values = np.empty(0, dtype=object)
    if values.dtype.kind not in "iuf" or values.ndim != 2 or not len(values):
        raise ProblemError(f"p: found {fields.brief(given)}, expected a table of epochs by links")
    bad = np.argwhere(~((values >= 0) & (values <= 1)))
    if len(bad):
        raise ProblemError([f"p[{i}][{e}]: found {values[i, e]!s}, expected in [0, 1]" for i, e in bad[:1000]])
    return values.astype(np.float64)


class Clock:
    """When epochs are: E of them, `step` slots each, from slot `start` of the clock."""

    def __init__(self, start: int, epochs: int, step: int):
        self.epochs, self.step = epochs, step
        self.middle = start + step * np.arange(self.epochs) + (step - 1) / 2  # (E,) stands for the whole epoch


class Dynamics(Protocol):
    """One thing that changes p."""

    kind: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """``{"kind": ..., parameters}`` as plain JSON values."""

    def apply(self, p: np.ndarray, network: Network, clock: Clock, rng: np.random.Generator) -> np.ndarray:
        """(E, m) what becomes of p, itself (E, m); `p` may be changed in place."""


@record
class _Kind:
    def to_dict(self) -> dict[str, Any]:
        """``{"kind": ..., parameters}`` as plain JSON values."""
        return plain(self)


@record
class Constant(_Kind):
    """Nothing changes."""

    kind: ClassVar[str] = "constant"

    def apply(self, p: np.ndarray, network: Network, clock: Clock, rng: np.random.Generator) -> np.ndarray:
        """The same p."""
        return p


@record
class Drift(_Kind):
    """The logit of each link's p wanders about its nominal value, each link by itself.

    An Ornstein-Uhlenbeck process, exact at any step (Uhlenbeck and Ornstein, Phys. Rev. 36, 823 (1930)): normal with
    standard deviation `sd`, autocorrelation ``exp(-slots / correlation_slots)``. It starts anywhere (`stationary`) or
    at the `nominal` value. The nominal p is the median in time, not the mean.
    """

    kind: ClassVar[str] = "drift"
    sd: Annotated[NonNegative, Le(100)] = 0.5
    correlation_slots: Annotated[Positive, Le(1e12)] = 200.0
    start: Literal["stationary", "nominal"] = "stationary"

    def apply(self, p: np.ndarray, network: Network, clock: Clock, rng: np.random.Generator) -> np.ndarray:
        """p with its odds multiplied by the exponential of the process."""
        keep = np.exp(-clock.step / self.correlation_slots)
        fresh = self.sd * np.sqrt(-np.expm1(-2 * clock.step / self.correlation_slots))
        x = rng.standard_normal(p.shape)
        x[0] *= self.sd if self.start == "stationary" else 0.0
        x[1:] *= fresh
        for epoch in range(1, len(x)):
            x[epoch] += keep * x[epoch - 1]
        return _with_odds(p, np.exp(np.clip(x, -700, 700, out=x), out=x))


@record
class Diurnal(_Kind):
    """The odds of each link's p, or p itself, go up and down with the time of day.

    The factor is ``1 + amplitude * sin(2 pi (slot / slots_per_day + phase))``; p is cut at 1.
    """

    kind: ClassVar[str] = "diurnal"
    amplitude: _BelowOne = 0.3
    phase: Real = 0.0  # days
    slots_per_day: Positive = 96.0
    of: Literal["odds", "p"] = "odds"

    def apply(self, p: np.ndarray, network: Network, clock: Clock, rng: np.random.Generator) -> np.ndarray:
        """p multiplied, or its odds; each epoch as in its middle."""
        factor = 1 + self.amplitude * np.sin(2 * np.pi * ((clock.middle / self.slots_per_day + self.phase) % 1))
        return np.minimum(p * factor[:, None], 1.0) if self.of == "p" else _with_odds(p, factor[:, None])


@record
class Outages(_Kind):
    """Links and nodes fail and are repaired, each by itself; p is 0 while a link or one of its ends is down.

    The times up and down are geometric with means `mtbf` and `mttr` slots, from the stationary state on, or with all
    up at first (`nominal`). `share` of the links and `node_share` of the nodes, chosen at random, are concerned.
    Epochs of several slots see the state at their first slot.
    """

    kind: ClassVar[str] = "outages"
    mtbf: _MeanSlots = 500.0
    mttr: _MeanSlots = 20.0
    share: Probability = 1.0
    node_share: Probability = 0.0
    start: Literal["stationary", "nominal"] = "stationary"

    def apply(self, p: np.ndarray, network: Network, clock: Clock, rng: np.random.Generator) -> np.ndarray:
        """p, or 0 while down."""
        links = rng.permutation(network.n_links)[: round(self.share * network.n_links)]
        nodes = rng.permutation(network.n_nodes)[: round(self.node_share * network.n_nodes)]
        # one after another, so that failing nodes leave the luck of links as it is
        for epoch, down in enumerate(self._down(len(links), clock, rng)):
            p[epoch, links[down]] = 0.0
        for epoch, down in enumerate(self._down(len(nodes), clock, rng)):
            failed = np.zeros(network.n_nodes, dtype=bool)
            failed[nodes[down]] = True
            p[epoch, failed[network.source] | failed[network.target]] = 0.0
        return p

    def _down(self, count: int, clock: Clock, rng: np.random.Generator) -> Iterable[np.ndarray]:
        """(count,) who is down, epoch after epoch: a Markov chain of two states, `step` slots at a time."""
        if not count:
            return
        at_rest = self.mttr / (self.mtbf + self.mttr)
        fades = 1 - (1 - 1 / self.mtbf - 1 / self.mttr) ** clock.step
        down = rng.random(count) < (at_rest if self.start == "stationary" else 0.0)
        for _ in range(clock.epochs):
            yield down
            luck = rng.random(count)
            down = np.where(down, luck >= (1 - at_rest) * fades, luck < at_rest * fades)


def _with_odds(p: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """p with its odds p / (1 - p) multiplied; what is impossible or certain stays so."""
    gained = p * factor
    return gained / (gained + (1.0 - p))


KINDS: Mapping[str, type] = MappingProxyType({made.kind: made for made in (Constant, Drift, Diurnal, Outages)})


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
) -> PSeries:
    """The true p of each link in a run of so many slots.

    Parameters
    ----------
    records
        What changes p, in this order: records, their kinds, or mappings as `to_dict` makes them; one or a list.
        Each has luck of its own: those added at the end leave that of the others as it is.
    slots_per_epoch
        For so long p stays the same. Where nothing changes there is one epoch.
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
        return PSeries(network.p[None, :], max(slots, 1))
    start, epochs = whole("start", start), max(-(-slots // step), 1)
    if epochs * network.n_links > MOST_VALUES or epochs > MOST_VALUES:
        enough = -(-slots // max(MOST_VALUES // max(network.n_links, 1), 1))
        raise ProblemError(
            f"slots_per_epoch: found {step}, {epochs} epochs of {network.n_links} links, expected {MOST_VALUES} "
            f"values at most; raise it to {enough}"
        )
    clock = Clock(start, epochs, step)
    p = np.tile(network.p, (clock.epochs, 1))
    for place, each in enumerate(made):
        p = each.apply(p, network, clock, generator(seed, STREAM, place))
    return PSeries(p, step)


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
