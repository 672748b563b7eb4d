"""What a method is: its name, what it is told, the tasks it answers, and where its function lies."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qnroute.errors import ProblemError

if TYPE_CHECKING:
    from qnroute.settings import Answer

ALLOCATION, SELECTION = "allocation", "link-selection"


@dataclass(frozen=True)
class Option:
    """One option of a method: its type, default and range."""

    name: str
    kind: type
    default: Any
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def parse(self, given: Any) -> Any:
        """The value as the method takes it; text is read as the option's type.

        Raises
        ------
        ProblemError
            Naming the option, what was found and what is expected.
        """
        value = self._converted(given)
        if value is None or (self.choices and value not in self.choices):
            raise self._refused(given)
        if self.kind in (int, float) and not self._in_range(value):
            raise self._refused(given)
        return value

    def _converted(self, given: Any) -> Any:
        if hasattr(given, "item"):  # a numpy scalar
            given = given.item()
        if isinstance(given, str) and self.kind is bool:
            return {"true": True, "false": False}.get(given.lower())
        if isinstance(given, str) and self.kind is not str:
            try:
                return self.kind(given)
            except ValueError:
                return None
        if self.kind is float and isinstance(given, int) and not isinstance(given, bool):
            return float(given)
        return given if type(given) is self.kind else None

    def _in_range(self, value: float) -> bool:
        above = self.low is None or value >= self.low
        return math.isfinite(value) and above and (self.high is None or value <= self.high)

    def _refused(self, given: Any) -> ProblemError:
        from qnroute.fields import brief

        return ProblemError(f"option {self.name}: found {brief(given)}, expected {self.expected}")

    @property
    def expected(self) -> str:
        """What is accepted, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        name = {int: "an integer", float: "a number", bool: "true or false", str: "text"}[self.kind]
        low = "" if self.low is None else f" from {self.low:g}"
        return name + low + ("" if self.high is None else f" to {self.high:g}")


@dataclass(frozen=True)
class Method:
    """A way to answer problems.

    Parameters
    ----------
    solve
        ``f(problem, settings, **options) -> Answer``, or where it is: ``"package.module:function"``.
    tasks
        Which tasks it can answer.
    """

    name: str
    description: str
    solve: str | Callable[..., Answer]
    options: tuple[Option, ...] = ()
    tasks: tuple[str, ...] = (ALLOCATION,)

    def function(self) -> Callable[..., Answer]:
        """The function itself, imported now."""
        return found_at(self.solve)

    def settled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All options with their values; unknown ones are refused by name."""
        return settled(f"method {self.name}", self.options, given)


def settled(called: str, options: Sequence[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """All options with their values, those given parsed.

    Raises
    ------
    ProblemError
        With every option that is unknown to who is `called` so, or has a bad value.
    """
    from qnroute.fields import brief

    known = {option.name: option for option in options}
    faults, values = [], {option.name: option.default for option in options}
    for name, value in given.items():
        if name not in known:
            there_are = f"it has {', '.join(known)}" if known else "it has none"
            faults.append(f"{called} has no option {brief(name)}; {there_are}")
            continue
        try:
            values[name] = known[name].parse(value)
        except ProblemError as error:
            faults += error.faults
    if faults:
        raise ProblemError(faults)
    return values


def found_at(where: str | Callable[..., Any]) -> Callable[..., Any]:
    """A function, imported now where it is given as ``"package.module:function"``."""
    if callable(where):
        return where
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)
