"""Scenario: everything that a run is drawn from; Case: one run drawn, with the history that policies may learn from."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.network import Network
from qnroute.simulation.demand import Demand, pair_index, pair_of
from qnroute.simulation.dynamics import draw_dynamics, records_of
from qnroute.simulation.parameters import whole
from qnroute.simulation.physics import Physics
from qnroute.simulation.workloads import BusinessHours, Workload, workload_of
from qnroute.simulation.world import Run

FORMAT = "qnroute.scenario/1"
MOST_SLOTS = 10_000_000
MOST_FORECASTS = 500_000_000  # 2 GB


@dataclass(frozen=True, eq=False)
class Case:
    """One run to be simulated, and what was asked in the slots before it.

    Attributes
    ----------
    run : Run
        Network, link dynamics, demand and luck.
    history : Demand
        Of the `past` slots before the run, numbered from 0; the run's slot t is slot ``past + t`` of the clock.
    slots_per_day : int
    pairs : (P, 2) int64
        Pairs of nodes that asked in the history; a policy knows of no others.
    counts : (past + slots, P) int64
        Arrivals of these pairs in every slot, of the history and then of the run.
    costs : list
        CPU seconds of each forecast asked for, and whether it was made then or was there already.
    """

    run: Run
    history: Demand
    slots: int
    past: int
    slots_per_day: int
    pairs: np.ndarray
    counts: np.ndarray
    costs: list[tuple[float, bool]] = field(default_factory=list, repr=False)
    _forecasts: dict[Any, tuple[np.ndarray, float, Any]] = field(default_factory=dict, repr=False)

    def sharing(self, other: Case) -> Case:
        """This case with the forecasts that another one has made or will make; both must have the same demand."""
        if not np.array_equal(self.counts, other.counts) or self.past != other.past:
            raise ProblemError("cases of different demand cannot share forecasts")
        return dataclasses.replace(self, _forecasts=other._forecasts)

    def forecast(self, predictor: Any, horizon: int) -> np.ndarray:
        """(slots, P, horizon) chance of an arrival 1, 2, ... slots ahead, from what each slot knows; kept once made.

        Parameters
        ----------
        predictor
            As `qnroute.learning.predictors.Predictor`; it learns from the history alone.
        """
        if self.past == 0:
            raise ProblemError("history: found 0 slots, expected some for a predictor to learn from")
        if not len(self.pairs):
            return np.zeros((self.slots, 0, horizon), dtype=np.float32)
        if hasattr(predictor, "slots_per_day") and dataclasses.is_dataclass(predictor):
            predictor = dataclasses.replace(predictor, slots_per_day=self.slots_per_day)
        size = self.slots * len(self.pairs) * horizon
        if size > MOST_FORECASTS:
            raise ProblemError(
                f"slots: {self.slots} slots by {len(self.pairs)} pairs that ask by {horizon} slots ahead are "
                f"{size:.3g} forecasts, expected {MOST_FORECASTS:,} at most; take fewer slots or a shorter window"
            )
        key = repr(predictor), horizon
        if key not in self._forecasts:
            start = time.process_time()
            predictor.fit(self.counts[: self.past], clock=0)
            made = predictor.predict(self.counts, clock=0, horizon=horizon, start=self.past)
            # the predictor is kept, too: if it says nothing of itself its address is the key
            self._forecasts[key] = made, time.process_time() - start, predictor
            self.costs.append((self._forecasts[key][1], True))
        else:
            self.costs.append((self._forecasts[key][1], False))
        return self._forecasts[key][0]


@dataclass(frozen=True)
class Scenario:
    """What runs are drawn from. The seed of a case decides the network (where it is generated), who asks, and all luck.

    Parameters
    ----------
    network
        A `Network`, or a text: a recipe such as ``erdos-renyi:n=16,probability=0.25,p=0.12,fidelity=0.92``, a bundled
        name, or a file.
    workload, dynamics, physics
        Records, or mappings as `to_dict` writes them.
    slots
        Of the run; requests whose deadline is not within it are left out.
    history
        Slots before the run, in which requests come but nothing is served: what predictors learn from.
    held
        Pairs that may be pre-positioned at once (K).
    slots_per_epoch
        Slots for which p and fidelity stay the same.
    """

    network: Network | str
    workload: Workload = field(default_factory=BusinessHours)
    dynamics: Sequence[Any] = ()
    physics: Physics = field(default_factory=Physics)
    slots: int = 2000
    history: int = 2000
    held: int = 8
    slots_per_epoch: int = 1
    name: str = ""

    def __post_init__(self) -> None:
        faults = fields.name_faults(self.name)
        for name, made in _PARTS.items():
            try:
                object.__setattr__(self, name, made(getattr(self, name)))
            except ProblemError as error:
                faults += error.faults
        if faults:
            raise ProblemError(faults, source="scenario")

    def case(self, seed: int) -> Case:
        """The run with this seed."""
        seed = whole("seed", seed)
        network = self._network(seed)
        process = self.workload.process(network.n_nodes, seed=[seed, 0])
        history = process.draw(self.history, seed=[seed, 1], beyond=True)
        asked = process.draw(self.slots, seed=[seed, 2], start=self.history, beyond=True)
        series = draw_dynamics(
            network, self.dynamics, self.slots, seed=[seed, 3], slots_per_epoch=self.slots_per_epoch, start=self.history
        )
        known = np.unique(pair_index(history.source, history.target)) if len(history) else np.zeros(0, dtype=np.int64)
        pairs = pair_of(known).reshape(-1, 2)
        counts = np.concatenate([history.counts(pairs, self.history), asked.counts(pairs, self.slots)])
        day = getattr(self.workload, "slots_per_day", None) or 96
        demand = asked.limited(self.slots)
        return Case(Run(network, series, demand, seed), history, self.slots, self.history, day, pairs, counts)

    def _network(self, seed: int) -> Network:
        if isinstance(self.network, Network):
            return self.network
        from qnroute.formats import load_network
        from qnroute.recipes import generated, is_recipe

        return generated(self.network, seed=seed) if is_recipe(self.network) else load_network(self.network)

    def replace(self, **changes: Any) -> Scenario:
        """A copy with some parts changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """The scenario as plain JSON values."""
        network = self.network if isinstance(self.network, str) else self.network.to_dict()
        plain = {name: getattr(self, name) for name in ("slots", "history", "held", "slots_per_epoch")}
        return {
            "format": FORMAT,
            "name": self.name,
            "network": network,
            "workload": self.workload.to_dict(),
            "dynamics": [each.to_dict() for each in self.dynamics],
            "physics": dataclasses.asdict(self.physics),
            **plain,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Scenario:
        """The scenario that `to_dict` tells of; unknown fields are refused by name."""
        from qnroute.formats.problems import require_format

        require_format(values, FORMAT)
        known = {each.name for each in dataclasses.fields(cls)}
        given = {name: value for name, value in values.items() if name != "format"}
        faults = [f"{fields.brief_name(name)}: unknown field" for name in given if name not in known]
        if "network" not in given:
            faults.append("network: missing, but required")
        if faults:
            raise ProblemError(faults, source="scenario")
        return cls(**given)


def _network_of(given: Any) -> Network | str:
    """A network, its name, or one that a file holds."""
    if isinstance(given, Mapping):
        from qnroute.formats.schema import NetworkFile, network_of, validate

        try:
            return network_of(validate(NetworkFile, given, faults=[]))
        except ProblemError as error:
            raise ProblemError([f"network.{fault}" for fault in error.faults]) from None
    if not isinstance(given, (Network, str)):
        raise ProblemError(f"network: found {fields.brief(given)}, expected a Network or its name")
    return given


def _workload_of(given: Any) -> Workload:
    return given if callable(getattr(given, "process", None)) else workload_of(given)


def _physics_of(given: Any) -> Physics:
    if not isinstance(given, (Physics, Mapping)):
        raise ProblemError(f"physics: found {fields.brief(given)}, expected a mapping")
    return given if isinstance(given, Physics) else Physics(**given)


def _count(name: str, least: int, most: int) -> Callable[[Any], int]:
    def count(given: Any) -> int:
        value = whole(name, given, least=least)
        if value > most:
            raise ProblemError(f"{name}: found {value}, expected {most} at most")
        return value

    return count


_PARTS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "network": _network_of,
        "workload": _workload_of,
        "dynamics": records_of,
        "physics": _physics_of,
        "slots": _count("slots", 1, MOST_SLOTS),
        "history": _count("history", 0, MOST_SLOTS),
        "held": _count("held", 0, 10_000),
        "slots_per_epoch": _count("slots_per_epoch", 1, MOST_SLOTS),
    }
)
"""What each part of a scenario is made of, once it is checked."""


def load_scenario(path: str | os.PathLike[str]) -> Scenario:
    """Read a scenario file; ``-`` is standard input."""
    from qnroute.formats.json_text import parse
    from qnroute.formats.reading import read_bytes, source_of

    try:
        document, faults = parse(read_bytes(path))
        if faults:
            raise ProblemError(faults)
        return Scenario.from_dict(document)
    except ProblemError as error:
        raise error.at(source_of(path)) from None


def cases_of(scenario: Scenario, seeds: Iterable[int]) -> list[Case]:
    """The runs with these seeds."""
    return [scenario.case(seed) for seed in seeds]
