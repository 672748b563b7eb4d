"""`lean`: compiled functions that allocate nothing, and so need not count references to the arrays they are given.

numba counts them wherever a member of a tuple of arrays is looked at, with atomic instructions; in a slot of a small
network that is most of the time. Its option for code without a memory manager is not a public one: where a version
does not know it, the functions are compiled as usual and are right all the same, only slower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

_USUAL = {"cache": True, "error_model": "numpy"}


def _options() -> dict[str, Any]:
    try:
        njit(_nrt=False)(lambda: None)
    except (KeyError, TypeError, ValueError):
        return _USUAL
    return {**_USUAL, "_nrt": False}


_LEAN = _options()


def lean(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that makes no arrays, of arrays and tuples of arrays."""
    return njit(**_LEAN)(function)
