"""What the attributes of a foreign graph mean: positions, lengths, losses and the contract's own fields."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from qnroute.formats.raw import (
    DERIVED,
    GIVEN,
    GREAT_CIRCLE,
    LINK_FIELDS,
    NODE_FIELDS,
    RECALLED,
    UNKNOWN,
    VERIFIED,
    RawLink,
    RawNetwork,
    RawNode,
    count,
    number,
    sample,
)

Attributes = Mapping[str, Any]

# Spelled in lower case; the first one present counts.
LABEL = ("label", "name")
LATITUDE = ("lat", "latitude")
LONGITUDE = ("lon", "lng", "long", "longitude")
KILOMETRES = {"length_km": 1.0, "distance_km": 1.0, "dist_km": 1.0, "km": 1.0, "length_m": 1e-3, "distance_m": 1e-3}
NO_UNIT = ("length", "distance", "dist")  # read as km, and said so
LOSS_PER_KM = ("loss_db_per_km", "attenuation_db_per_km")
LENGTH_FROM = {
    **{word: word for word in (VERIFIED, RECALLED, DERIVED, GREAT_CIRCLE, UNKNOWN)},
    "haversine": GREAT_CIRCLE,
    "haversine-imputed": GREAT_CIRCLE,
}


def interpret(
    name: str,
    nodes: Iterable[tuple[str, Attributes]],
    links: Iterable[tuple[str, str, Attributes]],
    *,
    directed: bool = False,
    notes: Iterable[str] = (),
) -> RawNetwork:
    """The raw network of a graph whose nodes and links carry free attributes.

    Parameters
    ----------
    nodes
        Key and attributes of each.
    links
        Keys of both ends and attributes of each.
    directed
        Whether each connection stands there once per direction.
    notes
        What the reader has to say already.
    """
    reading = _Reading()
    read_nodes = [reading.node(key, attributes) for key, attributes in nodes]
    read_links = [reading.link(source, target, attributes) for source, target, attributes in links]
    return RawNetwork(name, read_nodes, read_links, notes=[*notes, *reading.notes()], directed=directed)


def graph_name(about: Attributes, default: str) -> str:
    """What a graph calls itself in its own attributes, else `default`."""
    named = {str(key).lower(): _text(value) for key, value in about.items()}
    return next((named[key] for key in ("label", "network", "name") if named.get(key)), default)


class _Reading:
    """One pass over a graph; remembers what deserves a note."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.used: set[str] = set()
        self.said: Counter[str] = Counter()  # what the file itself says of its positions
        self.external: list[str] = []

    def node(self, key: str, attributes: Attributes) -> RawNode:
        named = self._lower(attributes)
        label = _text(self._first(named, LABEL))
        lat, lon = (number(self._first(named, names)) for names in (LATITUDE, LONGITUDE))
        x, y = (number(self._first(named, (axis,))) for axis in "xy")
        if lat is None and lon is None:
            lon, lat = _pair(self._first(named, ("position",)))
        if x is None and y is None:
            x, y = _pair(self._first(named, ("pos",)))
        self.said[_text(self._first(named, ("coords",)))] += 1
        if number(self._first(named, ("internal",))) == 0:
            self.external.append(label or key)
        junction = self._first(named, ("hyperedge",)) in (1, "1")
        return RawNode(key, label, lat, lon, x, y, junction, self._own(attributes, NODE_FIELDS))

    def link(self, source: str, target: str, attributes: Attributes) -> RawLink:
        named = self._lower(attributes)
        length = None
        for name in (*KILOMETRES, *NO_UNIT):
            if length is None and (value := number(self._first(named, (name,)))) is not None:
                length = value * KILOMETRES.get(name, 1.0)
        loss, per_km = number(self._first(named, ("loss_db",))), number(self._first(named, LOSS_PER_KM))
        if loss is None and per_km is not None and length is not None:
            loss = per_km * length
        length_from = LENGTH_FROM.get(_text(self._first(named, ("length_from",))), GIVEN)
        return RawLink(source, target, length, length_from, loss, self._own(attributes, LINK_FIELDS))

    def notes(self) -> Iterable[str]:
        unitless = sorted(set(NO_UNIT) & self.used)
        if unitless:
            yield f"doubtful: the link attribute {unitless[0]!r} names no unit and was read as km"
        if "position" in self.used:
            yield "read: the node attribute 'position' as longitude, latitude"
        said = {word: times for word, times in self.said.items() if word not in ("", "given")}
        if said:
            words = [f"{times} {word}" for word, times in sorted(said.items())]
            yield f"doubtful: positions which the file itself calls otherwise than given: {sample(words)}"
        if self.external:
            yield f"kept: {count(len(self.external), 'node')} outside the network proper: {sample(self.external)}"
        unused = sorted(self.seen - self.used)
        if unused:
            yield f"not used: the attributes {sample(unused, shown=12)}"

    def _lower(self, attributes: Attributes) -> dict[str, Any]:
        named = {str(name).lower(): value for name, value in attributes.items()}
        self.seen.update(named)
        return named

    def _first(self, named: dict[str, Any], names: Iterable[str]) -> Any:
        for name in names:
            if named.get(name) is not None:
                self.used.add(name)
                return named[name]
        return None

    def _own(self, attributes: Attributes, names: Iterable[str]) -> dict[str, Any]:
        own = {name: attributes[name] for name in names if attributes.get(name) is not None}
        self.used.update(own)
        return own


_PAIR = re.compile(r"\s*[\[(]([^,]*),([^,]*)[\])]\s*")


def _pair(value: Any) -> tuple[float | None, float | None]:
    """Two numbers from a list, or from text such as ``[4.96, 52.42]``."""
    if isinstance(value, str) and (match := _PAIR.fullmatch(value)):
        value = match.groups()
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return number(value[0]), number(value[1])
    return None, None


def _text(value: Any) -> str:
    """A name as text; the word None, which some tools write for no name, is none."""
    text = str(value).strip() if isinstance(value, (str, int, float)) else ""
    return "" if text == "None" else text
