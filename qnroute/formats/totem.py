"""Topologies of the TOTEM toolbox: XML with a <domain>, its links once per direction."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from qnroute.errors import ProblemError
from qnroute.formats.raw import RawLink, RawNetwork, RawNode, number


def read_totem(root: Element, name: str) -> RawNetwork:
    """The topology of a TOTEM domain."""
    nodes = [_node(element) for element in root.iterfind("topology/nodes/node")]
    ends = [(_end(link, "from"), _end(link, "to")) for link in root.iterfind("topology/links/link")]
    faults = [] if nodes else ["found no topology/nodes/node in the TOTEM document"]
    faults += [f"node {i + 1} of the file: no id" for i, node in enumerate(nodes) if not node.key]
    faults += [f"link {e + 1} of the file: no from or no to" for e, pair in enumerate(ends) if "" in pair]
    if faults:
        raise ProblemError(faults)
    links = [RawLink(*pair) for pair in ends]
    return RawNetwork(name, nodes, links, notes=["not used: interfaces, capacities and routing metrics"], directed=True)


def _end(link: Element, side: str) -> str:
    element = link.find(side)
    return "" if element is None else element.get("node", "")


def _node(element: Element) -> RawNode:
    location = element.find("location")
    lat, lon = (None if location is None else number(location.get(axis)) for axis in ("latitude", "longitude"))
    label = (element.findtext("description") or "").strip()
    return RawNode(element.get("id", ""), label, lat, lon)
