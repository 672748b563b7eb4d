"""Streams that policies are trained on and tested on, and pools of them with all that is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qnroute.errors import ProblemError
from qnroute.fields import brief
from qnroute.learning.routing.demand import Arrivals, Demand, Stream, arrivals, gathered
from qnroute.learning.routing.online import Known
from qnroute.learning.routing.outlook import Outlook, outlook_of
from qnroute.learning.routing.pool import made
from qnroute.learning.routing.problems import NODES, SEEN, drawn
from qnroute.models.lots import Lot, instance_of, together
from qnroute.solvers.prices import prices_of

PAIRS = 2.0  # that ask, for each node
CHANNELS = 2, 5  # of a link, at least and at most
OVERLOAD = 1.5, 2.5  # requests over what the links could carry, were all served by their best routes

Source = Stream | Sequence[Stream] | Callable[[int], Stream]
"""One stream, several, or what makes one of a seed."""


@dataclass(frozen=True, eq=False)
class StreamPool:
    """Streams as one lot, with what is known of them before the first request comes."""

    streams: tuple[Stream, ...]
    lot: Lot
    demand: Demand
    outlook: Outlook

    @classmethod
    def of(cls, source: Source, *, size: int = 64, seed: int = 0) -> StreamPool:
        """The pool of some streams; where `source` makes them, those of the seeds ``seed`` to ``seed + size - 1``."""
        if isinstance(source, Stream):
            streams = (source,)
        else:
            streams = made(source, "streams", size, seed)
        for i, stream in enumerate(streams):
            if not isinstance(stream, Stream):
                raise ProblemError(f"streams[{i}]: found {brief(stream)}, expected a Stream")
        if not streams:
            raise ProblemError("streams: found none, expected at least one")
        lot, demand = gathered(streams)
        return cls(streams, lot, demand, outlook_of(lot, demand))

    def __len__(self) -> int:
        return len(self.streams)

    @property
    def known(self) -> Known:
        """What an episode goes by."""
        return Known(self.lot, self.demand, self.outlook)

    def arrivals(self, instances: np.ndarray, rng: np.random.Generator) -> Arrivals:
        """A sequence for each of these instances."""
        return arrivals(self.lot, self.demand, instances, rng)

    def bounds(self, instances: np.ndarray, come: Arrivals) -> np.ndarray:
        """(E,) proven: nobody who knew the whole sequence could serve more by the candidate routes."""
        lots = []
        for e, b in enumerate(instances.tolist()):
            count, stream = self.demand.count[b], self.streams[b]
            asked = stream.problem(come.group[e, :count] - self.lot.groups[b], come.weight[e, :count])
            most = int(np.diff(stream.instance.lot.first).max())
            lots.append(instance_of(asked, per_request=most).lot)
        return prices_of(together(lots)).bound


def mixed_stream(seed: int) -> Stream:
    """A stream to train on: 16 to 32 nodes, topologies of `problems.SEEN`; every seed another."""
    rng = np.random.default_rng([seed, 8])
    return drawn_stream(str(rng.choice(SEEN)), int(rng.choice(NODES)), rng, seed)


def drawn_stream(topology: str, nodes: int, rng: np.random.Generator, seed: int, *, per_request: int = 8) -> Stream:
    """Two pairs a node ask, some far more often than others, 1.5 to 2.5 times as much as the links can carry."""
    network = drawn(topology, nodes, rng, seed)
    network = network.replace(channels=rng.integers(*CHANNELS, len(network.source), endpoint=True))
    ids = network.node_ids
    pairs: dict[tuple[int, int], None] = {}
    while len(pairs) < min(round(PAIRS * nodes), nodes * (nodes - 1) // 2):
        one, other = sorted(rng.choice(nodes, 2, replace=False).tolist())
        pairs[one, other] = None
    rate = rng.exponential(size=len(pairs))
    named = [(ids[one], ids[other]) for one, other in pairs]
    probe = Stream.of(network, named, rate, count=1, per_request=1)
    hops = float(probe.demand.rate @ probe.instance.lot.facts[:, 2])
    count = round(float(rng.uniform(1.5, 2.5)) * float(network.channels.sum()) / hops)
    return Stream.of(network, named, rate, count=max(count, 1), per_request=per_request)
