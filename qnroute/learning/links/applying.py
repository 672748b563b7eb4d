"""What is forecast of links, as rows for people and files, and as the links of a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qnroute.errors import ProblemError
from qnroute.fields import chosen
from qnroute.learning.links.features import TARGETS
from qnroute.learning.links.model import LEAST_FIDELITY, LEAST_P, Estimate, Forecast
from qnroute.learning.links.telemetry import Telemetry
from qnroute.problem import Problem

WAYS = {
    "score": "the predicted quality as the link's score (paper A: instead of p F)",
    "p-and-fidelity": "the predicted p and fidelity",
}
_SCORED = ("link-sum",)  # objectives that look at scores, beside the task link-selection
_NAMED = 5  # links spelled out in a remark


@dataclass(frozen=True)
class LinkForecast:
    """One link in the window after the last; None for what was not learned.

    ``sd`` is that of what is behind the luck of a window; ``low`` and ``high`` hold what will be seen of it.
    """

    source: str
    target: str
    quality: float | None
    quality_sd: float | None
    quality_low: float | None
    quality_high: float | None
    p: float | None
    p_sd: float | None
    p_low: float | None
    p_high: float | None
    fidelity: float | None
    fidelity_sd: float | None
    fidelity_low: float | None
    fidelity_high: float | None


def forecast_rows(telemetry: Telemetry, forecast: Forecast) -> list[LinkForecast]:
    """A row for each link, in the order of the telemetry."""
    columns: list[Sequence[float | None]] = []
    for target in TARGETS:
        estimate = getattr(forecast, target)
        none = [None] * telemetry.n_links
        columns += [none] * 4 if estimate is None else [part.tolist() for part in estimate]
    return [LinkForecast(*ends, *cells) for ends, cells in zip(telemetry.ends, zip(*columns))]


def applied(
    problem: Problem, telemetry: Telemetry, forecast: Forecast, *, way: str = "score"
) -> tuple[Problem, list[str]]:
    """The problem with what is forecast of its links, matched by their end nodes both ways round; and remarks.

    Links without telemetry keep what they have.

    Parameters
    ----------
    way
        A name in `WAYS`.

    Raises
    ------
    ProblemError
        No such way, nothing was learned of what it needs, or telemetry and problem share no link.
    """
    chosen("as", way, WAYS)
    network = problem.network
    names = network.node_ids
    ends = [(names[u], names[v]) for u, v in zip(network.source.tolist(), network.target.tolist())]
    place = {frozenset(pair): e for e, pair in enumerate(ends)}
    there = [place.get(frozenset(pair), -1) for pair in telemetry.ends]
    mine = np.flatnonzero(np.array(there, dtype=np.int64) >= 0)
    if not len(mine):
        raise ProblemError("telemetry: found no link of the problem's network, expected some with the same end nodes")
    links = np.array(there, dtype=np.int64)[mine]
    changes, remarks = _changes(network, forecast, way, mine, links)
    kept = sorted(set(range(len(ends))) - set(links.tolist()))
    remarks += _remark("links of the problem have no telemetry and keep what they have", [ends[e] for e in kept])
    lost = [telemetry.ends[i] for i, e in enumerate(there) if e < 0]
    remarks += _remark("links of the telemetry are not in the problem", lost)
    if way == "score" and problem.task == "allocation" and problem.objective.kind not in _SCORED:
        remarks.append(f"the objective {problem.objective.kind} does not look at scores; p-and-fidelity it would see")
    return problem.replace(network=network.replace(**changes)), remarks


def _changes(network, forecast: Forecast, way: str, mine: np.ndarray, links: np.ndarray):
    """New columns of the network, and what could not be had."""
    wanted = {"score": forecast.quality} if way == "score" else {"p": forecast.p, "fidelity": forecast.fidelity}
    least = {"score": -np.inf, "p": LEAST_P, "fidelity": LEAST_FIDELITY}
    most = {"score": np.inf, "p": 1.0, "fidelity": 1.0}
    missing = [("quality" if name == "score" else name) for name, estimate in wanted.items() if estimate is None]
    if len(missing) == len(wanted):
        raise ProblemError([f"{name}: was not learned, the telemetry had none" for name in missing])
    changes = {}
    for name, estimate in wanted.items():
        if isinstance(estimate, Estimate):
            values = getattr(network, name).copy()
            values[links] = np.clip(estimate.mean[mine], least[name], most[name])
            changes[name] = values
    return changes, [f"{name} was not learned: the problem keeps its own" for name in missing]


def _remark(what: str, ends: Sequence[tuple[str, str]]) -> list[str]:
    if not ends:
        return []
    named = ", ".join(" - ".join(pair) for pair in ends[:_NAMED])
    more = f" and {len(ends) - _NAMED} more" if len(ends) > _NAMED else ""
    return [f"{len(ends)} {what}: {named}{more}"]
