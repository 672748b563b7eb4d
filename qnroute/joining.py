"""The parts of a network, and the links that would join them."""

from __future__ import annotations

import numpy as np


def joining_pairs(n: int, pairs: np.ndarray, xy: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """(components - 1, 2) pairs that make the sketch connected."""
    label = components(n, pairs)
    if label.max() == 0:
        return np.empty((0, 2), dtype=np.int64)
    return _random_joins(label, rng) if xy is None else _shortest_joins(label, xy)


def _random_joins(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Components in random order, each linked to one of those before it, by nodes drawn at random."""
    rank = rng.permutation(label.max() + 1)[label]
    order = np.argsort(rank, kind="stable")
    size = np.bincount(rank)
    start = np.cumsum(size) - size
    return order[np.column_stack([rng.integers(start[1:], start[1:] + size[1:]), rng.integers(0, start[1:])])]


def _shortest_joins(label: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Kruskal on the Delaunay edges between components: the shortest joins are among them, as in any spanning tree."""
    from networkx.utils import UnionFind
    from scipy.spatial import Delaunay

    triangles = Delaunay(xy).simplices if len(xy) > 3 else np.arange(3)[None, :] % len(xy)
    pairs = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    pairs = pairs[label[pairs[:, 0]] != label[pairs[:, 1]]]
    joined, kept = UnionFind(range(label.max() + 1)), []
    for u, v in pairs[np.argsort(lengths(xy, pairs), kind="stable")].tolist():
        if joined[label[u]] != joined[label[v]]:
            joined.union(label[u], label[v])
            kept.append((u, v))
    return np.array(kept)


def lengths(xy: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(m,) distance between the two nodes of each pair."""
    return np.hypot(*(xy[pairs[:, 0]] - xy[pairs[:, 1]]).T)


def components(n: int, pairs: np.ndarray) -> np.ndarray:
    """(n,) component of each node, numbered from 0."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64)
