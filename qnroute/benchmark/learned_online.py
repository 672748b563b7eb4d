"""Requests that come one by one: shares of what one could serve who knew them all, on families seen and not.

Seeds are those of no training. Every method meets the same sequences; `exact` proves the optimum of each, over all
routes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from qnroute.benchmark.statistics import difference, mean_interval
from qnroute.errors import ProblemError
from qnroute.fields import chosen
from qnroute.learning.routing.online_ahead import play_ahead
from qnroute.learning.routing.online_recipes import load_online_policy
from qnroute.learning.routing.online_rules import BID_PRICES, FIRST_COME, ROW_PROGRAMS, play, play_resolved
from qnroute.learning.routing.policy import RoutePolicy
from qnroute.learning.routing.problems import SEEN
from qnroute.learning.routing.streams import StreamPool, drawn_stream
from qnroute.methods import solve
from qnroute.multiplicity import holm

GROUP = "online"
SEED = 6_000_000
REFERENCE = "bid prices, found anew"
CANDIDATES = 40
AHEAD = "ppo, looking ahead"
METHODS = ("first come", "bid prices", REFERENCE, "row programs", "ppo", AHEAD)
_FAMILIES = (
    *((topology, nodes) for topology in SEEN for nodes in (16, 32)),
    ("watts-strogatz", 16), ("waxman", 24), ("erdos-renyi", 64), ("barabasi-albert", 64), ("watts-strogatz", 64),
)  # fmt: skip
FAMILIES = {f"{GROUP}-{topology}-{nodes}": (topology, nodes) for topology, nodes in _FAMILIES}


@dataclass(frozen=True)
class Online:
    """A method on a family.

    Attributes
    ----------
    share, low, high
        Of the optimum in hindsight, with the 95 % interval of the mean.
    above, above_low, above_high
        Share more than bid prices reach that are found anew before every request, on the same sequences.
    p
        Wilcoxon's signed ranks of that, Holm-corrected over all rows.
    cpu_ms
        Of a request.
    """

    family: str
    seen: bool
    method: str
    sequences: int
    share: float | None
    low: float | None
    high: float | None
    above: float | None
    above_low: float | None
    above_high: float | None
    p: float
    cpu_ms: float


def listing() -> list[str]:
    """The families."""
    words = {True: "seen", False: "not seen"}
    return [f"{GROUP}: all of these"] + [
        f"{name}: requests one by one, {words[_seen(name)]} in training" for name in FAMILIES
    ]


def _seen(name: str) -> bool:
    topology, nodes = FAMILIES[name]
    return topology in SEEN and nodes <= 32


def measure(
    *,
    runs: int,
    case: Sequence[str] = (GROUP,),
    doing: Callable[[str], None] | None = None,
    interrupted: threading.Event | None = None,
) -> list[Online]:
    """A row for each family and method; sequences that `exact` has not proven in a minute are left out."""
    stop, rows = interrupted or threading.Event(), []
    known = {GROUP: "", **FAMILIES}
    asked = list(FAMILIES) if list(case) == [GROUP] else [name for name in case if chosen("--case", name, known)]
    if len(set(asked)) < len(asked) or GROUP in asked:
        raise ProblemError("--case: a family is given more than once")
    policy = load_online_policy()
    for name in asked:
        found: list[tuple[np.ndarray, np.ndarray]] = []
        for run in range(runs):
            if stop.is_set():
                break
            if doing is not None:
                doing(f"{name}, sequence {run + 1}")
            one = _sequence(name, run, policy, stop)
            if one is not None:
                found.append(one)
        if found:
            rows += _rows(name, *(np.array(part) for part in zip(*found)))
    others = [row for row in rows if row["method"] != REFERENCE]
    for row, p in zip(others, holm([row["p"] for row in others])):
        row["p"] = float(p)
    return [Online(**row) for row in rows]


def _sequence(name: str, run: int, policy: RoutePolicy, stop: threading.Event) -> tuple[np.ndarray, np.ndarray] | None:
    """What each method makes of a stream and a sequence of it: share of hindsight, and CPU seconds a request."""
    topology, nodes = FAMILIES[name]
    rng = np.random.default_rng([SEED + run, 9])
    pool = StreamPool.of(drawn_stream(topology, nodes, rng, SEED + run, per_request=CANDIDATES))
    here = np.zeros(1, np.int64)
    come = pool.arrivals(here, rng)
    best = solve(pool.streams[0].problem(come.group[0], come.weight[0]), "exact", time_limit=60.0, interrupted=stop)
    if best.status != "optimal" or best.objective <= 0.0:
        return None
    given = {"candidates": CANDIDATES}
    rules = {"first come": FIRST_COME, "bid prices": BID_PRICES, "row programs": ROW_PROGRAMS, "ppo": policy}
    plays = {method: partial(play, rule, **given) for method, rule in rules.items()}
    plays |= {REFERENCE: partial(play_resolved, **given), AHEAD: partial(play_ahead, policy, **given)}
    worth, seconds = [], []
    for method in METHODS:
        start = time.process_time()
        worth.append(float(plays[method](pool.known, here, come)[0]))
        seconds.append(time.process_time() - start)
    return np.array(worth) / best.objective, np.array(seconds) / len(come.group[0])


def _rows(name: str, shares: np.ndarray, seconds: np.ndarray) -> list[dict]:
    """(N, methods) of both."""
    rows, of = [], dict(zip(METHODS, shares.T))
    for at, method in enumerate(METHODS):
        share, apart = mean_interval(of[method]), difference(of[method], of[REFERENCE])
        own = method == REFERENCE
        above = (None,) * 3 if own else apart.mean
        rows.append({
            "family": name, "seen": _seen(name), "method": method, "sequences": len(shares),
            "share": share.value, "low": share.low, "high": share.high,
            "above": above[0], "above_low": above[1], "above_high": above[2], "p": 1.0 if own else apart.p_paired,
            "cpu_ms": 1000.0 * float(np.median(seconds[:, at])),
        })  # fmt: skip
    return rows
