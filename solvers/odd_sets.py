"""Odd-set inequalities for link selection: what a choice of whole links keeps and its relaxation does not.

For nodes U and links F that leave U, with b(U) + |F| odd,

    x(links inside U) + x(F) <= (b(U) + |F| - 1) / 2

(Edmonds 1965). With the degree bounds and 0 <= x <= 1 they describe the convex hull of all selections, so a relaxation
that breaks none of them is solved. The inequality is broken iff slack(U) + sum_{e leaving U} (1 - x_e if e in F else x_e)
is below 1: a cut of least weight with odd parity (Padberg and Rao 1982; Letchford, Reinelt and Theis 2008).
"""

from __future__ import annotations

from typing import NamedTuple

import networkx as nx
import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import connected_components

_LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4)  # links at least so far from 0 and 1 hold a set of nodes together
_LEAST = 0.01  # violation below which an inequality is not worth having, in units of the cut's weight
_WHOLE = 1e-6  # links nearer to 0 or 1 than this count as whole


class OddSet(NamedTuple):
    """sum of x over `links` <= `most`."""

    links: np.ndarray
    most: int


class Graph(NamedTuple):
    """Ends of links (m,) and degree bounds (n,), whole numbers."""

    source: np.ndarray
    target: np.ndarray
    bound: np.ndarray


def broken(graph: Graph, x: np.ndarray) -> list[OddSet]:
    """Odd-set inequalities that x (m,) breaks; none only if there is none."""
    away = np.minimum(x, 1.0 - x)
    away[away < _WHOLE] = 0.0
    load = np.bincount(graph.source, x, len(graph.bound)) + np.bincount(graph.target, x, len(graph.bound))
    slack = np.maximum(graph.bound - load, 0.0)
    found: dict[bytes, OddSet] = {}
    label = np.zeros(0, dtype=np.int64)
    for level in _LEVELS:
        held = away > level
        if held.any():
            _, label = connected_components(_adjacency(graph, held), directed=False)
            _collect(graph, x, away, slack, label, held, found)
    if not found and (away > 0.0).any():
        _, label = connected_components(_adjacency(graph, away > 0.0), directed=False)
        _by_cut_trees(graph, x, away, slack, label, found)
    return list(found.values())


def _adjacency(graph: Graph, held: np.ndarray) -> sparse.csr_array:
    n = len(graph.bound)
    return sparse.csr_array((np.ones(held.sum()), (graph.source[held], graph.target[held])), shape=(n, n))


def _collect(graph, x, away, slack, label, held, found) -> None:
    """Add the inequalities broken by the sets of nodes with one label, among those that `held` links touch."""
    count = int(label.max()) + 1
    one, other = label[graph.source], label[graph.target]
    leaving = one != other
    weight = np.bincount(label, slack, count)
    parity = np.bincount(label, graph.bound % 2, count)
    links = np.flatnonzero(leaving)
    side, link = np.concatenate([one[links], other[links]]), np.concatenate([links, links])
    weight += np.bincount(side, away[link], count)
    parity += np.bincount(side, x[link] > 0.5, count)
    change = np.abs(1.0 - 2.0 * x[link])  # of the weight, if the link changes sides
    order = np.argsort(-change, kind="stable")  # the last to be written is the least
    flip, cheapest = np.full(count, np.inf), np.full(count, -1)
    flip[side[order]], cheapest[side[order]] = change[order], link[order]
    even = parity % 2 == 0
    touched = np.zeros(count, dtype=bool)
    touched[one[held]] = True
    chosen = np.flatnonzero(touched & (np.where(even, weight + flip, weight) < 1.0 - _LEAST))
    if not len(chosen):
        return
    wanted = np.zeros(count, dtype=bool)
    wanted[chosen] = True
    inside = np.flatnonzero(~leaving & wanted[one])
    taken = links[x[links] > 0.5]
    where = np.concatenate([one[inside], one[taken], other[taken]])
    what = np.concatenate([inside, taken, taken])
    order = np.argsort(where, kind="stable")
    where, what = where[order], what[order]
    starts, ends = np.searchsorted(where, chosen), np.searchsorted(where, chosen, side="right")
    bounds = np.bincount(label, graph.bound, count).astype(np.int64)
    for u, start, end in zip(chosen.tolist(), starts.tolist(), ends.tolist()):
        members = what[start:end]
        odd = _odd_set(graph, members, leaving, int(bounds[u]), int(cheapest[u]) if even[u] else None)
        found[odd.links.tobytes()] = odd


def _odd_set(graph: Graph, members: np.ndarray, leaving: np.ndarray, bound: int, flipped: int | None) -> OddSet:
    """The inequality of a set of nodes: its links inside and those chosen of the ones that leave, one of them changed."""
    if flipped is not None:
        members = np.setxor1d(members, [flipped])
    members = np.sort(members)
    return OddSet(members, (bound + int(leaving[members].sum()) - 1) // 2)


def _by_cut_trees(graph, x, away, slack, label, found) -> None:
    """Look for odd cuts of weight below 1 exactly, in the cut tree of every part that links between 0 and 1 join."""
    held = np.flatnonzero(away > 0.0)
    for part in np.unique(label[graph.source[held]]).tolist():
        links = held[label[graph.source[held]] == part]
        tree = nx.Graph()
        for e in links.tolist():
            u, v, w = int(graph.source[e]), int(graph.target[e]), float(away[e])
            tree.add_edge(u, v, capacity=w + (tree[u][v]["capacity"] if tree.has_edge(u, v) else 0.0))
        for v in list(tree):
            if slack[v] > 0.0:
                tree.add_edge(v, -1, capacity=float(slack[v]))
        tree = nx.gomory_hu_tree(tree)
        for u, v in list(tree.edges):
            if tree[u][v]["weight"] >= 1.0 - _LEAST:
                continue
            cut = tree.copy()
            cut.remove_edge(u, v)
            nodes = next(side for side in nx.connected_components(cut) if -1 not in side)
            inside = np.zeros(len(graph.bound), dtype=np.int64)
            inside[list(nodes)] = 1
            _collect(graph, x, away, slack, inside, links[inside[graph.source[links]] == 1], found)
