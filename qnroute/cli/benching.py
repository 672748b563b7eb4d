"""bench: measurements by name, as ratios within one run."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from qnroute.cli import console


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(bench)


def bench(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A benchmark; all are listed if left out.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, max=100, help="Runs of each way.", metavar="N")] = 3,
    out: Annotated[str | None, typer.Option(help="Write the table: .csv or .json", metavar="FILE")] = None,
) -> None:
    """Run a benchmark: medians of several runs, and ratios to the first way."""
    from qnroute.benchmark.registry import BENCHMARKS
    from qnroute.benchmark.tables import require_table, write_table
    from qnroute.fields import chosen

    if name is None:
        for benchmark in BENCHMARKS.values():
            console.say(f"{benchmark.name}  {benchmark.description}")
        return
    benchmark = chosen("benchmark", name, BENCHMARKS)
    if out is not None:
        require_table(out)
    with console.progress(f"benchmark {name}"):
        rows = benchmark.measure()(runs=runs)
    headings = [field.name for field in dataclasses.fields(rows[0])]
    cells = [
        [cell if isinstance(cell, str) else console.number(cell, 4) for cell in dataclasses.astuple(row)]
        for row in rows
    ]
    console.table(name, headings, cells, numbers=headings[1:])
    if out is not None:
        write_table(rows, out)
