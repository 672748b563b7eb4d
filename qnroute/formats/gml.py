"""GML, read tolerantly: real files have parallel edges, repeated labels and bare words where none are allowed."""

from __future__ import annotations

import html
import re
from typing import Any

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.formats.attributes import graph_name, interpret
from qnroute.formats.raw import RawNetwork

Pairs = list[tuple[str, Any]]

_TOKEN = re.compile(r'"(?P<text>[^"]*)"|(?P<open>\[)|(?P<close>\])|(?P<word>[^\s\[\]"]+)|(?P<stray>")')
_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def read_gml(text: str, name: str) -> RawNetwork:
    """The network in a GML text."""
    graph = next((value for key, value in parse_gml(text) if key == "graph" and isinstance(value, list)), None)
    if graph is None:
        raise ProblemError("found no 'graph [ ... ]' in the GML text")
    about = _free(graph)
    faults: list[str] = []
    nodes = _blocks(graph, "node", ("id",), faults)
    links = _blocks(graph, "edge", ("source", "target"), faults)
    if faults:
        raise ProblemError(faults)
    return interpret(
        graph_name(about, name),
        ((str(row.pop("id")), row) for row in nodes),
        ((str(row.pop("source")), str(row.pop("target")), row) for row in links),
        directed=about.get("directed") == 1,
    )


def parse_gml(text: str) -> Pairs:
    """The key-value pairs of a GML text; a value is a number, a string or a list of pairs.

    Raises
    ------
    ProblemError
        With the line, where brackets or quotes do not match or a key is not a name.
    """
    text = _COMMENT.sub("", text)  # keeps the line breaks, so that line numbers stay right
    stack: list[Pairs] = [[]]
    key: str | None = None
    for token in _TOKEN.finditer(text):
        kind, found = token.lastgroup, token.group(token.lastgroup)
        if kind == "stray":
            raise _fault(text, token, "a quotation mark without its second")
        if kind == "close":
            if key is not None or len(stack) == 1:
                raise _fault(text, token, "']' where a value is expected" if key else "']' without its '['")
            stack.pop()
        elif key is None:
            if kind != "word" or not (found[0].isalpha() or found[0] == "_"):
                raise _fault(text, token, f"{fields.brief(token.group())} where a name is expected")
            key = found
        else:
            value: Any = [] if kind == "open" else html.unescape(found) if kind == "text" else _scalar(found)
            stack[-1].append((key, value))
            key = None
            if kind == "open":
                stack.append(value)
    if len(stack) > 1 or key is not None:
        raise ProblemError("the GML text ends before it is complete")
    return stack[0]


def _fault(text: str, token: re.Match[str], found: str) -> ProblemError:
    line = text.count("\n", 0, token.start()) + 1
    return ProblemError(f"line {line}: not GML: found {found}")


def _scalar(word: str) -> int | float | str:
    if not _NUMBER.fullmatch(word):
        return word
    return int(word) if word.lstrip("+-").isdigit() and len(word) < 300 else float(word)


def _blocks(graph: Pairs, kind: str, required: tuple[str, ...], faults: list[str]) -> list[dict[str, Any]]:
    """All blocks of one kind; each must have the `required` keys."""
    rows = [_free(value) if isinstance(value, list) else {} for key, value in graph if key == kind]
    for i, row in enumerate(rows):
        faults += [f"{kind} {i + 1} of the file: no {name}" for name in required if name not in row]
    return rows


def _free(pairs: Pairs) -> dict[str, Any]:
    """The plain values of a block; where a key is repeated the first counts."""
    return {key: value for key, value in reversed(pairs) if not isinstance(value, list)}
