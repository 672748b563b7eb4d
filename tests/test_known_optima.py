"""Link selection against optima that others computed on real topologies."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from helpers import ROOT

import qnroute as qn

DATA = Path(os.environ.get("QNROUTE_DATA", ROOT.parent / "shared" / "data"))
TABLE = DATA / "known-optima" / "matching" / "itz_matching.json"


def _problem(name: str, degree: int) -> qn.Problem:
    """The instance as its table states it: integer weights from the loss of the length at 0.2 dB/km."""
    graph = json.loads((DATA / "topologies" / "itz" / f"{name}.json").read_text())
    weights = [max(1, round(1e6 * 10 ** (-0.2 * link["length_km"] / 10))) for link in graph["links"]]
    nodes = [{"id": str(node["id"])} for node in graph["nodes"]]
    links = [
        {"source": str(link["source"]), "target": str(link["target"]), "p": 0.5, "score": weight}
        for link, weight in zip(graph["links"], weights)
    ]
    network = qn.Network(nodes, links)
    return qn.Problem(network, task="link-selection", rules={"degree": degree})


@pytest.mark.skipif(not TABLE.exists(), reason=f"no known optima at {TABLE}")
@pytest.mark.parametrize("degree", [1, 2])
def test_link_selection_on_real_topologies(degree):
    for row in json.loads(TABLE.read_text())["results"]:
        problem = _problem(row["network"], degree)
        exact, greedy = qn.solve(problem, "exact"), qn.solve(problem, "greedy")
        assert exact.status == "optimal"
        if degree == 1:  # blossom algorithm and HiGHS agree
            assert exact.objective == row["matching_optimum"]
        else:  # one solver's value; on geant2012 a checked selection is worth 1 more
            assert 0 <= exact.objective - row["b2_optimum"] <= 1
        assert greedy.objective <= exact.objective
