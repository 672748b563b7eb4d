"""CPU time per delivered end-to-end pair: our slot simulator, reactive, against SimQN, on the same 100-node network.

The same for both: nodes and links (random, mean degree 4), one try per link and slot that succeeds with p, memories,
fidelity of a fresh pair, and requests: ten pairs of nodes, each asking for one pair every other slot. Not the same:
SimQN sends a qubit from node to node along a fixed shortest route, with events for each message, and gives up when it
is lost; ours makes pairs on all links in every slot, keeps them, searches a route over those stored, and lets a request
wait 20 slots. So ours also does what SimQN does not. SimQN's figure is the CPU time of its event loop alone; ours has
the building of all arrays in it. Neither has imports or compiling.

SimQN runs in a process of its own, by the interpreter that QNROUTE_SIMQN_PYTHON names, else by this one.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qnroute.errors import SolverError
from qnroute.interruption import noted
from qnroute.network import Network

PYTHON = "QNROUTE_SIMQN_PYTHON"
CHANCES = (1.0, 0.9, 0.6)
_NODES, _LINKS, _PAIRS, _PERIOD, _PATIENCE = 100, 200, 10, 2, 20
_MEMORY, _FIDELITY, _DECAY, _DELAY = 50, 0.99, 0.96, 0.01  # delay of a message in slots
_SLOTS = 1000


@dataclass(frozen=True)
class Delivery:
    """One simulator at one p: medians of several runs; `ratio` is its time per pair over ours."""

    p: float
    simulator: str
    runs: int
    asked: int
    delivered: float
    cpu_s: float
    us_per_pair: float
    ratio: float


def measure(
    *,
    runs: int = 5,
    slots: int = _SLOTS,
    chances: tuple[float, ...] = CHANCES,
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[Delivery]:
    """Both simulators in turn, `runs` times, with other luck each time; what was whole where it is interrupted.

    Raises
    ------
    SolverError
        SimQN is not there, or failed.
    """
    interrupted, rows = interrupted or threading.Event(), []
    with noted(interrupted):
        for p in chances:
            given = setting(p, slots)
            ours(given | {"slots": 20})  # compiles
            seen: dict[str, list[dict[str, Any]]] = {"qnroute": [], "SimQN": []}
            for run in range(1, runs + 1):
                if interrupted.is_set():
                    return rows
                if doing is not None:
                    doing(f"p = {p:g}, run {run} of {runs}")
                seen["qnroute"].append(ours(given | {"seed": run}))
                seen["SimQN"].append(simqn(given | {"seed": run}))
            rows += _rows(p, seen)
    return rows


def _rows(p: float, seen: dict[str, list[dict[str, Any]]]) -> list[Delivery]:
    each = {name: statistics.median(f["cpu_s"] / max(f["delivered"], 1) for f in found) for name, found in seen.items()}
    return [
        Delivery(
            p, name, len(found), found[0]["asked"], statistics.median(f["delivered"] for f in found),
            statistics.median(f["cpu_s"] for f in found), 1e6 * each[name], each[name] / each["qnroute"],
        )
        for name, found in seen.items()
    ]  # fmt: skip


def setting(p: float, slots: int = _SLOTS, seed: int = 0) -> dict[str, Any]:
    """What both are given: a random tree with more links put in, and pairs of nodes no two of which share one."""
    rng = np.random.default_rng(seed)
    links = {(int(rng.integers(node)), node) for node in range(1, _NODES)}
    while len(links) < _LINKS:
        u, v = sorted(rng.choice(_NODES, 2, replace=False).tolist())
        links.add((u, v))
    pairs = rng.permutation(_NODES)[: 2 * _PAIRS].reshape(-1, 2).tolist()
    return {
        "nodes": _NODES, "links": sorted(links), "pairs": pairs, "period": _PERIOD, "slots": slots, "p": p,
        "memory": _MEMORY, "fidelity": _FIDELITY, "decoherence": -math.log(_DECAY), "delay": _DELAY, "seed": seed,
    }  # fmt: skip


def ours(given: dict[str, Any]) -> dict[str, Any]:
    """Our run of it: CPU seconds with all arrays built, pairs delivered, their mean fidelity."""
    from qnroute.simulation import rules
    from qnroute.simulation.demand import Demand
    from qnroute.simulation.dynamics import LinkSeries
    from qnroute.simulation.physics import Physics
    from qnroute.simulation.search import workspace_of
    from qnroute.simulation.simulator import Simulator
    from qnroute.simulation.world import Run

    start = time.process_time()
    tail, head = np.array(given["links"]).T
    names, fidelity = [f"n{i}" for i in range(given["nodes"])], given["fidelity"]
    network = Network.from_columns(names, tail, head, p=given["p"], fidelity=fidelity, memory=given["memory"])
    arrival = np.arange(0, given["slots"], given["period"]).repeat(len(given["pairs"]))
    source, target = np.tile(np.array(given["pairs"]).T, len(arrival) // len(given["pairs"]))
    asked = Demand(source, target, arrival, arrival + _PATIENCE, np.zeros(len(arrival)), np.ones(len(arrival)))
    series = LinkSeries(network.p[None, :], given["slots"])
    simulator = Simulator([Run(network, series, asked, given["seed"])], Physics(decay=_DECAY))
    rules.advance(
        simulator.world, simulator.state, given["slots"], rules.REACTIVE, rules.no_plan(), rules.no_chances(1),
        workspace_of(simulator.world), simulator.log, 0,
    )  # fmt: skip
    served = simulator.state.served >= 0
    spent = time.process_time() - start
    fidelity = float(simulator.state.fidelity[served].mean()) if served.any() else 0.0
    return {"cpu_s": spent, "delivered": int(served.sum()), "asked": len(asked), "fidelity": fidelity}


def simqn(given: dict[str, Any]) -> dict[str, Any]:
    """SimQN's run of it."""
    python, script = os.environ.get(PYTHON, sys.executable), Path(__file__).with_name("simqn.py")
    try:
        done = subprocess.run([python, str(script)], input=json.dumps(given), capture_output=True, text=True)
    except OSError as error:
        raise SolverError(f"{PYTHON}: {error}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        if said[0] == "qns is not installed":
            where = "python -m venv simqn && simqn/bin/pip install qns==0.2.3, then"
            raise SolverError(f"SimQN is not installed: {where} {PYTHON}=simqn/bin/python qnroute bench simulators")
        raise SolverError(f"SimQN ended with status {done.returncode}: {said[0]}")
    return json.loads(done.stdout)
