"""The best way to go on with an episode, by HiGHS: what a policy imitates."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from qnroute.errors import SolverError
from qnroute.learning.routing.batch import Batch
from qnroute.learning.routing.episodes import WAIT
from qnroute.models.linear import Matrix
from qnroute.settings import Settings
from qnroute.solvers.highs import solve_matrix


class Expert:
    """Labels for the episodes of a batch; what was planned for one is kept while it goes that way."""

    def __init__(self, batch: Batch):
        self._batch = batch
        self._planned: list[np.ndarray | None] = [None] * len(batch.state.place)
        self.solved = 0

    def actions(self, episodes: np.ndarray) -> np.ndarray:
        """The action of a best completion in each of these episodes, none of which is over."""
        return np.array([self._action(e) for e in episodes.tolist()], dtype=np.int64)

    def went(self, episodes: np.ndarray, actions: np.ndarray, labels: np.ndarray) -> None:
        """What was done; other actions than those said make plans anew."""
        for e in episodes[actions != labels].tolist():
            self._planned[e] = None

    def _action(self, e: int) -> int:
        lot, plan, state = self._batch.lot, self._batch.plan, self._batch.state
        if self._planned[e] is None:
            self._planned[e] = completion(self._batch, e)
            self.solved += 1
        b = state.instance[e]
        k = plan.order[lot.groups[b] + state.place[e]]
        items = np.arange(lot.first[k], lot.first[k + 1]) - lot.items[b]
        open_ = np.flatnonzero(self._planned[e][items] & ~state.taken[e, items])
        shown = self._batch.view.mask.shape[1] - 1
        return int(open_[0]) + 1 if len(open_) and open_[0] < shown else WAIT


def completion(batch: Batch, e: int) -> np.ndarray:
    """(items of the instance,) bool: what to take from here on, of all that would fit alone, for the most value.

    Raises
    ------
    SolverError
        It was not proven.
    """
    lot, plan, state = batch.lot, batch.plan, batch.state
    b = state.instance[e]
    first, rows = lot.items[b], lot.rows[b + 1] - lot.rows[b]
    groups = plan.order[lot.groups[b] + state.place[e] : lot.groups[b + 1]]
    sizes = lot.first[groups + 1] - lot.first[groups]
    shown = np.minimum(sizes, batch.view.mask.shape[1] - 1)
    items = np.concatenate([np.arange(lot.first[k], lot.first[k] + n) for k, n in zip(groups, shown)])
    uses = np.concatenate([np.arange(lot.indptr[j], lot.indptr[j + 1]) for j in items])
    column = np.arange(len(items))
    group = np.repeat(np.arange(len(groups)), shown)
    a = sparse.csc_array(
        (
            np.concatenate([lot.amount[uses], np.ones(len(items))]),
            (
                np.concatenate([lot.row[uses] - lot.rows[b], rows + group]),
                np.concatenate([np.repeat(column, lot.indptr[items + 1] - lot.indptr[items]), column]),
            ),
        ),
        shape=(rows + len(groups), len(items)),
    )
    limit = np.concatenate([state.left[e, :rows], lot.most[groups].astype(float)])
    limit[rows] = state.more[e]
    ones = np.ones(len(items))
    upper = np.where(state.taken[e, items - first], 0.0, ones)
    matrix = Matrix(lot.value[items], 0.0 * ones, upper, ones > 0.0, np.full(len(limit), -np.inf), limit, a)
    outcome = solve_matrix(matrix, Settings())
    if outcome.values is None or outcome.stopped:
        raise SolverError(f"expert: the packing ended with {outcome.stopped or 'no answer'}")
    chosen = np.zeros(lot.items[b + 1] - first, dtype=bool)
    chosen[items - first] = outcome.values > 0.5
    return chosen
