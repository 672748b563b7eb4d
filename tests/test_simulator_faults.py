"""Faults that a reader of the whole simulator found, and which are mended."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from qnroute.network import Network
from qnroute.simulation import events
from qnroute.simulation.clairvoyant import clairvoyant
from qnroute.simulation.demand import Demand
from qnroute.simulation.dynamics import LinkSeries
from qnroute.simulation.physics import Physics
from qnroute.simulation.policies import policy
from qnroute.simulation.policy import play
from qnroute.simulation.scenario import Case, Scenario
from qnroute.simulation.simulator import Simulator
from qnroute.simulation.world import Run


def demand(target: int, arrival: int, *, requests: int = 1, weight: float = 1.0) -> Demand:
    """Requests from node 0, all in one slot, which is their deadline too."""
    ones = np.ones(requests, dtype=np.int64)
    return Demand(0 * ones, target * ones, arrival * ones, arrival * ones, 0.3 * ones, weight * ones)


def link(asked: Demand) -> Run:
    """One link that always succeeds."""
    network = Network.from_columns(["s", "t"], np.array([0]), np.array([1]), p=1.0, fidelity=0.97)
    return Run(network, LinkSeries(np.array([[1.0]]), 1), asked, 0)


def test_no_policy_beats_the_bound_where_the_best_pair_has_bad_luck_at_its_swap():
    network = Network.from_columns(
        ["s", "v", "t"], np.array([0, 1]), np.array([1, 2]), p=0.7, fidelity=0.97, swap=0.5, channels=np.array([3, 1])
    )
    for seed in range(200):
        run = Run(network, LinkSeries(np.array([[0.7, 0.7]]), 1), demand(2, 2), seed)
        bound = clairvoyant(run, slots=3, held=0).bound
        for first in range(3):
            simulator = Simulator([run], held=0)
            for _ in range(2):
                simulator.begin()
                simulator.finish()
            simulator.begin()
            if (simulator.state.birth[[first, 3]] >= 0).all():
                served = simulator.serve([0], [first, 3], [0, 2])[0]
                assert served <= bound + 1e-9, (seed, first)


def test_a_route_of_highest_fidelity_joins_its_ends():
    """Pairs of ages 1 and 2 in a row are better by one rounding than one of age 3, until a fourth is multiplied in."""
    decays = np.linspace(0.9, 0.99, 1001)
    power = [decays**age for age in range(4)]
    hidden = (power[1] * power[2] > power[3]) & (power[1] * power[2] * power[1] == power[3] * power[1])
    decay = float(decays[hidden][0])
    network = Network.from_columns(
        ["s", "u", "v", "t"], np.array([0, 0, 1, 2]), np.array([2, 1, 2, 3]), p=1.0, fidelity=1.0
    )
    births = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]], dtype=float)
    scenario = Scenario(network, physics=Physics(decay=decay), slots=4, history=0)
    asked = demand(3, 3)
    pairs, counts = np.zeros((0, 2), dtype=np.int64), np.zeros((4, 0), dtype=np.int64)
    case = Case(Run(network, LinkSeries(births, 1), asked, 0), asked.limited(0), 4, 0, 96, pairs, counts)
    found = play(policy("highest-fidelity"), [case], scenario, logged=True).events()
    used = found["a"][found["event"] == events.USED].tolist()
    assert used in ([0, 3], [1, 2, 3]), used


_LONG_LIVED = """
from qnroute.simulation.physics import Physics
from qnroute.simulation.policies import policy
from qnroute.simulation.policy import play
from qnroute.simulation.scenario import Scenario
from qnroute.simulation.workloads import workload

scenario = Scenario("erdos-renyi:n=8,probability=0.4,p=0.3,fidelity=0.98", slots=300, history=200,
                    physics=Physics(decay=0.9999, lifetime=300), workload=workload("poisson", rate=0.05))
play(policy("lookahead:place=0.9"), [scenario.case(1)], scenario)
"""


@pytest.mark.slow
def test_lookahead_reads_no_prices_of_ages_that_it_does_not_tell_apart(tmp_path):
    checked = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", _LONG_LIVED], env=checked, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-300:]


def test_a_slot_begins_once():
    simulator = Simulator([link(demand(1, 0, requests=3))])
    served = 0
    for request in range(3):
        try:
            simulator.begin()
            served += int(simulator.serve([request], [0], [0, 1])[0])
        except Exception:
            break
    assert served <= 1


def test_nothing_is_decided_before_a_slot_has_begun():
    simulator = Simulator([link(demand(1, 1))], Physics(lifetime=0))
    simulator.begin()
    simulator.finish()
    with pytest.raises(Exception, match="begin"):
        simulator.serve([0], [0], [0, 1])


def test_small_worths_are_bounded_too():
    asked = demand(1, 0, weight=1e-8)
    assert clairvoyant(link(asked), slots=1, worth=asked.weight).bound >= 1e-8 * (1 - 1e-9)
