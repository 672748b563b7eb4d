"""What runs are given, and what changes in them, as flat arrays: the runs' nodes, links, channels, requests in a row.

Runs may be on different networks. Those of run r are ``nodes[r]:nodes[r + 1]`` and so on, and every index in
the arrays counts through all runs. The compiled engine reads `World` and writes `State`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qnroute.errors import ProblemError
from qnroute.fields import UNLIMITED
from qnroute.network import Network
from qnroute.simulation.demand import Demand
from qnroute.simulation.dynamics import LinkSeries
from qnroute.simulation.luck import MOST_CHANNELS
from qnroute.simulation.physics import Law, Physics


@dataclass(frozen=True)
class Run:
    """One run: where, how the links do, who asks, and the seed of its luck."""

    network: Network
    series: LinkSeries
    demand: Demand
    seed: int


class World(NamedTuple):
    """R runs with N nodes, L links, C channels, Q requests, all together."""

    nodes: np.ndarray  # (R + 1,) int64, where each run begins
    links: np.ndarray
    channels: np.ndarray
    requests: np.ndarray
    seeds: np.ndarray  # (R,) uint64
    tail: np.ndarray  # (L,) int64, node
    head: np.ndarray
    first: np.ndarray  # (L + 1,) int64, first channel of each link
    link: np.ndarray  # (C,) int64, link of each channel
    indptr: np.ndarray  # (N + 1,) int64, adjacency rows in the order of links
    neighbour: np.ndarray  # (2 L,) int64
    via: np.ndarray  # (2 L,) int64, link
    memory: np.ndarray  # (N,) int64
    limited: np.ndarray  # (R,) bool, whether any node of the run has a memory limit
    swap: np.ndarray  # (N,) float64
    chance: np.ndarray  # (epochs, L) float64
    epoch: int  # slots
    source: np.ndarray  # (Q,) int64
    target: np.ndarray
    arrival: np.ndarray
    deadline: np.ndarray
    need: np.ndarray  # (Q,) float64, quality that keeps the floor
    floor: np.ndarray
    weight: np.ndarray
    law: Law
    nominal: np.ndarray  # (L,) float64, scale of a fresh pair by the fidelity of the network
    held: int  # K, pre-positioned pairs at once


class State(NamedTuple):
    """What changes; stored pairs by channel, pre-positioned ones in K places for each run, in the order they came.

    `scale` and `last` are true of the pair that a channel holds; policies judge it by what is `believed` of its link.
    """

    slot: np.ndarray  # (R,) int64: runs may be at different ones
    birth: np.ndarray  # (C,) int64, -1 of a free channel
    scale: np.ndarray  # (C,) float64, of its pair: the part of the quality that decays, when made
    last: np.ndarray  # (C,) int64, the age up to which its pair is kept
    active: np.ndarray  # (C,) bool, whether a channel tries where it is free
    believed: np.ndarray  # (L,) float64, scale of a fresh pair as policies take it
    qubits: np.ndarray  # (N,) int64, in use
    queue: np.ndarray  # (Q,) int64: of run r from requests[r] on
    queued: np.ndarray  # (R,) int64
    due: np.ndarray  # (R,) int64, the next request to arrive
    served: np.ndarray  # (Q,) int64, slot or -1
    fidelity: np.ndarray  # (Q,) float64, NaN until served
    hops: np.ndarray  # (Q,) int64, stored pairs that went into what served it
    by_held: np.ndarray  # (Q,) bool, whether a held pair served it
    low: np.ndarray  # (R K,) int64, ends of held pairs
    high: np.ndarray
    quality: np.ndarray  # (R K,) float64 when made
    made: np.ndarray  # (R K,) int64, slot
    number: np.ndarray  # (R K,) int64
    spent: np.ndarray  # (R K,) int64, stored pairs that went into it
    holding: np.ndarray  # (R,) int64
    counts: np.ndarray  # (R, len(COUNTS)) int64
    per_link: np.ndarray  # (L, 3) int64: attempts, pairs made, pairs used


COUNTS = ("attempts", "made", "expired", "used", "swap_failures", "held", "held_used", "held_expired", "below_floor")
ATTEMPTS, MADE, EXPIRED, USED, SWAP_FAILURES, HELD, HELD_USED, HELD_EXPIRED, BELOW_FLOOR = range(len(COUNTS))


def world_of(runs: Sequence[Run], physics: Physics, *, held: int = 8) -> World:
    """The runs as arrays.

    Raises
    ------
    ProblemError
        A demand or a series does not fit its network; epochs differ between runs; more channels than can be told apart.
    """
    if not runs:
        raise ProblemError("runs: found none, expected at least one")
    faults = [f"runs[{r}].{fault}" for r, run in enumerate(runs) for fault in _faults(run, runs[0])]
    if faults:
        raise ProblemError(faults)
    networks = [run.network for run in runs]
    nodes = _offsets([network.n_nodes for network in networks])
    links = _offsets([network.n_links for network in networks])
    first = _offsets(np.concatenate([network.channels for network in networks]))
    shifted = lambda columns, by: np.concatenate([c + s for c, s in zip(columns, by)])  # noqa: E731
    adjacency = [network.adjacency for network in networks]
    memory = np.concatenate([network.memory for network in networks])
    demands = [run.demand for run in runs]
    floor = np.concatenate([demand.floor for demand in demands])
    epochs = max(len(run.series.p) for run in runs)
    return World(
        nodes=nodes,
        links=links,
        channels=first[links],
        requests=_offsets([len(demand) for demand in demands]),
        seeds=np.array([run.seed % 2**64 for run in runs], dtype=np.uint64),
        tail=shifted([network.source for network in networks], nodes),
        head=shifted([network.target for network in networks], nodes),
        first=first,
        link=np.repeat(np.arange(links[-1]), np.diff(first)),
        indptr=np.concatenate([[0], *(a.indptr[1:] + 2 * s for a, s in zip(adjacency, links))]),
        neighbour=shifted([a.neighbour for a in adjacency], nodes),
        via=shifted([a.link for a in adjacency], links),
        memory=memory,
        limited=np.array([bool((network.memory < UNLIMITED).any()) for network in networks]),
        swap=np.concatenate([network.swap for network in networks]),
        chance=np.concatenate([_lengthened(run.series.p, epochs) for run in runs], axis=1),
        epoch=runs[0].series.slots_per_epoch,
        source=shifted([demand.source for demand in demands], nodes),
        target=shifted([demand.target for demand in demands], nodes),
        arrival=np.concatenate([demand.arrival for demand in demands]),
        deadline=np.concatenate([demand.deadline for demand in demands]),
        need=physics.quality(floor),
        floor=floor,
        weight=np.concatenate([demand.weight for demand in demands]),
        law=physics.law(_fidelities(runs, epochs)),
        nominal=physics.scale(np.concatenate([network.fidelity for network in networks])),
        held=held,
    )


def state_of(world: World) -> State:
    """The empty network before slot 0."""
    runs, requests, places = len(world.seeds), len(world.source), len(world.seeds) * world.held
    whole = lambda size, value=0: np.full(size, value, dtype=np.int64)  # noqa: E731
    return State(
        slot=whole(runs),
        birth=whole(len(world.link), -1),
        scale=np.zeros(len(world.link)),
        last=whole(len(world.link), -1),
        active=np.ones(len(world.link), dtype=bool),
        believed=world.nominal.copy(),
        qubits=whole(len(world.memory)),
        queue=whole(requests, -1),
        queued=whole(runs),
        due=world.requests[:-1].copy(),
        served=whole(requests, -1),
        fidelity=np.full(requests, np.nan),
        hops=whole(requests),
        by_held=np.zeros(requests, dtype=bool),
        low=whole(places, -1),
        high=whole(places, -1),
        quality=np.zeros(places),
        made=whole(places, -1),
        number=whole(places, -1),
        spent=whole(places),
        holding=whole(runs),
        counts=whole((runs, len(COUNTS))),
        per_link=whole((len(world.tail), 3)),
    )


def _faults(run: Run, other: Run):
    n, m = run.network.n_nodes, run.network.n_links
    if run.series.p.shape[1] != m:
        yield f"series: found {run.series.p.shape[1]} links, expected {m}"
    if run.series.slots_per_epoch != other.series.slots_per_epoch:
        yield f"series.slots_per_epoch: found {run.series.slots_per_epoch}, expected {other.series.slots_per_epoch}"
    ends = np.concatenate([run.demand.source, run.demand.target])
    if len(ends) and (ends.min() < 0 or ends.max() >= n):
        yield f"demand: names node {int(ends.max())}, expected numbers below {n}"
    if m and run.network.channels.max() > MOST_CHANNELS:
        yield f"network.channels: found {int(run.network.channels.max())}, expected {MOST_CHANNELS} at most"


def _offsets(sizes) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.asarray(sizes, dtype=np.int64))]).astype(np.int64)


def _fidelities(runs: Sequence[Run], epochs: int) -> np.ndarray:
    """(E, L) of fresh pairs; one row where they are always the networks' own."""
    if all(run.series.fidelity is None for run in runs):
        epochs = 1
    rows = [run.network.fidelity[None, :] if run.series.fidelity is None else run.series.fidelity for run in runs]
    return np.concatenate([_lengthened(row, epochs) for row in rows], axis=1)


def _lengthened(p: np.ndarray, epochs: int) -> np.ndarray:
    """With its last row repeated."""
    return np.concatenate([p, np.repeat(p[-1:], epochs - len(p), axis=0)])
