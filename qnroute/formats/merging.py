"""From the connections of a file, parallel ones and loops among them, to one link between two nodes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from qnroute.formats.raw import RawLink, count, sample


def merge_links(
    links: Sequence[RawLink], ends: Sequence[tuple[int, int]], names: Sequence[str], *, directed: bool
) -> tuple[list[RawLink], list[tuple[int, int]], list[str]]:
    """One link for each two nodes, its `channels` the number of parallels.

    Parameters
    ----------
    links
        As read.
    ends
        Indices of the end nodes of each.
    names
        Of the nodes, for notes.
    directed
        A file that lists a link once per direction has as many channels as in its fuller direction.

    Returns
    -------
    tuple
        The links in the order of their first appearance, their ends, and what was merged or dropped. Of parallels
        with different figures the shortest is kept.
    """
    loops = [names[u] for u, v in ends if u == v]
    groups: dict[tuple[int, int], list[tuple[tuple[int, int], RawLink]]] = {}
    for (u, v), link in zip(ends, links):
        if u != v:
            groups.setdefault((min(u, v), max(u, v)), []).append(((u, v), link))
    merged, both_ways, parallel, unlike = [], 0, [], []
    for group in groups.values():
        channels, two_way = _channels(group, directed)
        called = f"{names[group[0][0][0]]}-{names[group[0][0][1]]}"
        both_ways += two_way
        if len(group) > (2 if two_way else 1):
            parallel.append(called)
        if any(_figures(link) != _figures(group[0][1]) for _, link in group):
            unlike.append(called)
        shortest = min((link for _, link in group), key=_by_length)
        merged.append(dataclasses.replace(shortest, own={**shortest.own, "channels": channels}))
    notes = []
    if loops:
        notes.append(f"dropped: {count(len(loops), 'link')} from a node to itself: {sample(loops)}")
    if both_ways:
        notes.append(f"merged: the two directions of {count(both_ways, 'link')}")
    if parallel:
        notes.append(f"merged: the parallels of {count(len(parallel), 'link')} into channels: {sample(parallel)}")
    if unlike:
        notes.append(f"doubtful: {count(len(unlike), 'link')} merged from unlike ones, shortest kept: {sample(unlike)}")
    return merged, [group[0][0] for group in groups.values()], notes


def _channels(group: Sequence[tuple[tuple[int, int], RawLink]], directed: bool) -> tuple[int, bool]:
    """Channels of a group of parallels, and whether it holds both directions of a directed file."""
    by_direction: dict[tuple[int, int], int] = {}
    for direction, link in group:
        by_direction[direction] = by_direction.get(direction, 0) + link.own.get("channels", 1)
    if directed:
        return max(by_direction.values()), len(by_direction) == 2
    return sum(by_direction.values()), False


def _figures(link: RawLink) -> tuple:
    own = {name: value for name, value in link.own.items() if name != "channels"}
    return link.length_km, link.loss_db, own


def _by_length(link: RawLink) -> float:
    return math.inf if link.length_km is None else link.length_km
