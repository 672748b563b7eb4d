"""Which format a file is in, and who reads it: the content decides, the name only where the content is silent."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.formats import json_text
from qnroute.formats.problems import problem_of
from qnroute.formats.raw import RawNetwork
from qnroute.formats.reading import decode_loosely
from qnroute.formats.schema import NetworkFile, network_of, validate
from qnroute.network import Network
from qnroute.problem import Problem

NETWORK_FORMAT = "qnroute.network/1"
READ = (
    "qnroute problem or network (JSON), node-link JSON, SeQUeNCe JSON, GML, GraphML, SNDlib (text or XML), TOTEM (XML)"
)

_STARTS = {"{": "json", "[": "json", "<": "xml"}
_LOOKS = {"sndlib": re.compile(r"^\?SNDlib|^\s*(?:NODES|LINKS)\s*\(\s*$", re.M), "gml": re.compile(r"\bgraph\s*\[")}
_SUFFIXES = {".json": "json", ".xml": "xml", ".graphml": "xml", ".gml": "gml"}


def read_content(content: bytes, *, name: str, suffix: str = "") -> RawNetwork | Network | Problem:
    """What a file holds: a foreign network as it stands there, or a network or problem in the contract's own words.

    Parameters
    ----------
    content
        Of the file.
    name
        For a network that does not say its own.
    suffix
        Of the file's name, such as ``.gml``.

    Raises
    ------
    ProblemError
        With the line or the field at fault; or that the format is not one of those read.
    """
    text, notes = decode_loosely(content)
    family = _family(text, suffix.lower())
    if family == "json":
        return _read_json(content, name)
    if family == "xml":
        return _read_xml(content, name)
    raw = _read_text(text, family, name)
    return dataclasses.replace(raw, notes=[*notes, *raw.notes])


def _family(text: str, suffix: str) -> str:
    start = text.lstrip()[:1]
    if not start:
        raise ProblemError("the file is empty")
    if start in _STARTS:
        return _STARTS[start]
    found = next((family for family, look in _LOOKS.items() if look.search(text)), None)
    if found is None and suffix not in _SUFFIXES:
        raise ProblemError(f"not a format that is read; these are: {READ}")
    return found or _SUFFIXES[suffix]


def _read_text(text: str, family: str, name: str) -> RawNetwork:
    if family == "gml":
        from qnroute.formats.gml import read_gml

        return read_gml(text, name)
    from qnroute.formats.sndlib import read_sndlib_native

    return read_sndlib_native(text, name)


def _read_xml(content: bytes, name: str) -> RawNetwork:
    from qnroute.formats.graphml import read_graphml
    from qnroute.formats.sndlib import read_sndlib_xml
    from qnroute.formats.totem import read_totem
    from qnroute.formats.xml_text import parse_xml

    readers = {"graphml": read_graphml, "network": read_sndlib_xml, "domain": read_totem}
    root = parse_xml(content)
    if root.tag not in readers:
        raise ProblemError(f"XML with the root <{root.tag[:60]}> is not a format that is read; these are: {READ}")
    return readers[root.tag](root, name)


def _read_json(content: bytes, name: str) -> RawNetwork | Network | Problem:
    from qnroute.formats.node_link import read_node_link
    from qnroute.formats.sequence import read_sequence

    document, faults = json_text.parse(content)
    if not isinstance(document, dict):
        raise ProblemError("not a format that is read: expected a JSON object, found a list")
    tag = document.get("format")
    if isinstance(tag, str) and tag.startswith("qnroute.problem"):
        return problem_of(document, faults)
    if "format" in document or _is_bare_network(document):
        return _network_of(document, faults)
    if faults:
        raise ProblemError(faults)
    if "qconnections" in document:
        return read_sequence(document, name)
    if "nodes" in document and ("links" in document or "edges" in document):
        return read_node_link(document, name)
    raise ProblemError(f"JSON without nodes and links is not a format that is read; these are: {READ}")


def _is_bare_network(document: Mapping[str, Any]) -> bool:
    """The contract's network object; what networkx writes says also whether it is directed, a multigraph, and more."""
    return {"nodes", "links"} <= set(document) and set(document).isdisjoint(("directed", "multigraph", "graph"))


def _network_of(document: Mapping[str, Any], faults: list[str]) -> Network:
    if document.get("format", NETWORK_FORMAT) != NETWORK_FORMAT:
        raise ProblemError(f"format: found {fields.brief(document['format'])}, expected {NETWORK_FORMAT!r}")
    file = validate(NetworkFile, document, faults=faults)
    return network_of(file, notes=tuple(file.notes))
