"""Cleaning step by step: names, merging, positions, lengths, doubts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnroute.fields import LONGEST_ID
from qnroute.formats.cleaning import clean
from qnroute.formats.naming import distinct, name_nodes
from qnroute.formats.raw import RawLink, RawNetwork, RawNode, count, number, sample
from qnroute.formats.sndlib_positions import place_nodes
from qnroute.geography import great_circle_km
from qnroute.hardware import ROUTE_FACTOR
from qnroute.network import Network


def line(*lengths: float | None, **columns) -> RawNetwork:
    """A chain of nodes a, b, c, ... with links of the lengths given."""
    keys = "abcdefghij"[: len(lengths) + 1]
    links = [RawLink(u, v, length, **columns) for u, v, length in zip(keys, keys[1:], lengths)]
    return RawNetwork("line", [RawNode(key) for key in keys], links)


def places(*points: tuple[float, float] | None) -> list[RawNode]:
    keys = "abcdefghij"
    return [RawNode(key, lat=p[0], lon=p[1]) if p else RawNode(key) for key, p in zip(keys, points)]


def note(network: Network, beginning: str) -> str:
    return next(text for text in network.notes if text.startswith(beginning))


# --- names ---


def test_names_are_made_distinct_without_taking_another_ones():
    assert distinct(["A", "A", "A #2", "A", "B"]) == ["A", "A #3", "A #2", "A #4", "B"]


@given(st.lists(st.text(alphabet="Aa #2\n\ud800", max_size=4), max_size=12))
def test_names_are_always_distinct_and_storable(labels):
    names, _ = name_nodes([RawNode(str(i), label) for i, label in enumerate(labels)])
    assert len(set(names)) == len(labels)
    assert all(name and name.encode() and "\n" not in name for name in names)


def test_endless_and_alike_names():
    labels = ["x" * 10**6, "x" * 10**6, "Ab", "aB", ""]
    names, notes = name_nodes([RawNode(f"k{i}", label) for i, label in enumerate(labels)])
    assert max(map(len, names)) <= LONGEST_ID and names[4] == "k4"
    assert [text.split(":")[0] for text in notes] == ["renamed", "renamed", "doubtful"]


def test_wording():
    assert (count(1, "link"), count(2, "link")) == ("1 link", "2 links")
    assert sample(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert "\n" not in sample(["a\nb"]) and len(sample(["y" * 10**6])) < 100


def test_numbers():
    assert [number(v) for v in (1, "2.5", " 3 ", True, None, "nan", float("inf"), "x", [], 10**400)] == [
        *(1.0, 2.5, 3.0),
        *[None] * 7,
    ]


# --- merging ---


def test_parallels_become_channels_and_the_shortest_counts():
    nodes = [RawNode("a"), RawNode("b")]
    links = [RawLink("a", "b", 30.0), RawLink("b", "a", 20.0, own={"channels": 3}), RawLink("b", "b", 1.0)]
    network = clean(RawNetwork("n", nodes, links))
    assert (network.n_links, network.channels[0], network.length_km[0]) == (1, 4, 20.0)
    assert note(network, "dropped: 1 link from a node to itself: b")
    assert note(network, "doubtful: 1 link merged from unlike ones, shortest kept: a-b")


@pytest.mark.parametrize(("there", "back", "channels"), [(1, 1, 1), (2, 1, 2), (1, 3, 3), (2, 0, 2)])
def test_directions_are_no_channels(there, back, channels):
    links = [RawLink("a", "b")] * there + [RawLink("b", "a")] * back
    network = clean(RawNetwork("n", [RawNode("a"), RawNode("b")], links, directed=True))
    assert network.channels.tolist() == [channels]


# --- positions ---


def test_a_node_between_two_others_is_placed_there():
    network = clean(RawNetwork("n", places((50, 179), (50, -179), None), [RawLink("a", "c"), RawLink("c", "b")]))
    assert abs(network.lon[2]) == pytest.approx(180)  # across the date line
    assert note(network, "imputed: the position of 1 node, between the neighbours: c")


def test_a_node_with_one_neighbour_is_not_put_on_top_of_it():
    network = clean(RawNetwork("n", places((50, 4), (51, 4), None), [RawLink("a", "b"), RawLink("b", "c")]))
    assert np.isnan(network.lat[2]) and network.length_km[0] == network.length_km[1]
    assert note(network, "missing: the position of 1 node: c")


def test_half_a_position_is_none():
    network = clean(RawNetwork("n", [RawNode("a", lat=50.0), RawNode("b", lon=4.0)], [RawLink("a", "b")]))
    assert np.isnan(network.lat).all() and np.isnan(network.lon).all()
    assert note(network, "missing: all positions")


@pytest.mark.parametrize(
    ("name", "points", "options", "kind"),
    [
        ("n", [(500.0, 20.0), (30.0, 40.0)], {}, "would be off the globe"),
        ("n", [(10.5, 20.5), (30.0, 40.0)], {"declared": "pixel"}, "the file says pixel"),
        ("n", [(10.5, 20.5), (30.0, 40.0)], {"about": "coordinates are chosen arbitrarily"}, "chosen arbitrarily"),
        ("n", [(float(i), float(i % 7)) for i in range(12)], {}, "all are whole numbers"),
        ("pdh", [(10.02, 53.34), (8.41, 50.07)], {}, "degrees.minutes (pdh is known"),
        ("n", [(10.02 + i, 53.34) for i in range(12)], {}, "may be degrees.minutes"),
    ],
)
def test_coordinates_of_sndlib(name, points, options, kind):
    nodes, notes = place_nodes(name, [(str(i), p) for i, p in enumerate(points)], **options)
    assert len(notes) == 1 and kind in notes[0]
    planar = notes[0].startswith("read: positions as points of a plane")
    assert all((node.x is not None) == planar and (node.lat is not None) != planar for node in nodes)


def test_degrees_and_minutes():
    nodes, _ = place_nodes("pdh", [("Hamburg", (10.02, 53.34)), ("west", (-0.3, -12.06)), ("none", None)])
    assert (nodes[0].lon, nodes[0].lat) == pytest.approx((10 + 2 / 60, 53 + 34 / 60), abs=1e-5)
    assert (nodes[1].lon, nodes[1].lat) == pytest.approx((-0.5, -12.1), abs=1e-5)
    assert nodes[2].lat is None


def test_plain_degrees_need_no_note():
    assert place_nodes("n", [("a", (4.75, 52.3)), ("b", (5.1, 52.0))])[1] == []


# --- lengths ---


def test_lengths_as_given_then_great_circle_then_median():
    nodes = places((50, 4), (50.5, 4), (51, 4), None)
    links = [RawLink("a", "b", 90.0), RawLink("b", "c"), RawLink("a", "d")]
    network = clean(RawNetwork("n", nodes, links))
    straight = float(great_circle_km(50.5, 4, 51, 4))
    assert network.length_km[:2] == pytest.approx([90.0, ROUTE_FACTOR * straight], abs=0.001)
    assert network.length_km[2] == pytest.approx(np.median(network.length_km[:2]), abs=0.001)
    assert note(network, "imputed: the length of 1 link") and note(network, "doubtful: the length of 1 link is 89")


def test_lengths_that_are_great_circles_are_stretched():
    network = clean(line(10.0, length_from="great-circle"))
    assert network.length_km[0] == pytest.approx(10 * ROUTE_FACTOR)


def test_impossible_lengths_and_losses():
    network = clean(line(-3.0, 1e9, 40.0, loss_db=-1.0))
    assert network.length_km.tolist() == [40.0] * 3
    assert note(network, "dropped: the impossible length of 2 links")
    assert note(network, "dropped: the impossible loss of 3 links")


@pytest.mark.parametrize(
    ("lengths", "doubt"),
    [
        ([0.0, 5.0], "doubtful: 1 link of length 0: a-b"),
        ([150.0, 5.0], "doubtful: 1 link longer than 100 km, up to 150 km"),
    ],
)
def test_doubtful_lengths(lengths, doubt):
    assert note(clean(line(*lengths)), doubt)


@pytest.mark.parametrize(
    ("factor", "doubt"),
    [
        (1000.0, "doubtful: the lengths given are 1000 times the great circles; are they metres?"),
        (1.0, "doubtful: the lengths given are great circles"),
        (0.5, "doubtful: 3 links shorter than the great circle"),
    ],
)
def test_lengths_against_positions(factor, doubt):
    nodes = places((50, 4), (50.3, 4), (50.7, 4.1), (51, 4))
    links = [
        RawLink(u.key, v.key, factor * float(great_circle_km(u.lat, u.lon, v.lat, v.lon))) for u, v in pairwise(nodes)
    ]
    assert note(clean(RawNetwork("n", nodes, links)), doubt)


# --- figures ---


def test_a_file_that_gives_every_p_is_taken_at_its_word():
    network = clean(line(None, 7.0, own={"p": 0.5}))
    assert network.p.tolist() == [0.5, 0.5] and network.fidelity.tolist() == [1.0, 1.0]
    assert np.isnan(network.length_km[0]) and np.isnan(network.loss_db).all()
    assert network.swap.tolist() == [1.0] * 3
    assert note(network, "imputed: the fidelity of 2 links, 1 by default")


def test_what_is_missing_comes_from_the_preset():
    nodes = [RawNode("a", own={"swap": 0.25}), RawNode("b"), RawNode("c")]
    links = [RawLink("a", "b", 10.0, own={"p": 0.125, "fidelity": 0.75}), RawLink("b", "c", 10.0)]
    network = clean(RawNetwork("n", nodes, links))
    assert (network.p[0], network.fidelity[0], network.swap[0]) == (0.125, 0.75, 0.25)
    assert network.p[1] != 0.125 and network.fidelity[1] != 0.75
    assert "p of 1 link, fidelity of 1, swap of 2 nodes" in note(
        network, "p and fidelity from hardware preset repeater"
    )


def test_a_network_without_links():
    network = clean(RawNetwork("n", [RawNode("a"), RawNode("b")], []))
    assert (network.n_nodes, network.n_links) == (2, 0)
    assert note(network, "doubtful: not connected, 2 parts of 1, 1 nodes")


def test_notes_are_lines():
    nodes = [RawNode("a\nb", "c\nd"), RawNode("e", "c\nd")]
    network = clean(RawNetwork("n\nn", nodes, [RawLink("a\nb", "e"), RawLink("e", "e")]))
    assert network.name == "n n" and not any("\n" in text for text in network.notes)
