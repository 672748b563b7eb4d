"""Routes over the pairs that are stored now: fewest links that keep a floor, or highest quality. Compiled.

Qualities multiply along a route and are at most 1, so a route that meets a node twice is never better than the one
without the loop, in either sense; labels therefore need not remember where they have been.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.simulation.slot import pair_quality


class Workspace(NamedTuple):
    """Room for one search at a time; nodes count through all runs."""

    best: np.ndarray  # (N,) float64, zero between searches
    label: np.ndarray  # (N,) int64, the newest label of a node
    queue: np.ndarray  # (N + 1,) int64
    waiting: np.ndarray  # (N,) bool
    route: np.ndarray  # (N + 1,) int64, channels of the route found
    node: np.ndarray  # labels: node, channel by which it was reached, label before it, quality
    channel: np.ndarray
    parent: np.ndarray
    quality: np.ndarray
    level: np.ndarray  # (2, N) int64, links from either end, -1 between searches
    reach: np.ndarray  # (2, N) float64, best quality at that level
    step: np.ndarray  # (2, N) int64, the channel by which it was reached
    met: np.ndarray  # (2, N) int64, nodes in the order of their levels


def workspace_of(w) -> Workspace:
    """Room for the searches of all runs of a world."""
    n, whole = len(w.memory), lambda size: np.zeros(size, dtype=np.int64)
    room = 8 * n + 64
    return Workspace(
        np.zeros(n), whole(n), whole(n + 1), np.zeros(n, dtype=bool), whole(n + 1),
        whole(room), whole(room), whole(room), np.zeros(room),
        np.full((2, n), -1, dtype=np.int64), np.zeros((2, n)), whole((2, n)), whole((2, n)),
    )  # fmt: skip


@njit(cache=True, inline="always")
def youngest(w, s, link):
    """The channel of a link whose pair was made last, the lowest among equals; -1 where none holds a pair."""
    found, born = -1, -1
    for channel in range(w.first[link], w.first[link + 1]):
        if s.birth[channel] > born:
            found, born = channel, s.birth[channel]
    return found


@njit(cache=True, error_model="numpy")
def fewest_links(w, s, run, source, target, need, work):
    """The route of fewest links whose quality is at least `need`, of these the one of highest quality.

    Leaves its channels in ``work.route``, from source to target; gives their number (0: there is none) and the quality.
    Most often the routes of fewest links at all keep the floor: they are found from both ends, which meets few nodes.
    """
    length, quality = _from_both_ends(w, s, source, target, need, work)
    if length <= 0 or quality >= need:
        return max(length, 0), quality
    return _in_layers(w, s, source, target, need, work)


@njit(cache=True, error_model="numpy")
def _from_both_ends(w, s, source, target, need, work):
    """The best of the routes of fewest links, whatever its quality; 0 links where no route can keep the floor.

    Levels grow from both ends, the smaller side first, each node with the best quality at its level, until they meet.
    """
    level, reach, step, met, slot = work.level, work.reach, work.step, work.met, s.slot[0]
    for side in range(2):
        end = source if side == 0 else target
        level[side, end], reach[side, end], met[side, 0] = 0, 1.0, end
    start0, count0, start1, count1, depth0, depth1 = 0, 1, 0, 1, 0, 0
    best, length, middle, most = 0.0, 0, -1, 1.0
    while middle < 0 and start0 < count0 and start1 < count1:
        most *= w.law.fresh
        if most < need:
            break
        side = 0 if count0 - start0 <= count1 - start1 else 1
        start, end = (start0, count0) if side == 0 else (start1, count1)
        depth = (depth0 if side == 0 else depth1) + 1
        count = end
        for at in range(start, end):
            node = met[side, at]
            quality = reach[side, node]
            for i in range(w.indptr[node], w.indptr[node + 1]):
                there = w.neighbour[i]
                known = level[side, there]
                if 0 <= known < depth:
                    continue
                channel = youngest(w, s, w.via[i])
                if channel < 0:
                    continue
                reached = quality * pair_quality(w, s, channel, slot)
                if known < 0:
                    level[side, there], reach[side, there], step[side, there] = depth, reached, channel
                    met[side, count] = there
                    count += 1
                elif reached > reach[side, there]:
                    reach[side, there], step[side, there] = reached, channel
        if side == 0:
            start0, count0, depth0 = end, count, depth
        else:
            start1, count1, depth1 = end, count, depth
        for at in range(end, count):
            node = met[side, at]
            if level[1 - side, node] >= 0 and reach[0, node] * reach[1, node] > best:
                best, middle = reach[0, node] * reach[1, node], node
    if middle >= 0:
        length, best = _joined(w, s, middle, depth0, depth1, work)
    for at in range(count0):
        level[0, met[0, at]] = -1
    for at in range(count1):
        level[1, met[1, at]] = -1
    return length, best


@njit(cache=True, error_model="numpy")
def _joined(w, s, middle, before, after, work):
    """Write down the route through a node met from both ends; gives its length and quality."""
    node = middle
    for i in range(before - 1, -1, -1):
        channel = work.step[0, node]
        work.route[i] = channel
        node = w.tail[w.link[channel]] + w.head[w.link[channel]] - node
    node = middle
    for i in range(before, before + after):
        channel = work.step[1, node]
        work.route[i] = channel
        node = w.tail[w.link[channel]] + w.head[w.link[channel]] - node
    quality = 1.0
    for i in range(before + after):
        quality *= pair_quality(w, s, work.route[i], s.slot[0])
    return before + after, quality


@njit(cache=True, error_model="numpy")
def _in_layers(w, s, source, target, need, work):
    """As `fewest_links`: layer by layer from the source, each node with every quality that more links improve."""
    best, label, slot = work.best, work.label, s.slot[0]
    nodes, channels, parents, qualities = work.node, work.channel, work.parent, work.quality
    nodes[0], channels[0], parents[0], qualities[0] = source, -1, -1, 1.0
    best[source], label[source] = 1.0, 0
    start, count, links = 0, 1, 0
    while start < count and best[target] == 0.0:
        end = count  # labels from here on have one link more
        for at in range(start, end):
            node, quality = nodes[at], qualities[at]
            if at < label[node] < end:  # a better one of as many links came after it
                continue
            for i in range(w.indptr[node], w.indptr[node + 1]):
                channel = youngest(w, s, w.via[i])
                if channel < 0:
                    continue
                there, reached = w.neighbour[i], quality * pair_quality(w, s, channel, slot)
                if reached < need or reached <= best[there]:
                    continue
                best[there] = reached
                if count == len(nodes):
                    nodes, channels, parents = _twice(nodes), _twice(channels), _twice(parents)
                    qualities = _twice(qualities)
                nodes[count], channels[count], parents[count], qualities[count] = there, channel, at, reached
                label[there] = count
                count += 1
        start, links = end, links + 1
    found, length = best[target], 0
    if found > 0.0:
        length, at = links, label[target]
        for i in range(length - 1, -1, -1):
            work.route[i] = channels[at]
            at = parents[at]
    for at in range(count):
        best[nodes[at]] = 0.0
    return length, found


@njit(cache=True, error_model="numpy")
def _twice(values):
    return np.concatenate((values, values))


@njit(cache=True, error_model="numpy")
def highest_quality(w, s, run, source, target, need, work):
    """The route of highest quality, of equals the one of fewest links, if it reaches `need`; as `fewest_links`."""
    best, slot, queue, waiting = work.best, s.slot[0], work.queue, work.waiting
    room, links, via = len(queue), work.parent, work.channel
    first = w.nodes[run]
    for node in range(first, w.nodes[run + 1]):
        best[node] = 0.0
    best[source], links[source - first], via[source - first] = 1.0, 0, -1
    queue[0], head, size = source, 0, 1
    while size:
        node = queue[head]
        head, size = (head + 1) % room, size - 1
        waiting[node] = False
        quality, length = best[node], links[node - first] + 1
        for i in range(w.indptr[node], w.indptr[node + 1]):
            channel = youngest(w, s, w.via[i])
            if channel < 0:
                continue
            there, reached = w.neighbour[i], quality * pair_quality(w, s, channel, slot)
            if reached < need or reached < best[there] or (reached == best[there] and length >= links[there - first]):
                continue
            best[there], links[there - first], via[there - first] = reached, length, channel
            if not waiting[there] and there != target:
                waiting[there] = True
                queue[(head + size) % room] = there
                size += 1
    found, length = best[target], 0
    if found > 0.0:
        length, node = links[target - first], target
        for i in range(length - 1, -1, -1):
            channel = via[node - first]
            work.route[i] = channel
            node = w.tail[w.link[channel]] + w.head[w.link[channel]] - node
    for node in range(first, w.nodes[run + 1]):
        best[node] = 0.0
    return length, found
