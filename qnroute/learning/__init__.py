"""What is learned from the past: forecasts of demand, and how good they are.

Names are imported when they are first used. torch and scikit-learn are never needed to predict.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "qnroute.learning.predictors": ("PREDICTORS", "Predictor", "predictor"),
    "qnroute.learning.calibration": ("Reliability", "reliability"),
    "qnroute.learning.scoring": ("ForecastScore", "SeriesScore", "evaluate", "evaluate_series", "nmae", "over_seeds"),
    "qnroute.learning.series": ("outcomes", "thinned"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "PREDICTORS",
    "ForecastScore",
    "Predictor",
    "Reliability",
    "SeriesScore",
    "evaluate",
    "evaluate_series",
    "nmae",
    "outcomes",
    "over_seeds",
    "predictor",
    "reliability",
    "thinned",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'qnroute.learning' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from qnroute.learning.calibration import Reliability, reliability
    from qnroute.learning.predictors import PREDICTORS, Predictor, predictor
    from qnroute.learning.scoring import ForecastScore, SeriesScore, evaluate, evaluate_series, nmae, over_seeds
    from qnroute.learning.series import outcomes, thinned
