"""HiGHS answers a LinearModel: values, a proven bound and a trace; stops on time or on Ctrl-C with the best so far."""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import dataclass, field

import highspy
import numpy as np

from qnroute.errors import NoAnswer, SolverError
from qnroute.models.exports import to_highs
from qnroute.models.linear import LinearModel, Matrix
from qnroute.problem import Problem
from qnroute.settings import Answer, Settings, Trace
from qnroute.solvers.choice import stated

_log = logging.getLogger(__name__)
_TIGHT = 1e-9  # floors and gains are scaled to 1, and the judge allows 1e-9
_AGGREGATOR = 1 << 12  # a presolve rule that cuts off optima in HiGHS 1.15.1: 5 of 6,000 random LinkFlows
RELIABLE = {
    "mip_feasibility_tolerance": _TIGHT,
    "primal_feasibility_tolerance": _TIGHT,
    "dual_feasibility_tolerance": 1e-10,  # the least HiGHS takes: values may be a billion times smaller than others
    "presolve_rule_off": _AGGREGATOR,
    "mip_allow_restart": False,  # after a restart HiGHS 1.12 to 1.15.1 may call optimal what is not
    "mip_abs_gap": 0.0,
}
_WIDE = 7.0  # powers of ten between the largest and the smallest cost up to which HiGHS sees them all
_SWAMPED, _DENSE = 500_000, 12  # coefficients in all, and a column: from there presolve takes minutes past any limit
CLOSED = 1e-7  # relative gap asked of HiGHS by default, inside what the contract calls proven


@dataclass
class Outcome:
    """What HiGHS left: `values` is None without an incumbent, `bound` is infinite without one."""

    values: np.ndarray | None
    bound: float
    trace: Trace = field(default_factory=list)
    stopped: str | None = None


def solve_matrix(matrix: Matrix, settings: Settings, *, threads: int = 1) -> Outcome:
    """Maximize a program in which all zero is feasible, as in every model of an allocation.

    Parameters
    ----------
    threads
        1 is reproducible and mostly no slower.

    Raises
    ------
    SolverError
        Where HiGHS fails for a reason other than a limit.
    """
    if nothing_to_gain(matrix):
        return Outcome(np.zeros(len(matrix.cost)), 0.0)
    highs = to_highs(matrix, scale=cost_scale(matrix))
    for option, setting in RELIABLE.items():
        _set(highs, option, setting)
    if matrix.a.nnz > _SWAMPED and matrix.a.nnz > _DENSE * len(matrix.cost):
        _set(highs, "presolve", "off")
    _set(highs, "mip_rel_gap", max(settings.gap, CLOSED))
    _set(highs, "random_seed", 0 if settings.seed is None else settings.seed % 2**31)
    forget_threads()
    _set(highs, "threads", threads)
    trace: Trace = []
    _watch(highs, settings, matrix, trace)
    run(highs, settings)
    return outcome_of(highs, matrix, settings, trace=trace)


def nothing_to_gain(matrix: Matrix) -> bool:
    """Whether no column is worth anything: then all zero is optimal."""
    return not (matrix.cost > 0.0).any()


def cost_scale(matrix: Matrix) -> float:
    """The power of two that brings the largest cost near 1, where HiGHS's absolute tolerances are small."""
    return 2.0 ** math.floor(math.log2(np.abs(matrix.cost).max()))


def slack(matrix: Matrix) -> float:
    """What HiGHS's tolerances may hide from its bound, where some costs are far below the largest."""
    size = np.abs(matrix.cost[matrix.cost != 0.0])
    if np.log10(size.max()) - np.log10(size.min()) <= _WIDE:
        return 0.0
    return 1e-10 * cost_scale(matrix) * min(len(size), 1000)


def forget_threads() -> None:
    """Let the next run use another number of threads than the last one in this process; it would fail otherwise."""
    highspy.Highs.resetGlobalScheduler(True)


def answer_of(model: LinearModel, outcome: Outcome, name: str) -> Answer:
    """The answer that an outcome of a model stands for; `name` is the method's.

    Raises
    ------
    NoAnswer
        Where the run was stopped before it had any values.
    """
    if outcome.values is None:
        raise NoAnswer(f"{name}: {outcome.stopped or 'stopped'} before any answer was found")
    return Answer(model.decode(outcome.values), outcome.bound + model.tail_value, outcome.trace, outcome.stopped)


def link_flow(problem: Problem, settings: Settings, *, threads: int) -> Answer:
    """Method ``link-flow``."""
    return _stated_and_solved(problem, settings, "link-flow", threads)


def path_packing(problem: Problem, settings: Settings, *, threads: int, max_routes: int) -> Answer:
    """Method ``path-packing``."""
    return _stated_and_solved(problem, settings, "path-packing", threads, max_routes=max_routes)


def _stated_and_solved(problem: Problem, settings: Settings, name: str, threads: int, **listing: int) -> Answer:
    model = stated(problem, name, settings, **listing)
    return answer_of(model, solve_matrix(model.matrix, settings, threads=threads), name)


def _set(highs: highspy.Highs, option: str, value: bool | int | float | str) -> None:
    if highs.setOptionValue(option, value) != highspy.HighsStatus.kOk:
        raise SolverError(f"HiGHS refused {option} = {value}")


def _watch(highs: highspy.Highs, settings: Settings, matrix: Matrix, trace: Trace) -> None:
    """Keep the trace and pass it on as progress."""
    scale, allowance = cost_scale(matrix), slack(matrix)

    def seen(event) -> None:
        objective, bound = event.data_out.mip_primal_bound, event.data_out.mip_dual_bound
        value = objective * scale if abs(objective) < highspy.kHighsInf else None
        most = bound * scale + allowance if abs(bound) < highspy.kHighsInf else None
        point = settings.elapsed(), value, most if most is None or value is None else max(most, value)
        if not trace or point[1:] != trace[-1][1:]:
            trace.append(point)
        if settings.progress is not None:
            settings.progress(*point)

    highs.cbMipLogging += seen
    highs.cbMipImprovingSolution += seen


def run(highs: highspy.Highs, settings: Settings) -> None:
    """Run a program in which all zero is feasible; again without presolve, where that calls it infeasible."""
    run_once(highs, settings)
    if refuted(highs):
        run_once(highs, settings)


def refuted(highs: highspy.Highs) -> bool:
    """Whether HiGHS calls a program infeasible that cannot be; its presolve, the culprit, is then turned off."""
    if highs.getModelStatus() != highspy.HighsModelStatus.kInfeasible:
        return False
    _log.warning("HiGHS calls a feasible program infeasible; solving it again without presolve")
    _set(highs, "presolve", "off")
    return True


def run_once(highs: highspy.Highs, settings: Settings) -> None:
    """Run in a thread of its own, so that a Ctrl-C can reach it."""
    remaining = settings.remaining()
    _set(highs, "time_limit", highs.getRunTime() + remaining if math.isfinite(remaining) else math.inf)
    highs.HandleUserInterrupt = True
    failure: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            highs.run()
        except BaseException as error:  # handed to the caller's thread
            failure.append(error)
        finally:
            done.set()

    worker = threading.Thread(target=work, name="highs", daemon=True)
    worker.start()
    while not done.wait(0.05):  # not `join`: an exception inside it would leave the thread's state in doubt
        if settings.interrupted.is_set():
            highs.cancelSolve()
    if failure:
        raise failure[0]


def outcome_of(
    highs: highspy.Highs, matrix: Matrix, settings: Settings, *, trace: Trace | None = None, sign: float = 1.0
) -> Outcome:
    """Values, bound and why it stopped, read off a HiGHS object that ran `matrix`, its costs divided by `cost_scale`.

    Parameters
    ----------
    sign
        -1 where the maximization was turned into a minimization.

    Raises
    ------
    SolverError
        Where HiGHS ended neither with an optimum nor at a limit.
    """
    status, info = highs.getModelStatus(), highs.getInfo()
    kinds = highspy.HighsModelStatus
    limits = (kinds.kTimeLimit, kinds.kInterrupt, kinds.kHighsInterrupt, kinds.kIterationLimit, kinds.kSolutionLimit)
    if status not in (kinds.kOptimal, kinds.kModelEmpty, *limits):
        raise SolverError(f"HiGHS ended with {highs.modelStatusToString(status)}")
    integral = any(kind != highspy.HighsVarType.kContinuous for kind in highs.getLp().integrality_)
    solution = highs.getSolution()
    found = solution.value_valid and info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    values = np.array(solution.col_value) if found else None
    if integral:
        bound = info.mip_dual_bound
    else:
        bound = info.objective_function_value if status == kinds.kOptimal else math.inf
    known = abs(bound) < highspy.kHighsInf
    bound = bound * sign * cost_scale(matrix) + slack(matrix) if known else math.inf
    stopped = None
    if status in limits:
        cut = settings.interrupted.is_set() or status in (kinds.kInterrupt, kinds.kHighsInterrupt)
        stopped = "interrupted" if cut else "time-limit"
    return Outcome(values, bound, trace or [], stopped)
