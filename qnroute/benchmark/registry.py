"""The benchmarks by name; each is measured when it is asked for, never by the test suite."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qnroute.errors import ProblemError


@dataclass(frozen=True)
class Benchmark:
    """A named measurement: ``measure(runs=..., ...)`` at ``"package.module:function"`` gives its rows.

    Parameters
    ----------
    options
        What `measure` takes beside the number of runs.
    runs
        Of each way, unless told otherwise.
    listing, drawn
        Where the function is that lists its cases, and the one that plots its rows; empty for none.
    """

    name: str
    description: str
    where: str
    options: tuple[str, ...] = ()
    runs: int = 3
    listing: str = ""
    drawn: str = ""

    def settled(
        self, *, runs: int | None, options: Mapping[str, Any], listing: bool = False, plotting: bool = False
    ) -> dict[str, Any]:
        """What to call `measure` with, from what was given; None stands for not given.

        Raises
        ------
        ProblemError
            Something was asked that this benchmark does not have.
        """
        given = {name: value for name, value in options.items() if value is not None}
        missing = [f"--{name.replace('_', '-')}" for name in given if name not in self.options]
        missing += ["--list"] if listing and not self.listing else []
        missing += ["--plot"] if plotting and not self.drawn else []
        if missing:
            raise ProblemError(f"benchmark {self.name} has no {', '.join(missing)}")
        return {"runs": self.runs if runs is None else runs, **given}

    def measure(self) -> Callable[..., list[Any]]:
        """The function itself, imported now."""
        return _found(self.where)

    def lines(self) -> list[str]:
        """Its cases, in words."""
        return _found(self.listing)()

    def plot(self, rows: list[Any]) -> Any:
        """Axes of a figure of the rows."""
        return _found(self.drawn)(rows)


def _found(where: str) -> Callable[..., Any]:
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            "building",
            "LinkFlow of (500 nodes, 2000 links, 100 requests) built and handed to HiGHS: arrays, PuLP, Pyomo",
            "qnroute.benchmark.building:measure",
        ),
        Benchmark(
            "exact",
            "time to proof, gap over time and memory of the exact methods on named cases, against their peers",
            "qnroute.benchmark.exact:measure",
            options=("case", "time_limit"),
            runs=1,
            listing="qnroute.benchmark.exact:listing",
            drawn="qnroute.benchmark.figures:plot_proofs",
        ),
        Benchmark(
            "annealing",
            "path-anneal against the proven optimum: one default call; 400 and 1,000 requests",
            "qnroute.benchmark.annealing:measure",
            options=("case",),
            runs=20,
            listing="qnroute.benchmark.annealing:listing",
        ),
        Benchmark(
            "forecasts",
            "predictors of demand on held-out time: paper C's workload, and real traffic where QNROUTE_DATA names it",
            "qnroute.benchmark.forecasts:measure",
            options=("case",),
            runs=5,
            listing="qnroute.benchmark.forecasts:listing",
        ),
        Benchmark(
            "link-models",
            "CPU time of models of links: learning from a million windows, forecasting 100,000 links",
            "qnroute.benchmark.link_models:measure",
            runs=1,
        ),
        Benchmark(
            "learned",
            "learned and simple methods on one slot against the optimum, on families seen in training and others; "
            "online, in time; how fast policies are trained",
            "qnroute.benchmark.learned:measure",
            options=("case",),
            runs=30,
            listing="qnroute.benchmark.learned:listing",
            drawn="qnroute.benchmark.learned:plot_rows",
        ),
        Benchmark(
            "paper-a",
            "paper A's experiment: links predicted from telemetry, routing on drifting and failing links, printed "
            "figures beside",
            "qnroute.benchmark.paper_a:measure",
            options=("case",),
            runs=20,
            listing="qnroute.benchmark.paper_a:listing",
            drawn="qnroute.benchmark.paper_a_figures:plot_rows",
        ),
        Benchmark(
            "rates",
            "one update of a variable, 1,000 to 100,000 variables: path-anneal, dwave-samplers",
            "qnroute.benchmark.rates:measure",
        ),
        Benchmark(
            "sampling",
            "time to within 1 % of the optimum (TTS99) on networks of 100 nodes and 50 requests: path-anneal, neal",
            "qnroute.benchmark.sampling:measure",
            runs=20,
        ),
        Benchmark(
            "slots",
            "CPU time of simulated runs: 16 nodes for 2,000 slots under several policies, 1,000 nodes for 10,000",
            "qnroute.benchmark.slots:measure",
            runs=5,
        ),
        Benchmark(
            "spep",
            "paper C's experiment on four topologies: baselines, pre-positioning by each predictor, lookahead, printed "
            "figures beside",
            "qnroute.benchmark.spep:measure",
            options=("case",),
            runs=20,
            drawn="qnroute.benchmark.spep_figures:plot_outcomes",
        ),
        Benchmark(
            "simulators",
            "CPU time per delivered end-to-end pair on networks of 100 nodes: our slot simulator, SimQN",
            "qnroute.benchmark.simulators:measure",
            runs=5,
        ),
        Benchmark(
            "stating",
            "route choice as a QUBO of 100,000 variables and 500,000 couplers: arrays against from_numpy_vectors alone "
            "and dictionaries",
            "qnroute.benchmark.stating:measure",
            runs=7,
        ),
    )
}
