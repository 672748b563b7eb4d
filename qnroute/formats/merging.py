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
    groups: dict[tuple[int, int], _Group] = {}
    for (u, v), link in zip(ends, links):
        if u != v:
            groups.setdefault((min(u, v), max(u, v)), []).append(((u, v), link))
    merged = [_merged(group, directed) for group in groups.values()]
    firsts = [group[0][0] for group in groups.values()]
    return merged, firsts, _notes(loops, list(groups.values()), names, directed)


_Group = list[tuple[tuple[int, int], RawLink]]  # what joins the same two nodes: from where to where, and the link


def _merged(group: _Group, directed: bool) -> RawLink:
    per_direction = _by_direction(group).values()
    channels = max(per_direction) if directed else sum(per_direction)
    shortest = min((link for _, link in group), key=_by_length)
    return dataclasses.replace(shortest, own={**shortest.own, "channels": channels})


def _by_direction(group: _Group) -> dict[tuple[int, int], int]:
    """Channels in each direction."""
    channels: dict[tuple[int, int], int] = {}
    for direction, link in group:
        channels[direction] = channels.get(direction, 0) + link.own.get("channels", 1)
    return channels


def _notes(loops: list[str], groups: list[_Group], names: Sequence[str], directed: bool) -> list[str]:
    """What was merged and dropped."""
    two_way = [directed and len(_by_direction(group)) == 2 for group in groups]
    called = ["-".join(names[end] for end in group[0][0]) for group in groups]
    parallel = [name for name, group, two in zip(called, groups, two_way) if len(group) > 1 + two]
    unlike = [
        name for name, group in zip(called, groups) if any(_figures(link) != _figures(group[0][1]) for _, link in group)
    ]
    said = {
        "dropped: {} from a node to itself": loops,
        "merged: the parallels of {} into channels": parallel,
        "doubtful: {} merged from unlike ones, shortest kept": unlike,
    }
    notes = [f"merged: the two directions of {count(sum(two_way), 'link')}"] if any(two_way) else []
    return notes + [f"{text.format(count(len(of), 'link'))}: {sample(of)}" for text, of in said.items() if of]


def _figures(link: RawLink) -> tuple:
    own = {name: value for name, value in link.own.items() if name != "channels"}
    return link.length_km, link.loss_db, own


def _by_length(link: RawLink) -> float:
    return math.inf if link.length_km is None else link.length_km
