"""The networks of paper A's experiment: links calibrated long ago that go on drifting, seen by who uses them.

Neither the network nor the workload behind the printed figures is printed. Ours: p and F are off from what was
calibrated by now, and wander; nodes have fewer memories than links; pairs last three slots.
"""

from __future__ import annotations

from qnroute.simulation.changes import Drift
from qnroute.simulation.physics import Physics
from qnroute.simulation.scenario import Scenario
from qnroute.simulation.workloads import Poisson

LINKS = "p=0.2:0.9,fidelity=0.95:0.995,swap=0.98"
TOPOLOGIES = {
    "erdos-renyi": "erdos-renyi:n={n},probability={four:.4g}",
    "waxman": "waxman:n={n},alpha=0.3,beta=0.5",
    "regular": "regular:n={n},degree=4",
    "scale-free": "barabasi-albert:n={n},links_per_node=2",
}
TRAINED_ON = ("erdos-renyi", "waxman")
NODES, SLOTS, WINDOW = 32, 2000, 50


def scenario_of(
    topology: str, *, nodes: int = NODES, memory: int | None = 3, slots: int = SLOTS, history: int = 1000
) -> Scenario:
    """The stated scenario on one of the topologies; requests come in proportion to the nodes."""
    kind = TOPOLOGIES[topology].format(n=nodes, four=4.0 / (nodes - 1))
    kept = "" if memory is None else f",memory={memory}"
    return Scenario(
        f"{kind},{LINKS}{kept}",
        workload=Poisson(rate=nodes / NODES),
        dynamics=[Drift(sd=1.5, correlation_slots=3000.0, fidelity_sd=0.6)],
        physics=Physics(decay=0.98, lifetime=2),
        slots=slots,
        history=history,
        name=topology,
    )
