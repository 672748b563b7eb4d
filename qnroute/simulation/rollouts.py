"""Runs played by a policy that chooses among candidates, compiled, and what was decided on the way."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from qnroute.learning.routing.scoring import score
from qnroute.simulation.choices import act, at_hand, look
from qnroute.simulation.desk import WAIT
from qnroute.simulation.luck import key, uniform
from qnroute.simulation.slot import begin, finish

CHOOSE = 2  # a kind of luck, beside those of the engine
_GAIN, _OTHERS = 4, 10  # features
_CARE = 0.6  # how much of what others that wait gain counts for the teacher, where pairs are held


class Mind(NamedTuple):
    """How decisions are made."""

    weights: tuple  # of a `RoutePolicy`, in the order of `scoring.NAMES`
    heat: float  # 0: the highest score; else scores over it are log-odds
    taught: float  # chance that the teacher decides, instead
    seed: int  # of what is drawn


class Store(NamedTuple):
    """Decisions with a choice, in the order in which they were made, and what each slot brought."""

    seen: np.ndarray  # (n, C + 1, F) float32
    mask: np.ndarray  # (n, C + 1) bool
    action: np.ndarray  # (n,) int64
    log_chance: np.ndarray  # (n,) float32, of the action when it was drawn
    slot: np.ndarray  # (n,) int64
    count: np.ndarray  # (1,) int64
    reward: np.ndarray  # (slots,) float64, weight served


def store_of(desk, decisions: int, slots: int) -> Store:
    """Room for so many decisions of one run; those for which there is none are not kept."""
    shape = desk.mask.shape[1]
    return Store(
        np.zeros((decisions, *desk.seen.shape[1:]), dtype=np.float32), np.zeros((decisions, shape), dtype=np.bool_),
        np.zeros(decisions, dtype=np.int64), np.zeros(decisions, dtype=np.float32),
        np.zeros(decisions, dtype=np.int64), np.zeros(1, dtype=np.int64), np.zeros(slots),
    )  # fmt: skip


@njit(cache=True, error_model="numpy", nogil=True)
def rolled(w, s, run, until, sight, desk, work, labels, mind, store, log, room):
    """Play a run up to slot `until`, or to where the log has less than `room` rows left."""
    while s.slot[run] < until:
        if len(log.rows) and len(log.rows) - log.length[0] < room:
            return
        begin(w, s, run, log)
        decide(w, s, run, sight, desk, work, labels, mind, store, log)
        finish(w, s, run, log)


@njit(cache=True, error_model="numpy")
def decide(w, s, run, sight, desk, work, labels, mind, store, log):
    """All decisions of the present slot of a run."""
    width, slot, turn = desk.mask.shape[1], s.slot[run], 0
    inner, found = np.zeros((width, len(mind.weights[1])), dtype=np.float32), np.zeros(width, dtype=np.float32)
    here = key(mind.seed, CHOOSE, slot)
    brought = look(w, s, run, sight, desk, work, log)
    while at_hand(w, s, run, sight, desk, work, labels):
        seen, mask, count = desk.seen[run], desk.mask[run], store.count[0]
        taught = mind.taught > 0.0 and uniform(here, turn, width) < mind.taught
        if taught:
            action = teacher(seen, mask)
        else:
            score(mind.weights, seen, mask, inner, found)
            action = drawn(found, mask, mind.heat, here, turn)
        turn += 1
        if count < len(store.action):
            store.seen[count], store.mask[count] = seen, mask
            store.action[count], store.slot[count] = action, slot
            store.log_chance[count] = 0.0 if taught else log_chance(found, mask, action, mind.heat)
            store.count[0] = count + 1
        brought += act(w, s, run, action, desk, work, log)
    if slot < len(store.reward):
        store.reward[slot] = brought


@njit(cache=True, error_model="numpy")
def teacher(seen, mask):
    """The candidate that gains most, if any gains: as `lookahead`, but minding those that wait where pairs are held."""
    best, action = 0.0, WAIT
    for i in range(1, len(mask)):
        if mask[i] and taught_gain(seen[i]) > best:
            best, action = taught_gain(seen[i]), i
    return action


@njit(cache=True, error_model="numpy")
def taught_gain(f):
    """What the teacher takes a candidate to gain."""
    return f[_GAIN] + _CARE * f[_OTHERS] * f[0]


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
def log_chance(found, mask, action, heat):
    """The logarithm of the chance that an action is drawn."""
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
