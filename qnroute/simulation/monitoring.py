"""Monitoring: what a run came to window by window, as time series (paper A's feedback layer, A6, and measures A7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qnroute.simulation import world as columns
from qnroute.simulation.simulator import Simulator

SERIES = {
    "success": "requests served, of those served or dropped",
    "latency": "mean latency of those served (slots)",
    "throughput": "requests served per slot",
    "utilisation": "pairs used, of those made",
    "reliability": "tries to serve that succeeded",
}
"""What is monitored, in words."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """W windows of one run; NaN where a window has nothing to tell.

    Attributes
    ----------
    end : (W,) the slot before which each window ends
    success, latency, throughput, utilisation, reliability : (W,), see `SERIES`; `reliability` counts swaps that fail
        and routes whose fidelity turns out too low
    notes : of a policy that learns, window by window: what it found and did; empty for others
    """

    end: np.ndarray
    success: np.ndarray
    latency: np.ndarray
    throughput: np.ndarray
    utilisation: np.ndarray
    reliability: np.ndarray
    notes: tuple[dict[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; null where there is nothing."""
        rows = {name: [_plain(value) for value in getattr(self, name).tolist()] for name in ("end", *SERIES)}
        return {**rows, "notes": list(self.notes)} if self.notes else rows


class Recorder:
    """Takes down one run, window by window.

    >>> recorder = Recorder()
    >>> play(policy, cases, scenario, window=50, watch=recorder.close)
    >>> recorder.timeline()
    """

    def __init__(self, run: int = 0):
        self._run = run
        self._ends, self._counts = [0], [np.zeros(len(columns.COUNTS), dtype=np.int64)]

    def close(self, simulator: Simulator) -> None:
        """End a window after the slots played so far."""
        self._simulator = simulator
        self._ends.append(simulator.slot)
        self._counts.append(simulator.state.counts[self._run].copy())

    def timeline(self, notes: tuple[dict[str, Any], ...] = ()) -> Timeline:
        """What was taken down."""
        ends = np.array(self._ends)
        windows = len(ends) - 1
        counts = np.diff(np.array(self._counts), axis=0).astype(float)
        served, dropped, waited = np.zeros(windows), np.zeros(windows), np.zeros(windows)
        if windows:
            w, s = self._simulator.world, self._simulator.state
            mine = slice(w.requests[self._run], w.requests[self._run + 1])
            when, done = s.served[mine], s.served[mine] >= 0
            late = ~done & (w.deadline[mine] < ends[-1])
            window = lambda slots: np.searchsorted(ends, slots, side="right") - 1  # noqa: E731
            served = np.bincount(window(when[done]), minlength=windows).astype(float)
            waited = np.bincount(window(when[done]), (when - w.arrival[mine])[done], minlength=windows)
            dropped = np.bincount(window(w.deadline[mine][late]), minlength=windows).astype(float)
        failed = counts[:, columns.SWAP_FAILURES] + counts[:, columns.BELOW_FLOOR]
        with np.errstate(invalid="ignore", divide="ignore"):
            return Timeline(
                ends[1:],
                served / (served + dropped),
                waited / served,
                served / np.diff(ends),
                counts[:, columns.USED] / counts[:, columns.MADE],
                served / (served + failed),
                notes,
            )


def _plain(value: float) -> float | None:
    return None if value != value or abs(value) == np.inf else value
