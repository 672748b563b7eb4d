"""LinkSelection: paper A's equations 2 and 3, read as the degree-bounded selection of links that they state.

max sum_e s_e x_e    subject to    sum_{e at i} x_e <= b_i for every node i,    x_e in {0, 1}
"""

from __future__ import annotations

import numpy as np

from qnroute.allocation import Allocation
from qnroute.errors import SolverError
from qnroute.models.linear import LinearModel
from qnroute.problem import Problem


class LinkSelection(LinearModel):
    """Blocks: columns ``x`` (link); rows ``degree`` (node), only where the bound can bind."""

    name = "link-selection"

    def __init__(self, problem: Problem):
        super().__init__(problem)
        if problem.task != "link-selection":
            raise SolverError(f"link-selection states the task link-selection, not {problem.task}")
        network = problem.network
        links = [network.link_name(e) for e in range(network.n_links)]
        x = self.add_columns("x", [("link", links)], upper=1.0, cost=network.coefficient, integer=True)
        incident = np.bincount(np.concatenate([network.source, network.target]), minlength=network.n_nodes)
        bound = problem.degree_bounds
        binding = np.flatnonzero(incident > bound)
        degree = self.add_rows("degree", [("node", [network.node_ids[i] for i in binding])], upper=bound[binding])
        row_of = np.full(network.n_nodes, -1)
        row_of[binding] = degree.index
        for end in (network.source, network.target):
            row = row_of[end]
            self.add_entries(row[row >= 0], x.index[row >= 0], 1.0)

    def decode(self, values: np.ndarray) -> Allocation:
        """The links with x = 1."""
        network = self.problem.network
        chosen = np.flatnonzero(self.columns["x"].of(values) > 0.5)
        names = network.node_ids
        return Allocation(links=tuple((names[network.source[e]], names[network.target[e]]) for e in chosen))
