"""Lengths and losses of links: those given, and what stands in where no length is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from qnroute.formats.raw import GIVEN, GREAT_CIRCLE, VERIFIED, RawLink, count
from qnroute.geography import great_circle_km
from qnroute.hardware import ROUTE_FACTOR, ROUTE_FACTOR_QUARTILES

LAST_RESORT_KM = 1.0
LEAST, MOST = 1e-9, 1e6  # km or dB: below a micrometre it is nothing, beyond the moon a slip


def great_circles(lat: np.ndarray, lon: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(m,) great-circle km between the ends (m, 2) of each link; NaN where one has no position."""
    source, target = ends.T
    return great_circle_km(lat[source], lon[source], lat[target], lon[target])


def read_lengths(links: Sequence[RawLink], straight: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Fibre lengths in km that a file gives, and great circles where that is what it gives; both NaN where unknown.

    Parameters
    ----------
    straight
        (m,) great circles by the positions.
    """
    read, notes = _within([link.length_km for link in links], "length")
    on_the_map = np.array([link.length_from == GREAT_CIRCLE for link in links], dtype=bool)
    length = np.where(on_the_map, np.nan, read)
    basis = Counter(link.length_from for link, known in zip(links, ~np.isnan(length)) if known)
    unsure = {word: n for word, n in basis.items() if word not in (GIVEN, VERIFIED)}
    notes += [f"doubtful: the length of {count(n, 'link')} is {word}" for word, n in unsure.items()]
    return length, np.where(on_the_map & ~np.isnan(read), read, straight), notes


def read_losses(links: Sequence[RawLink]) -> tuple[np.ndarray, list[str]]:
    """(m,) losses in dB that a file gives, NaN where none."""
    return _within([link.loss_db for link in links], "loss")


def impute_lengths(length: np.ndarray, straight: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Complete lengths: the great circle times the usual route factor, else the median, else `LAST_RESORT_KM`."""
    notes = []
    mapped = np.isnan(length) & ~np.isnan(straight)
    length = np.where(mapped, np.round(ROUTE_FACTOR * straight, 3), length)
    if mapped.any():
        low, high = ROUTE_FACTOR_QUARTILES
        notes.append(
            f"imputed: the length of {count(int(mapped.sum()), 'link')}, great circle times {ROUTE_FACTOR} "
            f"(the median of SURFnet's fibres, quartiles {low} and {high})"
        )
    unknown = np.isnan(length)
    if unknown.any():
        known = length[~unknown]
        stand_in = round(float(np.median(known)), 3) if known.size else LAST_RESORT_KM
        origin = "the median of the others" if known.size else "a mere stand-in, for nothing tells it"
        notes.append(f"doubtful: the length of {count(int(unknown.sum()), 'link')} is {stand_in:g} km, {origin}")
        length[unknown] = stand_in
    return length, notes


def _within(values: Sequence[float | None], what: str) -> tuple[np.ndarray, list[str]]:
    """A column of values that can be, NaN for the others."""
    column = np.array([np.nan if value is None else value for value in values], dtype=float)
    wrong = (column < 0) | (column > MOST)
    column[wrong] = np.nan
    column[column < LEAST] = 0.0
    return column, [f"dropped: the impossible {what} of {count(int(wrong.sum()), 'link')}"] if wrong.any() else []
