"""Scores of candidates, compiled, for policies that decide within a run; `RoutePolicy` says what is meant."""

from __future__ import annotations

import numpy as np
from numba import njit

from qnroute.errors import ProblemError
from qnroute.learning.routing.policy import RoutePolicy

NAMES = ("A0", "a0", "A1", "a1", "B0", "b0", "B1", "b1")
"""Of the arrays of `RoutePolicy.weights`."""


def weights_of(policy: RoutePolicy, features: int) -> tuple[np.ndarray, ...]:
    """The weights of a policy that sees so many features, as `score` takes them."""
    if len(policy.weights["A0"]) != features:
        raise ProblemError(f"policy: sees {len(policy.weights['A0'])} features, expected one that sees {features}")
    return tuple(np.ascontiguousarray(policy.weights[name], dtype=np.float32) for name in NAMES)


@njit(cache=True, error_model="numpy", fastmath=True)
def score(weights, seen, mask, inner, found):
    """Fill `found` (C + 1,) with the scores of what is possible; `inner` (C + 1, H) is room."""
    A0, a0, A1, a1, B0, b0, B1, b1 = weights
    rows, hidden = len(mask), len(a0)
    mean, most = np.zeros(hidden, dtype=np.float32), np.zeros(hidden, dtype=np.float32)
    first = np.empty(hidden, dtype=np.float32)
    count = 0
    for i in range(rows):
        if not mask[i]:
            continue
        count += 1
        first[:] = a0
        for j in range(seen.shape[1]):
            x = seen[i, j]
            if x != 0.0:
                for h in range(hidden):
                    first[h] += x * A0[j, h]
        inner[i, :] = a1
        for j in range(hidden):
            x = first[j]
            if x > 0.0:
                for h in range(hidden):
                    inner[i, h] += x * A1[j, h]
        for h in range(hidden):
            inner[i, h] = max(inner[i, h], np.float32(0.0))
            mean[h] += inner[i, h]
            most[h] = max(most[h], inner[i, h])
    context = b0.copy()
    for j in range(hidden):
        x = mean[j] / np.float32(count)
        y = most[j]
        for h in range(hidden):
            context[h] += x * B0[hidden + j, h] + y * B0[2 * hidden + j, h]
    for i in range(rows):
        if not mask[i]:
            continue
        first[:] = context
        for j in range(hidden):
            x = inner[i, j]
            if x != 0.0:
                for h in range(hidden):
                    first[h] += x * B0[j, h]
        total = b1[0]
        for h in range(hidden):
            if first[h] > 0.0:
                total += first[h] * B1[h, 0]
        found[i] = total
