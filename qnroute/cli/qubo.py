"""qubo: a problem as a binary quadratic model, or a published one, and what samplers make of it."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qnroute.cli import console

if TYPE_CHECKING:
    from qnroute.benchmark.chances import Interval
    from qnroute.benchmark.qubo_findings import Study
    from qnroute.benchmark.subjects import Optimum


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(qubo)


def qubo(
    problem: Annotated[
        str, typer.Argument(metavar="PROBLEM", help="Problem file (.json, or -); .qubo .coo .bqm .sparse; max-cut.")
    ],
    model: Annotated[
        str,
        typer.Option(
            help="auto, route-choice-qubo, link-selection-qubo, path-qubo; of other files qubo or max-cut.", metavar="M"
        ),
    ] = "auto",
    candidates: Annotated[
        int, typer.Option(min=0, max=100_000, help="Best routes of each request; 0: those of column generation.")
    ] = 0,
    encoding: Annotated[str, typer.Option(help="binary, unary, domain-wall or unbalanced.")] = "binary",
    strength: Annotated[
        float | None, typer.Option(help="Of penalties, in units of what suffices.", metavar="S")
    ] = None,
    margin: Annotated[float | None, typer.Option(help="Of penalties, over the largest value.", metavar="S")] = None,
    samplers: Annotated[
        str, typer.Option(help="Names, with commas; none: the model alone.", metavar="A,B,...")
    ] = "path-anneal,neal",
    sweeps: Annotated[str, typer.Option(help="Numbers, with commas.", metavar="A,B,...")] = "30,100,300,1000",
    reads: Annotated[int, typer.Option(min=1, max=100_000, help="Samples of each.", metavar="N")] = 200,
    near: Annotated[float, typer.Option(min=0.0, max=1.0, help="A sample within this of the optimum succeeds.")] = 0.01,
    target: Annotated[float | None, typer.Option(help="The optimum, where it is known.", metavar="V")] = None,
    penalties: Annotated[
        bool, typer.Option("--penalties", help="Sweep their strength, with next to no margin.")
    ] = False,
    embed: Annotated[str, typer.Option(help="Graphs to embed in: pegasus, zephyr, chimera.", metavar="A,B,...")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of the samplers.", metavar="N")] = 0,
    time_limit: Annotated[
        float, typer.Option(min=0.0, help="Seconds of each step once the model is stated.", metavar="S")
    ] = 30.0,
    export: Annotated[str | None, typer.Option(help="Write the model: .bqm .qubo .coo", metavar="FILE")] = None,
    out: Annotated[str | None, typer.Option(help="Write all figures: .json", metavar="FILE")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
    plot: Annotated[str | None, typer.Option(help="Draw the figures: .png .svg .pdf", metavar="FILE")] = None,
) -> None:
    """State a problem as a QUBO, sample it, and hold the samples against the proven optimum."""
    from qnroute.benchmark.qubo_study import STRENGTHS, Plan, studied
    from qnroute.benchmark.subjects import opened
    from qnroute.settings import Settings

    plan = Plan(
        samplers=_names("--samplers", samplers, _samplers()),
        sweeps=_numbers(sweeps),
        reads=reads,
        seed=seed,
        near=near,
        time_limit=time_limit,
        strengths=STRENGTHS if penalties else (),
        target=target,
        topologies=_names("--embed", embed, _topologies()),
    )
    _require(target, out, plot, export)
    stop = threading.Event()
    name, subject = opened(
        problem, model=model, candidates=candidates, encoding=encoding, strength=strength, margin=margin,
        settings=Settings(interrupted=stop),
    )  # fmt: skip
    if export is not None:
        subject.write(export)
    with console.doing(name) as doing:
        study = studied(name, subject, plan, problem=subject.problem, doing=doing, interrupted=stop)
    if out is not None:
        _write(study.to_dict(), out)
    if as_json and out != "-":
        console.document(study.to_dict())
    elif out != "-":
        _show(study)
    if plot is not None:
        from qnroute.benchmark.qubo_figures import plot_study
        from qnroute.plot import save_figure

        save_figure(plot_study(study), plot)
    for text in study.remarks:
        console.remark(text)
    if study.stopped:
        console.remark("interrupted: this is what was measured so far")


def _samplers() -> dict[str, str]:
    from qnroute.builtin import SAMPLERS

    return {name: name for name in ("path-anneal", *SAMPLERS)}


def _topologies() -> dict[str, int]:
    from qnroute.solvers.embedding import SIZES

    return SIZES


def _names(option: str, given: str, known: dict[str, Any]) -> tuple[str, ...]:
    from qnroute.fields import chosen

    names = [name.strip() for name in given.split(",") if name.strip() not in ("", "none")]
    for name in names:
        chosen(option, name, known)
    return tuple(dict.fromkeys(names))


def _numbers(given: str) -> tuple[int, ...]:
    from qnroute.builtin import SWEEPS
    from qnroute.errors import ProblemError

    try:
        found = sorted({SWEEPS.parse(part.strip()) for part in given.split(",") if part.strip()})
    except ProblemError as error:
        raise ProblemError([f"--sweeps: {fault}" for fault in error.faults]) from None
    if not found:
        raise ProblemError(f"--sweeps: found {given!r}, expected numbers with commas")
    return tuple(found)


def _require(target: float | None, out: str | None, plot: str | None, export: str | None) -> None:
    """Refuse, before long work, a target that is no number, and files that could not be written after it."""
    from qnroute.errors import ProblemError
    from qnroute.formats.writing import require_writable
    from qnroute.models.qubo_files import ENDINGS

    if target is not None and not math.isfinite(target):
        raise ProblemError(f"--target: found {target}, expected a finite number")
    if export is not None and not export.endswith(ENDINGS):
        raise ProblemError(f"expected a name ending in {', '.join(ENDINGS)}", source=export)
    if out is not None and out != "-" and not out.endswith(".json"):
        raise ProblemError("expected a name ending in .json", source=out)
    for path in (out, plot, export):
        if path is not None:
            require_writable(path)
    if plot is not None:
        from qnroute.plot import require_plotting

        require_plotting(plot)


def _write(found: dict[str, Any], path: str) -> None:
    import json

    from qnroute.formats.writing import write_text

    write_text(path, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


# --- what people see ---


def _show(study: Study) -> None:
    size, title = study.size, study.title
    said = [f"{name} {title[name]:g}" for name in ("strength", "margin") if name in title]
    if "encoding" in title:
        said.insert(0, f"{title['encoding']} slack")
    if "proven" in title:
        said.append("proven to suffice" if title["proven"] else "not proven to suffice")
    console.say(f"{study.name}: {title['model']}" + (f"; penalties: {', '.join(said)}" if said else ""))
    degrees = [degree for degree, count in enumerate(size.degrees) if count]
    spread = f"degrees {degrees[0]} to {degrees[-1]}" if degrees else "no variables"
    console.say(
        f"{size.variables} variables, {size.slack} of them slack; {size.couplers} couplers, density "
        f"{console.percent(size.density)}, {spread}; biases {size.coefficient_least:.3g} to "
        f"{size.coefficient_most:.3g} in size, range {size.coefficient_range:.3g}"
    )
    _show_optimum("optimum of the model", study.optimum)
    if study.problem is not None:
        _show_optimum("optimum of the problem, over all routes", study.problem)
    if study.reference is not None and study.reference_is != "proven optimum":
        console.say(f"samples are held against {console.number(study.reference, 9)}, the {study.reference_is}")
    _show_embeddings(study)
    _show_runs(study)
    _show_penalties(study)


def _show_optimum(what: str, found: Optimum) -> None:
    if found.proven:
        console.say(f"{what}: {console.number(found.value, 9)}, proven")
    else:
        console.say(
            f"{what}: best {console.number(found.value, 9)}, bound {console.number(found.bound, 9)}, not proven"
        )


def _show_embeddings(study: Study) -> None:
    headings = ["embedding", "qubits", "of", "longest chain", "mean chain", "CPU s", ""]
    cells = [
        [f"{each.topology} {each.size}", str(each.used), str(each.qubits), str(each.longest), f"{each.mean:.2f}",
         f"{each.seconds:.1f}", each.stopped or ""]
        if each.found
        else [f"{each.topology} {each.size}", "-", str(each.qubits), "-", "-", f"{each.seconds:.1f}", each.why]
        for each in study.embeddings
    ]  # fmt: skip
    if cells:
        console.table("", headings, cells, numbers=headings[1:6])


def _show_runs(study: Study) -> None:
    """Of a model without rules, in which nothing can be repaired, some columns would say nothing."""
    rules = study.problem is not None
    near = f"within {100 * study.near:g} %"
    headings = ["sampler", "sweeps", "reads", "ms/read", *(["feasible"] if rules else []), near, "TTS99 ms"]
    headings += ["repaired", "TTS99, repaired", "ratio", "best"] if rules else ["ratio", "best"]
    cells = []
    for run in study.runs:
        row = [run.sampler, "-" if run.sweeps is None else str(run.sweeps), str(run.reads), f"{run.read_ms:.3g}"]
        row += [console.percent(run.feasible.value)] if rules else []
        row += [_share(run.within), _time(run.tts99_ms)]
        row += [_share(run.within_repaired), _time(run.tts99_repaired_ms)] if rules else []
        cells.append([*row, console.number(run.ratio, 4), console.number(run.best_repaired, 6)])
    if cells:
        console.table("", headings, cells, numbers=headings[1:])


def _show_penalties(study: Study) -> None:
    headings = ["penalty", "sampler", "feasible", "ratio", "repaired", "ground state keeps all rules"]
    verdicts = {True: "yes, proven", False: "no, a sample lies below", None: "not known"}
    cells = [
        [f"{each.strength:g}", each.sampler, _share(each.feasible), console.number(each.ratio, 4),
         console.number(each.ratio_repaired, 4), verdicts[each.ground_feasible]]
        for each in study.penalties
    ]  # fmt: skip
    if cells:
        console.table("", headings, cells, numbers=["penalty", "feasible", "ratio", "repaired"])


def _share(found: Interval) -> str:
    if found.value is None:
        return "-"
    return f"{100 * found.value:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _time(found: Interval) -> str:
    if found.value is None:
        return "-" if found.low is None else f"> {found.low:.3g}"
    return f"{found.value:.3g} [{found.low:.3g}, {'' if found.high is None else format(found.high, '.3g')}]"
