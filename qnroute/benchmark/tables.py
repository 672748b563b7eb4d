"""Tables of measurements: rows are dataclasses of one kind or of several, files are CSV or JSON.

A field whose metadata say ``shown: False`` is in files alone.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
from collections.abc import Sequence
from typing import Any

from qnroute.errors import ProblemError
from qnroute.formats.writing import STANDARD, require_writable, write_text

ENDINGS = (".csv", ".json")


def require_table(path: str | os.PathLike[str]) -> None:
    """Refuse, before long work, a path that `write_table` could not write."""
    if os.fspath(path) != STANDARD and os.path.splitext(path)[1] not in ENDINGS:
        raise ProblemError(f"expected a name ending in {' or '.join(ENDINGS)}", source=str(path))
    require_writable(path)


def write_table(rows: Sequence[Any], path: str | os.PathLike[str]) -> None:
    """Write the rows as JSON where the name ends so, else as CSV."""
    found = [dataclasses.asdict(row) for row in rows]
    if os.fspath(path).endswith(".json"):
        write_text(path, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        return
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in found for name in row))  # rows of several kinds leave cells empty
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in found)
    write_text(path, text.getvalue())


def _cell(value: Any) -> Any:
    """What CSV has no form for, as JSON."""
    return json.dumps(value) if isinstance(value, (list, tuple)) else value


def shown(rows: Sequence[Any]) -> list[str]:
    """The fields of the rows that people are to see."""
    return [field.name for field in dataclasses.fields(rows[0]) if field.metadata.get("shown", True)]
