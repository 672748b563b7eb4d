"""Ctrl-C, however it arrives."""

from __future__ import annotations


def came_of_interrupt(error: BaseException | None) -> bool:
    """Whether a Ctrl-C lies behind an error: compiled code and imports wrap it in errors of their own."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False
