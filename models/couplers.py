"""Couplers of a binary quadratic model, each pair once, those of one variable after the other (compiled).

An array over all variables says where the coupler with each stands, so nothing as long as all couplers is ever sorted.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_FEW = 64  # couplers that are sorted by insertion


@njit(cache=True)
def summed(one, other, bias, n):
    """Couplers of `n` variables given in any order (one end, the other end, bias), those of the same pair summed."""
    row, col, total = np.empty(bias.size, np.int64), np.empty(bias.size, np.int64), np.empty(bias.size)
    where, end, k = np.full(n, -1, np.int32), 0, 0
    lower = np.minimum(one, other)
    order = _by_variable(lower, n)
    for i in range(n):
        start = end
        while k < bias.size and lower[order[k]] == i:
            e = order[k]
            k, j = k + 1, max(one[e], other[e])
            if where[j] < start:
                where[j], row[end], col[end], total[end] = end, i, j, 0.0
                end += 1
            total[where[j]] += bias[e]
        _in_order(col, total, start, end)
    return row[:end], col[:end], total[:end]


@njit(cache=True)
def coupled(conflicts, limit, penalty, squares, strength, ends, bias):
    """Write couplers of conflicts and squares, see `qnroute.models.quadratic.products`; returns how many there are.

    Both are rows in compressed form (indptr, indices, amounts), their variables in order.
    """
    n, row, col = penalty.size, ends[0], ends[1]
    where, end = np.full(n, -1, np.int32), 0
    (indptr, indices, amount), (indptr_2, indices_2, amount_2) = conflicts, squares
    at, first, following = _waiting(indptr, indices, n)
    at_2, first_2, following_2 = _waiting(indptr_2, indices_2, n)
    for i in range(n):
        start, r = end, first[i]
        while r >= 0:
            e, after = at[r], following[r]
            for k in range(e + 1, indptr[r + 1]):
                j = indices[k]
                if amount[e] + amount[k] > limit[r] and where[j] < start:
                    where[j], row[end], col[end], bias[end] = end, i, j, min(penalty[i], penalty[j])
                    end += 1
            _go_on(r, indptr, indices, at, first, following)
            r = after
        r = first_2[i]
        while r >= 0:
            e, after, scale = at_2[r], following_2[r], 2.0 * strength[r] * amount_2[at_2[r]]
            for k in range(e + 1, indptr_2[r + 1]):
                j = indices_2[k]
                if where[j] < start:
                    where[j], row[end], col[end], bias[end] = end, i, j, 0.0
                    end += 1
                bias[where[j]] += scale * amount_2[k]
            _go_on(r, indptr_2, indices_2, at_2, first_2, following_2)
            r = after
    return end


@njit(cache=True)
def _waiting(indptr, indices, n):
    """The rows that wait for each variable as linked lists: entry at which a row stands, first of each list, the next.

    A row waits for its first variable, and once that is done for its second, and so on; so nothing is transposed.
    """
    at, rows = indptr[:-1].astype(np.int32), indptr.size - 1
    first, following = np.full(n, -1, np.int32), np.empty(rows, np.int32)
    for r in range(rows - 1, -1, -1):
        if at[r] < indptr[r + 1]:
            following[r], first[indices[at[r]]] = first[indices[at[r]]], r
    return at, first, following


@njit(cache=True)
def _go_on(r, indptr, indices, at, first, following):
    """Let a row wait for its next variable."""
    at[r] += 1
    if at[r] < indptr[r + 1]:
        following[r], first[indices[at[r]]] = first[indices[at[r]]], r


@njit(cache=True)
def _by_variable(variable, n):
    """The places of each of `n` variables, one variable after the other."""
    free = np.zeros(n + 1, np.int64)
    for i in variable:
        free[i + 1] += 1
    free = np.cumsum(free)
    order = np.empty(variable.size, np.int64)
    for e in range(variable.size):
        order[free[variable[e]]] = e
        free[variable[e]] += 1
    return order


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
