"""Notes on what was read and can hardly be so; nothing is changed here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from qnroute.formats.raw import count, sample
from qnroute.hardware import SEPARABLE, WORTHLESS
from qnroute.joining import components

WITHOUT_REPEATERS_KM = 100.0
BEST_FIBRE_DB_PER_KM = 0.14  # the lowest loss reported for a fibre: Tamura et al., J. Lightwave Technol. 36, 44 (2018)
ROUNDING = 0.01  # relative; lengths and positions are rounded
ENOUGH, MOST = 3, 0.8  # links, and the share of them, from which a pattern is one


def length_doubts(length: np.ndarray, straight: np.ndarray, called: Sequence[str]) -> Iterator[str]:
    """Doubts about the lengths (km) that a file gives, against the great circles; NaN where one is unknown."""
    known = ~np.isnan(length) & (straight > 0)
    ratio = length[known] / straight[known]
    short = np.zeros(len(length), dtype=bool)
    short[known] = ratio < 1 - ROUNDING
    if len(ratio) >= ENOUGH and np.median(ratio) > 100:
        yield f"doubtful: the lengths given are {np.median(ratio):.0f} times the great circles; are they metres?"
    elif len(ratio) >= ENOUGH and np.mean(np.abs(ratio - 1) < ROUNDING) > MOST:
        yield "doubtful: the lengths given are great circles; fibres are longer, by half and more"
    elif short.any():
        yield (
            f"doubtful: {_counted(short)} shorter than the great circle between the ends, so that length or position "
            f"is wrong: {_listed(short, called)}"
        )


def loss_doubts(loss_db: np.ndarray, length: np.ndarray, called: Sequence[str]) -> Iterator[str]:
    """Doubts about the losses (dB) that a file gives; NaN where it gives none."""
    per_km = np.divide(loss_db, length, out=np.full_like(length, np.nan), where=length > 0)
    low = per_km < BEST_FIBRE_DB_PER_KM * (1 - ROUNDING)
    if low.any():
        yield (
            f"doubtful: {_counted(low)} losing {np.nanmin(per_km):.2g} dB/km, less than any fibre "
            f"({BEST_FIBRE_DB_PER_KM} dB/km): {_listed(low, called)}"
        )


def reach_doubts(links: Mapping[str, np.ndarray], cut: np.ndarray, called: Sequence[str]) -> Iterator[str]:
    """Doubts about what complete links can do; those that will be `cut` by repeater stations are spared."""
    length, fidelity = links["length_km"], links["fidelity"]
    lost = ~cut & ~((links["p"] > 0) & (fidelity > WORTHLESS))
    far = ~cut & (length > WITHOUT_REPEATERS_KM)
    if (length == 0).any():
        yield f"doubtful: {_counted(length == 0)} of length 0: {_listed(length == 0, called)}"
    if far.any():
        yield (
            f"doubtful: {_counted(far)} longer than {WITHOUT_REPEATERS_KM:g} km, up to {length[far].max():.0f} km: "
            "hopeless without repeater stations (see repeater_km)"
        )
    if lost.any():
        yield f"dropped: {_counted(lost)} out of reach of the hardware: {_listed(lost, called)}"
    mixed = ~cut & ~lost & (fidelity <= SEPARABLE)
    if mixed.any():
        yield f"doubtful: {_counted(mixed)} not entangled, fidelity {SEPARABLE:g} or less: {_listed(mixed, called)}"


def connection_doubts(n_nodes: int, ends: Sequence[tuple[int, int]]) -> Iterator[str]:
    """A doubt if the network falls into parts."""
    sizes = np.bincount(components(n_nodes, np.array(ends, dtype=np.int64).reshape(-1, 2)))
    if len(sizes) > 1:
        largest = [str(size) for size in sorted(sizes.tolist(), reverse=True)]
        yield f"doubtful: not connected, {len(sizes)} parts of {sample(largest, shown=5)} nodes"


def _counted(chosen: np.ndarray) -> str:
    return count(int(chosen.sum()), "link")


def _listed(chosen: np.ndarray, called: Sequence[str]) -> str:
    return sample([called[e] for e in np.flatnonzero(chosen)])
