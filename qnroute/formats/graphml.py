"""GraphML."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.formats.attributes import graph_name, interpret
from qnroute.formats.raw import RawNetwork

_NUMERIC = {"int": int, "integer": int, "long": int, "float": float, "double": float}


def read_graphml(root: Element, name: str) -> RawNetwork:
    """The first graph of a GraphML document, nested graphs included."""
    graph = root.find("graph")
    if graph is None:
        raise ProblemError("found no <graph> in the GraphML document")
    if graph.find(".//hyperedge") is not None:
        raise ProblemError("holds a <hyperedge>, which is not read; give it as a node with links to its members")
    faults: list[str] = []
    keys = _Keys(root, faults)
    nodes = [(element.get("id"), element) for element in graph.iter("node")]
    links = [(element.get("source"), element.get("target"), element) for element in graph.iter("edge")]
    faults += [f"node {i + 1} of the file: no id" for i, (key, _) in enumerate(nodes) if key is None]
    faults += [f"edge {e + 1} of the file: no source or no target" for e, row in enumerate(links) if None in row[:2]]
    read_nodes = [(key, keys.data(element)) for key, element in nodes]
    read_links = [(source, target, keys.data(element)) for source, target, element in links]
    about = keys.data(graph)
    if faults:
        raise ProblemError(faults)
    return interpret(
        graph_name(about, name),
        read_nodes,
        read_links,
        directed=graph.get("edgedefault") == "directed",
    )


class _Keys:
    """The attributes that a document declares: their names, types and defaults."""

    def __init__(self, root: Element, faults: list[str]):
        self.faults = faults
        self.keys = {key.get("id"): key for key in root.iter("key")}
        self.defaults: dict[str, dict[str, Any]] = {"graph": {}, "node": {}, "edge": {}}
        for key in self.keys.values():
            default = key.find("default")
            domain = key.get("for", "all")
            for tag in self.defaults if domain == "all" else [domain] if domain in self.defaults else ():
                if default is not None:
                    self.defaults[tag][_called(key)] = self._value(key, default.text, key)

    def data(self, element: Element) -> dict[str, Any]:
        """The attributes of a graph, node or edge: its own, and the defaults of those it leaves out."""
        found = dict(self.defaults[element.tag])
        for data in element.iterfind("data"):
            key = self.keys.get(data.get("key"))
            if key is not None:
                found[_called(key)] = self._value(key, data.text, element)
        return found

    def _value(self, key: Element, text: str | None, element: Element) -> Any:
        kind = key.get("attr.type", "string")
        text = (text or "").strip()
        if kind == "boolean":
            return text.lower() in ("true", "1")
        try:
            return _NUMERIC[kind](text) if kind in _NUMERIC else text
        except ValueError:
            where = element.get("id") or f"{element.get('source')}-{element.get('target')}"
            place = f"{element.tag} {fields.brief_name(where)}: {fields.brief_name(_called(key))}"
            self.faults.append(f"{place}: found {fields.brief(text)}, expected a value of type {kind}")
            return None


def _called(key: Element) -> str:
    return key.get("attr.name") or key.get("id") or ""
