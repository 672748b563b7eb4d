"""The scorers of links by name."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from qnroute.errors import ProblemError, SolverError
from qnroute.fields import chosen
from qnroute.learning.training import require_torch

if TYPE_CHECKING:
    from qnroute.learning.links.estimator import LinkScorer


class Entry(NamedTuple):
    """Where a scorer stands, and what it does in a line."""

    module: str
    cls: str
    description: str
    torch: bool = False  # to be trained


SCORERS: Mapping[str, Entry] = MappingProxyType(
    {
        "nominal": Entry("simple", "Nominal", "p times F as last said; the stale plug-in"),
        "empirical": Entry("simple", "Empirical", "the link's recent rate, shrunk towards the mean of all"),
        "linear": Entry("linear", "Linear", "ridge regression, on polynomials of the features if asked"),
        "gradient-boosting": Entry("boosting", "Boosting", "gradient-boosted trees"),
        "mlp": Entry("mlp", "Mlp", "a multilayer perceptron", torch=True),
        "graph": Entry("graph", "GraphNetwork", "a network in which links look at their neighbours", torch=True),
    }
)


def scorer(name: str, **options: Any) -> LinkScorer:
    """A scorer by its name in `SCORERS`.

    Raises
    ------
    ProblemError
        There is no scorer or no option of that name.
    SolverError
        scikit-learn is not installed.
    """
    cls, known = class_of(name), options_of(name)
    expected = ", ".join(known)
    faults = [
        f"{name}.{option}: unknown option, expected one of {expected}" for option in options if option not in known
    ]
    if faults:
        raise ProblemError(faults)
    return cls(**options)


def options_of(name: str) -> dict[str, Any]:
    """The options of a scorer and their defaults."""
    parameters = inspect.signature(class_of(name)).parameters
    return {option: parameter.default for option, parameter in parameters.items()}


def class_of(name: str) -> type[LinkScorer]:
    """The class of a scorer."""
    entry = chosen("scorer", name, SCORERS)
    if importlib.util.find_spec("sklearn") is None:
        raise SolverError('link scorers need scikit-learn: pip install "qnroute[learn]"')
    return getattr(importlib.import_module(f"qnroute.learning.links.{entry.module}"), entry.cls)


def require_training(name: str) -> None:
    """Refuse a scorer that cannot be trained here, before anything depends on it.

    Raises
    ------
    ProblemError
        There is no scorer of that name.
    SolverError
        scikit-learn or torch is not installed.
    """
    class_of(name)
    if SCORERS[name].torch:
        require_torch("a scorer's network")


def name_of(cls: type[LinkScorer]) -> str:
    """The name of a scorer's class.

    Raises
    ------
    ProblemError
        It has none.
    """
    for name, entry in SCORERS.items():
        if cls.__module__ == f"qnroute.learning.links.{entry.module}" and cls.__name__ == entry.cls:
            return name
    raise ProblemError(f"scorer: found {cls.__name__}, expected one of {', '.join(SCORERS)}")
