"""Who answers: exact solvers, simple methods, and the ways to other modelling libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["ColumnGeneration"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'qnroute.solvers' has no attribute {name!r}")
    from qnroute.solvers.column_generation import ColumnGeneration

    return ColumnGeneration


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from qnroute.solvers.column_generation import ColumnGeneration
