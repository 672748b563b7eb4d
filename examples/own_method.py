"""A method of your own, judged and compared like the built-in ones.

A package registers it with an entry point::

    [project.entry-points."qnroute.methods"]
    random-order = "mypackage:METHOD"
"""

import numpy as np

import qnroute as qn
from qnroute.methods import Method, Option
from qnroute.settings import Answer, Settings
from qnroute.solvers.baselines import shortest_path


def random_order(problem: qn.Problem, settings: Settings, *, tries: int = 10) -> Answer:
    """Shortest paths for the requests in random orders; the best of several tries."""
    rng = np.random.default_rng(settings.seed)
    best, best_value = qn.Allocation(), 0.0
    for _ in range(tries):
        shuffled = problem.replace(requests=[problem.requests[k] for k in rng.permutation(len(problem.requests))])
        found = shortest_path(shuffled, settings).allocation
        if (found_value := qn.value(problem, found)) > best_value:
            best, best_value = found, found_value
    return Answer(best)


METHOD = Method(
    "random-order",
    "shortest paths in random orders, the best of several tries",
    random_order,
    (Option("tries", int, 10, "random orders tried", low=1),),
)

if __name__ == "__main__":
    network = qn.generate.waxman(40, 0.3, 0.4, seed=2, p=(0.5, 0.95), channels=1, memory=6)
    problem = qn.Problem(network, qn.generate.requests(network, 25, seed=2), rules={"max_hops": 4})
    mine = qn.solve(problem, METHOD, seed=7, tries=50)
    print(f"random-order  {mine.objective:.4f}")
    print(f"shortest-path {qn.solve(problem, 'shortest-path').objective:.4f}")
    print(f"exact         {qn.solve(problem, 'exact').objective:.4f}")
