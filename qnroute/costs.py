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


def most_useful_cost(problem: Problem) -> float:
    """The cost in `search_costs` above which a route is worth nothing."""
    reward = problem.objective.serve_reward
    return {"log-success": reward, "expected-pairs": -np.log(NOTHING), "link-sum": np.inf}[problem.objective.kind]


def value_at_cost(problem: Problem, request: np.ndarray | int, cost: np.ndarray | float) -> np.ndarray:
    """What routes of these requests with -ln P = `cost` are worth; not for link-sum, which asks which links they take.

    An infinite cost is worth nothing.
    """
    if problem.objective.kind == "expected-pairs":
        return problem.weights[request] * np.exp(-cost)
    return problem.weights[request] * np.where(np.isinf(cost), 0.0, problem.objective.serve_reward - cost)


def closed(problem: Problem, costs: Costs) -> Costs:
    """The costs with nodes closed to passing where memory or degree can never carry a route through."""
    through = (problem.network.memory >= 2) & (problem.degree_bounds >= 1)
    return costs._replace(node=np.where(through, costs.node, np.inf))
