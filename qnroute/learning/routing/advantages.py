"""Advantages: how much better than usual what was done turned out to be."""

from __future__ import annotations

import numpy as np
from numba import njit


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
    return _generalized(
        *(np.asarray(x, dtype=np.float64) for x in (rewards, values, after)), np.asarray(done), discount, decay
    )


def by_critic(reward: np.ndarray, values: np.ndarray, episode: np.ndarray, discount: float, decay: float) -> np.ndarray:
    """(n,) `generalized` advantages of decisions in whole episodes, each in the order of time, nothing after the last.

    Parameters
    ----------
    reward, values : (n,) until the next decision of the episode, and the critic's of the state before it
    episode : (n,) the episode of each
    """
    order = np.argsort(episode, kind="stable")
    own = episode[order]
    done = np.append(own[1:] != own[:-1], True)
    found = np.empty(len(order))
    found[order] = generalized(
        reward[order, None], values[order, None], np.zeros(1), done[:, None], discount, decay
    )[:, 0]  # fmt: skip
    return found


@njit(cache=True, error_model="numpy")
def _generalized(rewards, values, after, done, discount, decay):
    found = np.empty_like(values)
    for e in range(values.shape[1]):
        following, running = after[e], 0.0
        for t in range(len(values) - 1, -1, -1):
            on = 0.0 if done[t, e] else 1.0
            delta = rewards[t, e] + discount * following * on - values[t, e]
            running = delta + discount * decay * running * on
            found[t, e], following = running, values[t, e]
    return found


def among_group(returns: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(E,) returns less the mean of those of the same instance, over the root mean square of all such differences.

    Group-relative advantages (Shao et al., arXiv:2402.03300, 2024) need no critic. The scale is one for all: divided by
    its own deviation, an instance on which all episodes are as good would count as much as one that tells them apart.
    """
    _, member = np.unique(group, return_inverse=True)
    mean = np.bincount(member, returns) / np.bincount(member)
    apart = returns - mean[member]
    return scaled(apart)


def scaled(apart: np.ndarray) -> np.ndarray:
    """Differences over the root of their mean square."""
    scale = float(np.sqrt(np.mean(apart**2))) if len(apart) else 0.0
    return apart / scale if scale > 0.0 else apart


def above_others(rewards: np.ndarray, group: np.ndarray, discount: float) -> np.ndarray:
    """(E, T) what follows in each of E episodes from each of T slots on, less the mean of its group in that slot.

        R_t = r_t + discount R_{t+1}

    Parameters
    ----------
    rewards : (E, T)
    group : (E,) the instance of each episode
    """
    found, running = np.zeros_like(rewards), np.zeros(len(rewards))
    for t in range(rewards.shape[1] - 1, -1, -1):
        running = rewards[:, t] + discount * running
        found[:, t] = running
    _, member = np.unique(group, return_inverse=True)
    mean = np.zeros((member.max(initial=-1) + 1, rewards.shape[1]))
    np.add.at(mean, member, found)
    return found - (mean / np.bincount(member)[:, None])[member]
