"""Who answers: exact solvers, simple methods, and the ways to other modelling libraries."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "ColumnGeneration": "column_generation",
    "Embedding": "embedding",
    "PathAnnealSampler": "lane_sampler",
    "embed": "embedding",
    "solve_by": "annealing",
}

__all__ = ["ColumnGeneration", "Embedding", "PathAnnealSampler", "embed", "solve_by"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'qnroute.solvers' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"qnroute.solvers.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from qnroute.solvers.annealing import solve_by
    from qnroute.solvers.column_generation import ColumnGeneration
    from qnroute.solvers.embedding import Embedding, embed
    from qnroute.solvers.lane_sampler import PathAnnealSampler
