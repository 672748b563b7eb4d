"""The formulations: their blocks, what their raw values mean, and every way out of them."""

from __future__ import annotations

import json
import random

import networkx as nx
import numpy as np
import oracle
import pytest
import scipy.sparse as sparse
from helpers import ROOT, problem_of

import qnroute as qn
from qnroute.errors import ProblemError, SolverError
from qnroute.models import LinkFlow, LinkSelection, PathPacking
from qnroute.models.linear import Matrix
from qnroute.settings import Settings
from qnroute.solvers.highs import solve_matrix

MODELS = {"link-flow": LinkFlow, "path-packing": PathPacking}


def _solved(model):
    """Raw column values by HiGHS, with presolve off: no rule of it stands between the model and its optimum."""
    highs = model.to_highs()
    highs.setOptionValue("presolve", "off")
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.run()
    return np.array(highs.getSolution().col_value), highs.getInfo().objective_function_value


def _cyclic():
    """A triangle of perfect links off the way between a and b: a cycle there is free, or pays under link-sum."""
    nodes = [{"id": name} for name in "abxyz"]
    ends = ["ab", "bx", "xy", "yz", "zx", "az"]
    links = [{"source": u, "target": v, "p": 1.0 if u in "xyz" else 0.5} for u, v in ends]
    return qn.Network(nodes, links)


@pytest.mark.parametrize("kind", ["expected-pairs", "log-success", "link-sum"])
def test_no_phantom_cycles_in_the_raw_values(kind):
    """The arcs in use by a commodity are its path and nothing else, in the values themselves, before decoding."""
    rng = random.Random(kind)
    problems = [qn.Problem(_cyclic(), [qn.Request("r", "a", "b")], objective=kind)]
    problems += [problem_of(oracle.random_problem(rng, objective=kind)) for _ in range(60)]
    for problem in problems:
        model = LinkFlow(problem)
        if not model.n_columns:
            continue
        values, _ = _solved(model)
        for c, (used, served) in enumerate(zip(model.columns["x"].of(values) > 0.5, model.columns["serve"].of(values))):
            graph = nx.DiGraph(zip(model.tail[used].tolist(), model.head[used].tolist()))
            request = problem.requests[model.commodity[c]]
            ends = problem.network.index[request.source], problem.network.index[request.target]
            if served < 0.5:
                assert not graph
            else:
                assert graph.number_of_edges() == len(nx.shortest_path(graph, *ends)) - 1


def test_link_sum_takes_the_detour_it_rewards_but_no_cycle():
    result = qn.solve(qn.Problem(_cyclic(), [qn.Request("r", "a", "b")], objective="link-sum"), "link-flow")
    assert result.allocation.routes[0].nodes == ("a", "z", "y", "x", "b")


def test_expected_pairs_is_exact_in_the_flow_model():
    """g carries the product: the model's own optimum is the sum of weight * P over its routes."""
    rng = random.Random("gain")
    for _ in range(60):
        document = oracle.random_problem(rng, objective="expected-pairs")
        model = LinkFlow(problem_of(document))
        if model.n_columns:
            values, objective = _solved(model)
            assert objective == pytest.approx(oracle.optimum(document)[0], rel=1e-6, abs=1e-7)
            assert qn.value(model.problem, model.decode(values)) == pytest.approx(objective, rel=1e-6, abs=1e-7)


def test_floors_and_hop_limits_are_rows_of_the_flow_model(contract_example):
    contract_example["rules"]["max_hops"] = 2
    model = LinkFlow(problem_of(contract_example))
    assert model.rows["hops"].size == 1 and model.rows["fidelity"].size == 1
    assert set(model.columns) == {"x", "serve", "g", "position"}
    assert model.columns["x"].axes[0] == ("commodity", ["r1"])
    assert model.columns["x"].shape == (1, 8)


def test_blocks_cover_all_columns_and_rows_and_no_entry_is_given_twice():
    rng = random.Random("blocks")
    for _ in range(60):
        problem = problem_of(oracle.random_problem(rng))
        for kind in MODELS.values():
            model = kind(problem)
            matrix = model.matrix
            assert matrix.a.shape == (model.n_rows, model.n_columns)
            assert [block.start for block in model.columns.values()] == np.cumsum(
                [0, *(block.size for block in model.columns.values())]
            )[:-1].tolist()
            dense = matrix.a.toarray()
            matrix.a.sum_duplicates()
            assert np.array_equal(dense, matrix.a.toarray())
            assert len(set(model.column_names())) == model.n_columns
            assert len(set(model.row_names())) == model.n_rows


def test_lp_relaxation_of_packing_bounds_the_flow_model():
    rng = random.Random("relaxed")
    for _ in range(30):
        problem = problem_of(oracle.random_problem(rng, objective="log-success"))
        packing = PathPacking(problem)
        if not packing.n_columns:
            continue
        highs = packing.to_highs()
        highs.changeColsIntegrality(
            packing.n_columns, np.arange(packing.n_columns, dtype=np.int32), np.zeros(packing.n_columns, dtype=np.uint8)
        )
        highs.run()
        assert highs.getInfo().objective_function_value >= qn.solve(problem, "link-flow").objective - 1e-6


@pytest.mark.parametrize("ending", [".mps", ".lp"])
@pytest.mark.parametrize("name", MODELS)
def test_written_files_read_back_to_the_same_optimum(name, ending, tmp_path):
    import highspy

    rng = random.Random(name + ending)
    for number in range(12):
        document = oracle.random_problem(rng)
        model = MODELS[name](problem_of(document))
        best, _ = oracle.optimum(document)
        if not model.n_columns:
            continue
        path = tmp_path / f"{number}{ending}"
        written = model.write(str(path))
        assert written == [str(path), str(tmp_path / f"{number}.legend.json")]
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        assert highs.readModel(str(path)) == highspy.HighsStatus.kOk
        highs.setOptionValue("presolve", "off")
        highs.run()
        assert highs.getInfo().objective_function_value == pytest.approx(best, rel=1e-6, abs=1e-6)
        legend = json.loads((tmp_path / f"{number}.legend.json").read_text())
        names = [column for block in legend["columns"].values() for column in block["names"]]
        assert names == model.column_names()
        assert set(highs.getLp().col_names_) == set(names)  # an LP file is read in order of appearance


def test_pulp_reads_the_written_mps(tmp_path, contract_example):
    """A reader that is not HiGHS understands the file too."""
    import pulp

    model = PathPacking(problem_of(contract_example))
    model.write(str(tmp_path / "x.mps"))
    names, made = pulp.LpProblem.fromMPS(str(tmp_path / "x.mps"), sense=pulp.LpMaximize)
    made.solve(pulp.HiGHS(msg=False))
    assert pulp.value(made.objective) == pytest.approx(0.648)
    assert set(names) == set(model.column_names())


def test_pyomo_and_pulp_models_hold_the_blocks(contract_example):
    problem = problem_of(contract_example)
    model = LinkFlow(problem)
    made = model.to_pyomo()
    assert len(made.x) == 8 and len(made.flow) == 4 and made.value.sense == -1
    pulp_model = model.to_pulp()
    assert len(pulp_model.variables()) == model.n_columns
    assert {"x_0_0", "serve_0", "g_0_0"} <= {variable.name for variable in pulp_model.variables()}


def test_bad_endings_and_wrong_tasks_are_refused(contract_example, tmp_path):
    problem = problem_of(contract_example)
    with pytest.raises(ProblemError, match=r"\.mps or \.lp"):
        LinkFlow(problem).write(str(tmp_path / "x.txt"))
    with pytest.raises(SolverError, match="link-selection states the task link-selection"):
        LinkSelection(problem)
    selection = problem.replace(requests=[], task="link-selection")
    for kind in MODELS.values():
        with pytest.raises(SolverError, match="not link-selection"):
            kind(selection)


def test_huge_models_are_refused_not_built():
    links = np.arange(2999)
    network = qn.Network.from_columns([f"n{i}" for i in range(3000)], links, links + 1, p=0.5, channels=10**6)
    problem = qn.Problem(network, [qn.Request("r", "n0", "n9", routes=10**6)])
    with pytest.raises(SolverError, match="coefficients, more than"):
        LinkFlow(problem)


def test_too_many_routes_are_refused_plainly():
    network = qn.generate.grid(7, 7, p=0.9)
    problem = qn.Problem(network, [qn.Request("corner", "n0", "n48")])
    with pytest.raises(SolverError, match="request corner have more routes"):
        qn.solve(problem, "path-packing", max_routes=1000)


HIGHS_BUG = {
    "format": "qnroute.problem/1",
    "network": {
        "nodes": [
            {"id": "10"},
            {"id": "9"},
            {"id": "8"},
            {"id": "7", "swap": 0.8},
            {"id": "6", "memory": 6},
            {"id": "5", "memory": 4, "swap": 0.8},
        ],
        "links": [
            {"source": "9", "target": "10", "p": 0.48, "channels": 2},
            {"source": "9", "target": "8", "p": 1.0},
            {"source": "7", "target": "9", "p": 1.0},
            {"source": "9", "target": "6", "p": 0.592, "channels": 2},
            {"source": "5", "target": "9", "p": 0.284},
            {"source": "7", "target": "10", "p": 0.618, "channels": 3},
            {"source": "10", "target": "5", "p": 0.5, "channels": 3},
            {"source": "10", "target": "8", "p": 0.754, "channels": 2},
            {"source": "6", "target": "5", "p": 0.615, "channels": 3},
        ],
    },
    "requests": [
        {"id": "r1", "source": "5", "target": "6", "weight": 0.5},
        {"id": "r2", "source": "8", "target": "10", "routes": 2},
        {"id": "r3", "source": "9", "target": "5", "weight": 0.971, "routes": 2},
        {"id": "r4", "source": "9", "target": "5", "routes": 3},
    ],
    "objective": {"kind": "log-success", "serve_reward": 0.5},
    "rules": {"max_hops": 2},
}


def test_a_program_on_which_highs_presolve_is_wrong():
    """HiGHS 1.15.1 calls -0.0094 optimal here, with its presolve rule 12 (aggregator) on; all zero is worth 0."""
    result = qn.solve(problem_of(HIGHS_BUG), "link-flow")
    assert result.objective == pytest.approx(oracle.optimum(HIGHS_BUG)[0])
    assert result.status == "optimal"


def test_highs_proves_no_less_than_is_known():
    """HiGHS 1.12 to 1.15.1 call 4.7369 optimal here, unless they may not restart; `known` is worth 4.7379."""
    with np.load(ROOT / "tests/data/restarted.npz") as kept:
        known, rows, count = kept["known"], len(kept["capacity"]), len(kept["cost"])
        a = sparse.csc_array((kept["data"].astype(float), kept["indices"], kept["indptr"]), shape=(rows, count))
        capacity, whole = kept["capacity"].astype(float), np.ones(count, dtype=bool)
        upper = kept["upper"].astype(float)
        matrix = Matrix(kept["cost"], np.zeros(count), upper, whole, np.full(rows, -np.inf), capacity, a)
    assert (a @ known <= capacity).all()
    outcome = solve_matrix(matrix, Settings())
    assert matrix.cost @ outcome.values >= matrix.cost @ known - 1e-9
    assert outcome.bound >= matrix.cost @ known - 1e-9
