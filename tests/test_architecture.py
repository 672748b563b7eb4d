"""The walls of the house: who may import whom, and what an import may cost."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from helpers import ROOT

HEAVY = ("torch", "ray", "pyomo", "pulp", "matplotlib", "statsmodels", "sklearn")
RIGHT_OF_DOMAIN = ("models", "solvers", "learning", "simulation", "benchmark", "cli")


def _imports(path, *, top_only: bool) -> set[str]:
    """Modules a file imports; at its top level only (``try`` too), or anywhere outside ``if TYPE_CHECKING``."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    tried = [node for block in tree.body if isinstance(block, ast.Try) for node in block.body]
    nodes = [*tree.body, *tried] if top_only else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _files(folder: str) -> list:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", sorted((ROOT / "qnroute").glob("*.py")), ids=lambda path: path.name)
def test_the_domain_imports_nothing_to_its_right(path):
    if path.name in ("methods.py", "__init__.py", "__main__.py"):
        return
    right = {name for name in _imports(path, top_only=False) if name.split(".")[1:2] and name.startswith("qnroute.")}
    assert not {name for name in right if name.split(".")[1] in RIGHT_OF_DOMAIN}


@pytest.mark.parametrize("path", _files("models"), ids=lambda path: path.name)
def test_models_know_no_solver(path):
    assert not {name for name in _imports(path, top_only=False) if name.startswith(("qnroute.solvers", "qnroute.cli"))}


@pytest.mark.parametrize("path", _files("solvers"), ids=lambda path: path.name)
def test_solvers_know_no_command(path):
    assert not {name for name in _imports(path, top_only=False) if name.startswith("qnroute.cli")}


@pytest.mark.parametrize("path", _files("qnroute/learning"), ids=lambda path: path.name)
def test_forecasts_know_no_simulator(path):
    found = _imports(path, top_only=False)
    assert not {name for name in found if name.startswith(("qnroute.simulation", "qnroute.benchmark", "qnroute.cli"))}


@pytest.mark.parametrize("path", _files("qnroute/simulation"), ids=lambda path: path.name)
def test_the_simulator_knows_no_experiment(path):
    found = _imports(path, top_only=False)
    assert not {name for name in found if name.startswith(("qnroute.benchmark", "qnroute.cli"))}


@pytest.mark.parametrize("path", _files("qnroute") + _files("models") + _files("solvers"), ids=lambda path: path.name)
def test_heavy_libraries_are_imported_where_they_are_used(path):
    base_classes = {"sklearn"} if path.parent == ROOT / "qnroute" / "learning" / "links" else set()
    assert not {name for name in _imports(path, top_only=True) if name.partition(".")[0] in set(HEAVY) - base_classes}


def test_no_module_is_two_ideas_long():
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("qnroute", "models", "solvers")
        for path in _files(folder)
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert not long


def _loaded_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*(name for name in sys.modules if '.' not in name), file=sys.stderr)"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(made.stderr.split())


def test_importing_qnroute_loads_next_to_nothing():
    extra = {"numpy", "scipy", "networkx", "highspy", "numba", "pydantic", "typer", "rich", "dimod", *HEAVY}
    assert not _loaded_after("import qnroute") & extra


def test_importing_what_is_learned_loads_no_library_that_learns():
    assert not _loaded_after("import qnroute, qnroute.learning, qnroute.learning.links") & {"numpy", *HEAVY}
    assert not _loaded_after("from qnroute.learning.links import SCORERS") & set(HEAVY)


def test_listing_methods_needs_no_numerics():
    loaded = _loaded_after("from qnroute.cli import run; run(['methods'])")
    assert not loaded & {"numpy", "scipy", "networkx", "highspy", "numba", "dimod", *HEAVY}


def test_flow_and_selection_models_need_no_compiler():
    code = "import qnroute as qn; qn.models.LinkFlow, qn.models.LinkSelection"
    assert "numba" not in _loaded_after(code)


def test_methods_is_a_function_whatever_is_imported_first():
    for first in ("import qnroute.methods", "from qnroute.methods import solve", "import qnroute.cli"):
        code = f"{first}; import qnroute as qn; assert 'exact' in qn.methods(); assert callable(qn.solve)"
        subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there():
    import qnroute as qn

    assert all(getattr(qn, name) is not None for name in qn.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        qn.nonsense  # noqa: B018


def test_symbolic_links_of_the_checkout_are_relative():
    for room in ("models", "solvers"):
        link = ROOT / "qnroute" / room
        assert link.is_symlink() and str(link.readlink()) == f"../{room}"
