"""solve, compare, check: from a problem file to answers, and from an answer back to the truth."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from qnroute.cli import console
from qnroute.interruption import came_of_interrupt

if TYPE_CHECKING:
    from qnroute.result import Result

Seconds = Annotated[float | None, typer.Option("--time-limit", help="Seconds for each method.", metavar="S")]
Seed = Annotated[int | None, typer.Option(help="Seed of the random numbers.", metavar="N")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (solve, compare, check):
        app.command()(command)


def solve(
    problem: Annotated[str, typer.Argument(metavar="PROBLEM", help="Problem file; - for standard input.")],
    method: Annotated[str, typer.Option(help="A name from `qnroute methods`.", metavar="M")] = "exact",
    time_limit: Seconds = None,
    gap: Annotated[float, typer.Option(help="Relative gap at which to stop.", metavar="G")] = 0.0,
    seed: Seed = None,
    option: Annotated[list[str] | None, typer.Option(help="Option of the method.", metavar="KEY=VALUE")] = None,
    out: Annotated[str | None, typer.Option(help="Write the result file here.", metavar="FILE")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    plot: Annotated[str | None, typer.Option(help="Draw the routes: .png .svg .pdf", metavar="FILE")] = None,
) -> None:
    """Answer a problem; the answer is checked before it is given."""
    from qnroute.formats import load_problem
    from qnroute.formats.writing import require_writable, write_text
    from qnroute.methods import solve_with

    options = key_values(option or [])
    for path in (out, plot):
        if path is not None:
            require_writable(path)
    if plot is not None:
        from qnroute.plot import require_plotting

        require_plotting(plot)
    stated = load_problem(problem)
    with console.progress(f"{method} on {stated.name or 'the problem'}") as shown:
        common = {"time_limit": time_limit, "gap": gap, "seed": seed, "progress": shown}
        result = solve_with(stated, method, options, **common)
    if out is not None:
        result.save(out)
    with _interruptible("showing", kept=out is not None):
        if as_json and out != "-":
            write_text("-", result.to_json())
        elif out != "-":
            _print_result(result)
    if plot is not None:
        with _interruptible("drawing", kept=True):
            _draw(result, plot)
    for text in result.remarks:
        console.remark(text)


def compare(
    problems: Annotated[list[str], typer.Argument(metavar="PROBLEM...", help="Problem files.")],
    methods: Annotated[str | None, typer.Option(help="Names, with commas.", metavar="A,B,...")] = None,
    time_limit: Seconds = None,
    seed: Seed = None,
    out: Annotated[str | None, typer.Option(help="Write the table: .csv or .json", metavar="FILE")] = None,
) -> None:
    """Several methods on the same problems: value, share of the best proven bound, gap, seconds."""
    from qnroute.benchmark.comparison import compare as run
    from qnroute.benchmark.comparison import default_methods
    from qnroute.benchmark.tables import require_table, write_table
    from qnroute.errors import NoAnswer, ProblemError
    from qnroute.formats import load_problem
    from qnroute.interruption import noted
    from qnroute.methods import method

    if out is not None:
        require_table(out)
    require_one_standard_input(*problems)
    names = None if methods is None else [name.strip() for name in methods.split(",") if name.strip()]
    if names == []:
        raise ProblemError(f"--methods: found {methods!r}, expected names, or nothing at all for the usual ones")
    for name in names or ():
        method(name)
    loaded = [load_problem(path) for path in problems]
    rows, interrupted = [], threading.Event()
    common = {"time_limit": time_limit, "seed": seed, "interrupted": interrupted}
    with noted(interrupted):
        for stated in loaded:
            if interrupted.is_set():
                console.remark(f"{stated.name or 'problem'}: not compared: interrupted")
                continue
            with console.progress(f"comparing on {stated.name or 'the problem'}") as shown:
                some = run(stated, names or default_methods(stated), progress=shown, **common)
            _show_comparison(stated.name, some, on_screen=out != "-")
            rows += some
    if out is not None:
        write_table(rows, out)
    if any(row.unanswered for row in rows) and not any(row.value is not None for row in rows):
        raise NoAnswer("no method answered before the time limit or the interruption")


def check(
    problem: Annotated[str, typer.Argument(metavar="PROBLEM", help="Problem file.")],
    result: Annotated[str, typer.Argument(metavar="RESULT", help="Result file.")],
) -> None:
    """Verify a result file from its problem alone; exit 1 and the broken rule, if any."""
    from qnroute.formats import load_problem, load_result
    from qnroute.formats.reading import source_of
    from qnroute.formats.results import verify

    require_one_standard_input(problem, result)
    stated, claimed = load_problem(problem), load_result(result)
    verdict = verify(stated, claimed)
    if verdict.broken:
        console.remark(f"{source_of(result)}: " + "; ".join(verdict.broken))
        raise typer.Exit(1)
    gap = "" if claimed.gap is None else f"claimed gap {console.percent(claimed.gap)}, "
    bound = "no bound" if claimed.bound is None else "bound not verified"
    chosen = len(claimed.routes) or len(claimed.links)
    console.say(f"{source_of(result)}: holds; {chosen} chosen, objective {verdict.objective:.9g}, {gap}{bound}")


def key_values(pairs: list[str], what: str = "--option") -> dict[str, str]:
    """The KEY=VALUE pairs of a command line."""
    from qnroute.errors import ProblemError

    broken = [pair for pair in pairs if not pair.partition("=")[0] or "=" not in pair]
    if broken:
        raise ProblemError([f"{what}: found {pair!r:.60}, expected KEY=VALUE" for pair in broken])
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


def require_one_standard_input(*paths: str) -> None:
    """Refuse a command line that reads standard input twice."""
    from qnroute.errors import ProblemError

    if paths.count("-") > 1:
        raise ProblemError("standard input: named more than once (-), but it can be read only once")


def _draw(result: Result, path: str) -> None:
    from qnroute.errors import ProblemError
    from qnroute.plot import plot_result, save_figure

    try:
        save_figure(plot_result(result), path)
    except ProblemError as error:
        raise error if error.source else error.at(path) from None


@contextlib.contextmanager
def _interruptible(doing: str, *, kept: bool) -> Iterator[None]:
    """What is done with an answer that is `kept` already: an interruption ends it and takes nothing from the answer."""
    try:
        yield
    except BaseException as error:
        if not kept or not came_of_interrupt(error):
            raise
        console.remark(f"interrupted while {doing}; the answer stands")


def _print_result(result: Result) -> None:
    rows = result.to_dict()["routes"]
    proven = "no bound" if result.bound is None else f"bound {console.number(result.bound)}"
    gap = "" if result.gap is None else f", gap {console.percent(result.gap)}"
    console.say(
        f"{result.problem.name or 'problem'}: {result.method}, {result.status}, "
        f"objective {console.number(result.objective)}, {proven}{gap}, {result.seconds:.2f} s"
    )
    if result.problem.task == "link-selection":
        console.table("", ["link"], [[" - ".join(pair)] for pair in result.allocation.links])
        return
    served = len({row["request"] for row in rows})
    console.say(f"{served} of {len(result.problem.requests)} requests served by {len(rows)} routes")
    if rows:
        headings = ["request", "route", "probability", "fidelity", "value"]
        cells = [
            [row["request"], " - ".join(row["nodes"]), *(f"{row[name]:.4g}" for name in headings[2:])] for row in rows
        ]
        console.table("", headings, cells, numbers=headings[2:])


def _show_comparison(name: str, rows, *, on_screen: bool) -> None:
    if on_screen:
        _print_comparison(name, rows)
    for row in rows:
        if row.remarks:
            console.remark(f"{name or 'problem'}, {row.method}: {row.remarks}")


def _print_comparison(name: str, rows) -> None:
    headings = ["method", "value", "share of best bound", "gap", "seconds", "status"]
    cells = [
        [
            row.method,
            console.number(row.value),
            console.percent(row.share),
            console.percent(row.gap),
            "-" if row.seconds is None else f"{row.seconds:.3f}",
            row.status,
        ]
        for row in rows
    ]
    console.table(name, headings, cells, numbers=headings[1:5])
