"""Where requests come from: sources of arrivals on the pairs of a process, each with its expected rates.

A source knows the clock, so a run may begin at any slot of it. `arrivals` are those of the slots start, start + 1,
..., counted from 0, in no particular order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from qnroute.errors import ProblemError

MOST_SPELLS = 20_000_000


class Source(Protocol):
    """One stream of arrivals; streams add up."""

    def rates(self, start: int, slots: int) -> np.ndarray:
        """(slots, P) expected arrivals per slot and pair."""

    def arrivals(self, start: int, slots: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Slot and pair of each arrival."""


@dataclass(frozen=True, eq=False)
class Cycle:
    """Poisson arrivals whose rates repeat after D rows of `hold` slots each.

    Attributes
    ----------
    totals : (D,) float64
        Expected arrivals per slot in each row, over all pairs.
    shares : (1, P) or (D, P) float64
        Of each pair; rows add up to 1.
    """

    totals: np.ndarray
    shares: np.ndarray
    hold: int = 1

    def rates(self, start: int, slots: int) -> np.ndarray:
        """(slots, P) expected arrivals per slot and pair."""
        row = self._rows(start, slots)
        return self.totals[row][:, None] * self.shares[row if len(self.shares) > 1 else np.zeros_like(row)]

    def arrivals(self, start: int, slots: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The total of each slot is Poisson, and each arrival takes a pair by its share: so are the pairs, apart."""
        row = self._rows(start, slots)
        slot = np.repeat(np.arange(slots), rng.poisson(self.totals[row]))
        row = row[slot] if len(self.shares) > 1 else np.zeros_like(slot)
        return slot, _by_share(self.shares, row, rng)

    def _rows(self, start: int, slots: int) -> np.ndarray:
        return (start + np.arange(slots)) // self.hold % len(self.totals)


def _by_share(shares: np.ndarray, row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each entry of `row` a column, with the chances in that row of `shares`."""
    upto = np.cumsum(shares, axis=1)
    upto /= upto[:, -1:]  # ends at 1 exactly, also before columns of no share: none of those is ever met
    flat = (upto + np.arange(len(shares))[:, None]).ravel()
    point = np.minimum(row + rng.random(len(row)), np.nextafter(row + 1.0, 0.0))
    return np.searchsorted(flat, point, side="right") - row * shares.shape[1]


@dataclass(frozen=True, eq=False)
class Timetable:
    """Arrivals at fixed slots of every day.

    Attributes
    ----------
    slot, pair : (K,) int64
        Slot of the day and pair of each of the K daily arrivals.
    """

    slot: np.ndarray
    pair: np.ndarray
    slots_per_day: int
    n_pairs: int

    def rates(self, start: int, slots: int) -> np.ndarray:
        """(slots, P) the arrivals themselves: nothing about them is left to chance."""
        rates = np.zeros((slots, self.n_pairs))
        np.add.at(rates, self.arrivals(start, slots), 1.0)
        return rates

    def arrivals(self, start: int, slots: int, rng: object = None) -> tuple[np.ndarray, np.ndarray]:
        """Slot and pair of each arrival."""
        first = (self.slot - start) % self.slots_per_day
        days = -(-slots // self.slots_per_day)
        slot = (first[None, :] + self.slots_per_day * np.arange(days)[:, None]).ravel()
        pair = np.tile(self.pair, days)
        return slot[slot < slots], pair[slot < slots]


@dataclass(frozen=True, eq=False)
class OnOff:
    """Each pair goes on and off by itself, and asks only while it is on: a Poisson stream modulated by a Markov chain.

    The times on and off are geometric with means `mean_on` and `mean_off` slots, at least 1 each. Every run starts in
    the stationary state, not where an earlier one ended.
    """

    n_pairs: int
    rate: float  # expected arrivals per slot in the mean over all time and over all pairs together
    mean_on: float
    mean_off: float

    def rates(self, start: int, slots: int) -> np.ndarray:
        """(slots, P) the mean: which pairs are on is not known beforehand."""
        return np.full((slots, self.n_pairs), self.rate / self.n_pairs)

    def arrivals(self, start: int, slots: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Slot and pair of each arrival: Poisson in number, anywhere within the time that pairs are on."""
        pair, begin, length = self._times_on(slots, rng)
        while_on = self.rate / self.n_pairs * (self.mean_on + self.mean_off) / self.mean_on
        upto = np.cumsum(length)
        total = int(upto[-1]) if len(upto) else 0
        place = rng.integers(0, max(total, 1), rng.poisson(while_on * total))
        spell = np.searchsorted(upto, place, side="right")
        return begin[spell] + place - (upto - length)[spell], pair[spell]

    def _times_on(self, slots: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pair, first slot and length of each spell on within the run."""
        spells = self.n_pairs * (1 + slots / (self.mean_on + self.mean_off))
        if spells > MOST_SPELLS:
            raise ProblemError(
                f"pairs: go on about {spells:.3g} times in {slots} slots, expected {MOST_SPELLS} at most"
            )
        found = [np.empty((3, 0), dtype=np.int64)]
        pair = np.arange(self.n_pairs)
        now = np.zeros(self.n_pairs, dtype=np.int64)
        on = rng.random(self.n_pairs) < self.mean_on / (self.mean_on + self.mean_off)
        while len(pair):  # geometric times have no memory: the rest of a spell is as long as a new one
            length = rng.geometric(1.0 / np.where(on, self.mean_on, self.mean_off))
            length = np.minimum(length, slots - now)
            found.append(np.stack([pair[on], now[on], length[on]]))
            now, on = now + length, ~on
            pair, now, on = pair[now < slots], now[now < slots], on[now < slots]
        together = np.concatenate(found, axis=1)
        return together[0], together[1], together[2]
