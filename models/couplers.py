"""Couplers of a binary quadratic model, each pair once and in order (compiled).

An array over all variables says where the coupler with each stands, and only those of one variable are put in order;
so nothing as long as all couplers is ever sorted.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_FEW = 64  # couplers that are sorted by insertion


@njit(cache=True)
def summed(one, other, bias, n):
    """Couplers of `n` variables given in any order (one end, the other end, bias), those of the same pair summed."""
    row, col, total = np.empty(bias.size, np.int64), np.empty(bias.size, np.int64), np.empty(bias.size)
    begin, next_one, _, _ = _by_variable(np.array([0, bias.size]), np.minimum(one, other), bias, n)
    where, end = np.full(n, -1, np.int32), 0
    for i in range(n):
        start = end
        for k in range(begin[i], begin[i + 1]):
            e = next_one[k] - 1
            j = max(one[e], other[e])
            if where[j] < start:
                where[j], row[end], col[end], total[end] = end, i, j, 0.0
                end += 1
            total[where[j]] += bias[e]
        _in_order(col, total, start, end)
    return row[:end], col[:end], total[:end]


@njit(cache=True)
def coupled(conflicts, rooms, penalty, penalties, squares, scales, ends, bias):
    """Write couplers of conflicts and squares, see `qnroute.models.quadratic.products`; returns how many there are.

    Both are rows in compressed form (indptr, indices, amounts), their variables in order. Of each entry `rooms` tells
    what it leaves of its row's limit, `penalties` its own, and `scales` what the others of its row are multiplied by.
    """
    n, row, col = penalty.size, ends[0], ends[1]
    where, end = np.full(n, -1, np.int32), 0
    (indptr, indices, amount), (indptr_2, indices_2, amount_2) = conflicts, squares
    begin, first, last, room = _by_variable(indptr, indices, rooms, n)
    begin_2, first_2, last_2, scale = _by_variable(indptr_2, indices_2, scales, n)
    for i in range(n):
        start = end
        for k in range(begin[i], begin[i + 1]):
            for e in range(first[k], last[k]):
                j = indices[e]
                if amount[e] > room[k] and where[j] < start:
                    least = penalties[e] if penalties[e] < penalty[i] else penalty[i]
                    where[j], row[end], col[end], bias[end] = end, i, j, least
                    end += 1
        for k in range(begin_2[i], begin_2[i + 1]):
            for e in range(first_2[k], last_2[k]):
                j = indices_2[e]
                if where[j] < start:
                    where[j], row[end], col[end], bias[end] = end, i, j, 0.0
                    end += 1
                bias[where[j]] += scale[k] * amount_2[e]
        _in_order(col, bias, start, end)
    return end


@njit(cache=True)
def _by_variable(indptr, indices, value, n):
    """The entries of each of `n` variables, in the order of rows: where what follows in the row begins and ends, value.

    Read one after the other, they spare a search for the row of each.
    """
    begin = np.zeros(n + 1, np.int64)
    for j in indices:
        begin[j + 1] += 1
    begin = np.cumsum(begin)
    free, size = begin[:-1].copy(), indices.size
    first, last, values = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size)
    for r in range(indptr.size - 1):
        for e in range(indptr[r], indptr[r + 1]):
            k = free[indices[e]]
            free[indices[e]] += 1
            first[k], last[k], values[k] = e + 1, indptr[r + 1], value[e]
    return begin, first, last, values


@njit(cache=True)
def _in_order(col, bias, start, end):
    """Sort the couplers of one variable."""
    if end - start > _FEW:
        order = start + np.argsort(col[start:end])
        col[start:end], bias[start:end] = col[order], bias[order]
        return
    for k in range(start + 1, end):
        j, b, at = col[k], bias[k], k
        while at > start and col[at - 1] > j:
            col[at], bias[at] = col[at - 1], bias[at - 1]
            at -= 1
        col[at], bias[at] = j, b
