"""The errors that leave qnroute; nothing else escapes for bad data."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 20  # faults spelled out in one message; `faults` always carries all of them


class QnrouteError(Exception):
    """Base of every error that qnroute raises on purpose."""


class ProblemError(QnrouteError, ValueError):
    """Bad input: names the file or object, the field, what was found and what was expected.

    Parameters
    ----------
    faults
        One line for each fault; several are reported together.
    source
        The file (or object) at fault, put in front of the message.
    """

    def __init__(self, faults: str | Sequence[str], *, source: str | None = None):
        self.faults = (faults,) if isinstance(faults, str) else tuple(faults)
        self.source = source
        super().__init__(self._message())

    def _message(self) -> str:
        shown = "; ".join(self.faults[:SHOWN])
        if len(self.faults) > SHOWN:
            shown += f"; and {len(self.faults) - SHOWN} more"
        return f"{self.source}: {shown}" if self.source else shown

    def at(self, source: str) -> ProblemError:
        """The same faults, naming `source` as their place."""
        return ProblemError(self.faults, source=source)


class InfeasibleAllocation(QnrouteError, ValueError):
    """An allocation breaks a rule of its problem.

    Parameters
    ----------
    rule
        Short name of the broken rule: ``channels``, ``memory``, ``degree``, ...
    place
        Where it breaks: a link, a node, a request.
    detail
        What was found and what is allowed.
    """

    def __init__(self, rule: str, place: str, detail: str):
        self.rule, self.place, self.detail = rule, place, detail
        super().__init__(f"{rule} at {place}: {detail}")


class SolverError(QnrouteError, RuntimeError):
    """A solver is missing, failed, or cannot state the problem it was given."""


class NoAnswer(SolverError):
    """The time limit passed before any answer was found."""
