"""Floors on fidelity met with predicted links: the predicted mean taken at its word, or weighed by its deviation.

Links below a floor of their own are of no use, for ``expected-pairs`` and for link selection; or routes must reach the
floor of their request. Deviations are those that the model learned, not known ones. How good they are is told beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qnroute.benchmark.link_places import Place, decided
from qnroute.benchmark.link_regrets import above_zero, forecast, told
from qnroute.benchmark.statistics import holm, mean_interval
from qnroute.learning.links.chance import chance_aware, chance_of, chance_routes
from qnroute.learning.links.model import Forecast, LinkModel
from qnroute.learning.links.regret import best_worth, only_links, worth
from qnroute.problem import Problem

FLOOR = 0.97  # of links, about the middle of what they have
FLOORS = 0.8, 0.95  # of requests
RULES = ("links, expected-pairs", "links, link-selection", "routes, expected-pairs")
LEVELS = {0.5: 0.6745, 0.9: 1.6449}  # quantiles of the normal distribution, both sides


@dataclass(frozen=True)
class Floored:
    """What decisions under floors lose, of the best that could be had, by the plain mean and by chances.

    Attributes
    ----------
    plain, chances
        Mean regret over networks.
    cut, cut_low, cut_high
        Share of the mean regret that chances take away; the ends are those of the paired difference.
    p_t, p_wilcoxon
        One-sided, of the difference being 0 or less; Holm-corrected over all rows.
    """

    rule: str
    kind: str
    networks: int
    stale: float
    plain: float
    chances: float
    cut: float
    cut_low: float | None
    cut_high: float | None
    p_t: float
    p_wilcoxon: float


@dataclass(frozen=True)
class Deviations:
    """How far truths lay from predictions, in predicted deviations: `spread` is their root mean square, 1 if right.

    Attributes
    ----------
    error, deviation
        Root mean square of the error, and of the predicted deviation.
    within_half, within_most
        Share of truths within the deviations that hold 50 % and 90 % of a normal distribution.
    """

    target: str
    kind: str
    links: int
    error: float
    deviation: float
    spread: float
    within_half: float
    within_most: float


def floored(
    models: Mapping[str, LinkModel], held: Sequence[Place], windows: Sequence[int], *, stale: str = "nominal"
) -> list[Floored]:
    """A row for each rule and kind; a network is one unit, its windows are added up."""
    brought = {(rule, kind): np.zeros((2, len(held))) for rule in RULES for kind in models}
    best = {rule: np.zeros(len(held)) for rule in RULES}
    for i, place in enumerate(held):
        for window in windows:
            found = {kind: forecast(model, place, window) for kind, model in models.items()}
            for rule in RULES:
                asked, floor = _asked(place, window, rule)
                truth = asked.replace(network=place.true(window))
                best[rule][i] += best_worth(truth, floor=floor)
                for kind, each in found.items():
                    for way, allocation in enumerate(_ways(asked, each, floor)):
                        brought[rule, kind][way, i] += worth(truth, allocation, floor=floor)
    rows = []
    for rule in RULES:
        some = best[rule] > 0.0
        regret = {kind: 1.0 - brought[rule, kind][:, some] / best[rule][some] for kind in models}
        rows += [_row(rule, kind, *each, float(regret[stale][0].mean())) for kind, each in regret.items()]
    for name in ("p_t", "p_wilcoxon"):
        for row, p in zip(rows, holm([row[name] for row in rows]).tolist()):
            row[name] = p
    return [Floored(**row) for row in rows]


def calibrated(models: Mapping[str, LinkModel], held: Sequence[Place], windows: Sequence[int]) -> list[Deviations]:
    """A row for each target and kind, over the links of all places."""
    rows = []
    for kind, model in models.items():
        parts = {"quality": [], "p": [], "fidelity": []}
        for place in held:
            for window in windows:
                found, true = forecast(model, place, window), place.true(window)
                for target, truth in (("quality", true.score), ("p", true.p), ("fidelity", true.fidelity)):
                    mean, sd, *_ = getattr(found, target)
                    parts[target].append((mean - truth, sd))
        for target, some in parts.items():
            error, sd = (np.concatenate(columns) for columns in zip(*some))
            off = np.abs(error) / np.maximum(sd, 1e-9)
            within = [float((off < reach).mean()) for reach in LEVELS.values()]
            squares = [float(np.sqrt(np.mean(values**2))) for values in (error, sd, off)]
            rows.append(Deviations(target, kind, len(error), *squares, *within))
    return rows


def _asked(place: Place, window: int, rule: str) -> tuple[Problem, float | None]:
    kind = rule.partition(", ")[2]
    if rule.startswith("links"):
        return place.asked(window, kind), FLOOR
    return place.asked(window, kind, FLOORS), None


def _ways(asked: Problem, found: Forecast, floor: float | None) -> tuple:
    """The decision of the plain mean, and that of chances."""
    plain, sd = told(asked, found), found.fidelity.sd
    if floor is None:
        return decided(plain), chance_routes(plain, sd).allocation
    mean = found.applied(asked.network)
    if asked.task == "link-selection":
        chance = chance_of(mean.fidelity, sd, floor)
        score = plain.network.score
        scores = score * (mean.fidelity >= floor), score * chance
        return tuple(decided(plain.replace(network=plain.network.replace(score=each))) for each in scores)
    networks = only_links(mean, mean.fidelity >= floor), chance_aware(mean, sd, floor)
    return tuple(decided(plain.replace(network=network)) for network in networks)


def _row(rule: str, kind: str, plain: np.ndarray, chances: np.ndarray, stale: float) -> dict:
    apart, whole = mean_interval(plain - chances), float(plain.mean())
    p_t, p_wilcoxon = above_zero(plain - chances)
    shares = [None if end is None or whole <= 0.0 else end / whole for end in apart]
    return {
        "rule": rule,
        "kind": kind,
        "networks": len(plain),
        "stale": stale,
        "plain": whole,
        "chances": float(chances.mean()),
        "cut": shares[0] or 0.0,
        "cut_low": shares[1],
        "cut_high": shares[2],
        "p_t": p_t,
        "p_wilcoxon": p_wilcoxon,
    }
