"""SNDlib networks (https://sndlib.put.poznan.pl), in the native text format and as XML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.formats.raw import RawDemand, RawLink, RawNetwork, number
from qnroute.formats.sndlib_positions import place_nodes

NOT_USED = "not used: capacities, costs and admissible paths"

_NAME = re.compile(r"^#\s*network\s+(\S+)\s*$", re.MULTILINE)
_OPENS = re.compile(r"([A-Z_]+)\s*\($")
_NODE = re.compile(r"(\S+)(?:\s*\(\s*(\S+)\s+(\S+)\s*\))?$")
_LINK = re.compile(r"(\S+)\s*\(\s*(\S+)\s+(\S+)\s*\)")
_DEMAND = re.compile(r"(\S+)\s*\(\s*(\S+)\s+(\S+)\s*\)\s+\S+\s+(\S+)")
_EXPECTED = {
    "META": (re.compile(r".*"), "anything"),
    "NODES": (_NODE, "id ( longitude latitude )"),
    "LINKS": (_LINK, "id ( source target ) ..."),
    "DEMANDS": (_DEMAND, "id ( source target ) unit value ..."),
}


def read_sndlib_native(text: str, name: str) -> RawNetwork:
    """The network in an SNDlib text; demands come with it."""
    rows = _sections(text)
    if not rows["NODES"]:
        raise ProblemError("found no NODES section with nodes in the SNDlib text")
    named = _NAME.search(text)
    name = named[1] if named else name
    about = "\n".join(match[0] for match in rows["META"])
    points = [(m[1], m[2] and (_numeric(m[2], m[1]), _numeric(m[3], m[1]))) for m in rows["NODES"]]
    nodes, notes = place_nodes(name, points, about=about)
    links = [RawLink(m[2], m[3]) for m in rows["LINKS"]]
    demands = [RawDemand(m[1], m[2], m[3], _numeric(m[4], m[1])) for m in rows["DEMANDS"]]
    return RawNetwork(name, nodes, links, demands, [*notes, NOT_USED], directed=True)


def read_sndlib_xml(root: Element, name: str) -> RawNetwork:
    """The network in an SNDlib XML document; demands come with it."""
    faults: list[str] = []
    nodes_part = root.find("networkStructure/nodes")
    declared = "" if nodes_part is None else nodes_part.get("coordinatesType", "")
    points = [(_attribute(element, "id", faults), _point(element)) for element in root.iter("node")]
    ends = [_ends(element, faults) for element in root.iterfind("networkStructure/links/link")]
    demands = [
        RawDemand(*_identified(element, faults), _demand_value(element, faults)) for element in root.iter("demand")
    ]
    if not points:
        faults.append("found no nodes in the SNDlib document")
    if faults:
        raise ProblemError(faults)
    about = " ".join(element.text or "" for element in root.iterfind("meta/*"))
    nodes, notes = place_nodes(name, points, declared=declared, about=about)
    return RawNetwork(name, nodes, [RawLink(*pair) for pair in ends], demands, [*notes, NOT_USED], directed=True)


def _sections(text: str) -> dict[str, list[re.Match[str]]]:
    """The rows of each section, matched; sections that are not needed are passed over."""
    rows: dict[str, list[re.Match[str]]] = {section: [] for section in _EXPECTED}
    section, depth = "", 0
    for i, line in enumerate(text.splitlines()):
        line = line.strip()
        if not line or line[0] in "#?":
            continue
        if depth == 0:
            opening = _OPENS.match(line)
            if not opening:
                raise ProblemError(f"line {i + 1}: not SNDlib: found {fields.brief(line)}, expected a section")
            section, depth = opening[1], 1
            continue
        # the rows of META are free text and may hold any brackets
        depth += -(line == ")") if section == "META" else line.count("(") - line.count(")")
        if section in rows and depth > 0:
            pattern, expected = _EXPECTED[section]
            match = pattern.match(line)
            if not match:
                raise ProblemError(f"line {i + 1}: found {fields.brief(line)}, expected {expected} in {section}")
            rows[section].append(match)
    if depth > 0:
        raise ProblemError(f"the SNDlib text ends before its section {fields.brief_name(section)} is complete")
    return rows


def _numeric(text: str, where: str) -> float:
    value = number(text)
    if value is None:
        raise ProblemError(f"{fields.brief_name(where)}: found {fields.brief(text)}, expected a number")
    return value


def _point(element: Element) -> tuple[float, float] | None:
    x, y = (number(element.findtext(f"coordinates/{axis}")) for axis in "xy")
    return None if x is None or y is None else (x, y)


def _attribute(element: Element, name: str, faults: list[str]) -> str:
    value = element.get(name)
    if not value:
        faults.append(f"a <{element.tag}> without {name}")
    return value or ""


def _ends(element: Element, faults: list[str]) -> tuple[str, str]:
    source, target = ((element.findtext(end) or "").strip() for end in ("source", "target"))
    if not source or not target:
        faults.append(f"<{element.tag}> {fields.brief_name(element.get('id', '?'))}: no source or no target")
    return source, target


def _identified(element: Element, faults: list[str]) -> Iterator[str]:
    yield _attribute(element, "id", faults)
    yield from _ends(element, faults)


def _demand_value(element: Element, faults: list[str]) -> float:
    text = element.findtext("demandValue")
    value = number(text)
    if value is None:
        faults.append(f"<demand> {fields.brief_name(element.get('id', '?'))}: no number as its demandValue")
    return value or 0.0
