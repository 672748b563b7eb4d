"""What several test files need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qnroute.network import Network
from qnroute.problem import Problem

ROOT = Path(__file__).resolve().parent.parent


def problem_of(document: dict[str, Any]) -> Problem:
    """The product's problem for a problem document of the oracle."""
    part = document["network"]
    return Problem(
        Network(part["nodes"], part["links"], name=part.get("name", "")),
        document.get("requests", []),
        objective=document.get("objective", "expected-pairs"),
        rules=document.get("rules"),
        task=document.get("task", "allocation"),
        name=document.get("name", ""),
    )
