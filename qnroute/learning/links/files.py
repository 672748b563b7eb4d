"""A fitted scorer as plain arrays and what goes with them, and back; nothing of it runs unchecked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qnroute.errors import ProblemError
from qnroute.fields import brief, brief_name
from qnroute.learning.links.estimator import LinkScorer, option_faults
from qnroute.learning.links.scorers import class_of, name_of, options_of

FORMAT = "qnroute.link-scorer/1"
LOSSES = ("squared", "spo+", "perturbed")
_FIELDS = ("format", "kind", "options", "columns")
_OF_DECISIONS = ("linear", "mlp")  # what can be trained by another loss than the squared one
_MOST_COLUMNS = 100_000


def scorer_arrays(scorer: LinkScorer) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What a fitted scorer knows.

    Returns
    -------
    tuple
        Arrays by name, and what JSON can carry: ``format``, ``kind`` (its name in `SCORERS`), ``options``, ``columns``
        (how many features), and ``loss`` where it was not the squared one.

    Raises
    ------
    ProblemError
        It is no scorer, or has learned nothing yet.
    """
    if not isinstance(scorer, LinkScorer):
        raise ProblemError(f"scorer: found {type(scorer).__name__}, expected a LinkScorer")
    kind = name_of(type(scorer))
    if not hasattr(scorer, "arrays_"):
        raise ProblemError(f"scorer: found {type(scorer).__name__} that learned nothing yet, call fit first")
    options = {name: _plain(value) for name, value in scorer.get_params(deep=False).items()}
    meta = {"format": FORMAT, "kind": kind, "options": options, "columns": int(scorer.n_features_in_)}
    if scorer.loss_ != "squared":
        meta["loss"] = scorer.loss_
    return {name: values.copy() for name, values in scorer.arrays_.items()}, meta


def scorer_of(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> LinkScorer:
    """The scorer that `scorer_arrays` took apart; it predicts the same to the last bit.

    Raises
    ------
    ProblemError
        Arrays or what goes with them are not those of a scorer.
    """
    kind, options, columns, loss = _stated(meta)
    if not isinstance(arrays, Mapping) or not all(isinstance(name, str) for name in arrays):
        raise ProblemError(f"arrays: found {type(arrays).__name__}, expected arrays by name")
    strange = [brief_name(name) for name, values in arrays.items() if not isinstance(values, np.ndarray)]
    if strange:
        raise ProblemError([f"{name}: expected an array" for name in strange])
    cls = class_of(kind)
    made = cls(**options)
    made.n_features_in_, made.loss_ = columns, loss
    made.arrays_ = {name: np.array(values, order="C", subok=False) for name, values in arrays.items()}
    asked = _Asked(made.arrays_)
    made.arrays_ = asked
    faults = made.faults()
    faults = faults or [f"{brief_name(name)}: unknown array" for name in asked if name not in asked.names]
    if faults:
        raise ProblemError(faults)
    made.arrays_ = dict(asked)
    for values in made.arrays_.values():
        values.flags.writeable = False
    return made


class _Asked(dict):
    """Arrays that remember for which names they were asked."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        super().__init__(arrays)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        """The array of a name."""
        self.names.add(name)
        return super().get(name, default)


def _stated(meta: Any) -> tuple[str, dict[str, Any], int, str]:
    """Kind, options, number of features and loss, checked."""
    if not isinstance(meta, Mapping):
        raise ProblemError(f"meta: found {type(meta).__name__}, expected {', '.join(_FIELDS)} by name")
    faults = [f"{brief_name(name)}: unknown field" for name in meta if name not in (*_FIELDS, "loss")]
    faults += [f"{name}: missing, but required" for name in _FIELDS if name not in meta]
    if faults:
        raise ProblemError(faults)
    if meta["format"] != FORMAT:
        raise ProblemError(f"format: found {brief(meta['format'])}, expected {FORMAT}")
    kind, options, columns = meta["kind"], meta["options"], meta["columns"]
    cls, known = class_of(kind), options_of(kind)
    if not isinstance(options, Mapping):
        raise ProblemError(f"options: found {type(options).__name__}, expected options by name")
    faults = [f"options.{brief_name(name)}: unknown option" for name in options if name not in known]
    faults += [f"options.{name}: missing, but required" for name in known if name not in options]
    if isinstance(columns, bool) or not isinstance(columns, int) or not 1 <= columns <= _MOST_COLUMNS:
        faults.append(f"columns: found {brief(columns)}, expected an integer in [1, {_MOST_COLUMNS}]")
    loss = meta.get("loss", "squared")
    known = LOSSES if kind in _OF_DECISIONS else LOSSES[:1]
    if not isinstance(loss, str) or loss not in known:
        faults.append(f"loss: found {brief(loss)}, expected {' or '.join(known)}")
    if faults:
        raise ProblemError(faults)
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    faults = [f"options.{fault}" for fault in option_faults(cls, options)]
    if faults:
        raise ProblemError(faults)
    return kind, options, columns, loss


def _plain(value: Any) -> Any:
    """An option as JSON has it."""
    if isinstance(value, np.generic):
        return value.item()
    return [_plain(each) for each in value] if isinstance(value, (tuple, list)) else value
