"""Methods ppo and hybrid: routes chosen by a trained policy, which answers with numpy alone."""

from __future__ import annotations

import numpy as np

from qnroute.learning.routing.episodes import plan_of
from qnroute.learning.routing.policy import RoutePolicy
from qnroute.learning.routing.policy_files import built_in, load_policy
from qnroute.learning.routing.rollouts import played
from qnroute.models.lots import Lot
from qnroute.problem import Problem
from qnroute.settings import Answer, Settings
from qnroute.solvers.prices import Prices
from qnroute.solvers.proposing import proposed
from qnroute.solvers.refining import chosen_anew, refined

_AT_ONCE = 5  # samples between two looks at the clock, and at the best so far
_RELEASED = 0.5  # share of the requests that choose anew in a sample


def ppo(
    problem: Problem, settings: Settings, *, candidates: int = 8, proposals: int = 2, samples: int = 1,
    weights: str = "",
) -> Answer:  # fmt: skip
    """Request after request the route of the highest score; of more samples the best."""
    policy = load_policy(weights) if weights else built_in()
    instance, prices, bound = proposed(problem, settings, candidates=candidates, proposals=proposals)
    taken = sampled(policy, instance.lot, prices, samples, settings)
    return Answer(instance.allocation(taken), bound=bound, stopped=settings.stopped)


def hybrid(
    problem: Problem, settings: Settings, *, candidates: int = 8, proposals: int = 2, rounds: int = 8,
    steps: int = 2_000, weights: str = "",
) -> Answer:  # fmt: skip
    """Routes proposed at bid prices, chosen by the policy, and the choice refined part by part.

    What is predicted of links (p, fidelities, scores) is taken as the problem carries it.
    """
    policy = load_policy(weights) if weights else built_in()
    instance, prices, bound = proposed(problem, settings, candidates=candidates, proposals=proposals)
    taken = sampled(policy, instance.lot, prices, 1, settings)
    taken = refined(policy, instance.lot, prices, taken, settings, rounds, steps)
    return Answer(instance.allocation(taken), bound=bound, stopped=settings.stopped)


def sampled(policy: RoutePolicy, lot: Lot, prices: Prices, samples: int, settings: Settings) -> np.ndarray:
    """(J,) bool: the policy's choice; in each further sample half of the requests of the best so far choose anew.

    It is almost sure of itself, so what is drawn by its scores is ever the same.
    """
    if not len(lot.most):
        return np.zeros(0, dtype=bool)
    rng, shown = np.random.default_rng(settings.seed or 0), int(np.diff(lot.first).max())
    taken = played(policy, lot, plan_of(lot, prices), np.zeros(1, np.int64), candidates=shown).taken[0]
    for done in range(1, samples, _AT_ONCE):
        if settings.stopped:
            break
        released = rng.random((min(_AT_ONCE, samples - done), len(lot.most))) < _RELEASED
        taken = chosen_anew(policy, lot, taken, released)
    return taken
