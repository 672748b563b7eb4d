"""The cheapest route that keeps a quality, over what each channel offers: a search with two criteria, compiled.

A channel offers a pair of some quality in (0, 1] at a price >= 0. Labels of a node are kept while no other is both
cheaper and of higher quality; the best route is simple, because a loop costs and spoils.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

_ROOM = 256


class Offers(NamedTuple):
    """What the channels of all runs offer; those of other runs are never looked at."""

    quality: np.ndarray  # (C,) float64, 0 where there is none
    price: np.ndarray  # (C,) float64
    passing: np.ndarray  # (C, 2) bool: whether a route may go on behind the tail, the head, reached by this channel


class Labels(NamedTuple):
    """Room for labels, made anew twice as long where it is not enough."""

    number: np.ndarray  # (4, room) int64: node, channel, label before, next label of the node
    value: np.ndarray  # (2, room) float64: price, quality
    head: np.ndarray  # (N,) int64: the first label of a node; -1 between searches
    route: np.ndarray  # (N,) int64: channels of the route found, from its source


def offers_of(w) -> Offers:
    """No offers yet; every node may be passed."""
    count = len(w.link)
    return Offers(np.zeros(count), np.zeros(count), np.ones((count, 2), dtype=np.bool_))


def labels_of(w) -> Labels:
    """Room to begin with."""
    n = len(w.memory)
    return Labels(
        np.zeros((4, _ROOM), dtype=np.int64), np.zeros((2, _ROOM)), np.full(n, -1, dtype=np.int64),
        np.empty(n + 1, dtype=np.int64),
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def cheapest(w, source, target, need, most, offers, labels):
    """The cheapest route whose quality is at least `need` and whose price is below `most`.

    Leaves its channels in ``labels.route``; gives their number (0: there is none), the price, the quality, and the
    labels, which may have grown.
    """
    number, value, head = labels.number, labels.value, labels.head
    number[0, 0], number[1, 0], number[2, 0], number[3, 0] = source, -1, -1, -1
    value[0, 0], value[1, 0] = 0.0, 1.0
    head[source] = 0
    made, at, best = 1, 0, -1
    while at < made:
        node, price, quality = number[0, at], value[0, at], value[1, at]
        at += 1
        if number[2, at - 1] == -2 or node == target or price >= most:
            continue
        for i in range(w.indptr[node], w.indptr[node + 1]):
            there = w.neighbour[i]
            for channel in range(w.first[w.via[i]], w.first[w.via[i] + 1]):
                reached, paid = quality * offers.quality[channel], price + offers.price[channel]
                if reached < need or paid >= most or reached <= 0.0:
                    continue
                if there != target and not offers.passing[channel, 0 if w.tail[w.link[channel]] == there else 1]:
                    continue  # it would keep others out of the node and go no further itself
                if _dominated(number, value, head, there, paid, reached, at):
                    continue
                if made == number.shape[1]:
                    number = np.concatenate((number, number), axis=1)
                    value = np.concatenate((value, value), axis=1)
                number[0, made], number[1, made], number[2, made] = there, channel, at - 1
                number[3, made] = head[there]
                value[0, made], value[1, made] = paid, reached
                head[there] = made
                if there == target:
                    most, best = paid, made
                made += 1
    for label in range(made):
        head[number[0, label]] = -1
    length, price, quality = 0, 0.0, 0.0
    if best >= 0:
        price, quality, length = value[0, best], value[1, best], _traced(number, best, labels.route)
    return length, price, quality, Labels(number, value, head, labels.route)


@njit(cache=True, error_model="numpy")
def _dominated(number, value, head, node, paid, reached, at):
    """Whether a label of the node is as good in both; if not, those that the new one beats are taken out."""
    other, before = head[node], -1
    while other >= 0:
        if value[0, other] <= paid and value[1, other] >= reached:
            return True
        other = number[3, other]
    other = head[node]
    while other >= 0:
        after = number[3, other]
        if value[0, other] >= paid and value[1, other] <= reached:
            if other >= at:  # not looked at yet, and need not be
                number[2, other] = -2
            if before < 0:
                head[node] = after
            else:
                number[3, before] = after
        else:
            before = other
        other = after
    return False


@njit(cache=True, error_model="numpy")
def _traced(number, label, route):
    """Write down the channels that lead to a label, from the source on; gives how many."""
    length, at = 0, label
    while number[1, at] >= 0:
        length, at = length + 1, number[2, at]
    at = label
    for i in range(length - 1, -1, -1):
        route[i] = number[1, at]
        at = number[2, at]
    return length
