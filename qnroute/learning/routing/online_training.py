"""Training for requests that come one by one: what is played, imitated and measured on streams.

Imitation goes by what every choice gains in sampled futures, not by the best one alone (Ross and Bagnell,
arXiv:1406.5979): it makes the mean gain over the policy's own choices large, plus a little entropy, so that the noise
of few futures is averaged over states. PPO plays several episodes on each sequence. Rewards are shaped by what the rows
are worth; the advantage of a decision is what followed it, later ones counting less, above the mean of all episodes on
the same sequence from the same request on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qnroute.learning.routing.advantages import above_others, scaled
from qnroute.learning.routing.choices import drawn
from qnroute.learning.routing.demand import Arrivals
from qnroute.learning.routing.imitation import States
from qnroute.learning.routing.online import FEATURES, Known, OnlineBatch
from qnroute.learning.routing.online_expert import Look, gains
from qnroute.learning.routing.online_rules import Scoring, play
from qnroute.learning.routing.policy import RoutePolicy, first_weights
from qnroute.learning.routing.ppo import Experience
from qnroute.learning.routing.streams import StreamPool

if TYPE_CHECKING:
    import torch


LOOK = Look()


class Held(NamedTuple):
    """Sequences that choose among weights, and what nobody could serve more of."""

    known: Known
    instances: np.ndarray
    come: Arrivals
    bound: np.ndarray

    @classmethod
    def of(cls, pool: StreamPool, *, sequences: int, seed: int) -> Held:
        """So many sequences on each stream."""
        instances = np.repeat(np.arange(len(pool)), sequences)
        come = pool.arrivals(instances, np.random.default_rng(seed))
        return cls(pool.known, instances, come, pool.bounds(instances, come))

    def served(self, policy: Scoring) -> float:
        """The mean share of the bound that a policy's best choices bring."""
        return float((play(policy, self.known, self.instances, self.come) / self.bound).mean())


class OneByOne:
    """What is taught where requests come one by one.

    Parameters
    ----------
    learned, held
        Streams to play on, and sequences that choose among weights.
    look
        Of the expert, see `gains`.
    heat
        Weight of the entropy beside the gains: gains over it are the log-odds of the policy that is best by both.
    discount
        Of what is credited to a decision, from request to request.
    seed
        Of the first weights.
    instances, episodes
        Of an update: so many streams, a new sequence on each, and episodes on each of them.
    """

    def __init__(
        self,
        learned: StreamPool,
        held: Held,
        *,
        look: Look = LOOK,
        heat: float = 0.03,
        discount: float = 0.95,
        seed: int = 0,
        instances: int = 32,
        episodes: int = 16,
    ):
        self.begin = RoutePolicy(first_weights(np.random.default_rng(seed), len(FEATURES)), {}, FEATURES)
        self._learned, self._held, self._look = learned, held, look
        self._heat, self._discount = heat, discount
        self._instances, self._episodes = min(instances, len(learned)), episodes

    def visited(self, policy: RoutePolicy, share: float, rng: np.random.Generator) -> States:
        """The states of an episode on a new sequence of each stream; labels are what choices gain."""
        pool, parts = self._learned, []
        every = np.arange(len(pool))
        batch = OnlineBatch(pool.known, len(pool))
        view = batch.start(every, every, pool.arrivals(every, rng))
        while len(here := np.flatnonzero(view.mask[:, 1:].any(axis=1))):
            gain = gains(batch, here, rng, self._look)
            gain = np.nan_to_num(gain).astype(np.float32)
            parts.append((view.seen[here], view.mask[here], gain))
            own = policy.scores(*parts[-1][:2]).argmax(axis=1)
            actions = np.zeros(len(pool), dtype=np.int64)
            actions[here] = np.where(rng.random(len(here)) < share, gain.argmax(axis=1), own)
            batch.step(actions)
        return States(*(np.concatenate(columns) for columns in zip(*parts)))

    def loss(self, said: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """What the choices gain in the mean, and their entropy, below 0."""
        logs = said.log_softmax(-1)
        return (logs.exp() * (self._heat * logs - label)).sum(-1).mean()

    def experienced(self, policy: RoutePolicy, rng: np.random.Generator) -> Experience:
        """Episodes on a new sequence of some streams, actions drawn; their value is the mean share of the bound."""
        some = rng.choice(len(self._learned), self._instances, replace=False)
        few = self._learned.arrivals(some, rng)
        bound = np.repeat(self._learned.bounds(some, few), self._episodes)
        group = np.repeat(some, self._episodes)
        come = Arrivals(*(np.repeat(part, self._episodes, axis=0) for part in few))
        batch = OnlineBatch(self._learned.known, len(group))
        view = batch.start(np.arange(len(group)), group, come)
        rewards, parts = np.zeros(come.group.shape), []
        while len(here := np.flatnonzero(view.mask[:, 1:].any(axis=1))):
            seen, mask, place = view.seen[here], view.mask[here], batch.state.place[here]
            taken, chance = drawn(policy.scores(seen, mask), mask, rng)
            actions = np.zeros(len(group), dtype=np.int64)
            actions[here] = taken
            rewards[here, place] = reward = batch.step(actions).reward[here]
            parts.append((seen, mask, taken, chance, reward, here, place))
        *columns, episode, place = (np.concatenate(each) for each in zip(*parts))
        above = above_others(rewards, group, self._discount)[episode, place]
        value = float((batch.state.worth / bound).mean())
        return Experience(*columns, episode, group, value, scaled(above).astype(np.float32))

    def measured(self, policy: RoutePolicy) -> float:
        """The share of the bound."""
        return self._held.served(policy)
