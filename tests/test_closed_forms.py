"""The compiled engine with the reactive rule against exact answers of chains: success probability and mean latency.

Each case has a quarter of a million requests: two runs side by side, each of a hundred chains that share no node.
Limits are 4 standard errors; a p that is 2 % off moves the success by 7 to 24 of them, as each case checks, and the
latency of successes by 1 to 6.
"""

import closed_forms
import numpy as np
import pytest

from qnroute.network import Network
from qnroute.simulation import rules
from qnroute.simulation.demand import Demand
from qnroute.simulation.dynamics import LinkSeries
from qnroute.simulation.physics import Physics
from qnroute.simulation.search import workspace_of
from qnroute.simulation.simulator import Simulator
from qnroute.simulation.world import Run

RUNS, CHAINS, NUMBER = 2, 100, 1250  # requests of each chain
SINGLE, TWO, THREE = ([0.1], []), ([0.2, 0.35], [0.6]), ([0.3, 0.5, 0.4], [0.9, 0.8])


def latencies(p, swap, lifetime, setting, *, seed, backwards=False):
    """Of all requests, one chain after the other, each in the order of time; -1 where a request failed."""
    m, each = len(p), np.arange(CHAINS)
    tail = ((m + 1) * each[:, None] + np.arange(m)).ravel()
    network = Network.from_columns(
        [f"n{i}" for i in range((m + 1) * CHAINS)], tail, tail + 1, p=0.5, swap=np.tile([1.0, *swap, 1.0], CHAINS)
    )
    source, target, arrival, deadline = np.array(list(zip(*setting["demand"]))[:4], dtype=np.int64)
    if backwards:
        source, target = target, source
    shift, one = (m + 1) * each, np.ones(len(arrival) * CHAINS)
    asked = Demand(
        np.add.outer(source, shift).ravel(), np.add.outer(target, shift).ravel(), arrival.repeat(CHAINS),
        deadline.repeat(CHAINS), 0.0 * one, one,
    )  # fmt: skip
    series = LinkSeries(np.tile(np.array(setting["p"]), CHAINS), setting["slots_per_epoch"])
    runs = [Run(network, series, asked, RUNS * seed + r) for r in range(RUNS)]
    simulator = Simulator(runs, Physics(lifetime=lifetime, min_fidelity=0.0))
    world, state = simulator.world, simulator.state
    rules.advance(
        world, state, setting["slots"], rules.REACTIVE, rules.no_plan(), rules.no_chances(RUNS), workspace_of(world),
        simulator.log, 0,
    )  # fmt: skip
    assert (state.hops[state.served >= 0] == m).all()
    found = np.where(state.served >= 0, state.served - world.arrival, -1)
    return found.reshape(RUNS, -1, CHAINS).transpose(0, 2, 1).ravel()


def agrees(found, exact, p, *rest, batch=1):
    """Within 4 standard errors of the figures for p; those of success for 1.02 p are more than 6 away."""
    errors = np.array(closed_forms.deviations(found, exact(p, *rest), batch=batch))
    larger = [1.02 * chance for chance in p]
    moved = errors - closed_forms.deviations(found, exact(larger, *rest), batch=batch)
    assert np.abs(errors).max() < 4
    assert moved[0] > 6


def test_a_wrong_p_is_noticed():
    p, swap = TWO
    setting = closed_forms.steady([1.02 * chance for chance in p], patience=5, period=7, number=NUMBER)
    found = latencies(p, swap, 4, setting, seed=5)
    assert closed_forms.deviations(found, closed_forms.periodic(p, swap, 4, 5, 7), batch=50)[0] > 4


@pytest.mark.parametrize(("p", "swap", "patience"), [(*SINGLE, 7), (*TWO, 5), (*THREE, 5), ([0.7] * 3, [0.9, 0.5], 4)])
def test_memoryless_chains(p, swap, patience):
    setting = closed_forms.steady(p, patience=patience, period=patience + 1, number=NUMBER)
    found = latencies(p, swap, 0, setting, seed=1)
    agrees(found, closed_forms.memoryless, p, swap, patience)


@pytest.mark.parametrize(("patience", "wait"), [(6, 2), (1, 5), (12, 0)])
def test_a_link_whose_pairs_are_kept(patience, wait):
    setting = closed_forms.isolated([0.1], lifetime=20, patience=patience, wait=wait, number=NUMBER)
    found = latencies([0.1], [], 20, setting, seed=2)
    agrees(found, lambda p, *rest: closed_forms.single_link(p[0], *rest), [0.1], patience, wait)


@pytest.mark.parametrize(
    ("p", "swap", "lifetime", "patience", "wait"),
    [(*SINGLE, 2, 6, 8), (*TWO, 3, 7, 4), (*THREE, 2, 6, 3), (*THREE, 4, 1, 4)],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_chains_from_an_empty_start(p, swap, lifetime, patience, wait, backwards):
    setting = closed_forms.isolated(p, lifetime=lifetime, patience=patience, wait=wait, number=NUMBER)
    found = latencies(p, swap, lifetime, setting, seed=3, backwards=backwards)
    agrees(found, closed_forms.from_empty, p, swap, lifetime, patience, wait)


@pytest.mark.parametrize(("p", "swap", "lifetime"), [(*SINGLE, 5), (*TWO, 4), (*THREE, 3)])
def test_chains_in_the_long_run(p, swap, lifetime):
    setting = closed_forms.steady(p, patience=5, period=7, number=NUMBER)
    found = latencies(p, swap, lifetime, setting, seed=4)
    agrees(found, closed_forms.periodic, p, swap, lifetime, 5, 7, batch=50)
