"""Packing candidate routes to proof without looking at most of them: sifting, then reduced-cost fixing.

The linear relaxation is solved over a few columns at a time, the rest being priced by one product with the
duals y >= 0. With reduced costs r_j = c_j - a_j y, weak duality gives a bound by arithmetic alone,

    U = sum_i b_i y_i + sum_j upper_j max(r_j, 0),

and an allocation worth more than a known value z can use no column with r_j < z - U. The columns left, mostly
few, go to HiGHS as an integer program. A request whose routes are not all listed has one more column, worth as
much as its best unlisted route and free of capacity: if that column falls to the same test, listing more of its
routes could not help either; otherwise its list is made longer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import highspy
import numpy as np

from qnroute.allocation import Allocation, value
from qnroute.models.exports import to_highs
from qnroute.models.linear import Matrix
from qnroute.models.path_packing import PathPacking
from qnroute.problem import Problem
from qnroute.result import PROVEN, relative_gap
from qnroute.routes import RouteTable, enumerate_routes
from qnroute.settings import Point, Settings, Trace
from qnroute.solvers.baselines import densest_first
from qnroute.solvers.highs import cost_scale, nothing_to_gain, run, solve_matrix

NEGLIGIBLE = 1e-8  # share of the known value that unlisted routes may add in all and still count as nothing
MOST_PACKED = 20_000  # columns given to HiGHS at once; its presolve minds no time limit, and grows with them
_FIRST = 32  # routes listed for each request to begin with
_LONGER = 8  # how many times longer a list becomes
_START, _BATCH = 4, 2_000  # columns of each request at the start of sifting, and taken in per round
_ROUNDING = 1e-9  # relative room left when columns are dropped, for rounding in r and U


@dataclass(frozen=True)
class Packing:
    """The best packing found and its value; `open` says what keeps `bound` from being closed, empty if nothing does."""

    allocation: Allocation
    value: float
    bound: float = np.inf
    open: str = ""
    trace: Trace = field(default_factory=list)
    stopped: str | None = None


def pack(
    problem: Problem, settings: Settings, *, max_routes: int, threads: int = 1, start: Allocation | None = None
) -> Packing:
    """Pack routes, listing as many as the proof needs.

    Parameters
    ----------
    max_routes
        Routes listed in all.
    start
        A feasible allocation, to be improved; by default the densest of the first routes.
    """
    limit = np.full(len(problem.requests), min(_FIRST, max(max_routes // max(len(problem.requests), 1), 1)))
    if problem.objective.kind == "link-sum":
        limit[:] = max(min(max_routes, MOST_PACKED) // max(len(limit), 1), 1)
    table = enumerate_routes(problem, per_request=limit, settings=settings)
    start = densest_first(table, settings).allocation if start is None else start
    worth = value(problem, start)
    best = Packing(start, worth, trace=[(settings.elapsed(), worth, None)])
    if problem.objective.kind == "link-sum" and table.incomplete.any():
        return _unproven(best, table, settings, threads)
    while True:
        best, unsettled = _improved(best, PathPacking(problem, table, with_rest=True), settings, threads)
        gap = relative_gap(best.value, best.bound)
        if best.stopped or (gap is not None and gap <= max(settings.gap, PROVEN / 2)):
            return best
        longer = _longer(limit, unsettled, table, max_routes)
        if (longer == limit).all():
            many = f"the integer program (of {MOST_PACKED:,} routes at most) left a gap"
            return replace(best, open=_unlisted(unsettled) if unsettled.any() else many)
        limit = longer
        table = enumerate_routes(problem, per_request=limit, settings=settings)


def _unproven(best: Packing, table: RouteTable, settings: Settings, threads: int) -> Packing:
    """The most valuable routes packed, with a bound from all requests apart.

    For link-sum: routes come by hops there, not by value, and `rest` says too little to settle which are missing.
    """
    few = table.first(_FIRST)
    outcome = solve_matrix(PathPacking(table.problem, few).matrix, settings, threads=threads)
    best = replace(best, bound=_bound_apart(table), open=_unlisted(table.incomplete), stopped=outcome.stopped)
    if outcome.values is None:
        return best
    return _with_packed(best, few, np.rint(outcome.values).astype(np.int64))


def _with_packed(best: Packing, table: RouteTable, times: np.ndarray) -> Packing:
    """The better of the best packing so far and the one that uses route j of a table `times[j]` times."""
    worth = float(table.value @ times)
    return replace(best, allocation=table.allocation(times), value=worth) if worth > best.value else best


def _improved(best: Packing, model: PathPacking, settings: Settings, threads: int) -> tuple[Packing, np.ndarray]:
    """Relaxation, fixing and integer program over the routes listed; and which requests' lists are too short."""
    count, known = len(model.routes), best.value
    weak, reduced = _sifted(model, settings)
    bound, rest = min(weak, best.bound), _rest(model)
    needed = reduced >= _cut(known, weak)
    kept = np.flatnonzero(needed[:count])
    whole = len(kept) <= MOST_PACKED
    if not whole:
        kept = np.sort(kept[np.argsort(-reduced[kept], kind="stable")[:MOST_PACKED]])
    # a better allocation uses kept columns only, and what the rest columns still in play stand for
    outside = rest[needed[count:]].sum() if whole else np.inf

    def seen(seconds: float, objective: float | None, limit: float | None) -> Point:
        """A point of the part's trace as one of the whole."""
        inside = np.inf if limit is None else max(limit, known) + outside
        total = min(bound, inside)
        return seconds, max(known, objective or 0.0), total if np.isfinite(total) else None

    outcome = solve_matrix(restricted(model.matrix, kept), settings.through(seen), threads=threads)
    trace = [*best.trace, seen(settings.elapsed(), known, None), *(seen(*point) for point in outcome.trace)]
    bound = min(bound, max(outcome.bound, known) + outside)
    best = replace(best, bound=float(bound), trace=trace, stopped=outcome.stopped)
    if outcome.values is not None:
        times = np.zeros(count, dtype=np.int64)
        times[kept] = np.rint(outcome.values).astype(np.int64)
        best = _with_packed(best, model.routes, times)
    matters = rest > NEGLIGIBLE * abs(best.value) / max(len(rest), 1)
    return best, (reduced[count:] >= _cut(best.value, weak)) & matters


def _bound_apart(table: RouteTable) -> float:
    """What all requests would be worth if each had its best routes to itself."""
    best = table.rest.copy()
    np.maximum.at(best, table.request, table.value)
    return float(table.problem.most_routes @ best)


def _unlisted(requests: np.ndarray) -> str:
    return f"{requests.sum()} of the requests have more useful routes than were listed"


def _cut(known: float, weak: float) -> float:
    """Reduced cost below which a column cannot be part of anything better than what is known.

    `weak` must be the bound that goes with these reduced costs: a smaller one from elsewhere proves nothing here.
    """
    return known - weak - _ROUNDING * max(abs(weak), abs(known))


def _rest(model: PathPacking) -> np.ndarray:
    """(K,) the most that unlisted routes of each request could add."""
    return model.columns["rest"].of(model.matrix.cost * model.matrix.upper)


def restricted(matrix: Matrix, columns: np.ndarray) -> Matrix:
    """The program over some of its columns, the others being 0."""
    a = matrix.a[:, columns]
    parts = {name: getattr(matrix, name)[columns] for name in ("cost", "lower", "upper", "integer")}
    return replace(matrix, a=a, **parts)


def _longer(limit: np.ndarray, more: np.ndarray, table: RouteTable, max_routes: int) -> np.ndarray:
    """The limits with those of the requests marked raised, as far as `max_routes` allows."""
    if not more.any():
        return limit
    room = max_routes - np.bincount(table.request, minlength=len(limit))[~more].sum()
    raised = np.minimum(limit * _LONGER, room // more.sum())
    return np.where(more, np.maximum(raised, limit), limit)


def _sifted(model: PathPacking, settings: Settings) -> tuple[float, np.ndarray]:
    """The bound U of the relaxation and the reduced cost of every column that goes with it."""
    matrix = model.matrix
    bound, reduced = np.inf, np.full(len(matrix.cost), np.inf)
    if nothing_to_gain(matrix):
        return 0.0, np.zeros(len(matrix.cost))
    scale = cost_scale(matrix)
    rank = np.arange(len(model.routes)) - np.searchsorted(model.routes.request, model.routes.request)
    inside = np.concatenate([rank < _START, np.ones(len(matrix.cost) - len(rank), bool)])
    start = np.flatnonzero(inside)
    relaxed = replace(matrix, integer=np.zeros_like(matrix.integer))
    highs = to_highs(restricted(relaxed, start), scale=scale)
    while True:
        run(highs, settings)
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return bound, reduced
        duals = np.maximum(np.array(highs.getSolution().row_dual) * scale, 0.0)
        prices = matrix.cost - matrix.a.T @ duals
        weak = float(matrix.row_upper @ duals + matrix.upper @ np.maximum(prices, 0.0))
        if weak < bound:
            bound, reduced = weak, prices
        wanted = np.flatnonzero(~inside & (prices > _ROUNDING * scale))
        if not len(wanted):
            return bound, reduced
        wanted = wanted[np.argsort(-prices[wanted], kind="stable")[:_BATCH]]
        inside[wanted] = True
        _add_columns(highs, relaxed, wanted, scale)


def _add_columns(highs: highspy.Highs, matrix: Matrix, columns: np.ndarray, scale: float) -> None:
    part = restricted(matrix, columns)
    a = part.a
    highs.addCols(
        len(columns), part.cost / scale, part.lower, part.upper, a.nnz, a.indptr[:-1].astype(np.int32),
        a.indices.astype(np.int32), a.data,
    )  # fmt: skip
    highs.setOptionValue("simplex_strategy", 4)  # primal: the basis at hand stays feasible when columns come in
