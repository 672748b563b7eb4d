"""How long annealers take to come within 1 % of the optimum, on the same candidate routes: ours, and neal with repair.

Time to target (TTS99) is the CPU time of a read, times the number of reads of which one succeeds with 99 %. Building
the model is left out for both, as is repair; a read of ours counts only if it keeps all rules as drawn, one of neal's
after repair. Our reads come in blocks of 32, of which a part costs as much as the whole. Sweeps were fixed on seeds 0
to 11; for neal the better of two settings counts, network by network.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qnroute import generate
from qnroute.benchmark.chances import reads_needed
from qnroute.interruption import noted
from qnroute.models import RouteChoiceQubo
from qnroute.problem import Problem
from qnroute.settings import Settings
from qnroute.solvers.annealing import draws, sampler_called, schedule_of
from qnroute.solvers.highs import solve_matrix
from qnroute.solvers.lanes import LANES
from qnroute.solvers.path_annealing import NAME as OURS
from qnroute.solvers.path_annealing import charged, in_blocks

NODES, REQUESTS, CANDIDATES = 100, 50, 5
FIRST_SEED = 100
_NEAR = 0.99
_SWEEPS, _READS = 60, 512
_TIMES, _SIZES = ("tts99_ms", "read_ms"), ("variables", "sweeps", "reads")
_NEAL_SWEEPS, _NEAL_READS = (100, 1000), 200


@dataclass(frozen=True)
class Sampling:
    """One way on one network, or on all: `within` is the share of reads within 1 % of the optimum.

    `tts99_ms` is a lower bound, as if one read in as many again succeeded, where `reached` is "no"; for all networks
    times are geometric means and "no" stands if it is that on any. `ratio` is to the first way.
    """

    network: str
    way: str
    variables: int
    sweeps: int
    reads: int
    read_ms: float
    within: float
    reached: str
    tts99_ms: float
    ratio: float


def instance(seed: int, nodes: int = NODES, requests: int = REQUESTS) -> Problem:
    """A geometric network of mean degree 8 with one or two channels a link, and requests between nodes anywhere."""
    how = {"p": (0.5, 0.95), "fidelity": (0.9, 0.99), "channels": (1, 2), "swap": (0.85, 0.98)}
    network = generate.random_geometric(nodes, 100.0 * math.sqrt(8.0 / math.pi / nodes), seed=seed, **how)
    return Problem(network, generate.requests(network, requests, seed=seed))


def measure(
    *,
    runs: int = 20,
    nodes: int = NODES,
    requests: int = REQUESTS,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[Sampling]:
    """Both ways on so many networks, and then what they come to; fewer where it is interrupted."""
    interrupted, rows = interrupted or threading.Event(), []
    with noted(interrupted):
        _both(RouteChoiceQubo(instance(0, 20, 10), candidates=CANDIDATES), "warm", 0.0)
        for seed in range(FIRST_SEED, FIRST_SEED + runs):
            if interrupted.is_set():
                break
            if doing is not None:
                doing(f"network {seed - FIRST_SEED + 1} of {runs}")
            qubo = RouteChoiceQubo(instance(seed, nodes, requests), candidates=CANDIDATES)
            rows += _both(qubo, str(seed), solve_matrix(qubo.model.matrix, Settings()).bound)
    return [*rows, *_all(rows)]


def _both(qubo: RouteChoiceQubo, network: str, optimum: float) -> list[Sampling]:
    value, model, bqm, neal = qubo.packing.value, charged(qubo), qubo.to_bqm(), sampler_called("neal")
    count = len(value)

    def ours() -> np.ndarray:
        blocks = in_blocks(model, schedule_of(value, _SWEEPS), _READS, Settings(seed=1), workers=1)
        return np.concatenate([block.x for block in blocks])

    def theirs(sweeps: int) -> np.ndarray:
        return np.concatenate(list(draws(bqm, neal, schedule_of(value, sweeps), _NEAL_READS, Settings(seed=1))))

    def row(way: str, variables: int, sweeps: int, cpu: float, fine: np.ndarray) -> Sampling:
        ms, share = 1e3 * cpu / len(fine), float(fine.mean())
        needed = reads_needed(max(share, 1.0 / len(fine)), LANES if way == OURS else 1)
        reached = "yes" if share else "no"
        return Sampling(network, way, variables, sweeps, len(fine), ms, share, reached, ms * needed, 1.0)

    cpu, x = _timed(ours)
    first = row(OURS, count, _SWEEPS, cpu, qubo.packing.feasible(x) & (x @ value >= _NEAR * optimum))
    others = []
    for sweeps in _NEAL_SWEEPS:
        cpu, x = _timed(lambda sweeps=sweeps: theirs(sweeps))
        fine = qubo.packing.mended(x[:, :count]) @ value >= _NEAR * optimum
        others.append(row("neal, repaired", bqm.num_variables, sweeps, cpu, fine))
    best = min(others, key=lambda each: (each.reached == "no", each.tts99_ms))
    return [first, _beside(first, best)]


def _timed(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def _beside(first: Sampling, other: Sampling) -> Sampling:
    return Sampling(**{**vars(other), "ratio": other.tts99_ms / first.tts99_ms})


def _all(rows: list[Sampling]) -> list[Sampling]:
    """A row for each way over all networks."""
    found: list[Sampling] = []
    for way in dict.fromkeys(row.way for row in rows):
        some = [row for row in rows if row.way == way]
        times, each = (math.exp(np.mean(np.log([getattr(row, name) for row in some]))) for name in _TIMES)
        reached = "yes" if all(row.reached == "yes" for row in some) else "no"
        sizes = [round(float(np.mean([getattr(row, name) for row in some]))) for name in _SIZES]
        share = float(np.mean([row.within for row in some]))
        total = Sampling("all", way, *sizes, each, share, reached, times, 1.0)
        found.append(_beside(found[0], total) if found else total)
    return found
