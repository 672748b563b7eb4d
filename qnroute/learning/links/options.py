"""Options of models as text, as command lines have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qnroute.errors import ProblemError
from qnroute.fields import brief, brief_name, chosen
from qnroute.learning.links.model import KINDS, columns_of, scorer_name
from qnroute.learning.links.scorers import class_of, options_of


def model_options(kind: str) -> dict[str, Any]:
    """What a model of a kind may be told, and the defaults; not the seed and the columns, which it sets itself.

    Raises
    ------
    ProblemError
        There is no such kind.
    SolverError
        scikit-learn is not installed.
    """
    chosen("model", kind, KINDS)
    own = ("random_state", *columns_of(kind, "quality"))
    return {name: default for name, default in options_of(scorer_name(kind)).items() if name not in own}


def parsed_options(kind: str, given: Mapping[str, str]) -> dict[str, Any]:
    """Texts as values of the type of each option's default; numbers with commas where that is a tuple.

    Raises
    ------
    ProblemError
        With every option that the kind does not have, or that has a bad value.
    """
    from qnroute.learning.links.estimator import option_faults

    known, found, faults = model_options(kind), {}, []
    for name, text in given.items():
        if name not in known:
            faults.append(f"option {brief_name(name)}: unknown to {kind}, expected one of {', '.join(known)}")
            continue
        try:
            found[name] = _value(text, known[name])
        except ValueError:
            faults.append(f"option {name}: found {brief(text)}, expected {_expected(known[name])}")
    every = options_of(scorer_name(kind)) | found
    faults += [f"option {fault}" for fault in option_faults(class_of(scorer_name(kind)), every)]
    if faults:
        raise ProblemError(faults)
    return found


def shown_option(value: Any) -> str:
    """A value as a command line has it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _value(text: str, default: Any) -> Any:
    if isinstance(default, tuple):
        return tuple(int(part) for part in text.split(",") if part.strip())
    return type(default)(text)


def _expected(default: Any) -> str:
    if isinstance(default, tuple):
        return "integers with commas"
    return "an integer" if isinstance(default, int) else "a number"
