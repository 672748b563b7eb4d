"""A LinearModel handed to others: HiGHS, Pyomo, PuLP, and MPS or LP files. Nothing here solves."""

from __future__ import annotations

import importlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from qnroute.errors import ProblemError, SolverError
from qnroute.models.linear import Block, LinearModel, Matrix

if TYPE_CHECKING:
    import highspy
    import pulp
    import pyomo.environ as pyo


def _nothing() -> None:
    """What is done for each variable and constraint unless told otherwise."""


def to_highs(matrix: Matrix, *, scale: float = 1.0) -> highspy.Highs:
    """A silent `Highs` holding the program, its costs divided by `scale`; arrays go over in one call."""
    import highspy

    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)  # first of all: construction order matters to the banner
    a, inf = matrix.a, highspy.kHighsInf
    status = highs.passModel(
        a.shape[1],
        a.shape[0],
        a.nnz,
        int(highspy.MatrixFormat.kColwise),
        int(highspy.ObjSense.kMaximize),
        0.0,
        matrix.cost / scale,
        _clipped(matrix.lower, inf),
        _clipped(matrix.upper, inf),
        _clipped(matrix.row_lower, inf),
        _clipped(matrix.row_upper, inf),
        a.indptr,
        a.indices,
        a.data,
        matrix.integer.astype(np.int32),
    )
    if status == highspy.HighsStatus.kError:
        raise SolverError("HiGHS refused the model")
    return highs


def _clipped(values: np.ndarray, inf: float) -> np.ndarray:
    return np.clip(values, -inf, inf)


def to_pyomo(model: LinearModel, *, scale: float = 1.0, each: Callable[[], None] = _nothing) -> pyo.ConcreteModel:
    """A Pyomo model with one `Var` for each block of columns and one `Constraint` for each block of rows.

    Its objective ``value`` is divided by `scale`. `each` is called for every variable and constraint: what it
    raises ends the work.
    """
    pyo = _library("pyomo.environ")
    from pyomo.core.expr.numeric_expr import LinearExpression

    matrix, made = model.matrix, pyo.ConcreteModel(name=model.name)
    variables: list[Any] = []
    for block in model.columns.values():
        component = pyo.Var(range(block.size))
        made.add_component(block.name, component)
        part = slice(block.start, block.stop)
        settings = zip(matrix.lower[part].tolist(), matrix.upper[part].tolist(), matrix.integer[part].tolist())
        for variable, (lower, upper, integer) in zip(component.values(), settings):
            each()
            variable.domain = pyo.Integers if integer else pyo.Reals
            variable.setlb(_finite(lower))
            variable.setub(_finite(upper))
        variables += component.values()
    for block in model.rows.values():
        component = pyo.Constraint(range(block.size))
        made.add_component(block.name, component)
        for i, (lower, columns, values, upper) in enumerate(_rows(matrix, block)):
            each()
            if columns:
                terms = LinearExpression(linear_coefs=values, linear_vars=[variables[j] for j in columns])
                component.add(i, (_finite(lower), terms, _finite(upper)))
    columns = np.flatnonzero(matrix.cost).tolist()
    costs = (matrix.cost[columns] / scale).tolist()
    value = LinearExpression(linear_coefs=costs, linear_vars=[variables[j] for j in columns])
    made.value = pyo.Objective(expr=value, sense=pyo.maximize)
    return made


def to_pulp(model: LinearModel, *, scale: float = 1.0, each: Callable[[], None] = _nothing) -> pulp.LpProblem:
    """A PuLP problem whose variables and constraints carry the export names; `scale` and `each` as in `to_pyomo`."""
    pulp = _library("pulp")
    matrix, made = model.matrix, pulp.LpProblem(model.name.replace("-", "_"), pulp.LpMaximize)
    settings = zip(model.column_names(), matrix.lower.tolist(), matrix.upper.tolist(), matrix.integer.tolist())
    variables = []
    for name, lower, upper, integer in settings:
        each()
        kind = "Integer" if integer else "Continuous"
        variables.append(made.add_variable(name, _finite(lower), _finite(upper), kind))
    costs = (matrix.cost / scale).tolist()
    made.setObjective(pulp.LpAffineExpression((variables[j], costs[j]) for j in np.flatnonzero(matrix.cost)))
    for block in model.rows.values():
        for name, (lower, columns, values, upper) in zip(block.names(), _rows(matrix, block)):
            each()
            if not columns:
                continue
            terms = pulp.LpAffineExpression((variables[j], value) for j, value in zip(columns, values))
            if lower == upper:
                made.addConstraint(pulp.LpConstraint(terms, pulp.LpConstraintEQ, name, upper))
                continue
            if np.isfinite(upper):
                made.addConstraint(pulp.LpConstraint(terms, pulp.LpConstraintLE, name, upper))
            if np.isfinite(lower):
                made.addConstraint(pulp.LpConstraint(terms, pulp.LpConstraintGE, f"{name}_low", lower))
    return made


def write(model: LinearModel, path: str) -> list[str]:
    """Write ``path`` (``.mps`` or ``.lp``, by HiGHS) and its ``.legend.json``; whole files or nothing.

    MPS keeps every number to 15 digits and is read by every solver; prefer it to LP.
    """
    from qnroute.formats.writing import require_writable, write_text

    stem, ending = os.path.splitext(path)
    if ending not in (".mps", ".lp"):
        raise ProblemError(f"expected a name ending in .mps or .lp, found {ending or 'no ending'}", source=path)
    legend = stem + ".legend.json"
    for place in (path, legend):
        require_writable(place)
    highs = to_highs(model.matrix)
    _name(highs, model)
    with tempfile.TemporaryDirectory() as folder:
        made = os.path.join(folder, "model" + ending)
        highs.writeModel(made)
        with open(made, encoding="utf-8") as file:
            text = file.read()
    write_text(legend, json.dumps(model.legend(), indent=1, ensure_ascii=False) + "\n")
    write_text(path, text)
    return [path, legend]


def _name(highs: highspy.Highs, model: LinearModel) -> None:
    """Give the columns and rows their export names (passed as one model: name by name would be slow)."""
    lp = highs.getLp()
    lp.col_names_, lp.row_names_ = model.column_names(), model.row_names()
    lp.model_name_ = model.name
    highs.passModel(lp)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise SolverError(f"{package} is not installed: pip install {package}") from None


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _rows(matrix: Matrix, block: Block) -> Iterator[tuple[float, list[int], list[float], float]]:
    """Lower bound, columns, coefficients and upper bound of each row of a block."""
    a = matrix.a[block.start : block.stop].tocsr() if block.size else None
    for i in range(block.size):
        part = slice(a.indptr[i], a.indptr[i + 1])
        lower, upper = matrix.row_lower[block.start + i], matrix.row_upper[block.start + i]
        yield float(lower), a.indices[part].tolist(), a.data[part].tolist(), float(upper)
