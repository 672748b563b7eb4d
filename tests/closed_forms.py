"""Exact answers of slot simulations small enough to be solved: success probability and mean latency of a success.

A chain of links, one channel each, unlimited memory, F_min and floors out of the way; requests between the two ends of
the chain, never two at once; each is served in the first slot in which every link has a pair and all swaps succeed. A
try whose swap fails loses all pairs. A request of patience D (deadline - arrival) has D + 1 slots.

`*_latencies` give the probability of being served with latency 0, 1, ..., D; `answer` makes two figures of them.
"""

from __future__ import annotations

import itertools
import math

import numpy as np


def answer(latencies) -> tuple[float, float]:
    """Success probability, and mean latency given success."""
    success = float(np.sum(latencies))
    return success, float(np.dot(np.arange(len(latencies)), latencies)) / success


def memoryless(p, swap, patience) -> tuple[float, float]:
    """Lifetime 0: every slot succeeds with prod p * prod swap, independently."""
    return answer(memoryless_latencies(p, swap, patience))


def memoryless_latencies(p, swap, patience) -> np.ndarray:
    chance = math.prod(p) * math.prod(swap)
    return chance * (1.0 - chance) ** np.arange(patience + 1)


def single_link(p, patience, wait) -> tuple[float, float]:
    """One link whose pairs outlive everything, empty `wait` slots before the arrival."""
    return answer(single_link_latencies(p, patience, wait))


def single_link_latencies(p, patience, wait) -> np.ndarray:
    missed = (1.0 - p) ** wait  # nothing made before the arrival's slot
    chances = missed * p * (1.0 - p) ** np.arange(patience + 1)
    chances[0] += 1.0 - missed
    return chances


def from_empty(p, swap, lifetime, patience, wait) -> tuple[float, float]:
    """A chain, empty `wait` slots before the arrival."""
    return answer(from_empty_latencies(p, swap, lifetime, patience, wait))


def from_empty_latencies(p, swap, lifetime, patience, wait) -> np.ndarray:
    move, full = slot_of_chain(p, lifetime)
    state = np.zeros(len(move))
    state[0] = 1.0  # every link empty
    for _ in range(wait):
        state = state @ move
    return _await(state, move, full, math.prod(swap), patience)[0]


def periodic(p, swap, lifetime, patience, period) -> tuple[float, float]:
    """A chain with a request every `period` > patience slots, in the long run."""
    return answer(periodic_latencies(p, swap, lifetime, patience, period))


def periodic_latencies(p, swap, lifetime, patience, period) -> np.ndarray:
    assert period > patience
    move, full = slot_of_chain(p, lifetime)
    chance = math.prod(swap)
    idle = np.linalg.matrix_power(move, period - patience - 1)
    cycle = np.array([_await(row, move, full, chance, patience)[1] @ idle for row in np.eye(len(move))])
    fixed = np.vstack([cycle.T - np.eye(len(move)), np.ones(len(move))])  # state @ cycle = state, sum 1
    state = np.linalg.lstsq(fixed, np.eye(len(move) + 1)[-1], rcond=None)[0]
    return _await(state, move, full, chance, patience)[0]


def slot_of_chain(p, lifetime) -> tuple[np.ndarray, np.ndarray]:
    """Expiry and generation of one slot as a matrix over states before and after, and which states are full.

    A state is one age per link after generation, or None for an empty one; state 0 is all empty.
    """
    ages = (None, *range(lifetime + 1))
    states = list(itertools.product(ages, repeat=len(p)))
    one = np.zeros((len(p), len(ages), len(ages)))  # of each link
    for link, chance in enumerate(p):
        for i, age in enumerate(ages):
            if age is not None and age < lifetime:
                one[link, i, i + 1] = 1.0  # a slot older
            else:
                one[link, i, 0], one[link, i, 1] = 1.0 - chance, chance  # empty or expired: a try
    move = one[0]
    for link in range(1, len(p)):
        move = np.kron(move, one[link])
    return move, np.array([None not in state for state in states])


def _await(state, move, full, chance, patience):
    """Probabilities of each latency of a request that arrives now, and the states patience + 1 slots later."""
    waiting, served = state, np.zeros_like(state)
    latencies = []
    for _ in range(patience + 1):
        waiting, served = waiting @ move, served @ move
        tried = waiting[full].sum()
        waiting = np.where(full, 0.0, waiting)
        waiting[0] += tried * (1.0 - chance)  # all pairs are lost
        served[0] += tried * chance
        latencies.append(tried * chance)
    return np.array(latencies), waiting + served


# --- runs to hold against them ---


def isolated(p, *, lifetime, patience, wait, number) -> dict:
    """Demand and epochs of `number` independent requests, each `wait` slots after an empty start: see `from_empty`.

    Each has an epoch of its own; the next, without luck, lets all pairs expire. `slots` is the length of the run.
    """
    epoch = max(wait + patience, lifetime) + 1
    starts = [2 * epoch * i + wait for i in range(number)]
    return {
        "demand": [(0, len(p), start, start + patience, 0.0, 1.0) for start in starts],
        "p": [list(p), [0.0] * len(p)] * number,
        "slots_per_epoch": epoch,
        "slots": 2 * epoch * number,
    }


def steady(p, *, patience, period, number) -> dict:
    """Demand of `number` requests, one every `period` slots: see `periodic`."""
    starts = [period * i for i in range(number)]
    return {
        "demand": [(0, len(p), start, start + patience, 0.0, 1.0) for start in starts],
        "p": [list(p)],
        "slots_per_epoch": 1,
        "slots": period * number,
    }


def outcomes(events, number) -> np.ndarray:
    """Latency of each request of a run, -1 where it failed; events are rows as in docs/simulation.md."""
    found = np.full(number, -1)
    for _, event, request, latency, *_ in events:
        if event in (5, 6):  # SERVED, SERVED_HELD
            found[int(request)] = int(latency)
    return found


def deviations(found, expected, *, batch=1) -> tuple[float, float]:
    """How many standard errors a run's success and its latency of successes lie from the exact figures.

    The standard errors are those of means over batches of consecutive requests: 1 for independent requests, long
    against the memory of the network (its lifetime) for others; at least 40 batches are needed.
    """
    success, latency = expected
    served = found >= 0
    errors = []
    for residual in (served - success, np.where(served, found - latency, 0.0)):  # both of mean 0
        means = residual[: len(found) // batch * batch].reshape(-1, batch).mean(axis=1)
        assert len(means) >= 40
        errors.append(float(means.mean() / (means.std(ddof=1) / math.sqrt(len(means)))))
    return errors[0], errors[1]
