"""The contract's files as pydantic sees them, and all faults of a document at once."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Annotated, Any

import pydantic
from annotated_types import MaxLen

from qnroute import fields
from qnroute.columns import structure_faults
from qnroute.errors import ProblemError
from qnroute.network import Link, Network, Node
from qnroute.problem import Objective, Request, Rules, request_faults, task_faults

_in_file = pydantic.dataclasses.dataclass(kw_only=True, frozen=True, config=pydantic.ConfigDict(extra="forbid"))

Name = Annotated[str, MaxLen(fields.LONGEST_ID)]


@_in_file
class NetworkPart:
    """The contract's ``network`` object."""

    nodes: list[Node]
    links: list[Link]
    name: Name = ""


@_in_file
class NetworkFile(NetworkPart):
    """A ``qnroute.network/1`` file: a network object that may carry its notes, with or without the tag."""

    format: str = ""
    notes: list[str] = ()


@_in_file
class ProblemFile:
    """A ``qnroute.problem/1`` file; `task` is left to `task_faults`."""

    format: str
    network: NetworkPart
    requests: list[Request] = ()
    objective: Objective = Objective()
    rules: Rules = Rules()
    task: Any = "allocation"
    name: Name = ""


def validate(schema: type, document: Any, *, faults: list[str]) -> Any:
    """`document` as a `schema`, or every fault in it: of single values, and between rows.

    Parameters
    ----------
    schema
        `ProblemFile` or `NetworkFile`.
    document
        Decoded JSON.
    faults
        Those found already, to be reported with the others.

    Raises
    ------
    ProblemError
        With all faults.
    """
    found, value = list(faults), None
    try:
        value = _adapter(schema).validate_python(document)
    except pydantic.ValidationError as error:
        found += [_DICTIONARY.sub("an object", fault) for fault in fields.faults_of(error)]
    if schema is ProblemFile:
        found += _between_rows(document)
    else:
        found += structure_faults(*_ids_and_ends(document))
    if found:
        raise ProblemError(found)
    return value


def network_of(part: NetworkPart, notes: tuple[str, ...] = ()) -> Network:
    """The network that a validated part describes."""
    return Network(part.nodes, part.links, name=part.name, notes=notes)


_DICTIONARY = re.compile(r"a dictionary or an instance of \w+")  # pydantic's words for an object


@functools.cache
def _adapter(schema: type) -> pydantic.TypeAdapter:
    return pydantic.TypeAdapter(schema)


def _between_rows(document: Any) -> Iterator[str]:
    """Faults between the rows of a raw problem document, whatever else is wrong with it."""
    if not isinstance(document, dict):
        return
    ids, ends = _ids_and_ends(document.get("network"))
    yield from (f"network.{fault}" for fault in structure_faults(ids, ends))
    requests = _rows(document, "requests")
    known = {node for node in ids if isinstance(node, str)}
    asked = [(row.get("id"), row.get("source"), row.get("target")) for row in requests]
    yield from request_faults(known, asked)
    yield from task_faults(document.get("task", "allocation"), len(requests))


def _ids_and_ends(network: Any) -> tuple[list[Any], list[tuple[Any, Any]]]:
    nodes, links = _rows(network, "nodes"), _rows(network, "links")
    return [row.get("id") for row in nodes], [(row.get("source"), row.get("target")) for row in links]


def _rows(table: Any, name: str) -> list[dict[str, Any]]:
    """The rows of a raw list; what is not an object stands as an empty one, so that places keep their numbers."""
    rows = table.get(name) if isinstance(table, dict) else None
    return [row if isinstance(row, dict) else {} for row in rows] if isinstance(rows, list) else []
