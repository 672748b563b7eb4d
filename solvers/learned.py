"""Method ppo: routes chosen by a trained policy, which answers with numpy alone."""

from __future__ import annotations

import numpy as np

from qnroute.learning.routing.episodes import plan_of
from qnroute.learning.routing.policy_files import BUILT_IN, load_policy
from qnroute.learning.routing.rollouts import played
from qnroute.models.lots import instance_of
from qnroute.problem import Problem
from qnroute.routes import enumerate_routes
from qnroute.settings import Answer, Settings
from qnroute.solvers.baselines import POOL
from qnroute.solvers.priced import proven_bound
from qnroute.solvers.prices import prices_of

_AT_ONCE = 16  # episodes between two looks at the clock


def ppo(problem: Problem, settings: Settings, *, candidates: int = 20, samples: int = 1, weights: str = "") -> Answer:
    """Request after request the route of the highest score; of more samples, whose others are drawn, the best."""
    policy = load_policy(weights or BUILT_IN)
    instance = instance_of(problem, enumerate_routes(problem, per_request=candidates, pool=POOL, settings=settings))
    lot, prices = instance.lot, prices_of(instance.lot)
    plan, rng = plan_of(lot, prices), np.random.default_rng(settings.seed or 0)
    best, taken, done = -1.0, np.zeros(len(lot.value), dtype=bool), 0
    while done < samples and len(lot.value) and not (done and settings.stopped):
        count, drawn = (1, 0.0) if not done else (min(_AT_ONCE, samples - done), 1.0)
        found = played(
            policy, lot, plan, np.zeros(count, np.int64), candidates=candidates, temperature=drawn, rng=rng
        )  # fmt: skip
        at, done = int(found.worth.argmax()), done + count
        if found.worth[at] > best:
            best, taken = found.worth[at], found.taken[at]
    return Answer(instance.allocation(taken), bound=proven_bound(instance, prices), stopped=settings.stopped)
