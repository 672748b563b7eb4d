"""Minor embeddings: how many qubits of an annealer's graph a quadratic model would take.

Each variable becomes a chain of connected qubits, so that every coupler of the model finds an edge between two chains.
The graphs are whole ones; of a real machine's qubits a few percent are out of order.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import connected_components

from qnroute.errors import ProblemError, SolverError
from qnroute.interruption import noted
from qnroute.models.quadratic import Quadratic
from qnroute.settings import Settings

SIZES = {"pegasus": 16, "zephyr": 12, "chimera": 16}
"""Of the machines called Advantage, Advantage2 and 2000Q."""
_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "embedding_process.py")
_LARGEST = 20  # size of a graph
_SPARE = 0.1  # of the time limit, for a pass that is under way when the rest is spent
_GRACE = 1.0  # seconds, for such a pass when the search is interrupted
_FOREVER = 1e9  # seconds


@dataclass(frozen=True)
class Embedding:
    """What came of the search for a minor embedding.

    Attributes
    ----------
    topology, size : which graph, such as pegasus 16
    qubits : nodes of that graph
    variables, couplers : of the model; couplers of bias 0 do not count
    chains : the qubits of each variable; None where no embedding was found, which does not prove that there is none
    seconds : CPU time
    stopped : ``time-limit`` or ``interrupted`` where something cut the search short
    why : why none was found; empty where one was
    """

    topology: str
    size: int
    qubits: int
    variables: int
    couplers: int
    chains: tuple[tuple[int, ...], ...] | None
    seconds: float
    stopped: str | None = None
    why: str = ""

    @property
    def found(self) -> bool:
        """Whether there is an embedding."""
        return self.chains is not None

    @property
    def used(self) -> int:
        """Qubits that all chains take together."""
        return sum(map(len, self.chains or ()))

    @property
    def longest(self) -> int:
        """Qubits of the longest chain."""
        return max(map(len, self.chains or ()), default=0)

    @property
    def mean(self) -> float:
        """Qubits of a chain on average."""
        return self.used / len(self.chains) if self.chains else 0.0


class Target(NamedTuple):
    """A graph to embed in: the numbers of its nodes (K,), and both ends of its edges (E,)."""

    nodes: np.ndarray
    one: np.ndarray
    other: np.ndarray


def embed(
    model: Quadratic,
    topology: str = "pegasus",
    *,
    size: int | None = None,
    time_limit: float | None = 60.0,
    seed: int | None = None,
    tries: int = 10,
    interrupted: threading.Event | None = None,
) -> Embedding:
    """Look for a minor embedding of a model with minorminer, and check it.

    Parameters
    ----------
    topology, size
        ``pegasus``, ``zephyr`` or ``chimera``, by default of the size in `SIZES`.
    time_limit
        Wall-clock seconds; None: no limit. Where they do not suffice, chains may be longer than need be, or none found.
    seed
        The same seed gives the same embedding, unless time runs out; none: another each time.
    tries
        How often the search begins anew before it gives up.
    interrupted
        Set from outside (or by Ctrl-C) to stop early with the best so far.

    Raises
    ------
    ProblemError
        No such topology, or a size, time limit or number of tries that makes no sense.
    SolverError
        minorminer or dwave-graphs is not installed, or the search failed.
    """
    size = SIZES.get(topology, 0) if size is None else size
    _require(topology, size, time_limit, tries)
    settings = Settings(time_limit=time_limit, seed=seed, interrupted=interrupted or threading.Event())
    before = _cpu()
    with noted(settings.interrupted):
        target = target_graph(topology, size)
        kept = np.flatnonzero(model.bias)
        row, col = model.row[kept], model.col[kept]
        chains, stopped, why = _chains(len(model), row, col, target, tries, settings)
    if chains is not None and (fault := broken(chains, row, col, target)):
        raise SolverError(f"embedding: minorminer gave one that is none: {fault}")
    counts = len(target.nodes), len(model), len(row)
    return Embedding(topology, size, *counts, chains, _cpu() - before, stopped, why)


def target_graph(topology: str, size: int) -> Target:
    """The graph of an annealer.

    Raises
    ------
    SolverError
        dwave-graphs or minorminer is not installed.
    """
    try:
        importlib.import_module("minorminer")
        graphs: Any = importlib.import_module("dwave.graphs")
    except ImportError as error:
        package = "dwave-graphs" if "dwave" in str(error.name) else error.name or str(error)
        raise SolverError(f"{package} is not installed: pip install 'qnroute[embed]'") from None
    graph = getattr(graphs, f"{topology}_graph")(size)
    edges = np.array(graph.edges, np.int64).reshape(-1, 2)
    return Target(np.array(graph.nodes, np.int64), edges[:, 0], edges[:, 1])


def broken(chains: Sequence[Sequence[int]], row: np.ndarray, col: np.ndarray, target: Target) -> str:
    """What is wrong with an embedding of the couplers between variables `row` and `col`; empty where all is well."""
    n, lengths = len(chains), [len(chain) for chain in chains]
    if not all(lengths):
        return f"variable {lengths.index(0)} has no qubit"
    taken = np.array([q for chain in chains for q in chain], np.int64)
    variable = np.repeat(np.arange(n), lengths)
    unknown = np.flatnonzero(~np.isin(taken, target.nodes))
    if len(unknown):
        return f"variable {variable[unknown[0]]} has a qubit {taken[unknown[0]]}, which is not in the graph"
    many = target.nodes.max(initial=-1) + 1
    uses = np.bincount(taken, minlength=many)
    if uses.max(initial=0) > 1:
        return f"qubit {uses.argmax()} is in two chains, or twice in one"
    owner = np.full(many, -1)
    owner[taken] = variable
    one, other = owner[target.one], owner[target.other]
    within = (one == other) & (one >= 0)
    joined = sparse.coo_array((within[within], (target.one[within], target.other[within])), shape=(many, many))
    pieces = np.unique(np.stack([variable, connected_components(joined, directed=False)[1][taken]], 1), axis=0)[:, 0]
    if len(pieces) > n:
        return f"the chain of variable {np.bincount(pieces).argmax()} is not connected"
    linked = np.isin(_pairs(row, col, n), _pairs(one, other, n)[(one >= 0) & (other >= 0)])
    if not linked.all():
        k = int(linked.argmin())
        return f"no edge joins the chains of variables {row[k]} and {col[k]}"
    return ""


def _pairs(one: np.ndarray, other: np.ndarray, n: int) -> np.ndarray:
    return np.minimum(one, other) * n + np.maximum(one, other)


def _require(topology: str, size: int, time_limit: float | None, tries: int) -> None:
    if topology not in SIZES:
        raise ProblemError(f"topology: found {topology!r}, expected {', '.join(SIZES)}")
    if not isinstance(size, int | np.integer) or not 2 <= size <= _LARGEST:
        raise ProblemError(f"size: found {size!r}, expected 2 to {_LARGEST}")
    if time_limit is not None and not 0.0 < time_limit < math.inf:
        raise ProblemError(f"time_limit: found {time_limit!r}, expected a number of seconds above 0, or None")
    if tries < 1:
        raise ProblemError(f"tries: found {tries!r}, expected 1 or more")


def _chains(
    n: int, row: np.ndarray, col: np.ndarray, target: Target, tries: int, settings: Settings
) -> tuple[tuple[tuple[int, ...], ...] | None, str | None, str]:
    """The chains of all variables, what cut the search short, and why there are none."""
    if n > len(target.nodes):
        return None, None, f"{n:,} variables, more than the {len(target.nodes):,} qubits"
    if len(row) > len(target.one):
        return None, None, f"{len(row):,} couplers, more than the {len(target.one):,} of the graph"
    found: dict[int, list[int]] = {}
    stopped = None
    if len(row):
        found, stopped = _searched(row, col, target, tries, settings)
        if not found:
            return None, stopped, stopped or f"none in {tries} tries"
    free = np.setdiff1d(target.nodes, [q for chain in found.values() for q in chain]).tolist()
    alone = [v for v in range(n) if v not in found]  # a variable without couplers goes anywhere
    if len(alone) > len(free):
        return None, stopped, f"{len(free):,} qubits are left for {len(alone):,} variables without couplers"
    found |= {v: [q] for v, q in zip(alone, free)}
    return tuple(tuple(found[v]) for v in range(n)), stopped, ""


def _searched(
    row: np.ndarray, col: np.ndarray, target: Target, tries: int, settings: Settings
) -> tuple[dict[int, list[int]], str | None]:
    """The best embedding that the search prints before it ends or must be ended, and what cut it short.

    minorminer looks at its clock once a pass, which takes 15 seconds with 200 variables all coupled, and holds Python's
    lock meanwhile; hence another process.
    """
    spare = 0.0 if settings.time_limit is None else _SPARE * settings.time_limit
    asked = {
        "couplers": [row.tolist(), col.tolist()],
        "edges": [target.one.tolist(), target.other.tolist()],
        "seed": None if settings.seed is None else int(settings.seed) % 2**64,
        "tries": int(tries),
        "timeout": min(max(settings.remaining() - spare, 0.0), _FOREVER),
    }
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(json.dumps(asked).encode())
        given.seek(0)
        with subprocess.Popen([sys.executable, "-P", _PROGRAM], stdin=given, stdout=out, stderr=err) as child:
            ended = _waited(child, settings)
        if ended and child.returncode:
            said = _content(err).strip().splitlines()[-1:] or [f"it ended with status {child.returncode}"]
            raise SolverError(f"embedding: {said[0]}")
        whole = [line for line in _content(out).splitlines(keepends=True) if line.endswith("\n")]
    found = {v: chain for v, *chain in json.loads(whole[-1])} if whole else {}
    late = settings.time_limit is not None and settings.remaining() <= spare
    return found, settings.stopped or ("time-limit" if late else None)


def _waited(child: subprocess.Popen[bytes], settings: Settings) -> bool:
    """Wait for the end of a process, or end it once the work must end; returns whether it came to its own end."""
    try:
        while not settings.stopped:
            try:
                child.wait(min(settings.remaining(), 0.1))
                return True
            except subprocess.TimeoutExpired:
                pass
        if settings.interrupted.is_set():
            child.terminate()  # which it takes as a request, where the system knows such
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_GRACE)
        return False
    finally:
        child.kill()


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _cpu() -> float:
    """CPU seconds of this process and of those it has waited for."""
    return time.process_time() + sum(os.times()[2:4])
