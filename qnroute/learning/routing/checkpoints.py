"""Checkpoints of a training, ``qnroute.checkpoint/1``: safetensors with all that it goes on from.

Arrays stand under ``part/name``; the header tells the stage, its number, the recipe and the state of the random
numbers. A file appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from qnroute.errors import ProblemError, SolverError
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


class Keeper:
    """Writes some of the snapshots it is given: of PPO every so many-th one and the last, of the rest all.

    `finish` writes the last one where the training ended before its time.

    Attributes
    ----------
    begun : the snapshot to go on from, if any
    """

    def __init__(self, path: str | os.PathLike[str], recipe: Mapping[str, Any], *, resume: bool, every: int = 10):
        if importlib.util.find_spec("safetensors") is None:
            raise SolverError('checkpoints need safetensors: pip install "qnroute[learn]"')
        self._path, self._recipe, self._every = path, recipe, every
        self._passed_over: Snapshot | None = None
        self.begun = load_checkpoint(path, recipe) if resume else None

    def keep(self, found: Snapshot) -> None:
        """Take a snapshot."""
        due = found.number % self._every == 0 or found.number == self._recipe["ppo"]["updates"]
        self._passed_over = None if due or found.stage != "ppo" else found
        if self._passed_over is None:
            save_checkpoint(self._path, found, self._recipe)

    def finish(self) -> None:
        """Write the last snapshot, if it was passed over."""
        if self._passed_over is not None:
            save_checkpoint(self._path, self._passed_over, self._recipe)
            self._passed_over = None


def save_checkpoint(path: str | os.PathLike[str], snapshot: Snapshot, recipe: Mapping[str, Any]) -> None:
    """Write where a training by a recipe stands."""
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(value) for name, value in snapshot.arrays.items()}
    told = {
        "format": FORMAT, "stage": snapshot.stage, "number": snapshot.number, "told": snapshot.told, "recipe": recipe,
    }  # fmt: skip
    told["sha256"] = _digest(arrays, told)
    write_bytes(path, save(arrays, {_KEY: json.dumps(told, sort_keys=True)}))


def load_checkpoint(path: str | os.PathLike[str], recipe: Mapping[str, Any]) -> Snapshot:
    """Where a training by this recipe stood.

    Raises
    ------
    ProblemError
        The file is no checkpoint, was cut off or changed, or is of another recipe.
    """
    source, content = source_of(path), read_bytes(path)
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        size = int.from_bytes(content[:8], "little")
        told = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][_KEY])
        if told["format"] != FORMAT or told.pop("sha256") != _digest(arrays, told):
            raise ValueError
        found = Snapshot(str(told["stage"]), int(told["number"]), arrays, dict(told["told"]))
        theirs = told["recipe"]
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        raise ProblemError(f"is no whole checkpoint, expected a file of {FORMAT}", source=source) from None
    if other := _difference(theirs, recipe):
        raise ProblemError(f"is of another recipe: {other}", source=source)
    return found


def _digest(arrays: Mapping[str, np.ndarray], told: Mapping[str, Any]) -> str:
    found = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name in sorted(arrays):
        found.update(name.encode() + arrays[name].tobytes())
    return found.hexdigest()


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
