"""How long it takes to build LinkFlow and hand it to HiGHS: from arrays, through Pyomo, through PuLP.

Each way runs in a process of its own, several times in turn, so that memory is its own and noise is shared.
The solver is stopped as soon as it has the model.
"""

from __future__ import annotations

import itertools
import json
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qnroute.benchmark.processes import measured
from qnroute.interruption import noted
from qnroute.models import LinkFlow
from qnroute.network import Network
from qnroute.problem import Problem, Request

SIZE = (500, 2000, 100)  # nodes, links, requests: 400,100 binaries under log-success
WAYS = ("arrays", "pulp", "pyomo")


@dataclass(frozen=True)
class Building:
    """Median CPU seconds and largest memory of one way; `ratio` is its time over that of ``arrays``."""

    way: str
    runs: int
    cpu_s: float
    peak_mb: float
    import_mb: float
    ratio: float


def instance(nodes: int, links: int, requests: int, *, seed: int = 0) -> Problem:
    """A random network with two channels a link and six qubits a node, and requests between random pairs."""
    rng = np.random.default_rng(seed)
    index = rng.choice(nodes * (nodes - 1) // 2, size=links, replace=False)
    u, v = (end[index] for end in np.triu_indices(nodes, 1))
    p = rng.uniform(0.3, 0.95, links)
    network = Network.from_columns([f"n{i}" for i in range(nodes)], u, v, p=p, fidelity=0.97, channels=2, memory=6)
    ends = [rng.choice(nodes, 2, replace=False) for _ in range(requests)]
    asked = [Request(f"r{k}", f"n{s}", f"n{t}") for k, (s, t) in enumerate(ends)]
    return Problem(network, asked, objective="log-success", name=f"random-{nodes}-{links}-{requests}")


def measure(
    *,
    size: tuple[int, int, int] = SIZE,
    ways: tuple[str, ...] = WAYS,
    runs: int = 3,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[Building]:
    """All ways, `runs` times in turn; none where it is interrupted before each had its turn.

    Parameters
    ----------
    doing
        Told what is measured next.
    interrupted
        Set it from elsewhere to end with what there is; Ctrl-C sets it, too.
    """
    seen: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    interrupted = interrupted or threading.Event()
    with noted(interrupted):
        for run, way in itertools.product(range(1, runs + 1), ways):
            if doing is not None:
                doing(f"{way}, run {run} of {runs}")
            made = measured("qnroute.benchmark.building", way, *map(str, size), interrupted=interrupted)
            if made is None:
                break
            seen[way].append(made)
    if not all(seen.values()):
        return []
    times = {way: statistics.median(run["cpu_s"] for run in found) for way, found in seen.items()}
    return [
        Building(
            way,
            len(found),
            times[way],
            max(run["peak_mb"] for run in found),
            max(run["import_mb"] for run in found),
            times[way] / times[ways[0]],
        )
        for way, found in seen.items()
    ]


def _once(way: str, size: tuple[int, int, int]) -> dict[str, float]:
    problem = instance(*size)
    hand_over = {"arrays": _arrays, "pyomo": _pyomo, "pulp": _pulp}[way]
    hand_over(LinkFlow(instance(5, 6, 2)))  # libraries loaded, kernels compiled
    imported, started = _peak_mb(), time.process_time()
    hand_over(LinkFlow(problem))
    return {"cpu_s": time.process_time() - started, "peak_mb": _peak_mb(), "import_mb": imported}


def _arrays(model: LinkFlow) -> None:
    model.to_highs()


def _pyomo(model: LinkFlow) -> None:
    import pyomo.environ  # noqa: F401  registers the solvers
    from pyomo.contrib.solver.common.factory import SolverFactory

    solver = SolverFactory("highs")
    solver.config.load_solutions = solver.config.raise_exception_on_nonoptimal_result = False
    solver.config.time_limit = 1e-6
    solver.solve(model.to_pyomo())


def _pulp(model: LinkFlow) -> None:
    import pulp

    made, solver = model.to_pulp(), pulp.HiGHS(msg=False)
    solver.createAndConfigureSolver(made)
    solver.buildSolverModel(made)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(_once(sys.argv[1], tuple(map(int, sys.argv[2:5])))))
