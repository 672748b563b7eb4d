"""Requests that come one by one: which pairs of nodes ask how often and for what weight, and sequences drawn of it.

Each of `count` requests is between a pair drawn by `rate`, its weight drawn evenly between `low` and `high`, all
independent. What a policy may know is this, and what came so far; not what comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from qnroute.allocation import Allocation, Route
from qnroute.errors import ProblemError
from qnroute.fields import brief
from qnroute.learning.series import whole
from qnroute.models.lots import Instance, Lot, offers_of, together
from qnroute.network import Network
from qnroute.problem import Problem, Request

WEIGHTS = 0.5, 2.0
MOST_COUNT = 1_000_000


class Demand(NamedTuple):
    """What is known of the requests to come to the instances of a lot, whose groups are the pairs that ask."""

    rate: np.ndarray  # (G,) chance that a request is of this pair; 1 in sum over an instance
    low: np.ndarray  # (B,) weights are drawn evenly between these two; values of the lot's items are of weight 1
    high: np.ndarray  # (B,)
    count: np.ndarray  # (B,) int64 requests in all


class Arrivals(NamedTuple):
    """Sequences of requests, one in each row; where a sequence is shorter than the longest, nothing is there."""

    group: np.ndarray  # (E, T) int64, of the lot
    weight: np.ndarray  # (E, T) float64


@dataclass(frozen=True, eq=False)
class Stream:
    """A network, and who asks.

    Attributes
    ----------
    instance : routes of each pair, see `models.lots.offers_of`
    demand : of a lot of one
    """

    instance: Instance
    demand: Demand

    @classmethod
    def of(
        cls,
        network: Network,
        pairs: Sequence[tuple[str, str]],
        rate: Sequence[float],
        *,
        count: int,
        weight: tuple[float, float] = WEIGHTS,
        per_request: int = 8,
    ) -> Stream:
        """Pairs of nodes that ask by `rate`, `count` times in all; those that no route joins never ask.

        Raises
        ------
        ProblemError
            Numbers are out of range, or no pair has a route.
        """
        for k, pair in enumerate(pairs):
            if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
                raise ProblemError(f"pairs[{k}]: found {brief(pair)}, expected two nodes")
        rates = _numbers(rate)
        if rates.shape != (len(pairs),) or not (np.isfinite(rates).all() and (rates > 0.0).all()):
            raise ProblemError(f"rate: expected {len(pairs)} numbers above 0, one for each pair")
        count, between = whole("count", count, 1, MOST_COUNT), _numbers(weight)
        if between.shape != (2,) or not 0.0 < between[0] <= between[1] < np.inf:
            raise ProblemError(f"weight: found {brief(weight)}, expected two numbers above 0, the lower first")
        asked = [Request(f"pair {k}", *pair, routes=count) for k, pair in enumerate(pairs)]
        instance = offers_of(Problem(network, asked), per_request=per_request)
        if not len(instance.lot.value):
            raise ProblemError("pairs: no route joins any of them")
        some = rates[_pairs(instance)] / rates.max()
        return cls(instance, Demand(some / some.sum(), between[:1], between[1:], np.array([count])))

    def problem(self, group: np.ndarray, weight: np.ndarray) -> Problem:
        """The requests of a sequence as one problem, all known at once."""
        asked, pairs = self.instance.problem.requests, _pairs(self.instance)
        requests = [
            Request(f"r{t}", asked[pairs[k]].source, asked[pairs[k]].target, float(w))
            for t, (k, w) in enumerate(zip(group.tolist(), weight.tolist()), start=1)
        ]
        return Problem(self.instance.problem.network, requests)

    def allocation(self, problem: Problem, group: np.ndarray, taken: np.ndarray) -> Allocation:
        """What was taken of a sequence, as an allocation of its `problem`.

        Parameters
        ----------
        taken : actions, 0 for a refusal and i + 1 for the candidate at place i
        """
        first, routes = self.instance.lot.first, []
        for request, k, action in zip(problem.requests, group.tolist(), taken.tolist()):
            if action:
                route = self.instance.table.route(self.instance.column[first[k] + action - 1])
                routes.append(Route(request.id, route.nodes))
        return Allocation(tuple(routes))


def _numbers(given: Any) -> np.ndarray:
    """As an array; an empty one where these are no numbers."""
    try:
        return np.array(given, dtype=float)
    except (TypeError, ValueError):
        return np.zeros((0, 0))


def _pairs(instance: Instance) -> np.ndarray:
    """(G,) the pair that each group of the lot is."""
    return instance.table.request[instance.column[instance.lot.first[:-1]]]


def gathered(streams: Sequence[Stream]) -> tuple[Lot, Demand]:
    """Several streams as one lot."""
    lot = together([stream.instance.lot for stream in streams])
    return lot, Demand(*(np.concatenate(parts) for parts in zip(*(stream.demand for stream in streams))))


def arrivals(lot: Lot, demand: Demand, instances: np.ndarray, rng: np.random.Generator) -> Arrivals:
    """A sequence for each of these instances."""
    longest = int(demand.count[instances].max(initial=0))
    chance, level = (rng.random((len(instances), longest)) for _ in range(2))
    group = np.zeros(chance.shape, dtype=np.int64)
    for e, b in enumerate(instances.tolist()):
        first, last = lot.groups[b], lot.groups[b + 1]
        place = np.searchsorted(np.cumsum(demand.rate[first:last]), chance[e], side="right")
        group[e] = first + np.minimum(place, last - first - 1)
    low, high = (part[instances][:, None] for part in (demand.low, demand.high))
    return Arrivals(group, low + (high - low) * level)
