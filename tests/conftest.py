"""Fixtures and settings of the whole suite."""

from __future__ import annotations

import copy
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import matplotlib
import pytest
from hostile import changed

import qnroute

matplotlib.use("Agg")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so it comes where a script runs the suite in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


def forget_compiled() -> None:
    """Compiled functions are kept by the file they stand in, also when one that they call has changed elsewhere."""
    package = Path(qnroute.__file__).parent
    compiled = [path for path in package.rglob("*.py") if "njit" in path.read_text(encoding="utf-8")]
    newest = max(path.stat().st_mtime for path in compiled)
    for kept in package.rglob("__pycache__/*.nb[ic]"):
        if kept.stat().st_mtime < newest:
            kept.unlink()


forget_compiled()
hypothesis.settings.register_profile("unhurried", deadline=None)  # shared machines: times say nothing
hypothesis.settings.load_profile("unhurried")

CONTRACT_EXAMPLE = {
    "format": "qnroute.problem/1",
    "name": "diamond",
    "task": "allocation",
    "network": {
        "name": "diamond",
        "nodes": [
            {"id": "A", "memory": 4, "swap": 0.9, "lat": 52.0, "lon": 4.4},
            {"id": "B", "memory": 4, "swap": 0.9},
            {"id": "C", "memory": 2, "swap": 0.8},
            {"id": "D"},
        ],
        "links": [
            {"source": "A", "target": "B", "p": 0.6, "fidelity": 0.95, "length_km": 20, "loss_db": 4.0, "channels": 2},
            {"source": "B", "target": "D", "p": 0.5, "fidelity": 0.96},
            {"source": "A", "target": "C", "p": 0.9, "fidelity": 0.90},
            {"source": "C", "target": "D", "p": 0.9, "fidelity": 0.90},
        ],
    },
    "requests": [{"id": "r1", "source": "A", "target": "D", "weight": 1.0, "min_fidelity": 0.8, "routes": 1}],
    "objective": {"kind": "expected-pairs"},
    "rules": {"degree": None, "max_hops": None},
}


@pytest.fixture
def contract_example() -> dict:
    """The problem file of the contract, section 1, to change at will."""
    return copy.deepcopy(CONTRACT_EXAMPLE)


@pytest.fixture
def written(tmp_path) -> Callable[..., Path]:
    """Writes a problem file made of text, bytes or changes to the example."""

    def write(*content: Any, name: str = "problem.json") -> Path:
        path = tmp_path / name
        if len(content) == 1 and isinstance(content[0], (str, bytes)):
            text = content[0]
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        else:
            path.write_text(changed(*content), encoding="utf-8")
        return path

    return write
