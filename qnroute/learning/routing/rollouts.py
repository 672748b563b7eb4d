"""Episodes played by a policy, side by side: the best choices, or drawn ones of which the best are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from qnroute.learning.routing.batch import Batch
from qnroute.learning.routing.episodes import Plan
from qnroute.learning.routing.policy import RoutePolicy
from qnroute.models.lots import Lot

Scores = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Played(NamedTuple):
    """What episodes came to."""

    worth: np.ndarray  # (E,)
    taken: np.ndarray  # (E, items) bool, counted from the first item of the instance


def played(
    policy: RoutePolicy,
    lot: Lot,
    plan: Plan,
    instances: np.ndarray,
    *,
    candidates: int,
    temperature: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Played:
    """An episode on each of these instances.

    Parameters
    ----------
    temperature
        0: the highest score is chosen; else scores over it are log-odds that actions are drawn by, with `rng`.
    """
    batch = Batch(lot, plan, len(instances), candidates=candidates, shaped=False)
    view = batch.start(np.arange(len(instances)), np.asarray(instances, dtype=np.int64))
    while view.mask[:, 1:].any():
        scores = policy.scores(view.seen, view.mask)
        if temperature > 0.0:
            scores = scores / temperature + rng.gumbel(size=scores.shape)
        batch.step(scores.argmax(axis=1))
    return Played(batch.state.worth.copy(), batch.state.taken.copy())
