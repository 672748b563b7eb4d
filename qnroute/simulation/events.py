"""The event log: one row for each thing that happens, in order; what a run is replayed and checked from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qnroute.simulation.lean import lean

EVENTS = (
    "expired", "held-expired", "made", "arrived", "used", "served", "served-held", "swap-failed", "held", "dropped",
    "below-floor", "switched", "believed",
)  # fmt: skip
(
    EXPIRED, HELD_EXPIRED, MADE, ARRIVED, USED, SERVED, SERVED_HELD, SWAP_FAILED, HELD, DROPPED,
    BELOW_FLOOR, SWITCHED, BELIEVED,
) = range(len(EVENTS))  # fmt: skip
COLUMNS = ("run", "slot", "event", "a", "b", "c")


class Log(NamedTuple):
    """Room for rows; none at all where nobody asked for a log."""

    rows: np.ndarray  # (room, 6) int64: run, slot, event, a, b, c
    fidelity: np.ndarray  # (room,) float64
    length: np.ndarray  # (1,) int64


def log_of(room: int) -> Log:
    """An empty log with room for so many rows; 0: nothing is noted."""
    return Log(np.empty((room, len(COLUMNS)), dtype=np.int64), np.empty(room), np.zeros(1, dtype=np.int64))


def with_room(log: Log, more: int) -> Log:
    """The log, or a copy twice as long where fewer than `more` rows are left."""
    length, room = int(log.length[0]), len(log.rows)
    if room == 0 or length + more <= room:
        return log
    grown = log_of(max(2 * room, length + more))
    grown.rows[:length], grown.fidelity[:length], grown.length[0] = log.rows[:length], log.fidelity[:length], length
    return grown


def note_each(log: Log, run: int, slot: int, event: int, a: np.ndarray, b, c, fidelity) -> None:
    """Add a row for each number of `a`, where rows are wanted; `b`, `c`, `fidelity` are for all or for each."""
    if len(log.rows) == 0:
        return
    start = int(log.length[0])
    rows = slice(start, start + len(a))
    for column, value in enumerate((run, slot, event, a, b, c)):
        log.rows[rows, column] = value
    log.fidelity[rows] = fidelity
    log.length[0] = rows.stop


@lean
def note(log, run, slot, event, a, b, c, fidelity):
    """Add a row, where rows are wanted."""
    if len(log.rows) == 0:
        return
    at = log.length[0]
    row = log.rows[at]
    row[0], row[1], row[2], row[3], row[4], row[5] = run, slot, event, a, b, c
    log.fidelity[at] = fidelity
    log.length[0] = at + 1
