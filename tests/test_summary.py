"""The first figures of a network: right, complete, and honest about what is not known."""

from __future__ import annotations

import random

import networkx as nx
import numpy as np
import oracle
import pytest

from qnroute.fields import UNLIMITED
from qnroute.network import Network
from qnroute.summary import summarize

KEYS = [
    "name",
    "nodes",
    "links",
    "connected parts",
    "links at a node",
    "channels of a link",
    "memory of a node",
    "length of a link, km",
    "p of a link",
    "fidelity of a link",
    "swap of a node",
]


def path(n, **columns):
    return Network.from_columns([f"n{i}" for i in range(n)], np.arange(n - 1), np.arange(1, n), **{"p": 0.5, **columns})


def test_the_contract_example(contract_example):
    part = contract_example["network"]
    figures = summarize(Network(part["nodes"], part["links"], name="diamond"))
    assert list(figures) == KEYS
    assert figures.pop("memory of a node") == "2 to 4, median 4 (1 without limit)"
    assert figures == {
        "name": "diamond",
        "nodes": 4,
        "links": 4,
        "connected parts": 1,
        "links at a node": "2",
        "channels of a link": "1 to 2, median 1",
        "length of a link, km": "20.0 (3 not known)",
        "p of a link": "0.5 to 0.9, median 0.75",
        "fidelity of a link": "0.9000 to 0.9600, median 0.9250",
        "swap of a node": "0.8 to 1, median 0.9",
    }


def test_memory():
    assert summarize(path(3))["memory of a node"] == "no limit"
    assert summarize(path(3, memory=5))["memory of a node"] == "5"
    assert summarize(path(3, memory=[5, 7, UNLIMITED]))["memory of a node"] == "5 to 7, median 6 (1 without limit)"
    assert summarize(path(3, memory=0))["memory of a node"] == "0"


def test_ranges_and_medians():
    figures = summarize(path(4, p=[0.1, 0.25, 1.0], channels=[3, 1, 2], length_km=[10, np.nan, 30.04], swap=0.875))
    assert figures["p of a link"] == "0.1 to 1, median 0.25"
    assert figures["channels of a link"] == "1 to 3, median 2"
    assert figures["length of a link, km"] == "10.0 to 30.0, median 20.0 (1 not known)"
    assert figures["links at a node"] == "1 to 2, median 2"
    assert figures["swap of a node"] == "0.875"


def test_one_value_for_all_is_one_value():
    figures = summarize(path(5, p=1e-7, fidelity=0.99))
    assert figures["p of a link"] == "1e-07" and figures["fidelity of a link"] == "0.9900"


@pytest.mark.parametrize(("n", "parts"), [(0, 0), (1, 1), (3, 3)])
def test_without_links_nothing_is_known(n, parts):
    figures = summarize(Network([{"id": str(i)} for i in range(n)], []))
    assert list(figures) == KEYS
    assert (figures["nodes"], figures["links"], figures["connected parts"]) == (n, 0, parts)
    for key in ("channels of a link", "length of a link, km", "p of a link", "fidelity of a link"):
        assert figures[key] == "not known"
    assert figures["links at a node"] == ("0" if n else "not known")


def test_counts_agree_with_networkx():
    rng = random.Random("summary")
    for _ in range(60):
        part = oracle.random_problem(rng, max_nodes=9, max_links=9)["network"]
        network = Network(part["nodes"], part["links"])
        graph, figures = network.to_networkx(), summarize(network)
        assert figures["connected parts"] == nx.number_connected_components(graph)
        assert (figures["nodes"], figures["links"]) == (len(graph), graph.number_of_edges())
        degrees = sorted(dict(graph.degree).values())
        assert figures["links at a node"].split(",")[0].split(" to ") in (
            [f"{degrees[0]}", f"{degrees[-1]}"],
            [f"{degrees[0]}"],
        )
        assert list(figures) == KEYS and all(isinstance(figures[key], str) for key in KEYS[4:])
