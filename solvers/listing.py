"""Every route above a price for each request, as far as there is room for them."""

from __future__ import annotations

import numpy as np

from qnroute.completion import Prices
from qnroute.pricing import ALL, THOROUGH, Priced, Pricer, joined
from qnroute.settings import Settings

_LABELS = 20_000_000  # partial paths held at most
_FEWEST_LABELS, _MOST_LABELS = 2_000, 500_000  # of one request
_MORE = 8  # times as many for requests that need more


def listed(
    pricer: Pricer, prices: Prices, floor: np.ndarray, near: Priced, settings: Settings, *, max_routes: int,
    slight: float,
) -> Priced | None:  # fmt: skip
    """Routes above the floors (K,), little room for each request at first, more for those in need; None if out of time.

    Parameters
    ----------
    near
        What a search for the best routes found; only requests that have some above the floor are looked at.
    max_routes
        Listed in all, or a little more.
    slight
        By how much `rest` may exceed the floor where nothing was left out.
    """
    most, among, rest, labels = max_routes, np.flatnonzero(near.most > floor), floor.copy(), _FEWEST_LABELS
    parts = [near.of(among[:0])]
    while len(among):
        share = min(_LABELS // len(among), _MOST_LABELS)
        last = labels * _MORE >= share
        priced = pricer.search(
            prices, floor, settings, among=among, count=max(most // len(among), 1),
            effort=THOROUGH if last else ALL, max_labels=max(share, _FEWEST_LABELS) if last else labels,
        )  # fmt: skip
        if priced is None:
            return None
        cut = among[priced.rest[among] > floor[among] + slight]
        rest[among] = priced.rest[among]
        parts.append(priced.of(np.setdiff1d(among, cut) if not last else among))
        most = max(most - len(parts[-1].request), 0)
        among, labels = (cut if not last else cut[:0]), labels * _MORE
    return joined(parts)._replace(rest=rest)
