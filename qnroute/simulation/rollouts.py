"""Runs played by a policy that chooses among candidates, without leaving compiled code; and what was decided on the way."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.simulation.choices import NOBODY, WAIT, act, to_next
from qnroute.simulation.luck import key, uniform
from qnroute.simulation.scoring import score

CHOOSE = 2  # a kind of luck, beside those of the engine


class Store(NamedTuple):
    """Decisions with a choice, in the order in which they were made, and what each slot brought."""

    seen: np.ndarray  # (n, C + 1, F) float32
    mask: np.ndarray  # (n, C + 1) bool
    action: np.ndarray  # (n,) int64
    log_chance: np.ndarray  # (n,) float32, of the action when it was drawn
    slot: np.ndarray  # (n,) int64
    count: np.ndarray  # (1,) int64
    reward: np.ndarray  # (slots,) float64, weight served


def store_of(decisions: int, slots: int, candidates: int, features: int) -> Store:
    """Room for so many decisions; none is kept where there is no room."""
    return Store(
        np.zeros((decisions, candidates + 1, features), dtype=np.float32),
        np.zeros((decisions, candidates + 1), dtype=np.bool_), np.zeros(decisions, dtype=np.int64),
        np.zeros(decisions, dtype=np.float32), np.zeros(decisions, dtype=np.int64), np.zeros(1, dtype=np.int64),
        np.zeros(slots),
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def teacher(seen, mask):
    """What `lookahead` does: the first candidate, where it gains."""
    return 1 if seen[1, 4] > 0.0 else WAIT


@njit(cache=True, error_model="numpy", nogil=True)
def rolled(w, s, run, until, sight, desk, work, labels, log, weights, heat, seed, taught, store):
    """Play a run up to slot `until`: by the teacher, by the highest score (`heat` 0), or by scores over `heat` as log-odds."""
    inner = np.zeros((desk.mask.shape[1], len(weights[1])), dtype=np.float32)
    found, turn = np.zeros(desk.mask.shape[1], dtype=np.float32), 0
    while to_next(w, s, run, until, sight, desk, work, labels, log):
        seen, mask, slot = desk.seen[run], desk.mask[run], s.slot[run]
        if taught:
            action = teacher(seen, mask)
        else:
            score(weights, seen, mask, inner, found)
            action, turn = drawn(found, mask, heat, key(seed, CHOOSE, slot), turn), turn + 1
        n = store.count[0]
        if n < len(store.action):
            store.seen[n], store.mask[n], store.action[n], store.slot[n] = seen, mask, action, slot
            store.log_chance[n] = _log_chance(found, mask, action, heat)
            store.count[0] = n + 1
        brought = act(w, s, run, action, desk, work, log)
        if slot < len(store.reward):
            store.reward[slot] += brought


@njit(cache=True, error_model="numpy")
def drawn(found, mask, heat, here, turn):
    """The action of the highest score, or one drawn."""
    best, action = -np.inf, WAIT
    for i in range(len(mask)):
        if mask[i]:
            value = float(found[i])
            if heat > 0.0:
                value = value / heat - math.log(-math.log(max(uniform(here, turn, i), 1e-300)))
            if value > best:
                best, action = value, i
    return action


@njit(cache=True, error_model="numpy")
def _log_chance(found, mask, action, heat):
    """The log of the chance that an action is drawn."""
    if heat <= 0.0:
        return 0.0
    top, total = -np.inf, 0.0
    for i in range(len(mask)):
        if mask[i]:
            top = max(top, float(found[i]))
    for i in range(len(mask)):
        if mask[i]:
            total += math.exp((float(found[i]) - top) / heat)
    return (float(found[action]) - top) / heat - math.log(total)
