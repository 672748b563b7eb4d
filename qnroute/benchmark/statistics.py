"""Means with intervals, and tests between policies that met the same luck; corrected for how many were made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qnroute.benchmark.chances import LEVEL, Interval
from qnroute.errors import ProblemError
from qnroute.multiplicity import holm


@dataclass(frozen=True)
class Difference:
    """How one group of runs differs from another, on the same seeds.

    Attributes
    ----------
    mean : Interval
        Of the paired differences, by Student's t.
    p_unpaired
        Mann-Whitney U, two-sided, as paper C has it (C12): runs are not paired.
    p_paired
        Wilcoxon's signed ranks, two-sided: each seed is compared with itself.
    p_unpaired_corrected, p_paired_corrected
        After Holm's correction within the family of comparisons; equal to the plain ones until `corrected`.
    """

    mean: Interval
    p_unpaired: float
    p_paired: float
    p_unpaired_corrected: float
    p_paired_corrected: float


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean with its 95 % interval by Student's t; NaN values are left out."""
    from scipy.stats import t

    found = np.asarray(values, dtype=float)
    found = found[~np.isnan(found)]
    if len(found) == 0:
        return Interval(None, None, None)
    mean = float(found.mean())
    if len(found) == 1:
        return Interval(mean, None, None)
    half = float(t.ppf(0.5 + LEVEL / 2, len(found) - 1) * found.std(ddof=1) / math.sqrt(len(found)))
    return Interval(mean, mean - half, mean + half)


def difference(one: Sequence[float], other: Sequence[float]) -> Difference:
    """How `one` differs from `other`, run by run in the same order; runs where either is NaN are left out.

    With fewer than two runs there is nothing to test: p is 1.

    Raises
    ------
    ProblemError
        One has more runs than the other, as where the work was interrupted.
    """
    from scipy.stats import mannwhitneyu, wilcoxon

    a, b = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    if len(a) != len(b):
        raise ProblemError(f"difference: found {len(a)} and {len(b)} runs, expected the same ones")
    known = ~(np.isnan(a) | np.isnan(b))
    a, b = a[known], b[known]
    apart = a - b
    if len(a) < 2 or not apart.any():
        return Difference(mean_interval(apart), 1.0, 1.0, 1.0, 1.0)
    unpaired = float(mannwhitneyu(a, b, alternative="two-sided").pvalue)
    paired = float(wilcoxon(apart).pvalue)
    return Difference(mean_interval(apart), unpaired, paired, unpaired, paired)


def corrected(found: Mapping[str, Difference]) -> dict[str, Difference]:
    """The same comparisons, with p-values corrected within this family."""
    unpaired = holm([each.p_unpaired for each in found.values()])
    paired = holm([each.p_paired for each in found.values()])
    return {
        name: Difference(each.mean, each.p_unpaired, each.p_paired, float(u), float(q))
        for (name, each), u, q in zip(found.items(), unpaired, paired)
    }
