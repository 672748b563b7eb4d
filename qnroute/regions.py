"""Where routes of a request can pass at all, given its floor and the hop limit: found once for all prices (compiled).

A node is of use if the least noise from the source and to the target together keep the floor.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from qnroute.completion import (
    HOPS,
    KINDS,
    MIXED,
    NOISE,
    Asked,
    Regions,
    ball,
    cleared,
    longer,
    room_around,
    within_limits,
)

UNKNOWN, _TOO_LARGE = -1, -2  # in place of a row
_SLIGHT = 1e-9  # of a limit, for sums in another order


def no_regions(count: int) -> Regions:
    """Nothing known of so many requests."""
    none = np.zeros(0)
    return Regions(np.full(count, UNKNOWN), np.zeros(1, np.int64), np.zeros(0, np.int32), none, none)


def with_rows(known: Regions, requests: np.ndarray, parts: list[tuple[np.ndarray, ...]]) -> Regions:
    """With more rows, as `explored` gives them for these requests part by part; empty ones are not looked for again."""
    sizes = np.concatenate([np.diff(part[0]) for part in parts])
    row = known.row.copy()
    row[requests] = np.where(sizes > 0, len(known.indptr) - 1 + np.arange(len(sizes)), _TOO_LARGE)
    indptr = np.concatenate([known.indptr, known.indptr[-1] + np.cumsum(sizes)])
    columns = (np.concatenate([old, *(part[i] for part in parts)]) for i, old in enumerate(known[2:], start=1))
    return Regions(row, indptr, *columns)


@njit(cache=True, nogil=True)
def _region(graph, around, asked):
    """Fill what is left of noise and hops, for nodes that some route within the limits can pass; gives these nodes."""
    inside = within_limits(graph, around, asked, around.none)
    if inside[asked.source] == np.inf:
        return np.empty(0, np.int32)
    which = HOPS if asked.max_hops < around.none.size - 1 else NOISE
    near = around.touched[which, : around.reached[which]].astype(np.int32)
    if asked.max_noise < np.inf:  # from the other end, with the same limit
        left = around.left[NOISE]
        ball(graph, graph.link_noise, around.none, 0.0, inside, asked.source, asked.max_noise, around, MIXED)
        fits = np.array([left[v] + around.left[MIXED, v] <= asked.max_noise * (1.0 + _SLIGHT) for v in near])
        near = near[fits]
        cleared(around, MIXED)
    return near


@njit(cache=True, nogil=True)
def explored(graph, number, source, target, max_noise, max_hops, most, stop):
    """Rows of `Regions` for some requests: offsets, nodes, noise, hops; empty where there are over `most` nodes."""
    around = room_around(graph, 0, 0)
    indptr = np.zeros(source.size + 1, np.int64)
    node, noise, hops = np.empty(0, np.int32), np.empty(0), np.empty(0)
    for k in range(source.size):
        indptr[k + 1] = indptr[k]
        if stop[0]:
            continue
        asked = Asked(number[k], source[k], target[k], 1.0, 0.0, 0.0, max_noise[k], max_hops, 0.0, False)
        near = _region(graph, around, asked)
        if near.size <= most:
            indptr[k + 1] += near.size
            if indptr[k + 1] > node.size:
                size = 2 * indptr[k + 1]
                node, noise, hops = longer(node, size), longer(noise, size), longer(hops, size)
            for i in range(near.size):
                at, v = indptr[k] + i, near[i]
                node[at], noise[at], hops[at] = v, around.left[NOISE, v], around.left[HOPS, v]
        for which in range(KINDS):
            cleared(around, which)
    total = indptr[-1]
    return indptr, node[:total].copy(), noise[:total].copy(), hops[:total].copy()
