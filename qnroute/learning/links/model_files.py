"""A fitted `LinkModel` as one safetensors file: arrays, and JSON in its header; nothing of it is ever run."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from qnroute.errors import ProblemError, SolverError
from qnroute.fields import Count, brief, brief_name, chosen, record
from qnroute.formats import json_text
from qnroute.formats.problems import require_format
from qnroute.formats.reading import source_of
from qnroute.formats.writing import write_bytes
from qnroute.learning.links.features import FEATURES, TARGETS
from qnroute.learning.links.files import scorer_arrays, scorer_of
from qnroute.learning.links.model import KINDS, LinkModel
from qnroute.learning.links.scorers import name_of

FORMAT = "qnroute.scores/1"
ENDING = ".safetensors"
MOST_BYTES = 2**30  # of a file
_MOST_HEADER = 2**20
_KEY = "qnroute"  # of the header's metadata; a second one would make the order of bytes a matter of chance
_DTYPES = ("F64", "F32", "I64", "I32")
_LARGEST_SIDE = 2**31
_CHUNK = 2**20


@record
class Trained:
    """What a model was trained on."""

    rows: dict[str, Count]
    networks: Count
    links: Count
    windows: Count
    fingerprint: str


@record
class Header:
    """All of a model but its arrays."""

    format: str
    kind: str
    options: dict[str, Any]
    seed: Count
    features: list[str]
    scorers: dict[str, dict[str, Any]]
    trained: Trained
    versions: dict[str, str]


def require_model_files() -> None:
    """Refuse, before long work, to write a model where safetensors is not installed."""
    if importlib.util.find_spec("safetensors") is None:
        raise SolverError('model files need safetensors: pip install "qnroute[learn]"')


def save_model(path: str | os.PathLike[str], model: LinkModel) -> None:
    """Write a fitted model, whole or not at all; the same model gives the same bytes.

    Raises
    ------
    ProblemError
        It has learned nothing yet, or the file cannot be written.
    SolverError
        safetensors is not installed.
    """
    require_model_files()
    from safetensors.numpy import save

    from qnroute.result import versions

    if not hasattr(model, "scorers_"):
        raise ProblemError("LinkModel: nothing was learned yet, call fit first")
    arrays, scorers = {}, {}
    for target, each in model.scorers_.items():
        parts, scorers[target] = scorer_arrays(each)
        arrays |= {f"{target}/{name}": np.ascontiguousarray(values) for name, values in parts.items()}
    told = {
        "format": FORMAT,
        "kind": model.kind,
        "options": {name: _plain(value) for name, value in model.options.items()},
        "seed": int(model.seed),
        "features": list(FEATURES),
        "scorers": scorers,
        "trained": model.trained_,
        "versions": versions(),
    }
    content = save(arrays, metadata={_KEY: json.dumps(told, allow_nan=False)})
    if len(content) > MOST_BYTES:
        raise ProblemError(f"model: found {len(content):,} bytes, expected at most {MOST_BYTES:,}")
    write_bytes(path, content)


def load_model(path: str | os.PathLike[str]) -> LinkModel:
    """Read a model; what it forecasts is what the one written did, to the last bit.

    Parameters
    ----------
    path
        The file; ``-`` is standard input.

    Raises
    ------
    ProblemError
        The file is no model, was cut off or tampered with, or is made for other features.
    SolverError
        safetensors or scikit-learn is not installed.
    """
    require_model_files()
    try:
        content = _content(path)
        told = _told(content)
        return _model(told, _arrays(content))
    except ProblemError as error:
        raise error.at(source_of(path)) if error.source is None else error from None


def _content(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file, refused as soon as there are more than a model has."""
    import sys

    pieces, total = [], 0
    try:
        standard = os.fspath(path) == "-"
        if standard and sys.stdin is None:
            raise OSError("it is closed")
        stream = sys.stdin.buffer if standard else open(path, "rb")
        try:
            while piece := stream.read(_CHUNK):
                pieces.append(piece)
                total += len(piece)
                if total > MOST_BYTES:
                    raise ProblemError(f"found more than {MOST_BYTES:,} bytes, expected a model of fewer")
        finally:
            if not standard:
                stream.close()
    except OSError as error:
        raise ProblemError(f"cannot be read: {error.strerror or error}") from None
    except ProblemError:
        raise
    except ValueError as error:  # a null byte in the path
        raise ProblemError(f"cannot be read: {error}", source=repr(path)) from None
    return b"".join(pieces)


def _told(content: bytes) -> dict[str, Any]:
    """What the header's metadata tell, after the header's claims about arrays were found possible."""
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or (size <= _MOST_HEADER and 8 + size > len(content)):
        raise ProblemError(f"the file ends after {len(content)} bytes, before its header is complete")
    if size > _MOST_HEADER:
        raise ProblemError(
            f"header: found a length of {size:,} bytes, expected at most {_MOST_HEADER:,}; is it a model file?"
        )
    header, faults = _parsed("header", content[8 : 8 + size])
    if not isinstance(header, dict):
        raise ProblemError(f"header: found {brief(header)}, expected a JSON object")
    told = header.pop("__metadata__", None)
    faults += [f"header.{brief_name(name)}: {why}" for name, row in header.items() for why in _row_faults(row)]
    if faults:
        raise ProblemError(faults)
    if not isinstance(told, dict) or not isinstance(told.get(_KEY), str):
        raise ProblemError(f"header: found no {_KEY!r} among the metadata, expected a model of the format {FORMAT!r}")
    document, faults = _parsed("metadata", told[_KEY].encode("utf-8", "replace"))
    if faults:
        raise ProblemError(faults)
    require_format(document, FORMAT)
    return document


def _parsed(what: str, text: bytes) -> tuple[Any, list[str]]:
    try:
        return json_text.parse(text)
    except ProblemError as error:
        raise ProblemError([f"{what}: {fault}" for fault in error.faults]) from None


def _row_faults(row: Any) -> Iterator[str]:
    """What is wrong with what the header says of an array."""
    if not isinstance(row, dict) or row.get("dtype") not in _DTYPES:
        found = row.get("dtype") if isinstance(row, dict) else row
        yield f"found {brief(found)}, expected an array of {', '.join(_DTYPES)}"
        return
    shape = row.get("shape")
    fit = isinstance(shape, list) and len(shape) <= 2
    if not fit or not all(type(side) is int and 0 <= side <= _LARGEST_SIDE for side in shape):
        yield f"shape: found {brief(shape)}, expected at most two sides"


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(content)
    except (SafetensorError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ProblemError(f"arrays: cut off or not as the header says: {' '.join(str(error).split())}") from None


def _model(document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> LinkModel:
    """The model of a document and its arrays, both checked."""
    told = Header(**document)
    chosen("kind", told.kind, KINDS)
    if tuple(told.features) != FEATURES:
        raise ProblemError(_other_features(told.features))
    faults = [f"scorers.{brief_name(name)}: unknown target" for name in told.scorers if name not in TARGETS]
    faults += [] if told.scorers else ["scorers: found none, expected some"]
    known = {name for name in arrays if "/" in name and name.partition("/")[0] in told.scorers}
    faults += [f"{brief_name(name)}: unknown array" for name in arrays if name not in known]
    if faults:
        raise ProblemError(faults)
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in told.options.items()}
    model = LinkModel(told.kind, options, told.seed)
    model.scorers_ = {}
    for target in (name for name in TARGETS if name in told.scorers):
        begin = f"{target}/"
        parts = {name.removeprefix(begin): values for name, values in arrays.items() if name.startswith(begin)}
        try:
            model.scorers_[target] = scorer_of(parts, told.scorers[target])
            _require_fitting(model, target)
        except ProblemError as error:
            raise ProblemError([f"{target}: {fault}" for fault in error.faults]) from None
    trained = told.trained
    model.trained_ = {name: getattr(trained, name) for name in Trained.__dataclass_fields__}
    return model


def _require_fitting(model: LinkModel, target: str) -> None:
    """Refuse a scorer that a model of this kind, options and seed does not have."""
    found, wanted = model.scorers_[target], model.recipe(target)
    if name_of(type(found)) != wanted.name:
        raise ProblemError(f"kind: found {name_of(type(found))}, expected {wanted.name}")
    made = found.get_params(deep=False)
    faults = [f"options.{brief_name(name)}: unknown option" for name in wanted.options if name not in made]
    faults += [
        f"options.{name}: found {brief(made[name])}, expected {brief(value)}"
        for name, value in wanted.options.items()
        if name in made and made[name] != value
    ]
    if found.n_features_in_ != len(FEATURES):
        faults.append(f"columns: found {found.n_features_in_}, expected {len(FEATURES)}")
    if faults:
        raise ProblemError(faults)


def _other_features(found: list[str]) -> str:
    missing = [name for name in FEATURES if name not in found]
    unknown = [brief_name(name) for name in found if name not in FEATURES]
    said = [f"without {', '.join(missing)}"] if missing else []
    said += [f"with {', '.join(unknown[:5])}"] if unknown else []
    why = " and ".join(said) or "in another order"
    return f"features: found {len(found)}, {why}; expected the {len(FEATURES)} of this version: learn the model anew"


def _plain(value: Any) -> Any:
    """An option as JSON has it."""
    if isinstance(value, np.generic):
        return value.item()
    return [_plain(each) for each in value] if isinstance(value, (tuple, list)) else value
