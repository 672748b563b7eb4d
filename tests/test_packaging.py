"""What is in the wheel, and whether it works where the repository is not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile

import pytest
from helpers import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of what git would ship."""
    folder, tree = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("tree") / "qnroute"
    left_out = shutil.ignore_patterns(".venv", ".git", "build", "*.egg-info", "__pycache__", "demo-out")
    shutil.copytree(ROOT, tree, symlinks=True, ignore=left_out)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(tree)]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return next(folder.glob("*.whl"))


def test_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"qnroute", f"{wheel.name.split('-')[0]}-0.1.0.dist-info"}
    python = {name for name in names if name.endswith(".py")}
    in_tree = {
        f"qnroute/{path.relative_to(ROOT / 'qnroute')}"
        for path in (ROOT / "qnroute").rglob("*.py")
        if not path.is_relative_to(ROOT / "qnroute" / "models")
        and not path.is_relative_to(ROOT / "qnroute" / "solvers")
    }
    in_tree |= {f"qnroute/{room}/{path.name}" for room in ("models", "solvers") for path in (ROOT / room).glob("*.py")}
    assert python == in_tree
    data = {name for name in names if name.startswith("qnroute/catalog/") and not name.endswith(".py")}
    assert {"qnroute/catalog/hardware.json", "qnroute/catalog/ATTRIBUTION.md"} < data
    assert sum(name.startswith("qnroute/catalog/networks/") for name in data) >= 12
    assert "qnroute/py.typed" in names
    assert any(name.endswith("LICENSE") for name in names)


def test_wheel_works_outside_the_tree(wheel, tmp_path):
    """Unpacked elsewhere, with the tree out of sight: solve a bundled network and say where the code came from."""
    target = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(target)
    code = (
        f"import sys; sys.path[:] = [{str(target)!r}] + [p for p in sys.path if {str(ROOT)!r} != p];"
        "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f).lower()];"
        "import qnroute as qn, qnroute.models, qnroute.solvers;"
        "n = qn.load_network('tokyo');"
        "r = qn.solve(qn.Problem(n, [qn.Request('r', n.node_ids[0], n.node_ids[2])]));"
        "from qnroute.learning.routing.policy_files import load_policy;"
        "from qnroute.learning.routing.online_recipes import load_online_policy;"
        "from qnroute.simulation.chooser import IMITATED, load_network_policy;"
        "load_policy(); load_online_policy(); load_network_policy(); load_network_policy(IMITATED);"
        "print(r.status, qn.__file__, qnroute.models.__file__, qnroute.solvers.__file__)"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    status, *places = made.stdout.split()
    assert status == "optimal"
    assert all(place.startswith(str(target)) for place in places)


def test_every_requirement_is_pinned():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + [name for extra in project["optional-dependencies"].values() for name in extra]
    names = {_bare(name) for name in asked} - {"qnroute"}
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    pinned = {_bare(line) for line in lines}
    assert names <= pinned
    assert all("==" in line for line in lines)
    assert "torch==2.13.0" in lines


def test_installed_versions_are_the_pinned_ones():
    from importlib.metadata import version

    for line in (ROOT / "constraints.txt").read_text().splitlines():
        name, _, pinned = line.partition("==")
        if name in ("numpy", "scipy", "highspy", "networkx", "numba", "Pyomo", "PuLP", "pydantic", "typer"):
            assert version(name) == pinned


def _bare(requirement: str) -> str:
    for stop in "[<>=; ":
        requirement = requirement.partition(stop)[0]
    return requirement.lower().replace("_", "-")
