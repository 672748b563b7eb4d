"""Labels: partial routes, and when one of them makes another superfluous (compiled).

That is where it ends at the same node and is no worse in -ln P, payments, noise and hops. Payments count what it may
still have to pay for cuts (`qnroute.parity`) that it has used an odd number of times, and the other has not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.parity import ahead, at, further, set_at, some


class Labels(NamedTuple):
    """Partial routes: where each ends, how it came there, and what it adds up."""

    node: np.ndarray
    parent: np.ndarray
    following: np.ndarray  # the next label at the same node
    hops: np.ndarray
    dead: np.ndarray
    cost: np.ndarray
    paid: np.ndarray
    noise: np.ndarray
    odd: np.ndarray  # (L, 2) the set of cuts used an odd number of times
    key: np.ndarray  # heap of -bound, and of labels
    item: np.ndarray
    first: np.ndarray  # (n,) a label at each node
    found: np.ndarray  # labels of whole routes


@njit(cache=True, nogil=True)
def room_for_labels(n, most, count):
    """Empty labels, for a search that stops once it holds `most` or has found `count` routes."""
    room = most + n + 1
    return Labels(
        np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64),
        np.empty(room, np.bool_), np.empty(room), np.empty(room), np.empty(room),
        np.empty((room, 2), np.int64), np.empty(room), np.empty(room, np.int64), np.full(n, -1, np.int64),
        np.empty(count, np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def put(labels, new, node, parent, cost, paid, noise, hops, odd):
    """Fill in a label."""
    labels.node[new], labels.parent[new], labels.hops[new], labels.dead[new] = node, parent, hops, False
    labels.cost[new], labels.paid[new], labels.noise[new] = cost, paid, noise
    set_at(labels.odd, new, odd)
    labels.following[new] = labels.first[node]
    labels.first[node] = new


@njit(cache=True, nogil=True)
def forget_labels(labels, count):
    """Make room for the next request."""
    for label in range(count):
        labels.first[labels.node[label]] = -1


@njit(cache=True, nogil=True)
def dominated(labels, bits, v, cost, paid, noise, hops, odd, by_noise, by_hops):
    """Whether a label at v is no worse than this one; those that are no better than it die."""
    other = labels.first[v]
    while other >= 0:
        if not labels.dead[other]:
            no_worse = labels.cost[other] <= cost and labels.paid[other] <= paid
            no_better = labels.cost[other] >= cost and labels.paid[other] >= paid
            if by_noise:
                no_worse = no_worse and labels.noise[other] <= noise
                no_better = no_better and labels.noise[other] >= noise
            if by_hops:
                no_worse = no_worse and labels.hops[other] <= hops
                no_better = no_better and labels.hops[other] >= hops
            if no_worse and some(further(at(labels.odd, other), odd)):
                no_worse = labels.paid[other] + ahead(bits, at(labels.odd, other), odd) <= paid
            if no_better and some(further(odd, at(labels.odd, other))):
                no_better = labels.paid[other] >= paid + ahead(bits, odd, at(labels.odd, other))
            if no_worse:
                return True
            if no_better:
                labels.dead[other] = True
        other = labels.following[other]
    return False
