"""Event files: all that happened in one run, with what is needed to repeat it; and the repetition, which checks it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.simulation import events
from qnroute.simulation.scenario import Scenario
from qnroute.simulation.simulator import RefusedDecision, Simulator

FORMAT = "qnroute.events/1"
_COLUMNS = ("slot", "event", "a", "b", "c", "fidelity")
_SAID = (events.SWITCHED, events.BELIEVED)
_FIRST = (events.EXPIRED, events.HELD_EXPIRED, events.MADE, events.ARRIVED)
_CAME_TO_NOTHING = (events.SWAP_FAILED, events.BELOW_FLOOR)
_SAME = 1e-12  # fidelities are written with all their digits


def log_document(simulator: Simulator, scenario: Scenario, seed: int, policy: str, run: int = 0) -> dict[str, Any]:
    """One run's log as plain JSON values: columns of `docs/simulation.md`, the scenario, the seed and the policy."""
    found = simulator.events(run)
    columns = {name: found[name].tolist() for name in _COLUMNS}
    columns["fidelity"] = [None if value != value else value for value in columns["fidelity"]]
    return {
        "format": FORMAT,
        "scenario": scenario.to_dict(),
        "seed": seed,
        "policy": policy,
        "slots": simulator.slot,
        "names": list(events.EVENTS),
        "events": columns,
    }


def load_log(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read an event file and check its form."""
    from qnroute.formats.json_text import parse
    from qnroute.formats.reading import read_bytes, source_of

    try:
        document, faults = parse(read_bytes(path))
        faults = faults or list(_faults(document))
        if faults:
            raise ProblemError(faults)
    except ProblemError as error:
        raise error.at(source_of(path)) from None
    return document


def replay(document: Mapping[str, Any]) -> Simulator:
    """Repeat a logged run from its decisions alone, and compare everything that follows from them.

    Raises
    ------
    ProblemError
        A decision that the rules do not allow, or the first event that does not follow.
    """
    try:
        scenario = Scenario.from_dict(document["scenario"])
    except ProblemError as error:
        raise error.at("scenario") from None
    if document["slots"] > scenario.slots:
        told = f"found {document['slots']}, expected at most {scenario.slots}, as many as the scenario has"
        raise ProblemError(f"slots: {told}")
    case = scenario.case(document["seed"])
    simulator = Simulator([case.run], scenario.physics, held=scenario.held, logged=True)
    columns = [document["events"][name] for name in _COLUMNS]
    rows = list(zip(*columns[:5], [np.nan if value is None else value for value in columns[5]]))
    at = 0
    for _ in range(document["slots"]):
        end = _end_of(rows, at, simulator.slot)
        begun = _begun(rows, at, end)
        _decide(simulator, rows[at:begun])
        simulator.begin()
        _decide(simulator, rows[begun:end])
        simulator.finish()
        at = end
    _decide(simulator, [row for row in rows[at:] if row[1] in _SAID])
    _require_same(simulator, rows)
    return simulator


def _end_of(rows: list[tuple], start: int, slot: int) -> int:
    """Where the rows of a slot end."""
    while start < len(rows) and rows[start][0] == slot:
        start += 1
    return start


def _begun(rows: list[tuple], start: int, end: int) -> int:
    """Where in the rows of a slot it begins: what policies may say at any time can have been said before.

    All of it was where something follows that happens first in a slot. Else the last switch that counts for this slot's
    generation tells; what is believed matters to decisions alone.
    """
    at = start
    while at < end and rows[at][1] in _SAID:
        at += 1
    if at < end and rows[at][1] in _FIRST:
        return at
    while at > start and not (rows[at - 1][1] == events.SWITCHED and rows[at - 1][4] == rows[at - 1][0]):
        at -= 1
    return at


def _decide(simulator: Simulator, rows: list[tuple]) -> None:
    """The decisions that some rows of a slot tell of, taken again."""
    route: list[int] = []
    for slot, event, a, b, c, fidelity in rows:
        try:
            if event == events.USED:
                route.append(a)
            elif event == events.SERVED or (event in _CAME_TO_NOTHING and a >= 0):
                simulator.serve([a], route, [0, len(route)])
            elif event == events.HELD or event in _CAME_TO_NOTHING:
                simulator.preposition([0], route, [0, len(route)])
            elif event == events.SERVED_HELD:
                places = np.flatnonzero(simulator.state.number[: simulator.state.holding[0]] == c)
                simulator.serve_held([a], places[:1] if len(places) else [-1])
            elif event == events.SWITCHED:
                simulator.activate(_with(simulator.state.active, a, b == 1))
            elif event == events.BELIEVED:
                simulator.believe(_with(np.full(len(simulator.state.believed), np.nan), a, fidelity))
        except RefusedDecision as error:
            raise ProblemError(f"events: slot {slot}: {events.EVENTS[event]} is refused: {error}") from None
        if event != events.USED:
            route = []


def _with(values: np.ndarray, place: int, value: Any) -> np.ndarray:
    """A copy with one value changed."""
    if not 0 <= place < len(values):
        raise RefusedDecision(f"found number {place}, expected one below {len(values)}")
    changed = values.copy()
    changed[place] = value
    return changed


def _require_same(simulator: Simulator, rows: list[tuple]) -> None:
    found = simulator.events()
    again = list(zip(*(found[name].tolist() for name in _COLUMNS)))
    for i, (was, now) in enumerate(zip(rows, again)):
        apart = abs(was[5] - now[5]) > _SAME or (was[5] != was[5]) != (now[5] != now[5])
        if was[:5] != now[:5] or apart:
            raise ProblemError(f"events[{i}]: found {_told(was)}, but {_told(now)} follows")
    if len(rows) != len(again):
        raise ProblemError(f"events: found {len(rows)}, but {len(again)} follow")


def _told(row: tuple) -> str:
    return f"slot {row[0]} {events.EVENTS[row[1]]} {row[2]} {row[3]} {row[4]} {row[5]:.9g}"


def _faults(document: Any):
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        yield f"expected a JSON object with the format {FORMAT!r}"
        return
    for name in ("scenario", "seed", "policy", "slots", "events"):
        if name not in document:
            yield f"{name}: missing, but required"
    if not isinstance(document.get("policy", ""), str):
        yield f"policy: found {fields.brief(document['policy'])}, expected text"
    columns = document.get("events")
    if not isinstance(columns, dict) or any(not isinstance(columns.get(name), list) for name in _COLUMNS):
        yield f"events: expected the columns {', '.join(_COLUMNS)}"
        return
    sizes = {name: len(columns[name]) for name in _COLUMNS}
    if len(set(sizes.values())) > 1:
        yield f"events: columns of {fields.brief(sorted(set(sizes.values())))} different lengths"
        return
    for name in _COLUMNS[:5]:
        bad = [i for i, value in enumerate(columns[name]) if type(value) is not int or abs(value) > fields.LARGEST]
        if bad:
            yield f"events.{name}[{bad[0]}]: found {fields.brief(columns[name][bad[0]])}, expected an integer"
    bad = [i for i, value in enumerate(columns["event"]) if type(value) is int and not 0 <= value < len(events.EVENTS)]
    if bad:
        yield f"events.event[{bad[0]}]: found {columns['event'][bad[0]]}, expected 0 to {len(events.EVENTS) - 1}"
    bad = [i for i, value in enumerate(columns["fidelity"]) if type(value) not in (int, float, type(None))]
    if bad:
        yield f"events.fidelity[{bad[0]}]: found {fields.brief(columns['fidelity'][bad[0]])}, expected a number or null"
    if type(document.get("slots")) is not int or document["slots"] < 0:
        yield f"slots: found {fields.brief(document.get('slots'))}, expected an integer"
