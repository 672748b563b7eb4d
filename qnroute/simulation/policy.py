"""What a policy is, and how one plays a run through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from qnroute.simulation.scenario import Case, Scenario
from qnroute.simulation.simulator import Simulator

Progress = Callable[[int], None]
"""Called now and then with the slot that has been reached."""

_STRIDE = 500  # slots between two calls of progress, unless a window is given


@runtime_checkable
class Policy(Protocol):
    """Decides for all runs of a simulator, slot by slot.

    A policy may also have ``advance(simulator, until)``, which plays whole slots up to `until`, where it can do so
    faster than one slot after the other.
    """

    def start(self, simulator: Simulator, cases: Sequence[Case]) -> None:
        """Learn from the histories of the cases, and make ready; run r of the simulator is ``cases[r]``."""

    def act(self, simulator: Simulator) -> None:
        """Decide in the present slot of all runs, between `Simulator.begin` and `Simulator.finish`."""


def play(
    policy: Policy,
    cases: Sequence[Case],
    scenario: Scenario,
    *,
    logged: bool = False,
    slots: int | None = None,
    progress: Progress | None = None,
    stopped: Callable[[], bool] = lambda: False,
    window: int = _STRIDE,
    watch: Callable[[Simulator], None] | None = None,
) -> Simulator:
    """Play cases of one scenario from their first slot to their last, side by side.

    Parameters
    ----------
    logged
        Keep all events, see `Simulator.events`.
    slots
        Play only so many, not the whole run.
    stopped
        Asked now and then; where it says so, the simulator is given back as far as it came.
    window, watch
        After each so many slots, and after the last one, `watch` is called with the simulator.
    """
    simulator = Simulator([case.run for case in cases], scenario.physics, held=scenario.held, logged=logged)
    policy.start(simulator, cases)
    advance = getattr(policy, "advance", None)
    last = max(case.slots for case in cases) if slots is None else slots
    while simulator.slot < last and not stopped():
        until = min(simulator.slot + window, last)
        if advance is not None:
            advance(simulator, until)
        else:
            while simulator.slot < until and not stopped():
                simulator.begin()
                policy.act(simulator)
                simulator.finish()
        if progress is not None:
            progress(simulator.slot)
        if watch is not None and simulator.slot == until:
            watch(simulator)
    return simulator
