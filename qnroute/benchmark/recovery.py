"""Paper A's fault tolerance: links fail together and come back; how soon the loop serves as if it had been told.

Three loops meet the same runs: one that watches its links, one that is told which are down, one that does not care. All
predict links by the same trained model. Requests are counted by the slot in which they arrive.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from qnroute.learning.links.model import LinkModel
from qnroute.settings import Settings
from qnroute.simulation.dynamics import LinkSeries
from qnroute.simulation.hybrid import Hybrid
from qnroute.simulation.knowledge import Failures, Learned
from qnroute.simulation.policy import play
from qnroute.simulation.scenario import Case, Scenario

SHARE = 0.05
FAILED, MENDED, END = 200, 400, 500  # slots
BLOCK = 20  # slots whose arrivals are taken together
GOAL = 0.9  # of what a loop that is told serves
_HOW = ("watched", "known", "ignored")
_DRAWS = 2000  # of the bootstrap over runs


@dataclass(frozen=True)
class Recovery:
    """Requests that arrive in some slots, in the mean over runs; slot 0 is that in which links fail.

    Attributes
    ----------
    links
        Which of them fail: ``random`` ones, or the ``busiest``, which most shortest paths run over.
    watched, known, ignored
        Success rates of the three loops.
    of_known, low, high
        `watched` / `known`, with its 95 % interval by a bootstrap over runs.
    gap_closed
        How much of the difference that being told makes watching makes; None where it makes none.
    """

    links: str
    slots: str
    runs: int
    requests: int
    watched: float
    known: float
    ignored: float
    of_known: float
    low: float
    high: float
    gap_closed: float | None
    recovered: str = field(default="")


def recovery(
    scenario: Scenario,
    model: LinkModel,
    seeds: Sequence[int],
    *,
    settings: Settings,
    doing: Callable[[str], None] | None = None,
) -> list[Recovery]:
    """Rows of both choices of links, a block of slots each, and one for all slots in which links are down."""
    rows = []
    for which in ("random", "busiest"):
        served: dict[str, list[np.ndarray]] = {how: [] for how in _HOW}
        asked: list[np.ndarray] = []
        for seed in seeds:
            if settings.stopped:
                break
            if doing is not None:
                doing(f"{which} links fail, seed {seed}")
            case = failing(scenario.replace(slots=END, slots_per_epoch=1).case(seed), which)
            found = {how: _played(scenario, case, model, how) for how in _HOW}
            asked.append(found["known"][0])
            for how in _HOW:
                served[how].append(found[how][1])
        if asked:
            rows += _rows(which, np.array(asked), {how: np.array(each) for how, each in served.items()})
    return rows


def failing(case: Case, which: str) -> Case:
    """The case with `SHARE` of its links down from slot `FAILED` to `MENDED`."""
    run = case.run
    m = run.network.n_links
    count = max(round(SHARE * m), 1)
    if which == "busiest":
        import networkx as nx

        load = nx.edge_betweenness_centrality(run.network.to_networkx())
        ids = run.network.node_ids
        ends = [(ids[u], ids[v]) for u, v in zip(run.network.source.tolist(), run.network.target.tolist())]
        down = np.argsort([-load.get(pair, load.get(pair[::-1], 0.0)) for pair in ends], kind="stable")[:count]
    else:
        down = np.random.default_rng([run.seed, 7]).permutation(m)[:count]
    p = np.array([run.series.at(slot) for slot in range(case.slots)])
    p[FAILED:MENDED, down] = 0.0
    fidelity = run.series.fidelity
    if fidelity is not None:
        fidelity = fidelity[np.minimum(np.arange(case.slots) // run.series.slots_per_epoch, len(fidelity) - 1)]
    return dataclasses.replace(case, run=dataclasses.replace(run, series=LinkSeries(p, 1, fidelity)))


def _played(scenario: Scenario, case: Case, model: LinkModel, how: str) -> tuple[np.ndarray, np.ndarray]:
    """(blocks,) requests that arrive in each, and those of them that are served."""

    def knowledge(case: Case) -> Learned:
        return Learned(case, Failures(how), kind=model.kind, model=model, retrain=0)

    simulator = play(Hybrid(knowledge), [case], scenario)
    block = simulator.world.arrival // BLOCK
    whole = np.bincount(block, minlength=END // BLOCK)
    done = np.bincount(block[simulator.state.served >= 0], minlength=END // BLOCK)
    return whole.astype(float), done.astype(float)


def _rows(which: str, asked: np.ndarray, served: dict[str, np.ndarray]) -> list[Recovery]:
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(asked), (_DRAWS, len(asked)))

    def row(label: str, blocks: slice) -> Recovery:
        n = asked[:, blocks].sum(axis=1)
        done = {how: each[:, blocks].sum(axis=1) for how, each in served.items()}
        rates = {how: float(each.sum() / max(n.sum(), 1.0)) for how, each in done.items()}
        ratios = done["watched"][draws].sum(axis=1) / np.maximum(done["known"][draws].sum(axis=1), 1e-9)
        low, high = np.quantile(ratios, [0.025, 0.975])
        gap = rates["known"] - rates["ignored"]
        closed = (rates["watched"] - rates["ignored"]) / gap if gap > 0.005 else None
        of_known = rates["watched"] / max(rates["known"], 1e-9)
        return Recovery(
            which, label, len(asked), int(n.sum()), **rates, of_known=of_known, low=float(low), high=float(high),
            gap_closed=closed,
        )  # fmt: skip

    blocks = range(FAILED // BLOCK - 2, END // BLOCK - 1)
    rows = [row(f"{b * BLOCK - FAILED} to {(b + 1) * BLOCK - FAILED - 1}", slice(b, b + 1)) for b in blocks]
    down = [r for r, b in zip(rows, blocks) if FAILED <= b * BLOCK < MENDED]
    late = [i for i, r in enumerate(down) if r.of_known < GOAL]
    within = 0 if not late else (late[-1] + 1) * BLOCK
    told = f"within {within} slots" if within < MENDED - FAILED else "not while links are down"
    whole = row("all while links are down", slice(FAILED // BLOCK, MENDED // BLOCK))
    return [*rows, dataclasses.replace(whole, recovered=told)]
