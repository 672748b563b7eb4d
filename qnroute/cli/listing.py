"""methods, networks, hardware: what there is, one line each; of one, its figures."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from qnroute.cli import console

if TYPE_CHECKING:
    from qnroute.hardware import Preset

Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (methods, networks, hardware):
        app.command()(command)


def methods(as_json: Json = False) -> None:
    """The methods by name, with their options."""
    from qnroute.methods import registered

    found = registered().values()
    if as_json:
        console.document(
            {
                method.name: {
                    "description": method.description,
                    "tasks": list(method.tasks),
                    "options": {
                        option.name: {"default": option.default, "expected": option.expected, "help": option.help}
                        for option in method.options
                    },
                }
                for method in found
            }
        )
        return
    width = max(len(method.name) for method in found)
    for method in found:
        options = ", ".join(
            f"{option.name}={'none' if option.default is None else option.default}" for option in method.options
        )
        console.say(f"{method.name:{width}}  {method.description}" + (f"  [{options}]" if options else ""))


def networks(
    name: Annotated[str | None, typer.Argument(metavar="[NAME_OR_FILE]", help="A bundled network or a file.")] = None,
    as_json: Json = False,
) -> None:
    """The bundled networks; of one, its figures; of a file, also what reading it merged, dropped or doubted."""
    from qnroute import catalog
    from qnroute.formats import load_network

    if name is None:
        found = {known: catalog.describe(known) for known in catalog.names()}
        if as_json:
            console.document({known: dataclasses.asdict(entry) for known, entry in found.items()})
            return
        width = max(map(len, found))
        for known, entry in found.items():
            size = f"{entry.n_sites} nodes, {entry.n_links} links"
            console.say(f"{known:{width}}  {entry.title} ({entry.year}): {size}, {entry.kind}")
        return
    from qnroute.summary import summarize

    network = load_network(name)
    figures = summarize(network)
    if as_json:
        console.document({**figures, "notes": list(network.notes)})
        return
    for key, value in figures.items():
        console.say(f"{key:22} {value if isinstance(value, (str, int)) else console.number(value, 4)}")
    for note in network.notes:
        console.say(f"note: {note}")


def hardware(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A preset.")] = None, as_json: Json = False
) -> None:
    """The hardware presets; of one, its figures with their sources, and what it makes of some lengths."""
    from qnroute.hardware import preset, presets

    if name is None:
        found = presets()
        if as_json:
            console.document({known: entry.to_dict() for known, entry in found.items()})
            return
        width = max(map(len, found))
        for known, entry in found.items():
            console.say(f"{known:{width}}  {entry.platform}: {entry.title}")
        return
    entry = preset(name)
    if as_json:
        console.document(entry.to_dict())
        return
    _print_preset(entry)


def _print_preset(entry: Preset) -> None:
    console.say(f"{entry.id}: {entry.title} ({entry.platform})")
    console.say(f"model: {entry.model}")
    console.say(
        f"slot: {entry.slot_s:g} s, {entry.slot_reason}; swap {entry.swap:g}; memory {entry.memory or 'not stated'}"
    )
    rows = [[name, f"{figure.value:g}", f"{figure.citation} [{figure.ref}]"] for name, figure in entry.figures.items()]
    console.table("", ["figure", "value", "source"], rows, numbers=["value"])
    lengths = [1.0, 10.0, 25.0, 50.0, 100.0]
    made = entry.link(lengths)
    columns = zip(lengths, made.p, made.fidelity, made.rate_hz)
    rows = [[f"{length:g}", f"{p:.3g}", f"{fidelity:.4f}", f"{rate:.3g}"] for length, p, fidelity, rate in columns]
    headings = ["length km", "p per slot", "fidelity", "pairs per second"]
    console.table("", headings, rows, numbers=headings)
