"""Candidate routes, those that bid prices call for among them, with a proven bound; no solver is needed.

Prices of what the candidates share send a search for routes worth more than what they use (`qnroute.pricing`); these
become candidates, and prices are found anew. With m_k the best price of any route of request k, candidate or not,

    U = sum_i capacity_i u_i + sum_k routes_k max(m_k, 0)

bounds every allocation, whatever the prices u >= 0 of channels, qubits and degrees.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qnroute import completion
from qnroute.allocation import Allocation
from qnroute.models.lots import Instance, instance_of
from qnroute.pricing import ALL, BEST, Pricer
from qnroute.problem import Problem
from qnroute.routes import enumerate_routes, nodes_of, with_new
from qnroute.settings import Settings
from qnroute.solvers.baselines import POOL
from qnroute.solvers.prices import ROUNDS, Prices, prices_of

_ROUNDED = 1.0 + 1e-9  # of a bound that is a sum of many
_BEHIND = 0.1  # of the mean value: how far a new candidate may be behind the best known of its request
_NEW = 8  # candidates of a request found in a round at most


class Proposal(NamedTuple):
    """Candidates as an instance, their bid prices, and a bound on every allocation, be its routes candidates or not."""

    instance: Instance
    prices: Prices
    bound: float


def proposed(
    problem: Problem, settings: Settings, *, candidates: int, proposals: int, rounds: int = ROUNDS,
    start: Allocation | None = None,
) -> Proposal:  # fmt: skip
    """Candidates for a problem.

    Parameters
    ----------
    candidates
        The most valuable routes of each request, so many.
    proposals
        Rounds in which prices call for more; 0 leaves out the search that bounds closely, too. Under link-sum there
        are none.
    rounds
        Of the search for prices.
    start
        Its routes are candidates, too.
    """
    table = enumerate_routes(problem, per_request=candidates, pool=POOL, settings=settings)
    if start is not None:
        table = with_new(table, *nodes_of(problem, start))
    pricer = Pricer(problem) if proposals and problem.objective.kind != "link-sum" else None
    for _ in range(proposals if pricer else 0):
        instance = instance_of(problem, table)
        prices = prices_of(instance.lot, rounds=(rounds + 1) // 2)
        best = np.zeros(len(problem.requests))
        np.maximum.at(best, table.request[instance.column], prices.reduced)
        floor = np.maximum(best - _BEHIND * instance.lot.unit[0], 0.0)
        found = pricer.search(_met(instance, prices), floor, settings, effort=ALL, count=_NEW)
        more = table if found is None else with_new(table, found.request, found.nodes, found.indptr)
        if more is table:
            break
        table = more
    instance = instance_of(problem, table)
    prices = prices_of(instance.lot, rounds=rounds)
    bound = float(prices.with_rest(instance.lot).sum() + instance.beyond)
    if pricer:
        nothing = np.zeros(len(problem.requests))
        found = pricer.search(_met(instance, prices), nothing, settings, effort=BEST)
        bound = bound if found is None else min(bound, _bound(instance, prices, found.most))
    return Proposal(instance, prices, bound * _ROUNDED)


def _met(instance: Instance, prices: Prices) -> completion.Prices:
    """The prices as routes meet them, candidates or not."""
    n, m = instance.problem.network.n_nodes, instance.problem.network.n_links
    each = np.zeros(m + 2 * n)
    each[instance.place] = prices.price / instance.common
    link, memory, degree = np.split(each, [m, m + n])
    return completion.Prices(link, 2.0 * memory + degree, memory + degree, memory)


def _bound(instance: Instance, prices: Prices, most: np.ndarray) -> float:
    """U, with the most (K,) that a route of each request can be worth at these prices."""
    problem, network = instance.problem, instance.problem.network
    room = np.concatenate([network.channels, network.memory, problem.degree_bounds])[instance.place]
    return float(room @ (prices.price / instance.common) + problem.most_routes @ np.maximum(most, 0.0))
