"""Networks to generate, written in one line: ``waxman:n=50,alpha=0.2,beta=0.4,memory=4:8``."""

from __future__ import annotations

import os
from typing import Any

from qnroute.errors import ProblemError
from qnroute.fields import brief, chosen
from qnroute.generate import TOPOLOGIES, topology
from qnroute.hardware import STANDARD_PRESET
from qnroute.network import Network
from qnroute.repeaters import insert_repeaters


def is_recipe(text: str) -> bool:
    """Whether a text asks for a network to be generated, and names no file."""
    kind, colon, rest = text.partition(":")
    meant = colon and kind.replace("-", "").replace("_", "").isalnum() and (not rest or "=" in rest)
    return kind in TOPOLOGIES or bool(meant and not os.path.exists(text))


def generated(
    recipe: str,
    *,
    seed: int = 0,
    hardware: str | None = None,
    repeater_km: float | None = None,
    slot_s: float | None = None,
) -> Network:
    """The network that a text ``KIND:KEY=VALUE,...`` asks for.

    Parameters
    ----------
    recipe
        The kind is one of `qnroute.generate.TOPOLOGIES`, the keys are its options; ``LOW:HIGH`` is a range.
    seed
        Of the draw.
    hardware, repeater_km, slot_s
        As in `qnroute.load_network`.

    Raises
    ------
    ProblemError
        No such kind; options that are missing, unknown, given twice, out of range or without effect.
    """
    kind, _, rest = recipe.partition(":")
    chosen("network", kind, TOPOLOGIES)
    try:
        options = options_of(rest)
        apart = {"hardware": hardware, "slot_s": slot_s}
        if twice := [key for key, value in apart.items() if value is not None and key in options]:
            raise ProblemError([f"{key}: given twice, among the options of {kind} and apart" for key in twice])
        hardware, slot_s = (options.pop(key, value) for key, value in apart.items())
        if slot_s is not None and hardware is None and repeater_km is None:
            raise ProblemError(f"slot_s: found {slot_s}, expected only together with hardware or repeater stations")
        built = {} if hardware is None else {"hardware": hardware, "slot_s": slot_s}
        made = topology(kind, seed=seed, **options, **built)
        if repeater_km is None:
            return made
        return insert_repeaters(made, repeater_km, hardware or STANDARD_PRESET, slot_s=slot_s)
    except ProblemError as error:
        raise error.at(f"network {kind}") from None


def options_of(text: str) -> dict[str, Any]:
    """The options that a text ``KEY=VALUE,...`` gives; ``LOW:HIGH`` is a range."""
    pairs = [(pair, *pair.partition("=")) for pair in text.split(",")] if text else []
    keys = [key for _, key, _, _ in pairs]
    faults = [f"found {brief(pair)}, expected KEY=VALUE" for pair, key, equals, _ in pairs if not key or not equals]
    faults += [f"{key}: not an option here, it is given apart" for key in keys if key in ("kind", "seed")]
    faults += [f"{brief(key)}: given more than once" for key in dict.fromkeys(keys) if keys.count(key) > 1]
    if faults:
        raise ProblemError(faults)
    return {key: _value(value) for _, key, _, value in pairs}


def _value(text: str) -> Any:
    """A number, a range of numbers, true or false, or else the text itself."""
    numbers = [_number(part) for part in text.split(":")]
    if None in numbers:
        return {"true": True, "false": False}.get(text.lower(), text)
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def _number(text: str) -> float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None
