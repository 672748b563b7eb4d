"""Telemetry: cleaning, files, and the features made of it, beside a plain loop over links and windows."""

from __future__ import annotations

import dataclasses
import gzip
import math

import numpy as np
import pytest
from link_tables import wandering

from qnroute.errors import ProblemError
from qnroute.learning.links import features as made
from qnroute.learning.links.model import LinkModel
from qnroute.learning.links.telemetry import KNOWN, SEEN, Telemetry, neighbours_of
from qnroute.learning.links.telemetry_files import COLUMNS, load_telemetry, save_telemetry

HEADER = "source,target,window,attempts,successes,fidelity,samples,nominal_p\n"


@pytest.fixture
def csv_file(tmp_path):
    def write(content, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def same(a: Telemetry, b: Telemetry) -> bool:
    return (
        a.ends == b.ends
        and a.first == b.first
        and all(np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True) for n in (*SEEN, *KNOWN))
    )


# --- cleaning ---


def test_what_cannot_be_is_missing_and_told():
    values = {name: np.full((1, 5), 0.5) for name in SEEN}
    values["attempts"] = np.array([[10, 10, -1, 2.5, 10]])
    values["successes"] = np.array([[3, 11, 0, 1, np.nan]])
    values["samples"] = np.array([[0, 5, 5, 5, 5]])
    values["fidelity"] = np.array([[0.9, 1.2, -0.4, np.inf, 0.9]])
    table = Telemetry("x", tuple((str(i), "z") for i in range(5)), **values, length_km=np.zeros(5), loss_db=np.zeros(5))
    assert np.isnan(table.attempts).tolist() == [[False, True, True, True, True]]
    assert np.array_equal(np.isnan(table.attempts), np.isnan(table.successes))
    assert np.isnan(table.fidelity).tolist() == [[True, True, False, True, False]]
    assert table.samples.tolist() == [[0, 0, 5, 0, 5]]
    assert len(table.notes) == 5 and all("taken as missing" in note for note in table.notes)
    assert table.missing()["attempts"] == pytest.approx(0.8)
    with pytest.raises(ValueError):
        table.attempts[0, 0] = 1


def test_calibrations_hold_until_the_next_one():
    table, _, _ = wandering(windows=6, links=3)
    nominal = np.array([[np.nan] * 3, [0.2] * 3, [np.nan] * 3, [0.4] * 3, [np.nan] * 3, [np.nan] * 3])
    import dataclasses

    held = dataclasses.replace(table, nominal_p=nominal).nominal_p
    np.testing.assert_array_equal(held[:, 0], [np.nan, 0.2, 0.2, 0.4, 0.4, 0.4])  # before, nobody could know


def test_neighbours_share_a_node():
    found = neighbours_of([("a", "b"), ("b", "c"), ("c", "d"), ("e", "f")]).toarray()
    assert found.tolist() == [[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]


def test_the_fingerprint_is_that_of_the_values():
    table, _, _ = wandering(windows=5)
    other, _, _ = wandering(windows=5)
    assert table.fingerprint() == other.fingerprint() != wandering(windows=5, seed=1)[0].fingerprint()
    assert table.fingerprint() != table.between(0, 4).fingerprint()


def test_shapes_must_fit():
    table, _, _ = wandering(windows=5)
    with pytest.raises(ProblemError, match="load: found shape"):
        dataclasses.replace(table, load=np.zeros((4, 12)))
    with pytest.raises(ProblemError, match="attempts: found shape"):
        dataclasses.replace(table, ends=table.ends[:3])


# --- files ---


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_files_come_back_as_they_were(tmp_path, name):
    tables = [wandering(windows=6, links=5, seed=s, name=f"net {s}")[0] for s in range(2)]
    save_telemetry(tmp_path / name, tables)
    back = load_telemetry(tmp_path / name)
    assert [t.name for t in back] == ["net 0", "net 1"]
    assert all(same(a, b) for a, b in zip(tables, back))


def test_rows_in_any_order_twice_and_both_ways_round(csv_file):
    text = HEADER + "b,a,3,4,1,0.5,1,0.3\na,b,1,10,5,,,\na,b,3,6,2,1.0,3,\nb,c,1,1,1,0.9,,0.5\n"
    (table,) = load_telemetry(csv_file(text))
    assert table.ends == (("b", "a"), ("b", "c")) and table.first == 1 and table.n_windows == 3
    assert table.attempts[:, 0].tolist()[::2] == [10, 10] and math.isnan(table.attempts[1, 0])
    assert table.successes[2, 0] == 3 and table.samples[2, 0] == 4
    assert table.fidelity[2, 0] == pytest.approx(0.875)
    assert table.fidelity[0, 1] == 0.9 and math.isnan(table.samples[0, 1])
    np.testing.assert_array_equal(table.nominal_p[:, 0], [np.nan, np.nan, 0.3])
    assert any("more than one row" in note for note in table.notes)
    assert any("3 of 6 windows of links have no row" in note for note in table.notes)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "column source: missing"),
        (HEADER, "found no rows"),
        ("source,target,window,attempts,succeses\n", "column succeses: unknown"),
        ("source,target,window\na,b,1\n", "attempts and successes, or fidelity: missing"),
        (HEADER + "a,b,1,2\n", "row 1: found 4 cells, expected 8"),
        (HEADER + "a,b,1,two,1,,,\n", "row 1, attempts: found two, expected a number"),
        (HEADER + "a,b,x,2,1,,,\n", "row 1, window: found x"),
        (HEADER + "a,b,1.5,2,1,,,\n", "window: expected whole numbers"),
        (HEADER + "a,b,,2,1,,,\n", "window: expected whole numbers"),
        (HEADER + "a,b,0,2,1,,,\na,b,9000000000,2,1,,,\n", "at most 20,000,000 windows"),
        (HEADER + "a,b,0,2,1,,,\na,b,1,2,1,,,\na,b,1000000,2,1,,,\n", "few of them empty; number windows one after"),
        (HEADER + "a,b,0, ,1,,,\na,b,1,abc,1,,,\n", "row 2, attempts: found abc"),
        (HEADER + "a,b,0,2,1,,,\na,a,1,2,1,,,\n", "row 2: found a link from a to itself"),
        (HEADER + "a,,0,2,1,,,\n", "row 1, target: found no name"),
        (b"\x1f\x8b\x08broken", "cannot be unpacked"),
        (b"\xff\xfe", "expected UTF-8"),
        (HEADER + 'a,"b,1\n', "line"),
        (HEADER.replace("nominal_p", "attempts"), "column attempts: given more than once"),
    ],
)
def test_bad_files_are_refused_in_a_line(csv_file, content, said):
    path = csv_file(content)
    with pytest.raises(ProblemError) as caught:
        load_telemetry(path)
    assert said in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_cut_off_is_told(tmp_path):
    path = tmp_path / "t.csv.gz"
    save_telemetry(path, [wandering(windows=6)[0]])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ProblemError, match="cannot be unpacked"):
        load_telemetry(path)
    damaged = bytearray(gzip.compress(b"source,target,window,fidelity\n", mtime=0))
    damaged[10] = 0xFF  # a block of no known type
    path.write_bytes(damaged)
    with pytest.raises(ProblemError, match="cannot be unpacked"):
        load_telemetry(path)
    text = gzip.decompress(gzip.compress(b"x"))  # the library itself is fine
    assert text == b"x"


def test_every_column_is_known(tmp_path):
    save_telemetry(tmp_path / "t.csv", [wandering(windows=2)[0]])
    assert (tmp_path / "t.csv").read_text().splitlines()[0] == ",".join(COLUMNS)


# --- features ---


def plainly(table: Telemetry, window: int, link: int) -> dict[str, float]:
    """The features of one link after a window, by the words of the module."""
    found = {}
    p, f = table.nominal_p[window, link], table.nominal_fidelity[window, link]
    found |= {"nominal_p": p, "nominal_fidelity": f, "nominal_quality": p * f}
    found |= {"length_km": table.length_km[link], "loss_db": table.loss_db[link]}
    tried = [t for t in range(window + 1) if table.attempts[t, link] > 0]
    measured = [t for t in range(window + 1) if not math.isnan(table.fidelity[t, link])]
    rate = table.successes[tried[-1], link] / table.attempts[tried[-1], link] if tried else p
    fidelity = table.fidelity[measured[-1], link] if measured else f
    found |= {"rate_last": rate, "fidelity_last": fidelity, "quality_last": rate * fidelity}
    for life in made.HALF_LIVES:
        n = s = k = kf = 0.0
        for t in range(window + 1):
            keep = 0.5 ** ((window - t) / life)
            if not math.isnan(table.attempts[t, link]):
                n += keep * table.attempts[t, link]
                s += keep * table.successes[t, link]
            if not math.isnan(table.fidelity[t, link]):
                count = table.samples[t, link]
                count = made.EXACT if math.isnan(count) else count
                k += keep * count
                kf += keep * count * table.fidelity[t, link]
        found[f"rate_{life:g}"] = (s + p) / (n + 1)
        found[f"fidelity_{life:g}"] = (kf + f) / (k + 1)
        found[f"quality_{life:g}"] = found[f"rate_{life:g}"] * found[f"fidelity_{life:g}"]
        found[f"attempts_{life:g}"], found[f"samples_{life:g}"] = n, min(k, made.EXACT)
    unseen, t = 0, window
    while t >= 0 and not (table.attempts[t, link] > 0 or table.samples[t, link] > 0):
        unseen, t = unseen + 1, t - 1
    found["unseen"] = 1 - math.exp(-unseen / 4) if t >= 0 else 1.0
    found["staleness"] = 1 - math.exp(-window / made.MEMORY)
    found["load_1"] = table.load[window, link]
    load = table.load[0, link]
    for t in range(1, window + 1):
        load = 0.5**0.25 * load + (1 - 0.5**0.25) * table.load[t, link]
    found["load_4"] = load
    return found


def test_features_are_those_of_a_plain_loop():
    table, _, _ = wandering(windows=12, links=4, attempts=3)
    X = made.features(table)
    for window in (0, 5, 11):
        for link in range(4):
            wanted = plainly(table, window, link)
            assert list(wanted) == list(made.FEATURES)
            np.testing.assert_allclose(X[window, link], list(wanted.values()), rtol=1e-9, atol=1e-12)


def test_nothing_later_is_looked_at():
    import dataclasses

    table, _, _ = wandering(windows=12)
    changed = {name: getattr(table, name).copy() for name in SEEN}
    for name, values in changed.items():
        values[8:] = 0.0 if name in ("attempts", "successes") else np.nan
    X, Z = made.features(table), made.features(dataclasses.replace(table, **changed))
    np.testing.assert_array_equal(X[:8], Z[:8])
    assert (X[8:] != Z[8:]).any()


def test_targets_are_of_the_next_window():
    table, _, _ = wandering(windows=10, links=3)
    for target in made.TARGETS:
        rows = made.table(table, target)
        y, _ = made.outcomes(table, target)
        window, link = np.divmod(rows.row, 3)
        np.testing.assert_array_equal(rows.y, y[window + 1, link])
        np.testing.assert_array_equal(rows.X, made.features(table)[window, link])
        assert not np.isnan(rows.y).any() and (rows.noise >= 0).all()


def test_the_sampling_variance_is_what_repeated_draws_show():
    rng, p, f, n, k = np.random.default_rng(3), 0.4, 0.9, 60, 25
    draws = 20_000
    made_ = rng.binomial(n, p, draws)
    even = rng.binomial(k, (2 * f + 1) / 3, draws)
    fidelity = (3 * even / k - 1) / 2
    full = lambda value: np.full((draws, 1), float(value))  # noqa: E731
    table = Telemetry(
        "", (("a", "b"),), full(n), made_[:, None], fidelity[:, None], full(k), full(0), full(p), full(f), [1.0], [1.0]
    )
    for target, mean in (("p", p), ("fidelity", f), ("quality", p * f)):
        y, noise = made.outcomes(table, target)
        assert y.mean() == pytest.approx(mean, abs=0.005)
        assert noise.mean() == pytest.approx(y.var(), rel=0.05)


def test_few_attempts_tell_a_quality_too():
    """All attempts of a window may fail: its quality is 0 then, and without those windows qualities look better."""
    rng, p, f, draws = np.random.default_rng(4), 0.4, 0.9, 40_000
    tries = rng.integers(1, 4, draws)[:, None]
    hits = rng.binomial(tries, p)
    checks = rng.poisson(10.0 * hits) * (rng.random((draws, 1)) < 0.7)
    even = rng.binomial(checks, (2 * f + 1) / 3)
    with np.errstate(invalid="ignore", divide="ignore"):
        fidelity = (3 * even / checks - 1) / 2
    full = lambda value: np.full((draws, 1), float(value))  # noqa: E731
    table = Telemetry(
        "", (("a", "b"),), tries, hits, fidelity, checks, full(0), full(p), full(f), [1.0], [1.0]
    )  # fmt: skip
    y, noise = made.outcomes(table, "quality")
    assert (y[hits == 0] == 0.0).all() and not np.isnan(y).any()
    assert np.nanmean(y) == pytest.approx(p * f, abs=0.005)
    assert np.nanmean(noise) == pytest.approx(np.nanvar(y), rel=0.05)
    rows = made.table(table, "quality", np.zeros((draws, 1, 1)))
    luck = rows.luck.noise(np.full(len(rows.y), p * f)) + rows.rest
    assert luck.mean() == pytest.approx(np.nanvar(y), rel=0.05)
    for target, mean in (("p", p), ("fidelity", f)):
        rows = made.table(table, target, np.zeros((draws, 1, 1)))
        assert (rows.luck.noise(np.full(len(rows.y), mean)) + rows.rest).mean() == pytest.approx(rows.y.var(), rel=0.05)


def test_less_than_one_sample_counts_as_one():
    """Samples may be effective numbers, which need not be whole."""
    some = wandering(windows=6, links=4, tested=1.0)[0]
    few = dataclasses.replace(some, samples=np.where(np.isnan(some.fidelity), np.nan, 0.25))
    for target in made.TARGETS:
        assert (made.table(few, target).luck.trials >= 1.0).all()
    assert set(LinkModel("empirical").fit([few]).scorers_) == set(made.TARGETS)


def test_samples_that_cannot_be_take_their_fidelity_with_them(csv_file):
    some = wandering(windows=3, links=2, tested=1.0)[0]
    for samples in (-1.0, 2e12):
        found = dataclasses.replace(some, samples=np.full((3, 2), samples))
        assert np.isnan(found.fidelity).all() and "samples: 6 outside [0, 1e+12]" in " ".join(found.notes)
    rows = "a,b,0,2,1,0.9,-3,\na,b,0,2,1,0.8,5,\na,b,1,2,1,0.8,5,\n"
    (table,) = load_telemetry(csv_file(HEADER + rows))
    np.testing.assert_array_equal(table.fidelity[:, 0], [np.nan, 0.8])
    assert any("samples: 1 outside" in note for note in table.notes)


def test_next_to_no_samples_are_no_infinite_noise():
    some = wandering(windows=6, links=4, tested=1.0)[0]
    few = dataclasses.replace(some, samples=np.where(np.isnan(some.fidelity), np.nan, 1e-20))
    assert set(LinkModel("linear").fit([few]).scorers_) == set(made.TARGETS)


def test_an_exact_fidelity_is_worth_very_many_samples():
    some = wandering(windows=40, links=12, tested=1.0)[0]
    found = [
        LinkModel("linear").fit(
            [dataclasses.replace(some, samples=np.full(some.attempts.shape, count))], targets=["quality"]
        )
        for count in (np.nan, made.EXACT)
    ]
    exact, many = (model.predict(some).quality.sd for model in found)
    np.testing.assert_allclose(exact, many, rtol=0.1)


@pytest.mark.parametrize("odd", ["a\rb", " a", "a ", 'a"b', "a,b", "a\nb"])
def test_odd_names_of_nodes_come_back(odd, tmp_path):
    some = dataclasses.replace(wandering(windows=3, links=2)[0], name=f"net{odd}", ends=((odd, "x"), ("x", "y")))
    save_telemetry(tmp_path / "t.csv", [some])
    (back,) = load_telemetry(tmp_path / "t.csv")
    assert back.ends == some.ends and back.name == some.name and same(some, back)


def test_blanks_after_commas_are_none_of_a_name(csv_file):
    (table,) = load_telemetry(csv_file("source, target, window, attempts, successes\na, b, 0, 2, 1\nb,a,1,2,1\n"))
    assert table.ends == (("a", "b"),) and table.n_windows == 2
