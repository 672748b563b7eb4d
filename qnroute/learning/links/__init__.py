"""How good a link will be in the next window, learned from what is known of it now.

Names are imported when they are first used. Scorers need scikit-learn; torch is needed to train two of them, never to
predict.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "qnroute.learning.links.boosting": ("Boosting",),
    "qnroute.learning.links.estimator": ("LinkScorer",),
    "qnroute.learning.links.files": ("scorer_arrays", "scorer_of"),
    "qnroute.learning.links.graph": ("GraphNetwork",),
    "qnroute.learning.links.linear": ("Linear",),
    "qnroute.learning.links.mlp": ("Mlp",),
    "qnroute.learning.links.scorers": ("SCORERS", "scorer"),
    "qnroute.learning.links.simple": ("Empirical", "Nominal"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "SCORERS",
    "Boosting",
    "Empirical",
    "GraphNetwork",
    "Linear",
    "LinkScorer",
    "Mlp",
    "Nominal",
    "scorer",
    "scorer_arrays",
    "scorer_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'qnroute.learning.links' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from qnroute.learning.links.boosting import Boosting
    from qnroute.learning.links.estimator import LinkScorer
    from qnroute.learning.links.files import scorer_arrays, scorer_of
    from qnroute.learning.links.graph import GraphNetwork
    from qnroute.learning.links.linear import Linear
    from qnroute.learning.links.mlp import Mlp
    from qnroute.learning.links.scorers import SCORERS, scorer
    from qnroute.learning.links.simple import Empirical, Nominal
