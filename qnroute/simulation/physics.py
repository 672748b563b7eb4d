"""What waiting and swapping do to stored pairs: the physical law, and the one that paper C prints."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import numpy as np
from annotated_types import Le

from qnroute import fields
from qnroute.fidelity import TOLERANCE, werner
from qnroute.fields import record

LONGEST = 1_000_000  # slots a pair may live


class Law(NamedTuple):
    """Physics as numbers for the compiled engine.

    The quality of a pair of link e made in epoch i, a slots old, is ``scale[i, e] * decays[a] + shift``; that of a
    route is the product over its pairs; a pre-positioned pair keeps ``decays[a]`` of its own. Fidelity is linear in
    quality.
    """

    scale: np.ndarray  # (E, m) float64; one epoch where fidelity does not change
    shift: float
    decays: np.ndarray  # (lifetime + 2,) rho^a, up to the age at which a pair goes
    lifetime: int
    last: np.ndarray  # (E, m) int64: the age in slots up to which a pair is kept, -1 where it is never usable
    pair_slope: float  # fidelity of a pair = pair_slope * quality + pair_offset
    pair_offset: float
    end_slope: float  # the same of a route, and of a pre-positioned pair
    end_offset: float
    least: float  # quality that a pre-positioned pair must keep


@record
class Physics:
    """Decay of stored pairs (paper C, C1 to C3 and C8).

    Parameters
    ----------
    decay
        rho: what a pair keeps per slot.
    lifetime
        Slots after which a pair is given up.
    min_fidelity
        F_min, below which a pair is of no use; paper C does not print it.
    model
        ``werner``: w = (4 F - 1)/3 shrinks by rho per slot and multiplies along a route. ``printed``: F shrinks by
        rho, and a route has the product of (3 F + 1)/4; for replication only.
    """

    decay: fields.PositiveProbability = 0.96
    lifetime: Annotated[fields.Count, Le(LONGEST)] = 15
    min_fidelity: fields.Probability = 0.5
    model: Literal["werner", "printed"] = "werner"

    def law(self, fidelity: np.ndarray) -> Law:
        """The law for links whose fresh pairs have the (m,) fidelities given, or (E, m), another row in each epoch."""
        decays = self.decay ** np.arange(self.lifetime + 2, dtype=np.float64)
        scale = np.atleast_2d(self.scale(fidelity))
        if self.model == "werner":
            shift, pair, end = 0.0, (0.75, 0.25), (0.75, 0.25)
        else:
            shift, pair, end = 0.25, (4.0 / 3.0, -1.0 / 3.0), (1.0, 0.0)
        floor = (self.min_fidelity - TOLERANCE - pair[1]) / pair[0] - shift  # of scale * decays
        last = _ages_kept(scale, decays[:-1], floor) - 1
        return Law(scale, shift, decays, self.lifetime, last, *pair, *end, float(self.quality(self.min_fidelity)))

    def scale(self, fidelity):
        """The part of a fresh pair's quality that decays, from its fidelity, elementwise."""
        return werner(fidelity) if self.model == "werner" else 0.75 * np.asarray(fidelity, dtype=np.float64)

    def quality(self, floor):
        """The least quality of a route that keeps a fidelity floor, elementwise."""
        slack = np.asarray(floor, dtype=np.float64) - TOLERANCE
        return werner(slack) if self.model == "werner" else slack


def _ages_kept(scale: np.ndarray, decays: np.ndarray, floor: float) -> np.ndarray:
    """How many ages from 0 on keep ``scale * decays >= floor``; decays descend, so that bisection finds it."""
    ages = len(decays)
    high = np.full(scale.shape, ages, dtype=np.int64)
    low = np.where(scale * decays[-1] >= floor, high, 0)
    while (low < high).any():
        middle = (low + high) // 2  # where both have met it may be out of range, and nothing changes
        kept = scale * decays[np.minimum(middle, ages - 1)] >= floor
        low, high = np.where(kept & (low < high), middle + 1, low), np.where(kept, high, middle)
    return low
