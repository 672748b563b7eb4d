"""Problem: a network, the requests on it, what an answer is worth and which rules it must keep."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from qnroute import fields
from qnroute.columns import read_only, rows_of
from qnroute.errors import ProblemError
from qnroute.fields import (
    UNLIMITED,
    Count,
    Identifier,
    Positive,
    PositiveCount,
    Probability,
    Real,
    Slot,
    record,
)
from qnroute.network import Network

FORMAT = "qnroute.problem/1"
OBJECTIVES = ("expected-pairs", "log-success", "link-sum")
TASKS = ("allocation", "link-selection")


@record
class Request:
    """Who wants entanglement with whom, how good, and how many routes may serve it."""

    id: Identifier
    source: Identifier
    target: Identifier
    weight: Positive = 1.0
    min_fidelity: Probability = 0.0
    routes: PositiveCount = 1
    arrival: Slot | None = None
    deadline: Slot | None = None

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise ProblemError(f"source and target are both {fields.brief(self.source)}, expected two different nodes")
        if self.arrival is not None and self.deadline is not None and self.deadline < self.arrival:
            raise ProblemError(f"deadline {self.deadline} is before arrival {self.arrival}")


@record
class Objective:
    """What a route is worth: see `qnroute.allocation.route_value`. `serve_reward` is R of ``log-success``."""

    kind: Literal["expected-pairs", "log-success", "link-sum"] = "expected-pairs"
    serve_reward: Real = 10.0


@record
class Rules:
    """Bounds for all: `degree` per node (None: off), `max_hops` links per route, `max_width` channels per hop."""

    degree: Count | None = None
    max_hops: PositiveCount | None = None
    max_width: PositiveCount = 1

    def __post_init__(self) -> None:
        if self.max_width > 1:
            raise ProblemError(f"max_width {self.max_width} is not supported yet; leave it out or give 1")


class Problem:
    """An optimization problem on a quantum network, immutable.

    Parameters
    ----------
    network
        Where.
    requests
        `Request` records or mappings with the same fields; ids unique, ends known.
    objective
        An `Objective`, its kind by name, or a mapping.
    rules
        A `Rules` record or a mapping.
    task
        ``allocation`` (route the requests) or ``link-selection`` (pick links; no requests).

    Raises
    ------
    ProblemError
        With every fault found.
    """

    def __init__(
        self,
        network: Network,
        requests: Iterable[Request | Mapping[str, Any]] = (),
        *,
        objective: Objective | Mapping[str, Any] | str = "expected-pairs",
        rules: Rules | Mapping[str, Any] | None = None,
        task: str = "allocation",
        name: str = "",
    ):
        if not isinstance(network, Network):
            raise ProblemError(f"network: expected a Network, found {fields.brief(network)}")
        self.network = network
        if not isinstance(requests, Iterable):
            raise ProblemError(f"requests: expected a list, found {fields.brief(requests)}")
        rows, bad = rows_of(Request, requests, "requests")
        if bad:
            raise ProblemError(bad)
        self.requests = tuple(rows)
        named = isinstance(objective, str)
        self.objective = Objective(kind=objective) if named else _made(Objective, objective, "objective")
        self.rules = Rules() if rules is None else _made(Rules, rules, "rules")
        self.task = task
        self.name = name or network.name
        ends = [(request.id, request.source, request.target) for request in self.requests]
        faults = list(request_faults(network.index, ends)) + list(task_faults(task, len(self.requests)))
        faults += fields.name_faults(self.name) + self._size_faults()
        if faults:
            raise ProblemError(faults, source=f"problem {fields.brief_name(self.name)}" if self.name else None)

    def _size_faults(self) -> list[str]:
        """Values that add up beyond floating point would be infinite to every method."""
        with np.errstate(over="ignore"):
            scores = float(np.abs(self.network.coefficient).sum())
            kind = self.objective.kind
            logs = abs(self.objective.serve_reward) + 1500.0 * self.network.n_nodes  # -ln of the smallest number: 745
            worth = {"expected-pairs": 1.0, "log-success": logs, "link-sum": scores}[kind]
            total = sum(request.weight * worth * min(request.routes, 10**6) for request in self.requests)
        if np.isfinite(total) and np.isfinite(scores):
            return []
        return ["objective: values add up beyond what floating point holds (1.8e308); scale weights or scores down"]

    @cached_property
    def request_index(self) -> dict[str, int]:
        """Request id -> its index."""
        return {request.id: k for k, request in enumerate(self.requests)}

    @cached_property
    def sources(self) -> np.ndarray:
        """(K,) node index of each request's source."""
        return read_only(np.array([self.network.index[r.source] for r in self.requests], dtype=np.int64))

    @cached_property
    def targets(self) -> np.ndarray:
        """(K,) node index of each request's target."""
        return read_only(np.array([self.network.index[r.target] for r in self.requests], dtype=np.int64))

    @cached_property
    def weights(self) -> np.ndarray:
        """(K,) weight of each request."""
        return read_only(np.array([r.weight for r in self.requests], dtype=np.float64))

    @cached_property
    def most_routes(self) -> np.ndarray:
        """(K,) how many routes may serve each request."""
        return read_only(np.array([r.routes for r in self.requests], dtype=np.int64))

    @cached_property
    def degree_bounds(self) -> np.ndarray:
        """(n,) b_i: the node's own bound, else the rule's, else 1 for link selection and `UNLIMITED` otherwise."""
        default = 1 if self.task == "link-selection" else UNLIMITED
        rule = default if self.rules.degree is None else self.rules.degree
        own = self.network.degree
        return read_only(np.where(own == UNLIMITED, rule, own))

    @property
    def max_hops(self) -> int:
        """Links per route at most; n - 1 where no rule is set, since routes are simple."""
        longest = max(self.network.n_nodes - 1, 1)
        return longest if self.rules.max_hops is None else min(self.rules.max_hops, longest)

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of the content: SHA-256 of `to_dict` as compact JSON with sorted keys."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """The contract's problem file; optional fields at their defaults are left out."""
        objective: dict[str, Any] = {"kind": self.objective.kind}
        if self.objective.kind == "log-success":
            objective["serve_reward"] = self.objective.serve_reward
        return {
            "format": FORMAT,
            "name": self.name,
            "task": self.task,
            "network": self.network.to_dict(),
            "requests": [_given(request) for request in self.requests],
            "objective": objective,
            "rules": _given(self.rules),
        }

    def replace(self, **changes: Any) -> Problem:
        """A copy with some of its parts changed."""
        parts = ("network", "requests", "objective", "rules", "task", "name")
        return Problem(**{part: changes.pop(part, getattr(self, part)) for part in parts}, **changes)

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, Problem) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        kind = self.objective.kind if self.task == "allocation" else self.task
        return f"<Problem {self.name!r}: {self.network.n_nodes} nodes, {len(self.requests)} requests, {kind}>"


def request_faults(nodes: Mapping[str, int] | set[str], ends: Sequence[tuple[Any, Any, Any]]) -> Iterator[str]:
    """Faults between requests and nodes: unknown ends, ids given twice. Entries that are not strings are skipped."""
    times = Counter(name for name, _, _ in ends if isinstance(name, str))
    for k, (name, source, target) in enumerate(ends):
        if isinstance(name, str) and times[name] > 1:
            yield f"requests[{k}].id: {fields.brief(name)} is the id of {times[name]} requests, expected one"
        for side, end in (("source", source), ("target", target)):
            if isinstance(end, str) and end not in nodes:
                yield f"requests[{k}].{side}: no node is called {fields.brief(end)}"


def task_faults(task: Any, n_requests: int) -> Iterator[str]:
    """Faults of the task itself."""
    if task not in TASKS:
        yield f"task: found {fields.brief(task)}, expected {' or '.join(TASKS)}"
    elif task == "link-selection" and n_requests:
        yield f"requests: found {n_requests}, expected none for the task link-selection"


def _made(kind: type, given: Any, where: str) -> Any:
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping):
        raise ProblemError(f"{where}: expected {kind.__name__} or a mapping, found {fields.brief(given)}")
    return kind(**{str(name): value for name, value in given.items()})


def _given(row: Any) -> dict[str, Any]:
    """The fields of a record that are not at their defaults."""
    default = fields.defaults(type(row))
    values = {name: getattr(row, name) for name in row.__dataclass_fields__}
    return {name: value for name, value in values.items() if name not in default or value != default[name]}
