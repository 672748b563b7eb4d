"""Path search: the cheapest simple paths between two nodes under a noise budget and a hop limit (compiled).

One best-first search serves all. Labels are partial paths, ordered by cost so far plus the exact cheapest
completion, so complete paths come out in order of cost. Asked for one path, a label is dropped when an
earlier one at its node is no worse in noise and hops; asked for more, partial paths are kept simple.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.costs import Costs
from qnroute.network import Network


class Paths(NamedTuple):
    """Simple paths in order of cost, as compressed rows.

    `nodes[indptr[j]:indptr[j + 1]]` is path j; `links` are those between its nodes, one path after the other. `rest` is
    a lower bound on the cost of every path not listed: infinite where the list is known to be complete.
    """

    nodes: np.ndarray
    links: np.ndarray
    indptr: np.ndarray
    cost: np.ndarray
    rest: float


def cheapest_paths(
    network: Network,
    costs: Costs,
    source: int,
    target: int,
    *,
    count: int = 1,
    max_cost: float = np.inf,
    max_noise: float = np.inf,
    max_hops: int | None = None,
    max_labels: int = 1_000_000,
) -> Paths:
    """The `count` cheapest simple paths from `source` to `target` that keep all limits.

    Parameters
    ----------
    costs
        Per link and passed node.
    max_cost
        Paths dearer than this are not listed (and count in `Paths.rest`).
    max_noise, max_hops
        Limits on total noise and number of links.
    max_labels
        The search stops, with a finite `rest`, once it holds so many partial paths.
    """
    adjacency = network.adjacency
    hops = network.n_nodes - 1 if max_hops is None else min(max_hops, network.n_nodes - 1)
    nodes, links, indptr, cost, rest = _best_first(
        adjacency.indptr,
        adjacency.neighbour,
        adjacency.link,
        costs.link,
        costs.node,
        costs.noise,
        source,
        target,
        count,
        float(max_cost),
        float(max_noise),
        hops,
        max_labels,
    )
    if count == 1 and len(cost):  # found with dominance, which forgets paths: all that is known of them
        rest = float(cost[0])
    return Paths(nodes, links, indptr, cost, rest)


def completion_costs(network: Network, link: np.ndarray, node: np.ndarray, target: int) -> np.ndarray:
    """(n,) cheapest cost from each node (its own passing cost not counted) to `target`; infinite if unreachable."""
    adjacency = network.adjacency
    return _all_left((adjacency.indptr, adjacency.neighbour, adjacency.link), link, node, target)


@njit(cache=True)
def _push(heap_key, heap_item, size, key, item):
    i = size
    while i > 0:
        up = (i - 1) >> 1
        if heap_key[up] < key or (heap_key[up] == key and heap_item[up] < item):
            break
        heap_key[i] = heap_key[up]
        heap_item[i] = heap_item[up]
        i = up
    heap_key[i] = key
    heap_item[i] = item


@njit(cache=True)
def _pop(heap_key, heap_item, size):
    """Take the root away; the heap has size - 1 entries afterwards."""
    last = size - 1
    key, item = heap_key[last], heap_item[last]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= last:
            break
        right = child + 1
        if right < last and (
            heap_key[right] < heap_key[child]
            or (heap_key[right] == heap_key[child] and heap_item[right] < heap_item[child])
        ):
            child = right
        if key < heap_key[child] or (key == heap_key[child] and item < heap_item[child]):
            break
        heap_key[i] = heap_key[child]
        heap_item[i] = heap_item[child]
        i = child
    heap_key[i] = key
    heap_item[i] = item


@njit(cache=True)
def _grown(array):
    bigger = np.empty(2 * array.size, array.dtype)
    bigger[: array.size] = array
    return bigger


class _Search(NamedTuple):
    """Dijkstra from a target, as far as it went: costs to it (n,), and a heap whose size stands in an array (1,)."""

    best: np.ndarray
    key: np.ndarray
    item: np.ndarray
    size: np.ndarray


@njit(cache=True)
def _from(target, indptr):
    """A search about to begin."""
    best, size = np.full(indptr.size - 1, np.inf), np.ones(1, np.int64)
    key, item = np.empty(indptr[-1] + 1), np.empty(indptr[-1] + 1, np.int64)
    best[target] = key[0] = 0.0
    item[0] = target
    return _Search(best, key, item, size)


@njit(cache=True)
def _left(arcs, link_cost, node_cost, target, search, v):
    """The cheapest cost from v to the target; the search goes on until all that is left in it is dearer.

    Entering w from u costs the link plus, unless w is the target, passing w.
    """
    indptr, neighbour, link = arcs
    best, key, item, size = search
    while size[0] > 0 and key[0] < best[v]:
        known, w = key[0], item[0]
        _pop(key, item, size[0])
        size[0] -= 1
        reach = known if w == target else known + node_cost[w]
        if known > best[w] or reach == np.inf:
            continue
        for a in range(indptr[w], indptr[w + 1]):
            u = neighbour[a]
            through = reach + link_cost[link[a]]
            if through < best[u]:
                best[u] = through
                _push(key, item, size[0], through, u)
                size[0] += 1
    return best[v]


@njit(cache=True)
def _all_left(arcs, link_cost, node_cost, target):
    """The cheapest cost from every node to the target."""
    search = _from(target, arcs[0])
    for v in range(arcs[0].size - 1):
        _left(arcs, link_cost, node_cost, target, search, v)
    return search.best


@njit(cache=True)
def _dominated(first, following, noise, hops, node, label):
    """Whether a label expanded earlier at this node (so no dearer) is no worse in noise and hops."""
    other = first[node]
    while other >= 0:
        if noise[other] <= noise[label] and hops[other] <= hops[label]:
            return True
        other = following[other]
    return False


@njit(cache=True)
def _visited(node, parent, label, v):
    while label >= 0:
        if node[label] == v:
            return True
        label = parent[label]
    return False


@njit(cache=True)
def _traced(node, parent, entered, ends, lengths):
    """The paths that end at the given labels: nodes, links, and where the nodes of each begin."""
    indptr = np.zeros(ends.size + 1, np.int64)
    for j in range(ends.size):
        indptr[j + 1] = indptr[j] + lengths[j] + 1
    nodes, links = np.empty(indptr[ends.size], np.int64), np.empty(indptr[ends.size] - ends.size, np.int64)
    for j in range(ends.size):
        label = ends[j]
        for i in range(indptr[j + 1] - 1, indptr[j], -1):
            nodes[i], links[i - 1 - j] = node[label], entered[label]
            label = parent[label]
        nodes[indptr[j]] = node[label]
    return nodes, links, indptr


@njit(cache=True)
def _best_first(
    indptr,
    neighbour,
    link,
    link_cost,
    node_cost,
    link_noise,
    source,
    target,
    count,
    max_cost,
    max_noise,
    max_hops,
    most,
):
    n = indptr.size - 1
    arcs, free, ones = (indptr, neighbour, link), np.zeros(n), np.ones(link_cost.size)
    by_cost, by_noise, by_hops = _from(target, indptr), _from(target, indptr), _from(target, indptr)
    shortest = _left(arcs, link_cost, node_cost, target, by_cost, source)
    best, nearest, _, pending = by_cost
    few = max_hops < n - 1  # else no simple path is too long
    room = 256
    node, parent, entered = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    hops, following = np.empty(room, np.int64), np.empty(room, np.int64)
    cost, noise = np.empty(room), np.empty(room)
    key, item = np.empty(room), np.empty(room, np.int64)
    expanded = np.full(n, -1, np.int64)  # per node, the labels expanded there, linked by `following`
    found = np.empty(min(count, 1024), np.int64)
    n_found = 0
    rest = np.inf
    labels = size = 0
    if shortest <= max_cost and shortest < np.inf:
        node[0], parent[0], hops[0], cost[0], noise[0] = source, -1, 0, 0.0, 0.0
        key[0], item[0] = shortest, 0
        labels = size = 1
    elif shortest < np.inf:
        rest = shortest
    while size > 0:
        label, bound = item[0], key[0]
        if n_found == count or labels > most:
            rest = min(rest, bound)
            break
        _pop(key, item, size)
        size -= 1
        u = node[label]
        if u == target:
            if n_found == found.size:
                found = _grown(found)
            found[n_found] = label
            n_found += 1
            continue
        if count == 1:
            if _dominated(expanded, following, noise, hops, u, label):
                continue
            following[label] = expanded[u]
            expanded[u] = label
        for a in range(indptr[u], indptr[u + 1]):
            v, e = neighbour[a], link[a]
            if v == source or _visited(node, parent, label, v):
                continue
            reach, spoilt = cost[label] + link_cost[e], noise[label] + link_noise[e]
            if v != target:
                reach += node_cost[v]
            known = best[v]  # looked up here: a call for nothing costs more than all the rest
            if pending[0] > 0 and nearest[0] < known:
                known = _left(arcs, link_cost, node_cost, target, by_cost, v)
            total = reach + known
            if total == np.inf or (few and hops[label] + 1 + _left(arcs, ones, free, target, by_hops, v) > max_hops):
                continue
            if max_noise < np.inf and spoilt + _left(arcs, link_noise, free, target, by_noise, v) > max_noise:
                continue
            if total > max_cost:
                rest = min(rest, total)
                continue
            if labels == node.size:
                node, parent, hops, following = _grown(node), _grown(parent), _grown(hops), _grown(following)
                cost, noise, entered = _grown(cost), _grown(noise), _grown(entered)
            if size == key.size:
                key, item = _grown(key), _grown(item)
            node[labels], parent[labels], hops[labels] = v, label, hops[label] + 1
            cost[labels], noise[labels], entered[labels] = reach, spoilt, e
            _push(key, item, size, total, labels)
            size += 1
            labels += 1
    ends = found[:n_found].copy()
    nodes, links, rows = _traced(node, parent, entered, ends, hops[ends])
    return nodes, links, rows, cost[ends], rest
