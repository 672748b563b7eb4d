"""score: learn from telemetry how good links will be, forecast it, and hold forecasts against what came."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from qnroute.cli import console
from qnroute.cli.solving import key_values, require_one_standard_input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qnroute.learning.links.applying import LinkForecast
    from qnroute.learning.links.model import LinkModel
    from qnroute.learning.links.telemetry import Telemetry

KINDS = "gradient-boosting, linear, mlp, graph, empirical, nominal, last-value"

app = typer.Typer(
    name="score",
    help="Links' quality, p and fidelity in the next window, learned from telemetry. Telemetry is a CSV file (.gz too) "
    "with the columns source, target, window, and attempts with successes or fidelity; docs/scores.md says the rest.",
    rich_markup_mode=None,
)
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Same seed and telemetry, same model.", metavar="N")]
Tables = Annotated[list[str], typer.Argument(metavar="TELEMETRY...", help="CSV files, .csv or .csv.gz; - for one.")]


def register(parent: typer.Typer) -> None:
    """Add the group of commands to the application."""
    parent.add_typer(app)


@app.command()
def kinds() -> None:
    """The kinds of model, a line each, with their options."""
    from qnroute.errors import SolverError
    from qnroute.learning.links.model import KINDS as known
    from qnroute.learning.links.options import model_options, shown_option

    width = max(map(len, known))
    for kind, description in known.items():
        try:
            options = ", ".join(f"{name}={shown_option(value)}" for name, value in model_options(kind).items())
        except SolverError:
            options = 'needs pip install "qnroute[learn]"'
        console.say(f"{kind:{width}}  {description}  [{options}]")


@app.command()
def fit(
    telemetry: Tables,
    out: Annotated[str, typer.Option(help="Model file to write: .safetensors", metavar="FILE")],
    model: Annotated[str, typer.Option(help=f"{KINDS}.", metavar="KIND")] = "gradient-boosting",
    option: Annotated[list[str] | None, typer.Option(help="Of the kind; repeatable.", metavar="KEY=VALUE")] = None,
    seed: Seed = 0,
) -> None:
    """Learn a model of links from telemetry of any number of networks."""
    import time

    from qnroute.errors import ProblemError
    from qnroute.formats.writing import require_writable
    from qnroute.learning.links.model import LinkModel
    from qnroute.learning.links.model_files import ENDING, require_model_files
    from qnroute.learning.links.options import parsed_options

    options = parsed_options(model, key_values(option or []))
    if not out.endswith(ENDING):
        raise ProblemError(f"expected a name ending in {ENDING}", source=out)
    require_writable(out)
    require_model_files()
    tables = _loaded(telemetry)
    started = time.perf_counter()
    with console.doing(f"learning {model}"):
        made = LinkModel(model, options, seed).fit(tables)
    seconds = time.perf_counter() - started
    made.save(out)
    _show_tables(tables)
    _show_model(made, seconds)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model file of `score fit`.")],
    telemetry: Annotated[str, typer.Argument(metavar="TELEMETRY", help="CSV file; - for standard input.")],
    network: Annotated[str | None, typer.Option(help="Which, if the file has several.", metavar="NAME")] = None,
    level: Annotated[float, typer.Option(help="Of the intervals, in (0, 1).", metavar="L")] = 0.9,
    out: Annotated[str | None, typer.Option(help="Write the table: .csv or .json", metavar="FILE")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
    problem: Annotated[
        str | None, typer.Option(help="A problem to put the forecast into.", metavar="PROBLEM.json")
    ] = None,
    way: Annotated[
        str | None, typer.Option("--as", help="score, or p-and-fidelity (score).", metavar="score|p-and-fidelity")
    ] = None,
    save: Annotated[str | None, typer.Option(help="Write that problem here; - for standard output.")] = None,
) -> None:
    """Forecast a network's links in the window after its last one.

    Intervals hold what will be seen of a link in that window with the chance that is their level; sd is the standard
    deviation of what is behind it.
    """
    import dataclasses

    from qnroute.formats import load_problem, save_problem
    from qnroute.learning.links.applying import applied, forecast_rows
    from qnroute.learning.links.model_files import load_model

    _require_predictable(level, out, problem, way, save)
    require_one_standard_input(*(path for path in (model, telemetry, problem) if path is not None))
    made = load_model(model)
    table = _chosen(_loaded([telemetry]), network)
    forecast = made.predict(table, level=level)
    rows = forecast_rows(table, forecast)
    remarks = list(table.notes)
    if problem is not None:
        changed, more = applied(load_problem(problem), table, forecast, way=way or "score")
        save_problem(changed, save)
        remarks += more
    if out is not None:
        from qnroute.benchmark.tables import write_table

        write_table(rows, out)
    if "-" not in (out, save):
        if as_json:
            console.document([dataclasses.asdict(row) for row in rows])
        else:
            _show_forecast(table, rows, level)
    for text in remarks:
        console.remark(text)


@app.command()
def evaluate(
    telemetry: Tables,
    model: Annotated[
        list[str] | None, typer.Option(help=f"Repeatable; all of {KINDS} if left out.", metavar="KIND")
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option(help="Other networks to evaluate on, all of TELEMETRY learned from; repeatable.", metavar="FILE"),
    ] = None,
    split: Annotated[float, typer.Option(help="Share of the windows that is learned from.", metavar="S")] = 0.7,
    seed: Seed = 0,
    out: Annotated[str | None, typer.Option(help="Write the table: .csv or .json", metavar="FILE")] = None,
    plot: Annotated[str | None, typer.Option(help="Draw errors and calibration: .png .svg .pdf", metavar="F")] = None,
) -> None:
    """Learn kinds of models from the first windows and hold their forecasts against the others.

    rmse and mae are of what was seen; behind is the rmse less what sampling explains; coverage and width are those of
    90 % intervals. difference is that of mean squared errors to last-value, and better or worse is said only where a
    test over the windows, corrected for the number of kinds, is significant at 5 %.
    """
    import threading

    from qnroute.benchmark.tables import write_table
    from qnroute.errors import NoAnswer
    from qnroute.interruption import noted
    from qnroute.learning.links.evaluation import evaluate_models

    _require_outputs(out, plot)
    require_one_standard_input(*telemetry, *(test or []))
    learned, others = _loaded(telemetry), _loaded(test or [])
    stop = threading.Event()
    with console.doing("evaluating") as doing, noted(stop):
        asked = {"test": others, "kinds": model, "split": split, "seed": seed}
        found = evaluate_models(learned, **asked, doing=doing, interrupted=stop)
    if not found.rows:
        raise NoAnswer("interrupted before any kind was evaluated")
    if out is not None:
        write_table(found.rows, out)
    if out != "-":
        _show_tables([*learned, *others])
        _show_assessments(found.rows)
    if plot is not None:
        from qnroute.benchmark.score_figures import plot_assessments
        from qnroute.plot import save_figure

        save_figure(plot_assessments(found.rows), plot)
    for text in found.remarks:
        console.remark(text)
    if found.stopped:
        console.remark("interrupted: these are the kinds learned by then")


# --- what is asked ---


def _loaded(paths: Sequence[str]) -> list[Telemetry]:
    from qnroute.learning.links.telemetry_files import load_telemetry

    require_one_standard_input(*paths)
    tables = [table for path in paths for table in load_telemetry(path)]
    alike = Counter((table.name, frozenset(map(frozenset, table.ends))) for table in tables)
    for (name, _), times in alike.items():
        if times > 1:
            console.remark(
                f"network {name or 'without a name'}: found {times} times with the same links, taken for as many "
                "networks; put the windows of one into one file"
            )
    return tables


def _chosen(tables: Sequence[Telemetry], name: str | None) -> Telemetry:
    """The network asked for, or the only one."""
    from qnroute.errors import ProblemError
    from qnroute.fields import brief, brief_name

    found = [table for table in tables if name in (None, table.name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(brief_name(table.name) for table in tables[:5]) + (", ..." if len(tables) > 5 else "")
    asked = "missing" if name is None else f"found {brief(name)}"
    raise ProblemError(f"--network: {asked}, expected one of the {len(tables)} networks of the telemetry: {names}")


def _require_predictable(level: float, out: str | None, problem: str | None, way: str | None, save: str | None) -> None:
    """Refuse, before any work, options that do not go together, and files that could not be written."""
    from qnroute.errors import ProblemError
    from qnroute.fields import chosen
    from qnroute.formats.writing import named, require_writable
    from qnroute.learning.links.applying import WAYS

    if not 0 < level < 1:
        raise ProblemError(f"--level: found {level}, expected a number in (0, 1)")
    if problem is not None and save is None:
        raise ProblemError("--save: missing, but --problem was given")
    if problem is None and (extra := [name for name, given in (("--save", save), ("--as", way)) if given is not None]):
        raise ProblemError(f"--problem: missing, but {extra[0]} was given")
    if way is not None:
        chosen("--as", way, WAYS)
    if save is not None and save == out:
        raise ProblemError("named more than once, expected a file for each", source=named(save))
    if save is not None:
        if save != "-" and not save.endswith(".json"):
            raise ProblemError("expected a name ending in .json", source=save)
        require_writable(save)
    _require_outputs(out, None)


def _require_outputs(out: str | None, plot: str | None) -> None:
    from qnroute.benchmark.tables import require_table

    if out is not None:
        require_table(out)
    if plot is not None:
        from qnroute.formats.writing import require_writable
        from qnroute.plot import require_plotting

        require_plotting(plot)
        require_writable(plot)


# --- what people see ---


def _show_tables(tables: Sequence[Telemetry]) -> None:
    """What was read: sizes, the share of each column that is missing, and what was cleaned."""
    missing = [table.missing() for table in tables]
    columns = [name for name in (missing[0] if missing else ()) if any(found[name] > 0 for found in missing)]
    headings = ["network", "links", "windows", *(f"no {name} %" for name in columns)]
    rows = [
        [table.name, str(table.n_links), str(table.n_windows), *(f"{100 * found[name]:.3g}" for name in columns)]
        for table, found in zip(tables, missing)
    ]
    console.table("", headings, rows, numbers=headings[1:])
    for table in tables:
        for note in table.notes:
            console.say(f"note: {table.name + ': ' if table.name else ''}{note}")


def _show_model(model: LinkModel, seconds: float) -> None:
    found = model.trained_
    rows = ", ".join(f"{target} from {count:,} rows" for target, count in found["rows"].items())
    console.say(f"{model.kind}: {rows}; {found['networks']} networks, {found['links']} links, {seconds:.2f} s")
    console.say(f"telemetry {found['fingerprint']}")


def _show_forecast(table: Telemetry, rows: Sequence[LinkForecast], level: float) -> None:
    called = f"{table.name}, " if table.name else ""
    title = f"{called}window {table.first + table.n_windows}; intervals of {100 * level:g} %"
    headings = ["link", "quality", "sd", "interval", "p", "sd ", "interval ", "fidelity", " sd", " interval"]
    cells = []
    for row in rows:
        line = [f"{row.source} - {row.target}"]
        for target in ("quality", "p", "fidelity"):
            mean, sd, low, high = (getattr(row, target + end) for end in ("", "_sd", "_low", "_high"))
            known = mean is not None
            line += [f"{mean:.4f}", f"{sd:.4f}", f"[{low:.3f}, {high:.3f}]"] if known else ["-", "-", "-"]
        cells.append(line)
    console.table(title, headings, cells, numbers=headings[1:])


def _show_assessments(rows: Sequence) -> None:
    from qnroute.benchmark.tables import shown

    headings = shown(rows)
    cells = [
        [value if isinstance(value, str) else console.number(value, 4) for value in (getattr(row, h) for h in headings)]
        for row in rows
    ]
    words = ("target", "kind", "verdict")
    console.table("", headings, cells, numbers=[name for name in headings if name not in words])
