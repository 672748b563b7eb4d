"""Playing online with a look ahead: the policy says which choices deserve it, sampled futures which of them is best.

Scores of a policy that imitates gains (`online_training`) are these gains over the heat of its recipe, so that they can
be averaged with what is found at play: as if the policy had seen so many futures already, without their noise, but with
errors of its own.
"""

from __future__ import annotations

import numpy as np

from qnroute.errors import ProblemError
from qnroute.learning.routing.demand import Arrivals
from qnroute.learning.routing.online import FEATURES, REFUSE, Known, OnlineBatch
from qnroute.learning.routing.online_expert import Look, sampled_gains
from qnroute.learning.routing.policy import RoutePolicy
from qnroute.learning.series import whole

AHEAD = Look(samples=512, tried=3, trust=32.0, sure=2.5)
"""Chosen on streams of neither training nor benchmarks (docs/policies.md)."""

HEAT = 0.03
"""Of scores whose policy does not say by what heat it was taught."""


def play_ahead(
    policy: RoutePolicy,
    known: Known,
    instances: np.ndarray,
    come: Arrivals,
    *,
    candidates: int = 8,
    look: Look = AHEAD,
    seed: int = 0,
) -> np.ndarray:
    """(E,) what an episode on each of these sequences comes to.

    Parameters
    ----------
    look
        Futures are played for refusal and for the candidates that the policy finds best; its word is worth `trust`
        of them.
    seed
        Of the futures, which are the same for all choices.
    """
    if policy.features != FEATURES:
        raise ProblemError("policy: sees other features than those of online.FEATURES")
    for name, least in (("samples", 1), ("tried", 1)):
        whole(f"look.{name}", getattr(look, name), least)
    if not (0.0 <= look.trust < np.inf and look.sure > 0.0):
        raise ProblemError(f"look: found trust {look.trust}, sure {look.sure}, expected 0 or more, and more than 0")
    heat = policy.told.get("recipe", {}).get("streams", {}).get("heat", HEAT)
    rng, every = np.random.default_rng(whole("seed", seed, 0)), np.arange(len(instances))
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
