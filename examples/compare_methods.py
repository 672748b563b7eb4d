"""Five methods on one real network, each against the proven optimum."""

import qnroute as qn
from qnroute.repeaters import sites

network = qn.load_network("geant", hardware="repeater", repeater_km=250, slot_s=1.0)
requests = qn.generate.requests(network, 40, seed=1, weight=(1.0, 3.0), among=sites(network))
problem = qn.Problem(
    network.replace(memory=8, channels=2), requests, objective={"kind": "log-success", "serve_reward": 15}
)

best = qn.solve(problem, "exact")
print(f"{'exact':15} {best.objective:8.2f}  {best.status}, gap {best.gap:.1e}")
for method in ("shortest-path", "static", "greedy", "density-greedy"):
    result = qn.solve(problem, method)
    print(f"{method:15} {result.objective:8.2f}  {100 * result.objective / best.bound:.1f} % of the bound")
