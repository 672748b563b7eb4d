"""Problems that policies are trained on: topologies, sizes, capacities and weights mixed, more asked than is there."""

from __future__ import annotations

import numpy as np

from qnroute import generate
from qnroute.network import Network
from qnroute.problem import Problem

SEEN = ("erdos-renyi", "regular", "barabasi-albert")
"""Topologies that are trained on; others are kept for tests."""

NODES = (16, 20, 24, 32)


def mixed(seed: int) -> Problem:
    """One problem: 16 to 32 nodes of degree 3 to 5, one to two requests a node; every seed another."""
    rng = np.random.default_rng([seed, 6])
    n = int(rng.choice(NODES))
    network = drawn(str(rng.choice(SEEN)), n, rng, seed)
    weight = (0.5, 2.0) if rng.random() < 0.5 else 1.0
    count = int(n * rng.uniform(1.0, 2.0))
    return Problem(network, generate.requests(network, count, seed=seed, weight=weight))


def drawn(topology: str, n: int, rng: np.random.Generator, seed: int) -> Network:
    """A network of a topology, its links and nodes drawn from ranges that are drawn themselves."""
    shape = {
        "erdos-renyi": {"n": n, "probability": 4.0 / n},
        "regular": {"n": n, "degree": int(rng.choice([3, 4]))},
        "barabasi-albert": {"n": n, "links_per_node": 2},
        "watts-strogatz": {"n": n, "neighbours": 4, "rewiring": 0.3},
        "waxman": {"n": n, "alpha": 0.3, "beta": 0.6},
    }[topology]
    memory = (4, 10) if rng.random() < 0.3 else None
    return generate.topology(
        topology,
        seed=seed,
        p=(float(rng.uniform(0.1, 0.5)), 0.95),
        fidelity=(0.9, 0.99),
        channels=(1, int(rng.integers(1, 4))),
        swap=float(rng.choice([0.8, 0.9, 1.0])),
        memory=memory,
        **shape,
    )
