"""Scores and their gradients on a CPU, over what is possible alone: no room for what is not, and no padding.

What is possible of all decisions stands row after row, so that layers are plain products of matrices; what goes over
the candidates of a decision is compiled. Forward as `network.scores`, backward by hand; of candidates that are equally
the maximum the first has its gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from qnroute.learning.routing.policy import IMPOSSIBLE
from qnroute.learning.routing.scoring import NAMES

if TYPE_CHECKING:
    import torch


def ragged_scores(
    weights: Mapping[str, torch.Tensor], seen: torch.Tensor, mask: torch.Tensor, rows: torch.Tensor
) -> torch.Tensor:
    """(len(rows), C + 1) `network.scores` of these rows, in each of which something must be possible.

    Parameters
    ----------
    seen, mask : (n, C + 1, F) float32 and (n, C + 1), on the CPU
    """
    return _function().apply(seen, mask, rows, *(weights[name] for name in NAMES))


@functools.cache
def _function() -> Any:
    """The function as autograd knows it; made late, as torch is imported late."""
    import torch

    class Scores(torch.autograd.Function):
        @staticmethod
        def forward(ctx, seen, mask, rows, A0, a0, A1, a1, B0, b0, B1, b1):
            x, first = (torch.from_numpy(part) for part in _packed(seen.numpy(), mask.numpy(), rows.numpy()))
            mask = mask[rows]
            h0 = torch.addmm(a0, x, A0).relu_()
            h1 = torch.addmm(a1, h0, A1).relu_()
            size = h1.shape[1]
            pool, top = (torch.from_numpy(part) for part in _pooled(h1.numpy(), first.numpy()))
            inner, said = h1 @ B0[:size], torch.full(mask.shape, IMPOSSIBLE)
            context = torch.addmm(b0, pool, B0[size:])
            last = B1.numpy()[:, 0], b1.numpy()[0], mask.numpy(), said.numpy()
            _scored(inner.numpy(), context.numpy(), first.numpy(), *last)
            ctx.save_for_backward(mask, A1, B0, B1, x, first, h0, h1, pool, top, inner)
            return said

        @staticmethod
        def backward(ctx, slope):
            mask, A1, B0, B1, x, first, h0, h1, pool, top, inner = ctx.saved_tensors
            size = h1.shape[1]
            given = (part.contiguous().numpy() for part in (slope, mask, inner, first, B1[:, 0]))
            per_row, at_inner, at_context = (torch.from_numpy(part) for part in _to_inner(*given))
            to_B0 = torch.cat([h1.T @ at_inner, pool.T @ at_context])
            at_h1 = at_inner @ B0[:size].T
            at_pool = at_context @ B0[size:].T
            _to_hidden(at_h1.numpy(), at_pool.numpy(), h1.numpy(), first.numpy(), top.numpy())
            at_h0 = torch.ops.aten.threshold_backward(at_h1 @ A1.T, h0, 0.0)
            return (
                None, None, None, x.T @ at_h0, at_h0.sum(0), h0.T @ at_h1, at_h1.sum(0), to_B0, at_context.sum(0),
                inner.T @ per_row[:, None], per_row.sum()[None],
            )  # fmt: skip

    return Scores


@njit(cache=True, error_model="numpy")
def _packed(seen, mask, rows):
    """(N, F) rows of what is possible, and (n + 1,) where those of each decision begin."""
    width, features = seen.shape[1:]
    first = np.zeros(len(rows) + 1, dtype=np.int64)
    for k in range(len(rows)):
        count = 0
        for c in range(width):
            count += mask[rows[k], c]
        first[k + 1] = first[k] + count
    x, at = np.empty((first[-1], features), dtype=seen.dtype), 0
    for i in rows:
        for c in range(width):
            if mask[i, c]:
                for f in range(features):
                    x[at, f] = seen[i, c, f]
                at += 1
    return x, first


@njit(cache=True, error_model="numpy")
def _pooled(h, first):
    """(n, 2 H) mean and maximum over the rows of each decision, and (n, H) the rows of the maxima."""
    n, size = len(first) - 1, h.shape[1]
    pool, top = np.empty((n, 2 * size), dtype=h.dtype), np.empty((n, size), dtype=np.int32)
    for i in range(n):
        mean, high, at = pool[i, :size], pool[i, size:], top[i]
        mean[:], high[:], at[:] = h[first[i]], h[first[i]], first[i]
        for r in range(first[i] + 1, first[i + 1]):
            row, number = h[r], np.int32(r)
            for j in range(size):
                mean[j] += row[j]
            for j in range(size):
                at[j] = number if row[j] > high[j] else at[j]
            for j in range(size):
                high[j] = max(row[j], high[j])
        share = np.float32(1.0 / (first[i + 1] - first[i]))
        for j in range(size):
            mean[j] *= share
    return pool, top


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _scored(inner, context, first, out, bias, mask, said):
    """Finish the last layer in place, and put scores in their places."""
    for i in range(len(context)):
        r = first[i]
        for c in range(mask.shape[1]):
            if mask[i, c]:
                total = np.float32(0.0)
                for j in range(len(out)):
                    z = inner[r, j] + context[i, j]
                    z = z if z > np.float32(0.0) else np.float32(0.0)
                    inner[r, j] = z
                    total += z * out[j]
                said[i, c] = total + bias
                r += 1


@njit(cache=True, error_model="numpy")
def _to_inner(slope, mask, inner, first, out):
    """Slopes of the scores by row, (N, H) of the last layer before its rectifier, and (n, H) their sums by decision."""
    n, size = len(first) - 1, inner.shape[1]
    per_row, at = np.empty(len(inner), dtype=inner.dtype), np.empty_like(inner)
    sums, r = np.zeros((n, size), dtype=inner.dtype), 0
    for i in range(n):
        for c in range(mask.shape[1]):
            if mask[i, c]:
                here = slope[i, c]
                per_row[r] = here
                for j in range(size):
                    g = here * out[j] if inner[r, j] > np.float32(0.0) else np.float32(0.0)
                    at[r, j] = g
                    sums[i, j] += g
                r += 1
    return per_row, at, sums


@njit(cache=True, error_model="numpy")
def _to_hidden(at, at_pool, h, first, top):
    """Add what comes by mean and maximum, and keep it where the layer is positive."""
    size = at.shape[1]
    for i in range(len(first) - 1):
        share, mean, high = np.float32(1.0 / (first[i + 1] - first[i])), at_pool[i, :size], at_pool[i, size:]
        for j in range(size):
            mean[j] *= share
            at[top[i, j], j] += high[j]
        for r in range(first[i], first[i + 1]):
            row, layer = at[r], h[r]
            for j in range(size):
                row[j] = row[j] + mean[j] if layer[j] > np.float32(0.0) else np.float32(0.0)
