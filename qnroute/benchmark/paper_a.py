"""Paper A's experiment (A7, A8): routing on networks whose links drift, by what is calibrated, learned and true.

The networks are those of `qnroute.benchmark.drifting`. What predicts links is trained on telemetry of other networks,
of two topologies and other seeds; which kind is best is decided on networks of its own, before the ones reported.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qnroute.benchmark.calibrations import DATA, FILE, calibrations, data_file
from qnroute.benchmark.drifting import SLOTS, TOPOLOGIES, TRAINED_ON, scenario_of
from qnroute.benchmark.link_decisions import one_slot
from qnroute.benchmark.recovery import Recovery, recovery
from qnroute.benchmark.statistics import difference, holm, mean_interval
from qnroute.errors import ProblemError
from qnroute.fields import chosen
from qnroute.learning.links.model import LinkModel
from qnroute.settings import Settings
from qnroute.simulation.hybrid import Hybrid
from qnroute.simulation.knowledge import Calibrated, Failures, Informed, Learned
from qnroute.simulation.policy import Policy, play
from qnroute.simulation.scenario import Case
from qnroute.simulation.trials import Trials, simulate

KINDS = ("last-value", "empirical", "linear", "gradient-boosting", "mlp", "graph")
BASELINES = ("shortest-path", "greedy", "static", "reactive", "lookahead:frequency")
PRINTED = {"shortest-path": (0.68, 310), "greedy": (0.75, 240), "static": (0.81, 180), "hybrid": (0.92, 95)}
"""A8: success rate and mean latency in milliseconds."""

INFORMED, NOMINAL = "hybrid:oracle", "hybrid:nominal"
SEEDS, TRAINING, CHOOSING = 3000, 500, 700  # the first of the seeds that are reported, learned from, chosen on
SIZES = (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Routing:
    """A policy on a topology, in the mean over runs; `network` is ``all`` where runs of all are taken together.

    Attributes
    ----------
    success, half
        Success rate, and half of its 95 % interval over the runs.
    printed
        Paper A's figures: success rate, latency in ms.
    share
        Requests served, of those that a clairvoyant serves at most.
    lost
        Success rate less than that of the same loop which knows the truth about links, in the same runs.
    of_nominal
        The same, of what the loop that trusts the calibration loses.
    halved_p
        One-sided paired t-test that less than half of that is lost, Holm-corrected over what predicts links.
    p_reactive
        Wilcoxon's signed ranks, two-sided, against `reactive`; Holm-corrected over the policies.
    """

    network: str
    policy: str
    runs: int = field(metadata={"shown": False})
    success: float | None
    half: float | None
    printed: str
    share: float | None
    latency: float | None
    throughput: float | None
    used: float | None
    lost: float | None
    of_nominal: float | None
    halved_p: float | None
    p_reactive: float | None
    cpu_ms: float


@dataclass(frozen=True)
class Scaling:
    """A policy on networks of one size."""

    nodes: int
    policy: str
    runs: int
    success: float | None
    latency: float | None
    throughput: float | None
    cpu_ms_a_slot: float


def loop(knowledge: Callable[[Case], Any], **options: Any) -> Hybrid:
    """The closed loop with its defaults."""
    return Hybrid(knowledge, **{"decide": "greedy", **options})


def telemetry(runs: int, slots: int = SLOTS) -> list[Any]:
    """What the loop itself sees on networks to learn from, before it has a model."""
    tables = []
    for topology in TRAINED_ON:
        for run in range(runs):
            scenario = scenario_of(topology, nodes=(16, 24, 40)[run % 3], slots=slots)
            policy = loop(lambda case: Learned(case, Failures("ignored"), kind="recent", retrain=0))
            simulator = play(policy, [scenario.case(TRAINING + run)], scenario)
            tables.append(policy.loops[0].knowledge.telemetry(simulator))
    return tables


def models(tables: Sequence[Any], kinds: Sequence[str] = KINDS) -> dict[str, LinkModel]:
    """A model of each kind."""
    return {kind: LinkModel(kind).fit(tables, targets=("p", "fidelity")) for kind in kinds}


def loops(made: dict[str, LinkModel]) -> list[tuple[str, Policy]]:
    """The loop with each of the models, with calibrations alone, and with the truth."""
    how = Failures("ignored")  # no link fails here

    def learned(kind: str) -> Callable[[Case], Learned]:
        return lambda case: Learned(case, how, kind=kind, model=made[kind], retrain=0)

    found = [(f"hybrid:{kind}", loop(learned(kind))) for kind in made]
    return [
        (NOMINAL, loop(lambda case: Calibrated(case, how))),
        *found,
        (INFORMED, loop(lambda case: Informed(case, how))),
    ]


def best_kind(made: dict[str, LinkModel], runs: int, settings: Settings, slots: int = SLOTS) -> str:
    """The kind with which the loop serves most on networks kept for this choice."""
    served = dict.fromkeys(made, 0.0)
    policies = [(name, policy) for name, policy in loops(made) if name not in (NOMINAL, INFORMED)]
    for topology in TRAINED_ON:
        trials = simulate(
            scenario_of(topology, slots=slots),
            policies,
            range(CHOOSING, CHOOSING + runs),
            bound=False,
            settings=settings,
        )
        for kind in made:
            served[kind] += float(np.nansum(trials.values(f"hybrid:{kind}", "success")))
    return max(served, key=served.get)


def routing(
    runs: int, *, settings: Settings, doing: Callable[[str], None] | None = None, **small: Any
) -> list[Routing]:
    """Every policy on every topology, then on all together."""
    slots = small.get("slots", SLOTS)
    tell = doing or (lambda what: None)
    tell("telemetry to learn from")
    made = models(telemetry(small.get("training", 6), slots), small.get("kinds", KINDS))
    tell("the best kind of model")
    best = best_kind(made, small.get("choosing", 3), settings, slots)
    rows, several = [], []
    for topology in small.get("topologies", TOPOLOGIES):
        if settings.stopped:
            break
        trials = simulate(
            scenario_of(topology, slots=slots),
            [*small.get("baselines", BASELINES), *loops(made)],
            range(SEEDS, SEEDS + runs),
            doing=lambda step, share, topology=topology: tell(f"{topology}, {step}"),
            settings=settings,
        )
        several.append(trials)
        rows += routed([trials], topology, best)
    return rows + (routed(several, "all", best) if len(several) > 1 else [])


def routed(several: Sequence[Trials], network: str, best: str) -> list[Routing]:
    """A row for each policy that finished every run of the trials given."""
    whole = [name for name in several[0].policies if all(len(t.of(name)) == len(t.seeds) for t in several)]
    success = {name: np.concatenate([trials.values(name, "success") for trials in several]) for name in whole}
    learned = [name for name in whole if name.startswith("hybrid:") and name not in (NOMINAL, INFORMED)]
    halved: dict[str, float] = {}
    if NOMINAL in success and INFORMED in success:
        halved = dict(zip(learned, holm([_halved(success, name) for name in learned])))
    against = [name for name in whole if name != "reactive" and "reactive" in success]
    apart = dict(zip(against, holm([difference(success[n], success["reactive"]).p_paired for n in against])))
    lost = {name: success[INFORMED] - success[name] for name in whole} if INFORMED in success else {}
    rows = []
    for name in whole:
        found = {
            m: np.concatenate([t.values(name, m) for t in several]) for m in ("latency", "throughput", "utilisation")
        }
        rate, is_loop = mean_interval(success[name]), name.startswith("hybrid:") and name != INFORMED
        at_stake = float(lost[NOMINAL].mean()) if NOMINAL in lost else 0.0
        rows.append(
            Routing(
                network=network,
                policy=f"{name} (chosen)" if name == f"hybrid:{best}" else name,
                runs=len(success[name]),
                success=rate.value,
                half=None if rate.low is None else rate.high - rate.value,
                printed=_printed(name, best),
                share=mean_interval(np.concatenate([trials.shares(name) for trials in several])).value,
                latency=mean_interval(found["latency"]).value,
                throughput=mean_interval(found["throughput"]).value,
                used=mean_interval(found["utilisation"]).value,
                lost=float(lost[name].mean()) if is_loop and lost else None,
                of_nominal=float(lost[name].mean()) / at_stake if is_loop and at_stake > 0.0 else None,
                halved_p=halved.get(name),
                p_reactive=apart.get(name),
                cpu_ms=1000.0 * float(np.median([trial.seconds for trials in several for trial in trials.of(name)])),
            )
        )
    return rows


def _halved(success: dict[str, np.ndarray], name: str) -> float:
    """p of the one-sided paired t-test that the loss is less than half of the nominal one's."""
    from scipy.stats import ttest_1samp

    informed = success[INFORMED]
    spare = (informed - success[NOMINAL]) / 2.0 - (informed - success[name])
    if len(spare) < 2 or not spare.any():
        return 1.0
    return float(ttest_1samp(spare, 0.0, alternative="greater").pvalue)


def _printed(name: str, best: str) -> str:
    key = "hybrid" if name == f"hybrid:{best}" else name
    return f"{PRINTED[key][0]:g}, {PRINTED[key][1]} ms" if key in PRINTED else ""


def scaling(
    runs: int, *, settings: Settings, doing: Callable[[str], None] | None = None, **small: Any
) -> list[Scaling]:
    """Policies on networks of growing size, with requests in proportion to the nodes."""
    made = models(telemetry(small.get("training", 2), small.get("slots", SLOTS)), ("empirical",))
    loops_of = [pair for pair in loops(made) if pair[0] != NOMINAL]
    rows = []
    for nodes in small.get("sizes", SIZES):
        if settings.stopped:
            break
        some = scenario_of("erdos-renyi", nodes=nodes, slots=small.get("slots", SLOTS // 2))
        trials = simulate(
            some,
            ["shortest-path", "static", "greedy", "reactive", *loops_of],
            range(SEEDS, SEEDS + runs),
            bound=False,
            doing=lambda step, share, nodes=nodes: doing(f"{nodes} nodes, {step}") if doing else None,
            settings=settings,
        )
        for name in trials.policies:
            if trials.of(name):
                found = {m: mean_interval(trials.values(name, m)).value for m in ("success", "latency", "throughput")}
                cpu = 1000.0 * float(np.median([trial.seconds for trial in trials.of(name)])) / some.slots
                rows.append(Scaling(nodes, name, len(trials.of(name)), **found, cpu_ms_a_slot=cpu))
    return rows


PARTS = {
    "one-slot": "value lost against knowing the links, by what predicts them; floors; losses made from decisions",
    "routing": "success, latency, throughput, utilisation in simulation on four topologies",
    "scaling": "the same on 16 to 256 nodes",
    "failures": "links fail together and come back",
    "calibrations": "two years of a real machine's couplers, where QNROUTE_DATA names the data",
}


def listing() -> list[str]:
    """The parts, in words."""
    return [f"{name}: {what}" for name, what in PARTS.items()]


def measure(
    *,
    runs: int,
    case: Sequence[str] | None = None,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[Any]:
    """All rows of the parts named; all if none is. Each part has rows of its own kind.

    Parameters
    ----------
    runs
        Per topology and policy of `routing`; three times as many of `failures`, a fifth of `scaling`.

    Raises
    ------
    ProblemError
        A part is unknown or given twice, or the data is not here that one which was named needs.
    """
    names = [name for name in case or PARTS if chosen("--case", name, PARTS)]
    if len(set(names)) < len(names):
        raise ProblemError("--case: a part is given more than once")
    if "calibrations" in (case or ()) and data_file() is None:
        raise ProblemError(f"{DATA}: expected a folder with {FILE} for --case calibrations")
    settings = Settings(interrupted=interrupted or threading.Event())
    parts = {
        "one-slot": lambda: one_slot(doing=doing, interrupted=settings.interrupted).rows(),
        "routing": lambda: routing(runs, settings=settings, doing=doing),
        "scaling": lambda: scaling(max(runs // 5, 1), settings=settings, doing=doing),
        "failures": lambda: _failures(3 * runs, settings, doing),
        "calibrations": lambda: calibrations(doing, settings.interrupted),
    }
    rows: list[Any] = []
    for name in names:
        if not settings.stopped:
            rows += parts[name]()
    return rows


def _failures(runs: int, settings: Settings, doing: Callable[[str], None] | None) -> list[Recovery]:
    made = models(telemetry(2), ("empirical",))["empirical"]
    seeds = range(SEEDS, SEEDS + runs)
    return recovery(scenario_of("erdos-renyi"), made, seeds, settings=settings, doing=doing)
