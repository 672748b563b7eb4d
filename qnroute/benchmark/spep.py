"""Paper C's experiment (C8 to C13): four topologies, all baselines and predictors, on the same luck.

What the paper does not print is not tuned to its figures: the arrival rate, the threshold, the least fidelity, the
number of held pairs and the law of decay are swept around the defaults, and every row is shown.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from qnroute.benchmark.statistics import Difference, corrected, difference, mean_interval
from qnroute.errors import ProblemError
from qnroute.fields import chosen
from qnroute.settings import Settings
from qnroute.simulation.physics import Physics
from qnroute.simulation.scenario import Case, Scenario
from qnroute.simulation.trials import Trials, simulate
from qnroute.simulation.workloads import BusinessHours

TOPOLOGIES = {
    "erdos-renyi": "erdos-renyi:n=16,probability=0.25",
    "regular": "regular:n=16,degree=3",
    "small-world": "watts-strogatz:n=16,neighbours=4,rewiring=0.3",
    "scale-free": "barabasi-albert:n=16,links_per_node=2",
}
"""C9; the ring's neighbours and the links of new nodes are not printed."""

PRINTED = {
    "erdos-renyi": ((0.39, 0.41), 0.29),
    "regular": ((0.13, 0.14), 0.08),
    "small-world": ((0.33, 0.35), 0.26),
    "scale-free": ((0.20, 0.21), 0.14),
}
"""C13: success rate of SPEP (from, to) and of shortest path."""

PREDICTORS = ("last-value", "seasonal", "mean", "frequency", "arima", "logistic", "lstm", "lstm-clock", "oracle")
BASELINES = ("shortest-path", "reactive", "highest-fidelity", "greedy", "static", "exact")
POLICIES = (
    *BASELINES,
    *(f"spep:{name}" for name in PREDICTORS),
    "spep:lstm,base=shortest-path",
    *(f"lookahead:{name}" for name in ("mean", "frequency", "lstm-clock", "oracle")),
)
LOOKAHEAD, SPEP, REFERENCE = "lookahead:frequency", "spep:lstm", "shortest-path"
SEEDS = 1000  # the first of the seeds; defaults of policies were chosen on seeds 100 to 119
_FEW = 6  # runs of a sweep

_SWEPT = ("shortest-path", "reactive", "spep:frequency", LOOKAHEAD)
_SWEEPS: dict[str, Callable[[Scenario], Scenario]] = {
    "rate=0.25": lambda s: s.replace(workload=BusinessHours(rate=0.25)),
    "rate=1": lambda s: s.replace(workload=BusinessHours(rate=1.0)),
    "rate=2": lambda s: s.replace(workload=BusinessHours(rate=2.0)),
    "high_pairs=1": lambda s: s.replace(workload=BusinessHours(high_pairs=1)),
    "slots_per_day=24": lambda s: s.replace(workload=BusinessHours(slots_per_day=24)),
    "periodic_share=0.8": lambda s: s.replace(workload=BusinessHours(periodic_share=0.8)),
    "model=printed": lambda s: s.replace(physics=Physics(model="printed")),
    "min_fidelity=0.4": lambda s: s.replace(physics=Physics(min_fidelity=0.4)),
    "min_fidelity=0.6": lambda s: s.replace(physics=Physics(min_fidelity=0.6)),
    "lifetime=5": lambda s: s.replace(physics=Physics(lifetime=5)),
}
_THRESHOLDS = tuple(
    f"spep:lstm-clock,threshold={threshold},min_fidelity={least}"
    for threshold in (0.05, 0.2, 0.4)
    for least in (0.5, 0.6, 0.8)
)


@dataclass(frozen=True)
class Outcome:
    """A policy on a topology: means over the runs, and how its success differs from others' on the same luck.

    Attributes
    ----------
    success, half, success_low, success_high
        Success rate, and its 95 % interval over the runs, each of which has its own network and demand.
    printed
        Paper C's figure.
    share
        Requests served, of those that a clairvoyant serves at most.
    over_shortest, p_shortest, p_paired
        Mean paired difference to shortest path; p by Mann-Whitney U (as in the paper) and by Wilcoxon's signed ranks.
    over_mean, p_mean
        Of a policy that forecasts, the paired difference to the same with the mean rates alone, and p by Wilcoxon.
    below_lookahead, p_lookahead, p_lookahead_unpaired
        The same of lookahead to this policy. All p are Holm-corrected over the policies of the topology.
    """

    topology: str
    sweep: str
    policy: str
    runs: int = field(metadata={"shown": False})
    success: float | None
    half: float | None
    success_low: float | None = field(metadata={"shown": False})
    success_high: float | None = field(metadata={"shown": False})
    printed: str
    share: float | None
    latency: float | None
    fidelity: float | None
    used: float | None
    useful: float | None
    over_shortest: float | None = field(metadata={"shown": False})
    over_shortest_low: float | None = field(metadata={"shown": False})
    over_shortest_high: float | None = field(metadata={"shown": False})
    p_shortest: float | None
    p_paired: float | None = field(metadata={"shown": False})
    over_mean: float | None = field(metadata={"shown": False})
    p_mean: float | None
    below_lookahead: float | None = field(metadata={"shown": False})
    p_lookahead: float | None
    p_lookahead_unpaired: float | None = field(metadata={"shown": False})
    latency_low: float | None = field(metadata={"shown": False})
    latency_high: float | None = field(metadata={"shown": False})
    used_low: float | None = field(metadata={"shown": False})
    used_high: float | None = field(metadata={"shown": False})
    possible: float | None = field(metadata={"shown": False})
    by_held: float | None = field(metadata={"shown": False})
    cpu_s: float = field(metadata={"shown": False})


def measure(
    *,
    runs: int,
    case: Sequence[str] | None = None,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[Outcome]:
    """All rows: the experiment itself, then the sweeps (without them where topologies were named).

    Parameters
    ----------
    runs
        Per topology and policy (C8: 20).
    case
        Topologies; all if not given.
    """
    names = [name for each in case or TOPOLOGIES for name in [each] if chosen("--case", each, TOPOLOGIES)]
    if len(set(names)) < len(names):
        raise ProblemError("--case: a topology is given more than once")
    settings = Settings(interrupted=interrupted or threading.Event())
    drawn: dict[int, Case] = {}
    rows = []
    for name in names:
        trials = _trials(scenario_of(name), POLICIES, runs, drawn, settings, _telling(doing, name))
        rows += outcomes(trials, name)
    if case is None:
        for name in names:
            rows += _swept(name, min(runs, _FEW), drawn, settings, doing)
    return rows


def scenario_of(topology: str) -> Scenario:
    """Paper C's parameters (C8) on one of its topologies."""
    return Scenario(f"{TOPOLOGIES[topology]},p=0.12,fidelity=0.92", name=topology)


def _swept(name: str, runs: int, drawn: dict[int, Case], settings: Settings, doing) -> list[Outcome]:
    plain, rows = scenario_of(name), []
    trials = _trials(plain, (REFERENCE, *_THRESHOLDS), runs, drawn, settings, _telling(doing, f"{name}, thresholds"))
    rows += [row for row in outcomes(trials, name, "threshold") if row.policy != REFERENCE]
    for sweep, changed in _SWEEPS.items():
        trials = _trials(changed(plain), _SWEPT, runs, {}, settings, _telling(doing, f"{name}, {sweep}"))
        rows += outcomes(trials, name, sweep)
    return rows


def _trials(scenario: Scenario, policies, runs: int, drawn: dict[int, Case], settings: Settings, doing) -> Trials:
    """The trials; cases of the same demand share forecasts through `drawn`."""

    def case_of(seed: int) -> Case:
        made = scenario.case(seed)
        return made.sharing(drawn.setdefault(seed, made))

    return simulate(scenario, policies, range(SEEDS, SEEDS + runs), case_of=case_of, doing=doing, settings=settings)


def _telling(doing: Callable[[str], None] | None, what: str):
    return None if doing is None else lambda step, share: doing(f"{what}, {step}")


def outcomes(trials: Trials, topology: str, sweep: str = "") -> list[Outcome]:
    """One row for each policy that finished a run."""
    finished = [name for name in trials.policies if trials.of(name)]
    against = {name: _compared(trials, name, REFERENCE) for name in finished if name != REFERENCE}
    against = corrected({name: found for name, found in against.items() if found is not None})
    mean = {name: _compared(trials, name, f"{name.partition(':')[0]}:mean") for name in finished if _forecasts(name)}
    mean = corrected({name: found for name, found in mean.items() if found is not None})
    below = {name: _compared(trials, LOOKAHEAD, name) for name in finished if not name.startswith("lookahead")}
    below = corrected({name: found for name, found in below.items() if found is not None})
    compared = ({name: each.get(name) for name in finished} for each in (against, mean, below))
    return [_row(trials, topology, sweep, name, *found) for name, *found in zip(finished, *map(dict.values, compared))]


def _forecasts(name: str) -> bool:
    """Whether a policy forecasts more than mean rates, and serves the rest as usual."""
    return ":" in name and not name.endswith(":mean") and "," not in name


def _compared(trials: Trials, one: str, other: str) -> Difference | None:
    """Success of one policy less another's, over the seeds that both have finished."""
    if not trials.of(one) or not trials.of(other):
        return None
    size = min(len(trials.of(one)), len(trials.of(other)))
    return difference(trials.values(one, "success")[:size], trials.values(other, "success")[:size])


def _row(
    trials: Trials,
    topology: str,
    sweep: str,
    name: str,
    against: Difference | None,
    mean: Difference | None,
    below: Difference | None,
) -> Outcome:
    means = {metric: mean_interval(trials.values(name, metric)) for metric in ("success", "latency", "utilisation")}
    rest = {metric: mean_interval(trials.values(name, metric)).value for metric in ("fidelity", "useful", "by_held")}
    possible = [bound.bound / bound.requests for bound in trials.bounds.values() if bound.requests]
    return Outcome(
        topology=topology,
        sweep=sweep,
        policy=name,
        runs=len(trials.of(name)),
        success=means["success"].value,
        half=None if means["success"].low is None else means["success"].high - means["success"].value,
        success_low=means["success"].low,
        success_high=means["success"].high,
        printed="" if sweep else _printed(topology, name),
        share=mean_interval(trials.shares(name)).value,
        latency=means["latency"].value,
        fidelity=rest["fidelity"],
        used=means["utilisation"].value,
        useful=rest["useful"],
        over_shortest=against.mean.value if against else None,
        over_shortest_low=against.mean.low if against else None,
        over_shortest_high=against.mean.high if against else None,
        p_shortest=against.p_unpaired_corrected if against else None,
        p_paired=against.p_paired_corrected if against else None,
        over_mean=mean.mean.value if mean else None,
        p_mean=mean.p_paired_corrected if mean else None,
        below_lookahead=below.mean.value if below else None,
        p_lookahead=below.p_paired_corrected if below else None,
        p_lookahead_unpaired=below.p_unpaired_corrected if below else None,
        latency_low=means["latency"].low,
        latency_high=means["latency"].high,
        used_low=means["utilisation"].low,
        used_high=means["utilisation"].high,
        possible=mean_interval(possible).value,
        by_held=rest["by_held"],
        cpu_s=float(np.sum([trial.seconds for trial in trials.of(name)])),
    )


def _printed(topology: str, policy: str) -> str:
    """What paper C prints for the policy: its SPEP does not say which predictor it is for."""
    (low, high), shortest = PRINTED[topology]
    if policy == REFERENCE:
        return f"{shortest:g}"
    return f"{low:g}-{high:g}" if policy.startswith(SPEP) else ""
