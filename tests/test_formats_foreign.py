"""Foreign formats: one small invented file of each, and every way in which they can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from qnroute import catalog
from qnroute.errors import ProblemError
from qnroute.formats import load_demands, load_network, read_source
from qnroute.formats.cleaning import clean
from qnroute.formats.foreign import read_content
from qnroute.formats.gml import parse_gml
from qnroute.formats.raw import RawNetwork
from qnroute.network import Network

DATA = Path(__file__).parent / "data"
TEXTS = ("tricky.gml", "tricky.graphml", "tiny_sndlib.txt", "tiny_sndlib.xml", "tiny_totem.xml")


def raw(text: str | bytes, suffix: str = "") -> RawNetwork:
    found = read_content(text if isinstance(text, bytes) else text.encode(), name="it", suffix=suffix)
    assert isinstance(found, RawNetwork)
    return found


def noted(network: Network, *beginnings: str) -> bool:
    return all(any(note.startswith(beginning) for note in network.notes) for beginning in beginnings)


# --- one file of each ---


def test_gml():
    network = load_network(DATA / "tricky.gml")
    assert network.name == "Harbour"
    names = ("Quay", "Dock & Basin", "Quay #2", "3", "Elsewhere", "Nowhere", "Off the globe", "Island")
    assert network.node_ids == names
    assert network.n_links == 6 and network.channels[0] == 2
    assert np.isnan(network.lat[4:7]).all()
    junction = network.lat[3], network.lon[3]
    assert np.allclose(junction, (50.067, 4.1), atol=0.001)  # between its three members
    assert noted(
        network,
        "kept: 1 node outside the network proper: Elsewhere",
        "not used: the attributes linklabel",
        "renamed: 1 node without a name of its own: Quay #2",
        "dropped: 1 link from a node to itself: Quay",
        "merged: the parallels of 1 link into channels: Quay-Dock & Basin",
        "dropped: the position 0, 0 of 1 node: Nowhere",
        "dropped: the position of 1 node, not on the globe: Off the globe",
        "imputed: the position of 1 node, between the neighbours: 3",
        "missing: the position of 3 nodes: Elsewhere, Nowhere, Off the globe",
        "doubtful: 1 node standing for a link of more than two sites",
        "doubtful: not connected, 3 parts of 5, 2, 1 nodes",
        "imputed: the length of 4 links, great circle times 1.59",
        "doubtful: the length of 2 links is 25.865 km, the median of the others",
        "p and fidelity from hardware preset repeater",
    )


def test_graphml():
    network = load_network(DATA / "tricky.graphml")
    assert network.name == "Canal" and network.node_ids == ("Lock", "Weir", "c", "Inner")
    assert network.memory.tolist() == [3, 8, 3, 3]  # 3 is the default that the document declares
    assert network.channels.tolist() == [2, 1, 1] and network.length_km[0] == 15.0
    assert noted(network, "doubtful: 1 link merged from unlike ones, shortest kept: Lock-Weir")


def test_node_link():
    network = load_network(DATA / "tiny_node_link.json")
    assert network.name == "pond" and network.node_ids == ("Reed", "Lily", "x")
    assert network.channels.tolist() == [3, 1, 1] and network.loss_db[0] == pytest.approx(6.0)
    assert network.length_km.tolist() == [20.0, 7.0, pytest.approx(23.4 * 1.59, abs=0.001)]
    assert (network.lat[2], network.lon[2]) == (50.2, 4.1) and network.swap[1] == 0.5
    assert noted(network, "doubtful: the length of 1 link is recalled", "doubtful: the loss given for 1 link is kept")


def test_node_link_under_edges_and_with_numbered_ends():
    text = '{"directed": false, "nodes": [{"id": "a"}, {"id": "b"}], "edges": [{"source": 1, "target": 0}]}'
    network = clean(raw(text))
    assert network.node_ids == ("a", "b") and (network.source[0], network.target[0]) == (1, 0)
    assert noted(network, "read: the ends of links as places in the list of nodes")


def test_sndlib_native():
    network = load_network(DATA / "tiny_sndlib.txt")
    assert network.name == "tiny" and network.node_ids == ("P", "Q", "R", "S")
    assert network.channels.tolist() == [1, 2, 1]  # both directions are one link; Q-R is listed twice one way
    assert network.lat[0] == 50.75 and network.lon[0] == 4.01 and np.isnan(network.lat[3])
    assert noted(network, "merged: the two directions of 2 links", "not used: capacities")


def test_sndlib_xml():
    network = load_network(DATA / "tiny_sndlib.xml")
    assert network.node_ids == ("P", "Q") and network.x.tolist() == [10.0, 30.0]
    assert noted(network, "read: positions as points of a plane, not degrees, because the file says pixel")
    assert noted(network, "doubtful: the length of 1 link is 1 km, a mere stand-in")


def test_totem():
    network = load_network(DATA / "tiny_totem.xml")
    assert network.node_ids == ("North", "2", "3") and network.n_links == 2
    assert noted(network, "dropped: the position 0, 0 of 1 node: 3", "merged: the two directions of 1 link")


def test_sequence():
    network = load_network(DATA / "tiny_sequence.json")
    assert network.node_ids == ("left", "middle", "right") and network.memory[0] == 12
    assert network.length_km.tolist() == [20.0, 5.0]
    assert network.loss_db.tolist() == pytest.approx([0.2, 1.0])
    assert noted(network, "doubtful: 1 link losing 0.01 dB/km, less than any fibre (0.14 dB/km): left-middle")


def test_demands_become_requests():
    requests, notes = load_demands(DATA / "tiny_sndlib.txt", min_fidelity=0.7, routes=2)
    assert [(r.id, r.source, r.target, r.weight) for r in requests] == [("D1", "P", "R", 1.5), ("D2", "R", "P", 0.5)]
    assert {(r.min_fidelity, r.routes) for r in requests} == {(0.7, 2)}
    assert notes == ("dropped: 1 demand of 0 or less", "dropped: 1 demand of a node from itself")


def test_demands_with_one_id_are_told_apart_and_named_as_the_nodes():
    assert [request.id for request in load_demands(DATA / "tiny_sndlib.xml").requests] == ["D1", "D1 #2"]
    (request,) = load_demands(DATA / "tiny_node_link.json").requests
    assert (request.source, request.target, request.weight) == ("Reed", "Lily", 1.0)


def test_demands_of_a_problem_file_are_its_requests():
    assert [request.id for request in load_demands(DATA / "diamond.json").requests] == ["r1"]

    for option in ({"min_fidelity": 0.5}, {"routes": 2}):
        with pytest.raises(ProblemError, match=f"{next(iter(option))}: found .*, expected none: the requests of a"):
            load_demands(DATA / "diamond.json", **option)


def test_a_source_is_read_once_for_network_and_demands(tmp_path):
    path = tmp_path / "n.txt"
    path.write_bytes((DATA / "tiny_sndlib.txt").read_bytes())
    source = read_source(path)
    path.unlink()
    assert source.has_demands and source.demands(routes=2).requests[0].routes == 2
    assert source.network(repeater_km=15).n_nodes > source.network().n_nodes
    assert not read_source("tokyo").has_demands


@pytest.mark.parametrize("name", ["hamlets.json", "tricky.gml", "tokyo"])
def test_files_without_demands(name):
    with pytest.raises(ProblemError, match="holds no demands"):
        load_demands(name if name in catalog.names() else DATA / name)


# --- which format ---


@pytest.mark.parametrize("name", TEXTS)
def test_the_content_decides_and_not_the_name(tmp_path, name):
    place = tmp_path / "it.dat"
    place.write_bytes((DATA / name).read_bytes())
    assert load_network(place).to_dict()["links"] == load_network(DATA / name).to_dict()["links"]


@pytest.mark.parametrize(
    ("text", "suffix", "message"),
    [
        ("", "", "the file is empty"),
        (" \n", ".gml", "the file is empty"),
        ("some text", ".txt", "not a format that is read; these are: qnroute"),
        ("some 5 [ text ]", ".gml", "line 1: not GML"),
        ("word", ".gml", "ends before it is complete"),
        ("a 1", ".gml", "found no 'graph"),
        ("some text", ".graphml", "line 1, column 1: not XML"),
        ("some text", ".json", "line 1, column 1: not JSON"),
        ("[1, 2]", "", "expected a JSON object, found a list"),
        ('{"a": 1}', "", "JSON without nodes and links"),
        ('{"format": "other/1"}', "", "format: found 'other/1', expected 'qnroute.network/1'"),
        ('{"nodes": [], "nodes": [], "links": [], "directed": true}', "", "nodes: given 2 times"),
        ("<html></html>", "", "XML with the root <html>"),
        (bytes(range(256)), "", "not a format that is read"),
    ],
)
def test_what_is_no_known_format(text, suffix, message):
    with pytest.raises(ProblemError, match=message.replace("(", r"\(")) as caught:
        raw(text, suffix)
    assert "\n" not in str(caught.value)


def test_unknown_names_get_a_hint():
    with pytest.raises(ProblemError, match="called 'surfnett'; did you mean surfnet"):
        load_network("surfnett")
    with pytest.raises(ProblemError, match="bundled are abilene, arpanet"):
        load_network("qqqq")
    with pytest.raises(ProblemError, match=r"^nosuch\.gml: cannot be read: No such file"):
        load_network("nosuch.gml")


def test_a_file_called_like_no_network_is_found(tmp_path, monkeypatch):
    (tmp_path / "mine").write_bytes((DATA / "tricky.gml").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert load_network("mine").n_nodes == 8


# --- XML traps ---


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_document_types_are_refused(encoding):
    bomb = '<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;&b;">]><graphml>&d;</graphml>'
    with pytest.raises(ProblemError, match="declares a document type"):
        raw(bomb.encode(encoding), ".xml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<graphml>" * 50_000, "not XML: no element found"),
        ("<graphml>" * 50_000 + "</graphml>" * 50_000, "no <graph>"),
        ("<graphml><graph></graphml>", "line 1, column 19: not XML: mismatched tag"),
        ("<graphml/>", "found no <graph>"),
        ("<graphml><graph/></graphml>", "found no nodes"),
        ("<graphml><graph><node/><edge source='a'/></graph></graphml>", "node 1 of the file: no id; edge 1"),
        ("<graphml><graph><node id='a'/><hyperedge/></graph></graphml>", "holds a <hyperedge>"),
        ("<graphml><graph><node id='a'/><node id='a'/></graph></graphml>", "node a: a second node with this id"),
        ("<graphml><graph><node id='a'/><edge source='a' target='b'/></graph></graphml>", "its target 'b' is no node"),
        ("<?xml version='1.0' encoding='foo'?><graphml/>", "not XML: unknown encoding"),
        ("<?xml version='1.0' encoding='utf-7'?><graphml/>", "not XML"),
        ("<network/>", "found no nodes in the SNDlib document"),
        ("<network><networkStructure><nodes><node/></nodes></networkStructure></network>", "a <node> without id"),
        ("<domain/>", "found no topology/nodes/node"),
        ("<domain><topology><nodes><node id='1'/></nodes><links><link/></links></topology></domain>", "link 1 of the"),
    ],
)
def test_malformed_xml(text, message):
    with pytest.raises(ProblemError) as caught:
        clean(raw(text))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_graphml_values_of_the_wrong_type():
    text = (
        "<graphml><key id='k' for='node' attr.name='memory' attr.type='int'/>"
        "<graph><node id='a'><data key='k'>many</data></node></graph></graphml>"
    )
    with pytest.raises(ProblemError, match="node a: memory: found 'many', expected a value of type int"):
        raw(text)


# --- GML traps ---


def test_gml_is_read_tolerantly():
    text = 'Version 1\n#graph [\ngraph [ a "x\ny" b -1.5e3 c word d [ e 1 e 2 ] f "&#233;" ]'
    ((_, version), (_, graph)) = parse_gml(text)
    assert version == 1
    assert graph == [("a", "x\ny"), ("b", -1500.0), ("c", "word"), ("d", [("e", 1), ("e", 2)]), ("f", "é")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('graph [\n node [ id 1 label "x ]\n]', "line 2: not GML: found a quotation mark without its second"),
        ("graph [ ] ]", "line 1: not GML: found ']' without its '['"),
        ("graph [ node ]", "found ']' where a value is expected"),
        ("graph [\n\n5 id ]", "line 3: not GML: found '5' where a name is expected"),
        ("graph [ node [ id 1 ]", "ends before it is complete"),
        ("graph [ node [ id", "ends before it is complete"),
        ("graph [ ]", "found no nodes"),
        ("graph [ node [ label 5 ] edge [ source 1 ] ]", "node 1 of the file: no id; edge 1 of the file: no target"),
        ("graph [ node [ id 1 ] node [ id 1 ] ]", "node 1: a second node with this id"),
        ("graph [ node [ id 1 ] edge [ source 1 target 2 ] ]", "link 1 of the file: its target '2' is no node"),
        ("graph [ node [ id 1 swap 2.5 ] ]", "node 1.swap: found 2.5"),
        ("graph [ node [ id 1 ] node [ id 2 ] edge [ source 1 target 2 p 7 channels 0 ] ]", "link 1-2.p: found 7"),
        ("graph [ " + "a [ " * 10**5, "ends before it is complete"),
        ("graph [ " + "a [ " * 10**5 + "] " * 10**5 + "]", "found no nodes"),
    ],
)
def test_malformed_gml(text, message):
    with pytest.raises(ProblemError) as caught:
        clean(raw(text))
    assert message in str(caught.value) and "\n" not in str(caught.value)


# --- SNDlib and JSON traps ---


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("P ( 4.01 50.75 )", "P ( 4.01", "line 11: found 'P ( 4.01', expected id ( longitude latitude ) in NODES"),
        ("P ( 4.01 50.75 )", "P ( east 50.75 )", "P: found 'east', expected a number"),
        ("L1 ( P Q )", "L1 P Q", "expected id ( source target ) ... in LINKS"),
        ("L1 ( P Q )", "L1 ( P Z )", "its target 'Z' is no node"),
        ("D1 ( P R ) 1 30.00", "D1 ( P R ) 1 much", "D1: found 'much', expected a number"),
        ("NODES (", "NODES", "line 10: not SNDlib: found 'NODES', expected a section"),
        ("NODES (", "STATIONS (", "found no NODES section"),
    ],
)
def test_malformed_sndlib(old, new, message):
    text = (DATA / "tiny_sndlib.txt").read_text()
    assert old in text
    with pytest.raises(ProblemError) as caught:
        clean(raw(text.replace(old, new)))
    assert message in str(caught.value)


def test_truncated_sndlib():
    text = (DATA / "tiny_sndlib.txt").read_text()
    with pytest.raises(ProblemError, match="ends before its section LINKS is complete"):
        raw(text[: text.index("L3 (")])


def test_demands_between_unknown_nodes():
    text = (DATA / "tiny_sndlib.txt").read_text().replace("D1 ( P R )", "D1 ( P Z )")
    assert clean(raw(text)).n_nodes == 4  # the network does not need its demands


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"directed": False, "nodes": [], "links": []}, "found no nodes"),
        ({"directed": False, "nodes": {}, "links": []}, "nodes: found a dict of 0, expected a list of objects"),
        ({"directed": False, "nodes": [5], "links": []}, "nodes[0]: found 5, expected an object"),
        ({"directed": False, "nodes": [{"id": None}], "links": []}, "nodes[0].id: found None"),
        ({"directed": False, "nodes": [{"id": [[1]]}], "links": []}, "nodes[0].id: found a list of 1"),
        ({"directed": False, "nodes": [{"id": 1}], "links": [{"source": 1}]}, "links[0].target: found None"),
        ({"directed": False, "nodes": [{"id": 1}, {"id": "1"}], "links": []}, "node 1: a second node with this id"),
        ({"directed": False, "nodes": [{"id": 1, "memory": "4"}], "links": []}, "node 1.memory: found '4'"),
        ({"qconnections": [], "nodes": []}, "found no nodes"),
        ({"qconnections": {}, "nodes": [{}]}, "nodes[0].name: found None, expected the name of a node; qconnections"),
        ({"qconnections": [{"node1": "a"}], "nodes": [{"name": "a"}]}, "qconnections[0].node2: found None"),
    ],
)
def test_malformed_json_networks(document, message):
    with pytest.raises(ProblemError) as caught:
        clean(raw(json.dumps(document)))
    assert message in str(caught.value)


# --- our own networks in others' formats ---


@pytest.mark.parametrize("kind", ["gml", "graphml", "json"])
@pytest.mark.parametrize("name", ["belnet", "tokyo"])
def test_networks_survive_other_formats(tmp_path, name, kind):
    network = load_network(name, repeater_km=60).replace(memory=5)
    graph, place = network.to_networkx(), tmp_path / f"it.{kind}"
    if kind == "json":
        place.write_text(json.dumps(nx.node_link_data(graph, edges="links")))
    else:
        {"gml": nx.write_gml, "graphml": nx.write_graphml}[kind](graph, place)
    assert load_network(place) == Network.from_networkx(graph)


@pytest.mark.parametrize("kind", ["gml", "graphml"])
def test_plain_graphs_are_read_as_networkx_reads_them(tmp_path, kind):
    graph = nx.gnm_random_graph(30, 60, seed=5)
    place = tmp_path / f"it.{kind}"
    {"gml": nx.write_gml, "graphml": nx.write_graphml}[kind](graph, place)
    again = {"gml": nx.read_gml, "graphml": nx.read_graphml}[kind](place)
    assert nx.utils.graphs_equal(nx.Graph(load_network(place).to_networkx().edges), nx.Graph(again.edges))


def test_tuples_as_node_names():
    text = json.dumps(nx.node_link_data(nx.grid_2d_graph(3, 2), edges="edges"))
    network = clean(raw(text))
    assert network.node_ids[:2] == ("(0, 0)", "(0, 1)") and network.n_links == 7


# --- what is done with the options ---


def test_hardware_replaces_what_the_file_says():
    network = load_network(DATA / "tiny_node_link.json", hardware="repeater", slot_s=1e-5)
    assert noted(network, "dropped: loss_db, swap of the file, for the hardware wished")
    assert network.loss_db[0] != pytest.approx(6.0)
    assert load_network(DATA / "tiny_node_link.json", slot_s=1e-6).p.max() < network.p.max()


def test_stations_come_before_links_are_given_up():
    kept = load_network("geant", hardware="nv-centre", repeater_km=30)
    lost = load_network("geant", hardware="nv-centre")
    assert noted(lost, "dropped: ") and lost.n_links < 61
    assert kept.n_links > 61 and not any("out of reach" in note for note in kept.notes)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"hardware": "steam"}, "^hardware: found 'steam', expected one of"),
        ({"repeater_km": -1}, "^repeater_km: found -1"),
        ({"repeater_km": float("nan")}, "^repeater_km: found nan"),
        ({"repeater_km": 1e-9}, "stations"),
        ({"slot_s": 0}, "^slot_s: found 0"),
    ],
)
def test_options_out_of_range(option, message):
    with pytest.raises(ProblemError, match=message):
        load_network("abilene", **option)


@pytest.mark.parametrize("name", ["diamond.json", "told.json"])
def test_a_slot_that_nothing_would_use_is_refused(name, tmp_path):
    path = DATA / name
    if name == "told.json":
        path = tmp_path / name
        path.write_text(
            json.dumps(nx.node_link_data(nx.Graph([("A", "B", {"p": 0.5, "length_km": 90})]), edges="links"))
        )
    with pytest.raises(ProblemError, match="slot_s: found 5, but the network gives p of every link itself"):
        load_network(path, slot_s=5)
    assert load_network(path, slot_s=5, hardware="spdc").n_links
    assert load_network(path, slot_s=5, repeater_km=40).n_links
