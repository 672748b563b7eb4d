"""What a study of samplers found, as it is shown, written and drawn."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qnroute.benchmark.chances import Interval
from qnroute.benchmark.subjects import Optimum
from qnroute.models.quadratic import Quadratic
from qnroute.solvers.embedding import Embedding


@dataclass(frozen=True)
class Size:
    """How large a model is: `coefficient_range` is the largest over the smallest size of any bias that is not 0.

    `degrees[d]` variables have d couplers; `density` is the share of all pairs that are coupled.
    """

    variables: int
    slack: int
    couplers: int
    density: float
    degrees: tuple[int, ...]
    coefficient_least: float
    coefficient_most: float
    coefficient_range: float


@dataclass(frozen=True)
class Run:
    """What the reads of one sampler came to.

    `within` is the share of reads that keep all rules and are within the share asked for of the reference,
    `within_repaired` that of repaired ones, each with the time to target in ms; `ratio` is the mean of value over
    reference among the feasible reads; `energies` counts reads between the study's `energy_edges`.
    """

    sampler: str
    sweeps: int | None
    reads: int
    read_ms: float
    feasible: Interval
    within: Interval
    tts99_ms: Interval
    within_repaired: Interval
    tts99_repaired_ms: Interval
    ratio: float | None
    best: float | None
    best_repaired: float
    how: str
    stopped: str | None = None
    energies: tuple[int, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Penalised:
    """What becomes of samples with penalties `strength` times those that provably suffice.

    `ground_feasible` says whether the ground state of the QUBO keeps all rules: yes where that is proven, no where some
    sample, slack aside, has less energy than a proven optimum that keeps them, else None.
    """

    strength: float
    sampler: str
    sweeps: int | None
    reads: int
    feasible: Interval
    ratio: float | None
    ratio_repaired: float | None
    ground_feasible: bool | None


@dataclass
class Study:
    """All that was measured.

    `reference` is what samples are held against, and `reference_is` says what that is: target, proven optimum, or best
    value known; `energy_edges` bound the
    bins in which energies above that of the reference are counted.
    """

    name: str
    title: dict[str, Any]
    size: Size
    seed: int
    near: float
    optimum: Optimum
    problem: Optimum | None = None
    reference: float | None = None
    reference_is: str = ""
    energy_edges: tuple[float, ...] = ()
    runs: list[Run] = field(default_factory=list)
    penalties: list[Penalised] = field(default_factory=list)
    embeddings: list[Embedding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    stopped: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; chains of embeddings are left out."""
        found = {each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name != "embeddings"}
        plain = {name: _plain(value) for name, value in found.items()}
        sizes = ("topology", "size", "qubits", "variables", "couplers", "found", "used", "longest", "mean", "seconds")
        return {"format": "qnroute.qubo-study/1"} | plain | {
            "embeddings": [{name: getattr(each, name) for name in (*sizes, "why")} for each in self.embeddings]
        }  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)) and not hasattr(value, "_asdict"):
        return [_plain(each) for each in value]
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if dataclasses.is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    return value


def size_of(quadratic: Quadratic, slack: int) -> Size:
    """Of a model whose last `slack` variables are slack bits."""
    n, q = len(quadratic), len(quadratic.bias)
    degree = np.bincount(quadratic.row, minlength=n) + np.bincount(quadratic.col, minlength=n)
    some = np.abs(np.concatenate([quadratic.linear, quadratic.bias]))
    some = some[some > 0.0]
    least, most = (float(some.min()), float(some.max())) if len(some) else (0.0, 0.0)
    counts = tuple(np.bincount(degree.astype(np.int64)).tolist()) if n else ()
    pairs = n * (n - 1) / 2
    return Size(n, slack, q, q / pairs if pairs else 0.0, counts, least, most, most / least if least else 1.0)
