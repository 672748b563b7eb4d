"""Files in and out: problems and networks in the contract's JSON, and networks in the formats others use."""

from __future__ import annotations

from qnroute.formats.demands import Demands
from qnroute.formats.networks import Source, load_demands, load_network, read_source, save_network
from qnroute.formats.problems import load_problem, parse_problem, save_problem
from qnroute.formats.results import load_result

__all__ = [
    "Demands",
    "Source",
    "load_demands",
    "load_network",
    "load_problem",
    "load_result",
    "parse_problem",
    "read_source",
    "save_network",
    "save_problem",
]
