"""How good a link will be in the next window, learned from what is known of it now.

Names are imported when they are first used. Scorers need scikit-learn; torch is needed to train two of them, never to
predict.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "qnroute.learning.links.applying": ("applied", "forecast_rows"),
    "qnroute.learning.links.boosting": ("Boosting",),
    "qnroute.learning.links.chance": ("chance_aware", "chance_of", "chance_routes"),
    "qnroute.learning.links.decisions": ("Instance", "decision_focused"),
    "qnroute.learning.links.estimator": ("LinkScorer",),
    "qnroute.learning.links.evaluation": ("Assessment", "evaluate_models"),
    "qnroute.learning.links.features": ("FEATURES", "TARGETS"),
    "qnroute.learning.links.files": ("scorer_arrays", "scorer_of"),
    "qnroute.learning.links.graph": ("GraphNetwork",),
    "qnroute.learning.links.instances": ("Decisions",),
    "qnroute.learning.links.linear": ("Linear",),
    "qnroute.learning.links.mlp": ("Mlp",),
    "qnroute.learning.links.model": ("KINDS", "Forecast", "LinkModel"),
    "qnroute.learning.links.model_files": ("load_model", "save_model"),
    "qnroute.learning.links.regret": ("best_worth", "worth"),
    "qnroute.learning.links.scorers": ("SCORERS", "scorer"),
    "qnroute.learning.links.simple": ("Empirical", "Nominal"),
    "qnroute.learning.links.telemetry": ("Telemetry",),
    "qnroute.learning.links.telemetry_files": ("load_telemetry", "save_telemetry"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "FEATURES",
    "KINDS",
    "SCORERS",
    "TARGETS",
    "Assessment",
    "Boosting",
    "Decisions",
    "Empirical",
    "Forecast",
    "GraphNetwork",
    "Instance",
    "Linear",
    "LinkModel",
    "LinkScorer",
    "Mlp",
    "Nominal",
    "Telemetry",
    "applied",
    "best_worth",
    "chance_aware",
    "chance_of",
    "chance_routes",
    "decision_focused",
    "evaluate_models",
    "forecast_rows",
    "load_model",
    "load_telemetry",
    "save_model",
    "save_telemetry",
    "scorer",
    "scorer_arrays",
    "scorer_of",
    "worth",
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
    from qnroute.learning.links.applying import applied, forecast_rows
    from qnroute.learning.links.boosting import Boosting
    from qnroute.learning.links.chance import chance_aware, chance_of, chance_routes
    from qnroute.learning.links.decisions import Instance, decision_focused
    from qnroute.learning.links.estimator import LinkScorer
    from qnroute.learning.links.evaluation import Assessment, evaluate_models
    from qnroute.learning.links.features import FEATURES, TARGETS
    from qnroute.learning.links.files import scorer_arrays, scorer_of
    from qnroute.learning.links.graph import GraphNetwork
    from qnroute.learning.links.instances import Decisions
    from qnroute.learning.links.linear import Linear
    from qnroute.learning.links.mlp import Mlp
    from qnroute.learning.links.model import KINDS, Forecast, LinkModel
    from qnroute.learning.links.model_files import load_model, save_model
    from qnroute.learning.links.regret import best_worth, worth
    from qnroute.learning.links.scorers import SCORERS, scorer
    from qnroute.learning.links.simple import Empirical, Nominal
    from qnroute.learning.links.telemetry import Telemetry
    from qnroute.learning.links.telemetry_files import load_telemetry, save_telemetry
