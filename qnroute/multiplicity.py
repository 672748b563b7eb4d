"""Several tests at once: p-values that count how many were made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p: Sequence[float]) -> np.ndarray:
    """p-values after Holm's step-down correction (Scand. J. Statist. 6, 65 (1979)), in the order given."""
    given = np.asarray(p, dtype=float)
    order = np.argsort(given, kind="stable")
    steps = given[order] * (len(given) - np.arange(len(given)))
    corrected = np.empty(len(given))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(given) else steps
    return corrected
