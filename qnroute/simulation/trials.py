"""Policies side by side: the same cases, the same luck, and what a clairvoyant could have done with them."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qnroute.errors import ProblemError
from qnroute.settings import Settings
from qnroute.simulation.clairvoyant import Clairvoyance, clairvoyant
from qnroute.simulation.measures import Measures, fidelities, latencies, measures
from qnroute.simulation.monitoring import Recorder, Timeline
from qnroute.simulation.policies import policy
from qnroute.simulation.policy import Policy, play
from qnroute.simulation.scenario import Case, Scenario

FORMAT = "qnroute.simulation/1"
_WARM = 2  # slots played before the clock runs

Doing = Callable[[str, float], None]
"""Called with what is being done, and the share of the work that is done."""


@dataclass(frozen=True)
class Trial:
    """One case under one policy; `seconds` of CPU with plans and forecasts, also where others had them made.

    `timeline` is there where windows were asked for.
    """

    policy: str
    seed: int
    measures: Measures
    seconds: float
    latencies: np.ndarray = field(repr=False)
    fidelities: np.ndarray = field(repr=False)
    timeline: Timeline | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Trials:
    """All policies on all seeds, as far as they came.

    Attributes
    ----------
    trials : tuple of Trial
    bounds : dict
        Seed -> what the clairvoyant reaches; empty where no bound was asked for.
    stopped
        ``interrupted`` where something cut the work short; whole trials are kept.
    """

    scenario: Scenario
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    trials: tuple[Trial, ...]
    bounds: dict[int, Clairvoyance]
    stopped: str | None = None

    def of(self, name: str) -> list[Trial]:
        """The trials of one policy, by seed."""
        return [trial for trial in self.trials if trial.policy == name]

    def values(self, name: str, metric: str) -> np.ndarray:
        """(runs,) one measure of a policy in each run, NaN where it has none."""
        found = [getattr(trial.measures, metric) for trial in self.of(name)]
        return np.array([np.nan if value is None else value for value in found], dtype=float)

    def shares(self, name: str) -> np.ndarray:
        """(runs,) served requests of a policy as a share of the clairvoyant bound, NaN where there is none."""
        found = [(trial.measures.served, self.bounds.get(trial.seed)) for trial in self.of(name)]
        return np.array([np.nan if b is None or b.bound <= 0 else served / b.bound for served, b in found], dtype=float)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON values: the scenario, the seeds and every run, so that it can be repeated."""
        from qnroute.result import versions

        return {
            "format": FORMAT,
            "scenario": self.scenario.to_dict(),
            "policies": list(self.policies),
            "seeds": list(self.seeds),
            "runs": [_run(trial) for trial in self.trials],
            "clairvoyant": [{"seed": seed, **dataclasses.asdict(bound)} for seed, bound in self.bounds.items()],
            "stopped": self.stopped,
            "versions": versions(),
        }


def _run(trial: Trial) -> dict[str, Any]:
    found = {"policy": trial.policy, "seed": trial.seed, **dataclasses.asdict(trial.measures)}
    found["seconds"] = round(trial.seconds, 4)
    return found if trial.timeline is None else {**found, "timeline": trial.timeline.to_dict()}


def simulate(
    scenario: Scenario,
    policies: Sequence[str | tuple[str, Policy]],
    seeds: Sequence[int],
    *,
    bound: bool = True,
    case_of: Callable[[int], Case] | None = None,
    doing: Doing | None = None,
    settings: Settings | None = None,
    window: int | None = None,
) -> Trials:
    """Play every case of a scenario under every policy.

    Parameters
    ----------
    policies
        Texts such as ``reactive`` or ``spep:predictor=lstm``; or a name with a `Policy` of your own.
    bound
        Also compute what a clairvoyant reaches.
    case_of
        Seed -> its case, where the caller has drawn them; ``scenario.case`` if not given.
    settings
        Interruption and time limit; the trials finished by then are given back.
    window
        Slots of a window, for the `Timeline` of each trial.

    Raises
    ------
    ProblemError
        An unknown policy or option, a policy named twice, or a scenario whose parts do not fit.
    """
    settings, named = settings or Settings(), [_named(each) for each in policies]
    names = [name for name, _ in named]
    twice = [
        f"{what}: {each} is given more than once"
        for what, given in (("policies", names), ("seeds", seeds))
        for each, times in Counter(given).items()
        if times > 1
    ]
    if twice:
        raise ProblemError(twice)
    trials, bounds, parts = [], {}, len(named) + bound
    for turn, seed in enumerate(seeds):
        if settings.stopped:
            break
        case = (case_of or scenario.case)(seed)
        for place, (name, make) in enumerate(named):
            if settings.stopped:
                break
            if doing is not None:
                doing(f"seed {seed}, {name}", (turn + place / parts) / len(seeds))
            if turn == 0 and isinstance(policies[place], str):
                play(make(), [case], scenario, slots=_WARM)  # compiles
            if settings.stopped:
                break
            trial = _tried(name, make(), case, scenario, seed, settings, window)
            if trial is not None:
                trials.append(trial)
        if bound and not settings.stopped:
            if doing is not None:
                doing(f"seed {seed}, clairvoyant", (turn + len(named) / parts) / len(seeds))
            found = clairvoyant(case.run, scenario.physics, slots=case.slots, held=scenario.held, settings=settings)
            if not settings.stopped:  # cut short it is a bound all the same, but says less than the others
                bounds[seed] = found
    return Trials(scenario, tuple(names), tuple(seeds), tuple(trials), bounds, settings.stopped)


def _named(given: str | tuple[str, Policy]) -> tuple[str, Callable[[], Policy]]:
    """A policy's name, and how to make it; names are checked at once."""
    if isinstance(given, str):
        policy(given)
        return given, lambda: policy(given)
    name, made = given
    return name, lambda: made


def _tried(
    name: str, made: Policy, case: Case, scenario: Scenario, seed: int, settings: Settings, window: int | None
) -> Trial | None:
    """The trial, or None where it was cut short."""
    case.costs.clear()
    recorder = Recorder()
    watched = {} if window is None else {"window": window, "watch": recorder.close}
    start = time.process_time()
    simulator = play(made, [case], scenario, stopped=lambda: settings.stopped is not None, **watched)
    seconds = time.process_time() - start + sum(cost for cost, made_now in case.costs if not made_now)
    if simulator.slot < case.slots:
        return None
    seen = None if window is None else recorder.timeline(getattr(made, "notes", ()))
    return Trial(name, seed, measures(simulator), seconds, latencies(simulator), fidelities(simulator), seen)
