"""Routes over the pairs that are stored now: fewest links that keep a floor, or highest quality. Compiled.

Qualities multiply along a route and are at most 1, so a route that meets a node twice is never better than the one
without the loop, in either sense; labels therefore need not remember where they have been.

`offer` notes the youngest pair of every link before the searches of a slot, `taken` after a route was used. The inner
functions are given plain arrays: members of tuples cost them more than the search does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qnroute.simulation.lean import lean
from qnroute.simulation.slot import pair_quality

_ROUNDED = 1.0 + 1e-12


class Workspace(NamedTuple):
    """Room for one search at a time; nodes and links count through all runs."""

    offer: np.ndarray  # (L,) float64, quality of the youngest pair of each link, 0 where there is none
    youngest: np.ndarray  # (L,) int64, its channel
    most: np.ndarray  # (1,) float64, at least the highest of these qualities, with what rounding adds to products
    route: np.ndarray  # (N + 1,) int64, channels of the route found, from source to target
    order: np.ndarray  # (Q,) int64, requests of a queue in the order in which they are served
    worth: np.ndarray  # (Q,) float64
    best: np.ndarray  # (N,) float64, zero between searches
    links: np.ndarray  # (N,) int64, of the best route to a node
    queue: np.ndarray  # (N + 1,) int64
    waiting: np.ndarray  # (N,) bool
    level: np.ndarray  # (2, N) int64, links from either end, -1 between searches
    reach: np.ndarray  # (2, N) float64, best quality at that level
    step: np.ndarray  # (2, N) int64, the link by which it was reached
    met: np.ndarray  # (2, N) int64, nodes in the order of their levels


def workspace_of(w) -> Workspace:
    """Room for the searches of all runs of a world."""
    n, links, requests = len(w.memory), len(w.tail), len(w.source)
    whole = lambda size: np.zeros(size, dtype=np.int64)  # noqa: E731
    return Workspace(
        offer=np.zeros(links),
        youngest=whole(links),
        most=np.zeros(1),
        route=whole(n + 1),
        order=whole(requests),
        worth=np.zeros(requests),
        best=np.zeros(n),
        links=whole(n),
        queue=whole(n + 1),
        waiting=np.zeros(n, dtype=bool),
        level=np.full((2, n), -1, dtype=np.int64),
        reach=np.zeros((2, n)),
        step=whole((2, n)),
        met=whole((2, n)),
    )


@lean
def youngest(w, s, link):
    """The channel of a link whose pair was made last, the lowest among equals; -1 where none holds a pair."""
    found, born = -1, -1
    for channel in range(w.first[link], w.first[link + 1]):
        if s.birth[channel] > born:
            found, born = channel, s.birth[channel]
    return found


@lean
def offer(w, s, run, work):
    """Note what every link of a run has to offer in this slot."""
    most = 0.0
    for e in range(w.links[run], w.links[run + 1]):
        channel = youngest(w, s, e)
        work.youngest[e] = channel
        work.offer[e] = pair_quality(w, s, channel, s.slot[run]) if channel >= 0 else 0.0
        most = max(most, work.offer[e])
    work.most[0] = most * _ROUNDED


@lean
def taken(w, s, run, route, length, work):
    """Note what the links of a route have left, now that it was used."""
    for i in range(length):
        e = w.link[route[i]]
        channel = youngest(w, s, e)
        work.youngest[e] = channel
        work.offer[e] = pair_quality(w, s, channel, s.slot[run]) if channel >= 0 else 0.0


@lean
def fewest_links(w, source, target, need, work):
    """The route of fewest links whose quality is at least `need`, of these the one of highest quality.

    Leaves its channels in ``work.route``; gives their number (0: there is none) and the quality. Most often the routes
    of fewest links at all keep the floor: they are found from both ends, which meets few nodes.
    """
    return _fewest(
        w.indptr, w.neighbour, w.via, w.tail, w.head, work.offer, source, target, need, work.most[0], work.route,
        work.level, work.reach, work.step, work.met, work.best, work.queue, work.youngest,
    )  # fmt: skip


@lean
def highest_quality(w, source, target, need, work):
    """The route of highest quality, of equals the one of fewest links, if it reaches `need`; as `fewest_links`."""
    return _best_of_all(
        w.indptr, w.neighbour, w.via, w.tail, w.head, work.offer, source, target, need, work.route, work.best,
        work.links, work.step, work.queue, work.waiting, work.met, work.youngest,
    )  # fmt: skip


@lean
def _fewest(
    indptr, neighbour, via, tail, head, offer, source, target, need, most, route, level, reach, step, met, best, seen,
    youngest,
):  # fmt: skip
    length, quality = _from_both_ends(
        indptr, neighbour, via, tail, head, offer, source, target, need, most, route, level, reach, step, met
    )
    if length > 0 and quality < need:
        length, quality = _in_layers(
            indptr, neighbour, via, tail, head, offer, source, target, need, route, level, reach, step, met, best, seen
        )
    for i in range(length):
        route[i] = youngest[route[i]]
    return length, quality


@lean
def _from_both_ends(
    indptr, neighbour, via, tail, head, offer, source, target, need, most, route, level, reach, step, met
):
    """The best of the routes of fewest links, whatever its quality; 0 links where no route can keep the floor.

    Levels grow from both ends, the smaller side first, each node with the best quality at its level, until they meet.
    No route of as many links can be better than as many of the best pairs, whose quality is at most `most`.
    """
    level[0, source], reach[0, source], met[0, 0] = 0, 1.0, source
    level[1, target], reach[1, target], met[1, 0] = 0, 1.0, target
    start0, count0, start1, count1, depth0, depth1 = 0, 1, 0, 1, 0, 0
    best, length, middle, possible = 0.0, 0, -1, most
    while middle < 0 and start0 < count0 and start1 < count1 and possible >= need:
        possible *= most
        side = 0 if count0 - start0 <= count1 - start1 else 1
        start, end = (start0, count0) if side == 0 else (start1, count1)
        depth = (depth0 if side == 0 else depth1) + 1
        count = end
        for at in range(start, end):
            node = met[side, at]
            quality = reach[side, node]
            for i in range(indptr[node], indptr[node + 1]):
                here = offer[via[i]]
                if here <= 0.0:
                    continue
                there = neighbour[i]
                known = level[side, there]
                if 0 <= known < depth:
                    continue
                reached = quality * here
                if known < 0:
                    level[side, there], reach[side, there], step[side, there] = depth, reached, via[i]
                    met[side, count] = there
                    count += 1
                elif reached > reach[side, there]:
                    reach[side, there], step[side, there] = reached, via[i]
        if side == 0:
            start0, count0, depth0 = end, count, depth
        else:
            start1, count1, depth1 = end, count, depth
        for at in range(end, count):
            node = met[side, at]
            if level[1 - side, node] >= 0 and reach[0, node] * reach[1, node] > best:
                best, middle = reach[0, node] * reach[1, node], node
    if middle >= 0:
        length = depth0 + depth1
        best = _joined(tail, head, offer, middle, depth0, length, step, route)
    for at in range(count0):
        level[0, met[0, at]] = -1
    for at in range(count1):
        level[1, met[1, at]] = -1
    return length, best


@lean
def _joined(tail, head, offer, middle, before, length, step, route):
    """Write down the links of the route through a node met from both ends; gives its quality."""
    node = middle
    for i in range(before - 1, -1, -1):
        route[i] = step[0, node]
        node = tail[route[i]] + head[route[i]] - node
    node = middle
    for i in range(before, length):
        route[i] = step[1, node]
        node = tail[route[i]] + head[route[i]] - node
    quality = 1.0
    for i in range(length):  # in the order of the route, as the judge multiplies
        quality *= offer[route[i]]
    return quality


@lean
def _in_layers(
    indptr, neighbour, via, tail, head, offer, source, target, need, route, level, reach, step, met, best, seen
):
    """As `fewest_links`: layer by layer from the source, each node with every quality that more links improve.

    Only the last layer remembers how it was reached: the route is found from its end, with fewer layers each time.
    """
    length, found = _grown(
        indptr, neighbour, via, offer, source, target, need, len(best), level, reach, step, met, best, seen
    )
    node = target
    for i in range(length - 1, -1, -1):
        if i < length - 1:
            _grown(indptr, neighbour, via, offer, source, node, need, i + 1, level, reach, step, met, best, seen)
        route[i] = step[0, node]
        node = tail[route[i]] + head[route[i]] - node
    return length, found


@lean
def _grown(indptr, neighbour, via, offer, source, target, need, layers, level, reach, step, met, best, seen):
    """Layers until `target` is reached or `layers` have grown: their number (0: not reached) and the quality there.

    `step` then has the link by which each node of the last layer was reached.
    """
    best[source], seen[0], touched = 1.0, source, 1
    reach[0, source], met[0, 0], count, layer = 1.0, source, 1, 0
    while count and layer < layers and (best[target] == 0.0 or layers < len(best)):
        layer += 1
        side, size, count = layer & 1, count, 0
        for at in range(size):
            node = met[1 - side, at]
            quality = reach[1 - side, node]
            for i in range(indptr[node], indptr[node + 1]):
                there, reached = neighbour[i], quality * offer[via[i]]
                if reached < need or reached <= best[there]:
                    continue
                if best[there] == 0.0:
                    seen[touched] = there
                    touched += 1
                if level[0, there] != layer:
                    level[0, there] = layer
                    met[side, count] = there
                    count += 1
                best[there], reach[side, there], step[0, there] = reached, reached, via[i]
    found = best[target]
    for at in range(touched):
        best[seen[at]], level[0, seen[at]] = 0.0, -1
    return (layer if found > 0.0 else 0), found


@lean
def _best_of_all(
    indptr, neighbour, via, tail, head, offer, source, target, need, route, best, links, step, queue, waiting, met,
    youngest,
):  # fmt: skip
    """As `highest_quality`: labels are corrected until none can be."""
    room, at, size, count = len(queue), 0, 1, 1
    best[source], links[source], queue[0], met[0, 0] = 1.0, 0, source, source
    while size:
        node = queue[at]
        at, size = (at + 1) % room, size - 1
        waiting[node] = False
        quality, length = best[node], links[node] + 1
        for i in range(indptr[node], indptr[node + 1]):
            there, reached = neighbour[i], quality * offer[via[i]]
            known = best[there]
            if reached < need or reached <= 0.0 or reached < known or (reached == known and length >= links[there]):
                continue
            if known == 0.0:
                met[0, count] = there
                count += 1
            best[there], links[there], step[0, there] = reached, length, via[i]
            if not waiting[there] and there != target:
                waiting[there] = True
                queue[(at + size) % room] = there
                size += 1
    found, length, node = best[target], 0, target
    if found > 0.0:  # the steps alone tell the length: labels may have improved by a rounding since
        while node != source:
            node = tail[step[0, node]] + head[step[0, node]] - node
            length += 1
        node = target
        for i in range(length - 1, -1, -1):
            e = step[0, node]
            route[i] = youngest[e]
            node = tail[e] + head[e] - node
    for i in range(count):
        best[met[0, i]] = 0.0
    return length, found
