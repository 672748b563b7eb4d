"""Policies where fidelity drifts: they judge by what they believe, and never see what is true."""

import numpy as np
import policy_twins
import pytest
import slot_twin as twin
from drifting import drifting_case
from slot_twin import Twin, random_case
from test_engine import SLOTS, conserved, rows, same
from test_policies import PREDICTED
from trial_cases import played

from qnroute.simulation.policies import policy


@pytest.mark.parametrize(("name", "plain"), [("shortest-path", twin.shortest_path), ("greedy", policy_twins.greedy)])
def test_fixed_rules_are_their_twins_where_fidelity_drifts(name, plain):
    below = 0
    for seed in range(40):
        alone = Twin(**drifting_case(seed))
        twin.run(alone, plain, SLOTS)
        same(rows(played(policy(name), drifting_case(seed))), alone.events)
        below += sum(row[1] == twin.BELOW_FLOOR for row in alone.events)
    assert below > 5


class Convinced:
    """A policy told at the start what to believe of all links."""

    def __init__(self, inner, fidelity):
        self.act, self._inner, self._fidelity = inner.act, inner, fidelity

    def start(self, simulator, cases):
        self._inner.start(simulator, cases)
        simulator.believe(np.full(len(simulator.state.believed), self._fidelity))


@pytest.mark.parametrize("name", PREDICTED)
def test_judges_by_what_is_believed_where_fidelity_drifts(name):
    """Who believes links to be all but noise never tries a floor; who believes them perfect finds out."""
    served, below = [0, 0], [0, 0]
    for seed in range(3 if name == "exact" else 8):
        case = drifting_case(seed) | {"model": "werner", "min_fidelity": 0.5}
        case["demand"] = [(*request[:4], 0.8, request[5]) for request in case["demand"]]
        for i, fidelity in enumerate((0.2500001, 1.0)):
            simulator = played(Convinced(policy(name), fidelity), case)
            conserved(simulator)
            found = simulator.events()
            served[i] += int((found["event"] == twin.USED).sum())
            below[i] += int((found["event"] == twin.BELOW_FLOOR).sum())
            kept = found["fidelity"][np.isin(found["event"], (twin.SERVED, twin.SERVED_HELD))]
            assert (kept >= 0.8 - 1e-8).all()
    assert served[0] == below[0] == 0 and served[1] > 0 and below[1] > 0


@pytest.mark.parametrize("name", PREDICTED)
def test_no_policy_sees_what_is_true_of_links(name):
    """Where nothing depends on the truth, what it is changes no decision."""
    for seed in range(2 if name == "exact" else 10):
        case = random_case(seed) | {"min_fidelity": 0.0}
        case["demand"] = [(*request[:4], 0.0, request[5]) for request in case["demand"]]
        found = [rows(played(policy(name), each)) for each in (case, drifting_case(seed) | case)]
        assert [row[:5] for row in found[0]] == [row[:5] for row in found[1]]
