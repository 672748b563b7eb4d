"""One request's most reliable path as a binary quadratic model: arcs to use, flow conserved by penalties.

    E = sum_a cost_a x_a + A sum_v (out_v - in_v - d_v)^2,    d = 1 at the source, -1 at the target, else 0

with cost_a = -ln p of the link, and -ln swap of the node that the arc enters, so that a path's cost is -ln P.
A > C / 2 suffices, for the cost C of any path: residuals are whole and sum to 0, so where one is not 0 the penalties
are 2 A or more, which is above C; and where all are 0, x holds a path. For the cheapest path it is necessary, too:
x = 0 has the energy 2 A.

The problem itself is easy (Dijkstra); the model is for experiments. Costs add up, floors and hop limits do not fit in.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import dijkstra

from qnroute.allocation import Allocation, Route
from qnroute.costs import closed, path_costs
from qnroute.errors import SolverError
from qnroute.fidelity import noise_budget
from qnroute.models.packing_qubo import Reading
from qnroute.models.quadratic import merged, squares
from qnroute.models.qubo_files import write_quadratic
from qnroute.problem import Problem
from qnroute.routes import can_end

if TYPE_CHECKING:
    import dimod

_MARGIN = 0.05  # of the penalty that suffices


class PathQubo:
    """Variables are arcs: each link in both directions, without those that no path can take.

    Parameters
    ----------
    problem
        With one request for one route; objective expected-pairs or log-success.
    strength
        The penalty, in units of what suffices.

    Attributes
    ----------
    tail, head, cost : (N,) nodes that each arc leaves and enters, and what it costs
    penalty : A
    cheapest : what the cheapest path costs

    Raises
    ------
    SolverError
        There is another number of requests, a floor or hop limit that a path could break, or no path.
    """

    def __init__(self, problem: Problem, *, strength: float = 1.0 + _MARGIN):
        if problem.task != "allocation" or len(problem.requests) != 1 or problem.most_routes[0] != 1:
            raise SolverError("path-qubo states one request for one route; use RouteChoiceQubo for others")
        if problem.objective.kind == "link-sum":
            raise SolverError("path-qubo needs costs >= 0; link-sum rewards detours")
        self.problem, self.strength = problem, float(strength)
        self.source, self.target = int(problem.sources[0]), int(problem.targets[0])
        costs = closed(problem, path_costs(problem))
        self._refuse_limits(costs.noise)
        self.tail, self.head, self.cost = self._arcs(costs.link, costs.node)
        self._number = {ends: a for a, ends in enumerate(zip(self.tail.tolist(), self.head.tolist()))}
        cheapest = self._cheapest(self.cost)
        if not (np.isfinite(cheapest) and can_end(problem, self.source, self.target)):
            raise SolverError(f"path-qubo: no path serves request {problem.requests[0].id}")
        if not (np.isfinite(strength) and strength > 0.0):
            raise SolverError(f"strength: found {strength!r}, expected a number above 0")
        self.cheapest = cheapest
        self.penalty = self.strength * max(cheapest, 1e-9) / 2.0
        incidence, balance = self._conservation()
        linear, couplers, offset = squares(incidence, balance, np.full(len(balance), self.penalty))
        self.quadratic = merged(linear + self.cost, [couplers], offset)

    def __len__(self) -> int:
        return len(self.quadratic)

    @property
    def proven(self) -> bool:
        """Whether the ground state is the most reliable path for certain, but for circles that cost nothing."""
        return self.strength > 1.0

    def to_bqm(self) -> dimod.BinaryQuadraticModel:
        """As dimod's model; `legend` tells what its variables are."""
        return self.quadratic.to_bqm()

    def legend(self) -> dict[str, Any]:
        """What each variable means."""
        names = self.problem.network.node_ids
        return {
            "model": "path-qubo",
            "problem": {"name": self.problem.name, "sha256": self.problem.sha256},
            "sense": "minimize",
            "strength": self.strength,
            "proven": self.proven,
            "variables": [f"{names[u]} -> {names[v]}" for u, v in zip(self.tail.tolist(), self.head.tolist())],
        }

    def write(self, path: str) -> list[str]:
        """Write ``.bqm``, ``.qubo`` or ``.coo`` and beside it ``.legend.json``; returns the paths written."""
        return write_quadratic(self.quadratic, path, self.legend())

    def read(self, samples: np.ndarray) -> Reading:
        """What samples (S, N) say, as they are and repaired: the path that adds fewest arcs to those chosen.

        A sample that conserves flow is worth the best path that it holds; circles beside it do not matter.
        """
        chosen = np.asarray(samples).astype(bool)
        incidence, balance = self._conservation()
        feasible = ((incidence @ chosen.T.astype(float)).T == balance).all(axis=1)
        mended = np.array([self._path(arcs) for arcs in chosen]).reshape(chosen.shape)
        worth = self._values(mended)
        return Reading(feasible, np.where(feasible, worth, 0.0), mended, worth)

    def decode(self, chosen: np.ndarray) -> Allocation:
        """The allocation of the path that arcs (N,) hold, as `read` repairs them; none where it is worth nothing."""
        chosen = self._path(np.asarray(chosen) > 0)
        follow = dict(zip(self.tail[chosen > 0].tolist(), self.head[chosen > 0].tolist()))
        nodes = [self.source]
        while nodes[-1] != self.target:
            nodes.append(follow[nodes[-1]])
        if not self._values(np.asarray(chosen)[None])[0] > 0.0:
            return Allocation()
        names = self.problem.network.node_ids
        return Allocation((Route(self.problem.requests[0].id, tuple(names[v] for v in nodes)),))

    def cost_of(self, value: float) -> float:
        """The cost of a path that is worth `value`, infinite where none is."""
        weight, objective = self.problem.weights[0], self.problem.objective
        if objective.kind == "expected-pairs":
            return -math.log(value / weight) if value > 0.0 else math.inf
        return objective.serve_reward - value / weight

    def _values(self, arcs: np.ndarray) -> np.ndarray:
        return self.value_of(arcs @ self.cost)

    def value_of(self, cost):
        """What paths of these costs are worth."""
        weight, objective = self.problem.weights[0], self.problem.objective
        return weight * (np.exp(-cost) if objective.kind == "expected-pairs" else objective.serve_reward - cost)

    def _refuse_limits(self, noise: np.ndarray) -> None:
        longest = self.problem.network.n_nodes - 1
        largest = noise.max(initial=0.0) * longest
        if self.problem.max_hops < longest or largest > noise_budget(self.problem.requests[0].min_fidelity):
            raise SolverError("path-qubo cannot keep a floor or hop limit that some path breaks; use RouteChoiceQubo")

    def _arcs(self, link: np.ndarray, node: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        network = self.problem.network
        tail, head = np.concatenate([network.source, network.target]), np.concatenate([network.target, network.source])
        cost = np.concatenate([link, link]) + np.where(head == self.target, 0.0, node[head])
        some = (head != self.source) & (tail != self.target) & np.isfinite(cost)
        return tail[some], head[some], cost[some]

    def _cheapest(self, cost: np.ndarray) -> float:
        return float(dijkstra(self._graph(cost), indices=self.source)[self.target])

    def _graph(self, cost: np.ndarray) -> sparse.csr_array:
        n = self.problem.network.n_nodes
        return sparse.csr_array((np.maximum(cost, np.finfo(float).tiny), (self.tail, self.head)), shape=(n, n))

    def _path(self, arcs: np.ndarray) -> np.ndarray:
        """(N,) the path that adds fewest arcs to those given, and of these the most reliable one."""
        extra = self.cost.sum() + 1.0
        before = dijkstra(
            self._graph(self.cost + np.where(arcs, 0.0, extra)), indices=self.source, return_predecessors=True
        )[1]
        path, v = np.zeros(len(arcs), np.int64), self.target
        while v != self.source:
            u = int(before[v])
            path[self._number[u, v]] = 1
            v = u
        return path

    def _conservation(self) -> tuple[sparse.csr_array, np.ndarray]:
        """Incidence (n, N), 1 where an arc leaves and -1 where it enters, and d (n,)."""
        n, arc = self.problem.network.n_nodes, np.arange(len(self.tail))
        ends, ones = np.concatenate([self.tail, self.head]), np.ones(len(arc))
        incidence = sparse.csr_array(
            (np.concatenate([ones, -ones]), (ends, np.concatenate([arc, arc]))), shape=(n, len(arc))
        )
        balance = np.zeros(n)
        balance[self.source], balance[self.target] = 1.0, -1.0
        return incidence, balance
