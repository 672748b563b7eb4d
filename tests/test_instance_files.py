"""Published instances: energies against plain sums over all states, and what is said of files that are broken."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT

from qnroute.errors import ProblemError
from qnroute.models import Instance, read_instance
from qnroute.models.instance_files import _one_by_one
from qnroute.models.qubo_files import ENDINGS, write_quadratic
from qnroute.models.triples import triples

DATA = Path(os.environ.get("QNROUTE_DATA", ROOT.parent / "shared" / "data")) / "known-optima"
needs_data = pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there")


def plain(path):
    """The numbers of a file, as plainly as can be: n, and (i, j, w) with i and j from 0."""
    lines = [line.split() for line in Path(path).read_text().splitlines() if line.strip()]
    return int(lines[0][0]), [(int(i) - 1, int(j) - 1, float(*(w or ["1"]))) for i, j, *w in lines[1:]]


def plain_energy(edges, x):
    """x Q x for the symmetric Q of which one triangle is given."""
    return sum(w * x[i] * x[j] * (1 if i == j else 2) for i, j, w in edges)


def plain_cut(edges, x):
    return sum(w for i, j, w in edges if x[i] != x[j])


def drawn(rng, n, *, loops):
    pairs = itertools.combinations_with_replacement(range(1, n + 1), 2)
    return [(i, j, int(rng.integers(-9, 10))) for i, j in pairs if (loops or i != j) and rng.random() < 0.6]


def written(path, n, rows, ends="\n"):
    path.write_bytes(ends.join([f"{n} {len(rows)}", *(" ".join(map(str, row)) for row in rows), ""]).encode())
    return str(path)


@pytest.mark.parametrize("kind", ["qubo", "max-cut"])
def test_every_state_of_small_instances(kind, tmp_path):
    rng = np.random.default_rng(1)
    for n in range(1, 9):
        rows = drawn(rng, n, loops=kind == "qubo")
        rows = [(j, i, w) if rng.random() < 0.3 else (i, j, w) for i, j, w in rows]  # either end first
        path = written(tmp_path / ("m.sparse" if kind == "qubo" else "m.mc"), n, rows)
        instance = read_instance(path)
        assert (instance.kind, instance.name, len(instance.quadratic)) == (kind, "m", n)
        states = np.array(list(itertools.product([0, 1], repeat=n)))
        figure = plain_energy if kind == "qubo" else plain_cut
        expected = [figure(plain(path)[1], x) for x in states.tolist()]
        assert np.array_equal(instance.value(instance.quadratic.energies(states)), expected)


def test_how_a_figure_is_shown(tmp_path):
    cut = read_instance(written(tmp_path / "square", 4, [(1, 2, 1), (2, 3, 1), (3, 4, 1), (4, 1, 1)]))
    assert cut.sense == "maximise" and cut.value(-4.0) == 4.0 and str(cut.value(0.0)) == "0.0"
    model = read_instance(written(tmp_path / "m.sparse", 1, [(1, 1, -3)]))
    assert model.sense == "minimise" and model.value(-3.0) == -3.0


def test_max_cut_files_of_all_manners(tmp_path):
    """Weights absent, from some lines only; edges given twice add up; comments, blank lines, other line ends."""
    same = [b"3 2\n1 2\n2 3\n", b"3 2\n1 2\n2 3 1.0\n", b"# drawn\n\n3 2\r\n\r\n1 2 1 \r\n2 3 1", b" 3 2 \r1\t2\r3 2\r"]
    for number, content in enumerate([*same, b"3 3\n1 2 0.5\n2 3 1\n2 1 0.5\n"]):
        path = tmp_path / f"g05_60.{number}"
        path.write_bytes(content)
        instance = read_instance(path)
        assert instance.name == path.name and instance.kind == "max-cut"
        model = instance.quadratic
        assert model.linear.tolist() == [-1.0, -2.0, -1.0] and model.offset == 0.0
        assert [entry.tolist() for entry in model.couplers] == [[0, 1], [1, 2], [2.0, 2.0]]


def test_the_kind_can_be_said(tmp_path):
    for name in ("gka1a", "m.txt", "m.sparse"):
        path = written(tmp_path / name, 2, [(1, 1, -3), (1, 2, 2)])
        forced = read_instance(path, "qubo")
        assert forced.kind == "qubo" and forced.quadratic.bias.tolist() == [4.0]
    path = written(tmp_path / "cut.sparse", 2, [(1, 2, 2)])
    assert read_instance(path, "max-cut").quadratic.linear.tolist() == [-2.0, -2.0]
    with pytest.raises(ProblemError, match="found 'tsp', expected qubo or max-cut"):
        read_instance(path, "tsp")


@pytest.mark.parametrize("ending", ENDINGS)
def test_our_own_formats_are_instances_too(ending, tmp_path):
    model = read_instance(written(tmp_path / "m.sparse", 3, [(1, 1, -3), (1, 2, 2), (2, 3, -1)])).quadratic
    path = str(tmp_path / f"same{ending}")
    write_quadratic(model, path)
    for kind in (None, "qubo"):
        same = read_instance(path, kind)
        assert (same.name, same.kind) == ("same", "qubo")
        for name in ("linear", "row", "col", "bias"):
            assert np.array_equal(getattr(same.quadratic, name), getattr(model, name))
    with pytest.raises(ProblemError, match=f"{ending} files hold a QUBO"):
        read_instance(path, "max-cut")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty, expected a line with the numbers of variables and of edges"),
        (b"\n \n", "is empty"),
        (b"# nothing\n\n", "is empty"),
        (b"60\n", "line 1: found '60', expected the numbers of variables and of edges, such as 60 885"),
        (b"\n3 x\n", "line 2: found '3 x'"),
        (b"3 2.5\n", "line 1: found '3 2.5'"),
        (b"3 -1\n", "line 1: found '3 -1'"),
        (b"-3 0\n", "line 1: found '-3 0'"),
        (b"1 2 3\n", "line 1: found '1 2 3'"),
        (b'{"format": "qnroute.problem/1"}', "line 1: found"),
        (b"\x1f\x8b\x08\x00\xff\xfe\x00\n\x00\x01", r"line 1: found '.\\x08"),
        (b"3 1\n\x00\xff\xfe\n", "line 2: found"),
        (b"50000001 0\n", "line 1: 50,000,001 variables, more than 50,000,000"),
        (b"99999999999999999999 0\n", "more than 50,000,000"),
        (b"3 2\n1 2 1\n", "line 1 announces 2 edges, found 1: is the file cut short"),
        (b"3 99999999999999\n1 2 1\n", "announces 99,999,999,999,999 edges, found 1"),
        (b"3 1\n1 2 1\n\n2 3 1\n", "line 4: found '2 3 1', expected no more than the 1 edges that line 1 announces"),
        (b"3 2\n1 2 1\n0 3 1\n", "line 3: found '0 3 1', expected numbers from 1 to 3"),
        (b"3 2\n1 2 1\n1 4 1\n", "line 3: found '1 4 1', expected numbers from 1 to 3"),
        (b"3 1\n1 99999999999999999999 1\n", "line 2: .* expected numbers from 1 to 3"),
        (b"3 1\n1.0 2 1\n", "line 2: found '1.0 2 1', expected two numbers of"),
        (b"3 1\n1 x 1\n", "line 2: found '1 x 1', expected two numbers of"),
        (b"3 1\n1 2 x\n", "line 2: found '1 2 x', expected two numbers of"),
        (b"3 1\n1\n", "line 2: found '1', expected two numbers of"),
        (b"3 1\n1 2 3 4\n", "line 2: found '1 2 3 4', expected two numbers of"),
        (b"3 2\n1 2 1 2 3 1\n", "line 2: found '1 2 1 2 3 1'"),
        (b"3 1\n1 2 nan\n", "line 2: found '1 2 nan', expected a weight that is finite"),
        (b"3 1\n1 2 -inf\n", "line 2: found '1 2 -inf', expected a weight that is finite"),
        (b"3 1\n1 2 1e999\n", "line 2: found '1 2 1e999', expected a weight that is finite"),
    ],
)
@pytest.mark.parametrize("name", ["m.mc", "m.sparse"])
def test_broken_files_are_refused(name, content, why, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ProblemError, match=why) as raised:
        read_instance(path)
    assert str(raised.value).startswith(f"{path}: ") and len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("m.mc", b"3 2\n1 2 1\n2 2 1\n", "line 3: found '2 2 1', expected an edge between two nodes .*kind qubo"),
        ("m.sparse", b"3 1\n1 2\n", "line 2: found '1 2', expected two numbers of variables and a weight"),
        ("m.sparse", b"3 2\n1 2 1\n2 1 1\n", "line 3: found '2 1 1', expected each pair once, .* line 2 has it"),
        ("m.sparse", b"3 2\n1 1 1\n1 1 1\n", "line 3: found '1 1 1', expected each pair once"),
        ("m.mc", b"2 2\n1 2 1e308\n1 2 1e308\n", "a number in linear is not finite"),
    ],
)
def test_what_only_one_kind_refuses(name, content, why, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ProblemError, match=why) as raised:
        read_instance(path)
    assert str(path) in str(raised.value)


def test_places_where_there_is_no_file(tmp_path):
    for place in (tmp_path / "none.mc", tmp_path, tmp_path / "none.qubo"):
        with pytest.raises(ProblemError, match="cannot be read") as raised:
            read_instance(place)
        assert str(place) in str(raised.value)


def test_reading_at_once_and_by_lines_agree():
    """On random texts, right and wrong: what is read at once, lines one by one hold as well."""
    rng, words, agreed = (
        np.random.default_rng(2),
        ["1", "2", "3", "7", "0", "-1", "1.5", "x", "nan", "1e3", "1_0", ""],
        0,
    )
    for _ in range(2000):
        lines = [" ".join(rng.choice(words, 3, p=[0.3, 0.3, 0.3, *[0.1 / 9] * 9])) for _ in range(3)]
        found = triples("\n".join(lines))
        if found is None or min(found[0].min(), found[1].min()) < 1 or not np.isfinite(found[2]).all():
            continue
        again = _one_by_one("\n".join(lines), 2, 10_000, 3, "edges of any kind")
        assert all(np.array_equal(a, b) for a, b in zip(found, again))
        agreed += 1
    assert agreed > 500


def test_a_large_file_is_read_in_one_go(tmp_path, monkeypatch):
    """Lines are not looked at one by one, which would take many times longer."""
    monkeypatch.setattr("qnroute.models.instance_files._one_by_one", None)
    rng = np.random.default_rng(3)
    pairs = np.unique(np.sort(rng.integers(1, 2001, (60_000, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    rows = [(i, j, w) for (i, j), w in zip(pairs.tolist(), rng.normal(size=len(pairs)).tolist())]
    for name in ("m.mc", "m.sparse"):
        model = read_instance(written(tmp_path / name, 2000, rows)).quadratic
        assert np.array_equal(np.stack([model.row, model.col], 1) + 1, pairs)
        assert np.array_equal(model.bias, [2.0 * w for _, _, w in rows])


@needs_data
def test_published_files_have_the_sizes_they_announce():
    paths = sorted([*(DATA / "qubo").iterdir(), *(DATA / "maxcut").iterdir()])
    assert len(paths) >= 11
    rng = np.random.default_rng(4)
    for path in paths:
        instance = read_instance(path)
        assert isinstance(instance, Instance) and instance.kind == ("qubo" if path.suffix == ".sparse" else "max-cut")
        n, edges = plain(path)
        assert len(instance.quadratic) == n
        assert len(instance.quadratic.row) == sum(i != j for i, j, _ in edges)
        states = rng.integers(0, 2, (20, n))
        figure = plain_energy if instance.kind == "qubo" else plain_cut
        expected = [figure(edges, x) for x in states.tolist()]
        assert instance.value(instance.quadratic.energies(states)) == pytest.approx(expected, abs=1e-9)
