"""Telemetry as CSV: a row for each link and window; gzip where the name ends in .gz."""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from qnroute.errors import ProblemError
from qnroute.fields import brief_name
from qnroute.formats.reading import decode, read_bytes, source_of
from qnroute.formats.writing import write_bytes, write_text
from qnroute.learning.links.features import EXACT
from qnroute.learning.links.telemetry import KNOWN, SEEN, Telemetry

REQUIRED = ("source", "target", "window")
VALUES = (*SEEN, *KNOWN)
COLUMNS = ("network", *REQUIRED, *VALUES)
MOST_CELLS = 20_000_000  # windows times links of a network, whose features take some 4 GB
_SPARSEST = 100  # windows numbered for each one that has a row, in a table of more than 1,000
_MOST_NAMED = 5


def load_telemetry(path: str | os.PathLike[str]) -> list[Telemetry]:
    """The networks of a file, in the order of their first rows.

    Needed are `REQUIRED` and at least one of attempts (with successes) and fidelity; other columns may be absent and
    cells empty. Rows may stand in any order; what a link has twice for a window is added up. A link's length and loss
    are those of its first row that has them.

    Raises
    ------
    ProblemError
        The file cannot be read, is no such table, or a column is unknown.
    """
    try:
        return _read(_text(path))
    except ProblemError as error:
        raise error.at(source_of(path)) if error.source is None else error from None


def _text(path: str | os.PathLike[str]) -> str:
    content = read_bytes(path)
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise ProblemError(f"cannot be unpacked: {error}") from None
    return decode(content)


def _read(text: str) -> list[Telemetry]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        _require_header(header)
        table = [row for row in rows if row]
    except csv.Error as error:
        raise ProblemError(f"line {rows.line_num}: {error}") from None
    ragged = [i for i, row in enumerate(table) if len(row) != len(header)]
    if ragged:
        i = ragged[0]
        raise ProblemError(f"row {i + 1}: found {len(table[i])} cells, expected {len(header)}; is the file cut off?")
    if not table:
        raise ProblemError("found no rows, expected at least one")
    cells = dict(zip(header, zip(*table)))
    values = {name: _numbers(name, cells[name]) for name in (*VALUES, "window") if name in cells}
    window = values.pop("window")
    if not (np.isfinite(window) & (np.floor(window) == window) & (np.abs(window) < 2**53)).all():
        raise ProblemError("window: expected whole numbers in every row")
    _require_links(cells["source"], cells["target"])
    networks: dict[str, list[int]] = {}
    for i, name in enumerate(cells.get("network", [""] * len(table))):
        networks.setdefault(name, []).append(i)
    found = []
    for name, mine in networks.items():
        ends = [(cells["source"][i], cells["target"][i]) for i in mine]
        found.append(_network(name, ends, window[mine].astype(np.int64), {k: v[mine] for k, v in values.items()}))
    return found


def _require_links(sources: Sequence[str], targets: Sequence[str]) -> None:
    for i, (source, target) in enumerate(zip(sources, targets)):
        if not source.strip() or not target.strip():
            raise ProblemError(f"row {i + 1}, {'target' if source.strip() else 'source'}: found no name of a node")
        if source == target:
            raise ProblemError(f"row {i + 1}: found a link from {brief_name(source)} to itself")


def _require_header(header: Sequence[str]) -> None:
    faults = [f"column {brief_name(name)}: unknown, expected some of {', '.join(COLUMNS)}" for name in header
              if name not in COLUMNS]  # fmt: skip
    faults += [f"column {name}: given more than once" for name in dict.fromkeys(header) if header.count(name) > 1]
    faults += [f"column {name}: missing, but required" for name in REQUIRED if name not in header]
    seen = {"attempts", "successes"} <= set(header) or "fidelity" in header
    faults += [] if seen else ["columns attempts and successes, or fidelity: missing, but required"]
    if faults:
        raise ProblemError(faults)


def _numbers(name: str, cells: Sequence[str]) -> np.ndarray:
    """A column as floats; what is empty or no number is NaN, but text is refused."""
    try:
        return np.array([float(cell) if cell.strip() else np.nan for cell in cells])
    except ValueError:
        for i, cell in enumerate(cells):
            try:
                float(cell.strip() or "nan")
            except ValueError:
                raise ProblemError(f"row {i + 1}, {name}: found {brief_name(cell)}, expected a number") from None
        raise


def _network(name: str, ends: list[tuple[str, str]], window: np.ndarray, values: Mapping[str, np.ndarray]) -> Telemetry:
    """One network's rows as arrays."""
    place: dict[tuple[str, str], int] = {}
    for u, v in ends:
        if (v, u) not in place:
            place.setdefault((u, v), len(place))
    link = np.array([place.get((u, v), place.get((v, u))) for u, v in ends])
    first, last = int(window.min()), int(window.max())
    shape = last - first + 1, len(place)
    if shape[0] * shape[1] > MOST_CELLS or shape[0] > 1000 + _SPARSEST * np.unique(window).size:
        raise ProblemError(
            f"window: found {len(window):,} rows of {len(place):,} links from window {first} to {last}, expected at "
            f"most {MOST_CELLS:,} windows of links, few of them empty; number windows one after the other"
        )
    at, notes = (window - first, link), []
    times = np.zeros(shape)
    np.add.at(times, at, 1.0)
    if (times > 1).any():
        notes.append(f"{int((times > 1).sum())} links have more than one row for a window, added up")
    if (times == 0).any():
        notes.append(f"{int((times == 0).sum())} of {times.size} windows of links have no row")
    columns = {column: values.get(column, np.full(len(link), np.nan)) for column in VALUES}
    seen = {column: _summed(columns[column], at, shape) for column in ("attempts", "successes")}
    seen["samples"], seen["fidelity"] = _measured(columns["samples"], columns["fidelity"], at, shape)
    for column in ("load", "nominal_p", "nominal_fidelity"):
        seen[column] = _mean(columns[column], at, shape)
    known = {}
    for column in KNOWN:
        known[column] = np.full(len(place), np.nan)
        given = np.flatnonzero(~np.isnan(columns[column]))[::-1]  # the first one stays
        known[column][link[given]] = columns[column][given]
    return Telemetry(name, tuple(place), **seen, **known, first=first, notes=tuple(notes))


def _summed(values: np.ndarray, at, shape) -> np.ndarray:
    """Sums of the values given; NaN where none is, or where one of several is missing."""
    total = np.zeros(shape)
    np.add.at(total, at, values)
    given = np.zeros(shape)
    np.add.at(given, at, 1.0)
    return np.where(given > 0, total, np.nan)


def _mean(values: np.ndarray, at, shape, weight: np.ndarray | None = None) -> np.ndarray:
    known = ~np.isnan(values)
    weight = known.astype(float) if weight is None else np.where(known, weight, 0.0)
    total, whole = np.zeros(shape), np.zeros(shape)
    np.add.at(total, at, weight * np.nan_to_num(values))
    np.add.at(whole, at, weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(whole > 0, total / whole, np.nan)
    alone = np.zeros(shape)
    np.add.at(alone, at, (weight > 0).astype(float))
    some = (weight > 0) & (alone[at] == 1)
    found[at[0][some], at[1][some]] = values[some]  # without the rounding of a quotient
    return found


def _measured(samples: np.ndarray, fidelity: np.ndarray, at, shape) -> tuple[np.ndarray, np.ndarray]:
    """Sample numbers and mean fidelities; where a number is missing the fidelity counts as exact."""
    some, impossible = ~np.isnan(fidelity), samples < 0
    samples = np.where(impossible, -np.inf, samples)  # in a sum that stays impossible, too
    number = _summed(np.where(some, samples, 0.0), at, shape)
    return number, _mean(fidelity, at, shape, weight=np.where(np.isnan(samples) | impossible, EXACT, samples))


def save_telemetry(path: str | os.PathLike[str], tables: Iterable[Telemetry]) -> None:
    """Write networks as one file, missing values as empty cells."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(COLUMNS)
    for table in tables:
        words = [table.name, *(node for pair in table.ends for node in pair)]
        plain = all(word == word.strip() and "\r" not in word for word in words)  # csv quotes neither by itself
        out = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_MINIMAL if plain else csv.QUOTE_ALL)
        columns = [np.broadcast_to(getattr(table, name), table.attempts.shape).ravel().tolist() for name in VALUES]
        for i, cells in enumerate(zip(*columns)):
            window, link = divmod(i, table.n_links)
            texts = ["" if cell != cell else _text_of(cell) for cell in cells]
            out.writerow([table.name, *table.ends[link], table.first + window, *texts])
    text = stream.getvalue()
    if str(path).endswith(".gz"):
        write_bytes(path, gzip.compress(text.encode(), mtime=0))
    else:
        write_text(path, text)


def _text_of(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
