"""Odd-set inequalities for link selection: what a choice of whole links keeps and its relaxation does not.

For nodes U and links F that leave U, with b(U) + |F| odd,

    x(links inside U) + x(F) <= (b(U) + |F| - 1) / 2

(Edmonds 1965). With the degree bounds and 0 <= x <= 1 they describe the convex hull of all selections, so a
relaxation that breaks none of them is solved. The inequality is broken iff slack(U), plus 1 - x_e over F, plus x_e over
the other links that leave U, is below 1: a cut of least weight with odd parity (Padberg and Rao 1982; Letchford,
Reinelt and Theis 2008).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import breadth_first_order, connected_components, maximum_flow

_LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4)  # links at least so far from 0 and 1 hold a set of nodes together
_LEAST = 0.01  # violation below which an inequality is not worth having, in units of the cut's weight
_ENOUGH = 20  # links between 0 and 1 for each inequality found in a part, beyond which it is searched exactly
_UNITS = 1_000_000  # of weight in an exact search
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
    for level in _LEVELS:
        held = away > level
        if held.any():
            _, label = connected_components(_adjacency(graph, held), directed=False)
            _collect(graph, x, away, slack, label, held, found)
    if (away > 0.0).any():
        _by_cut_trees(graph, x, away, slack, found)
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
    """The inequality of a set of nodes over its `members`, links inside and chosen ones that leave; one may change."""
    if flipped is not None:
        members = np.setxor1d(members, [flipped])
    members = np.sort(members)
    return OddSet(members, (bound + int(leaving[members].sum()) - 1) // 2)


def _by_cut_trees(graph, x, away, slack, found) -> None:
    """Look for odd cuts of weight below 1 exactly, in the cut tree of every part that links between 0 and 1 join.

    Parts in which enough was found without are left for later.
    """
    held = np.flatnonzero(away > 0.0)
    n_parts, label = connected_components(_adjacency(graph, away > 0.0), directed=False)
    known = np.zeros(n_parts, dtype=np.int64)
    for odd in found.values():
        inside = odd.links[away[odd.links] > 0.0]
        known[label[graph.source[inside[:1]]]] += 1
    part = label[graph.source[held]]
    order = np.argsort(part, kind="stable")
    starts = np.searchsorted(part[order], np.arange(n_parts + 1))
    place = np.full(len(graph.bound), -1)
    for i in np.flatnonzero(np.diff(starts)).tolist():
        links = held[order[starts[i] : starts[i + 1]]]
        if known[i] > len(links) / _ENOUGH:
            continue
        nodes = np.unique(np.concatenate([graph.source[links], graph.target[links]]))
        place[nodes] = np.arange(len(nodes))
        for side in _light_cuts(place[graph.source[links]], place[graph.target[links]], away[links], slack[nodes]):
            label_of = np.zeros(len(graph.bound), dtype=np.int64)
            label_of[nodes[side]] = 1
            _collect(graph, x, away, slack, label_of, links[label_of[graph.source[links]] == 1], found)


def _light_cuts(source: np.ndarray, target: np.ndarray, weight: np.ndarray, slack: np.ndarray) -> list[np.ndarray]:
    """Node sets of the cuts of weight below 1 in the cut tree of n nodes and a last one, which slack leads to.

    Gusfield's algorithm (1990): n maximum flows.
    """
    n = len(slack)
    open_ = np.flatnonzero(slack > 0.0)
    one = np.concatenate([source, open_])
    other = np.concatenate([target, np.full(len(open_), n)])
    capacity = np.ceil(np.concatenate([weight, slack[open_]]).clip(max=2.0) * _UNITS).astype(np.int32)
    both = np.concatenate([one, other]), np.concatenate([other, one])
    network = sparse.csr_array((np.concatenate([capacity, capacity]), both), shape=(n + 1, n + 1))
    parent, least = np.full(n + 1, n), np.zeros(n + 1, dtype=np.int64)
    for v in range(n):
        towards = int(parent[v])
        cut = maximum_flow(network, v, towards)
        residual = network - cut.flow
        residual.eliminate_zeros()
        side = np.zeros(n + 1, dtype=bool)
        side[breadth_first_order(residual, v, return_predecessors=False)] = True
        side[v] = False
        parent[side & (parent == towards)] = v
        least[v] = cut.flow_value
        if side[parent[towards]]:
            parent[v], parent[towards] = parent[towards], v
            least[v], least[towards] = least[towards], cut.flow_value
    tree = sparse.csr_array((np.ones(n), (parent[:n], np.arange(n))), shape=(n + 1, n + 1))
    light = np.flatnonzero(least[:n] < _UNITS * (1.0 - _LEAST)).tolist()
    return [breadth_first_order(tree, v, return_predecessors=False) for v in light]
