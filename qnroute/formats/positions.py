"""Where the nodes stand: which positions to believe, and where to put a node that has none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnroute.formats.raw import RawNode, count, sample


def settle_positions(
    nodes: Sequence[RawNode], ends: Sequence[tuple[int, int]], names: Sequence[str], *, impute: bool
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Columns ``lat``, ``lon``, ``x``, ``y`` (NaN where unknown), and what was dropped, imputed or is missing.

    With `impute`, a node without a position whose neighbours have at least two different ones is put at their mean: a
    junction (hyper-edge) stands somewhere between its members anyway.
    """
    columns = {axis: _column([getattr(node, axis) for node in nodes]) for axis in ("lat", "lon", "x", "y")}
    lat, lon = columns["lat"], columns["lon"]
    nowhere = (lat == 0) & (lon == 0)
    outside = (np.abs(lat) > 90) | (np.abs(lon) > 180)
    lat[nowhere | outside | np.isnan(lon)] = np.nan
    lon[np.isnan(lat)] = np.nan

    def noted(text: str, chosen: np.ndarray) -> list[str]:
        found = [names[i] for i in np.flatnonzero(chosen)]
        return [f"{text.format(count(len(found), 'node'))}: {sample(found)}"] if found else []

    notes = noted("dropped: the position 0, 0 of {}", nowhere)
    notes += noted("dropped: the position of {}, not on the globe", outside)
    missing = np.isnan(lat)
    if impute:
        _between_neighbours(lat, lon, ends)
    placed = missing & ~np.isnan(lat)
    notes += noted("imputed: the position of {}, between the neighbours", placed)
    planar = ~np.isnan(columns["x"]) & ~np.isnan(columns["y"])
    unknown = np.isnan(lat) & ~planar
    notes += ["missing: all positions"] if unknown.all() else noted("missing: the position of {}", unknown)
    junctions = np.array([node.junction for node in nodes], dtype=bool)
    notes += noted("doubtful: {} standing for a link of more than two sites, kept as a node that swaps", junctions)
    return columns, notes


def _column(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _between_neighbours(lat: np.ndarray, lon: np.ndarray, ends: Sequence[tuple[int, int]]) -> None:
    """Fill in missing positions that have two differently placed neighbours; one pass, in place."""
    around: dict[int, set[tuple[float, float]]] = {}
    for pair in ends:
        for here, there in (pair, pair[::-1]):
            if np.isnan(lat[here]) and not np.isnan(lat[there]):
                around.setdefault(here, set()).add((lat[there], lon[there]))
    for node, places in around.items():
        if len(places) > 1:
            lat[node], lon[node] = _middle(np.radians(sorted(places)))


def _middle(points: np.ndarray) -> tuple[float, float]:
    """Mean of points (k, 2) on the globe, by way of space, so that the date line is no seam; in degrees."""
    north, east = points.T
    x, y, z = np.mean([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=1)
    lat, lon = np.degrees([np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x)]).round(4)
    return float(lat), float(lon)
