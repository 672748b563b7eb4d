"""Policy ``exact``: the allocation of the present slot, over the pairs at hand, solved to proof.

The pairs stored now are a network whose links certainly hold a pair; who waits are its requests. Most slots need no
solver: where simple serving gives every request that any route could serve the most that any route could give it,
nothing better exists. The others are a `Problem`, and method ``exact`` proves its optimum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from qnroute.errors import SolverError
from qnroute.network import Network
from qnroute.problem import Problem, Request
from qnroute.simulation.rules import in_order
from qnroute.simulation.scenario import Case
from qnroute.simulation.search import Workspace, fewest_links, offer, taken, workspace_of, youngest
from qnroute.simulation.simulator import Simulator

_PROVEN = 1e-6
_ALL_BUT_SPENT = float(np.nextafter(0.25, 1.0))  # no link may have less, and no floor tells it from less


class Exact:
    """See the module. `solved` counts the slots that needed the solver, `simple` those that did not."""

    def start(self, simulator: Simulator, cases: Sequence[Case]) -> None:
        """Make room for searches."""
        self._work: Workspace = workspace_of(simulator.world)
        self.solved = self.simple = 0

    def act(self, simulator: Simulator) -> None:
        """Serve in the present slot."""
        for run in range(len(simulator.runs)):
            if simulator.state.queued[run] == 0:
                continue
            requests, channels, indptr, proven = _simply(simulator.world, simulator.state, run, self._work)
            if proven:
                self.simple += 1
            else:
                self.solved += 1
                requests, channels, indptr = _solved(simulator, run)
            if len(requests):
                simulator.serve(requests, channels, indptr)


@njit(cache=True, error_model="numpy")
def _simply(w, s, run, work):
    """Requests served one after the other, each by fewest links, and whether no allocation is worth more.

    It is so if each request gets what it would get alone. Where all nodes swap alike, a route of fewest links is worth
    the most; where swaps never fail, all routes are worth the same.
    """
    order = work.order[: in_order(w, s, run, work.order)]
    swaps = w.swap[w.nodes[run] : w.nodes[run + 1]]
    perfect, alike = bool((swaps >= 1.0).all()), bool((swaps == swaps[0]).all())
    alone = np.empty(len(order), dtype=np.int64)
    offer(w, s, run, work)
    for i, k in enumerate(order):
        alone[i], _ = fewest_links(w, w.source[k], w.target[k], w.need[k], work)
    served, indptr = np.empty(len(order), dtype=np.int64), np.zeros(len(order) + 1, dtype=np.int64)
    used, births = np.empty(len(w.link), dtype=np.int64), np.empty(len(w.link), dtype=np.int64)
    count, filled, proven = 0, 0, True
    for i, k in enumerate(order):
        if alone[i] == 0:
            continue
        length, _ = fewest_links(w, w.source[k], w.target[k], w.need[k], work)
        if length == 0 or (length > 1 and not alike) or (length != alone[i] and not perfect):
            proven = False
            break
        for j in range(length):
            channel = work.route[j]
            used[filled], births[filled] = channel, s.birth[channel]
            s.birth[channel] = -1
            filled += 1
        taken(w, s, run, work.route, length, work)
        served[count] = k
        count += 1
        indptr[count] = filled
    for i in range(filled):  # put back what was only tried
        s.birth[used[i]] = births[i]
    return served[:count].copy(), used[:filled].copy(), indptr[: count + 1].copy(), proven


def _solved(simulator: Simulator, run: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The proven optimum of the slot, as what `Simulator.serve` takes."""
    from qnroute.methods import solve

    problem, channel_of = problem_at_hand(simulator, run)
    if not problem.requests:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(1, np.int64)
    found = solve(problem, "exact")
    if found.gap is None or found.gap > _PROVEN:
        raise SolverError(f"slot {simulator.slot}, run {run}: the allocation was not proven optimal")
    requests, channels, indptr = [], [], [0]
    for route in found.allocation.routes:
        hops = (channel_of[pair] for pair in zip(route.nodes[:-1], route.nodes[1:]))
        channels += dict.fromkeys(hops)  # two halves of one pair in a row are one pair
        requests.append(int(route.request))
        indptr.append(len(channels))
    return np.array(requests), np.array(channels, dtype=np.int64), np.array(indptr)


def problem_at_hand(simulator: Simulator, run: int) -> tuple[Problem, dict[tuple[str, str], int]]:
    """One slot of a run as a `Problem`, and the channel behind each pair of its nodes.

    Links hold what is stored: p = 1, and the fidelity whose Werner parameter is the quality believed of the pair, so
    that products of both models are kept. Of several pairs on one link all but the youngest get a node of their own in
    the middle, which never fails and costs no fidelity: there is at most one link between two nodes.
    """
    w, s = simulator.world, simulator.state
    index, nodes, links, channel_of = {}, [], [], {}

    def node(name: str, swap: float) -> str:
        if name not in index:
            index[name] = len(nodes)
            nodes.append((name, swap))
        return name

    law, slot = w.law, simulator.slot
    stored = np.flatnonzero(s.birth[w.channels[run] : w.channels[run + 1]] >= 0) + w.channels[run]
    for channel in stored.tolist():
        e = int(w.link[channel])
        ends = [node(str(v), float(w.swap[v])) for v in (int(w.tail[e]), int(w.head[e]))]
        quality = float(s.believed[e] * law.decays[slot - s.birth[channel]] + law.shift)
        fidelity = max((1.0 + 3.0 * quality) / 4.0, _ALL_BUT_SPENT)
        if youngest(w, s, e) == channel:
            parts = [(*ends, fidelity)]
        else:
            middle = node(f"{channel}'", 1.0)
            parts = [(ends[0], middle, fidelity), (middle, ends[1], 1.0)]
        for u, v, f in parts:
            links.append((u, v, f))
            channel_of[u, v] = channel_of[v, u] = channel
    columns = list(zip(*links)) or [(), (), ()]
    network = Network.from_columns(
        [name for name, _ in nodes],
        np.array([index[u] for u in columns[0]], dtype=np.int64),
        np.array([index[v] for v in columns[1]], dtype=np.int64),
        p=1.0,
        fidelity=np.array(columns[2], dtype=float),
        swap=np.array([swap for _, swap in nodes], dtype=float),
    )
    asked = [
        Request(str(k), str(w.source[k]), str(w.target[k]), float(w.weight[k]), _floor(float(w.need[k])))
        for k in simulator.waiting(run).tolist()
        if str(w.source[k]) in index and str(w.target[k]) in index
    ]
    return Problem(network, asked), channel_of


def _floor(need: float) -> float:
    """The fidelity whose Werner parameter is a quality needed, without the tolerance that `need` has in it already."""
    return min(max((1.0 + 3.0 * need) / 4.0 + 1e-9, 0.0), 1.0)
