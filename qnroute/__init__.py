"""qnroute: an optimization toolkit for quantum networks.

A Problem goes in, a checked Allocation comes out, and everything between is a method that can be swapped::

    import qnroute as qn

    problem = qn.load_problem("problem.json")
    result = qn.solve(problem, method="exact")

Names are imported when they are first used, so that ``import qnroute`` itself costs next to nothing.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

# `methods` is a function here and a module below: bound now, so that importing the module later leaves it alone
from qnroute.methods import Method, Option, methods, solve

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())

_HOMES = {
    "qnroute.errors": ("InfeasibleAllocation", "NoAnswer", "ProblemError", "QnrouteError", "SolverError"),
    "qnroute.network": ("Link", "Network", "Node"),
    "qnroute.problem": ("Objective", "Problem", "Request", "Rules"),
    "qnroute.allocation": ("Allocation", "Route", "check", "value"),
    "qnroute.result": ("Result",),
    "qnroute.formats": ("load_network", "load_problem", "load_result", "save_network", "save_problem"),
    "qnroute.plot": ("plot_network", "plot_result"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
_ROOMS = ("catalog", "formats", "generate", "hardware", "learning", "models", "simulation", "solvers")

__all__ = sorted([*_HOME_OF, *_ROOMS, "Method", "Option", "__version__", "methods", "solve"])


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(importlib.import_module(_HOME_OF[name]), name)
    elif name in _ROOMS:
        value = importlib.import_module(f"qnroute.{name}")
    else:
        raise AttributeError(f"module 'qnroute' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from qnroute import catalog, formats, generate, hardware, learning, models, simulation, solvers
    from qnroute.allocation import Allocation, Route, check, value
    from qnroute.errors import InfeasibleAllocation, NoAnswer, ProblemError, QnrouteError, SolverError
    from qnroute.formats import load_network, load_problem, load_result, save_network, save_problem
    from qnroute.network import Link, Network, Node
    from qnroute.plot import plot_network, plot_result
    from qnroute.problem import Objective, Problem, Request, Rules
    from qnroute.result import Result
