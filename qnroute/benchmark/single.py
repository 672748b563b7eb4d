"""One run of one way on one case, in a process of its own: what it found, and what it cost.

The same way first solves a small problem of the same kind, so that imports and compiling are in no figure. CPU time
is that of all threads of the process; the peak of its memory includes libraries and the problem.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from qnroute.benchmark.cases import CASES, UPDATING, Case
from qnroute.builtin import BUILT_IN, MODELS
from qnroute.errors import NoAnswer, QnrouteError
from qnroute.fidelity import noise, noise_budget
from qnroute.method import SELECTION, Method
from qnroute.methods import solve
from qnroute.problem import Problem
from qnroute.result import Result
from qnroute.settings import Answer, Settings, Trace

_WARM = 24  # nodes of the problem before
_WARM_S = 20.0
_POINTS = 200  # of a trace, at most
_AT_ONCE = 100  # sources from which distances are held together


def highs_alone(problem: Problem, settings: Settings) -> Answer:
    """The task's own model, given to HiGHS as it is."""
    from qnroute.solvers.choice import stated
    from qnroute.solvers.highs import answer_of, solve_matrix

    model = stated(problem, MODELS[0], settings)
    return answer_of(model, solve_matrix(model.matrix, settings), "highs")


HIGHS = Method("highs", "the task's own model, given to HiGHS as it is", highs_alone, (), (SELECTION,))
WAYS = {method.name: method for method in (*BUILT_IN, HIGHS)}


def measured(case: Case, way: str, time_limit: float) -> dict[str, Any]:
    """Everything about one run, ready for JSON."""
    with contextlib.suppress(QnrouteError):
        ready(case, way, _WARM, _WARM_S)(case.make(_WARM), _WARM_S)
    problem = case.problem()
    about = {
        "nodes": problem.network.n_nodes,
        "links": problem.network.n_links,
        "requests": len(problem.requests),
        "objective": problem.objective.kind if problem.requests else "",
    }
    cpu, wall = time.process_time(), time.perf_counter()
    try:
        solved = ready(case, way, case.nodes, time_limit)
        cpu, wall = time.process_time(), time.perf_counter()
        found = _figures(solved(problem, time_limit))
    except NoAnswer:
        found = {"status": "no-answer"}
    except QnrouteError as error:
        found = {"status": f"refused: {error}"}
    except MemoryError:
        found = {"status": "out of memory"}
    cost = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall, "peak_mb": peak_mb()}
    return {**about, "reachable": reachable(problem), **found, **cost}


def ready(case: Case, way: str, nodes: int, time_limit: float) -> Callable[[Problem, float], Result]:
    """What solves a problem in a time; to go on from the one before a change, that is solved first."""
    if way != UPDATING[0]:
        return lambda problem, limit: solve(problem, WAYS[way], time_limit=limit)
    from qnroute.solvers.column_generation import ColumnGeneration

    solver = ColumnGeneration(case.before(nodes))
    solver.solve(time_limit=time_limit)

    def updated(problem: Problem, limit: float) -> Result:
        solver.update(problem)
        return solver.solve(time_limit=limit)

    return updated


def reachable(problem: Problem) -> int | None:
    """How many requests some route joins that keeps their fidelity floor; None where there are no requests.

    The distance is noise, the sum of -ln w over links: scipy's Dijkstra, so that no method counts for itself.
    """
    if not problem.requests:
        return None
    import scipy.sparse as sparse
    from scipy.sparse.csgraph import dijkstra

    network, n = problem.network, problem.network.n_nodes
    budget = np.array([noise_budget(request.min_fidelity) for request in problem.requests])
    step = np.maximum(noise(network.fidelity), 1e-15)  # a zero would be no link
    graph = sparse.csr_array((step, (network.source, network.target)), shape=(n, n))
    most = float(budget.max()) + 1e-9
    order = np.argsort(problem.sources, kind="stable")
    count = 0
    for first in range(0, len(order), _AT_ONCE):
        some = order[first : first + _AT_ONCE]
        source, row = np.unique(problem.sources[some], return_inverse=True)
        far = dijkstra(graph, directed=False, indices=source, limit=most)
        count += int((far[row, problem.targets[some]] <= budget[some] + 1e-9).sum())
    return count


def _figures(result: Result) -> dict[str, Any]:
    end = result.seconds, result.objective, result.bound
    served = len(result.allocation.routes) or len(result.allocation.links)
    return {
        "status": result.status,
        "value": result.objective,
        "bound": result.bound,
        "gap": result.gap,
        "served": served,
        "remarks": "; ".join(result.remarks),
        "trace": [*thinned(result.trace), end] if result.trace else [],
    }


def thinned(trace: Trace) -> Trace:
    """The trace where something changed, by even steps where that is still too much."""
    changed = [point for i, point in enumerate(trace) if not i or point[1:] != trace[i - 1][1:]]
    kept = np.unique(np.linspace(0, len(changed) - 1, min(len(changed), _POINTS)).astype(int))
    return [changed[i] for i in kept]


def peak_mb() -> float:
    """The most memory this process has held; `ru_maxrss` may be that of the process which started it."""
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/self/status") as status:
        return float(status.read().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    print(json.dumps(measured(CASES[sys.argv[1]], sys.argv[2], float(sys.argv[3]))))
