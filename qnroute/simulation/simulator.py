"""Simulator: R runs that advance together, slot by slot; what a policy sees and how it acts.

simulator = Simulator(runs)
while simulator.slot < slots:
    simulator.begin()
    ...  # look at simulator.state, call serve, serve_held, preposition; believe and activate at any time
    simulator.finish()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit

from qnroute.errors import QnrouteError
from qnroute.simulation import slot as engine
from qnroute.simulation.events import BELIEVED, SWITCHED, Log, log_of, note_each, with_room
from qnroute.simulation.physics import Physics
from qnroute.simulation.world import Run, State, World, state_of, world_of


class RefusedDecision(QnrouteError, ValueError):
    """A policy asked for what the rules of a slot do not allow; nothing of that call after it was done."""


class Simulator:
    """R runs side by side, from the empty network on.

    Parameters
    ----------
    runs
        One `Run` each; networks may differ.
    physics
        Common to all.
    held
        How many pre-positioned pairs a run may hold at once (paper C's K).
    logged
        Keep every event; see `events`.

    Attributes
    ----------
    world : World
        What was given, as flat arrays over all runs.
    state : State
        What has become of it. Look, but leave it to the methods to change.
    """

    def __init__(self, runs: Sequence[Run], physics: Physics | None = None, *, held: int = 8, logged: bool = False):
        self.physics = physics or Physics()
        self.runs = tuple(runs)
        self.world: World = world_of(self.runs, self.physics, held=held)
        self.state: State = state_of(self.world)
        self.log: Log = log_of(1024 if logged else 0)
        self._begun = False
        self._most_waiting = _most_waiting(self.world)

    @property
    def slot(self) -> int:
        """The slot that is about to begin or, between `begin` and `finish`, the present one."""
        return int(self.state.slot.min())

    @property
    def begun(self) -> int:
        """How many slots have begun so far, the present one among them."""
        return self.slot + self._begun

    @property
    def most_events(self) -> int:
        """Rows of the log that any slot can fill at most, however long the queue is by then."""
        return 4 * len(self.world.link) + 4 * len(self.state.low) + 3 * self._most_waiting + 8

    # --- one slot ---

    def begin(self) -> None:
        """Expiry, generation and arrivals of this slot, in all runs.

        Raises
        ------
        RefusedDecision
            The slot has begun already.
        """
        if self._begun:
            raise RefusedDecision(f"slot {self.slot} has begun: decide, then finish it")
        self._begun = True
        self.log = with_room(self.log, self.most_events)
        _begin(self.world, self.state, self.log)

    def finish(self) -> None:
        """Drop what has passed its deadline, and go on to the next slot.

        Raises
        ------
        RefusedDecision
            The slot has not begun yet.
        """
        self._require_begun()
        self._begun = False
        _finish(self.world, self.state, self.log)

    def serve(self, requests: np.ndarray, channels: np.ndarray, indptr: np.ndarray) -> np.ndarray:
        """Try to serve requests, in the order given, each by a route of stored pairs.

        Parameters
        ----------
        requests : (A,) ints
            Requests, counted through all runs.
        channels : ints
            The channels of the routes, one after the other, each from its request's source to its target.
        indptr : (A + 1,) ints
            Route i is ``channels[indptr[i]:indptr[i + 1]]``.

        Returns
        -------
        (A,) bool
            Whether all swaps succeeded and what they gave truly keeps the floor.

        Raises
        ------
        RefusedDecision
            A route breaks a rule, by what is believed of its pairs; what came before it in this call has been done.
        """
        requests = np.asarray(requests, dtype=np.int64)
        if len(requests) and requests.min() < 0:
            raise RefusedDecision(f"requests: found {requests.min()}, expected numbers from 0")
        return self._tried(requests, channels, indptr)

    def preposition(self, runs: np.ndarray, channels: np.ndarray, indptr: np.ndarray) -> np.ndarray:
        """Try to make end-to-end pairs to hold, each of run ``runs[i]`` by a route; else as `serve`."""
        return self._tried(-1 - np.asarray(runs, dtype=np.int64), channels, indptr)

    def _require_begun(self) -> None:
        if not self._begun:
            raise RefusedDecision(f"slot {self.slot} has not begun: call begin first")

    def _tried(self, subjects: np.ndarray, channels: np.ndarray, indptr: np.ndarray) -> np.ndarray:
        self._require_begun()
        channels, indptr = np.asarray(channels, dtype=np.int64), np.asarray(indptr, dtype=np.int64)
        if (
            len(indptr) != len(subjects) + 1
            or indptr[0] != 0
            or indptr[-1] != len(channels)
            or (np.diff(indptr) < 0).any()
        ):
            raise RefusedDecision(f"indptr: expected {len(subjects) + 1} rising numbers from 0 to {len(channels)}")
        self.log = with_room(self.log, len(channels) + len(subjects))
        done, fault, at = _try_routes(self.world, self.state, subjects, channels, indptr, self.log)
        if fault:
            raise RefusedDecision(f"{self._called(int(subjects[at]))}: {engine.FAULTS[fault]}")
        return done

    def serve_held(self, requests: np.ndarray, places: np.ndarray) -> None:
        """Serve requests by the held pairs in ``state.low`` and so on at these places; each closes its gap at once."""
        self._require_begun()
        requests, places = np.asarray(requests, dtype=np.int64), np.asarray(places, dtype=np.int64)
        self.log = with_room(self.log, len(requests))
        fault, at = _use_held(self.world, self.state, requests, places, self.log)
        if fault:
            raise RefusedDecision(f"{self._called(int(requests[at]))}: {engine.FAULTS[fault]}")

    # --- what may be said at any time ---

    def activate(self, channels: np.ndarray, run: int = 0) -> None:
        """Say which channels of a run try from the next generation on; pairs that are stored stay.

        Parameters
        ----------
        channels : (channels of the run,) bool

        Raises
        ------
        RefusedDecision
            Not one truth value for each channel of a run.
        """
        mine, active = self._part("channels", self.world.channels, run, channels), np.asarray(channels)
        if active.dtype != np.bool_:
            raise RefusedDecision(f"channels: found {active.dtype} values, expected truth values")
        changed = np.flatnonzero(self.state.active[mine] != active)
        self.log = with_room(self.log, len(changed) + self.most_events)
        self.state.active[mine] = active
        note_each(self.log, run, self.slot, SWITCHED, changed, active[changed], self.begun, engine.NONE)

    def believe(self, fidelity: np.ndarray, run: int = 0) -> None:
        """Say at which fidelity fresh pairs of a run's links are taken, in judging what is stored now and later.

        At first it is that of the network. Where fidelity drifts, what is true shows in what routes come to.

        Parameters
        ----------
        fidelity : (m,) floats
            In (0.25, 1]; NaN leaves the belief about a link as it is.

        Raises
        ------
        RefusedDecision
            Not one such number for each link of a run.
        """
        mine, given = self._part("fidelity", self.world.links, run, fidelity), np.asarray(fidelity)
        if given.dtype.kind not in "iuf":
            raise RefusedDecision(f"fidelity: found {given.dtype} values, expected numbers")
        told = ~np.isnan(given)
        bad = np.flatnonzero(told & ~((given > 0.25) & (given <= 1.0)))
        if len(bad):
            raise RefusedDecision(f"fidelity[{bad[0]}]: found {given[bad[0]]}, expected in (0.25, 1]")
        before = self.state.believed[mine].copy()
        self.state.believed[mine] = np.where(told, self.physics.scale(given), before)
        changed = np.flatnonzero(self.state.believed[mine] != before)
        self.log = with_room(self.log, len(changed) + self.most_events)
        note_each(self.log, run, self.slot, BELIEVED, changed, -1, -1, given[changed])

    def _part(self, name: str, starts: np.ndarray, run: int, given: np.ndarray) -> slice:
        """Where the links or channels of a run are, if what is given has one value for each."""
        if not 0 <= run < len(self.runs):
            raise RefusedDecision(f"run: found {run}, expected a number below {len(self.runs)}")
        mine = slice(int(starts[run]), int(starts[run + 1]))
        if np.shape(given) != (mine.stop - mine.start,):
            raise RefusedDecision(
                f"{name}: found the shape {np.shape(given)}, expected one value for each of {mine.stop - mine.start}"
            )
        return mine

    def _called(self, subject: int) -> str:
        starts = self.world.requests
        if subject < 0:
            return f"slot {self.slot}, run {-1 - subject}, a pair to hold"
        run = int(np.searchsorted(starts, subject, side="right")) - 1
        return f"slot {self.slot}, run {run}, request {subject - starts[min(run, len(starts) - 1)]}"

    # --- what is there ---

    def waiting(self, run: int = 0) -> np.ndarray:
        """Requests of a run that wait, in the order of the queue."""
        start = self.world.requests[run]
        queue = self.state.queue[start : start + self.state.queued[run]]
        return queue[self.state.served[queue] < 0]

    def events(self, run: int = 0) -> dict[str, np.ndarray]:
        """The log of one run: columns ``slot event a b c fidelity``, see docs/simulation.md."""
        rows = self.log.rows[: self.log.length[0]]
        mine = rows[:, 0] == run
        columns: dict[str, Any] = dict(zip(("slot", "event", "a", "b", "c"), rows[mine, 1:].T))
        return {**columns, "fidelity": self.log.fidelity[: self.log.length[0]][mine]}


def _most_waiting(world: World) -> int:
    """Requests of all runs that wait in one slot at most, if none is served."""
    arrivals, deadlines = np.sort(world.arrival), np.sort(world.deadline)
    come = np.searchsorted(arrivals, arrivals, side="right")
    gone = np.searchsorted(deadlines, arrivals, side="left")
    return int((come - gone).max(initial=0))


@njit(cache=True, error_model="numpy")
def _begin(w, s, log):
    for run in range(len(w.seeds)):
        engine.begin(w, s, run, log)


@njit(cache=True, error_model="numpy")
def _finish(w, s, log):
    for run in range(len(w.seeds)):
        engine.finish(w, s, run, log)


@njit(cache=True, error_model="numpy")
def _try_routes(w, s, subjects, channels, indptr, log):
    done = np.zeros(len(subjects), dtype=np.bool_)
    for i in range(len(subjects)):
        request, route, length = max(subjects[i], -1), channels[indptr[i] : indptr[i + 1]], indptr[i + 1] - indptr[i]
        run = -1 - subjects[i]
        if request >= 0:
            run = np.searchsorted(w.requests, request, side="right") - 1
        if run < 0 or run >= len(w.seeds):
            return done, engine.NO_REQUEST, i
        fault = engine.route_fault(w, s, run, request, route, length)
        if fault != engine.FITS:
            return done, fault, i
        done[i] = engine.use_route(w, s, run, request, route, length, log)
    return done, engine.FITS, -1


@njit(cache=True, error_model="numpy")
def _use_held(w, s, requests, places, log):
    for i in range(len(requests)):
        run = np.searchsorted(w.requests, requests[i], side="right") - 1
        if run < 0 or run >= len(w.seeds):
            return engine.NO_REQUEST, i
        fault = engine.held_fault(w, s, run, requests[i], places[i])
        if fault != engine.FITS:
            return fault, i
        engine.use_held(w, s, run, requests[i], places[i], log)
    return engine.FITS, -1
