import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnroute.errors import ProblemError
from qnroute.geography import great_circle_km
from qnroute.hardware import preset
from qnroute.network import Network
from qnroute.repeaters import insert_repeaters, sites, stations

UNHURRIED = settings(deadline=None)  # slow imports and busy machines are no failures


def pair(length_km, a="A", b="B", **link):
    """Two nodes and a link."""
    return Network([{"id": a}, {"id": b}], [{"source": a, "target": b, "p": 0.1, "length_km": length_km, **link}])


def places(network, first="lat", second="lon"):
    return np.column_stack([getattr(network, first), getattr(network, second)])


def test_a_long_link_becomes_a_chain():
    before = Network(
        [{"id": "A", "memory": 3, "swap": 0.7, "degree": 2}, {"id": "B"}, {"id": "C"}],
        [
            {"source": "A", "target": "B", "p": 0.1, "length_km": 250, "channels": 3, "score": 2.0, "fidelity": 0.9},
            {"source": "B", "target": "C", "p": 0.2, "length_km": 100, "loss_db": 17.0, "score": 1.0},
        ],
        name="road",
        notes=["as given"],
    )
    after = insert_repeaters(before, 100, "repeater")
    made = preset("repeater").link(250 / 3)
    segment = {"p": made.p, "fidelity": 0.99, "channels": 3, "length_km": 250 / 3, "loss_db": made.loss_db}
    stations = [{"id": "A~B.1", "swap": 0.5}, {"id": "A~B.2", "swap": 0.5}]
    assert after.to_dict() == {
        "name": "road",
        "nodes": [*before.to_dict()["nodes"], *stations],
        "links": [
            {"source": "A", "target": "A~B.1", **segment},
            {"source": "A~B.1", "target": "A~B.2", **segment},
            {"source": "A~B.2", "target": "B", **segment},
            before.to_dict()["links"][1],
        ],
    }
    assert after.notes == (
        "as given",
        "repeater stations inserted: 2, on links longer than 100 km: 1; "
        "their segments built with hardware preset repeater, slot 0.001 s",
    )


@pytest.mark.parametrize(("length", "segments"), [(100.0, 1), (100.1, 2), (200.0, 2), (0.0, 1), (1000.0, 10)])
def test_segments_are_as_few_as_can_be(length, segments):
    assert insert_repeaters(pair(length), 100, "spdc").n_links == segments


def test_nothing_to_do_leaves_the_network_as_it_is():
    before = pair(50)
    after = insert_repeaters(before, 100, preset("spdc"))
    assert after == before and "inserted: 0" in after.notes[0]
    empty = Network([], [])
    assert insert_repeaters(empty, 1, "spdc") == empty


def test_links_of_unknown_length_are_kept_and_noted():
    before = Network(
        [{"id": "A"}, {"id": "B"}, {"id": "C"}],
        [{"source": "A", "target": "B", "p": 0.1}, {"source": "C", "target": "B", "p": 0.2, "length_km": 150}],
    )
    after = insert_repeaters(before, 100, "spdc", slot_s=0.5)
    assert next(after.links()) == next(before.links())
    assert after.n_links == 3 and after.node_ids[3:] == ("C~B.1",)
    assert after.notes[-1] == "length unknown, no stations: A-B"
    assert after.p[1] == preset("spdc").link(75, slot_s=0.5).p


@st.composite
def networks(draw):
    ids = draw(st.lists(st.text(min_size=1, max_size=4), min_size=2, max_size=6, unique=True))
    pairs = [(a, b) for i, a in enumerate(ids) for b in ids[i + 1 :]]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=8))
    lengths = st.none() | st.floats(0, 900)
    links = [{"source": a, "target": b, "p": 0.5, "length_km": draw(lengths)} for a, b in chosen]
    return Network([{"id": node} for node in ids], links)


@UNHURRIED
@given(networks(), st.floats(20, 1000))
def test_chains_keep_lengths_and_ends(before, every_km):
    after = insert_repeaters(before, every_km, "trapped-ion")
    graph, old = after.to_networkx(), set(before.node_ids)
    assert after.node_ids[: before.n_nodes] == before.node_ids
    stations = [node for node in graph if node not in old]
    assert all(graph.degree(node) == 2 for node in stations)
    lengths = [link.length_km for link in before.links() if link.length_km is not None]
    assert len(stations) == sum(max(math.ceil(length / every_km) - 1, 0) for length in lengths)
    assert np.nansum(after.length_km) == pytest.approx(sum(lengths))
    assert not np.any(after.length_km > every_km * (1 + 1e-12))
    for link in before.links():  # the chain, walked over stations only, is as long as the link
        chain = graph.subgraph({link.source, link.target, *stations})
        assert nx.has_path(chain, link.source, link.target)
        if link.length_km is not None:
            walked = nx.shortest_path_length(chain, link.source, link.target, weight="length_km")
            assert walked == pytest.approx(link.length_km)
    assert Network(after.nodes(), after.links()) == after  # every record is valid on its own


# --- where they stand ---


@pytest.mark.parametrize(
    "ends", [((52.0, 4.4), (48.1, 11.6)), ((60, 170), (10, -160)), ((0, 0), (0, 90)), ((89, 0), (89, 180))]
)
def test_stations_stand_on_the_great_circle_equally_spaced(ends):
    (lat1, lon1), (lat2, lon2) = ends
    nodes = [{"id": "A", "lat": lat1, "lon": lon1}, {"id": "B", "lat": lat2, "lon": lon2}]
    before = Network(nodes, [{"source": "A", "target": "B", "p": 0.1, "length_km": 900}])
    after = insert_repeaters(before, 100, "repeater")
    lat, lon = after.lat, after.lon
    steps = great_circle_km(lat[after.source], lon[after.source], lat[after.target], lon[after.target])
    np.testing.assert_allclose(steps, great_circle_km(lat1, lon1, lat2, lon2) / 9, rtol=1e-6)


def test_planar_stations_stand_on_the_straight_line():
    nodes = [{"id": "A", "x": 0, "y": 10}, {"id": "B", "x": 30, "y": -20}]
    after = insert_repeaters(
        Network(nodes, [{"source": "A", "target": "B", "p": 0.1, "length_km": 300}]), 100, "repeater"
    )
    np.testing.assert_allclose(places(after, "x", "y"), [[0, 10], [30, -20], [10, 0], [20, -10]], atol=1e-12)
    assert np.all(np.isnan(places(after)))


def test_stations_between_ends_without_a_place_have_none():
    nodes = [{"id": "A", "lat": 50, "lon": 5}, {"id": "B"}]
    after = insert_repeaters(
        Network(nodes, [{"source": "A", "target": "B", "p": 0.1, "length_km": 300}]), 100, "repeater"
    )
    assert np.all(np.isnan(places(after)[1:]))


@pytest.mark.parametrize("far", [(50, 5), (-50, -175)])
def test_ends_in_one_place_or_opposite_places(far):
    nodes = [{"id": "A", "lat": 50, "lon": 5}, {"id": "B", "lat": far[0], "lon": far[1]}]
    after = insert_repeaters(
        Network(nodes, [{"source": "A", "target": "B", "p": 0.1, "length_km": 300}]), 100, "repeater"
    )
    assert np.all(np.isfinite(places(after)))


# --- names ---


def test_names_that_are_taken_get_another_tilde():
    before = Network(
        [{"id": node} for node in ("A", "B", "A~B", "C", "B~C", "A~B.2")],
        [
            {"source": "A", "target": "B", "p": 0.1, "length_km": 250},
            {"source": "A~B", "target": "C", "p": 0.1, "length_km": 150},
            {"source": "A", "target": "B~C", "p": 0.1, "length_km": 150},
        ],
    )
    after = insert_repeaters(before, 100, "spdc")
    assert after.node_ids[6:] == ("A~~B.1", "A~~B.2", "A~B~C.1", "A~~B~C.1")


def test_very_long_names_stay_within_bounds():
    after = insert_repeaters(pair(250, "a" * 1000, "b" * 1000), 100, "spdc")
    assert all(len(node) <= 1000 for node in after.node_ids)
    assert Network(after.nodes(), after.links()) == after


# --- refusals ---


@pytest.mark.parametrize("every_km", [0, -1, math.nan, math.inf, "100", None])
def test_impossible_spacings_are_refused(every_km):
    with pytest.raises(ProblemError, match=r"every_km: found .*, expected"):
        insert_repeaters(pair(250), every_km, "spdc")


@pytest.mark.parametrize(("length", "every_km"), [(1e7, 1), (1e300, 1e-300)])
def test_absurd_numbers_of_stations_are_refused(length, every_km):
    with pytest.raises(ProblemError, match=r"every_km: found .* stations, expected 1000000 at most"):
        insert_repeaters(pair(length), every_km, "spdc")


def test_segments_out_of_reach_are_refused():
    with pytest.raises(ProblemError, match=r"every_km: found 50000, expected segments short enough for spdc"):
        insert_repeaters(pair(1e5), 50000, "spdc")


@pytest.mark.parametrize("given_", [{"preset": "spcd"}, {"slot_s": 0}, {"network": None}])
def test_other_nonsense_is_refused(given_):
    with pytest.raises(ProblemError, match=next(iter(given_))):
        insert_repeaters(**{"network": pair(250), "every_km": 100, "preset": "spdc", **given_})


# --- told apart again ---


def test_stations_are_told_from_sites():
    before = Network(
        [{"id": node} for node in ("A", "B", "A~B", "C~D", "x~y.1", "A~B.9")],
        [
            {"source": "A", "target": "B", "p": 0.1, "length_km": 250},
            {"source": "B", "target": "A~B", "p": 0.1, "length_km": 250},
            {"source": "A~B", "target": "C~D", "p": 0.1, "length_km": 50},
            {"source": "C~D", "target": "x~y.1", "p": 0.1, "length_km": 50},
            {"source": "x~y.1", "target": "A~B.9", "p": 0.1, "length_km": 50},
        ],
    )
    assert sites(before) == list(before.node_ids)
    after = insert_repeaters(before, 100, "spdc")
    assert after.n_nodes == 10 and sites(after) == list(before.node_ids)
    assert stations(insert_repeaters(after, 50, "spdc")).sum() > 4
    assert sites(insert_repeaters(after, 50, "spdc")) == list(before.node_ids)
    assert sites(Network([], [])) == []


def test_stations_between_very_long_names_are_told_from_sites():
    before = pair(250, "a" * 1000, "b" * 1000)
    assert sites(insert_repeaters(before, 100, "spdc")) == list(before.node_ids)
