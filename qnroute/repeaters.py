"""Repeater stations on links that are too long: each such link becomes a chain of equal segments."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.fields import UNLIMITED, Positive, checked
from qnroute.hardware import WORTHLESS, AnyPreset, Preset
from qnroute.network import LINK_COLUMNS, NODE_COLUMNS, Network

MOST_STATIONS = 1_000_000
_ROOM = fields.LONGEST_ID // 2 - 20  # characters of each end that leave a station's name within bounds


@checked
def insert_repeaters(
    network: Network, every_km: Positive, preset: AnyPreset, *, slot_s: Positive | None = None
) -> Network:
    """Split every link longer than `every_km` by new nodes, at most `every_km` apart.

    A link of length L becomes ``ceil(L / every_km)`` segments of equal length. The stations between them are called
    after the link ("A~B.1" is the one nearest to A), stand on the great circle (or the straight line) between its
    ends, have no memory limit and swap as the preset does. The segments inherit the channels; p, fidelity and loss
    come from the preset, a score does not carry over. All other links and nodes stay as they are: to build those with
    the same hardware, too, use ``preset.apply`` on the result.

    Parameters
    ----------
    every_km
        Longest segment, in km of link length.
    preset
        A `Preset` or its name.
    slot_s
        Length of a slot in seconds; the preset's own if not given.

    Returns
    -------
    Network
        Its notes say how many stations were put on how many links, and which links have no known length.

    Raises
    ------
    ProblemError
        `every_km` is not a positive number, asks for more than a million stations, or leaves segments that are
        still too long for the preset; no such preset.
    """
    slot = slot_s or preset.slot_s
    segments = _segments(network.length_km, every_km)
    cut = _cut(network, segments)
    return Network.from_columns(
        [*network.node_ids, *_names(network, segments)],
        cut.source,
        cut.target,
        name=network.name,
        notes=[*network.notes, *_notes(network, segments, every_km, preset, slot)],
        **_node_columns(network, cut, preset),
        **_link_columns(network, cut, preset, every_km, slot),
    )


def sites(network: Network) -> list[str]:
    """The ids of all nodes but the `stations`: nobody asks for entanglement at those."""
    return [name for name, station in zip(network.node_ids, stations(network).tolist()) if not station]


def stations(network: Network) -> np.ndarray:
    """(n,) bool: the nodes that `insert_repeaters` put there, told by their names and their two links."""
    ends = {name[:_ROOM] for name in network.node_ids}
    degree = np.bincount(np.concatenate([network.source, network.target]), minlength=network.n_nodes)
    named = [_between_ends(name, ends) for name in network.node_ids]
    return np.array(named, dtype=bool) & (degree == 2)


def _between_ends(name: str, ends: set[str]) -> bool:
    """Whether a name says, as "A~B.1" does, that its node stands between two of the `ends`."""
    pair, _, number = name.rpartition(".")
    tildes = [i for i, letter in enumerate(pair) if letter == "~"] if number.isdecimal() else []
    return any(pair[:i] in ends and pair[i:].lstrip("~") in ends for i in tildes)


class _Cut(NamedTuple):
    """The segments, link by link, each from `source` to `target`; stations are numbered after the old nodes."""

    link: np.ndarray  # which link it is a part of
    step: np.ndarray  # segments of that link before it
    pieces: np.ndarray  # segments of that link in all
    source: np.ndarray
    target: np.ndarray


def _cut(network: Network, segments: np.ndarray) -> _Cut:
    link = np.repeat(np.arange(network.n_links), segments)
    step = np.arange(len(link)) - (np.cumsum(segments) - segments)[link]
    pieces = segments[link]
    before = network.n_nodes + (np.cumsum(segments - 1) - segments)[link] + step  # one less than the station ahead
    source = np.where(step == 0, network.source[link], before)
    target = np.where(step == pieces - 1, network.target[link], before + 1)
    return _Cut(link, step, pieces, source, target)


def _link_columns(network: Network, cut: _Cut, preset: Preset, every_km: float, slot: float) -> dict[str, np.ndarray]:
    columns = {name: getattr(network, name)[cut.link] for name in LINK_COLUMNS}
    columns["length_km"] = columns["length_km"] / cut.pieces
    split = cut.pieces > 1
    made = preset.link(columns["length_km"][split], slot_s=slot)
    if not np.all((made.p > 0) & (made.fidelity > WORTHLESS)):
        raise ProblemError(
            f"every_km: found {every_km:g}, expected segments short enough for {preset.id} to give pairs"
        )
    columns["p"][split], columns["fidelity"][split] = made.p, made.fidelity
    columns["loss_db"][split], columns["score"][split] = made.loss_db, np.nan
    return columns


def _node_columns(network: Network, cut: _Cut, preset: Preset) -> dict[str, np.ndarray]:
    """Old nodes as they were, then the stations, each at the head of a segment."""
    starts = cut.step > 0
    link, share = cut.link[starts], cut.step[starts] / cut.pieces[starts]
    stations = {"memory": UNLIMITED, "degree": UNLIMITED, "swap": preset.swap, **_places(network, link, share)}
    columns = {name: getattr(network, name) for name in NODE_COLUMNS}
    return {
        name: np.concatenate([old, np.broadcast_to(stations[name], link.shape).astype(old.dtype)])
        for name, old in columns.items()
    }


def _segments(length_km: np.ndarray, every_km: float) -> np.ndarray:
    """(m,) pieces each link is cut into; 1 for short links and those of unknown length."""
    with np.errstate(over="ignore"):  # an infinite number of stations is refused like any other that is too large
        pieces = np.ceil(np.nan_to_num(length_km, nan=0.0) / every_km)
    stations = np.maximum(pieces - 1, 0).sum()
    if not stations <= MOST_STATIONS:
        raise ProblemError(
            f"every_km: found {every_km:g}, which asks for {stations:.3g} stations, expected {MOST_STATIONS} at most"
        )
    return np.maximum(pieces, 1).astype(np.int64)


def _names(network: Network, segments: np.ndarray) -> list[str]:
    """Names of the stations, link by link; a tilde more where a node has the name already."""
    taken, names = set(network.node_ids), []
    for e in np.flatnonzero(segments > 1):
        ends = network.node_ids[network.source[e]][:_ROOM], network.node_ids[network.target[e]][:_ROOM]
        between = "~"
        while not taken.isdisjoint(new := [f"{between.join(ends)}.{i}" for i in range(1, segments[e])]):
            between += "~"
        taken.update(new)
        names += new
    return names


def _places(network: Network, link: np.ndarray, share: np.ndarray) -> dict[str, np.ndarray]:
    """Coordinates at `share` of the way along each `link`; NaN where an end has none."""
    source, target = network.source[link], network.target[link]
    ends = [np.radians([network.lat[side], network.lon[side]]) for side in (source, target)]
    lat, lon = np.degrees(_on_great_circle(*ends, share))
    straight = {name: _between(getattr(network, name), source, target, share) for name in ("x", "y")}
    return {"lat": lat, "lon": lon, **straight}


def _between(column: np.ndarray, source: np.ndarray, target: np.ndarray, share: np.ndarray) -> np.ndarray:
    return column[source] * (1 - share) + column[target] * share


def _on_great_circle(start: np.ndarray, end: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(2, k) latitudes and longitudes in radians at `share` of the shorter arc from `start` to `end`."""
    a, b = _unit_vector(*start), _unit_vector(*end)
    angle = np.arctan2(np.linalg.norm(np.cross(a, b, axis=0), axis=0), np.sum(a * b, axis=0))
    # weights of spherical interpolation; ends that coincide (or are opposite) have none, and the chord serves
    arc = np.sin(angle) > 1e-12
    sine = np.where(arc, np.sin(angle), 1.0)
    x, y, z = np.where(arc, np.sin((1 - share) * angle) / sine, 1 - share) * a + (
        np.where(arc, np.sin(share * angle) / sine, share) * b
    )
    return np.array([np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x)])


def _unit_vector(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    return np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _notes(network: Network, segments: np.ndarray, every_km: float, preset: Preset, slot: float) -> list[str]:
    notes = [
        f"repeater stations inserted: {(segments - 1).sum()}, on links longer than {every_km:g} km: "
        f"{(segments > 1).sum()}; their segments built with hardware preset {preset.id}, slot {slot:g} s"
    ]
    unknown = np.flatnonzero(np.isnan(network.length_km))
    return notes + ([f"length unknown, no stations: {network.link_names(unknown)}"] if unknown.size else [])
