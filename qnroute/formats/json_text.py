"""JSON in and out: decoding that refuses what plain `json` lets pass, and files with one row on a line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.formats.reading import decode

WIDE = 100  # characters from which a list of plain values stands one on a line
LONGEST_NUMBER = 300  # digits; a longer integer counts as infinite, as 1e999 does


def parse(content: bytes | str) -> tuple[Any, list[str]]:
    """Decode a JSON document; give it back with one fault for each field that an object gives twice.

    Numbers out of range come through as infinite, so that whoever validates can name their field.

    Raises
    ------
    ProblemError
        When the text is no JSON document, with line and column.
    """
    text = decode(content)
    if not text.strip():
        raise ProblemError("the file is empty, expected JSON")
    repeats: list[_Repeating] = []

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) < len(pairs):
            row = _Repeating(row, Counter(name for name, _ in pairs))
            repeats.append(row)
        return row

    try:
        document = json.loads(text, object_pairs_hook=made, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise ProblemError(f"line {error.lineno}, column {error.colno}: {_complaint(error)}") from None
    except RecursionError:
        raise ProblemError("not read: lists and objects are nested too deeply") from None
    return document, list(_repeat_faults(document)) if repeats else []


def render(document: Mapping[str, Any]) -> str:
    """JSON text of a document whose tables (lists of objects) stand one row on a line."""
    return _render(document, "") + "\n"


class _Repeating(dict):
    """A JSON object that gave some field more than once; `times` counts every field."""

    def __init__(self, row: dict[str, Any], times: Counter[str]):
        super().__init__(row)
        self.times = times


def _repeat_faults(document: Any) -> Iterator[str]:
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    while stack:
        steps, value = stack.pop()
        if isinstance(value, _Repeating):
            for name in (name for name, count in value.times.items() if count > 1):
                yield f"{fields.place('', *steps, name)}: given {value.times[name]} times, expected once"
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        stack += [((*steps, step), part) for step, part in inner if isinstance(part, (dict, list))][::-1]


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_NUMBER else float(digits)


def _complaint(error: json.JSONDecodeError) -> str:
    if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string"):
        return "the JSON text ends before it is complete"
    return f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}"


def _render(value: Any, indent: str) -> str:
    if isinstance(value, Mapping) and any(isinstance(part, (list, Mapping)) for part in value.values()):
        inner = [f"{indent}  {_compact(key)}: {_render(part, indent + '  ')}" for key, part in value.items()]
        return "{\n" + ",\n".join(inner) + f"\n{indent}}}"
    if isinstance(value, list) and ((value and isinstance(value[0], (list, Mapping))) or len(_compact(value)) > WIDE):
        return "[\n" + ",\n".join(f"{indent}  {_compact(row)}" for row in value) + f"\n{indent}]"
    return _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
