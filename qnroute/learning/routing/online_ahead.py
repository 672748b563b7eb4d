"""Playing online with a look ahead: the policy says which choices deserve it, sampled futures which of them is best.

Scores of a policy that imitates gains (`online_training`) are these gains over a heat, so that they can be averaged
with what is found at play: as if the policy had seen so many futures already, without their noise, but with errors of
its own.
"""

from __future__ import annotations

import numpy as np

from qnroute.learning.routing.demand import Arrivals
from qnroute.learning.routing.online import REFUSE, Known, OnlineBatch
from qnroute.learning.routing.online_expert import Look, sampled_gains
from qnroute.learning.routing.policy import RoutePolicy

AHEAD = Look(samples=512, tried=3, horizon=50, trust=16.0, sure=2.5)
"""Chosen on streams of neither training nor benchmarks (docs/policies.md)."""

HEAT = 0.03
"""That of the recipe of the policy that ships."""


def play_ahead(
    policy: RoutePolicy,
    known: Known,
    instances: np.ndarray,
    come: Arrivals,
    *,
    candidates: int = 8,
    look: Look = AHEAD,
    heat: float = HEAT,
    seed: int = 0,
) -> np.ndarray:
    """(E,) what an episode on each of these sequences comes to.

    Parameters
    ----------
    look
        Futures are played for refusal and for the candidates that the policy finds best; its word is worth `trust`
        of them.
    heat
        Its scores times this are gains.
    seed
        Of the futures, which are the same for all choices.
    """
    rng, every = np.random.default_rng(seed), np.arange(len(instances))
    batch = OnlineBatch(known, len(instances), candidates=candidates)
    view = batch.start(every, instances, come)
    while len(here := np.flatnonzero(view.mask[:, 1:].any(axis=1))):
        said = policy.scores(view.seen[here], view.mask[here]).astype(np.float64)
        said = heat * (said - said[:, [REFUSE]])
        found, played = sampled_gains(batch, here, rng, said, look)
        both = look.trust * said + played[:, None] * found  # over trust + played
        actions = np.zeros(len(instances), dtype=np.int64)
        actions[here] = np.where(np.isnan(found), -np.inf, both).argmax(axis=1)
        batch.step(actions)
    return batch.state.worth.copy()
