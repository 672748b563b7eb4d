"""What is written down: formulations of a problem as mixed-integer linear programs and QUBOs, and instances as files.

Each is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Block": "linear",
    "Instance": "instance_files",
    "LinearModel": "linear",
    "LinkFlow": "link_flow",
    "LinkSelection": "link_selection",
    "LinkSelectionQubo": "packing_qubo",
    "Matrix": "linear",
    "Packing": "packing",
    "PackingQubo": "packing_qubo",
    "PathPacking": "path_packing",
    "PathQubo": "path_qubo",
    "Quadratic": "quadratic",
    "RouteChoiceQubo": "packing_qubo",
    "read_instance": "instance_files",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'qnroute.models' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"qnroute.models.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from qnroute.models.instance_files import Instance, read_instance
    from qnroute.models.linear import Block, LinearModel, Matrix
    from qnroute.models.link_flow import LinkFlow
    from qnroute.models.link_selection import LinkSelection
    from qnroute.models.packing import Packing
    from qnroute.models.packing_qubo import LinkSelectionQubo, PackingQubo, RouteChoiceQubo
    from qnroute.models.path_packing import PathPacking
    from qnroute.models.path_qubo import PathQubo
    from qnroute.models.quadratic import Quadratic
