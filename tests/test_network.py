"""Network: rows and columns, neighbours, other forms of it, and every fault by field."""

from __future__ import annotations

import copy
import pickle
import random

import networkx as nx
import numpy as np
import oracle
import pytest
from helpers import problem_of
from hypothesis import given, settings
from hypothesis import strategies as st

from qnroute.errors import ProblemError
from qnroute.fields import UNLIMITED
from qnroute.network import LINK_COLUMNS, NODE_COLUMNS, Link, Network, Node
from qnroute.problem import Problem

STEADY = settings(deadline=None, derandomize=True, database=None, max_examples=60)
SEEDS = st.integers(0, 2**40)
COLUMNS = ("source", "target", *NODE_COLUMNS, *LINK_COLUMNS)


def drawn(seed):
    """Rows of nodes and links, with every optional field here and there."""
    rng = random.Random(seed)
    part = oracle.random_problem(rng, max_nodes=9, max_links=14)["network"]
    for row in part["nodes"]:
        row |= rng.choice(({}, {"lat": 51.5, "lon": -0.25}, {"x": -3.0, "y": 1e4}))
    return part["nodes"], part["links"]


def columns_of(nodes, links):
    """The same as keyword columns, with what absent entries become."""
    absent = dict.fromkeys(("memory", "degree"), UNLIMITED) | {"swap": 1.0, "fidelity": 1.0, "channels": 1}
    made = {}
    for names, rows in ((NODE_COLUMNS, nodes), (LINK_COLUMNS, links)):
        for name in names:
            values = [row.get(name) for row in rows]
            made[name] = [absent.get(name, np.nan) if value is None else value for value in values]
    return made


def by_columns(nodes, links, **changes):
    ids = [row["id"] for row in nodes]
    ends = [[ids.index(row[end]) for row in links] for end in ("source", "target")]
    return Network.from_columns(ids, *ends, **{**columns_of(nodes, links), **changes})


def pair(**link):
    return Network([{"id": "A"}, {"id": "B"}], [{"source": "A", "target": "B", "p": 0.5, **link}])


def faults_of(make):
    with pytest.raises(ProblemError) as caught:
        make()
    return caught.value.faults


# --- rows and columns ---


@STEADY
@given(SEEDS)
def test_rows_and_columns_make_the_same_network(seed):
    nodes, links = drawn(seed)
    rows, columns = Network(nodes, links), by_columns(nodes, links)
    assert rows == columns and rows.node_ids == columns.node_ids == tuple(row["id"] for row in nodes)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(rows, name), getattr(columns, name))
        assert getattr(rows, name).dtype == getattr(columns, name).dtype
    for name, values in columns_of(nodes, links).items():
        np.testing.assert_array_equal(getattr(rows, name), np.asarray(values, dtype=getattr(rows, name).dtype))


@STEADY
@given(SEEDS)
def test_records_and_dicts_come_back_as_they_went_in(seed):
    nodes, links = drawn(seed)
    network = Network(nodes, links, name="N", notes=["seen"])
    assert list(network.nodes()) == [Node(**row) for row in nodes]
    assert list(network.links()) == [Link(**row) for row in links]
    assert Network(network.nodes(), network.links(), name="N") == network
    made = network.to_dict()
    assert Network(made["nodes"], made["links"], name=made["name"]).to_dict() == made
    assert network.notes == ("seen",)


def test_fields_at_their_defaults_are_left_out():
    rows = {"id": "A", "memory": None, "swap": 1.0, "degree": None}, {"id": "B", "memory": 0, "swap": 0.0, "degree": 0}
    link = {"source": "A", "target": "B", "p": 1.0, "fidelity": 1.0, "channels": 1, "score": 0.0, "length_km": 0}
    assert Network(rows, [link]).to_dict() == {
        "name": "",
        "nodes": [{"id": "A"}, {"id": "B", "memory": 0, "swap": 0.0, "degree": 0}],
        "links": [{"source": "A", "target": "B", "p": 1.0, "score": 0.0, "length_km": 0.0}],
    }


def test_the_contract_example_as_columns(contract_example):
    part = contract_example["network"]
    network = Network(part["nodes"], part["links"], name=part["name"])
    assert (network.n_nodes, network.n_links, network.name) == (4, 4, "diamond")
    assert network.memory.tolist() == [4, 4, 2, UNLIMITED]
    assert network.swap.tolist() == [0.9, 0.9, 0.8, 1.0]
    assert network.degree.tolist() == [UNLIMITED] * 4
    np.testing.assert_array_equal(network.lat, [52.0, np.nan, np.nan, np.nan])
    assert network.source.tolist() == [0, 1, 0, 2] and network.target.tolist() == [1, 3, 2, 3]
    assert network.channels.tolist() == [2, 1, 1, 1]
    np.testing.assert_array_equal(network.loss_db, [4.0, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(network.coefficient, [0.57, 0.48, 0.81, 0.81])
    np.testing.assert_allclose(network.werner, [14 / 15, 71 / 75, 13 / 15, 13 / 15])


def test_scalars_spread_over_columns():
    network = Network.from_columns("abc", [0, 1], [1, 2], p=0.5, memory=3, lat=[1, 2, np.nan], channels=np.int32(2))
    assert network.p.tolist() == [0.5, 0.5] and network.channels.tolist() == [2, 2]
    assert network.memory.tolist() == [3, 3, 3]
    assert network.to_dict()["nodes"][2] == {"id": "c", "memory": 3}


def test_a_score_replaces_p_times_fidelity():
    assert pair(p=0.8, fidelity=0.9).coefficient == pytest.approx([0.72])
    assert pair(p=0.8, fidelity=0.9, score=0.0).coefficient.tolist() == [0.0]
    assert pair(score=-1.5).coefficient.tolist() == [-1.5]


def test_nothing_is_a_network_too():
    empty = Network([], [])
    assert empty == Network.from_columns([], [], [], p=0.5)
    assert empty.n_nodes == empty.n_links == 0
    assert empty.adjacency.indptr.tolist() == [0] and empty.link_index == {}


# --- neighbours ---


@STEADY
@given(SEEDS)
def test_compressed_rows_are_the_neighbours_in_link_order(seed):
    network = Network(*drawn(seed))
    adjacency = network.adjacency
    near = {i: [] for i in range(network.n_nodes)}
    for e, (u, v) in enumerate(zip(network.source.tolist(), network.target.tolist())):
        near[u].append((v, e))
        near[v].append((u, e))
    for i, expected in near.items():
        row = slice(adjacency.indptr[i], adjacency.indptr[i + 1])
        assert list(zip(adjacency.neighbour[row].tolist(), adjacency.link[row].tolist())) == expected
    assert adjacency.indptr[-1] == 2 * network.n_links
    assert {array.dtype for array in adjacency} == {np.dtype(np.int64)}


@STEADY
@given(SEEDS)
def test_indices_by_name_and_both_ways_round(seed):
    nodes, links = drawn(seed)
    network = Network(nodes, links)
    for e, link in enumerate(links):
        u, v = network.index[link["source"]], network.index[link["target"]]
        assert network.link_index[u, v] == network.link_index[v, u] == e
        assert network.link_name(e) == f"{link['source']}-{link['target']}"
    assert len(network.link_index) == 2 * len(links)


def test_names_in_messages_stay_short():
    n = 30
    network = Network.from_columns(["x" * 100, *(f"n{i}" for i in range(1, n))], np.arange(n - 1), range(1, n), p=0.5)
    assert len(network.link_name(0)) < 100 and network.link_name(1) == "n1-n2"
    assert network.link_names([1, 2]) == "n1-n2, n2-n3"
    assert network.link_names([1, 2, 3], most=2) == "n1-n2, n2-n3 and 1 more"
    assert network.link_names([]) == ""


# --- immutable ---


@pytest.mark.parametrize("copied", [lambda n: n, lambda n: n.replace(p=0.25), lambda n: Network(n.nodes(), n.links())])
@pytest.mark.parametrize("column", COLUMNS)
def test_columns_are_read_only(column, copied):
    network = copied(pair())
    with pytest.raises(ValueError, match="read-only"):
        getattr(network, column)[0] = 1


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_a_copy_from_anywhere_is_equal_and_read_only_again(copied):
    network = Network(*drawn(3), name="N", notes=["seen"])
    _ = network.adjacency, network.index, network.link_index
    other = copied(network)
    assert other == network and other.name == "N" and other.notes == ("seen",)
    assert other.link_index == network.link_index
    for array, again in zip(network.adjacency, other.adjacency):
        np.testing.assert_array_equal(array, again)
    assert not any(getattr(other, column).flags.writeable for column in COLUMNS)


def test_the_network_keeps_no_hold_of_what_it_was_made_from():
    p, source = np.array([0.5]), np.array([0])
    network = Network.from_columns(["A", "B"], source, [1], p=p)
    p[0], source[0] = 0.9, 1
    assert network.p.tolist() == [0.5] and network.source.tolist() == [0]
    assert p.flags.writeable


def test_replace_changes_what_it_is_told_and_nothing_else():
    network = Network(*drawn(5), name="N", notes=["seen"])
    changed = network.replace(p=0.125, memory=None, name="M")
    assert changed.p.tolist() == [0.125] * network.n_links and changed.name == "M" and changed.notes == ("seen",)
    assert changed.memory.tolist() == [UNLIMITED] * network.n_nodes
    for column in set(COLUMNS) - {"p", "memory"}:
        np.testing.assert_array_equal(getattr(changed, column), getattr(network, column))
    assert network.replace() == network and network.replace(notes=[]).notes == ()
    assert faults_of(lambda: network.replace(p=2.0)) == ("links.p: found 2.0, expected in (0, 1]",)


def test_what_is_worked_out_from_a_problem_is_read_only_too(contract_example):
    problem = problem_of(contract_example)
    made = [*problem.network.adjacency, problem.sources, problem.targets, problem.weights]
    for array in [*made, problem.most_routes, problem.degree_bounds]:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_equality_and_repr():
    assert pair() == pair() and pair() != pair(p=0.25) and pair() != "network"
    assert pair() != Network([{"id": "A"}, {"id": "B"}], [{"source": "A", "target": "B", "p": 0.5}], name="N")
    assert repr(pair()) == "<Network '': 2 nodes, 1 links>"
    with pytest.raises(TypeError):
        hash(pair())


# --- networkx ---


def unordered(network):
    """Nodes by id and links by pair: what a graph keeps."""
    part = network.to_dict()
    links = {frozenset((row.pop("source"), row.pop("target"))): row for row in part["links"]}
    return {row.pop("id"): row for row in part["nodes"]}, links


@STEADY
@given(SEEDS)
def test_to_networkx_and_back(seed):
    network = Network(*drawn(seed), name="N")
    graph = network.to_networkx()
    back = Network.from_networkx(graph)
    assert unordered(back) == unordered(network)
    assert back.name == "N" and back.notes == () and back.node_ids == network.node_ids
    assert nx.utils.graphs_equal(back.to_networkx(), graph)


def test_a_graph_keeps_all_but_the_order_of_links(contract_example):
    part = contract_example["network"]
    network = Network(part["nodes"], part["links"], name=part["name"])
    back = Network.from_networkx(network.to_networkx())
    assert back != network and unordered(back) == unordered(network)
    assert "order of links" in " ".join(Network.to_networkx.__doc__.split())


def test_from_networkx_makes_strings_and_notes_what_it_leaves_out():
    graph = nx.path_graph(3)
    nx.set_edge_attributes(graph, {edge: {"p": 0.5, "weight": 3, "cost": 1} for edge in graph.edges})
    graph.nodes[1].update(memory=2, colour="red", id="elsewhere")
    network = Network.from_networkx(graph)
    assert network.node_ids == ("0", "1", "2") and network.memory.tolist() == [UNLIMITED, 2, UNLIMITED]
    assert network.notes == ("attributes not used: colour, cost, weight",)


@pytest.mark.parametrize("kind", [nx.DiGraph, nx.MultiGraph, nx.MultiDiGraph])
def test_from_networkx_refuses_what_it_would_have_to_guess(kind):
    with pytest.raises(ProblemError, match="expected an undirected simple graph"):
        Network.from_networkx(kind())


def test_from_networkx_names_what_is_missing_or_wrong():
    graph = nx.Graph([("a", "b")])
    assert faults_of(lambda: Network.from_networkx(graph)) == ("links[0].p: missing, but required",)
    graph.add_node(1)
    graph.add_edge("1", "a", p=0.5)
    graph.edges["a", "b"]["p"] = 0.5
    assert "'1' is already the id of" in faults_of(lambda: Network.from_networkx(graph))[0]


# --- faults ---


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("memory", -1), ("memory", 1.5), ("memory", True), ("memory", "2"),
        ("swap", -0.1), ("swap", 1.1), ("swap", float("nan")), ("swap", None),
        ("degree", -1), ("degree", 0.5), ("lat", 90.5), ("lon", -181), ("x", float("inf")), ("id", ""), ("id", 3),
        ("id", "x" * 1001), ("colour", "red"),
    ],
)  # fmt: skip
def test_bad_fields_of_a_node_are_named(field, bad):
    (fault,) = faults_of(lambda: Network([{"id": "A"}, {"id": "B", field: bad}], []))
    assert fault.startswith(f"nodes[1].{field}: ")


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("p", 0), ("p", 1.01), ("p", -0.5), ("p", float("nan")), ("p", None), ("p", "0.5"),
        ("fidelity", 0.25), ("fidelity", 1.01), ("channels", 0), ("channels", 1.0), ("channels", 2**53),
        ("length_km", -1), ("loss_db", -0.1), ("score", float("inf")), ("score", float("nan")), ("source", 0),
        ("width", 2),
    ],
)  # fmt: skip
def test_bad_fields_of_a_link_are_named(field, bad):
    (fault,) = faults_of(lambda: pair(**{field: bad}))
    assert fault.startswith(f"links[0].{field}: ")


@pytest.mark.parametrize(
    ("kind", "field", "fine"),
    [
        (Node, "memory", 0), (Node, "swap", 0), (Node, "degree", 0), (Node, "lat", -90), (Node, "lon", 180),
        (Node, "memory", np.int8(3)), (Node, "swap", np.float32(0.5)),
        (Link, "p", 1), (Link, "fidelity", 0.2500001), (Link, "channels", 2**53 - 1), (Link, "length_km", 0),
        (Link, "score", -7), (Link, "p", np.float64(0.5)), (Link, "channels", np.int64(2)),
    ],
)  # fmt: skip
def test_the_edges_of_the_ranges_are_inside(kind, field, fine):
    row = {"id": "A"} if kind is Node else {"source": "A", "target": "B", "p": 0.5}
    assert getattr(kind(**{**row, field: fine}), field) == fine


def test_all_faults_of_the_fields_at_once():
    nodes = [{"id": "A", "memory": -1, "swap": 2}, {"memory": 1}, 7]
    links = [{"source": "A", "target": "B"}, {"source": "A", "target": "B", "p": 0, "fidelity": 0, "channels": 0}]
    faults = faults_of(lambda: Network(nodes, links))
    places = ["nodes[0].memory", "nodes[0].swap", "nodes[1].id", "nodes[2]"]
    places += ["links[0].p", "links[1].p", "links[1].fidelity", "links[1].channels"]
    assert [fault.split(":")[0] for fault in faults] == places


def test_all_faults_between_rows_at_once():
    nodes = [{"id": name} for name in "ABA"]
    ends = [("A", "B"), ("B", "A"), ("A", "A"), ("X", "Y"), ("B", "Z")]
    with pytest.raises(ProblemError) as caught:
        Network(nodes, [{"source": u, "target": v, "p": 0.5} for u, v in ends], name="N")
    assert caught.value.faults == (
        "nodes[2].id: 'A' is already the id of nodes[0]",
        "links[1]: a second link between 'B' and 'A' (first: links[0]); merge parallels into channels",
        "links[2]: joins 'A' to itself; a link needs two different ends",
        "links[3].source: no node is called 'X'",
        "links[3].target: no node is called 'Y'",
        "links[4].target: no node is called 'Z'",
    )
    assert str(caught.value).startswith("network N: nodes[2].id")


def test_all_faults_of_columns_at_once():
    faults = faults_of(
        lambda: Network.from_columns(
            ["A", "A", "C"],
            [0, 1, 2, 0],
            [1, 0, 2, 9],
            p=[0.5, 0.0, np.nan, 2.0],
            memory=[-1, 0, 1],
            swap=[1.5, 0.0, 1.0],
            channels=0,
            lat=[91.0, np.nan, 0.0],
            score=[np.inf, np.nan, 0.0, 1.0],
        )
    )
    text = "\n".join(faults)
    for expected in (
        "nodes: 3 ids, of which 2 distinct",
        "links[1]: a second link",
        "links[2]: joins a node to itself",
        "links[3]: an end is not the index of a node",
        "links[1].p: found 0.0, expected in (0, 1]",
        "links[2].p: missing, but required",
        "links[3].p: found 2.0",
        "nodes[0].memory: found -1, expected at least 0",
        "nodes[0].swap: found 1.5, expected in [0, 1]",
        "nodes[0].lat: found 91.0, expected in [-90, 90]",
        "links[0].score: found inf, expected a finite number",
        "links.channels: found 0, expected at least 1",
    ):
        assert expected in text
    assert "links[0].p" not in text and "nodes[1].memory" not in text and text.count(".channels") == 1


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"memory": [1, 2, 3]}, "nodes.memory: expected 2 values"),
        ({"p": [[0.5]]}, "links.p: expected 1 values"),
        ({"memory": 1.5}, "nodes.memory: expected integers"),
        ({"channels": [np.nan]}, "links.channels: expected integers"),
        ({"p": "0.5"}, "links.p: expected numbers"),
        ({"p": True}, "links.p: expected numbers"),
    ],
)
def test_columns_of_a_wrong_shape_or_type_are_named(columns, expected):
    (fault,) = faults_of(lambda: Network.from_columns(["A", "B"], [0], [1], **{"p": 0.5, **columns}))
    assert fault.startswith(expected)


def test_ends_of_different_lengths_are_refused():
    with pytest.raises(ProblemError, match="source and target must be vectors of one length"):
        Network.from_columns(["A", "B"], [0, 1], [1], p=0.5)


def test_columns_that_are_unknown_or_missing_are_named():
    network = Network([{"id": "a"}], [], name="one")
    with pytest.raises(ProblemError, match=r"^network one: columns: 'foo' is unknown, expected some of memory, swap"):
        network.replace(foo=3)
    with pytest.raises(ProblemError, match="columns: 'width' is unknown"):
        Network.from_columns(["A", "B"], [0], [1], p=0.5, width=2)
    with pytest.raises(ProblemError, match=r"links.p: missing, but required"):
        Network.from_columns(["A", "B"], [0], [1])


@pytest.mark.parametrize("column", ["swap", "fidelity"])
def test_no_probability_or_fidelity_is_ever_unknown(column):
    """NaN stands for absent in a column; where absence has a meaning it takes it, or is refused: it is not kept."""
    try:
        network = Network.from_columns(["A", "B"], [0], [1], p=0.5, **{column: np.nan})
    except ProblemError as error:
        assert column in str(error)
    else:
        assert set(getattr(network, column).tolist()) == {1.0}


def test_long_messages_end_with_a_count():
    with pytest.raises(ProblemError) as caught:
        Network([{"id": f"n{i}", "memory": -1} for i in range(50)], [])
    assert len(caught.value.faults) == 50 and str(caught.value).endswith("and 30 more")
    assert caught.value.at("file.json").faults == caught.value.faults
    assert str(caught.value.at("file.json")).startswith("file.json: nodes[0].memory")


@pytest.mark.parametrize("name", [5, b"5", None, "n" * 1001])
def test_a_name_that_no_file_could_hold_is_refused(name):
    network = Network([{"id": "a"}], [])
    expected = "name: found .*, expected text of at most 1000 characters"
    with pytest.raises(ProblemError, match=expected):
        Network([], [], name=name)
    with pytest.raises(ProblemError, match=expected):
        Network.from_columns(["A"], [], [], p=0.5, name=name)
    if name is not None:
        with pytest.raises(ProblemError, match=expected):
            Problem(network, [], name=name)
        with pytest.raises(ProblemError, match=expected):
            network.replace(name=name)


@pytest.mark.parametrize("notes", [5, "one note", [5], None])
def test_notes_that_no_file_could_hold_are_refused(notes):
    with pytest.raises(ProblemError, match=r"notes: found .*, expected a list of text"):
        Network([], [], notes=notes)
