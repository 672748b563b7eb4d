"""The telemetry of simulated runs, one network each, to learn from or to be tested on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from qnroute.errors import ProblemError
from qnroute.learning.links.telemetry import Telemetry
from qnroute.simulation.policies import policy
from qnroute.simulation.scenario import Scenario
from qnroute.simulation.telemetry import observed
from qnroute.simulation.trials import Trials

_TOGETHER = 16  # runs that are played side by side


def require_windows(scenario: Scenario, window: int) -> None:
    """Refuse windows longer than a run.

    Raises
    ------
    ProblemError
        No whole window fits.
    """
    if not 1 <= window <= scenario.slots:
        raise ProblemError(f"window: found {window}, expected 1 to the {scenario.slots} slots of a run")


def recorded(trials: Trials, *, window: int = 50) -> Iterator[Telemetry]:
    """What a monitor sees of the finished runs of the first policy, called ``NETWORK seed S``.

    The runs are played once more: they meet the same luck, and what trials tell of time stays that of the policy alone.
    """
    name = trials.policies[0]
    seeds = [trial.seed for trial in trials.of(name)]
    for begin in range(0, len(seeds), _TOGETHER):
        some = seeds[begin : begin + _TOGETHER]
        cases = [trials.scenario.case(seed) for seed in some]
        for seed, table in zip(some, observed(policy(name), cases, trials.scenario, window=window)):
            yield replace(table, name=f"{table.name or 'network'} seed {seed}")
