"""What the commands print: tables on standard output, progress and remarks on standard error."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from qnroute.text import printable

if TYPE_CHECKING:
    from qnroute.settings import Progress

WIDE = 200  # columns where no terminal says how wide it is
MOST_ROWS = 500  # of a table that people read; files hold all


def table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[str] = ()) -> None:
    """Print a table; the columns headed `numbers` stand to the right."""
    if sys.stdout is None:
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(title=printable(title) or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        made.add_column(heading, justify="right" if heading in numbers else "left", overflow="fold")
    for row in rows[:MOST_ROWS]:
        made.add_row(*(Text(printable(cell)) for cell in row))
    text = io.StringIO()  # rich would end the whole program where a reader has gone
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
    Console(file=text, width=width, highlight=False).print(made)
    print(text.getvalue(), end="")
    if len(rows) > MOST_ROWS:
        print(f"... and {len(rows) - MOST_ROWS:,} rows more")


def document(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=1, allow_nan=False))


def say(text: str) -> None:
    """One line on standard output."""
    print(printable(text))


def abandon_output() -> None:
    """Send what is left in the buffer of standard output nowhere, or writing would fail on it again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def remark(text: str) -> None:
    """One line on standard error for people."""
    if sys.stderr is not None:
        print(f"qnroute: {printable(' '.join(text.split()))}", file=sys.stderr)


@contextlib.contextmanager
def progress(what: str) -> Iterator[Progress | None]:
    """A live line on standard error, where that is a terminal, fed by the callback given."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    shown = 0.0
    with Console(stderr=True).status(what) as status:

        def update(seconds: float, objective: float | None, bound: float | None) -> None:
            nonlocal shown
            if time.monotonic() - shown > 0.1:
                shown = time.monotonic()
                status.update(f"{what}: {seconds:.0f} s, best {number(objective)}, bound {number(bound)}")

        yield update


@contextlib.contextmanager
def doing(what: str) -> Iterator[Callable[[str], None] | None]:
    """A live line on standard error, where that is a terminal, that says which step is being done."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(what) as status:
        yield lambda step: status.update(escape(f"{what}: {step}"))


@contextlib.contextmanager
def share_done(what: str) -> Iterator[Callable[[str, float], None] | None]:
    """A bar on standard error, where that is a terminal, that says what is being done and how much is done."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda step, share: bar.update(task, completed=share, description=escape(f"{what}: {step}"))


def number(value: float | None, digits: int = 6) -> str:
    """A number in few characters, a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}g}"


def percent(value: float | None) -> str:
    """A share in percent with the digits that matter, a dash where there is none; a gap that is proven closed is 0."""
    from qnroute.result import PROVEN

    if value is None:
        return "-"
    if abs(value) <= PROVEN:
        return f"{0:.2f} %"
    return f"{100 * value:.2f} %" if abs(value) >= 5e-5 else f"{100 * value:.1g} %"
