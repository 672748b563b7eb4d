"""Checkpoints of a training, ``qnroute.checkpoint/1``: safetensors with all that it goes on from.

Arrays stand under ``part/name``; the header tells the stage, its number, the recipe and the state of the random
numbers. A file appears whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from qnroute.errors import ProblemError
from qnroute.fields import brief
from qnroute.formats.reading import read_bytes, source_of
from qnroute.formats.writing import write_bytes

FORMAT = "qnroute.checkpoint/1"
_KEY = "qnroute"


class Snapshot(NamedTuple):
    """Where a training stands.

    Attributes
    ----------
    stage, number : what was done last: which part of the training, and how often
    arrays : by ``part/name``
    told : plain values
    """

    stage: str
    number: int
    arrays: Mapping[str, np.ndarray]
    told: Mapping[str, Any]

    @classmethod
    def of(
        cls, stage: str, number: int, parts: Mapping[str, Mapping[str, np.ndarray]], told: Mapping[str, Any]
    ) -> Snapshot:
        """One of several parts of named arrays."""
        arrays = {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
        return cls(stage, number, arrays, dict(told))

    def telling(self, **more: Any) -> Snapshot:
        """It, with more told."""
        return self._replace(told={**self.told, **more})

    def part(self, part: str) -> dict[str, np.ndarray]:
        """The arrays of a part."""
        return {
            name.removeprefix(f"{part}/"): value for name, value in self.arrays.items() if name.startswith(f"{part}/")
        }


def save_checkpoint(path: str | os.PathLike[str], snapshot: Snapshot, recipe: Mapping[str, Any]) -> None:
    """Write where a training by a recipe stands."""
    from safetensors.numpy import save

    told = {
        "format": FORMAT, "stage": snapshot.stage, "number": snapshot.number, "told": snapshot.told, "recipe": recipe
    }  # fmt: skip
    arrays = {name: np.ascontiguousarray(value) for name, value in snapshot.arrays.items()}
    write_bytes(path, save(arrays, {_KEY: json.dumps(told, sort_keys=True)}))


def load_checkpoint(path: str | os.PathLike[str], recipe: Mapping[str, Any]) -> Snapshot:
    """Where a training by this recipe stood.

    Raises
    ------
    ProblemError
        The file is no checkpoint, was cut off, or is of another recipe.
    """
    source, content = source_of(path), read_bytes(path)
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        size = int.from_bytes(content[:8], "little")
        told = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][_KEY])
        if told["format"] != FORMAT:
            raise ValueError
        found = Snapshot(str(told["stage"]), int(told["number"]), arrays, dict(told["told"]))
        theirs = told["recipe"]
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        raise ProblemError(f"is no whole checkpoint, expected a file of {FORMAT}", source=source) from None
    if other := _difference(theirs, recipe):
        raise ProblemError(f"is of another recipe: {other}", source=source)
    return found


def _difference(theirs: Any, ours: Mapping[str, Any], where: str = "") -> str:
    """The first thing that two recipes differ in, or nothing."""
    if not isinstance(theirs, dict):
        return f"{where or 'recipe'} is {brief(theirs)}"
    for name in sorted({*theirs, *ours}):
        place, one, other = f"{where}{name}", theirs.get(name), ours.get(name)
        if isinstance(other, Mapping):
            if deeper := _difference(one, other, f"{place}."):
                return deeper
        elif one != other:
            return f"{place} is {brief(one)} in the checkpoint, {brief(other)} in the recipe"
    return ""
