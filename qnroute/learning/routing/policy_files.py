"""Files of routing policies, ``qnroute.policy/1``: safetensors, read and written with numpy alone.

A header of JSON, its length before it in eight bytes, names, shapes and places of float32 arrays; under
``__metadata__`` a text ``qnroute`` tells where they come from. Nothing in a file is run, and every array is checked
before it is used.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from qnroute.errors import ProblemError
from qnroute.formats.reading import read_bytes, source_of
from qnroute.formats.writing import write_bytes
from qnroute.learning.routing.episodes import FEATURES
from qnroute.learning.routing.policy import RoutePolicy

FORMAT = "qnroute.policy/1"
MOST_BYTES = 2_000_000
BUILT_IN = Path(__file__).with_name("weights") / "routing.safetensors"
_KEY = "qnroute"


def save_policy(path: str | os.PathLike[str], policy: RoutePolicy) -> None:
    """Write a policy; the same weights and `told` give the same bytes."""
    arrays = {name: np.ascontiguousarray(policy.weights[name], "<f4") for name in sorted(policy.weights)}
    told = {**policy.told, "format": FORMAT, "features": list(policy.features)}
    header: dict[str, Any] = {"__metadata__": {_KEY: json.dumps(told, sort_keys=True, allow_nan=False)}}
    begin = 0
    for name, values in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [begin, begin + values.nbytes]}
        begin += values.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write_bytes(path, len(text).to_bytes(8, "little") + text + b"".join(each.tobytes() for each in arrays.values()))


def load_policy(path: str | os.PathLike[str] = BUILT_IN, features: tuple[str, ...] = FEATURES) -> RoutePolicy:
    """Read a policy that sees these features, by default the one for one slot that comes with the package.

    Raises
    ------
    ProblemError
        The file is no policy, was cut off, or is made for other features.
    """
    try:
        return _read(read_bytes(path), features)
    except ProblemError as error:
        raise error.at(source_of(path)) if error.source is None else error from None


@cache
def built_in() -> RoutePolicy:
    """The policy for one slot that comes with the package, read once."""
    return load_policy()


def _read(content: bytes, features: tuple[str, ...]) -> RoutePolicy:
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or len(content) > MOST_BYTES or size > len(content) - 8:
        raise ProblemError(f"found {len(content)} bytes that are no policy, expected a file of {FORMAT}")
    header = _object("header", content[8 : 8 + size])
    told = header.pop("__metadata__", None)
    told = told.get(_KEY) if isinstance(told, dict) else None
    if not isinstance(told, str):
        raise ProblemError(f"header: found no {_KEY!r} among the metadata, expected a policy of {FORMAT}")
    document = _object("metadata", told.encode())
    if document.pop("format", None) != FORMAT:
        raise ProblemError(f"format: expected {FORMAT!r}")
    if document.pop("features", None) != list(features):
        raise ProblemError("features: are not those of this version: train the policy anew")
    arrays = {name: _array(name, row, content[8 + size :]) for name, row in header.items()}
    policy = RoutePolicy(arrays, document, features)
    if faults := list(policy.faults()):
        raise ProblemError(faults)
    return policy


def _object(what: str, text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ProblemError(f"{what}: is no JSON") from None
    if not isinstance(found, dict):
        raise ProblemError(f"{what}: expected a JSON object")
    return found


def _array(name: str, row: Any, data: bytes) -> np.ndarray:
    """One array of the header, a copy."""
    match row:
        case {"dtype": "F32", "shape": [*shape], "data_offsets": [int(begin), int(end)]} if len(shape) <= 2 and all(
            type(side) is int and side >= 0 for side in shape
        ):
            count = int(np.prod(shape, dtype=np.int64)) if max(shape, default=0) < MOST_BYTES else -1
            if 0 <= begin <= end <= len(data) and end - begin == 4 * count:
                return np.frombuffer(data, "<f4", count, begin).reshape(shape).astype(np.float32)
    raise ProblemError(f"{name:.40}: is no float32 array within the file")
