"""LinkModel: what a network's links will do in the next window, learned from telemetry; saved without any code in it.

Three scorers of one kind, for the quality (paper A, equation 5), for p and for the fidelity; each with a spread and
with intervals that hold for links not learned from.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import scipy.sparse as sparse

from qnroute.errors import ProblemError
from qnroute.fields import chosen
from qnroute.learning.links.features import FEATURES, TARGETS, features, joined, table
from qnroute.learning.links.scorers import SCORERS, options_of, scorer
from qnroute.learning.links.telemetry import LEAST_ESTIMATE, Telemetry
from qnroute.network import Network

if TYPE_CHECKING:
    from qnroute.learning.links.estimator import LinkScorer
    from qnroute.learning.links.instances import Decisions

LEAST_P, LEAST_FIDELITY = 1e-6, 0.25 + 1e-9  # what a network may have
_LEAST_ROWS = 2
_EVEN = 0.01  # added to sampling variances in the weights: links also differ

KINDS: Mapping[str, str] = MappingProxyType(
    {name: entry.description for name, entry in SCORERS.items()}
    | {"last-value": "what was last seen of the link; what any forecast must be held against"}
)
"""What a `LinkModel` may be made of, a line each."""

_RATE = {"quality": "quality", "p": "rate", "fidelity": "fidelity"}  # as features begin
LEAST = {"quality": LEAST_ESTIMATE, "p": 0.0, "fidelity": LEAST_ESTIMATE}  # that a window may show
_WEIGHT = {"quality": "attempts", "p": "attempts", "fidelity": "samples"}


class NothingSeen(ProblemError):
    """Telemetry that a model can learn nothing from: no link was seen in two windows one after the other."""


class Estimate(NamedTuple):
    """Of m links: mean, standard deviation behind the luck of a window, and an interval of what is seen."""

    mean: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Recipe(NamedTuple):
    """A scorer's name in `SCORERS`, and its options as far as they are not the usual ones."""

    name: str
    options: dict[str, Any]


@dataclass(frozen=True)
class Forecast:
    """What m links will do in the next window; None where there was nothing to learn it from."""

    quality: Estimate | None
    p: Estimate | None
    fidelity: Estimate | None

    def scored(self, network: Network) -> Network:
        """The network with the predicted qualities as its links' scores (paper A: instead of p F)."""
        return network.replace(score=_known("quality", self.quality, network).mean)

    def applied(self, network: Network) -> Network:
        """The network with the predicted p and fidelity, for objectives over products."""
        changes = {}
        if self.p is not None:
            changes["p"] = np.clip(_known("p", self.p, network).mean, LEAST_P, 1.0)
        if self.fidelity is not None:
            changes["fidelity"] = np.clip(_known("fidelity", self.fidelity, network).mean, LEAST_FIDELITY, 1.0)
        return network.replace(**changes)


def _known(name: str, estimate: Estimate | None, network: Network) -> Estimate:
    if estimate is None:
        raise ProblemError(f"{name}: was not learned, the telemetry had none")
    if len(estimate.mean) != network.n_links:
        raise ProblemError(f"{name}: found {len(estimate.mean)} links, expected the {network.n_links} of the network")
    return estimate


@dataclass(eq=False)
class LinkModel:
    """Learns what links will do from telemetry of any number of networks.

    Parameters
    ----------
    kind
        A name in `scorers.SCORERS`.
    options
        Of that kind.
    seed
        Same seed and telemetry, same model.

    Attributes
    ----------
    scorers_ : dict
        Target -> its fitted scorer.
    trained_ : dict
        What it was trained on: rows of each target, networks, links, windows, and the telemetry's fingerprint.
    """

    kind: str = "gradient-boosting"
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def fit(
        self, tables: Sequence[Telemetry], *, targets: Sequence[str] = TARGETS, decisions: Decisions | None = None
    ) -> Self:
        """Learn; targets of which the telemetry has nothing are left out.

        Parameters
        ----------
        decisions
            What the predictions are for: quality or p are then trained for less regret (kinds linear and mlp).

        Raises
        ------
        ProblemError
            An unknown kind or option.
        NothingSeen
            Nothing to learn from.
        """
        tables = list(tables)
        for target in targets:
            chosen("target", target, LEAST)
        if decisions is not None:
            decisions.require(self.kind, tables, targets)
        made = [features(each) for each in tables]
        scorers: dict[str, LinkScorer] = {}
        rows = {}
        for target in targets:
            new, count = self._learned(target, tables, made)
            if new is None:
                continue
            if decisions is not None and target == decisions.target:
                new = decisions.taught(new, lambda *some, at=target: self._learned(at, *some)[0], tables, made)
            scorers[target], rows[target] = new, count
        if not scorers:
            what = "calibrated link" if self.kind == "nominal" else "link"
            raise NothingSeen(f"telemetry: found no {what} seen in two windows one after the other, expected some")
        self.scorers_, self.trained_ = (
            scorers,
            {
                "rows": rows,
                "networks": len(tables),
                "links": sum(each.n_links for each in tables),
                "windows": int(sum(each.n_windows for each in tables)),
                "fingerprint": fingerprint(tables),
            },
        )
        return self

    def _learned(
        self, target: str, tables: Sequence[Telemetry], made: Sequence[np.ndarray]
    ) -> tuple[LinkScorer | None, int]:
        """A scorer fitted to the features made of each table, None where there is too little; and its rows."""
        new = self._new(target)
        parts = [table(each, target, X) for each, X in zip(tables, made)]
        count = sum(len(part.y) for part in parts)
        if count < _LEAST_ROWS:
            return None, count
        links = np.cumsum([0] + [each.n_links for each in tables])
        rows = joined(parts)
        if self.kind == "nominal" and np.isnan(rows.X[:, new.p]).all():
            return None, count
        near = [_among(each, part.row) for each, part in zip(tables, parts)]
        new.fit(
            rows.X,
            rows.y,
            sample_weight=1.0 / (rows.noise + _EVEN),
            noise=rows.rest,
            luck=rows.luck,
            groups=np.concatenate([part.row % each.n_links + at for each, part, at in zip(tables, parts, links)]),
            neighbours=sparse.block_diag(near, format="csr"),
        )
        return new, count

    def recipe(self, target: str) -> Recipe:
        """How the scorer of a target is made."""
        name = scorer_name(self.kind)
        given = {**columns_of(self.kind, target), **self.options}
        return Recipe(name, ({"random_state": self.seed} if "random_state" in options_of(name) else {}) | given)

    def _new(self, target: str) -> LinkScorer:
        name, options = self.recipe(target)
        return scorer(name, **options)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what was learned, see `save_model`."""
        from qnroute.learning.links.model_files import save_model

        save_model(path, self)

    def predict(self, telemetry: Telemetry, *, level: float = 0.9) -> Forecast:
        """Of the window after the last one of a network."""
        if not telemetry.n_windows:
            raise ProblemError("telemetry: found no windows, expected at least one")
        return self.forecast(features(telemetry)[-1], telemetry.neighbours(), level=level)

    def forecast(self, X: np.ndarray, neighbours: sparse.csr_array | None = None, *, level: float = 0.9) -> Forecast:
        """From (m, len(FEATURES)) features of links that were seen in the same window."""
        if not hasattr(self, "scorers_"):
            raise ProblemError("LinkModel: nothing was learned yet, call fit first")
        if not len(X):  # which scorers refuse, as scikit-learn does
            none = Estimate(*np.zeros((4, 0)))
            return Forecast(**{name: none if name in self.scorers_ else None for name in TARGETS})
        found = {}
        for target, each in self.scorers_.items():
            mean, sd, low, high = each.distribution(X, level=level, neighbours=neighbours)
            if not (np.isfinite(mean) & np.isfinite(sd)).all():
                raise ProblemError(f"{target}: the model's forecasts are not finite; was its file changed?")
            seen = (np.clip(part, LEAST[target], 1.0) for part in (low, high))
            found[target] = Estimate(*(np.clip(part, 0.0, 1.0) for part in (mean, sd)), *seen)
        return Forecast(**{target: found.get(target) for target in TARGETS})


def scorer_name(kind: str) -> str:
    """The scorer of a kind of model."""
    chosen("scorer", kind, KINDS)
    return "nominal" if kind == "last-value" else kind


def columns_of(kind: str, target: str) -> dict[str, int]:
    """Where the simple scorers find what they look at, as their options."""
    at, named = FEATURES.index, _RATE[target]
    if kind in ("nominal", "last-value"):
        column = f"nominal_{target}" if kind == "nominal" else f"{named}_last"
        return {"p": at(column), "fidelity": None}
    if kind == "empirical":
        return {"rate": at(f"{named}_4"), "weight": at(f"{_WEIGHT[target]}_4"), "prior": at(f"nominal_{target}")}
    return {}


def _among(telemetry: Telemetry, row: np.ndarray) -> sparse.csr_array:
    """(rows, rows) which rows are links that share a node, seen in the same window."""
    place = np.full(telemetry.n_windows * telemetry.n_links, -1, dtype=np.int64)
    place[row] = np.arange(len(row))
    pattern, m = telemetry.neighbours(), telemetry.n_links
    counts = np.diff(pattern.indptr)[row % m]
    start = np.repeat(pattern.indptr[row % m] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    link = pattern.indices[np.arange(len(start)) + start]
    other = place[np.repeat(row // m, counts) * m + link]
    here = np.repeat(np.arange(len(row)), counts)[other >= 0]
    return sparse.csr_array((np.ones(len(here)), (here, other[other >= 0])), shape=(len(row), len(row)))


def fingerprint(tables: Sequence[Telemetry]) -> str:
    """SHA-256 of several networks' telemetry, in their order."""
    return hashlib.sha256("".join(each.fingerprint() for each in tables).encode()).hexdigest()
