"""Regression trees as plain arrays: what they say, and whether arrays are trees at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numba import njit

from qnroute.learning.links.checking import array_faults

_TOGETHER = 8  # rows that go through a tree side by side


def said_by_trees(arrays: Mapping[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """(n,) sums over trees of the leaf that each of (n, d) rows falls into, and the ``base``.

    A row goes left where its feature is at most the threshold, where it is NaN as the node says.

    Parameters
    ----------
    arrays
        ``roots`` (T + 1,): the nodes of tree t are roots[t] to roots[t + 1] - 1, its root first. Of each node:
        ``feature``, -1 for a leaf; ``threshold``; ``left`` and ``right``, the nodes below; ``blank_left``, 1 where
        NaN goes left; ``value``, of a leaf. ``base`` (1,).
    x
        C-contiguous float64.
    """
    feature, own = arrays["feature"], np.arange(arrays["feature"].size)
    leaf = feature < 0
    column = np.where(leaf, 0, 2 * feature + arrays["blank_left"]).astype(np.int32)
    threshold = np.where(leaf, np.inf, np.minimum(arrays["threshold"], np.finfo(float).max))
    below = np.column_stack([np.where(leaf, own, arrays[name]) for name in ("left", "right")]).astype(np.int32).ravel()
    found = np.full(len(x), arrays["base"][0])
    _descend(x, arrays["roots"], column, threshold, below, arrays["value"], found)
    return found


def tree_faults(arrays: Mapping[str, np.ndarray], d: int) -> Iterator[str]:
    """What is wrong with arrays that should be trees of d features; without fault a descent ends, within bounds."""
    faults = list(array_faults(arrays, "base", (1,), "f"))
    faults += array_faults(arrays, "roots", (None,), "i", low=0)
    faults += array_faults(arrays, "feature", (None,), "i", low=-1, high=d - 1)
    nodes = arrays["feature"].size if not faults else None
    faults += array_faults(arrays, "threshold", (nodes,), "f", finite=False)
    faults += array_faults(arrays, "value", (nodes,), "f")
    faults += array_faults(arrays, "blank_left", (nodes,), "i", low=0, high=1)
    for name in ("left", "right"):
        faults += array_faults(arrays, name, (nodes,), "i")
    yield from faults
    if faults:
        return
    roots = arrays["roots"].astype(np.int64)
    if roots.size == 0 or roots[0] != 0 or roots[-1] != nodes or (np.diff(roots) <= 0).any():
        yield f"roots: found no ascent from 0 to the {nodes} nodes"
        return
    inner = np.flatnonzero(arrays["feature"] >= 0)
    end = np.repeat(roots[1:], np.diff(roots))[inner]
    for name in ("left", "right"):
        below = arrays[name][inner]
        if ((below <= inner) | (below >= end)).any():
            yield f"{name}: found nodes that do not come after their parent in the same tree"


@njit(cache=True, nogil=True)
def _descend(
    x: np.ndarray,
    roots: np.ndarray,
    column: np.ndarray,
    threshold: np.ndarray,
    below: np.ndarray,
    value: np.ndarray,
    found: np.ndarray,
) -> None:
    """Add to `found` what each tree says of each row.

    Rows go down together, a level at a time and without branches, so that no row waits for another's memory; whoever is
    at a leaf stays there, and rows of zeros fill up the last few. NaN is more than any threshold in column 2 f and less
    in 2 f + 1.
    """
    d = x.shape[1]
    seen, at = np.zeros((_TOGETHER, 2 * d)), np.empty(_TOGETHER, np.int32)
    for begin in range(0, x.shape[0], _TOGETHER):
        count = min(_TOGETHER, x.shape[0] - begin)
        for i in range(count):
            for f in range(d):
                given = x[begin + i, f]
                seen[i, 2 * f] = np.inf if np.isnan(given) else given
                seen[i, 2 * f + 1] = -np.inf if np.isnan(given) else given
        for tree in range(roots.size - 1):
            at[:] = roots[tree]
            moved = True
            while moved:
                moved = False
                for i in range(_TOGETHER):
                    node = at[i]
                    at[i] = below[2 * node + (not seen[i, column[node]] <= threshold[node])]
                    moved |= at[i] != node
            for i in range(count):
                found[begin + i] += value[at[i]]
