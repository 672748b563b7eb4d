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

UNKNOWN, _TOO_LARGE, NOWHERE = -1, -2, -3  # in place of a row; nowhere: no path keeps the floor, or the hops
_SLIGHT = 1e-9  # of a limit, for sums in another order


def no_regions(count: int) -> Regions:
    """Nothing known of so many requests."""
    none = np.zeros(0)
    return Regions(np.full(count, UNKNOWN), np.zeros(1, np.int64), np.zeros(0, np.int32), none, none)


def with_rows(known: Regions, requests: np.ndarray, parts: list[tuple[np.ndarray, ...]]) -> Regions:
    """With more rows, as `explored` gives them for these requests part by part."""
    sizes = np.concatenate([part[0] for part in parts])
    row = known.row.copy()
    row[requests] = np.where(sizes > 0, len(known.indptr) - 1 + np.arange(len(sizes)), sizes)
    indptr = np.concatenate([known.indptr, known.indptr[-1] + np.cumsum(np.maximum(sizes, 0))])
    columns = (np.concatenate([old, *(part[i] for part in parts)]) for i, old in enumerate(known[2:], start=1))
    return Regions(row, indptr, *columns)


@njit(cache=True, nogil=True)
def _region(graph, around, asked):
    """Fill what is left of noise and hops, for nodes that some route within the limits can pass.

    Gives these nodes, and whether there is such a route.
    """
    inside = within_limits(graph, around, asked, around.none)
    if inside[asked.source] == np.inf:
        return np.empty(0, np.int32), False
    which = HOPS if asked.max_hops < around.none.size - 1 else NOISE
    near = around.touched[which, : around.reached[which]].astype(np.int32)
    if asked.max_noise < np.inf:  # from the other end, with the same limit
        left = around.left[NOISE]
        ball(graph, graph.link_noise, around.none, 0.0, inside, asked.source, asked.max_noise, around, MIXED)
        fits = np.array([left[v] + around.left[MIXED, v] <= asked.max_noise * (1.0 + _SLIGHT) for v in near])
        near = near[fits]
        cleared(around, MIXED)
    return near, True


@njit(cache=True, nogil=True)
def explored(graph, number, source, target, max_noise, max_hops, most, stop):
    """Rows of `Regions` for some requests: how many nodes, up to `most`, or what stands for it; nodes, noise, hops."""
    around = room_around(graph, 0, 0)
    sizes, total = np.full(source.size, UNKNOWN), 0
    node, noise, hops = np.empty(0, np.int32), np.empty(0), np.empty(0)
    for k in range(source.size):
        if stop[0]:
            break
        asked = Asked(number[k], source[k], target[k], 1.0, 0.0, 0.0, max_noise[k], max_hops, 0.0, False)
        near, reachable = _region(graph, around, asked)
        sizes[k] = _TOO_LARGE if reachable else NOWHERE
        if 0 < near.size <= most:
            sizes[k] = near.size
            if total + near.size > node.size:
                size = 2 * (total + near.size)
                node, noise, hops = longer(node, size), longer(noise, size), longer(hops, size)
            for v in near:
                node[total], noise[total], hops[total] = v, around.left[NOISE, v], around.left[HOPS, v]
                total += 1
        for which in range(KINDS):
            cleared(around, which)
    return sizes, node[:total].copy(), noise[:total].copy(), hops[:total].copy()
