"""What no cleaning can mend in a foreign network: broken references, and contract fields out of their range."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.formats.raw import RawNetwork
from qnroute.network import Link, Node


def require_sound(raw: RawNetwork) -> None:
    """Raise a `ProblemError` with all faults of what was read."""
    faults = [*_node_faults(raw), *_link_faults(raw)]
    if faults:
        raise ProblemError(faults)


def _node_faults(raw: RawNetwork) -> Iterator[str]:
    if not raw.nodes:
        yield "found no nodes"
    seen: set[str] = set()
    for node in raw.nodes:
        if node.key in seen:
            yield f"node {fields.brief_name(node.key)}: a second node with this id"
        seen.add(node.key)
        if node.own:
            yield from _record_faults(Node, f"node {fields.brief_name(node.label or node.key)}", id="any", **node.own)


def _link_faults(raw: RawNetwork) -> Iterator[str]:
    known = {node.key for node in raw.nodes}
    for e, link in enumerate(raw.links):
        for side, end in (("source", link.source), ("target", link.target)):
            if end not in known:
                yield f"link {e + 1} of the file: its {side} {fields.brief(end)} is no node"
        if link.own:
            where = f"link {fields.brief_name(link.source)}-{fields.brief_name(link.target)}"
            yield from _record_faults(Link, where, **{"source": "any", "target": "other", "p": 1.0, **link.own})


def _record_faults(kind: type, where: str, **row: Any) -> list[str]:
    """Faults of contract fields as the record itself finds them."""
    try:
        kind(**row)
    except ProblemError as error:
        return [f"{where}{fault.removeprefix(kind.__name__)}" for fault in error.faults]
    return []
