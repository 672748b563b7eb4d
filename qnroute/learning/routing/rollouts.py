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


def best_of(
    policy: RoutePolicy, lot: Lot, plan: Plan, instance: int, samples: int, rng: np.random.Generator, *, candidates: int
) -> tuple[float, np.ndarray]:
    """Of one instance the best of its greedy episode and `samples` - 1 drawn ones: value, and items taken."""
    first = played(policy, lot, plan, np.array([instance]), candidates=candidates)
    worth, taken = first.worth[0], first.taken[0]
    if samples > 1:
        drawn = played(
            policy, lot, plan, np.full(samples - 1, instance), candidates=candidates, temperature=1.0, rng=rng
        )
        best = int(drawn.worth.argmax())
        if drawn.worth[best] > worth:
            worth, taken = drawn.worth[best], drawn.taken[best]
    return float(worth), taken[: lot.items[instance + 1] - lot.items[instance]]
