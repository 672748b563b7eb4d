"""CPU time of whole runs: how long a network of some size takes for so many slots, under several policies."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from qnroute.simulation.policies import policy
from qnroute.simulation.policy import play
from qnroute.simulation.scenario import Scenario
from qnroute.simulation.workloads import BusinessHours

_SMALL = "erdos-renyi:n=16,probability=0.25,p=0.12,fidelity=0.92"
_LARGE = "random-geometric:n=1000,radius=5.1,p=0.3,fidelity=0.97,swap=0.95"
_HELD = 8
_CASES = (
    # name, network, slots, requests per slot, policies
    ("16 nodes", _SMALL, 2000, 0.5, ("reactive", "shortest-path", "greedy", "exact", "spep:frequency", "lookahead")),
    ("16 nodes, busy", _SMALL, 2000, 2.0, ("reactive",)),
    ("16 nodes, memory 4", f"{_SMALL},memory=4", 2000, 0.5, ("reactive",)),
    ("1,000 nodes", _LARGE, 10_000, 1.0, ("reactive",)),
    ("1,000 nodes, busy", _LARGE, 10_000, 10.0, ("reactive",)),
)


@dataclass(frozen=True)
class Played:
    """A policy on a case: the median of several runs, each with other luck; all of a run but its compiling."""

    case: str
    policy: str
    slots: int
    runs: int
    requests: float
    served: float
    cpu_ms: float
    us_per_slot: float


def measure(
    *,
    runs: int,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[Played]:
    """All rows; a few slots are played first, so that nothing is compiled while the clock runs."""
    stop, rows = interrupted or threading.Event(), []
    for name, network, slots, rate, policies in _CASES:
        many = 20 if "busy" in name and slots > 5000 else 5
        scenario = Scenario(
            network, workload=BusinessHours(rate=rate, high_pairs=many, medium_pairs=3 * many), slots=slots,
            history=500, held=_HELD,
        )  # fmt: skip
        cases = [scenario.case(seed) for seed in range(runs)]
        for text in policies:
            if stop.is_set():
                return rows
            if doing is not None:
                doing(f"{name}, {text}")
            small = scenario.replace(slots=50)
            play(policy(text), [small.case(0)], small)
            found = [_timed(text, case, scenario) for case in cases]
            middle = statistics.median(seconds for seconds, _, _ in found)
            asked, served = (statistics.median(each[i] for each in found) for i in (1, 2))
            rows.append(Played(name, text, slots, runs, asked, served, 1e3 * middle, 1e6 * middle / slots))
    return rows


def _timed(text: str, case, scenario: Scenario) -> tuple[float, int, int]:
    """CPU seconds with plans, forecasts and all arrays; requests asked and served."""
    start = time.process_time()
    simulator = play(policy(text), [case], scenario)
    spent = time.process_time() - start
    return spent, len(case.run.demand), int((simulator.state.served >= 0).sum())
