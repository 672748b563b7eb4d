"""README, contract and examples do what they say."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import oracle
import pytest
from helpers import ROOT, problem_of

import qnroute as qn
from qnroute import catalog
from qnroute.builtin import BUILT_IN
from qnroute.method import Method

README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_every_example_runs(path, tmp_path):
    made = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert made.stdout and not made.stderr


def test_the_readme_program_runs(tmp_path):
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("optimal")
    assert (tmp_path / "surfnet.mps").exists()


def test_the_readme_names_every_method_and_nothing_that_is_not_there():
    table = README[README.index("## Methods") : README.index("## Where things are")]
    assert {
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall("`(.*?)`", row)
    } == {method.name for method in BUILT_IN}
    for link in re.findall(r"\]\((.*?)\)", README):
        assert (ROOT / link).exists()


def test_the_page_on_time_names_every_policy_and_predictor():
    from qnroute.learning.predictors import PREDICTORS
    from qnroute.simulation.policies import BUILT_IN as POLICIES
    from qnroute.simulation.policies import PREDICTED

    page = (ROOT / "docs" / "simulation.md").read_text()
    table = page[page.index("## Policies") : page.index("### lookahead")]
    assert set(re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE)) == {kind.name for kind in POLICIES}
    assert set(PREDICTED) == set(PREDICTORS)
    told = page[page.index("## Predictors") :]
    assert all(f"`{name}`" in told for name in PREDICTORS)


def test_the_page_on_scores_names_every_column_and_its_commands_run(tmp_path, monkeypatch):
    """As the README has them, on shorter runs and one kind of model."""
    from qnroute.cli import run
    from qnroute.learning.links.telemetry_files import COLUMNS

    page = (ROOT / "docs" / "scores.md").read_text()
    table = page[page.index("## Telemetry") : page.index("## Models")]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert {name for row in rows for name in re.findall("`(.*?)`", row)} == set(COLUMNS)
    monkeypatch.chdir(tmp_path)
    shorter = {"simulate": ["--runs", "1", "--slots", "500", "--no-bound"], "evaluate": ["--model", "linear"]}
    (block,) = [found for found in README.split("```")[1::2] if "qnroute score" in found]
    for line in block.strip().replace("\\\n", " ").splitlines():
        words = line.split()[1:]
        if "predict" in words:
            (tmp_path / "today.csv").write_bytes((tmp_path / "past.csv.gz").read_bytes())
            network = words[words.index("--problem") + 1]
            drawn = ["problem", "--network", "erdos-renyi:n=16,probability=0.25,p=0.12,fidelity=0.92"]
            assert run([*drawn, "--requests", "3", "--out", network]) == 0
        assert run(words + [part for name, more in shorter.items() if name in words for part in more]) == 0
    assert {"past.csv.gz", "scores.png", "model.safetensors", "forecast.json"} <= {p.name for p in tmp_path.iterdir()}


def test_the_readme_commands_are_targets_of_make():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= targets
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_the_formulation_page_names_every_block():
    page = (ROOT / "docs" / "formulations.md").read_text()
    network = qn.generate.grid(3, 3, p=0.5, channels=1, memory=2, fidelity=0.9)
    asked = qn.generate.requests(network, 4, seed=1, min_fidelity=0.5, routes=2)
    for kind in ("expected-pairs", "link-sum"):
        problem = qn.Problem(network, asked, objective=kind, rules={"degree": 1, "max_hops": 3})
        for model in (qn.models.LinkFlow(problem), qn.models.PathPacking(problem)):
            for block in (*model.columns, *model.rows):
                assert block == "z" or f"`{block}`" in page or f"\n    {block} " in page, block


def test_the_contract_problem_is_read_as_written(contract_example, tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps(contract_example))
    problem = qn.load_problem(path)
    assert problem == problem_of(contract_example)
    assert problem.network.n_links == 4 and problem.requests[0] == qn.Request("r1", "A", "D", min_fidelity=0.8)
    figures = oracle.route_figures(contract_example, contract_example["requests"][0], ["A", "C", "D"])
    assert qn.solve(problem).objective == pytest.approx(figures[2])


def test_section_5_of_the_contract(contract_example, tmp_path):
    """The Python of the contract, line by line."""
    network = qn.load_network("surfnet")
    assert qn.Network.from_networkx(network.to_networkx()) == network.replace(notes=())
    requests = qn.generate.requests(network, 5, seed=1)
    problem = qn.Problem(network, requests, objective="expected-pairs")
    result = qn.solve(problem, method="exact", time_limit=60)
    assert result.allocation.routes and result.objective <= result.bound and result.gap <= 1e-6
    assert result.status == "optimal"
    assert json.loads(result.to_json()) == json.loads(json.dumps(result.to_dict()))
    result.save(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == json.loads(result.to_json())
    assert qn.check(problem, result.allocation) is None
    with pytest.raises(qn.InfeasibleAllocation, match="routes at request r"):
        qn.check(problem, qn.Allocation([result.allocation.routes[0]] * 2))
    model = qn.models.LinkFlow(problem.replace(requests=requests[:1]))
    assert model.to_highs() and model.to_pyomo() is not None and model.to_pulp()
    model.write(str(tmp_path / "x.lp"))
    assert "exact" in qn.methods()
    assert issubclass(qn.ProblemError, ValueError)


def test_result_file_carries_exactly_the_fields_of_the_contract(contract_example):
    result = qn.solve(problem_of(contract_example), seed=3).to_dict()
    assert list(result) == (
        "format problem method status objective bound gap seconds routes links seed options trace versions".split()
    )
    assert set(result["problem"]) == {"name", "sha256"}
    assert set(result["routes"][0]) == {"request", "nodes", "probability", "fidelity", "value"}


def test_the_fingerprint_is_of_the_content_not_of_the_file(contract_example):
    spelled_out = json.loads(json.dumps(contract_example))
    spelled_out["requests"][0].update(arrival=None, routes=1)
    assert problem_of(contract_example).sha256 == problem_of(spelled_out).sha256
    spelled_out["requests"][0]["weight"] = 2.0
    assert problem_of(contract_example).sha256 != problem_of(spelled_out).sha256


def test_extensions_register_by_entry_point(monkeypatch, contract_example):
    """A good one answers and is judged; a broken one says why and takes nothing else with it."""
    import importlib.metadata

    class Entry:
        def __init__(self, name, loaded):
            self.name, self.loaded, self.value = name, loaded, "somewhere:METHOD"

        def load(self):
            if isinstance(self.loaded, Exception):
                raise self.loaded
            return self.loaded

    mine = Method("mine", "always the same route", _always_through_c)
    cheat = Method("cheat", "twice the route that is allowed once", _cheating)
    entries = [Entry("mine", mine), Entry("cheat", cheat), Entry("broken", ImportError("no module named x"))]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: entries if group == "qnroute.methods" else [])
    problem = problem_of(contract_example)
    assert qn.solve(problem, "mine").objective == pytest.approx(0.648)
    assert "no module named x" in qn.methods()["broken"]
    with pytest.raises(qn.SolverError, match="not available: no module named x"):
        qn.solve(problem, "broken")
    with pytest.raises(qn.InfeasibleAllocation):
        qn.solve(problem, "cheat")


def _always_through_c(problem, settings):
    from qnroute.settings import Answer

    return Answer(qn.Allocation([qn.Route("r1", ("A", "C", "D"))]))


def _cheating(problem, settings):
    from qnroute.settings import Answer

    return Answer(qn.Allocation([qn.Route("r1", ("A", "C", "D"))] * 2))


def test_options_are_validated_by_name_and_type(contract_example):
    problem = problem_of(contract_example)
    for options, words in (
        ({"nonsense": 1}, "no option 'nonsense'"),
        ({"threads": 0}, "an integer from 1 to 256"),
        ({"threads": "two"}, "found 'two'"),
        ({"threads": 1.5}, "expected an integer"),
        ({"threads": True}, "expected an integer"),
        ({"max_routes": np.int64(0)}, "option max_routes"),
    ):
        with pytest.raises(qn.ProblemError, match=re.escape(words)):
            qn.solve(problem, "exact", **options)
    assert qn.solve(problem, "exact", threads=np.int64(1), max_routes="500").options == {
        "threads": 1,
        "workers": 0,
        "max_routes": 500,
    }
    with pytest.raises(qn.ProblemError, match="expected one of auto, link-flow"):
        qn.solve(problem, "pyomo", model="simplex")
    for setting in ({"time_limit": -1}, {"time_limit": float("nan")}, {"gap": -0.1}, {"seed": -1}, {"seed": 1.5}):
        with pytest.raises(qn.ProblemError, match=next(iter(setting))):
            qn.solve(problem, "exact", **setting)


def test_every_bundled_network_is_attributed():
    text = (ROOT / "qnroute" / "catalog" / "ATTRIBUTION.md").read_text()
    for name in catalog.names():
        assert catalog.describe(name).citation and name in text


def test_the_commands_of_the_page_on_policies_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from qnroute.cli import run
    from qnroute.formats import save_problem
    from qnroute.learning.routing.pool import usual_problem

    save_problem(usual_problem(1), "problem.json")
    page = (ROOT / "docs" / "policies.md").read_text().split("```")[1]
    lines = [line.split("  ")[0].split()[1:] for line in page.strip().splitlines() if "bench" not in line]
    for words in lines:
        if words[0] == "train":
            words = ["train", "ppo", "--smoke", "--out", "mine.safetensors"]
        assert run(words) == 0
    assert len(lines) == 6
