"""What routes use, numbered through: resources, and cuts that the integer program keeps and its relaxation does not.

A route uses *places*: links, nodes it passes, the node it starts from, the node it ends at, its request. Places use
*resources*: channels of a link, memory of a node (1 qubit at an end, 2 passing), routes passing a node (at most half
of what its memory and the channels around it hold), routes leaving a bounded node, routes of a request. A *cut* sums
some resources and halves: as routes are whole,

    sum_r floor(sum_{i in S} a_ir / 2) z_r <= floor(sum_{i in S} b_i / 2)

(Gomory 1958, Chvatal 1973, with multipliers 1/2). Everything is a matrix: routes by places by resources by cuts.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from qnroute.completion import Prices
from qnroute.fields import UNLIMITED
from qnroute.problem import Problem
from qnroute.routes import RouteTable


class Resources:
    """Columns of everything that routes use: link, memory, passing, leaving, request, then one for each cut.

    Attributes
    ----------
    capacity : (R,) infinite where there is no limit
    requests : which columns are the requests'
    plain : number of columns before those of cuts
    """

    def __init__(self, problem: Problem):
        network = problem.network
        self.n, self.m, self.k = n, m, k = network.n_nodes, network.n_links, len(problem.requests)
        around = np.zeros(n)
        for end in (network.source, network.target):
            around += np.bincount(end, weights=network.channels.astype(float), minlength=n)
        memory = np.where(network.memory == UNLIMITED, np.inf, network.memory)
        degree = np.where(problem.degree_bounds == UNLIMITED, np.inf, problem.degree_bounds)
        passing = np.floor(np.minimum(memory, around) / 2)
        parts = (network.channels.astype(float), memory, passing, degree, problem.most_routes.astype(float))
        self.capacity = np.concatenate(parts)
        self.requests = slice(m + 3 * n, m + 3 * n + k)
        self.plain = self.requests.stop
        self._of_place = self._resources_of_places()
        self._summed = sparse.csr_array((0, len(self.capacity)))

    def _resources_of_places(self) -> sparse.csr_array:
        n, m = self.n, self.m
        node, same = np.arange(n), np.arange(m)
        memory, passing, leaving = m + node, m + n + node, m + 2 * n + node
        passed, source, target, asking = m + node, m + n + node, m + 2 * n + node, m + 3 * n + np.arange(self.k)
        parts = [
            (same, same, 1.0), (passed, memory, 2.0), (passed, passing, 1.0), (passed, leaving, 1.0),
            (source, memory, 1.0), (source, leaving, 1.0), (target, memory, 1.0), (asking, asking, 1.0),
        ]  # fmt: skip
        place, resource = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        amount = np.concatenate([np.full(len(part[0]), part[2]) for part in parts])
        finite = np.isfinite(self.capacity[resource])
        shape = m + 3 * n + self.k, len(self.capacity)
        return sparse.csr_array((amount[finite], (place[finite], resource[finite])), shape=shape)

    def used(self, table: RouteTable) -> sparse.csr_array:
        """(J, R) how much of everything limited each route of a table uses."""
        n, m = self.n, self.m
        route, link, _ = table.steps
        of_node = np.repeat(np.arange(len(table)), np.diff(table.indptr))
        first = m + table.nodes
        first[table.indptr[:-1]] += n
        first[table.indptr[1:] - 1] += 2 * n
        place = np.concatenate([link, first, m + 3 * n + table.request])
        row = np.concatenate([route, of_node, np.arange(len(table))])
        places = sparse.csr_array((np.ones(len(row)), (row, place)), shape=(len(table), self._of_place.shape[0]))
        plain = places @ self._of_place
        return sparse.csr_array(sparse.hstack([plain, self.halved(plain)], format="csr"))

    def halved(self, plain: sparse.csr_array, since: int = 0) -> sparse.csr_array:
        """(J, C) how much of each cut, from number `since` on, routes use that use so much of resources."""
        cuts = sparse.csr_array(plain[:, : self.plain] @ self._summed[since:].T)
        cuts.data = np.floor(cuts.data / 2.0)
        cuts.eliminate_zeros()
        return cuts

    @property
    def cuts(self) -> list[np.ndarray]:
        """The resources of each cut."""
        return np.split(self._summed.indices, self._summed.indptr[1:-1]) if self._summed.shape[0] else []

    def add_cuts(self, summed: list[np.ndarray]) -> None:
        """Append cuts, each given by the numbers of its resources."""
        row = np.repeat(np.arange(len(summed)), [len(each) for each in summed])
        column = np.concatenate(summed)
        new = sparse.csr_array((np.ones(len(row)), (row, column)), shape=(len(summed), self._summed.shape[1]))
        self._summed = sparse.csr_array(sparse.vstack([self._summed, new], format="csr"))
        right = np.floor(np.array([self.capacity[each].sum() for each in summed]) / 2.0)
        self.capacity = np.concatenate([self.capacity, right])

    def prices(self, price: np.ndarray) -> Prices:
        """Prices (R,) of resources and cuts, as routes meet them; those of requests are left to whoever asks."""
        n, m, plain = self.n, self.m, self.plain
        own = np.array(price[:plain])
        own[self.requests] = 0.0
        active = np.flatnonzero(price[plain:] > 0.0)
        pair = price[plain:][active]
        uses = sparse.csr_array(self._of_place @ self._summed[active].T)
        uses.sort_indices()
        whole = sparse.csr_array((np.floor(uses.data / 2.0), uses.indices, uses.indptr), shape=uses.shape)
        link, passed, source, target, _ = np.split(
            self._of_place @ own + whole @ pair, [m, m + n, m + 2 * n, m + 3 * n]
        )
        uses.data = uses.data % 2.0
        uses.eliminate_zeros()
        return Prices(link, passed, source, target, pair, uses.indptr.astype(np.int64), uses.indices.astype(np.int64))
