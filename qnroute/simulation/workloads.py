"""Workloads: who asks whom for entanglement, when, how good, and for how long.

A workload is a record of parameters. Its `process` draws what stays fixed on one network (which pairs ask much, which
have a timetable); the process draws runs. Slots of a run count from 0; `start` is where the clock stands then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Protocol

import numpy as np
from annotated_types import Ge, Le
from pydantic import BeforeValidator

from qnroute import fields
from qnroute.columns import read_only
from qnroute.errors import ProblemError
from qnroute.fields import Count, NonNegative, Positive, PositiveCount, Probability, record
from qnroute.generate import DRAWN, Range
from qnroute.simulation.arrivals import Cycle, OnOff, Source, Timetable
from qnroute.simulation.demand import MOST_CELLS, Demand, pair_of
from qnroute.simulation.matrices import Series, checked_matrices, pair_traffic, read_series
from qnroute.simulation.parameters import ARRIVALS, STRUCTURE, Seed, by_kind, generator, of_dict, plain, whole

MOST_REQUESTS = 10_000_000
MOST_PAIRS = 2_000_000
HOURS = 24

_Hour = Annotated[NonNegative, Le(HOURS)]
_MeanSlots = Annotated[Positive, Ge(1), Le(1e9)]


@record
class _Asked:
    """What all workloads say of their requests; the floor, the patience and the weight are numbers or ranges."""

    rate: Annotated[Positive, Le(MOST_REQUESTS)] = 0.5  # requests per slot over all pairs, in the mean over time
    floor: Annotated[Probability, DRAWN] = Range(0.6, 0.9)
    patience: Annotated[Count, DRAWN] = Range(3, 12)  # slots from arrival to deadline
    weight: Annotated[Positive, DRAWN] = Range(1.0, 1.0)

    def to_dict(self) -> dict[str, Any]:
        """``{"kind": ..., parameters}`` as plain JSON values."""
        return plain(self)


class Workload(Protocol):
    """A kind of demand with its parameters."""

    kind: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """``{"kind": ..., parameters}`` as plain JSON values."""

    def process(self, n_nodes: int, *, seed: Seed) -> Process:
        """What stays fixed from run to run on a network of so many nodes, drawn with `seed`."""


@dataclass(frozen=True, eq=False)
class Process:
    """A workload on a network of `n_nodes` nodes: all that stays the same from run to run.

    Attributes
    ----------
    pairs : (P, 2) int64
        The pairs of nodes that ask, u < v; in order of demand where the workload has an order.
    sources
        Streams of arrivals, which add up.
    notes
        What there is to know about the data behind it, one line each.
    """

    workload: Any
    n_nodes: int
    pairs: np.ndarray
    sources: tuple[Source, ...]
    notes: tuple[str, ...] = ()

    def rates(self, start: int, slots: int) -> np.ndarray:
        """(slots, P) expected arrivals from slot `start` of the clock, per slot and pair, before any is left out."""
        start, slots = whole("start", start), whole("slots", slots)
        if slots * len(self.pairs) > MOST_CELLS:
            raise ProblemError(f"rates: {slots} slots by {len(self.pairs)} pairs, expected {MOST_CELLS} at most")
        return sum(source.rates(start, slots) for source in self.sources)

    def draw(self, slots: int, *, seed: Seed, start: int = 0, beyond: bool = False) -> Demand:
        """The demand of one run.

        Parameters
        ----------
        slots
            Length of the run.
        seed
            A number or several; the same numbers, `slots` and `start` give the same demand.
        start
            Slot of the clock at which the run starts; in the demand it has the number 0.
        beyond
            Keep requests whose deadline is not within the run. They are left out otherwise: the run ends while they
            may still be served, so it cannot tell success from failure. That thins the demand of the last slots.
        """
        slots, start = whole("slots", slots), whole("start", start)
        expected = self.workload.rate * slots
        if expected > MOST_REQUESTS:
            raise ProblemError(f"slots: about {expected:.3g} requests would be drawn, expected {MOST_REQUESTS} at most")
        rng = generator(seed, ARRIVALS, start)
        drawn = [source.arrivals(start, slots, rng) for source in self.sources]
        slot, pair = (np.concatenate(parts) for parts in zip(*drawn))
        order = np.lexsort((rng.random(len(slot)), slot))  # within a slot no pair is always first
        slot, ends = slot[order], self.pairs[pair[order]]
        ends = np.where(rng.random(len(slot))[:, None] < 0.5, ends, ends[:, ::-1])
        terms = self.workload
        patience, floor, weight = (part.draw(rng, len(slot)) for part in (terms.patience, terms.floor, terms.weight))
        demand = Demand(*ends.T, slot, slot + patience, floor, weight)
        return demand if beyond else demand.limited(slots)

    def __repr__(self) -> str:
        return f"<Process {self.workload.kind}: {len(self.pairs)} pairs of {self.n_nodes} nodes>"


# --- kinds ---


@record
class BusinessHours(_Asked):
    """Few pairs ask much and some ask less, all of them more by day (paper C, C4 and C10; the rate is ours).

    `high_share` of the traffic falls on `high_pairs` in equal parts, the rest on `medium_pairs`. From `busy_from` to
    `busy_to` (hours) the rate is `busier` times that of the other slots; `rate` is the mean over a day.
    `periodic_share` of each pair's traffic keeps to a timetable, the same every day; the rest is Poisson.
    """

    kind: ClassVar[str] = "business-hours"
    slots_per_day: Annotated[PositiveCount, Le(1_000_000)] = 96
    busy_from: _Hour = 9.0
    busy_to: _Hour = 17.0
    busier: Annotated[Positive, Le(1e6)] = 3.0
    high_pairs: Count = 5
    medium_pairs: Count = 15
    high_share: Probability = 0.5
    periodic_share: Probability = 0.0

    def __post_init__(self) -> None:
        if self.busy_from > self.busy_to:
            raise ProblemError(f"busy_from {self.busy_from:g} is after busy_to {self.busy_to:g}")
        for name, pairs, share in (("high", self.high_pairs, self.high_share),
                                   ("medium", self.medium_pairs, 1 - self.high_share)):  # fmt: skip
            if share > 0 and not pairs:
                raise ProblemError(f"{name}_pairs: found 0, expected some to carry {share:g} of the traffic")

    def process(self, n_nodes: int, *, seed: Seed) -> Process:
        """Which pairs ask much and less, and their timetables."""
        rng = generator(seed, STRUCTURE)
        pairs = _some_pairs("high_pairs + medium_pairs", self.high_pairs + self.medium_pairs, n_nodes, rng)
        shares = np.repeat(
            [self.high_share / max(self.high_pairs, 1), (1 - self.high_share) / max(self.medium_pairs, 1)],
            [self.high_pairs, self.medium_pairs],
        )
        profile = self.profile()
        sources: list[Source] = [Cycle((1 - self.periodic_share) * profile, shares[None, :])]
        if self.periodic_share:
            sources.append(_timetable(self.periodic_share * profile, shares, rng))
        return Process(self, n_nodes, read_only(pairs), tuple(sources))

    def profile(self) -> np.ndarray:
        """(slots_per_day,) requests per slot over all pairs; a slot is busy if it begins in busy hours."""
        hour = np.arange(self.slots_per_day) * HOURS / self.slots_per_day
        level = np.where((hour >= self.busy_from) & (hour < self.busy_to), self.busier, 1.0)
        return self.rate * level / level.mean()


@record
class Poisson(_Asked):
    """All pairs, or so many random `pairs`, ask at one constant rate."""

    kind: ClassVar[str] = "poisson"
    pairs: PositiveCount | None = None

    def process(self, n_nodes: int, *, seed: Seed) -> Process:
        """Which pairs ask."""
        pairs = _some_pairs("pairs", self.pairs, n_nodes, generator(seed, STRUCTURE))
        even = np.full((1, len(pairs)), 1 / len(pairs))
        return Process(self, n_nodes, read_only(pairs), (Cycle(np.array([self.rate]), even),))


@record
class Bursty(_Asked):
    """All pairs, or so many random `pairs`, ask only while they are on: see `qnroute.simulation.arrivals.OnOff`."""

    kind: ClassVar[str] = "bursty"
    pairs: PositiveCount | None = 20
    mean_on: _MeanSlots = 20.0  # slots
    mean_off: _MeanSlots = 80.0

    def process(self, n_nodes: int, *, seed: Seed) -> Process:
        """Which pairs ask."""
        pairs = _some_pairs("pairs", self.pairs, n_nodes, generator(seed, STRUCTURE))
        source = OnOff(len(pairs), self.rate, self.mean_on, self.mean_off)
        return Process(self, n_nodes, read_only(pairs), (source,))


def _nested(given: Any) -> tuple | None:
    """Matrices as tuples of tuples: comparable, unchangeable, and plain for JSON."""
    try:
        values = None if given is None else checked_matrices(given, "matrices")
    except ProblemError as error:
        raise ValueError(error.faults[0]) from None
    return None if values is None else tuple(tuple(map(tuple, matrix)) for matrix in values.tolist())


@record
class Traffic(_Asked):
    """Poisson arrivals in proportion to a series of traffic matrices, each holding for `slots_per_matrix` slots.

    The series stands in a `file` (.npz, under `key`) or in `matrices` (S, n, n). What two sites send each other is
    added up; what one sends itself does not count. The mean over the series is scaled to `rate`. After the last matrix
    the first comes again, and gaps in time are closed up (`Process.notes` tell of them).

    Site i is node i. A network with more nodes than sites has nodes that never ask; one with fewer needs `sites`:
    which sites, in the order of the nodes.
    """

    kind: ClassVar[str] = "traffic"
    file: fields.Identifier | None = None
    key: fields.Identifier | None = None
    matrices: Annotated[tuple | None, BeforeValidator(_nested)] = None
    slots_per_matrix: PositiveCount = 1
    sites: tuple[Count, ...] | None = None

    def __post_init__(self) -> None:
        if (self.file is None) == (self.matrices is None):
            raise ProblemError("expected either a file or matrices")
        if self.key is not None and self.file is None:
            raise ProblemError("key: expected only together with a file")
        if self.sites is not None and (len(set(self.sites)) < len(self.sites) or len(self.sites) < 2):
            raise ProblemError(f"sites: found {self.sites!r:.60}, expected at least two different ones")

    def process(self, n_nodes: int, *, seed: Seed) -> Process:
        """The series, read and scaled; nothing is drawn."""
        generator(seed, STRUCTURE)  # a bad seed is one here too
        n_nodes = whole("n_nodes", n_nodes, least=2)
        series = Series(np.array(self.matrices)) if self.file is None else read_series(self.file, self.key)
        named = "matrices" if self.file is None else f"{self.file}: {self.key or 'matrices'}"
        pairs, traffic = pair_traffic(series.matrices, self._sites(series.matrices.shape[1], n_nodes))
        if not len(pairs):
            raise ProblemError(f"{named}: found no traffic between different sites, expected some")
        totals = traffic.sum(axis=1)
        shares = np.where(totals[:, None] > 0, traffic, 1.0)
        shares /= shares.sum(axis=1, keepdims=True)
        cycle = Cycle(self.rate * totals / totals.mean(), shares, self.slots_per_matrix)
        return Process(self, n_nodes, read_only(pairs), (cycle,), series.notes)

    def _sites(self, there: int, n_nodes: int) -> tuple[int, ...]:
        """Which sites are the first nodes of the network."""
        chosen = tuple(range(there)) if self.sites is None else self.sites
        if max(chosen) >= there:
            raise ProblemError(f"sites: found {max(chosen)}, expected indices of the {there} sites of the series")
        if len(chosen) > n_nodes:
            raise ProblemError(
                f"sites: {len(chosen)} for a network of {n_nodes} nodes, expected at most as many; choose them by sites"
            )
        return chosen


WORKLOADS: Mapping[str, type] = MappingProxyType(
    {made.kind: made for made in (BusinessHours, Poisson, Bursty, Traffic)}
)


def workload(kind: str, **parameters: Any) -> Workload:
    """A workload of one of the `WORKLOADS`, by name.

    Raises
    ------
    ProblemError
        No such kind, or a parameter that is unknown or out of range.
    """
    return by_kind("workload", WORKLOADS, kind, parameters)


def workload_of(parameters: Mapping[str, Any]) -> Workload:
    """The workload that its `to_dict` tells of."""
    return of_dict("workload", WORKLOADS, parameters)


# --- drawing structure ---


def _some_pairs(name: str, wanted: int | None, n_nodes: int, rng: np.random.Generator) -> np.ndarray:
    """(P, 2) distinct pairs of nodes in random order; all of them in order where no number is wanted."""
    n_nodes = whole("n_nodes", n_nodes, least=2)
    total = n_nodes * (n_nodes - 1) // 2
    count = total if wanted is None else wanted
    if count > total:
        raise ProblemError(f"{name}: found {count}, but {n_nodes} nodes have only {total} pairs")
    if count > MOST_PAIRS:
        raise ProblemError(f"{name}: {count} of {n_nodes} nodes, expected {MOST_PAIRS} at most")
    return pair_of(np.arange(total) if wanted is None else rng.choice(total, count, replace=False))


def _timetable(profile: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> Timetable:
    """Slots of the day for each pair, more of them where `profile` is high.

    A pair's number per day is its expected one, rounded up or down at random: with one offset for all, so that the
    total is off by less than one (systematic sampling).
    """
    if profile.sum() > MOST_REQUESTS:
        raise ProblemError(f"rate: {profile.sum():.3g} requests a day by timetable, expected {MOST_REQUESTS} at most")
    upto = np.floor(np.cumsum(profile.sum() * shares) + rng.random()).astype(np.int64)
    pair = np.repeat(np.arange(len(shares)), np.diff(upto, prepend=0))
    slot = rng.choice(len(profile), len(pair), p=profile / profile.sum())
    return Timetable(slot, pair, len(profile), len(shares))
