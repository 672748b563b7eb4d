"""bench: measurements by name, as ratios within one run."""

from __future__ import annotations

import threading
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
    runs: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="Runs of each way (building: 3, exact: 1, stating: 7, spep: 20); networks (sampling: 20).",
            metavar="N",
        ),
    ] = None,
    case: Annotated[
        list[str] | None, typer.Option(help="A case or a group of cases; may be repeated.", metavar="NAME")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="The cases that there are.")] = False,
    time_limit: Annotated[float | None, typer.Option(help="exact: seconds of each run (60).", metavar="S")] = None,
    out: Annotated[str | None, typer.Option(help="Write the table: .csv or .json", metavar="FILE")] = None,
    plot: Annotated[
        str | None, typer.Option(help="exact, learned, paper-a, spep: draw the figures: .png .svg .pdf", metavar="FILE")
    ] = None,
) -> None:
    """Run a benchmark: medians of several runs, and ratios to the first way."""
    from qnroute.benchmark.registry import BENCHMARKS
    from qnroute.fields import chosen

    if name is None:
        for benchmark in BENCHMARKS.values():
            console.say(f"{benchmark.name}  {benchmark.description}")
        return
    benchmark = chosen("benchmark", name, BENCHMARKS)
    settings = benchmark.settled(
        runs=runs, options={"case": case, "time_limit": time_limit}, listing=listed, plotting=plot is not None
    )
    if listed:
        for line in benchmark.lines():
            console.say(line)
        return
    _require(out, plot)
    stop = threading.Event()
    with console.doing(f"benchmark {name}") as doing:
        rows = benchmark.measure()(**settings, doing=doing, interrupted=stop)
    _report(benchmark, rows, out=out, plot=plot)
    if stop.is_set():
        console.remark("interrupted: these are the rows measured so far")


def _require(out: str | None, plot: str | None) -> None:
    """Refuse, before long work, files that could not be written after it."""
    from qnroute.benchmark.tables import require_table

    if out is not None:
        require_table(out)
    if plot is not None:
        from qnroute.plot import require_plotting

        require_plotting(plot)


def _report(benchmark, rows, *, out: str | None, plot: str | None) -> None:
    from qnroute.benchmark.tables import shown, write_table
    from qnroute.errors import NoAnswer

    if not rows:
        raise NoAnswer("interrupted before anything was measured")
    if out is not None:
        write_table(rows, out)
    kinds = list(dict.fromkeys(type(row) for row in rows))
    for kind in kinds if out != "-" else ():
        some = [row for row in rows if type(row) is kind]
        headings = shown(some)
        cells = [[_cell(getattr(row, heading)) for heading in headings] for row in some]
        words = [heading for heading in headings if isinstance(getattr(some[0], heading), str)]
        title = benchmark.name if len(kinds) == 1 else f"{benchmark.name}, {kind.__name__.lower()}"
        console.table(title, headings, cells, numbers=[name for name in headings if name not in words])
    if plot is not None:
        from qnroute.plot import save_figure

        save_figure(benchmark.plot(rows), plot)


def _cell(value: str | float | None) -> str:
    return value if isinstance(value, str) else console.number(value, 4)
