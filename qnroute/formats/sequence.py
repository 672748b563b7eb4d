"""Network files of the simulator SeQUeNCe (X. Wu et al., Quantum Sci. Technol. 6, 045027, 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.formats.raw import RawLink, RawNetwork, RawNode, number


def read_sequence(document: Mapping[str, Any], name: str) -> RawNetwork:
    """The network in a decoded SeQUeNCe document: quantum connections, distances in m, attenuation in dB/m."""
    faults: list[str] = []
    nodes = [_node(row, f"nodes[{i}]", faults) for i, row in enumerate(_rows(document, "nodes", faults))]
    connections = _rows(document, "qconnections", faults)
    links = [_link(row, f"qconnections[{e}]", faults) for e, row in enumerate(connections)]
    if faults:
        raise ProblemError(faults)
    return RawNetwork(name, nodes, links, notes=["not used: classical connections and simulation settings"])


def _node(row: Any, where: str, faults: list[str]) -> RawNode:
    own = {} if row.get("memo_size") is None else {"memory": row["memo_size"]}
    return RawNode(_name(row, "name", where, faults), own=own)


def _link(row: dict[str, Any], where: str, faults: list[str]) -> RawLink:
    metres, db_per_m = number(row.get("distance")), number(row.get("attenuation"))
    loss = None if metres is None or db_per_m is None else metres * db_per_m
    ends = (_name(row, end, where, faults) for end in ("node1", "node2"))
    return RawLink(*ends, length_km=None if metres is None else metres / 1000, loss_db=loss)


def _name(row: dict[str, Any], field: str, where: str, faults: list[str]) -> str:
    found = row.get(field)
    if not isinstance(found, str) or not found:
        faults.append(f"{where}.{field}: found {fields.brief(found)}, expected the name of a node")
        return ""
    return found


def _rows(document: Mapping[str, Any], where: str, faults: list[str]) -> list[dict[str, Any]]:
    rows = document.get(where)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        faults.append(f"{where}: found {fields.brief(rows)}, expected a list of objects")
        return []
    return rows
