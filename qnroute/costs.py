"""What a route adds up: probabilities as -ln p, noise as -ln w, so that searches and models can sum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qnroute.fidelity import noise
from qnroute.problem import Problem

NOTHING = 1e-290  # a product of probabilities below this is as good as none


class Costs(NamedTuple):
    """What a path adds up: all entries >= 0, infinite where closed.

    `link` (m,) and `noise` (m,) for each link taken, `node` (n,) for each node passed (not for the ends).
    """

    link: np.ndarray
    node: np.ndarray
    noise: np.ndarray


def path_costs(problem: Problem) -> Costs:
    """-ln p of links, -ln swap of passed nodes and -ln w of links: what adds up to -ln P(r) and to noise."""
    network = problem.network
    with np.errstate(divide="ignore"):
        return Costs(-np.log(network.p), -np.log(network.swap), noise(network.fidelity))


def search_costs(problem: Problem) -> Costs:
    """The costs by which routes are looked for: -ln P, or hops under link-sum (whose best paths are longest ones)."""
    network = problem.network
    if problem.objective.kind != "link-sum":
        return path_costs(problem)
    return Costs(np.ones(network.n_links), np.zeros(network.n_nodes), noise(network.fidelity))


def most_useful_cost(problem: Problem, least_value: np.ndarray) -> np.ndarray:
    """(K,) the cost -ln P above which a route of each request is worth no more than `least_value`."""
    with np.errstate(divide="ignore"):
        if problem.objective.kind == "log-success":
            return problem.objective.serve_reward - least_value / problem.weights
        if problem.objective.kind == "expected-pairs":
            return np.minimum(np.log(problem.weights) - np.log(least_value), -np.log(NOTHING))
    return np.full(len(problem.requests), np.inf)


def closed(problem: Problem, costs: Costs) -> Costs:
    """The costs with nodes closed to passing where memory or degree can never carry a route through."""
    through = (problem.network.memory >= 2) & (problem.degree_bounds >= 1)
    return costs._replace(node=np.where(through, costs.node, np.inf))
