"""Decisions with predicted links: what kinds of prediction lose against the proven optimum, in one slot.

Problems are solved to proof with what is predicted for the next window, and valued with what links were truly like in
it. The network is the unit: what its windows bring is added up before anything is averaged or tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from qnroute.benchmark.link_places import OBJECTIVES, Place, decided
from qnroute.benchmark.statistics import holm, mean_interval
from qnroute.learning.links.model import KINDS, Forecast, LinkModel
from qnroute.learning.links.regret import best_worth, worth
from qnroute.problem import Problem

STALE = "nominal"


@dataclass(frozen=True)
class Loss:
    """What a kind of prediction loses under an objective: shares of the best that could be had, means over networks.

    Attributes
    ----------
    chosen
        Whether it lost least on the networks to choose by.
    regret, low, high
        With the 95 % interval.
    ratio
        Of the mean regret to that of what was once calibrated.
    spare, spare_low, spare_high
        Half of what the calibration loses, less what this kind loses, paired by network: above 0, it more than halves
        the loss.
    p_t, p_wilcoxon
        One-sided, of the spare being 0 or less. Holm-corrected over the objectives for the kinds chosen, which is the
        question asked, and over all objectives and kinds for the others.
    """

    objective: str
    kind: str
    chosen: bool
    networks: int
    regret: float
    low: float | None
    high: float | None
    ratio: float | None
    spare: float
    spare_low: float | None
    spare_high: float | None
    p_t: float
    p_wilcoxon: float
    by_topology: str = field(metadata={"shown": False})


def models_of(trained: Sequence[Place], kinds: Sequence[str] = tuple(KINDS), seed: int = 0) -> dict[str, LinkModel]:
    """A model of each kind, of the telemetry of all places."""
    return {kind: LinkModel(kind, seed=seed).fit([place.telemetry for place in trained]) for kind in kinds}


def forecast(model: LinkModel, place: Place, window: int) -> Forecast:
    """Of the window after this one, from what was seen until its end."""
    return model.forecast(place.features[window], place.telemetry.neighbours())


def told(problem: Problem, found: Forecast) -> Problem:
    """The problem with what is predicted in place of what was calibrated."""
    if problem.task == "link-selection":
        return problem.replace(network=found.scored(problem.network))
    return problem.replace(network=found.applied(problem.network))


def regrets(
    models: Mapping[str, LinkModel],
    some: Sequence[Place],
    windows: Sequence[int],
    objectives: Sequence[str] = OBJECTIVES,
) -> dict[str, dict[str, np.ndarray]]:
    """Objective -> kind -> (networks,) 1 - what decisions bring over the windows / the best over the windows."""
    brought = {objective: {kind: np.zeros(len(some)) for kind in models} for objective in objectives}
    best = {objective: np.zeros(len(some)) for objective in objectives}
    for i, place in enumerate(some):
        for window in windows:
            true = place.true(window)
            found = {kind: forecast(model, place, window) for kind, model in models.items()}
            for objective in objectives:
                asked = place.asked(window, objective)
                truth = asked.replace(network=true)
                best[objective][i] += best_worth(truth)
                for kind, each in found.items():
                    brought[objective][kind][i] += worth(truth, decided(told(asked, each)))
    return {
        objective: {kind: 1.0 - each / best[objective] for kind, each in of.items()}
        for objective, of in brought.items()
    }


def losses(
    models: Mapping[str, LinkModel], validation: Sequence[Place], held: Sequence[Place], windows: Sequence[int]
) -> list[Loss]:
    """A row for each objective and kind; the kind to trust is chosen on the validation places."""
    by, found = regrets(models, validation, windows), regrets(models, held, windows)
    rows = []
    for objective, of in found.items():
        chosen = min(by[objective], key=lambda kind: by[objective][kind].mean())
        rows += [_row(objective, kind, kind == chosen, each, of[STALE], held) for kind, each in of.items()]
    for row in rows:
        row["p_t"], row["p_wilcoxon"] = (1.0, 1.0) if row["kind"] == STALE else (row["p_t"], row["p_wilcoxon"])
    for chosen in (True, False):
        tested = [i for i, row in enumerate(rows) if row["kind"] != STALE and row["chosen"] == chosen]
        for name in ("p_t", "p_wilcoxon"):
            for i, p in zip(tested, holm([rows[i][name] for i in tested]).tolist()):
                rows[i][name] = p
    return [Loss(**row) for row in rows]


def _row(objective: str, kind: str, chosen: bool, own: np.ndarray, stale: np.ndarray, held: Sequence[Place]) -> dict:
    regret, spare = mean_interval(own), mean_interval(stale / 2 - own)
    p_t, p_wilcoxon = above_zero(stale / 2 - own)
    names = [place.topology for place in held]
    each = [(name, np.mean([x for x, at in zip(own, names) if at == name])) for name in dict.fromkeys(names)]
    return {
        "objective": objective,
        "kind": kind,
        "chosen": chosen,
        "networks": len(own),
        "regret": regret.value,
        "low": regret.low,
        "high": regret.high,
        "ratio": float(own.mean() / stale.mean()) if stale.mean() > 0.0 else None,
        "spare": spare.value,
        "spare_low": spare.low,
        "spare_high": spare.high,
        "p_t": p_t,
        "p_wilcoxon": p_wilcoxon,
        "by_topology": ", ".join(f"{name} {value:.4f}" for name, value in each),
    }


def above_zero(values: np.ndarray) -> tuple[float, float]:
    """One-sided p of Student's t and of Wilcoxon's signed ranks that the values lie above 0; 1 for fewer than two."""
    from scipy.stats import ttest_1samp, wilcoxon

    if len(values) < 2 or not np.ptp(values):
        return 1.0, 1.0
    t = ttest_1samp(values, 0.0, alternative="greater").pvalue
    return float(t), float(wilcoxon(values, alternative="greater").pvalue)
