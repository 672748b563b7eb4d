"""The bundled networks: all load, say where they come from, and are what their sources say."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from qnroute import catalog
from qnroute.errors import ProblemError
from qnroute.formats import load_network

SIZES = {
    "abilene": (11, 14),
    "arpanet": (9, 10),
    "beijing-shanghai": (32, 31),
    "belnet": (22, 25),
    "cambridge": (3, 3),
    "geant": (40, 61),
    "hefei-46": (46, 46),
    "kdl": (754, 895),
    "nsfnet": (13, 15),
    "secoqc": (6, 8),
    "surfnet": (50, 68),
    "tokyo": (4, 3),
    "trieste": (4, 3),
}


def test_names_and_sizes():
    assert catalog.names() == tuple(sorted(SIZES))
    found = {name: catalog.describe(name) for name in catalog.names()}
    assert {name: (about.n_sites, about.n_links) for name, about in found.items()} == SIZES


@pytest.mark.parametrize("name", SIZES)
def test_every_network_says_where_it_comes_from(name):
    about = catalog.describe(name)
    assert about.title and about.kind and about.lengths and about.source and about.licence
    assert 1969 <= about.year <= 2025 and "(" in about.citation
    attribution = resources.files("qnroute.catalog").joinpath("ATTRIBUTION.md").read_text(encoding="utf-8")
    assert name in attribution


@pytest.mark.parametrize("name", SIZES)
def test_every_network_loads(name):
    network = load_network(name)
    assert (network.n_nodes, network.n_links) == SIZES[name] and network.name == name
    assert not any(note.startswith(("merged", "renamed", "dropped")) for note in network.notes)
    assert not any("not connected" in note for note in network.notes)
    assert np.all(network.length_km >= 0)
    assert any(catalog.describe(name).lengths in note for note in network.notes)


@pytest.mark.parametrize("name", ["surfnet", "beijing-shanghai", "kdl"])
def test_repeater_stations(name):
    network = load_network(name, repeater_km=40)
    assert network.length_km.max() <= 40 + 1e-9 and network.n_nodes > SIZES[name][0]


def test_known_lengths():
    tokyo = load_network("tokyo")
    assert tokyo.length_km.tolist() == [45, 12, 13] and tokyo.loss_db.tolist() == [13.5, 6.0, 6.5]
    backbone = load_network("beijing-shanghai")
    assert backbone.length_km.sum() == pytest.approx(2000, rel=0.001)
    secoqc = [link.length_km for link in catalog.load("secoqc").links]
    assert max(length for length in secoqc if length) == 82 and secoqc.count(None) == 3
    assert all(link.length_km is None for link in catalog.load("hefei-46").links)


def test_nsfnet_says_that_papers_mean_another():
    assert any("not the NSFNET of 14 and 21" in note for note in load_network("nsfnet").notes)
    attribution = resources.files("qnroute.catalog").joinpath("ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "14 nodes and 21 links" in attribution


def test_unknown_names_and_small_tables():
    with pytest.raises(ProblemError, match="no bundled network is called 'atlantis'"):
        catalog.load("atlantis")
    folder = resources.files("qnroute.catalog").joinpath("networks")
    sizes = [len(entry.read_bytes()) for entry in folder.iterdir()]
    assert sum(sizes) < 100_000
