"""Pictures of trials where there is little to draw: no warning, and nothing that is not there."""

import threading

import matplotlib.pyplot as plt
import pytest

from qnroute.benchmark.trial_figures import plot_distribution, plot_measure, plot_trials
from qnroute.plot import save_figure
from qnroute.settings import Settings
from qnroute.simulation.measures import METRICS
from qnroute.simulation.policies import policy
from qnroute.simulation.scenario import Scenario
from qnroute.simulation.trials import simulate

ASKED = {"kind": "poisson", "rate": 1.0, "pairs": 6, "floor": [0.3, 0.7]}
UNSERVED = {"kind": "poisson", "rate": 1.0, "floor": 0.99}


def scenario(workload):
    return Scenario("grid:rows=3,columns=3,p=0.4,fidelity=0.9,swap=0.9", workload, slots=40, history=60)


CASES = {
    "one of each": (ASKED, ["reactive"], [1], False),
    "a bound": (ASKED, ["reactive"], [1], True),
    "several": (ASKED, ["reactive", "greedy", "spep:predictor=mean", "lookahead:predictor=mean"], [1, 2], True),
    "some unserved": (ASKED | {"rate": 0.05}, ["reactive", "static:candidates=1"], [1, 2, 3], True),
    "none served": (UNSERVED, ["reactive"], [1], True),
    "none served, several": (UNSERVED, ["reactive", "greedy"], [1, 2], False),
    "no request": (ASKED | {"rate": 1e-9}, ["reactive", "exact"], [1, 2], True),
}


@pytest.fixture(params=CASES, scope="module")
def trials(request):
    workload, policies, seeds, bound = CASES[request.param]
    return simulate(scenario(workload), policies, seeds, bound=bound)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_all_of_it(trials, tmp_path):
    save_figure(plot_trials(trials), tmp_path / "trials.png")
    assert (tmp_path / "trials.png").stat().st_size > 1000


@pytest.mark.parametrize("metric", METRICS)
def test_one_measure(trials, metric, tmp_path):
    ax = plot_measure(trials, metric)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(trials.policies)
    assert (metric == "success" and any(b.requests for b in trials.bounds.values())) == bool(ax.texts)
    save_figure(ax, tmp_path / "measure.svg")


@pytest.mark.parametrize("what", ["latencies", "fidelities"])
def test_one_distribution(trials, what):
    ax = plot_distribution(trials, what, what)
    served = [name for name in trials.policies if any(len(trial.latencies) for trial in trials.of(name))]
    assert [line.get_label() for line in ax.lines] == served
    for name, line in zip(served, ax.lines):
        of = trials.of(name)
        share = sum(trial.measures.served for trial in of) / sum(trial.measures.requests for trial in of)
        assert line.get_ydata()[-1] == pytest.approx(share)


def test_a_policy_that_never_had_its_turn(tmp_path):
    event = threading.Event()

    class Last:
        def start(self, simulator, cases):
            self.inner = policy("reactive")
            self.inner.start(simulator, cases)

        def act(self, simulator):
            self.inner.act(simulator)
            if simulator.slot == 39:
                event.set()

    found = simulate(scenario(ASKED), [("mine", Last()), "greedy"], [1], settings=Settings(interrupted=event))
    assert [trial.policy for trial in found.trials] == ["mine"]
    save_figure(plot_trials(found), tmp_path / "trials.png")
