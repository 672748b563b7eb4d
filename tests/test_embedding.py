"""Minor embeddings: valid ones, honest failures, and a check that misses nothing."""

from __future__ import annotations

import itertools
import sys
import threading
import time

import networkx as nx
import numpy as np
import pytest

from qnroute.errors import ProblemError, SolverError
from qnroute.models import Quadratic
from qnroute.solvers import Embedding, embed, embedding
from qnroute.solvers.embedding import SIZES, Target, broken, target_graph


def model_of(graph):
    """A model with a coupler on each edge of a graph whose nodes are 0, 1, ..."""
    ends = np.array(sorted(tuple(sorted(edge)) for edge in graph.edges), np.int64).reshape(-1, 2)
    return Quadratic(np.ones(len(graph)), ends[:, 0], ends[:, 1], np.ones(len(ends)))


def valid(chains, graph, target):
    """The definition, in plain words."""
    return (
        all(chain and set(chain) <= set(target) and nx.is_connected(target.subgraph(chain)) for chain in chains)
        and len({q for chain in chains for q in chain}) == sum(map(len, chains))
        and all(any(target.has_edge(p, q) for p in chains[u] for q in chains[v]) for u, v in graph.edges)
    )


def as_graph(target):
    graph = nx.Graph(zip(target.one.tolist(), target.other.tolist()))
    graph.add_nodes_from(target.nodes.tolist())
    return graph


@pytest.mark.parametrize("topology", SIZES)
def test_small_models_are_embedded(topology):
    sparse = nx.gnp_random_graph(30, 0.1, seed=1)
    for graph in (nx.complete_graph(4), sparse, nx.disjoint_union(nx.path_graph(3), nx.empty_graph(2))):
        target = target_graph(topology, SIZES[topology])
        found = embed(model_of(graph), topology, seed=1)
        assert isinstance(found, Embedding) and found.found and found.stopped is None and found.why == ""
        assert valid(found.chains, graph, as_graph(target))
        assert (found.topology, found.size, found.qubits) == (topology, SIZES[topology], len(target.nodes))
        assert (found.variables, found.couplers) == (len(graph), graph.number_of_edges())
        lengths = [len(chain) for chain in found.chains]
        assert (found.used, found.longest) == (sum(lengths), max(lengths))
        assert found.mean == pytest.approx(np.mean(lengths))


def test_graphs_are_those_of_the_machines():
    counts = {name: (len(made.nodes), len(made.one)) for name in SIZES if (made := target_graph(name, SIZES[name]))}
    assert counts == {"pegasus": (5640, 40484), "zephyr": (4800, 45864), "chimera": (2048, 6016)}


def test_a_complete_graph_needs_no_more_than_it_must():
    """K4 is in Pegasus as it is, and K8 needs chains on Chimera, where nobody has more than 6 neighbours."""
    assert embed(model_of(nx.complete_graph(4)), "pegasus", seed=1).used == 4
    assert embed(model_of(nx.complete_graph(8)), "chimera", size=4, seed=1).longest >= 2


def test_the_same_seed_gives_the_same_embedding():
    model = model_of(nx.gnp_random_graph(30, 0.15, seed=2))
    one, same, other = (embed(model, "zephyr", seed=seed, time_limit=None) for seed in (1, 1, 2**70 - 1))
    assert one.chains == same.chains and one.chains != other.chains


def test_couplers_of_bias_nothing_need_no_edge():
    full = model_of(nx.complete_graph(5))
    silent = Quadratic(full.linear, full.row, full.col, np.where(full.row == 0, 1.0, 0.0))
    found = embed(silent, "chimera", size=2, seed=1)
    assert found.couplers == 4 and valid(found.chains, nx.star_graph(4), as_graph(target_graph("chimera", 2)))


@pytest.mark.parametrize(
    ("graph", "size", "why"),
    [
        (nx.complete_graph(200), 2, "200 variables, more than the 40 qubits"),
        (nx.complete_graph(30), 2, "435 couplers, more than the 164 of the graph"),
        (nx.complete_graph(18), 2, "none in 2 tries"),
        (nx.empty_graph(41), 2, "41 variables, more than the 40 qubits"),
        (nx.disjoint_union(nx.complete_graph(9), nx.empty_graph(31)), 2, "qubits are left for 31 variables without"),
    ],
)
def test_what_does_not_fit_is_not_found(graph, size, why):
    found = embed(model_of(graph), "pegasus", size=size, seed=1, tries=2)
    assert not found.found and found.chains is None and why in found.why and found.stopped is None
    assert (found.used, found.longest, found.mean) == (0, 0, 0.0)


def test_empty_models_and_lonely_variables():
    assert embed(model_of(nx.empty_graph(0))).chains == ()
    found = embed(model_of(nx.empty_graph(40)), size=2)
    assert found.used == 40 and found.longest == 1


def test_limits_and_interruptions():
    """A pass over 150 variables that are all coupled takes longer than either; what came before it counts."""
    model, interrupted = model_of(nx.complete_graph(150)), threading.Event()
    found = embed(model, time_limit=1.0, seed=1)
    assert not found.found and found.stopped == found.why == "time-limit"
    interrupted.set()
    found = embed(model, interrupted=interrupted, seed=1)
    assert not found.found and found.stopped == found.why == "interrupted"


def test_the_best_so_far_is_kept(monkeypatch, tmp_path):
    """A search that prints one embedding, then half of another, and never ends."""
    one, other = (int(end[0]) for end in target_graph("pegasus", 2)[1:])
    program = tmp_path / "search.py"
    program.write_text(
        f"import time\nprint([[0, {one}], [1, {other}]])\nprint('[[0, ', end='', flush=True)\ntime.sleep(600)"
    )
    monkeypatch.setattr(embedding, "_PROGRAM", str(program))
    found = embed(model_of(nx.path_graph(2)), size=2, time_limit=2.0)
    assert found.chains == ((one,), (other,)) and found.stopped == "time-limit"


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be asked to end")
def test_an_interrupted_search_may_say_what_it_has(monkeypatch, tmp_path):
    program, ready, interrupted = tmp_path / "search.py", tmp_path / "ready", threading.Event()
    program.write_text(
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print([[0, 0], [1, 4]])))\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "time.sleep(600)\n"
    )
    monkeypatch.setattr(embedding, "_PROGRAM", str(program))

    def interrupt():
        while not ready.exists():
            time.sleep(0.01)
        interrupted.set()

    threading.Thread(target=interrupt, daemon=True).start()
    found = embed(model_of(nx.path_graph(2)), "chimera", size=2, interrupted=interrupted)
    assert found.chains == ((0,), (4,)) and found.stopped == "interrupted"


def test_a_search_that_fails_or_lies_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(embedding, "_PROGRAM", str(tmp_path / "search.py"))
    for program, why in (
        ("raise MemoryError('no more')", "embedding: MemoryError: no more"),
        ("raise SystemExit(3)", "embedding: it ended with status 3"),
        ("print([[0, 1], [1, 1]])", "gave one that is none: qubit 1 is in two chains"),
    ):
        (tmp_path / "search.py").write_text(program)
        with pytest.raises(SolverError, match=why):
            embed(model_of(nx.path_graph(2)), "chimera", size=2)


@pytest.mark.parametrize(("name", "package"), [("minorminer", "minorminer"), ("dwave.graphs", "dwave-graphs")])
def test_what_is_not_installed_is_said(name, package, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SolverError, match=rf"^{package} is not installed: pip install 'qnroute\[embed\]'$"):
        embed(model_of(nx.path_graph(2)))


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"topology": "torus"}, "topology: found 'torus', expected pegasus, zephyr, chimera"),
        ({"size": 1}, "size: found 1, expected 2 to 20"),
        ({"size": 2.5}, "size: found 2.5, expected"),
        ({"time_limit": 0}, "time_limit: found 0"),
        ({"time_limit": float("nan")}, "time_limit: found nan"),
        ({"tries": 0}, "tries: found 0"),
    ],
)
def test_what_makes_no_sense_is_refused(how, why):
    with pytest.raises(ProblemError, match=why):
        embed(model_of(nx.path_graph(2)), **how)


def test_the_check_against_the_definition():
    """On all small sets of chains that could be tried, right and wrong ones, it says what the definition says."""
    rng, seen = np.random.default_rng(1), {True: 0, False: 0}
    for _ in range(3000):
        graph = nx.gnp_random_graph(int(rng.integers(3, 8)), 0.5, seed=rng)
        target = nx.relabel_nodes(graph, dict(enumerate(rng.permutation(10).tolist())))
        ends = np.array(target.edges, np.int64).reshape(-1, 2)
        given = Target(np.array(target.nodes, np.int64), ends[:, 0], ends[:, 1])
        n = int(rng.integers(1, 4))
        qubits = rng.permutation([*target.nodes, *rng.integers(0, 12, 1)])[: int(rng.integers(n, len(target) + 1))]
        chains = [part.tolist() for part in np.split(qubits, np.sort(rng.integers(0, len(qubits) + 1, n - 1)))]
        source = nx.Graph([pair for pair in itertools.combinations(range(n), 2) if rng.random() < 0.6])
        source.add_nodes_from(range(n))
        model = model_of(source)
        good = valid(chains, source, target)
        assert (broken(chains, model.row, model.col, given) == "") == good
        seen[good] += 1
    assert min(seen.values()) > 300


@pytest.mark.parametrize(
    ("chains", "why"),
    [
        ([[0], []], "variable 1 has no qubit"),
        ([[0], [9]], "variable 1 has a qubit 9, which is not in the graph"),
        ([[0], [0]], "qubit 0 is in two chains"),
        ([[0, 0], [1]], "qubit 0 is in two chains, or twice in one"),
        ([[0, 2], [1]], "the chain of variable 0 is not connected"),
        ([[0], [2]], "no edge joins the chains of variables 0 and 1"),
        ([[0, 1], [3, 2]], ""),
    ],
)
def test_what_the_check_says(chains, why):
    path = Target(np.arange(4), np.arange(3), np.arange(1, 4))
    said = broken(chains, np.array([0]), np.array([1]), path)
    assert said.startswith(why) if why else said == ""
