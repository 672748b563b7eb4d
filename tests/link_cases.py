"""Links with features and a quality, made up for the tests of scorers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from qnroute.learning.links import LinkScorer, scorer

QUICK = {
    "gradient-boosting": {"trees": 20, "leaves": 8},
    "mlp": {"hidden": (12,), "epochs": 15, "learning_rate": 0.02, "batch": 64},
    "graph": {"hidden": 8, "epochs": 15, "learning_rate": 0.02, "batch": 64},
}


class Links(NamedTuple):
    """n rows of d = 6 features; the quality behind y has the standard deviation `sd` around `mean`."""

    x: np.ndarray
    y: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


def links(seed: int, n: int, *, noise: np.ndarray | float = 0.0) -> Links:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    x[:, 0], x[:, 1] = rng.uniform(0.1, 0.9, n), rng.uniform(0.5, 1.0, n)
    mean = 0.2 + 0.5 * x[:, 0] + 0.1 * x[:, 2]
    sd = 0.1 * np.exp(0.7 * x[:, 3])
    return Links(x, mean + sd * rng.normal(size=n) + np.sqrt(noise) * rng.normal(size=n), mean, sd)


def quick(name: str, **options) -> LinkScorer:
    """A scorer that learns in no time."""
    return scorer(name, **{**QUICK.get(name, {}), **options})


def windows(n: int, size: int) -> sparse.csr_array:
    """Rings of `size` rows, each row the neighbour of the one before and the one after it; the rest are alone."""
    rows = np.arange(n // size * size)
    ring = rows // size * size
    after = ring + (rows - ring + 1) % size
    both = (np.concatenate([rows, after]), np.concatenate([after, rows]))
    return sparse.csr_array((np.ones(2 * rows.size), both), shape=(n, n))
