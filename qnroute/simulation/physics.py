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

    The quality of a pair of link e, a slots old, is ``scale[e] * decays[a] + shift``; that of a route is the product
    over its pairs; a pre-positioned pair keeps ``decays[a]`` of its own. Fidelity is linear in quality.
    """

    scale: np.ndarray  # (m,)
    shift: float
    decays: np.ndarray  # (lifetime + 2,) rho^a, up to the age at which a pair goes
    lifetime: int
    last: np.ndarray  # (m,) int64: the age in slots up to which a pair is kept, -1 where it is never usable
    pair_slope: float  # fidelity of a pair = pair_slope * quality + pair_offset
    pair_offset: float
    end_slope: float  # the same of a route, and of a pre-positioned pair
    end_offset: float
    least: float  # quality that a pre-positioned pair must keep
    fresh: float  # the highest quality of any pair


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
        """The law for links whose fresh pairs have the (m,) fidelities given."""
        decays = self.decay ** np.arange(self.lifetime + 2, dtype=np.float64)
        if self.model == "werner":
            scale, shift, pair, end = werner(fidelity), 0.0, (0.75, 0.25), (0.75, 0.25)
        else:
            scale, shift, pair, end = 0.75 * np.asarray(fidelity), 0.25, (4.0 / 3.0, -1.0 / 3.0), (1.0, 0.0)
        floor = (self.min_fidelity - TOLERANCE - pair[1]) / pair[0] - shift  # of scale * decays
        kept = (scale[:, None] * decays[[0, -2]] >= floor).all(axis=1)
        last = np.where(kept, self.lifetime, -1)
        for link in np.flatnonzero(~kept):  # decays descend
            last[link] = np.searchsorted(-scale[link] * decays[:-1], -floor, side="right") - 1
        fresh = float((scale + shift).max(initial=0.0)) * (1.0 + 1e-12)  # products are rounded
        return Law(
            scale, shift, decays, self.lifetime, last, *pair, *end, float(self.quality(self.min_fidelity)), fresh
        )

    def quality(self, floor):
        """The least quality of a route that keeps a fidelity floor, elementwise."""
        slack = np.asarray(floor, dtype=np.float64) - TOLERANCE
        return werner(slack) if self.model == "werner" else slack
