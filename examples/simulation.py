"""Policies on the same luck: what they serve, and what a clairvoyant could have served."""

from qnroute import simulation
from qnroute.benchmark.statistics import difference, mean_interval

scenario = simulation.Scenario(
    "watts-strogatz:n=16,neighbours=4,rewiring=0.3,p=0.12,fidelity=0.92",
    workload=simulation.workload("business-hours", rate=0.5),
    slots=500,
    history=500,
)
trials = simulation.simulate(scenario, ["shortest-path", "reactive", "spep:logistic", "lookahead"], seeds=range(6))
for name in trials.policies:
    success, share = mean_interval(trials.values(name, "success")), mean_interval(trials.shares(name))
    print(f"{name:14} {100 * success.value:5.1f} %   {100 * share.value:5.1f} % of the possible")

gain = difference(trials.values("lookahead", "success"), trials.values("reactive", "success"))
print(f"lookahead over reactive: {100 * gain.mean.value:.1f} points, p = {gain.p_paired:.3f} (paired)")
