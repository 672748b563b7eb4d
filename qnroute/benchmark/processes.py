"""Measurements in processes of their own, so that memory and compiled code of one are not those of the next."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import Any

from qnroute.errors import SolverError


def measured(
    module: str, *arguments: str, interrupted: threading.Event, patience: float = float("inf")
) -> dict[str, Any] | None:
    """The JSON that ``python -m module arguments`` prints; None where it was interrupted.

    Parameters
    ----------
    patience
        Seconds after which it is ended from outside.

    Raises
    ------
    SolverError
        It failed, or was ended; with the last line of what it said.
    """
    command, given_up = [sys.executable, "-m", module, *arguments], time.monotonic() + patience
    late = False
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        while True:
            try:
                out, err = child.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                late = time.monotonic() > given_up
                if late or interrupted.is_set():
                    child.kill()
            except BaseException:  # a second Ctrl-C
                child.kill()
                raise
    if interrupted.is_set():
        return None
    if late and child.returncode:
        raise SolverError(f"no end after {patience:g} s")
    if child.returncode:
        said = err.strip().splitlines()[-1:] or ["it said nothing"]
        raise SolverError(f"a process ended with status {child.returncode}: {said[0]}")
    return json.loads(out)
