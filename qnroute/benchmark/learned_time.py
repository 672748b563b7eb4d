"""Learned and other policies in time: paper C's workload on topologies and sizes seen in training, and on others.

Seeds are those of no training. Every policy meets the same networks, requests and luck; a clairvoyant bounds them all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qnroute.benchmark import spep
from qnroute.benchmark.statistics import difference, mean_interval
from qnroute.fields import chosen
from qnroute.learning.predictors import predictor
from qnroute.multiplicity import holm
from qnroute.network import Network
from qnroute.settings import Settings
from qnroute.simulation import policies as registry
from qnroute.simulation.chooser import IMITATED, Chooser, load_network_policy
from qnroute.simulation.policy import play
from qnroute.simulation.scenario import Scenario
from qnroute.simulation.trials import Trials, simulate
from qnroute.simulation.workloads import BusinessHours

GROUP = "time"
SEED = spep.SEEDS
BEST = "hybrid:nominal,decide=ppo"
"""Links are known as calibrated; in this workload they stay so."""
PLAIN = ("shortest-path", "reactive", "greedy", "static", "exact", "spep:frequency", "lookahead:frequency")
"""Without learning (frequencies are counted)."""
LEARNED = ("imitation", "ppo", "refine", "ppo:mean", "ppo:oracle", "hybrid:decide=ppo", BEST)
"""Imitation alone; PPO after it; after what `exact` decides; with mean rates and with the truth for forecasts; in the
closed loop, with links learned from its own telemetry and as calibrated."""
_REAL = "p=0.12 and F=0.92 on the links of"


@dataclass(frozen=True)
class Case:
    """Where it is played, and whether policies were trained on the like."""

    network: str
    seen: bool = False
    rate: float = 0.5

    def scenario(self, name: str) -> Scenario:
        """Paper C's parameters (C8)."""
        network: Network | str = self.network
        if self.network.startswith(_REAL):
            from qnroute.formats import load_network

            links = load_network(self.network.removeprefix(_REAL).strip())
            network = links.replace(p=np.full(links.n_links, 0.12), fidelity=np.full(links.n_links, 0.92))
        return Scenario(network, BusinessHours(rate=self.rate), name=name)


_LINKS = "p=0.12,fidelity=0.92"
CASES = {
    **{f"{GROUP}-{name}": Case(f"{text},{_LINKS}", name != "small-world") for name, text in spep.TOPOLOGIES.items()},
    f"{GROUP}-waxman-24": Case(f"waxman:n=24,alpha=0.3,beta=0.6,{_LINKS}", rate=0.75),
    f"{GROUP}-erdos-renyi-64": Case(f"erdos-renyi:n=64,probability=0.0625,{_LINKS}", rate=2.0),
    f"{GROUP}-erdos-renyi-200": Case(f"erdos-renyi:n=200,probability=0.02,{_LINKS}", rate=6.25),
    f"{GROUP}-nsfnet": Case(f"{_REAL} nsfnet"),
    f"{GROUP}-geant": Case(f"{_REAL} geant", rate=0.7),
}


@dataclass(frozen=True)
class InTime:
    """A policy in a case.

    Attributes
    ----------
    success, low, high
        Rate, with its 95 % interval over the runs.
    share
        Of what a clairvoyant serves at most, which is `possible` as a rate.
    hybrid_above, above_low, above_high
        Rate by which `hybrid` is above it on the same luck.
    p
        Wilcoxon's signed ranks of that, Holm-corrected over all rows.
    closed
        Of ``hybrid``: share that it closes of what lies between the best policy without learning and the clairvoyant.
    cpu_ms
        Of a slot.
    """

    case: str
    seen: bool
    policy: str
    runs: int
    success: float | None
    low: float | None
    high: float | None
    share: float | None
    possible: float | None
    hybrid_above: float | None
    above_low: float | None
    above_high: float | None
    p: float
    closed: float | None
    cpu_ms: float


def listing() -> list[str]:
    """The cases."""
    words = {True: "seen", False: "not seen"}
    return [f"{GROUP}: all of these", *(f"{name}: {words[each.seen]} in training" for name, each in CASES.items())]


def measure(
    *,
    runs: int,
    case: Sequence[str] = (GROUP,),
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[InTime]:
    """A row for each case and policy."""
    for name in case:
        chosen("--case", name, {GROUP: None, **CASES})
    rows: list[dict] = []
    settings = Settings(interrupted=interrupted or threading.Event())
    for name in CASES if GROUP in case else case:
        telling = None if doing is None else lambda step, share, name=name: doing(f"{name}, {step}")
        scenario, imitated = CASES[name].scenario(name), Chooser(predictor("frequency"), load_network_policy(IMITATED))
        play(registry.policy("ppo"), [scenario.case(SEED)], scenario, slots=2)  # compiles
        policies = [*PLAIN, *((each, imitated) if each == "imitation" else each for each in LEARNED)]
        trials = simulate(scenario, policies, range(SEED, SEED + runs), doing=telling, settings=settings)
        rows += _rows(name, trials)
    tested = [row for row in rows if row["policy"] != BEST]
    for row, p in zip(tested, holm([row["p"] for row in tested])):
        row["p"] = float(p)
    return [InTime(**row) for row in rows]


def _rows(name: str, trials: Trials) -> list[dict]:
    """Of the runs that every policy and the clairvoyant have finished."""
    size = min(len(trials.bounds), *(len(trials.of(policy)) for policy in trials.policies))
    if size == 0:
        return []
    of = {policy: trials.values(policy, "success")[:size] for policy in trials.policies}
    possible = float(np.mean([bound.bound / bound.requests for bound in list(trials.bounds.values())[:size]]))
    top, rows = max(float(of[policy].mean()) for policy in PLAIN), []
    for policy in trials.policies:
        rate, apart, own = mean_interval(of[policy]), difference(of[BEST], of[policy]), policy == BEST
        seconds = sum(trial.seconds for trial in trials.of(policy)[:size])
        above = (None,) * 3 if own else apart.mean
        rows.append({
            "case": name, "seen": CASES[name].seen, "policy": policy, "runs": size,
            "success": rate.value, "low": rate.low, "high": rate.high,
            "share": float(np.mean(trials.shares(policy)[:size])), "possible": possible,
            "hybrid_above": above[0], "above_low": above[1], "above_high": above[2],
            "p": 1.0 if own else apart.p_paired,
            "closed": (float(of[BEST].mean()) - top) / (possible - top) if own and possible > top else None,
            "cpu_ms": 1000.0 * seconds / (size * trials.scenario.slots),
        })  # fmt: skip
    return rows
