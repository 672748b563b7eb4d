"""The kinds of change that link dynamics are made of: records that act on the p and the fidelity of every link in time.

Each record has luck of its own, in numbered parts, so that one of its processes leaves the luck of the others as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
from annotated_types import Ge, Interval, Le

from qnroute.fidelity import fidelity_of, noise
from qnroute.fields import NonNegative, Positive, Probability, Real, record
from qnroute.network import Network
from qnroute.simulation.parameters import plain

Luck = Callable[[int], np.random.Generator]
"""Part -> its random numbers."""

_MOST = 700.0  # the largest exponent whose exponential is finite, and 1 over it, too
_LEAST_FIDELITY = float(np.nextafter(0.25, 1.0))  # white noise itself is no pair

_Spread = Annotated[NonNegative, Le(100)]
_MeanSlots = Annotated[Positive, Ge(1), Le(1e12)]
_BelowOne = Annotated[Real, Interval(ge=0, lt=1)]
_Start = Literal["stationary", "nominal"]


class Clock:
    """When epochs are: E of them, `step` slots each, from slot `start` of the clock."""

    def __init__(self, start: int, epochs: int, step: int):
        self.epochs, self.step = epochs, step
        self.middle = start + step * np.arange(self.epochs) + (step - 1) / 2  # (E,) stands for the whole epoch


@dataclass
class Truth:
    """What records act on, one after another, in place.

    Attributes
    ----------
    p : (E, m) float64
    louder : (E, m) float64 or None
        ln of what the noise -ln w of a fresh pair is multiplied by; None while nothing has changed it.
    """

    network: Network
    p: np.ndarray
    louder: np.ndarray | None = None

    def multiply_noise(self, exponents: np.ndarray) -> None:
        """Multiply the noise of fresh pairs by the exponential of (E, m) numbers."""
        self.louder = exponents if self.louder is None else self.louder + exponents

    def fidelity(self) -> np.ndarray | None:
        """(E, m) of fresh pairs, in (0.25, 1]; the network's own to the last digit where its noise is."""
        if self.louder is None:
            return None
        own = self.network.fidelity
        heard = noise(own) * np.exp(np.clip(self.louder, -_MOST, _MOST))
        return np.where(self.louder == 0.0, own, np.maximum(fidelity_of(np.exp(-heard)), _LEAST_FIDELITY))


class Dynamics(Protocol):
    """One thing that changes links."""

    kind: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """``{"kind": ..., parameters}`` as plain JSON values."""

    def apply(self, links: Truth, clock: Clock, luck: Luck) -> None:
        """Change what is true of the links."""


@record
class _Kind:
    def to_dict(self) -> dict[str, Any]:
        """``{"kind": ..., parameters}`` as plain JSON values."""
        return plain(self)


@record
class Constant(_Kind):
    """Nothing changes."""

    kind: ClassVar[str] = "constant"

    def apply(self, links: Truth, clock: Clock, luck: Luck) -> None:
        """Nothing."""


@record
class Drift(_Kind):
    """The logit of each link's p, and ln of the noise of its fresh pairs, wander about their nominal values.

    Ornstein-Uhlenbeck processes, exact at any step (Uhlenbeck and Ornstein, Phys. Rev. 36, 823 (1930)): normal with
    standard deviations `sd` and `fidelity_sd`, autocorrelation ``exp(-slots / correlation_slots)``. They start anywhere
    (`stationary`) or at the `nominal` value, which is the median in time, not the mean. The noise is -ln w,
    w = (4 F - 1)/3. Of the variance a link has the share `shared` from processes of its two end nodes, half each, so
    that links of one node change together: x = sqrt(1 - shared) x_e + sqrt(shared / 2) (x_u + x_v).
    """

    kind: ClassVar[str] = "drift"
    sd: _Spread = 0.5
    correlation_slots: Annotated[Positive, Le(1e12)] = 200.0
    start: _Start = "stationary"
    fidelity_sd: _Spread = 0.0
    shared: Probability = 0.0

    def apply(self, links: Truth, clock: Clock, luck: Luck) -> None:
        """The odds of p, and the noise, multiplied by the exponentials of the processes."""
        x = self._links(links.network, self.sd, clock, luck, 0)
        links.p = _with_odds(links.p, np.exp(np.clip(x, -_MOST, _MOST, out=x), out=x))
        if self.fidelity_sd:
            links.multiply_noise(self._links(links.network, self.fidelity_sd, clock, luck, 1))

    def _links(self, network: Network, sd: float, clock: Clock, luck: Luck, part: int) -> np.ndarray:
        """(E, m) a process of each link; the nodes' have parts of luck of their own."""
        x = self._wandering(network.n_links, sd, clock, luck(part))
        if self.shared and network.n_links:
            nodes, (u, v) = _ends(network)
            y = self._wandering(nodes, sd, clock, luck(2 + part))
            x *= np.sqrt(1.0 - self.shared)
            x += np.sqrt(self.shared / 2.0) * (y[:, u] + y[:, v])
        return x

    def _wandering(self, count: int, sd: float, clock: Clock, rng: np.random.Generator) -> np.ndarray:
        """(E, count) processes that know nothing of each other."""
        keep = np.exp(-clock.step / self.correlation_slots)
        fresh = sd * np.sqrt(-np.expm1(-2 * clock.step / self.correlation_slots))
        x = rng.standard_normal((clock.epochs, count))
        x[0] *= sd if self.start == "stationary" else 0.0
        x[1:] *= fresh
        for epoch in range(1, len(x)):
            x[epoch] += keep * x[epoch - 1]
        return x


@record
class Jumps(_Kind):
    """Each link by itself changes at once, now and then: after geometric times of mean `every` slots.

    Then the offset of the logit of its p from the nominal one, and that of ln of the noise of its fresh pairs, are
    drawn anew, normal with standard deviations `sd` and `fidelity_sd`. `stationary`: offsets are drawn for the start,
    too; `nominal`: there are none until the first jump. Epochs of several slots have what a jump in them brought.
    """

    kind: ClassVar[str] = "jumps"
    every: _MeanSlots = 500.0
    sd: _Spread = 1.0
    fidelity_sd: _Spread = 0.0
    start: _Start = "stationary"

    def apply(self, links: Truth, clock: Clock, luck: Luck) -> None:
        """The odds of p, and the noise, multiplied by the exponentials of the offsets."""
        jumps = luck(0).random(links.p.shape) < 1.0 - (1.0 - 1.0 / self.every) ** clock.step
        jumps[0] = False
        since = np.maximum.accumulate(np.where(jumps, np.arange(len(jumps))[:, None], 0), axis=0)
        x = self._offsets(self.sd, since, luck(1))
        links.p = _with_odds(links.p, np.exp(np.clip(x, -_MOST, _MOST)))
        if self.fidelity_sd:
            links.multiply_noise(self._offsets(self.fidelity_sd, since, luck(2)))

    def _offsets(self, sd: float, since: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(E, m) what was drawn in the epoch of the last jump."""
        drawn = sd * rng.standard_normal(since.shape)
        if self.start == "nominal":
            drawn[0] = 0.0
        return np.take_along_axis(drawn, since, axis=0)


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

    def apply(self, links: Truth, clock: Clock, luck: Luck) -> None:
        """p multiplied, or its odds; each epoch as in its middle."""
        factor = 1 + self.amplitude * np.sin(2 * np.pi * ((clock.middle / self.slots_per_day + self.phase) % 1))
        p = links.p
        links.p = np.minimum(p * factor[:, None], 1.0) if self.of == "p" else _with_odds(p, factor[:, None])


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
    start: _Start = "stationary"

    def apply(self, links: Truth, clock: Clock, luck: Luck) -> None:
        """p, or 0 while down."""
        network, p, rng = links.network, links.p, luck(0)
        concerned = rng.permutation(network.n_links)[: round(self.share * network.n_links)]
        nodes = rng.permutation(network.n_nodes)[: round(self.node_share * network.n_nodes)]
        # one after another, so that failing nodes leave the luck of links as it is
        for epoch, down in enumerate(self._down(len(concerned), clock, rng)):
            p[epoch, concerned[down]] = 0.0
        for epoch, down in enumerate(self._down(len(nodes), clock, rng)):
            failed = np.zeros(network.n_nodes, dtype=bool)
            failed[nodes[down]] = True
            p[epoch, failed[network.source] | failed[network.target]] = 0.0

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


def _ends(network: Network) -> tuple[int, np.ndarray]:
    """How many nodes have links, and (2, m) the ends of the links, counted through these."""
    nodes, ends = np.unique(np.stack([network.source, network.target]), return_inverse=True)
    return len(nodes), ends.reshape(2, -1)


def _with_odds(p: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """p with its odds p / (1 - p) multiplied; what is impossible or certain stays so."""
    gained = p * factor
    return gained / (gained + (1.0 - p))


KINDS: Mapping[str, type] = MappingProxyType({made.kind: made for made in (Constant, Drift, Diurnal, Outages, Jumps)})
