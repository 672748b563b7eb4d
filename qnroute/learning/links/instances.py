"""Decisions to train for, from telemetry: what was known after a window, and what the next one turned out to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from qnroute.errors import ProblemError
from qnroute.fields import brief
from qnroute.learning.links.decisions import Course, Instance, decision_focused
from qnroute.learning.links.estimator import LinkScorer
from qnroute.learning.links.features import EXACT, joined, outcomes, table
from qnroute.learning.links.oracles import Oracle, PackingOracle, SelectionOracle
from qnroute.learning.links.telemetry import Telemetry
from qnroute.learning.series import whole
from qnroute.problem import Problem

KINDS = ("linear", "mlp")
_HALF = 2.0  # windows to either side within which what was seen counts half for the level of a link
_LEAST_WINDOWS = 4

Fit = Callable[[Sequence[Telemetry], Sequence[np.ndarray]], LinkScorer | None]


@dataclass(frozen=True, eq=False)
class Decisions:
    """What predictions are to be used for.

    Parameters
    ----------
    problems
        For each network, in the order of the telemetry: what is usually asked of it, taken in turns over the windows.
        All link selection, for which the quality is trained, or all ``log-success``, for which p is.
    course
        How to train.
    later
        Share of the windows, the last ones, that tell when to stop and how far predictions are off.
    windows
        Most of a network that are learned from, and most that are kept, at even distances.
    per_request
        Candidate routes of `PackingOracle`.
    """

    problems: Sequence[Sequence[Problem]]
    course: Course = field(default_factory=Course)
    later: float = 0.25
    windows: int = 40
    per_request: int = 20

    def __post_init__(self) -> None:
        self.course.checked()
        for name in ("windows", "per_request"):
            whole(name, getattr(self, name), 1)
        if isinstance(self.later, bool) or not isinstance(self.later, (int, float)) or not 0.0 < self.later < 1.0:
            raise ProblemError(f"later: found {brief(self.later)}, expected a number in (0, 1)")
        asked = {_asked(problem) for some in self.problems for problem in some}
        if len(asked) != 1 or not asked < {"link-selection", "log-success"} or not all(map(len, self.problems)):
            found = ", ".join(sorted(asked)) or "none"
            raise ProblemError(f"problems: found {found}, expected some of each network, link-selection or log-success")

    @property
    def target(self) -> str:
        """What is trained for them, one of `features.TARGETS`."""
        return "quality" if _asked(self.problems[0][0]) == "link-selection" else "p"

    def require(self, kind: str, tables: Sequence[Telemetry], targets: Sequence[str]) -> None:
        """Refuse what cannot be trained for decisions.

        Raises
        ------
        ProblemError
            Another kind of scorer than `KINDS`, too few windows, or problems of other networks.
        """
        if kind not in KINDS:
            raise ProblemError(f"kind: found {brief(kind)}, expected {' or '.join(KINDS)} to train for decisions")
        if self.target not in targets:
            raise ProblemError(f"targets: found {', '.join(targets) or 'none'}, expected {self.target} for decisions")
        if len(tables) != len(self.problems):
            raise ProblemError(f"problems: found those of {len(self.problems)} networks, telemetry of {len(tables)}")
        few = min(each.n_windows for each in tables)
        if few < _LEAST_WINDOWS:
            raise ProblemError(f"telemetry: found {few} windows, expected {_LEAST_WINDOWS} to train for decisions")

    def taught(
        self, fitted: LinkScorer, fit: Fit, tables: Sequence[Telemetry], features: Sequence[np.ndarray]
    ) -> LinkScorer:
        """The scorer trained for the decisions, or `fitted` where that lowers no regret in the later windows.

        Parameters
        ----------
        fitted
            Of all windows, by squared error.
        fit
            Learns such a scorer of tables and their features: here of the earlier windows alone.
        features
            (W, m, d) of each table.
        """
        cuts = [min(max(round((1.0 - self.later) * each.n_windows), 2), each.n_windows - 1) for each in tables]
        early = [(each.between(0, cut), X[:cut]) for each, X, cut in zip(tables, features, cuts)]
        late = [(each.between(cut - 1, each.n_windows), X[cut - 1 :]) for each, X, cut in zip(tables, features, cuts)]
        oracles = [[(_oracle(p, self.per_request), _places(p, each)) for p in some]
                   for some, each in zip(self.problems, tables)]  # fmt: skip
        learned, kept = (
            [one for (each, X), asked in zip(part, oracles) for one in self._instances(each, X, asked)]
            for part in (early, late)
        )
        parts = [table(each, self.target, X) for each, X in late]
        starts = np.cumsum([0, *(each.n_links for each in tables)])
        groups = [part.row % each.n_links + at for part, each, at in zip(parts, tables, starts)]
        rows = joined(parts)
        begun = fit(*zip(*early))
        if begun is None or len(rows.y) < _LEAST_WINDOWS:
            raise ProblemError("telemetry: saw too few links to train for decisions in some windows and keep others")
        found = decision_focused(
            begun, learned, kept, rows=rows, groups=np.concatenate(groups), **self.course._asdict()
        )
        if found.epoch_:
            return found
        fitted.regret_, fitted.epoch_ = found.regret_, 0
        return fitted

    def _instances(
        self, telemetry: Telemetry, X: np.ndarray, oracles: Sequence[tuple[Oracle, np.ndarray]]
    ) -> list[Instance]:
        """Those of one network: features after a window, the truth of the next."""
        true, found = hindsight(telemetry, self.target), []
        many = telemetry.n_windows - 1
        for t in np.unique(np.linspace(0, many - 1, min(many, self.windows)).astype(int)).tolist():
            oracle, order = oracles[t % len(oracles)]
            found.append(Instance(X[t][order], true[t + 1][order], oracle, log=self.target == "p"))
        return found


def hindsight(telemetry: Telemetry, target: str) -> np.ndarray:
    """(W, m) what was behind each window's outcomes, as far as all windows given can tell.

    What a window realised is drawn towards the link's level around it: y' = s + k (y - s) with k = t / (t + v), the
    posterior mean of a normal whose variance around the level is t, seen with the sampling variance v. The level s is
    the mean of the other windows, which count by what they saw and half for every two windows away, and of the
    calibrated value with the weight of one observation; of the quality it is the product of both levels. t is the mean
    of (y - s)^2 - v over the table, or 0. Where a window saw nothing of a link, its level stands.
    """
    y, noise = outcomes(telemetry, target)
    level = {
        "p": lambda: _level(telemetry.successes, telemetry.attempts, telemetry.nominal_p),
        "fidelity": lambda: _level(*_checked(telemetry), telemetry.nominal_fidelity),
    }
    wanted = ("p", "fidelity") if target == "quality" else (target,)
    s = np.prod([level[name]() for name in wanted], axis=0)
    seen = ~np.isnan(y)
    if not seen.any():
        return s
    wandering = max(float(((y - s)[seen] ** 2 - noise[seen]).mean()), 0.0)
    found = s.copy()
    found[seen] += (wandering / np.maximum(wandering + noise[seen], 1e-12)) * (y - s)[seen]
    return np.clip(found, 0.0, 1.0)


def _level(part: np.ndarray, whole: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(W, m) quotients of what other windows saw, discounted with distance and drawn to the prior."""
    apart = np.abs(np.subtract.outer(np.arange(len(part)), np.arange(len(part))))
    near = np.where(apart > 0, 0.5 ** (apart / _HALF), 0.0)
    usual = float(np.nanmean(prior)) if not np.isnan(prior).all() else 0.5
    return (near @ np.nan_to_num(part) + np.where(np.isnan(prior), usual, prior)) / (near @ np.nan_to_num(whole) + 1.0)


def _checked(telemetry: Telemetry) -> tuple[np.ndarray, np.ndarray]:
    """(W, m) samples times fidelity, and samples."""
    some = ~np.isnan(telemetry.fidelity)
    number = np.where(some, np.where(np.isnan(telemetry.samples), EXACT, telemetry.samples), 0.0)
    return number * np.where(some, telemetry.fidelity, 0.0), number


def _asked(problem: Problem) -> str:
    return problem.objective.kind if problem.task == "allocation" else problem.task


def _oracle(problem: Problem, per_request: int) -> Oracle:
    return SelectionOracle(problem) if problem.task != "allocation" else PackingOracle(problem, per_request=per_request)


def _places(problem: Problem, telemetry: Telemetry) -> np.ndarray:
    """(m,) where the telemetry has each link of the problem, whichever way round."""
    network = problem.network
    at = {frozenset(pair): place for place, pair in enumerate(telemetry.ends)}
    ends = [
        (network.node_ids[u], network.node_ids[v]) for u, v in zip(network.source.tolist(), network.target.tolist())
    ]
    missing = [f"link {u}-{v}: has no telemetry" for u, v in ends if frozenset((u, v)) not in at]
    if missing:
        raise ProblemError(missing)
    return np.array([at[frozenset(pair)] for pair in ends])
