"""The kinds of value a file or an object may carry: one definition for records, files and columns.

A kind is an annotation. pydantic reads it where a record (`Node`, `Link`, `Request`, ...) is made,
and `column_faults` reads the same bounds where a network is made from whole columns.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ParamSpec, TypeVar, get_type_hints

import numpy as np
import pydantic
from annotated_types import Interval, MaxLen, MinLen
from pydantic import BeforeValidator, FiniteFloat, Strict

from qnroute.errors import ProblemError

UNLIMITED = 2**62  # stands for "no limit" in integer columns
LARGEST = 2**53 - 1  # the largest integer that every JSON reader keeps exact
LONGEST_ID = 1000

_P = ParamSpec("_P")
_T = TypeVar("_T")

# numpy scalars are welcome wherever a Python number is
_plain = BeforeValidator(lambda value: value.item() if isinstance(value, np.generic) else value)
_Real = Annotated[FiniteFloat, Strict(), _plain]
_Integer = Annotated[int, Strict(), _plain]

Identifier = Annotated[str, MinLen(1), MaxLen(LONGEST_ID)]
Real = Annotated[_Real, Interval()]
NonNegative = Annotated[_Real, Interval(ge=0)]
Positive = Annotated[_Real, Interval(gt=0)]
Probability = Annotated[_Real, Interval(ge=0, le=1)]
PositiveProbability = Annotated[_Real, Interval(gt=0, le=1)]
LinkFidelity = Annotated[_Real, Interval(gt=0.25, le=1)]
Latitude = Annotated[_Real, Interval(ge=-90, le=90)]
Longitude = Annotated[_Real, Interval(ge=-180, le=180)]
Count = Annotated[_Integer, Interval(ge=0, le=LARGEST)]
PositiveCount = Annotated[_Integer, Interval(ge=1, le=LARGEST)]
Slot = Annotated[_Integer, Interval(ge=-LARGEST, le=LARGEST)]


def record(cls: type) -> type:
    """A frozen dataclass whose values are validated; unknown and bad fields raise `ProblemError`."""
    made = pydantic.dataclasses.dataclass(
        frozen=True, config=pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    )(cls)
    checked = made.__init__
    names = [field.name for field in dataclasses.fields(made)]

    @functools.wraps(checked)
    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        try:
            checked(self, *args, **kwargs)
        except pydantic.ValidationError as error:
            raise ProblemError(faults_of(error, prefix=cls.__name__, positional=names)) from None

    made.__init__ = __init__
    return made


def faults_of(error: pydantic.ValidationError, *, prefix: str = "", positional: Sequence[str] = ()) -> list[str]:
    """One line for each fault that pydantic found: where, what was found, what was expected."""
    return [_fault(item, prefix, positional) for item in error.errors(include_url=False)]


def _fault(item: dict[str, Any], prefix: str, positional: Sequence[str]) -> str:
    steps = list(item["loc"])
    if positional and steps and isinstance(steps[0], int) and steps[0] < len(positional):
        steps[0] = positional[steps[0]]
    where = place(prefix, *steps)
    kind = item["type"]
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{where}: unknown field"
    if kind in ("missing", "missing_argument"):
        return f"{where}: missing, but required"
    if kind == "value_error":
        return f"{where}: {item['ctx']['error']}"
    expected = item["msg"].replace("Input should be", "expected").replace("Input should", "expected to")
    return f"{where}: found {brief(item['input'])}, {expected[0].lower()}{expected[1:]}"


def place(prefix: str, *steps: str | int) -> str:
    """A dotted place such as ``network.links[3].p``."""
    text = prefix
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{brief_name(step)}" if text else brief_name(step)
    return text or "file"


def brief(value: object, width: int = 40) -> str:
    """`repr` of a value, cut to a readable width, always on one line."""
    if isinstance(value, (str, bytes)) and len(value) > width:
        return f"{value[:width]!r}... ({len(value)} characters)"
    if isinstance(value, (dict, list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    text = repr(value)
    return text if len(text) <= width else text[:width] + "..."


def brief_name(name: object, width: int = 60) -> str:
    """A name as it stands if it is short and printable, else a brief `repr`."""
    fit = isinstance(name, str) and len(name) <= width and name.isprintable()
    return name if fit else brief(name, width)


def name_faults(name: object) -> list[str]:
    """The fault of what cannot name a network or a problem, as their files have it."""
    if isinstance(name, str) and len(name) <= LONGEST_ID:
        return []
    return [f"name: found {brief(name)}, expected text of at most {LONGEST_ID} characters"]


def bounds(cls: type, field: str) -> tuple[Interval, bool]:
    """The interval of a record's numeric field, and whether it holds integers."""
    hint = _hints(cls)[field]
    for option in getattr(hint, "__args__", ()):  # Optional[Annotated[...]] -> its Annotated part
        if hasattr(option, "__metadata__"):
            hint = option
    interval = next(part for part in hint.__metadata__ if isinstance(part, Interval))
    return interval, hint.__origin__ is int


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def defaults(cls: type) -> dict[str, Any]:
    """The default of each optional field of a record."""
    missing = dataclasses.MISSING
    return {f.name: f.default for f in dataclasses.fields(cls) if f.default is not missing}


def column_faults(cls: type, field: str, values: np.ndarray, where: str, *, alone: bool = False) -> Iterator[str]:
    """Faults of a whole column of a record's field; absent entries must have been left out or be NaN.

    `alone`: the one value stands for the whole column.
    """
    interval, _ = bounds(cls, field)
    bad = np.isinf(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    if defaults(cls).get(field) is not None:  # such a field is never absent
        bad |= values != values
    low_open, low = interval.gt is not None, interval.ge if interval.gt is None else interval.gt
    if low is not None:
        bad |= (values <= low) if low_open else (values < low)
    if interval.le is not None:
        optional = defaults(cls).get(field, 0) is None
        bad |= (values > interval.le) & ~(optional & (values == UNLIMITED))
    for i in np.flatnonzero(bad):
        place = where if alone else f"{where}[{i}]"
        yield f"{place}.{field}: found {values[i]!s}, expected {describe(interval)}"


def describe(interval: Interval) -> str:
    """An interval in words: ``in (0, 1]``, ``at least 1``, ``a finite number``."""
    low, high = interval.gt if interval.gt is not None else interval.ge, interval.le
    if low is None:
        return "a finite number"
    if high is None or high == LARGEST:
        return f"more than {low}" if interval.gt is not None else f"at least {low}"
    return f"in {'(' if interval.gt is not None else '['}{low}, {high}]"


def chosen(option: str, name: Any, table: Mapping[str, Any]) -> Any:
    """The entry of `table` called `name`, or a `ProblemError` that lists what there is."""
    if isinstance(name, str) and name in table:
        return table[name]
    close = difflib.get_close_matches(str(name).lower().replace("_", "-"), table, n=1, cutoff=0.5)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise ProblemError(f"{option}: found {brief(name)}, expected one of {', '.join(table)}{hint}")


def checked(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """`function` with its arguments validated by their annotations; a `ProblemError` names those that do not fit."""
    settings = pydantic.ConfigDict(arbitrary_types_allowed=True, validate_default=True)
    validated = pydantic.validate_call(function, config=settings)
    names = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return validated(*args, **kwargs)
        except pydantic.ValidationError as error:
            raise ProblemError(faults_of(error, prefix=function.__name__, positional=names)) from None

    return call
