"""``qnroute/Online-v0``: requests that come one by one as a Gymnasium environment, alone or many side by side.

Everything but the game is as in `environments`: each request takes one of its routes, for good, or is refused before
the next one is seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qnroute.allocation import Allocation, check
from qnroute.learning.routing.environments import (
    AllocationEnv,
    AllocationVectorEnv,
    GameEnv,
    GameVectorEnv,
    pool_of,
    spaces,
)
from qnroute.learning.routing.online import FEATURES, MOST, OnlineBatch
from qnroute.learning.routing.streams import Source, StreamPool, mixed_stream
from qnroute.learning.series import whole


class _OnlineGame:
    """A pool of streams, spaces, and episodes on sequences drawn at random."""

    def __init__(self, streams: Source | StreamPool | None, episodes: int, candidates: int, shaped: bool, rest: dict):
        given = mixed_stream if streams is None else streams
        self.pool = pool_of(StreamPool, given, rest, ("size", "seed"))
        candidates = whole("candidates", candidates, 1)
        self.batch = OnlineBatch(self.pool.known, episodes, candidates=candidates, shaped=bool(shaped))
        self.observations, self.actions = spaces(candidates, len(FEATURES), MOST)

    def start(self, episodes: np.ndarray, rng: np.random.Generator, instances: np.ndarray | None = None) -> None:
        """Begin these episodes, on streams drawn at random if none are given."""
        if instances is None:
            instances = rng.integers(0, len(self.pool), len(episodes))
        self.batch.start(episodes, instances, self.pool.arrivals(instances, rng))

    def ends(self, episodes: np.ndarray) -> dict[str, np.ndarray]:
        """What episodes that are over came to."""
        return {"value": self.batch.state.worth[episodes]}

    def allocation(self, e: int) -> Allocation:
        """What an episode has taken so far."""
        b, stream = self.batch.state.instance[e], self.pool.streams[self.batch.state.instance[e]]
        count = self.pool.demand.count[b]
        group = self.batch.come.group[e, :count] - self.pool.lot.groups[b]
        problem = stream.problem(group, self.batch.come.weight[e, :count])
        taken = stream.allocation(problem, group, self.batch.state.taken[e, :count])
        check(problem, taken)
        return taken


class OnlineEnv(AllocationEnv):
    """One episode at a time.

    Parameters
    ----------
    streams
        A `Stream`, several, a function that makes one of a seed, or a `StreamPool`; `mixed_stream` if not given.
    candidates
        Routes offered of a request, at most.
    shaped
        Whether rewards are shaped by what the rows are worth, see `online.OnlineBatch`.
    rest
        ``size`` and ``seed`` of `StreamPool.of`.

    Observations are (candidates + 1, features) float32, refusal first, see `online.FEATURES`. At the end the info has
    the ``value`` of what was taken.
    """

    def __init__(
        self, streams: Source | StreamPool | None = None, *, candidates: int = 8, shaped: bool = True, **rest: Any
    ):
        GameEnv.__init__(self, _OnlineGame(streams, 1, candidates, shaped, rest))


class OnlineVectorEnv(AllocationVectorEnv):
    """`num_envs` episodes side by side in one compiled step; see `OnlineEnv`."""

    def __init__(
        self,
        num_envs: int = 64,
        streams: Source | StreamPool | None = None,
        *,
        candidates: int = 8,
        shaped: bool = True,
        **rest: Any,
    ):
        GameVectorEnv.__init__(
            self, num_envs, lambda episodes: _OnlineGame(streams, episodes, candidates, shaped, rest)
        )
