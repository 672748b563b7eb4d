"""Means over windows that hang together: an interval, and a test of whether the mean is 0."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

_LEVEL = 0.95
_SHARE = 0.4  # of T^(2/3): how many cosines


class SerialMean(NamedTuple):
    """A mean with its 95 % interval, None where there are too few windows, and the p-value of its being 0."""

    mean: float
    low: float | None
    high: float | None
    p: float


def mean_over_windows(values: np.ndarray, window: np.ndarray) -> SerialMean:
    """The mean of all values, judged by how their sums vary from window to window.

    The long-run variance of T windows is the mean of nu = 0.4 T^(2/3) squared cosine transforms, and the mean over its
    standard error has Student's t of nu degrees of freedom: the test of equal-weighted cosines (Lazarus, Lewis, Stock
    and Watson, J. Bus. Econ. Stat. 36, 541 (2018)), which keeps its level where neighbouring windows are alike. Windows
    of several networks, one after the other, are one series: networks that differ count as a slow change.

    Parameters
    ----------
    values : (n,)
    window : (n,) number of each value's window, ascending in time; windows without a value are left out
    """
    from scipy.special import stdtr, stdtrit

    number = np.unique(window, return_inverse=True)[1]
    count = np.bincount(number)
    mean = float(values.mean())
    off = (np.bincount(number, weights=values) - count * mean) / count.mean()
    T = len(count)
    nu = int(_SHARE * T ** (2.0 / 3.0))
    if nu < 1:
        return SerialMean(mean, None, None, 1.0)
    cosines = np.cos(np.pi * np.arange(1, nu + 1)[:, None] * (np.arange(T) + 0.5) / T)
    parts = math.sqrt(2.0 / T) * (cosines @ off)
    error = math.sqrt(float(parts @ parts) / nu / T)
    if error <= 1e-14 * float(np.abs(values).max()):  # all alike, but for rounding
        return SerialMean(mean, mean, mean, float(mean == 0.0))
    half = error * float(stdtrit(nu, 0.5 + _LEVEL / 2))
    return SerialMean(mean, mean - half, mean + half, float(2.0 * stdtr(nu, -abs(mean) / error)))
