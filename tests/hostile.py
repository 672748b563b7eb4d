"""Making bad input, and judging what came of it: one line that says where, the right status, nothing half-written."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from qnroute.cli import run

DATA = Path(__file__).parent / "data"
EXAMPLE = (DATA / "diamond.json").read_text(encoding="utf-8")
NETWORK, NODE, LINK, REQUEST = ("network",), ("network", "nodes", 1), ("network", "links", 1), ("requests", 0)
METHODS = ("exact", "link-flow", "path-packing", "pyomo", "pulp", "greedy")
GIVE_UP = 60  # seconds after which a subprocess counts as hanging
GONE = object()
BIG = 2**53 - 1

# --- making bad files ---


class Raw(str):
    """JSON text that stands in a document as it is."""


def changed(*changes: tuple[tuple, Any], base: str = EXAMPLE) -> str:
    """The example with the value at each path replaced, or removed where it is `GONE`."""
    document = json.loads(base)
    raw: dict[str, str] = {}
    for path, value in changes:
        inner = document
        for step in path[:-1]:
            inner = inner[step]
        if value is GONE:
            del inner[path[-1]]
            continue
        if isinstance(value, Raw):
            raw[f'"@raw{len(raw)}@"'], value = str(value), f"@raw{len(raw)}@"
        inner[path[-1]] = copy.deepcopy(value)
    text = json.dumps(document)
    for mark, value in raw.items():
        text = text.replace(mark, value)
    return text


def place(path: tuple) -> str:
    """``network.nodes[1].swap`` for its path."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def renamed(name: str) -> list[tuple[tuple, Any]]:
    """Changes that call node B `name` and make every useful route pass it."""
    ends = [((*NODE, "id"), name), (("network", "links", 0, "target"), name), ((*LINK, "source"), name)]
    return [*ends, *((("network", "links", e, "p"), 0.1) for e in (2, 3))]


def every_link(field: str, value: Any) -> list[tuple[tuple, Any]]:
    return [(("network", "links", e, field), value) for e in range(4)]


def every_node(field: str, value: Any) -> list[tuple[tuple, Any]]:
    return [(("network", "nodes", i, field), value) for i in range(4)]


HEAVY = [{"id": f"r{k}", "source": "A", "target": "D", "weight": 1.7e308} for k in range(3)]
OVERFLOWING_SUM = [(("requests",), HEAVY), *every_link("p", 1.0), *every_link("channels", 5)]  # each value is finite


# --- judging what came of them ---


def one_line(err: str, *words: Any) -> str:
    """The message, when it is one line that holds every word."""
    assert err.startswith("qnroute: ") and err.endswith("\n") and err.count("\n") == 1, err[-2000:]
    missing = [str(word) for word in words if str(word) not in err]
    assert not missing, (missing, err)
    return err


def refused(capsys, arguments: Sequence[Any], *words: Any, status: int = 2) -> str:
    """The message of a command that must be refused for a reason that holds these words."""
    code = run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert code == status, (code, err)
    assert out == ""
    return one_line(err, *words)


def contents(folder: Path) -> dict[str, bytes | None]:
    """What lies in a folder; None for what is no file."""
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


@contextlib.contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Nothing in the folder is new, gone or changed afterwards."""
    before = contents(folder)
    yield
    assert contents(folder) == before


def solved(capsys, *arguments: Any) -> str:
    """Standard output of a solve that must succeed without a word on standard error."""
    code = run(["solve", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


def holds(capsys, problem: Any, result: Any) -> dict[str, Any]:
    """A result file that the check accepts."""
    code = run(["check", str(problem), str(result)])
    _, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return json.loads(Path(result).read_text(encoding="utf-8"))


def surroundings(**changes: str) -> dict[str, str]:
    unwanted = ("PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONWARNINGS")
    return {**{name: value for name, value in os.environ.items() if name not in unwanted}, **changes}


def command(*arguments: Any, environment: dict[str, str] | None = None, **settings: Any) -> subprocess.Popen:
    """`qnroute` in a process of its own."""
    line = [sys.executable, "-m", "qnroute", *map(str, arguments)]
    return subprocess.Popen(line, env=surroundings(**(environment or {})), **settings)


def finished(*arguments: Any, feed: bytes | None = None, **settings: Any) -> tuple[int, str, str]:
    """Status, standard output and standard error of `qnroute` in a process of its own."""
    pipes = {name: settings.pop(name, subprocess.PIPE) for name in ("stdin", "stdout", "stderr")}
    with command(*arguments, **pipes, **settings) as process:
        try:
            out, err = process.communicate(feed, timeout=GIVE_UP)
        finally:
            process.kill()
    return process.returncode, (out or b"").decode(), (err or b"").decode()
