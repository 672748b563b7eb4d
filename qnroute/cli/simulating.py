"""simulate: policies on the same luck, slot by slot, beside what a clairvoyant could have done."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qnroute.cli import console

if TYPE_CHECKING:
    from qnroute.benchmark.chances import Interval
    from qnroute.simulation.scenario import Scenario
    from qnroute.simulation.trials import Trials

_DEFAULT = (
    "reactive", "shortest-path", "highest-fidelity", "greedy", "static", "exact", "spep", "lookahead", "hybrid", "ppo",
    "refine",
)  # fmt: skip
_FORECASTING = "spep", "lookahead", "ppo", "refine"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(simulate)


def simulate(
    scenario: Annotated[
        str | None, typer.Argument(metavar="[SCENARIO]", help="Scenario file; or say --network and the rest here.")
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="Bundled name, file, or KIND:KEY=VALUE,... to generate.", metavar="NAME_OR_FILE")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="NAME or NAME:KEY=VALUE,...; may be repeated (all that need no training).", metavar="POLICY"),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, max=10_000, help="Each with a seed of its own.", metavar="N")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of the first run.", metavar="N")] = 0,
    slots: Annotated[int | None, typer.Option(help="Of a run (2000).", metavar="N")] = None,
    history: Annotated[
        int | None, typer.Option(help="Slots of demand before it, for predictors (2000).", metavar="N")
    ] = None,
    workload: Annotated[
        str | None, typer.Option(help="As business-hours:rate=0.5 (the default), poisson, bursty, traffic:file=...")
    ] = None,
    dynamics: Annotated[
        list[str] | None,
        typer.Option(help="As drift:sd=0.5,fidelity_sd=0.3, jumps:every=300, diurnal, outages; repeatable."),
    ] = None,
    held: Annotated[int | None, typer.Option(help="Pairs pre-positioned at once (8).", metavar="K")] = None,
    decay: Annotated[float | None, typer.Option(help="rho, what a pair keeps per slot (0.96).")] = None,
    lifetime: Annotated[int | None, typer.Option(help="Slots a pair is kept (15).")] = None,
    min_fidelity: Annotated[float | None, typer.Option(help="F_min, below which a pair is given up (0.5).")] = None,
    model: Annotated[str | None, typer.Option(help="werner, or printed: paper C's formulas.")] = None,
    bound: Annotated[bool, typer.Option(help="Compute what a clairvoyant reaches.")] = True,
    time_limit: Annotated[float | None, typer.Option(help="Seconds; what is finished by then is shown.")] = None,
    out: Annotated[str | None, typer.Option(help="Write every run: .json", metavar="FILE")] = None,
    plot: Annotated[str | None, typer.Option(help="Draw measures and distributions: .png .svg .pdf")] = None,
    log: Annotated[
        str | None, typer.Option(help="Write all events of the first run of the first policy: .json")
    ] = None,
    save: Annotated[str | None, typer.Option(help="Write the scenario: .json", metavar="FILE")] = None,
    telemetry: Annotated[
        str | None,
        typer.Option(
            help="Write what is seen of links in the first policy's runs, which are played once more: .csv .csv.gz",
            metavar="FILE",
        ),
    ] = None,
    monitor: Annotated[
        str | None, typer.Option(help="Measures over time: .csv .json, or drawn: .png .svg .pdf", metavar="FILE")
    ] = None,
    window: Annotated[
        int, typer.Option(min=1, help="Slots of a window of --telemetry, --monitor.", metavar="SLOTS")
    ] = 50,
    replay: Annotated[
        str | None, typer.Option(help="Repeat an event file and check it; nothing else.", metavar="FILE")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="The policies, and what they may be told.")] = False,
) -> None:
    """Simulate policies slot by slot; all of them meet the same luck.

    The table shows means over the runs with 95 % intervals, and the share of the requests served that a clairvoyant
    could have served. docs/simulation.md says what a slot is.
    """
    if listed:
        _list()
        return
    if replay is not None:
        _replay(replay)
        return
    from qnroute.errors import NoAnswer

    _require(out, plot, log, save, telemetry, monitor)
    physics = _given(decay=decay, lifetime=lifetime, min_fidelity=min_fidelity, model=model)
    made = _scenario(scenario, network, workload, dynamics, physics, _given(slots=slots, history=history, held=held))
    if telemetry is not None or monitor is not None:
        from qnroute.simulation.recording import require_windows

        require_windows(made, window)
    from qnroute.interruption import noted
    from qnroute.methods import TIME_LIMIT
    from qnroute.settings import Settings
    from qnroute.simulation.trials import simulate as tried

    settings = Settings(None if time_limit is None else TIME_LIMIT.parse(time_limit))
    with console.share_done("simulating") as doing, noted(settings.interrupted):
        some = policy or _usual(made)
        seeds, watched = range(seed, seed + runs), window if monitor is not None else None
        trials = tried(made, some, seeds, bound=bound, doing=doing, settings=settings, window=watched)
    if not trials.trials:
        raise NoAnswer(f"{trials.stopped} before any run was finished")
    if "-" not in (out, log, save):
        _report(trials)
    _write(trials, out=out, plot=plot, log=log, save=save)
    if telemetry is not None:
        _record(trials, telemetry, window)
    if monitor is not None:
        _monitored(trials, monitor)
    if trials.stopped:
        console.remark(f"{trials.stopped}: these are the runs finished by then")


def _usual(scenario: Scenario) -> tuple[str, ...]:
    """The policies played where none was named; without a history, those that need none."""
    if scenario.history:
        return _DEFAULT
    console.remark(f"no history to forecast from: without {', '.join(_FORECASTING[:-1])} and {_FORECASTING[-1]}")
    return tuple(name for name in _DEFAULT if name not in _FORECASTING)


def _scenario(path, network, workload, dynamics, physics: dict[str, Any], rest: dict[str, Any]) -> Scenario:
    """The scenario asked for: a file, changed by the options that were given, or the options alone."""
    from qnroute.errors import ProblemError
    from qnroute.simulation.dynamics import dynamics as dynamics_by_name
    from qnroute.simulation.physics import Physics
    from qnroute.simulation.scenario import Scenario, load_scenario
    from qnroute.simulation.workloads import workload as workload_by_name

    changes = dict(rest)
    if workload is not None:
        changes["workload"] = _by_name(workload, workload_by_name)
    if dynamics:
        changes["dynamics"] = tuple(_by_name(text, dynamics_by_name) for text in dynamics)
    if network is not None:
        changes["network"] = network
    if path is None:
        if network is None:
            raise ProblemError("--network: missing, and no scenario file was given")
        return Scenario(**changes, physics=Physics(**physics))
    found = load_scenario(path)
    import dataclasses

    return found.replace(**changes, physics=dataclasses.replace(found.physics, **physics))


def _by_name(text: str, make):
    from qnroute.recipes import options_of

    kind, _, rest = text.partition(":")
    return make(kind, **options_of(rest))


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _require(
    out: str | None, plot: str | None, log: str | None, save: str | None, telemetry: str | None, monitor: str | None
) -> None:
    """Refuse, before long work, files that could not be written after it."""
    from qnroute.errors import ProblemError
    from qnroute.formats.writing import named, require_writable

    given = [path for path in (out, plot, log, save, telemetry, monitor) if path is not None]
    if twice := [path for path in given if given.count(path) > 1]:
        raise ProblemError("named more than once, expected a file for each", source=named(twice[0]))
    for path in (out, log, save):
        if path is not None and path != "-" and not path.endswith(".json"):
            raise ProblemError("expected a name ending in .json", source=path)
    if telemetry is not None and not telemetry.endswith((".csv", ".csv.gz")):
        raise ProblemError("expected a name ending in .csv or .csv.gz", source=telemetry)
    if not (monitor is None or _is_table(monitor) or monitor.lower().endswith((".png", ".svg", ".pdf"))):
        raise ProblemError("expected a name ending in .csv, .json, .png, .svg or .pdf", source=monitor)
    for path in given:
        require_writable(path)
    drawn = [plot] if monitor is None or _is_table(monitor) else [plot, monitor]
    for path in drawn:
        if path is not None:
            from qnroute.plot import require_plotting

            require_plotting(path)


def _is_table(path: str) -> bool:
    return path.endswith((".csv", ".json"))


def _monitored(trials: Trials, path: str) -> None:
    """Write or draw the windows of all finished runs."""
    from qnroute.benchmark.timeline_figures import plot_timelines, windows

    if _is_table(path):
        from qnroute.benchmark.tables import write_table

        write_table(windows(trials), path)
    else:
        from qnroute.plot import save_figure

        save_figure(plot_timelines(trials), path)


def _write(trials: Trials, *, out: str | None, plot: str | None, log: str | None, save: str | None) -> None:
    import json

    from qnroute.formats.writing import write_text

    if out is not None:
        write_text(out, json.dumps(trials.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    if save is not None:
        write_text(save, json.dumps(trials.scenario.to_dict(), indent=1, ensure_ascii=False) + "\n")
    if log is not None:
        from qnroute.simulation.policies import policy
        from qnroute.simulation.policy import play
        from qnroute.simulation.replay import log_document

        name, seed = trials.policies[0], trials.seeds[0]
        simulator = play(policy(name), [trials.scenario.case(seed)], trials.scenario, logged=True)
        write_text(log, json.dumps(log_document(simulator, trials.scenario, seed, name), allow_nan=False) + "\n")
    if plot is not None:
        from qnroute.benchmark.trial_figures import plot_trials
        from qnroute.plot import save_figure

        save_figure(plot_trials(trials), plot)


def _record(trials: Trials, path: str, window: int) -> None:
    """Write telemetry of the finished runs of the first policy, if there are any."""
    from qnroute.learning.links.telemetry_files import save_telemetry
    from qnroute.simulation.recording import recorded

    if not trials.of(trials.policies[0]):
        console.remark(f"{path}: not written: no run of {trials.policies[0]} was finished")
        return
    with console.doing("playing once more for telemetry"):
        save_telemetry(path, recorded(trials, window=window))


def _replay(path: str) -> None:
    from qnroute.errors import ProblemError
    from qnroute.formats.reading import source_of
    from qnroute.simulation.measures import measures
    from qnroute.simulation.replay import load_log, replay

    document = load_log(path)
    try:
        simulator = replay(document)
    except ProblemError as error:
        raise error.at(source_of(path)) from None
    found = measures(simulator)
    console.say(
        f"{document['policy']}, seed {document['seed']}: {len(document['events']['slot'])} events in {simulator.slot} "
        f"slots follow from its decisions; {found.served} of {found.requests} requests served"
    )


# --- what people see ---


def _list() -> None:
    from qnroute.simulation.policies import policies

    for kind in policies().values():
        console.say(f"{kind.name}  {kind.description}")
        for option in kind.options:
            console.say(f"    {option.name}={option.default}  {option.help} ({option.expected})")


def _report(trials: Trials) -> None:
    from qnroute.benchmark.statistics import mean_interval

    headings = ["policy", "runs", "success %", "of the possible %", "latency", "fidelity", "pairs used %", "useful %"]
    headings += ["CPU ms"]
    rows = []
    for name in trials.policies:
        some = trials.of(name)
        if not some:
            continue
        cells = [name, str(len(some)), _interval(mean_interval(trials.values(name, "success")), 100, 2)]
        cells.append(_interval(mean_interval(trials.shares(name)), 100, 1))
        for metric, scale, digits in (
            ("latency", 1, 2),
            ("fidelity", 1, 4),
            ("utilisation", 100, 1),
            ("useful", 100, 1),
        ):
            cells.append(_interval(mean_interval(trials.values(name, metric)), scale, digits))
        cells.append(f"{1000 * statistics.median(trial.seconds for trial in some):.3g}")
        rows.append(cells)
    console.table("", headings, rows, numbers=headings[1:])
    if trials.bounds:
        possible = [found.bound / found.requests for found in trials.bounds.values() if found.requests]
        told = _interval(mean_interval(possible), 100, 2)
        console.say(f"a clairvoyant serves at most {told} % of the requests ({len(possible)} runs)")
    if trials.trials and not any(trial.measures.served for trial in trials.trials):
        _say_why(trials)


def _say_why(trials: Trials) -> None:
    """Nobody was served: mostly the links are too long, or nobody asked."""
    if not any(trial.measures.requests for trial in trials.trials):
        console.remark("nobody asked for anything: take more slots or a higher rate")
        return
    chance = statistics.median(trials.scenario.case(trials.seeds[0]).run.network.p.tolist() or [0.0])
    console.remark(
        f"nobody was served: links make a pair in a slot with a chance of {chance:.2g} (median); shorter links, "
        "repeater stations or other hardware help (qnroute problem --help)"
    )


def _interval(found: Interval, scale: float, digits: int) -> str:
    """``12.3 ± 0.4``; a dash where nothing is known."""
    if found.value is None:
        return "-"
    middle = f"{scale * found.value:.{digits}f}"
    return middle if found.low is None else f"{middle} ± {scale * (found.value - found.low):.{digits}f}"
