"""How far a prediction may be off: a log-linear variance, and a quantile that holds whatever the distribution."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.optimize import minimize

from qnroute.learning.links.checking import array_faults
from qnroute.learning.links.standard import Arrays, standard_faults, standard_of, standardized, width

_ROWS = 20_000  # of which a variance is learned
_SCORES = 10_000  # that are kept
_REACH = 5.0  # standardized features further out say no more
_STEEPEST = 30.0  # of the logarithm of a variance over the mean square
_PENALTY = 5.0  # on squared slopes, beside the sum of the log-likelihoods of rows: one of 0.45 is nothing strange
_PREFIX = "spread."


def spread_of(
    x: np.ndarray, mean: np.ndarray, y: np.ndarray, noise: np.ndarray, weight: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Two spreads around (n,) predicted means of (n, d) features, learned from (n,) observations.

    The residual of row i is normal of variance exp(b . z_i) + noise_i, where z are standardized features, marks of
    missing ones, the standardized mean and 1; b by maximum likelihood with a small square penalty, of at most 20,000
    rows. Once with the `noise` given, which leaves the spread of what is behind the observations; once without, which
    is that of the observations.

    Returns
    -------
    dict
        The `standard_of` arrays of features and mean, ``latent`` and ``seen`` (k,) coefficients; names begin with
        ``spread.``.
    """
    if len(y) > _ROWS:
        some = rng.choice(len(y), _ROWS, replace=False)
        x, mean, y, noise, weight = x[some], mean[some], y[some], noise[some], weight[some]
    found = standard_of(np.column_stack([x, mean]), weight, _PREFIX)
    z, error = _inputs(found, x, mean), y - mean
    found[_PREFIX + "latent"] = _likeliest(z, error, noise, weight)
    found[_PREFIX + "seen"] = _likeliest(z, error, np.zeros_like(noise), weight)
    return found


def deviation(arrays: Arrays, x: np.ndarray, mean: np.ndarray, which: str) -> np.ndarray:
    """(n,) standard deviations: ``latent`` of the quality itself, ``seen`` of what will be observed of it."""
    return np.exp(np.clip(0.5 * (_inputs(arrays, x, mean) @ arrays[_PREFIX + which]), -300.0, 300.0))


def scores_of(
    arrays: Arrays, x: np.ndarray, mean: np.ndarray, y: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """How many deviations off the predictions were, ascending; of at most 10,000 rows."""
    if len(y) > _SCORES:
        some = rng.choice(len(y), _SCORES, replace=False)
        x, mean, y = x[some], mean[some], y[some]
    return {_PREFIX + "scores": np.sort(np.abs(y - mean) / deviation(arrays, x, mean, "seen"))}


def quantile(arrays: Arrays, level: float) -> float:
    """The deviations within which a new row is with a chance of at least `level`; infinite if too few were seen.

    The ceil((n + 1) level)-th smallest of n scores (Lei et al., JASA 113(523), 2018, split conformal inference): rows
    that are exchangeable with those scored are within it with that chance, whatever their distribution.
    """
    scores = arrays[_PREFIX + "scores"]
    rank = math.ceil((scores.size + 1) * level - 1e-9)
    return float(scores[rank - 1]) if rank <= scores.size else math.inf


def spread_faults(arrays: Arrays, d: int) -> Iterator[str]:
    """What is wrong with arrays that should tell the spread of d features."""
    faults = list(standard_faults(arrays, d + 1, _PREFIX))
    yield from faults
    if faults:
        return
    for name in ("latent", "seen"):
        yield from array_faults(arrays, _PREFIX + name, (width(arrays, _PREFIX) + 1,), "f")
    name = _PREFIX + "scores"
    faults = list(array_faults(arrays, name, (None,), "f", low=0))
    yield from faults
    if not faults and (np.diff(arrays[name]) < 0).any():
        yield f"{name}: found values that do not ascend"


def _inputs(arrays: Arrays, x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(n, k): what the logarithm of a variance is linear in."""
    z = standardized(arrays, np.column_stack([x, mean]), _PREFIX, _REACH)
    return np.column_stack([z, np.ones(len(z))])


def _likeliest(z: np.ndarray, error: np.ndarray, noise: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(k,) coefficients of the log-variance for which the errors are likeliest; the last is the constant."""
    share = weight / weight.sum()
    unit = max(float(share @ error**2), 1e-24)
    square, noise = error**2 / unit, noise / unit
    penalty = _PENALTY / len(error)
    begin = np.zeros(z.shape[1])
    begin[-1] = math.log(max(1.0 - float(share @ noise), 0.05))

    def loss(b: np.ndarray) -> tuple[float, np.ndarray]:
        score = z @ b
        own = np.exp(np.clip(score, -_STEEPEST, _STEEPEST))
        variance = own + noise
        value = 0.5 * float(share @ (np.log(variance) + square / variance))
        slope = 0.5 * share * (1 - square / variance) / variance * own * (np.abs(score) < _STEEPEST)
        gradient = z.T @ slope
        gradient[:-1] += penalty * b[:-1]
        return value + 0.5 * penalty * float(b[:-1] @ b[:-1]), gradient

    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    found[-1] += math.log(unit)
    return found
