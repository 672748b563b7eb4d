"""Node-link JSON, as `networkx.node_link_data` writes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.formats.attributes import graph_name, interpret
from qnroute.formats.raw import RawDemand, RawNetwork, number


def read_node_link(document: Mapping[str, Any], name: str) -> RawNetwork:
    """The network in a decoded node-link document; links stand under ``links`` or ``edges``."""
    faults: list[str] = []
    where = "links" if "links" in document else "edges"
    nodes = _rows(document, "nodes", faults)
    links = _rows(document, where, faults)
    keys = [_key(row.get("id", i), f"nodes[{i}].id", faults) for i, row in enumerate(nodes)]
    ends = [
        tuple(_key(row.get(end), f"{where}[{e}].{end}", faults) for end in ("source", "target"))
        for e, row in enumerate(links)
    ]
    if faults:
        raise ProblemError(faults)
    notes = []
    if not set(keys).issuperset(end for pair in ends for end in pair) and _are_indices(links, len(nodes)):
        ends = [(keys[row["source"]], keys[row["target"]]) for row in links]
        notes.append("read: the ends of links as places in the list of nodes")
    graph = document.get("graph")
    graph = graph if isinstance(graph, Mapping) else {}
    raw = interpret(
        graph_name(graph, name),
        zip(keys, ({k: v for k, v in row.items() if k != "id"} for row in nodes)),
        ((*pair, _free(row)) for pair, row in zip(ends, links)),
        directed=document.get("directed") is True,
        notes=notes,
    )
    return dataclasses.replace(raw, demands=_demands(graph.get("demands")))


def _rows(document: Mapping[str, Any], where: str, faults: list[str]) -> list[dict[str, Any]]:
    rows = document.get(where)
    if not isinstance(rows, list):
        faults.append(f"{where}: found {fields.brief(rows)}, expected a list of objects")
        return []
    faults += [
        f"{where}[{i}]: found {fields.brief(row)}, expected an object"
        for i, row in enumerate(rows)
        if not isinstance(row, dict)
    ]
    return [row for row in rows if isinstance(row, dict)]


def _key(value: Any, where: str, faults: list[str]) -> str:
    """A node's key as text: networkx takes any hashable, and JSON makes lists of tuples."""
    parts = value if isinstance(value, list) else [value]
    if not parts or not all(isinstance(part, (str, int, float)) for part in parts):
        faults.append(f"{where}: found {fields.brief(value)}, expected the name or number of a node")
        return ""
    return f"({', '.join(map(str, parts))})" if isinstance(value, list) else str(value)


def _are_indices(links: list[dict[str, Any]], n_nodes: int) -> bool:
    """Old versions of networkx (and of D3) number the nodes instead of naming them."""
    ends = [row[end] for row in links for end in ("source", "target")]
    return all(type(end) is int and 0 <= end < n_nodes for end in ends)


def _free(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("source", "target", "key")}


def _demands(rows: Any) -> list[RawDemand]:
    """Demands kept in the graph's attributes as rows of source, target and value."""
    made = []
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, list) and len(row) == 3 and (value := number(row[2])) is not None:
            made.append(RawDemand(f"D{len(made) + 1}", str(row[0]), str(row[1]), value))
    return made
