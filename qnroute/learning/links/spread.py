"""How far a prediction may be off: a log-linear variance, and a quantile that holds whatever the distribution."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.optimize import minimize

from qnroute.learning.links.checking import array_faults
from qnroute.learning.links.lessons import Luck
from qnroute.learning.links.standard import Arrays, standard_faults, standard_of, standardized, width

_ROWS = 20_000  # of which a variance is learned
_SCORES = 10_000  # that are kept
_REACH = 5.0  # standardized features further out say no more
_STEEPEST = 30.0  # of the logarithm of a variance over the mean square
_PENALTY = 3.0  # per slope, on their squares, beside the sum of the log-likelihoods of rows: that the logarithms of
# the variances of all rows lie some 0.6 apart is nothing strange, however many features there are
_BEHIND = math.log(0.1), 1.5  # the logarithm of the share of the mean square that is behind noise, and how far off it
# may be: for where so much is noise that the rows cannot tell
_PREFIX = "spread."


def spread_of(
    x: np.ndarray, mean: np.ndarray, y: np.ndarray, weight: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """The spread of (n,) observations around predicted means of (n, d) features.

    The residual of row i is normal of variance exp(b . z_i), where z are standardized features, marks of missing ones,
    the standardized mean and 1; b by maximum likelihood with a small square penalty, of at most 20,000 rows.

    Returns
    -------
    dict
        The `standard_of` arrays of features and mean, ``seen`` (k,) coefficients, and the same as ``latent``: without
        noise observations are what is behind them. Names begin with ``spread.``.
    """
    if len(y) > _ROWS:
        some = rng.choice(len(y), _ROWS, replace=False)
        x, mean, y, weight = x[some], mean[some], y[some], weight[some]
    found = standard_of(np.column_stack([x, mean]), weight, _PREFIX)
    even = np.ones(len(y))
    seen = _likeliest(_inputs(found, x, mean), y - mean, 0.0 * even, weight, even)
    return found | {_PREFIX + "seen": seen, _PREFIX + "latent": seen.copy()}


def latent_of(
    arrays: Arrays,
    x: np.ndarray,
    mean: np.ndarray,
    y: np.ndarray,
    noise: np.ndarray,
    rng: np.random.Generator,
    luck: Luck | None = None,
) -> dict[str, np.ndarray]:
    """The spread of what is behind the observations: as `spread_of`, of variance exp(b . z_i) + noise_i.

    With `luck` there is the noise of n trials besides, and it is that of the predicted mean m: behind it lies mu of
    variance s^2 around m, so a mean of n outcomes has E (high - mu)(mu - low) / n = ((high - m)(m - low) - s^2) / n of
    noise, and s^2 (1 - 1/n) + (high - m)(m - low) / n of variance in all. What was drawn says nothing of the noise
    here: neither lucky outcomes nor a drift of mu between rows are taken for less or more of it.
    """
    if len(y) > _ROWS:
        some = rng.choice(len(y), _ROWS, replace=False)
        x, mean, y, noise, luck = x[some], mean[some], y[some], noise[some], luck and luck.of(some)
    even = part = np.ones(len(y))
    if luck is not None:
        noise, part = noise + luck.noise(mean), 1.0 - 1.0 / luck.trials
    return {_PREFIX + "latent": _likeliest(_inputs(arrays, x, mean), y - mean, noise, even, part)}


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


def _likeliest(z: np.ndarray, error: np.ndarray, noise: np.ndarray, weight: np.ndarray, part: np.ndarray) -> np.ndarray:
    """(k,) coefficients of the log-variance for which the errors are likeliest; the last is the constant.

    That of a row counts for (n,) `part` of it, beside the noise.
    """
    share = weight / weight.sum()
    unit = max(float(share @ error**2), 1e-24)
    square, noise = error**2 / unit, noise / unit
    penalty = _PENALTY * (z.shape[1] - 1) / len(error)
    noisy = min(float(share @ noise), 1.0)
    begin = np.zeros(z.shape[1])
    begin[-1] = math.log(max(1.0 - float(share @ noise), 0.05))

    def loss(b: np.ndarray) -> tuple[float, np.ndarray]:
        score = z @ b
        own = part * np.exp(np.clip(score, -_STEEPEST, _STEEPEST))
        variance = own + noise + 1e-30
        value = 0.5 * float(share @ (np.log(variance) + square / variance))
        slope = 0.5 * share * (1 - square / variance) / variance * own * (np.abs(score) < _STEEPEST)
        gradient = z.T @ slope
        gradient[:-1] += penalty * b[:-1]
        apart = (b[-1] - _BEHIND[0]) / _BEHIND[1] ** 2 * noisy / len(error)
        gradient[-1] += apart
        return value + 0.5 * (penalty * float(b[:-1] @ b[:-1]) + apart * (b[-1] - _BEHIND[0])), gradient

    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    found[-1] += math.log(unit)
    return found
