"""Demand drawn at random with a period that is known, for tests of forecasts."""

from __future__ import annotations

import numpy as np

DAY = 24  # slots


def rates(slots: int, pairs: int, *, total: float = 1.0, busier: float = 6.0, clock: int = 0) -> np.ndarray:
    """(slots, pairs) mean arrivals: busy from 9 to 17, half of it on a fifth of the pairs, none on the last pair."""
    share = np.ones(pairs)
    share[: max(1, pairs // 5)] = 4.0
    share[-1] = 0.0
    hour = (clock + np.arange(slots)) % DAY * 24 / DAY
    busy = np.where((hour >= 9) & (hour < 17), busier, 1.0)
    return total * np.outer(busy / (8 * busier + 16) * 24, share / share.sum())


def workload(seed: int, slots: int = 1500, pairs: int = 11, **options: float) -> np.ndarray:
    """(slots, pairs) Poisson arrivals with those rates."""
    return np.random.default_rng(seed).poisson(rates(slots, pairs, **options))
