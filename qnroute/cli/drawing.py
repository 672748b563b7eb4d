"""problem, export: draw a problem on a real or generated network, and write a model for other solvers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qnroute.cli import console

if TYPE_CHECKING:
    from qnroute.formats import Source
    from qnroute.network import Network
    from qnroute.problem import Request

_OPTIONS = {
    "weight": "--weight",
    "min_fidelity": "--min-fidelity",
    "routes": "--routes",
    "requests": "--requests",
    "count": "--requests",
    "requests.count": "--requests",
    "requests.weight": "--weight",
    "requests.min_fidelity": "--min-fidelity",
    "requests.routes": "--routes",
    "slot_s": "--slot",
    "repeater_km": "--repeaters",
    "every_km": "--repeaters",
    "hardware": "--hardware",
    "Objective.kind": "--objective",
    "Objective.serve_reward": "--serve-reward",
    "Rules.degree": "--degree",
    "Rules.max_hops": "--max-hops",
}
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
    seed: Annotated[int, typer.Option(help="Seed of the draw.", metavar="N", min=0)] = 0,
    hardware: Annotated[str | None, typer.Option(help="Preset that makes p and fidelity.", metavar="NAME")] = None,
    repeaters: Annotated[float | None, typer.Option(help="Stations on links longer than this.", metavar="KM")] = None,
    slot: Annotated[float | None, typer.Option(help="Length of a slot in seconds.", metavar="S")] = None,
    objective: Annotated[str, typer.Option(help="expected-pairs, log-success or link-sum.")] = "expected-pairs",
    serve_reward: Annotated[float, typer.Option(help="R of log-success.")] = 10.0,
    weight: Annotated[str | None, typer.Option(help="Of each request; 1.", metavar="LOW[:HIGH]")] = None,
    min_fidelity: Annotated[str | None, typer.Option(help="Of each request; 0.", metavar="LOW[:HIGH]")] = None,
    routes: Annotated[str | None, typer.Option(help="Of each request; 1.", metavar="LOW[:HIGH]")] = None,
    channels: Annotated[int | None, typer.Option(help="Of every link.", metavar="N", max=_LARGEST)] = None,
    memory: Annotated[int | None, typer.Option(help="Of every node.", metavar="N", max=_LARGEST)] = None,
    swap: Annotated[float | None, typer.Option(help="Of every node.", metavar="Q")] = None,
    degree: Annotated[int | None, typer.Option(help="Rule: routes leaving a node.", metavar="B")] = None,
    max_hops: Annotated[int | None, typer.Option(help="Rule: links of a route.", metavar="N")] = None,
    task: Annotated[str, typer.Option(help="allocation or link-selection.")] = "allocation",
    name: Annotated[str, typer.Option(help="Of the problem.")] = "",
) -> None:
    """Draw a problem on a real or generated network.

    \b
    Kinds to generate, each with the keys it needs, as in grid:rows=4,columns=5,p=0.3:0.6:
      erdos-renyi       n, probability
      regular           n, degree
      watts-strogatz    n, neighbours, rewiring
      barabasi-albert   n, links_per_node
      waxman            n, alpha, beta (and side_km)
      random-geometric  n, radius (and side_km)
      grid              rows, columns (and spacing_km)
    Keys of all kinds, numbers or ranges LOW:HIGH: length_km, p, fidelity, channels,
    memory, swap; and name, connected, hardware, slot_s.
    """
    from qnroute.errors import ProblemError
    from qnroute.formats import save_problem
    from qnroute.formats.writing import require_writable
    from qnroute.problem import Objective, Problem, Rules

    require_writable(out)
    asked = _given(weight=weight, min_fidelity=min_fidelity, routes=routes)
    if task == "link-selection" and (useless := _given(requests=requests or None, **asked)):
        field, found = next(iter(useless.items()))
        raise ProblemError(f"{_OPTIONS[field]}: found {found}, expected none: the task link-selection has no requests")
    asked = {field: _range(_OPTIONS[field], text, int if field == "routes" else float) for field, text in asked.items()}
    with _named_as_options():
        made, source = _network(network, seed, hardware=hardware, repeater_km=repeaters, slot_s=slot)
        made = made.replace(**_given(channels=channels, memory=memory, swap=swap))
        drawn = Problem(
            made,
            [] if task == "link-selection" else _requests(source, made, requests, seed, asked),
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
    model: Annotated[
        str,
        typer.Option(
            help="auto, link-flow, path-packing or link-selection; as a QUBO: auto, route-choice-qubo, "
            "link-selection-qubo or path-qubo.",
            metavar="M",
        ),
    ],
    out: Annotated[str, typer.Option(help="File ending in .mps or .lp; .bqm, .qubo or .coo.", metavar="FILE")],
    encoding: Annotated[
        str, typer.Option(help="Slack bits of a QUBO: binary, unary, domain-wall or unbalanced (none).")
    ] = "binary",
    candidates: Annotated[
        int, typer.Option(help="Best routes of each request in a QUBO; 0: those of column generation.", min=0)
    ] = 0,
) -> None:
    """Write a model as a file, and beside it a legend of its variable names."""
    from qnroute.formats import load_problem
    from qnroute.formats.writing import require_writable
    from qnroute.models.qubo_files import ENDINGS
    from qnroute.settings import Settings
    from qnroute.solvers.choice import stated, stated_qubo

    require_writable(out)
    read = load_problem(problem)
    if out.endswith(ENDINGS):
        made = stated_qubo(read, model, Settings(), candidates=candidates, encoding=encoding)
    else:
        made = stated(read, model)
    for path in made.write(out):
        console.remark(f"wrote {path}")


def _network(given: str, seed: int, **equipment: Any) -> tuple[Network, Source | None]:
    """The network asked for, and where it was read unless it was generated."""
    from qnroute.formats import read_source
    from qnroute.recipes import generated, is_recipe

    if is_recipe(given):
        return generated(given, seed=seed, **equipment), None
    source = read_source(given)
    return source.network(**equipment), source


def _requests(
    source: Source | None, network: Network, count: int | None, seed: int, asked: dict[str, Any]
) -> Sequence[Request]:
    """Requests drawn between the sites of the network, or made of the demands that its source holds."""
    from qnroute import generate
    from qnroute.errors import ProblemError
    from qnroute.repeaters import sites

    if count is not None:
        return generate.requests(network, count, seed=seed, among=sites(network), **asked)
    if source is None or not source.has_demands:
        found = network.name or "the network"
        raise ProblemError(f"--requests: missing, and {found} holds no demands; give --requests N")
    if "weight" in asked:
        raise ProblemError(f"--weight: expected none, the demands of {source.called} are the weights; or --requests N")
    if drawn := [_OPTIONS[field] for field, value in asked.items() if isinstance(value, tuple)]:
        raise ProblemError(f"{drawn[0]}: found a range, expected one number for all demands; or --requests N")
    found = source.demands(**asked)
    for note in found.notes:
        console.remark(note)
    return found.requests


@contextlib.contextmanager
def _named_as_options() -> Iterator[None]:
    """Faults found further in name the options of the command line."""
    from qnroute.errors import ProblemError

    try:
        yield
    except ProblemError as error:
        places = [fault.partition(":") for fault in error.faults]
        faults = [f"{_OPTIONS.get(place, place)}{colon}{rest}" for place, colon, rest in places]
        raise ProblemError(faults, source=error.source) from None


def _given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _range(option: str, text: str, kind: type):
    """``0.7`` or ``0.6:0.9``."""
    from qnroute.errors import ProblemError

    try:
        ends = [kind(part) for part in text.split(":")]
    except ValueError:
        ends = []
    if len(ends) not in (1, 2):
        raise ProblemError(f"{option}: found {text!r:.40}, expected LOW or LOW:HIGH")
    return ends[0] if len(ends) == 1 else tuple(ends)
