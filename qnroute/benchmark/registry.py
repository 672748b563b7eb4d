"""The benchmarks by name; each is measured when it is asked for, never by the test suite."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Benchmark:
    """A named measurement: ``measure(runs=...)`` at ``"package.module:function"`` gives its rows."""

    name: str
    description: str
    where: str

    def measure(self) -> Callable[..., list[Any]]:
        """The function itself, imported now."""
        module, _, name = self.where.partition(":")
        return getattr(importlib.import_module(module), name)


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            "building",
            "LinkFlow of (500 nodes, 2000 links, 100 requests) built and handed to HiGHS: arrays, PuLP, Pyomo",
            "qnroute.benchmark.building:measure",
        ),
    )
}
