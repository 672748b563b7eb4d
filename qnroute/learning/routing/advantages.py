"""Advantages: how much better than usual what was done turned out to be."""

from __future__ import annotations

import numpy as np


def generalized(
    rewards: np.ndarray, values: np.ndarray, after: np.ndarray, done: np.ndarray, discount: float, decay: float
) -> np.ndarray:
    """Generalized advantage estimates (Schulman et al., ICLR 2016, eq. 16).

        delta_t = r_t + discount V(s_{t+1}) - V(s_t),    A_t = delta_t + discount decay A_{t+1}

    Parameters
    ----------
    rewards, values : (T, E) of each step, and the critic's of the state before it
    after : (E,) the critic's of the state after the last step
    done : (T, E) bool, whether the episode ended with the step: nothing is to be had after it
    """
    found, running = np.zeros_like(values), np.zeros_like(after)
    following = after
    for t in range(len(rewards) - 1, -1, -1):
        on = ~done[t]
        delta = rewards[t] + discount * following * on - values[t]
        running = delta + discount * decay * running * on
        found[t], following = running, values[t]
    return found


def among_group(returns: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(E,) returns less the mean of those of the same instance, over the root mean square of all such differences.

    Group-relative advantages (Shao et al., arXiv:2402.03300, 2024) need no critic. The scale is one for all: divided by
    its own deviation, an instance on which all episodes are as good would count as much as one that tells them apart.
    """
    _, member = np.unique(group, return_inverse=True)
    mean = np.bincount(member, returns) / np.bincount(member)
    apart = returns - mean[member]
    scale = float(np.sqrt(np.mean(apart**2))) if len(apart) else 0.0
    return apart / scale if scale > 0.0 else apart
