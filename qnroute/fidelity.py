"""Werner algebra: what swapping and waiting do to fidelity. The papers' printed variants keep their own names.

A Werner state of fidelity F has parameter w = (4 F - 1) / 3. Swapping multiplies the parameters of the
pairs it joins; waiting multiplies them by a decay. So -ln w ("noise") adds along a route, and a floor
on F is a budget on the sum: that is how models and path searches state it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

TOLERANCE = 1e-9  # a route whose fidelity is within this of its floor keeps the floor
_MARGIN = TOLERANCE / 2  # searches and models stay this far inside what the judge tolerates


def werner(fidelity):
    """Werner parameter w = (4 F - 1) / 3, elementwise."""
    return (4.0 * np.asarray(fidelity, dtype=float) - 1.0) / 3.0


def fidelity_of(parameter):
    """Fidelity F = (1 + 3 w) / 4 of Werner parameter w, elementwise."""
    return (1.0 + 3.0 * np.asarray(parameter, dtype=float)) / 4.0


def path_fidelity(fidelities: Iterable[float]) -> float:
    """End-to-end fidelity after perfect swaps: F = (1 + 3 * prod_e w_e) / 4 (contract, section 2)."""
    return (1.0 + 3.0 * math.prod((4.0 * f - 1.0) / 3.0 for f in fidelities)) / 4.0


def decayed(fidelity, rho: float, age):
    """Fidelity after `age` slots when w shrinks by `rho` per slot (physical reading of paper C)."""
    return fidelity_of(werner(fidelity) * rho ** np.asarray(age, dtype=float))


def path_fidelity_printed(fidelities: Iterable[float]) -> float:
    """Paper C's printed path fidelity, prod_i (3 F_i + 1) / 4. For replication only: it is not Werner algebra."""
    return math.prod((3.0 * f + 1.0) / 4.0 for f in fidelities)


def decayed_printed(fidelity, rho: float, age):
    """Paper C's printed decay, F_0 * rho^age. For replication only: it falls below the 1/4 of white noise."""
    return np.asarray(fidelity, dtype=float) * rho ** np.asarray(age, dtype=float)


def noise(fidelity) -> np.ndarray:
    """-ln w of each link, >= 0: adds along a route."""
    return np.maximum(-np.log(werner(fidelity)), 0.0)


def noise_budget(min_fidelity: float) -> float:
    """Largest total noise that keeps the floor; infinite where the floor is at or below 1/4."""
    floor = (4.0 * (min_fidelity - _MARGIN) - 1.0) / 3.0
    return -math.log(floor) if floor > 0.0 else math.inf
