"""What routes use, numbered through: resources, and cuts that the integer program keeps and its relaxation does not.

A route uses *places*: links, nodes it passes, the node it starts from, the node it ends at, its request. Places use
*resources*: channels of a link, memory of a node (1 qubit at an end, 2 passing), routes passing a node (at most half
of what its memory and the channels around it hold), routes leaving a bounded node, routes of a request. A *cut* sums
some resources, and cuts that came before it, and halves: as routes are whole,

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
        self._summed: list[sparse.csr_array] = []  # cuts one after the other, by the columns before the first of each

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
        return self.with_cuts(places @ self._of_place)

    def with_cuts(self, used: sparse.csr_array) -> sparse.csr_array:
        """The same (J, R) uses with those of the cuts that they do not have yet."""
        for summed in self._summed:
            known = used.shape[1] - summed.shape[1]
            if known < summed.shape[0]:
                used = _beside(used, _halves(used[:, : summed.shape[1]] @ summed[known:].T))
        return used

    def cheaper(self, fallen: np.ndarray) -> np.ndarray:
        """Which places may cost a route less where prices of some resources or cuts have fallen, (R,)."""
        uses = self._of_place
        for summed in self._summed:
            uses = _beside(uses, uses[:, : summed.shape[1]] @ summed.T)
        return (uses @ fallen.astype(float)) > 0.0

    @property
    def cuts(self) -> list[np.ndarray]:
        """The resources and earlier cuts that each cut sums."""
        return [each for summed in self._summed for each in np.split(summed.indices, summed.indptr[1:-1])]

    def add_cuts(self, summed: list[np.ndarray]) -> None:
        """Append cuts, each given by the sorted numbers of the resources and cuts before it that it sums."""
        while summed:
            width = len(self.capacity)
            count = next((i for i in range(1, len(summed)) if summed[i][-1] >= width), len(summed))
            self._append(summed[:count])
            summed = summed[count:]

    def _append(self, summed: list[np.ndarray]) -> None:
        if not self._summed or max(each[-1] for each in summed) >= self._summed[-1].shape[1]:
            self._summed.append(sparse.csr_array((0, len(self.capacity))))
        before, columns = self._summed[-1], np.concatenate(summed)
        indptr = np.cumsum([0, *map(len, summed)])
        new = sparse.csr_array((np.ones(len(columns)), columns, indptr), shape=(len(summed), before.shape[1]))
        self._summed[-1] = sparse.csr_array(sparse.vstack([before, new], format="csr"))
        right = np.floor(np.add.reduceat(self.capacity[columns], indptr[:-1]) / 2.0)
        self.capacity = np.concatenate([self.capacity, right])

    def prices(self, price: np.ndarray) -> Prices:
        """Prices (R,) of resources and cuts, as routes meet them; those of requests are left to whoever asks."""
        n, m, plain = self.n, self.m, self.plain
        own = np.array(price)
        own[self.requests] = 0.0
        active, counts, counted = self._active(price)
        uses, odd = self._of_place, [sparse.csr_array((self._of_place.shape[0], 0))]
        for summed in self._summed if len(active) else ():
            both = uses[:, : summed.shape[1]] @ summed.T
            uses = _beside(uses, _halves(both))
            both.data = both.data % 2.0
            odd.append(both)
        paid = uses @ own[: uses.shape[1]]
        cut = sparse.csr_array(sparse.hstack(odd, format="csr")[:, active])
        cut.eliminate_zeros()
        cut.sort_indices()
        link, passed, source, target, _ = np.split(paid, [m, m + n, m + 2 * n, m + 3 * n])
        at, cut = cut.indptr.astype(np.int64), cut.indices.astype(np.int64)
        return Prices(link, passed, source, target, price[plain + active], at, cut, counts, counted)

    def _active(self, price: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The cuts that have a price, or are counted in others that have; which of these count each, as rows."""
        cuts, plain = self.cuts, self.plain
        active = price[plain:] > 0.0
        pairs = []
        for cut in range(len(cuts) - 1, -1, -1):
            if active[cut]:
                inner = cuts[cut][np.searchsorted(cuts[cut], plain) :] - plain
                active[inner] = True
                pairs += [(i, cut) for i in inner.tolist()]
        place = np.cumsum(active) - 1
        inner, outer = place[np.array(pairs, dtype=np.int64).reshape(-1, 2).T]
        order = np.lexsort((outer, inner))
        counts = np.searchsorted(inner[order], np.arange(active.sum() + 1))
        return np.flatnonzero(active), counts, outer[order]


def _halves(used: sparse.csr_array) -> sparse.csr_array:
    halves = used.copy()
    halves.data = np.floor(halves.data / 2.0)
    halves.eliminate_zeros()
    return halves


def _beside(left: sparse.csr_array, right: sparse.csr_array) -> sparse.csr_array:
    return sparse.csr_array(sparse.hstack([left, right], format="csr"))
