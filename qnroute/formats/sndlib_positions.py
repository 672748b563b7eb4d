"""What the coordinates of an SNDlib network are: the files themselves do not say it reliably."""

from __future__ import annotations

from collections.abc import Sequence

from qnroute.formats.raw import RawNode, count

Position = tuple[float, float]  # x or longitude, y or latitude

IN_MINUTES = ("dfn-bwin", "nobel-eu", "nobel-us", "pdh")  # known to write degrees.minutes: 52.22 is 52 deg 22 min
ENOUGH = 10  # positions from which a pattern in all of them is no accident


def place_nodes(
    name: str, nodes: Sequence[tuple[str, Position | None]], *, declared: str = "", about: str = ""
) -> tuple[list[RawNode], list[str]]:
    """Nodes with their positions as degrees or in a plane, and the notes that explain the choice.

    Parameters
    ----------
    name
        Of the network.
    nodes
        Key and position of each.
    declared
        The kind of coordinates the file declares (``geographical``, ``pixel``), if it does.
    about
        The file's own description of its origin.
    """
    given = [position for _, position in nodes if position is not None]
    reason = _planar_because(given, declared, about)
    if reason:
        made = [RawNode(key, x=xy[0], y=xy[1]) if xy else RawNode(key) for key, xy in nodes]
        return made, [f"read: positions as points of a plane, not degrees, because {reason}"]
    notes = []
    if _may_be_minutes(given):
        if name in IN_MINUTES:
            nodes = [(key, xy and (_from_minutes(xy[0]), _from_minutes(xy[1]))) for key, xy in nodes]
            notes = [f"read: positions as degrees.minutes ({name} is known to write them so), made decimal"]
        elif len(given) >= ENOUGH:
            notes = ["doubtful: no position has a fraction of .60 or more; they may be degrees.minutes"]
    return [RawNode(key, lat=xy[1], lon=xy[0]) if xy else RawNode(key) for key, xy in nodes], notes


def _planar_because(given: Sequence[Position], declared: str, about: str) -> str:
    if declared == "pixel":
        return "the file says pixel"
    if "chosen arbitrarily" in about:
        return "the file says that they are chosen arbitrarily"
    outside = sum(abs(x) > 180 or abs(y) > 90 for x, y in given)
    if outside:
        return f"{count(outside, 'position')} of {len(given)} would be off the globe"
    if len(given) >= ENOUGH and all(x == int(x) and y == int(y) for x, y in given) and len(set(given)) > 1:
        return "all are whole numbers"
    return ""


def _may_be_minutes(given: Sequence[Position]) -> bool:
    hundredths = [round(abs(value) * 100, 6) for position in given for value in position]
    return all(value == int(value) and value % 100 < 60 for value in hundredths) and bool(given)


def _from_minutes(value: float) -> float:
    degrees, minutes = divmod(round(abs(value) * 100), 100)
    decimal = round(degrees + minutes / 60, 6)
    return decimal if value >= 0 else -decimal
