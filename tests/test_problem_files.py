"""Problem files: the contract's example, its table of what is refused, and all faults of a file at once."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from qnroute.errors import ProblemError
from qnroute.formats import load_network, load_problem, parse_problem, save_network, save_problem
from qnroute.problem import Problem, Request

DATA = Path(__file__).parent / "data"
EXAMPLE = (DATA / "diamond.json").read_text(encoding="utf-8")
NODE, LINK, REQUEST = ("network", "nodes", 1), ("network", "links", 1), ("requests", 0)


def changed(*changes: tuple[tuple, Any]) -> str:
    """The example with the value at each path replaced (or removed: ...)."""
    document = json.loads(EXAMPLE)
    for path, value in changes:
        inner = document
        for step in path[:-1]:
            inner = inner[step]
        if value is ...:
            del inner[path[-1]]
        else:
            inner[path[-1]] = copy.deepcopy(value)
    return json.dumps(document)


def faults_of(text: str | bytes) -> tuple[str, ...]:
    with pytest.raises(ProblemError) as caught:
        parse_problem(text)
    assert "\n" not in str(caught.value)
    return caught.value.faults


def test_the_example_of_the_contract():
    problem = load_problem(DATA / "diamond.json")
    network = problem.network
    assert (problem.name, problem.task, problem.objective.kind) == ("diamond", "allocation", "expected-pairs")
    assert network.node_ids == ("A", "B", "C", "D")
    assert network.channels.tolist() == [2, 1, 1, 1] and network.loss_db[0] == 4.0
    assert problem.requests == (Request("r1", "A", "D", 1.0, 0.8, 1),)


def test_round_trip(tmp_path):
    problem = load_problem(DATA / "diamond.json")
    save_problem(problem, tmp_path / "again.json")
    again = load_problem(tmp_path / "again.json")
    assert again == problem and again.sha256 == problem.sha256


def test_everything_survives_a_round_trip(tmp_path):
    text = changed(
        (("objective",), {"kind": "log-success", "serve_reward": 3.5}),
        (("rules",), {"degree": 2, "max_hops": 5}),
        ((*NODE, "degree"), 1),
        ((*NODE, "x"), -1.5),
        ((*NODE, "y"), 1e-300),
        ((*LINK, "score"), -0.1),
        ((*REQUEST, "arrival"), 3),
        ((*REQUEST, "deadline"), 9),
        (("network", "nodes", 3, "id"), 'Dé \N{SNOWMAN}\n"quoted"'),
        (("network", "links", 1, "target"), 'Dé \N{SNOWMAN}\n"quoted"'),
        (("network", "links", 3, "target"), 'Dé \N{SNOWMAN}\n"quoted"'),
        ((*REQUEST, "target"), 'Dé \N{SNOWMAN}\n"quoted"'),
    )
    problem = parse_problem(text)
    save_problem(problem, tmp_path / "again.json")
    again = load_problem(tmp_path / "again.json")
    assert again == problem and again.to_dict() == problem.to_dict()


def test_link_selection_needs_no_requests():
    assert parse_problem(changed((("task",), "link-selection"), (("requests",), ...))).requests == ()
    assert parse_problem(changed((("task",), "link-selection"), (("requests",), []))).task == "link-selection"


def test_defaults_and_nulls():
    bare = {"format": "qnroute.problem/1", "network": {"nodes": [{"id": "A", "memory": None}], "links": []}}
    problem = parse_problem(json.dumps(bare))
    assert (problem.task, problem.requests, problem.name) == ("allocation", (), "")


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("task",), "routing", "task: found 'routing', expected allocation or link-selection"),
        (("task",), "link-selection", "requests: found 1, expected none for the task link-selection"),
        (("task",), None, "task: found None"),
        ((*NODE, "id"), "A", "network.nodes[1].id: 'A' is already the id of nodes[0]"),
        ((*NODE, "id"), "", "network.nodes[1].id: found ''"),
        ((*NODE, "id"), 7, "network.nodes[1].id: found 7"),
        ((*NODE, "id"), ..., "network.nodes[1].id: missing, but required"),
        ((*NODE, "memory"), -1, "network.nodes[1].memory: found -1"),
        ((*NODE, "memory"), 1.5, "network.nodes[1].memory: found 1.5"),
        ((*NODE, "memory"), True, "network.nodes[1].memory: found True"),
        ((*NODE, "swap"), 1.1, "network.nodes[1].swap: found 1.1"),
        ((*NODE, "swap"), -0.1, "network.nodes[1].swap: found -0.1"),
        ((*NODE, "degree"), -1, "network.nodes[1].degree: found -1"),
        ((*NODE, "lat"), 91, "network.nodes[1].lat: found 91"),
        ((*NODE, "lon"), "4.4", "network.nodes[1].lon: found '4.4'"),
        ((*NODE, "colour"), "red", "network.nodes[1].colour: unknown field"),
        ((*LINK, "p"), ..., "network.links[1].p: missing, but required"),
        ((*LINK, "p"), 0, "network.links[1].p: found 0"),
        ((*LINK, "p"), 1.01, "network.links[1].p: found 1.01"),
        ((*LINK, "p"), None, "network.links[1].p: found None"),
        ((*LINK, "p"), "0.5", "network.links[1].p: found '0.5'"),
        ((*LINK, "p"), float("nan"), "network.links[1].p: found nan"),
        ((*LINK, "fidelity"), 0.25, "network.links[1].fidelity: found 0.25"),
        ((*LINK, "fidelity"), 1.5, "network.links[1].fidelity: found 1.5"),
        ((*LINK, "channels"), 0, "network.links[1].channels: found 0"),
        ((*LINK, "channels"), 2.5, "network.links[1].channels: found 2.5"),
        ((*LINK, "length_km"), -1, "network.links[1].length_km: found -1"),
        ((*LINK, "loss_db"), -0.5, "network.links[1].loss_db: found -0.5"),
        ((*LINK, "score"), float("inf"), "network.links[1].score: found inf"),
        ((*LINK, "source"), "Z", "network.links[1].source: no node is called 'Z'"),
        ((*LINK, "source"), "D", "network.links[1]: joins 'D' to itself"),
        ((*LINK, "target"), "A", "network.links[1]: a second link between 'B' and 'A'"),
        ((*REQUEST, "source"), "Z", "requests[0].source: no node is called 'Z'"),
        ((*REQUEST, "source"), "D", "requests[0]: source and target are both 'D'"),
        ((*REQUEST, "weight"), 0, "requests[0].weight: found 0"),
        ((*REQUEST, "min_fidelity"), 1.2, "requests[0].min_fidelity: found 1.2"),
        ((*REQUEST, "routes"), 0, "requests[0].routes: found 0"),
        ((*REQUEST, "wieght"), 2, "requests[0].wieght: unknown field"),
        (("requests", 0), "r1", "requests[0]: found 'r1', expected an object"),
        (("requests",), None, "requests: found None"),
        (("objective", "kind"), "speed", "objective.kind: found 'speed'"),
        (("objective",), "expected-pairs", "objective: found 'expected-pairs', expected an object"),
        (("rules", "degree"), -1, "rules.degree: found -1"),
        (("rules", "max_hops"), 0, "rules.max_hops: found 0"),
        (("rules", "max_width"), 2, "rules: max_width 2 is not supported"),
        (("network",), [], "network: found a list of 0, expected an object"),
        (("network", "nodes"), {}, "network.nodes: found a dict of 0"),
        (("network", "links"), ..., "network.links: missing, but required"),
        (("network", "colour"), 1, "network.colour: unknown field"),
        (("request",), [], "request: unknown field"),
        (("name",), 5, "name: found 5"),
    ],
)
def test_what_is_refused(path, value, fault):
    faults = faults_of(changed((path, value)))
    assert any(found.startswith(fault) for found in faults), faults
    assert len(set(faults)) == len(faults)


def test_the_deadline_may_not_come_before_the_arrival():
    (fault,) = faults_of(changed(((*REQUEST, "arrival"), 5), ((*REQUEST, "deadline"), 4)))
    assert fault == "requests[0]: deadline 4 is before arrival 5"


def test_all_faults_of_a_file_are_reported_at_once_and_once_each():
    text = changed(
        ((*NODE, "id"), "A"),
        ((*NODE, "swap"), 2),
        ((*LINK, "p"), 1e999),
        (("network", "links", 2, "target"), "Q"),
        (("network", "links", 3, "colour"), 1),
        (
            ("requests",),
            [{"id": "r", "source": "Z", "target": "D"}, {"id": "r", "source": "A", "target": "D", "weight": 0}],
        ),
        (("task",), "both"),
        (("extra",), 1),
    ).replace('"memory": 2', '"memory": 2, "memory": 3')
    faults = faults_of(text)
    expected = [
        "network.nodes[2].memory: given 2 times, expected once",
        "network.nodes[1].swap: found 2",
        "network.nodes[1].id: 'A' is already the id of nodes[0]",
        "network.links[1].p: found inf",
        "network.links[0].target: no node is called 'B'",
        "network.links[1].source: no node is called 'B'",
        "network.links[2].target: no node is called 'Q'",
        "network.links[3].colour: unknown field",
        "requests[0].source: no node is called 'Z'",
        "requests[0].id: 'r' is the id of 2 requests",
        "requests[1].id: 'r' is the id of 2 requests",
        "requests[1].weight: found 0",
        "task: found 'both'",
        "extra: unknown field",
    ]
    for start in expected:
        assert sum(fault.startswith(start) for fault in faults) == 1, (start, faults)
    assert len(faults) == len(expected)


def test_faults_name_the_file(tmp_path):
    place = tmp_path / "bad.json"
    place.write_text(changed(((*LINK, "p"), 7)))
    with pytest.raises(ProblemError, match=r"bad\.json: network\.links\[1\]\.p: found 7"):
        load_problem(place)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "format: missing, expected 'qnroute.problem/1'"),
        ('{"format": "qnroute.problem/2"}', "format: found 'qnroute.problem/2', expected 'qnroute.problem/1'"),
        ('{"format": 1}', "format: found 1"),
        ("[]", "found a list of 0, expected a JSON object"),
        ("null", "found None, expected a JSON object"),
        ("", "the file is empty"),
        (EXAMPLE[:300], "the JSON text ends before it is complete"),
        ("[" * 10**5, "nested too deeply"),
        (b"\xff\xfe{", "expected UTF-8 text"),
    ],
)
def test_what_is_no_problem_file(text, message):
    (fault,) = faults_of(text)
    assert message in fault


def test_a_byte_order_mark_is_tolerated():
    assert parse_problem(b"\xef\xbb\xbf" + EXAMPLE.encode()) == parse_problem(EXAMPLE)


def test_numbers_out_of_range_are_reported_with_their_field():
    text = EXAMPLE.replace('"p": 0.6', '"p": NaN').replace('"p": 0.5', '"p": 1e999').replace("1.0", "9" * 5000)
    assert [fault.split(",")[0] for fault in faults_of(text)] == [
        "network.links[0].p: found nan",
        "network.links[1].p: found inf",
        "requests[0].weight: found inf",
    ]


def test_an_id_of_a_million_characters_makes_a_short_message():
    faults = faults_of(changed(((*NODE, "id"), "x" * 10**6), ((*REQUEST, "source"), "y" * 10**6)))
    assert len(str(ProblemError(faults))) < 1500


def test_lone_surrogates_are_refused():
    faults = faults_of(EXAMPLE.replace('"id": "D"', '"id": "\\ud800"'))
    assert any(fault.startswith("network.nodes[3].id") for fault in faults)
    assert all(fault.encode() for fault in faults)


def test_thousands_of_faults_make_one_short_line():
    links = [{"source": f"n{i}", "target": "gone", "p": 2} for i in range(5000)]
    faults = faults_of(changed((("network", "links"), links)))
    assert len(faults) == 5000 * 3
    assert len(str(ProblemError(faults))) < 3000


def test_large_files_are_read():
    n = 2000
    nodes = [{"id": f"n{i}"} for i in range(n)]
    links = [{"source": f"n{i}", "target": f"n{(i + k) % n}", "p": 0.5} for i in range(n) for k in (1, 2, 3)]
    requests = [{"id": f"r{i}", "source": f"n{i}", "target": f"n{n - 1 - i}"} for i in range(n // 2)]
    text = changed((("network", "nodes"), nodes), (("network", "links"), links), (("requests",), requests))
    problem = parse_problem(text)
    assert (problem.network.n_links, len(problem.requests)) == (3 * n, n // 2)


def test_network_files(tmp_path):
    network = load_network(DATA / "hamlets.json")
    assert network.notes == ("doubtful: both hamlets are invented",)
    assert (network.n_links, network.channels[0], network.memory[1]) == (1, 3, 6)
    save_network(network, tmp_path / "again.json")
    again = load_network(tmp_path / "again.json")
    assert again == network and again.notes == network.notes


def test_the_bare_network_object_of_the_contract(tmp_path):
    bare = json.loads(EXAMPLE)["network"]
    (tmp_path / "bare.json").write_text(json.dumps(bare))
    assert load_network(tmp_path / "bare.json") == parse_problem(EXAMPLE).network
    bare["links"][0]["P"] = bare["links"][0].pop("p")
    bare["links"][1]["target"] = "Q"
    (tmp_path / "bare.json").write_text(json.dumps(bare))
    with pytest.raises(ProblemError) as caught:
        load_network(tmp_path / "bare.json")
    assert caught.value.faults == (
        "links[0].p: missing, but required",
        "links[0].P: unknown field",
        "links[1].target: no node is called 'Q'",
    )


def test_the_network_of_a_problem_file():
    problem = load_problem(DATA / "diamond.json")
    assert isinstance(problem, Problem)
    assert load_network(DATA / "diamond.json") == problem.network


def test_hardware_and_stations_for_a_network_that_says_everything():
    network = load_network(DATA / "hamlets.json", hardware="repeater", repeater_km=15)
    assert (network.n_nodes, network.n_links) == (4, 3)
    assert network.fidelity.min() > 0.9 and network.channels.tolist() == [3, 3, 3]
