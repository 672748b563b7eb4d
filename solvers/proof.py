"""What a search for the best routes of all requests has shown, and for which of them it still holds.

Prices that rise make no route worth more. So where nothing that a route of a request can meet has become cheaper, what
was found of it stays true at other prices, in other cases, and on a network that has changed elsewhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qnroute.pricing import Pricer
from qnroute.problem import Problem
from qnroute.solvers.master import Master
from qnroute.solvers.resources import Resources


class Proof(NamedTuple):
    """Bounds (K,) on the price of any route of each request at prices (R,), and for which requests they hold (K,).

    The prices are those that the master stays near, but for requests; it is `stale` if the problem has changed since.
    """

    most: np.ndarray
    prices: np.ndarray
    holds: np.ndarray
    stale: bool = False

    def doubtful(self, prices: np.ndarray, resources: Resources, pricer: Pricer) -> np.ndarray:
        """(K,) whether the bound may not hold at other prices, which may be those of newer cuts, too."""
        fallen = prices < np.append(self.prices, np.zeros(len(prices) - len(self.prices)))
        fallen[resources.requests] = False
        return ~self.holds | pricer.meets(resources.cheaper(fallen))

    def renewed(self, problem: Problem, was: tuple[Pricer, Master], now: tuple[Pricer, Master]) -> Proof:
        """The same for another problem, whose master was renewed from the one before; nothing is known of new requests.

        Where it may not hold any more it still tells what is likely.
        """
        (old, before), (pricer, master) = was, now
        count = len(problem.requests)
        most, holds = np.full(count, np.inf), np.zeros(count, dtype=bool)
        for k, request in enumerate(problem.requests):
            i = old.problem.request_index.get(request.id, -1)
            if i >= 0 and request == old.problem.requests[i]:
                most[k], holds[k] = self.most[i], self.holds[i] and old.open[i]
        cheaper = pricer.cheaper_than(old)
        holds &= cheaper is not None and ~pricer.meets(cheaper | before.lost(master))
        return Proof(most, master.prior, holds, stale=True)
