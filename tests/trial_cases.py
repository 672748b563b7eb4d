"""Small random cases for policies: those of the slot twin, with a history that predictors may learn from."""

from __future__ import annotations

import random

import numpy as np
from slot_twin import random_case
from test_engine import SLOTS, physics_of, rows, run_of

from qnroute.simulation.demand import Demand, pair_index, pair_of
from qnroute.simulation.policy import play
from qnroute.simulation.scenario import Case, Scenario
from qnroute.simulation.world import Run

PAST, DAY = 80, 24
COMMON = ("decay", "lifetime", "min_fidelity", "model", "held", "slots_per_epoch")  # of runs side by side


def alike(seeds) -> list[dict]:
    """Random cases that may be run side by side."""
    cases = [random_case(seed) for seed in seeds]
    return [case | {name: cases[0][name] for name in COMMON} for case in cases]


def case_of(drawn: dict, *, demand: Demand | None = None, history: Demand | None = None) -> Case:
    """A case of the slot twin as policies see it; its links have different nominal p."""
    rng, run = random.Random(drawn["seed"]), run_of(drawn)
    network = run.network.replace(p=np.array([rng.uniform(0.2, 1.0) for _ in drawn["links"]]))
    asked = run.demand if demand is None else demand
    past = history_of(drawn) if history is None else history
    known = np.unique(pair_index(past.source, past.target)) if len(past) else np.zeros(0, dtype=np.int64)
    pairs = pair_of(known).reshape(-1, 2)
    counts = np.concatenate([past.counts(pairs, PAST), asked.counts(pairs, SLOTS)])
    return Case(Run(network, run.series, asked, drawn["seed"]), past, SLOTS, PAST, DAY, pairs, counts)


def history_of(drawn: dict, requests: int = 40, floor: float | None = None) -> Demand:
    """What was asked before a case began, at floors of all kinds or at one."""
    rng, n = random.Random(drawn["seed"] + 1), len(drawn["memory"])
    ends = [rng.sample(range(n), 2) for _ in range(requests)]
    arrival = np.array(sorted(rng.randrange(PAST) for _ in ends))
    floors = [rng.uniform(0.3, 0.9) if floor is None else floor for _ in ends]
    return Demand(*np.array(ends).T, arrival, arrival + 5, np.array(floors))


def scenario_of(drawn: dict) -> Scenario:
    """The scenario of a case, as far as playing it asks for one."""
    return Scenario(run_of(drawn).network, physics=physics_of(drawn), held=drawn["held"], slots=SLOTS, history=PAST)


def played(policy, drawn: dict | list[dict], cases: list[Case] | None = None):
    """The simulator after all slots of one case, or of several side by side."""
    several = drawn if isinstance(drawn, list) else [drawn]
    made = [case_of(each) for each in several] if cases is None else cases
    return play(policy, made, scenario_of(several[0]), logged=True)


def text(simulator, run: int = 0) -> str:
    """The events of a run as one text, which is the same only where every digit is."""
    return repr(rows(simulator, run))
