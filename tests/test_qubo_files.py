"""Binary quadratic models as files: read back as they were, and refused where they are broken."""

from __future__ import annotations

import json

import dimod
import numpy as np
import pytest
from helpers import ROOT

from qnroute import cli
from qnroute.errors import ProblemError
from qnroute.models import Quadratic
from qnroute.models.qubo_files import ENDINGS, of_bqm, read_quadratic, write_quadratic

DIAMOND = str(ROOT / "tests/data/diamond.json")


def drawn(rng, n):
    pairs = np.array([(i, j) for i in range(n) for j in range(i + 1, n) if rng.random() < 0.5]).reshape(-1, 2)
    size = 10.0 ** rng.uniform(-300, 300, len(pairs))
    return Quadratic(rng.normal(size=n) / 3, pairs[:, 0], pairs[:, 1], size, float(rng.normal()))


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_number_comes_back(ending, tmp_path):
    rng, path = np.random.default_rng(1), str(tmp_path / f"model{ending}")
    for n in (0, 1, 2, 7, 30):
        model = drawn(rng, n)
        assert write_quadratic(model, path) == [path]
        same = read_quadratic(path)
        for name in ("linear", "row", "col", "bias"):
            assert np.array_equal(getattr(same, name), getattr(model, name))
        assert same.offset == model.offset and len(same) == n


def test_others_read_what_is_written(tmp_path):
    model = drawn(np.random.default_rng(2), 6)
    write_quadratic(model, str(tmp_path / "m.bqm"))
    write_quadratic(model, str(tmp_path / "m.coo"))
    with open(tmp_path / "m.bqm", "rb") as file:
        assert of_bqm(dimod.BinaryQuadraticModel.from_file(file)).offset == model.offset
    from dimod.serialization import coo

    with open(tmp_path / "m.coo") as file:
        theirs = coo.load(file)
    assert np.allclose([theirs.get_quadratic(i, j) for i, j in zip(model.row, model.col)], model.bias, rtol=1e-12)
    lines = (tmp_path / "m.coo").read_text().splitlines()
    assert lines[0] == "# vartype=BINARY" and all(len(line.split()) == 3 for line in lines[3:])


def test_spins_become_binary_variables():
    spins = dimod.BinaryQuadraticModel({"a": 1.0, "b": -2.0}, {("a", "b"): 0.5}, 3.0, "SPIN")
    model = of_bqm(spins)
    for a in (0, 1):
        for b in (0, 1):
            assert model.energies(np.array([[a, b]]))[0] == pytest.approx(
                spins.energy({"a": 2 * a - 1, "b": 2 * b - 1})
            )


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("m.qubo", b"p qubo 0 2 1 1\n0 0 1\n0 1 x\n", "line 3: found '0 1 x'"),
        ("m.coo", b"0 1\n", "line 1"),
        ("m.coo", b"0 -1 2.0\n", "line 1"),
        ("m.coo", b"0 1 nan\n", "bias is not finite"),
        ("m.coo", b"0 0 inf\n", "linear is not finite"),
        ("m.coo", b"0 99999999999 1\n", "more than"),
        ("m.coo", b"0 99999999999999999999 1\n", "a variable's number beyond"),
        ("m.coo", b"0 1.5 2.0\n", "line 1"),
        ("m.bqm", b"DIMODBQM", "is no file of a binary quadratic model"),
        ("m.bqm", b"", "is no file of a binary quadratic model"),
        ("m.txt", b"", "expected a name ending in"),
    ],
)
def test_broken_files_are_refused(name, content, why, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ProblemError, match=why) as raised:
        read_quadratic(str(path))
    assert str(path) in str(raised.value)


def test_comments_stand_where_they_like(tmp_path):
    """Where lines cannot be read at once they are read one by one, with the same outcome."""
    for name, content in (
        ("m.coo", "# offset=1.5\n0 1 2.0\n1 1 -1.0\n"),
        ("m.coo", "0 1 2.0\n# offset=1.5\n\n1 1 -1.0\n"),
        ("m.coo", " 0 1 2.0\n# offset=1.5\n1 1 -1.0\n"),
        ("m.qubo", "c made by hand\nc offset 1.5\np qubo 0 2 1 1\n1 1 -1\n0 1 2\nc the end\n"),
    ):
        (tmp_path / name).write_text(content)
        model = read_quadratic(str(tmp_path / name))
        assert model.offset == 1.5 and model.linear.tolist() == [0.0, -1.0]
        assert [entry.tolist() for entry in model.couplers] == [[0], [1], [2.0]]


def test_missing_files_and_places_that_cannot_be_written(tmp_path):
    with pytest.raises(ProblemError, match="cannot be read"):
        read_quadratic(str(tmp_path / "none.coo"))
    for name, why in (("none/m.coo", "cannot be written"), ("m.json", "expected a name ending in")):
        with pytest.raises(ProblemError, match=why):
            write_quadratic(drawn(np.random.default_rng(1), 3), str(tmp_path / name))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("model", ["auto", "route-choice-qubo"])
def test_the_command_writes_a_model_and_its_legend(ending, model, tmp_path, capsys):
    path = tmp_path / f"out{ending}"
    assert cli.run(["export", DIAMOND, "--model", model, "--out", str(path), "--candidates", "3"]) == 0
    legend = json.loads((tmp_path / "out.legend.json").read_text())
    assert len(read_quadratic(str(path))) == len(legend["variables"]) and legend["proven"]
    assert "r1: A - C - D" in legend["variables"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--model", "link-selection-qubo"], "does not state the task"),
        (["--model", "link-flow"], "no model is called"),
        (["--model", "auto", "--encoding", "decimal"], "no encoding is called"),
    ],
)
def test_the_command_refuses_what_cannot_be_stated(options, why, tmp_path, capsys):
    assert cli.run(["export", DIAMOND, *options, "--out", str(tmp_path / "out.qubo")]) == 2
    error = capsys.readouterr().err
    assert why in error and len(error.splitlines()) == 1 and not list(tmp_path.iterdir())
