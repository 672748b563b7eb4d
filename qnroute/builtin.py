"""The methods that come with the package, and their options. Nothing is imported before a method is asked to solve."""

from __future__ import annotations

from dataclasses import replace

from qnroute.method import ALLOCATION, SELECTION, Method, Option
from qnroute.settings import MAX_ROUTES

MODELS = ("auto", "link-flow", "path-packing", "link-selection")
QUBO_MODELS = ("auto", "route-choice-qubo", "link-selection-qubo", "path-qubo")
ENCODINGS = ("binary", "unary", "domain-wall", "unbalanced")
SAMPLERS = ("neal", "tabu", "steepest-descent", "openjij", "dwave", "leap")

_THREADS = Option("threads", int, 1, "HiGHS threads; 1 is reproducible", low=1, high=256)
_MAX_ROUTES = Option("max_routes", int, MAX_ROUTES, "routes listed in all before giving way", low=1, high=5_000_000)
_WORKERS = Option("workers", int, 0, "threads; 0 for as many as there are cores", low=0, high=256)
SWEEPS = Option("sweeps", int, 1000, "sweeps of each over all variables", low=1, high=10_000_000)
_READS = Option("reads", int, 64, "samples drawn", low=1, high=1_000_000)
_BOTH = (ALLOCATION, SELECTION)


def _candidates(default: int) -> Option:
    return Option("candidates", int, default, "candidate routes kept for each request", low=1, high=100_000)


def _sampling(*more: Option) -> tuple[Option, ...]:
    return (
        *more,
        _READS,
        SWEEPS,
        Option("encoding", str, ENCODINGS[0], "how room left is written in bits", choices=ENCODINGS),
        _CHOICE,
    )


_CHOICE = Option(
    "candidates", int, 0, "best routes of each request; 0: those of column generation", low=0, high=100_000
)


_PROPOSED = (
    _candidates(8),
    Option("proposals", int, 2, "rounds in which bid prices call for more candidates", low=0, high=1000),
)
_WEIGHTS = Option("weights", str, "", "file of a policy (qnroute train); the built-in one if empty")
_REFINED = (
    Option("rounds", int, 8, "rounds over all requests", low=0, high=1_000_000),
    Option("steps", int, 2_000, "of the tree search in each part; 0: the policy alone", low=0, high=1_000_000_000),
    _WEIGHTS,
)


def _model() -> Option:
    return Option("model", str, MODELS[0], "which formulation is stated", choices=MODELS)


BUILT_IN = (
    Method(
        "exact",
        "the best proven route to the optimum: column generation, else the flow model",
        "qnroute.solvers.exact:exact",
        (_THREADS, _WORKERS, _MAX_ROUTES),
        _BOTH,
    ),
    Method(
        "link-flow",
        "link-use variables with flow conservation, solved by HiGHS",
        "qnroute.solvers.highs:link_flow",
        (_THREADS,),
    ),
    Method(
        "path-packing",
        "every useful route as a column, solved by HiGHS",
        "qnroute.solvers.highs:path_packing",
        (_THREADS, _MAX_ROUTES),
    ),
    Method(
        "column-generation",
        "routes made as prices call for them, packed to proof: for large problems",
        "qnroute.solvers.column_generation:column_generation",
        (_THREADS, _WORKERS, _MAX_ROUTES),
    ),
    Method("pyomo", "the same models through Pyomo", "qnroute.solvers.pyomo:pyomo", (_model(),), _BOTH),
    Method("pulp", "the same models through PuLP", "qnroute.solvers.pulp:pulp", (_model(),), _BOTH),
    Method(
        "shortest-path",
        "each request in order takes the fewest-hop route that still fits",
        "qnroute.solvers.baselines:shortest_path",
    ),
    Method(
        "greedy",
        "again and again the most valuable route (or link) that still fits",
        "qnroute.solvers.baselines:greedy",
        (_candidates(20),),
        _BOTH,
    ),
    Method(
        "density-greedy",
        "candidate routes by value over the square root of their hops, while they fit",
        "qnroute.solvers.baselines:density_greedy",
        (_candidates(20),),
    ),
    Method(
        "priced",
        "candidate routes by the relaxation's choice of them, at bid prices found without a solver",
        "qnroute.solvers.priced:priced",
        (
            *_PROPOSED,
            Option("rounds", int, 200, "rounds of the search for prices", low=1, high=1_000_000),
        ),
    ),
    Method(
        "ppo",
        "a trained policy chooses a route for request after request, by bid prices among other things",
        "qnroute.solvers.learned:ppo",
        (
            *_PROPOSED,
            Option("samples", int, 1, "tries; from the second on half of the requests choose anew", low=1, high=10**6),
            _WEIGHTS,
        ),
    ),
    Method(
        "refine",
        "any method's answer, improved part by part by the policy and a small tree search",
        "qnroute.solvers.refining:refine",
        (Option("start", str, "density-greedy", "the method whose answer is improved"), *_PROPOSED, *_REFINED),
    ),
    Method(
        "hybrid",
        "routes proposed at bid prices, chosen by the policy, refined",
        "qnroute.solvers.learned:hybrid",
        (*_PROPOSED, *_REFINED),
    ),
    Method(
        "static",
        "routes fixed on the empty network; requests by weight take their first that fits",
        "qnroute.solvers.baselines:static",
        (_candidates(5),),
    ),
    Method(
        "path-anneal",
        "candidate routes (or links) annealed in lock-step, capacities charged as they are, repaired",
        "qnroute.solvers.path_annealing:path_anneal",
        (
            replace(_READS, help="samples drawn; 0: as many as the time limit allows", low=0),
            replace(SWEEPS, default=300),
            Option("target", float, None, "a value that is good enough"),
            _CHOICE,
            _WORKERS,
        ),
        _BOTH,
    ),
    Method(
        "neal",
        "candidate routes (or links) as a QUBO, sampled by simulated annealing, repaired",
        "qnroute.solvers.annealing:neal",
        _sampling(),
        _BOTH,
    ),
    Method(
        "tabu",
        "the same QUBO, sampled by tabu search",
        "qnroute.solvers.annealing:tabu",
        _sampling(),
        _BOTH,
    ),
    Method(
        "anneal",
        "the same QUBO, sampled by any of several samplers",
        "qnroute.solvers.annealing:anneal",
        _sampling(Option("sampler", str, SAMPLERS[0], "what draws", choices=SAMPLERS)),
        _BOTH,
    ),
)
