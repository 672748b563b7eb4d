"""PPO's clipped objective and its slopes on a CPU, compiled; `ppo.clipped_loss` says what is computed."""

from __future__ import annotations

import numpy as np
from numba import njit


def clipped_slopes(
    scores: np.ndarray,
    mask: np.ndarray,
    action: np.ndarray,
    log_chance: np.ndarray,
    advantage: np.ndarray,
    near: np.ndarray,
    clip: float,
    entropy: float,
    anchor: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(4,) means of the parts of `ppo.Loss`, and (n, C + 1) float32 slopes of the whole loss at the scores.

    The whole is policy - entropy * H + anchor * KL.

    Parameters
    ----------
    scores, mask : (n, C + 1), and what is possible
    action, log_chance, advantage : (n,), as of `ppo.Experience`
    near : (n, C + 1) log chances by the policy not to go far from
    """
    return _slopes(scores, mask, action, log_chance, advantage, near, clip, entropy, anchor)


def log_chances(scores: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(n, C + 1) logarithms of what is drawn by scores as log-odds, 0 for what is not possible."""
    return _log_chances(scores, mask)


@njit(cache=True, error_model="numpy")
def _log_sum(scores, mask, i):
    """The logarithm of the sum of odds."""
    high, total = -np.inf, 0.0
    for c in range(mask.shape[1]):
        if mask[i, c]:
            high = max(high, scores[i, c])
    for c in range(mask.shape[1]):
        if mask[i, c]:
            total += np.exp(scores[i, c] - high)
    return high + np.log(total)


@njit(cache=True, error_model="numpy")
def _log_chances(scores, mask):
    found = np.zeros(scores.shape, dtype=np.float32)
    for i in range(len(scores)):
        total = _log_sum(scores, mask, i)
        for c in range(mask.shape[1]):
            if mask[i, c]:
                found[i, c] = scores[i, c] - total
    return found


@njit(cache=True, error_model="numpy")
def _slopes(scores, mask, action, log_chance, advantage, near, clip, entropy, anchor):
    n, width = mask.shape
    sums, slope = np.zeros(4), np.zeros((n, width), dtype=np.float32)
    chance, logs = np.zeros(width), np.zeros(width)
    for i in range(n):
        total, uncertain, far = _log_sum(scores, mask, i), 0.0, 0.0
        for c in range(width):
            if mask[i, c]:
                logs[c] = scores[i, c] - total
                chance[c] = np.exp(logs[c])
                uncertain -= chance[c] * logs[c]
                far += chance[c] * (logs[c] - near[i, c])
        ratio, better = np.exp(logs[action[i]] - log_chance[i]), advantage[i]
        held = min(max(ratio, 1.0 - clip), 1.0 + clip)
        pull = -ratio * better if ratio * better <= held * better else 0.0  # of the loss, at the action's logarithm
        sums[0] -= min(ratio * better, held * better)
        sums[1] += uncertain
        sums[2] += far
        sums[3] += abs(ratio - 1.0) > clip
        for c in range(width):
            if mask[i, c]:
                g = -pull * chance[c] + entropy * chance[c] * (logs[c] + uncertain)
                g += anchor * chance[c] * (logs[c] - near[i, c] - far)
                slope[i, c] = (g + pull * (c == action[i])) / n
    return sums / n, slope
