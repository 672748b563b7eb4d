"""problem, export: draw a problem on a real or generated network, and write a model for other solvers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qnroute.cli import console
from qnroute.cli.solving import key_values

if TYPE_CHECKING:
    from qnroute.network import Network
    from qnroute.problem import Request

DEFAULT_PRESET = "repeater"
_LARGEST = 2**53 - 1  # `fields.LARGEST`, which is not worth an import here


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (problem, export):
        app.command()(command)


def problem(
    network: Annotated[
        str, typer.Option(help="Bundled name, file, or KIND:KEY=VALUE,... to generate.", metavar="NAME_OR_FILE")
    ],
    out: Annotated[str, typer.Option(help="Problem file to write; - for standard output.", metavar="FILE")],
    requests: Annotated[int | None, typer.Option(help="How many; the file's demands if left out.", metavar="N")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.", metavar="N")] = 0,
    hardware: Annotated[str | None, typer.Option(help="Preset that makes p and fidelity.", metavar="NAME")] = None,
    repeaters: Annotated[float | None, typer.Option(help="Stations on links longer than this.", metavar="KM")] = None,
    slot: Annotated[float | None, typer.Option(help="Length of a slot in seconds.", metavar="S")] = None,
    objective: Annotated[str, typer.Option(help="expected-pairs, log-success or link-sum.")] = "expected-pairs",
    serve_reward: Annotated[float, typer.Option(help="R of log-success.")] = 10.0,
    weight: Annotated[str, typer.Option(help="Of each request.", metavar="LOW[:HIGH]")] = "1",
    min_fidelity: Annotated[str, typer.Option(help="Of each request.", metavar="LOW[:HIGH]")] = "0",
    routes: Annotated[str, typer.Option(help="Of each request.", metavar="LOW[:HIGH]")] = "1",
    channels: Annotated[int | None, typer.Option(help="Of every link.", metavar="N", max=_LARGEST)] = None,
    memory: Annotated[int | None, typer.Option(help="Of every node.", metavar="N", max=_LARGEST)] = None,
    swap: Annotated[float | None, typer.Option(help="Of every node.", metavar="Q")] = None,
    degree: Annotated[int | None, typer.Option(help="Rule: routes leaving a node.", metavar="B")] = None,
    max_hops: Annotated[int | None, typer.Option(help="Rule: links of a route.", metavar="N")] = None,
    task: Annotated[str, typer.Option(help="allocation or link-selection.")] = "allocation",
    name: Annotated[str, typer.Option(help="Of the problem.")] = "",
) -> None:
    """Draw a problem on a real or generated network."""
    from qnroute.errors import ProblemError
    from qnroute.formats import save_problem
    from qnroute.formats.writing import require_writable
    from qnroute.problem import Objective, Problem, Rules

    require_writable(out)
    if requests and task == "link-selection":
        raise ProblemError(f"--requests: found {requests}, expected none: the task link-selection has no requests")
    made, sites = _network(network, seed, hardware, repeaters, slot)
    columns = {"channels": channels, "memory": memory, "swap": swap}
    made = made.replace(**{field: value for field, value in columns.items() if value is not None})
    asked = {"weight": _range("weight", weight), "min_fidelity": _range("min-fidelity", min_fidelity)}
    asked["routes"] = _range("routes", routes, int)
    drawn = Problem(
        made,
        [] if task == "link-selection" else _requests(network, made, sites, requests, seed, asked),
        objective=Objective(objective, serve_reward),
        rules=Rules(degree=degree, max_hops=max_hops),
        task=task,
        name=name,
    )
    save_problem(drawn, out)
    for note in made.notes:
        console.remark(note)


def export(
    problem: Annotated[str, typer.Argument(metavar="PROBLEM", help="Problem file.")],
    model: Annotated[str, typer.Option(help="link-flow, path-packing or link-selection.", metavar="M")],
    out: Annotated[str, typer.Option(help="File ending in .mps or .lp.", metavar="FILE")],
) -> None:
    """Write a model as a file, and beside it a legend of its variable names."""
    from qnroute.formats import load_problem
    from qnroute.formats.writing import require_writable
    from qnroute.solvers.choice import stated

    require_writable(out)
    made = stated(load_problem(problem), model)
    for path in made.write(out):
        console.remark(f"wrote {path}")


def _network(
    given: str, seed: int, hardware: str | None, repeaters: float | None, slot: float | None
) -> tuple[Network, Sequence[str]]:
    """A bundled or read network, or one generated where the text starts with a kind of topology; and its sites.

    Repeater stations are not sites: nobody asks for entanglement there.
    """
    from qnroute.errors import ProblemError
    from qnroute.formats import load_network
    from qnroute.generate import TOPOLOGIES, topology
    from qnroute.repeaters import insert_repeaters

    kind, _, rest = given.partition(":")
    if kind not in TOPOLOGIES:
        sites = load_network(given, hardware=hardware, slot_s=slot).node_ids
        return load_network(given, hardware=hardware, repeater_km=repeaters, slot_s=slot), sites
    options: dict[str, Any] = {
        key: _number(value) for key, value in key_values(rest.split(",") if rest else [], given).items()
    }
    if reserved := {"kind", "seed"} & set(options):
        raise ProblemError(f"--network: found {min(reserved)} among the options of {kind}; the seed is set by --seed")
    equipment = {"hardware": hardware, "slot_s": slot}
    made = topology(kind, seed=seed, **{key: value for key, value in equipment.items() if value is not None}, **options)
    if repeaters is None:
        return made, made.node_ids
    return insert_repeaters(made, repeaters, hardware or DEFAULT_PRESET, slot_s=slot), made.node_ids


def _requests(
    given: str, network: Network, sites: Sequence[str], count: int | None, seed: int, asked: dict[str, Any]
) -> Sequence[Request]:
    from qnroute import generate
    from qnroute.formats import load_demands

    if count is not None:
        return generate.requests(network, count, seed=seed, among=sites, **asked)
    found = load_demands(given)
    for note in found.notes:
        console.remark(note)
    return found.requests


def _range(name: str, text: str, kind: type = float):
    """``0.7`` or ``0.6:0.9``."""
    from qnroute.errors import ProblemError

    try:
        ends = [kind(part) for part in text.split(":")]
    except ValueError:
        ends = []
    if len(ends) not in (1, 2):
        raise ProblemError(f"--{name}: found {text!r:.40}, expected LOW or LOW:HIGH")
    return ends[0] if len(ends) == 1 else tuple(ends)


def _number(text: str):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)
