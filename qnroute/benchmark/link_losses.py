"""Squared error against the losses that look at decisions, for linear scorers and perceptrons, by regret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qnroute.benchmark.link_places import Place
from qnroute.benchmark.link_regrets import above_zero, regrets
from qnroute.benchmark.statistics import holm, mean_interval
from qnroute.learning.links.instances import KINDS, Course, Decisions
from qnroute.learning.links.model import LinkModel

TRAINED = {"spo+": Course("spo+", epochs=10), "perturbed": Course("perturbed", epochs=10, samples=2)}
ASKED = ("log-success", "link-selection")
_EVERY = 9  # windows of a network to learn from, and problems of it


@dataclass(frozen=True)
class Trained:
    """What a scorer trained by a loss loses, of the best that could be had; means over networks.

    Attributes
    ----------
    pass_kept
        After which the regret on later windows was least; 0: squared error stayed.
    cut, cut_low, cut_high
        Share of the regret of the squared error that the loss takes away; the ends are those of the paired difference.
    p_t, p_wilcoxon
        One-sided, of that difference being 0 or less; Holm-corrected over all rows.
    """

    objective: str
    kind: str
    loss: str
    pass_kept: int
    networks: int
    regret: float
    low: float | None
    high: float | None
    cut: float
    cut_low: float | None
    cut_high: float | None
    p_t: float
    p_wilcoxon: float


def trained_losses(
    models: Mapping[str, LinkModel],
    trained: Sequence[Place],
    held: Sequence[Place],
    windows: Sequence[int],
    *,
    options: Mapping[str, Any] | None = None,
) -> list[Trained]:
    """A row for each objective, kind and loss.

    Parameters
    ----------
    models
        Those of squared error, by kind.
    options
        Of `Course`, in place of its own.
    """
    rows = []
    for objective in ASKED:
        every = {(kind, "squared"): models[kind] for kind in KINDS}
        for kind in KINDS:
            for name, course in TRAINED.items():
                every[kind, name] = _taught(kind, objective, course._replace(**(options or {})), trained)
        found = regrets(every, held, windows, (objective,))[objective]
        rows += [_row(objective, *key, every[key], own, found[key[0], "squared"]) for key, own in found.items()]
    tested = [i for i, row in enumerate(rows) if row["loss"] != "squared"]
    for name in ("p_t", "p_wilcoxon"):
        for i, p in zip(tested, holm([rows[i][name] for i in tested]).tolist()):
            rows[i][name] = p
    return [Trained(**row) for row in rows]


def _taught(kind: str, objective: str, course: Course, trained: Sequence[Place]) -> LinkModel:
    problems = [[place.asked(window, objective) for window in range(_EVERY)] for place in trained]
    decisions = Decisions([some[:1] if objective == "link-selection" else some for some in problems], course,
                          windows=_EVERY)  # fmt: skip
    targets = ("quality",) if objective == "link-selection" else ("p", "fidelity")
    return LinkModel(kind).fit([place.telemetry for place in trained], targets=targets, decisions=decisions)


def _row(objective: str, kind: str, loss: str, model: LinkModel, own: np.ndarray, squared: np.ndarray) -> dict:
    regret, apart = mean_interval(own), mean_interval(squared - own)
    scorer = model.scorers_["quality" if objective == "link-selection" else "p"]
    whole, (p_t, p_wilcoxon) = float(squared.mean()), above_zero(squared - own)
    shares = [None if end is None or whole <= 0.0 else end / whole for end in apart]
    return {
        "objective": objective,
        "kind": kind,
        "loss": loss,
        "pass_kept": getattr(scorer, "epoch_", 0),
        "networks": len(own),
        "regret": regret.value,
        "low": regret.low,
        "high": regret.high,
        "cut": shares[0] or 0.0,
        "cut_low": shares[1],
        "cut_high": shares[2],
        "p_t": p_t,
        "p_wilcoxon": p_wilcoxon,
    }
