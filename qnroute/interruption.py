"""Ctrl-C as a request, not an accident: the first one is noted, the work ends where it can and keeps its best."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def noted(interrupted: threading.Event) -> Iterator[None]:
    """Within, the first Ctrl-C sets `interrupted` and raises nothing; the second one raises as usual.

    An exception at any instruction would leave compiled code and solvers in a state that nobody can answer from.
    Where one is within another, the outer one notes. Where Python does not handle Ctrl-C (another thread, a handler
    of the caller's own) nothing is changed.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def came_of_interrupt(error: BaseException | None) -> bool:
    """Whether a Ctrl-C lies behind an error: compiled code and imports wrap it in errors of their own."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False
