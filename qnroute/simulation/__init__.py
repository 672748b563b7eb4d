"""Time: scenarios, the slot engine, policies and what they came to, beside what a clairvoyant could have done.

    from qnroute import simulation

    scenario = simulation.Scenario("erdos-renyi:n=16,probability=0.25,p=0.12,fidelity=0.92")
    trials = simulation.simulate(scenario, ["reactive", "spep:logistic", "lookahead"], seeds=range(5))
    print(trials.values("lookahead", "success").mean(), trials.shares("lookahead").mean())

docs/simulation.md says what a slot is. Names are imported when they are first used; functions that are called as their
module is, such as `clairvoyant.clairvoyant`, are found there.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "clairvoyant": ("Clairvoyance",),
    "demand": ("Demand",),
    "dynamics": ("LinkSeries",),
    "measures": ("Measures",),
    "physics": ("Physics",),
    "policies": ("PolicyKind",),
    "policy": ("Policy", "play"),
    "replay": ("load_log", "log_document"),
    "scenario": ("Case", "Scenario", "load_scenario"),
    "simulator": ("RefusedDecision", "Simulator"),
    "trials": ("Trial", "Trials", "simulate"),
    "workloads": ("workload",),
    "world": ("Run",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Case",
    "Clairvoyance",
    "Demand",
    "LinkSeries",
    "Measures",
    "Physics",
    "Policy",
    "PolicyKind",
    "RefusedDecision",
    "Run",
    "Scenario",
    "Simulator",
    "Trial",
    "Trials",
    "load_log",
    "load_scenario",
    "log_document",
    "play",
    "simulate",
    "workload",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from qnroute.simulation.clairvoyant import Clairvoyance
    from qnroute.simulation.demand import Demand
    from qnroute.simulation.dynamics import LinkSeries
    from qnroute.simulation.measures import Measures
    from qnroute.simulation.physics import Physics
    from qnroute.simulation.policies import PolicyKind
    from qnroute.simulation.policy import Policy, play
    from qnroute.simulation.replay import load_log, log_document
    from qnroute.simulation.scenario import Case, Scenario, load_scenario
    from qnroute.simulation.simulator import RefusedDecision, Simulator
    from qnroute.simulation.trials import Trial, Trials, simulate
    from qnroute.simulation.workloads import workload
    from qnroute.simulation.world import Run
