"""Policy ``hybrid``: paper A's pipeline as a closed loop (A5, A6).

Every slot: routes are proposed for the requests that wait, valued by what is believed of links, the best that fit
together are chosen, the links they need are switched on, and what is complete is served. Every window: telemetry is
closed, links are predicted anew, and the model is retrained when its time has come or when predictions no longer hold.
Links that keep failing are taken for down, and routes avoid them until a try succeeds again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from qnroute.simulation.events import with_room
from qnroute.simulation.knowledge import Knowledge, Outlook
from qnroute.simulation.plans import freshly_stored, routes_between
from qnroute.simulation.proposals import Candidates, Columns, Room, at_once, carry_out, weighed
from qnroute.simulation.prospects import Belief
from qnroute.simulation.rules import no_plan
from qnroute.simulation.scenario import Case
from qnroute.simulation.search import workspace_of
from qnroute.simulation.simulator import Simulator

if TYPE_CHECKING:
    from qnroute.simulation.chooser import Chooser

_PATIENCE = 4  # slots in which a link may make its pair, for the chance by which routes are proposed
_RANKED = 10  # slots after which idle links are put in order anew
_FORGET = 0.98  # per slot, of how often routes asked for a link


class Hybrid:
    """See the module.

    Parameters
    ----------
    knowledge
        Makes what knows the links of one case: `Knowledge`.
    window
        Slots after which links are predicted anew.
    candidates
        Routes of each pair of nodes that are proposed.
    decide
        ``exact``: where requests are in each other's way the choice is solved to proof; ``greedy``: by worth over the
        root of the links.
    reserve
        Qubits that every node keeps free of links which no route needs.
    probe
        Slots without a try after which an idle link comes first.
    horizon
        Slots within which a route shall serve, in what it is worth.
    chooser
        A trained policy that decides who is served and what is held; routes are then proposed for what their links
        need alone, where memories have limits.
    """

    def __init__(
        self,
        knowledge: Callable[[Case], Knowledge],
        *,
        window: int = 50,
        candidates: int = 6,
        decide: str = "greedy",
        reserve: int = 0,
        probe: int = 50,
        horizon: int = 4,
        chooser: Chooser | None = None,
    ):
        self._knowledge, self._window, self._candidates = knowledge, window, candidates
        self._exact, self._reserve, self._probe = decide == "exact", reserve, probe
        self._horizon, self._chooser = horizon, chooser

    def start(self, simulator: Simulator, cases: Sequence[Case]) -> None:
        """Make a loop for each run."""
        self._work = workspace_of(simulator.world)
        links, channels = len(simulator.world.tail), len(simulator.world.link)
        self._belief = Belief(np.zeros(links), np.zeros(links), self._horizon)
        if self._chooser is not None:
            self._chooser.start(simulator, cases)
            self._belief = self._chooser.belief._replace(horizon=self._horizon)
        self._active = np.ones(channels, dtype=bool)
        self.loops = [_Loop(self, simulator, run, case) for run, case in enumerate(cases)]

    @property
    def notes(self) -> tuple[dict[str, Any], ...]:
        """What the loop of the first run found and did, window by window."""
        return tuple(asdict(note) for note in getattr(self.loops[0].knowledge, "notes", ()))

    def act(self, simulator: Simulator) -> None:
        """Decide in the present slot."""
        simulator.log = with_room(simulator.log, simulator.most_events)
        for loop in self.loops:
            loop.step(simulator)


class _Loop:
    """The loop of one run."""

    def __init__(self, policy: Hybrid, simulator: Simulator, run: int, case: Case):
        world = simulator.world
        self._policy, self._run, self._network = policy, run, case.run.network
        self._links = slice(world.links[run], world.links[run + 1])
        self._channels = slice(world.channels[run], world.channels[run + 1])
        self.knowledge = policy._knowledge(case)
        self.knowledge.start(simulator, run)
        self._seen = simulator.state.per_link[self._links].copy()
        self._asked_for, self._untried = np.zeros(self._network.n_links), np.zeros(self._network.n_links)
        self._idle = np.arange(self._links.start, self._links.stop)
        self._routes = _Routes(policy._candidates, simulator, run, self._network)
        self._believe(simulator)
        self.solved = self.simple = 0

    def step(self, simulator: Simulator) -> None:
        """Look, decide and, at the end of a window, learn."""
        now = simulator.state.per_link[self._links]
        tries, made, _ = (now - self._seen).T
        self._seen = now.copy()
        self._untried = np.where(tries > 0, 0, self._untried + 1)
        belief = self._policy._belief
        belief.chance[self._links] = self.knowledge.seen(simulator, tries, made)
        self._decide(simulator)
        if (simulator.slot + 1) % self._policy._window == 0:
            self.knowledge.window_ends(simulator)
            self._believe(simulator)

    def _believe(self, simulator: Simulator) -> None:
        """Take what is known of links now as the truth."""
        outlook: Outlook = self.knowledge.outlook()
        simulator.believe(outlook.fidelity, self._run)
        physics = simulator.physics  # quality is linear in fidelity
        quality = np.maximum(physics.scale(outlook.fidelity) + simulator.world.law.shift, 1e-6)
        slope = physics.scale(1.0) - physics.scale(0.0)
        self._policy._belief.variance[self._links] = (outlook.fidelity_sd * slope / quality) ** 2
        self._routes.renew(outlook.p)

    def _decide(self, simulator: Simulator) -> None:
        policy, w, s, run = self._policy, simulator.world, simulator.state, self._run
        if policy._chooser is None:
            at_once(w, s, run, no_plan(), policy._work, simulator.log)
        else:
            policy._chooser.decide(simulator, run)
            if not w.limited[run]:
                return
        asked = simulator.waiting(run)
        if simulator.slot % _RANKED == 0:
            worth = self._asked_for * policy._belief.chance[self._links]
            due = self._untried >= policy._probe
            self._idle = self._links.start + np.lexsort((-worth, ~due))
        candidates, pair = self._routes.of(w.source[asked], w.target[asked])
        columns, chosen, proven, room = weighed(w, s, run, asked, pair, candidates, policy._belief, policy._work)
        self.simple += 1
        if not proven and policy._exact:
            self.simple, self.solved = self.simple - 1, self.solved + 1
            chosen = packed(w, columns, room, len(asked))
        if policy._chooser is not None:
            chosen = chosen[~columns.ready[chosen]]  # who could be served waits on purpose
        self._asked_for *= _FORGET
        for j in chosen:
            links = columns.links[columns.indptr[j] : columns.indptr[j + 1]] - self._links.start
            self._asked_for[links] += 1.0
        carry_out(
            w, s, run, asked, columns, chosen, self._idle, policy._reserve, policy._belief, policy._work,
            policy._active, simulator.log,
        )  # fmt: skip
        simulator.activate(policy._active[self._channels], run)


class _Routes:
    """Candidate routes of the pairs of nodes that have asked, found when they first do and anew when beliefs change."""

    def __init__(self, count: int, simulator: Simulator, run: int, network):
        self._count, self._physics, self._network = count, simulator.physics, network
        self._node, self._link = int(simulator.world.nodes[run]), int(simulator.world.links[run])
        self._place: dict[int, int] = {}
        self._known = network
        self._empty()

    def renew(self, p: np.ndarray) -> None:
        """Forget all; from now on links have this chance in a slot."""
        likely = -np.expm1(_PATIENCE * np.log1p(-np.clip(p, 1e-6, 1.0 - 1e-9)))
        self._known = freshly_stored(self._network.replace(p=likely), self._physics)
        self._empty()

    def _empty(self) -> None:
        self._place.clear()
        self._first, self._indptr, self._links = [0], [0], np.zeros(0, dtype=np.int64)
        self._table = Candidates(np.zeros(1, np.int64), np.zeros(1, np.int64), self._links)

    def of(self, source: np.ndarray, target: np.ndarray) -> tuple[Candidates, np.ndarray]:
        """The routes, and which pair each request is of."""
        n = self._network.n_nodes
        low, high = np.minimum(source, target) - self._node, np.maximum(source, target) - self._node
        keys = (low * n + high).tolist()
        new = sorted({key for key in keys if key not in self._place})
        if new:
            self._add(np.array(new) // n, np.array(new) % n)
            self._place.update({key: len(self._place) + i for i, key in enumerate(new)})
        return self._table, np.array([self._place[key] for key in keys], dtype=np.int64)

    def _add(self, low: np.ndarray, high: np.ndarray) -> None:
        table = routes_between(self._known, self._physics, low, high, 0.0, self._count)
        counts = np.bincount(table.request, minlength=len(low))
        self._first += (self._first[-1] + np.cumsum(counts)).tolist()
        self._indptr += (self._indptr[-1] + np.cumsum(table.hops)).tolist()
        self._links = np.concatenate([self._links, table.links + self._link])
        self._table = Candidates(np.array(self._first), np.array(self._indptr), self._links)


def packed(w, columns: Columns, room: Room, asked: int) -> np.ndarray:
    """The columns worth most together, proven: one of each request, within the room there is."""
    import scipy.sparse as sparse

    from qnroute.models.linear import Matrix
    from qnroute.settings import Settings
    from qnroute.solvers.highs import solve_matrix

    count = len(columns.worth)
    step = np.repeat(np.arange(count), np.diff(columns.indptr))
    links = len(room.free)
    stored, new = columns.stored, ~columns.stored
    rows = [columns.request, asked + columns.links[stored], asked + links + columns.links[new]]
    rows += [asked + 2 * links + end[columns.links[new]] for end in (w.tail, w.head)]
    column = np.concatenate([np.arange(count), step[stored], step[new], step[new], step[new]])
    used, row = np.unique(np.concatenate(rows), return_inverse=True)
    limit = np.concatenate([np.ones(asked), room.stored, room.free, room.qubits]).astype(float)[used]
    a = sparse.csc_array((np.ones(len(row)), (row, column)), shape=(len(used), count))
    a.sum_duplicates()
    ones = np.ones(count)
    matrix = Matrix(columns.worth, 0.0 * ones, ones, ones > 0.0, np.full(len(used), -np.inf), limit, a)
    outcome = solve_matrix(matrix, Settings())
    return np.flatnonzero(outcome.values > 0.5)
