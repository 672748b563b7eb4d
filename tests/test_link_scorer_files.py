"""Scorers as plain arrays and back, and what is refused."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from link_cases import links, quick, windows

from qnroute.errors import ProblemError
from qnroute.learning.links import SCORERS, Linear, LinkScorer, scorer_arrays, scorer_of

CASE = links(0, 200)


@pytest.fixture(scope="module")
def fitted() -> dict[str, LinkScorer]:
    x = np.where(np.random.default_rng(0).random(CASE.x.shape) < 0.1, np.nan, CASE.x)
    near = windows(200, 10)
    return {name: quick(name).fit(x, CASE.y, neighbours=near) for name in SCORERS}


@pytest.mark.parametrize("name", SCORERS)
def test_a_round_trip_changes_nothing(name, fitted):
    arrays, meta = scorer_arrays(fitted[name])
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as read:
        back = scorer_of(dict(read), json.loads(json.dumps(meta)))
    assert type(back) is type(fitted[name]) and back.get_params() == fitted[name].get_params()
    near = windows(200, 10)
    for mine, theirs in zip(*(one.predict(CASE.x, return_std=True, neighbours=near) for one in (back, fitted[name]))):
        assert np.array_equal(mine, theirs)
    for mine, theirs in zip(*(one.interval(CASE.x, neighbours=near) for one in (back, fitted[name]))):
        assert np.array_equal(mine, theirs)
    again, meta_again = scorer_arrays(back)
    assert meta_again == meta and all(np.array_equal(again[key], arrays[key]) for key in arrays)


def test_predicting_imports_neither_torch_nor_what_trains(fitted, tmp_path):
    for name, one in fitted.items():
        arrays, meta = scorer_arrays(one)
        np.savez(tmp_path / f"{name}.npz", **arrays)
        (tmp_path / f"{name}.json").write_text(json.dumps(meta))
    code = f"""
import json, sys, pathlib, numpy as np
from qnroute.learning.links import SCORERS, scorer_of
for name in SCORERS:
    here = pathlib.Path({str(tmp_path)!r})
    one = scorer_of(dict(np.load(here / f"{{name}}.npz")), json.loads((here / f"{{name}}.json").read_text()))
    assert np.isfinite(one.predict(np.ones((5, 6)))).all() and one.interval(np.ones((5, 6)))[0].shape == (5,)
print([name for name in ("torch", "sklearn.ensemble") if name in sys.modules])
"""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert made.stdout.strip() == "[]", made.stderr


def test_arrays_given_may_change_afterwards(fitted):
    arrays, meta = scorer_arrays(fitted["gradient-boosting"])
    one = scorer_of(arrays, meta)
    arrays["left"][:] = 10**6
    assert np.array_equal(one.predict(CASE.x), fitted["gradient-boosting"].predict(CASE.x))


@pytest.mark.parametrize("name", SCORERS)
def test_every_array_is_checked(name, fitted):
    arrays, meta = scorer_arrays(fitted[name])
    for key, values in arrays.items():
        strange = [values[..., None], values.astype(object), values.astype(complex), values.tolist(), None, "text"]
        strange += [values.astype(">f8"), values.astype(np.float16), np.zeros((0, 0, 0))]
        if values.dtype.kind == "f" and values.size:
            strange += [np.where(np.arange(values.size).reshape(values.shape) == 0, np.nan, values)]
        for other in strange:
            with pytest.raises(ProblemError, match=key.replace(".", r"\.")):
                scorer_of({**arrays, key: other}, meta)
        with pytest.raises(ProblemError, match=r"missing, but required|expected an array"):
            scorer_of({other: kept for other, kept in arrays.items() if other != key}, meta)
    with pytest.raises(ProblemError, match="extra: unknown array"):
        scorer_of({**arrays, "extra": np.zeros(3)}, meta)
    with pytest.raises(ProblemError):
        scorer_of(arrays, {**meta, "columns": 7})


HOSTILE_TREES = {
    "a loop": ("left", lambda a: np.zeros_like(a["left"])),
    "upwards": ("right", lambda a: np.arange(a["right"].size, dtype=a["right"].dtype)),
    "beyond the end": ("left", lambda a: np.full_like(a["left"], a["left"].size)),
    "negative": ("right", lambda a: np.full_like(a["right"], -5)),
    "into the next tree": ("right", lambda a: np.where(a["feature"] >= 0, a["right"].size - 1, 0).astype(np.int32)),
    "no such feature": ("feature", lambda a: np.where(a["feature"] >= 0, 6, -1).astype(np.int32)),
    "feature -2": ("feature", lambda a: np.full_like(a["feature"], -2)),
    "NaN threshold": ("threshold", lambda a: np.full_like(a["threshold"], np.nan)),
    "infinite value": ("value", lambda a: np.full_like(a["value"], np.inf)),
    "side 2": ("blank_left", lambda a: np.full_like(a["blank_left"], 2)),
    "no roots": ("roots", lambda a: a["roots"][:0]),
    "roots astray": ("roots", lambda a: a["roots"] + 1),
    "roots that fall": ("roots", lambda a: np.r_[a["roots"][:1], a["roots"][:0:-1]]),
    "trees too few": ("roots", lambda a: a["roots"][[0, -1]]),
    "cut": ("left", lambda a: a["left"][:-1]),
}


@pytest.mark.parametrize("what", HOSTILE_TREES)
def test_trees_that_are_none_are_refused(what, fitted):
    arrays, meta = scorer_arrays(fitted["gradient-boosting"])
    key, change = HOSTILE_TREES[what]
    with pytest.raises(ProblemError, match=f"^{key}: |; {key}: "):
        scorer_of({**arrays, key: change(arrays)}, meta)


HOSTILE_SPREADS = {
    "spread.scale": lambda v: -v,
    "spread.scores": lambda v: v[::-1],
    "spread.marked": lambda v: v[::-1],
    "marked": lambda v: v + 6,
    "scale": lambda v: 0 * v,
    "fill": lambda v: v + np.inf,
}


@pytest.mark.parametrize("key", HOSTILE_SPREADS)
def test_inconsistent_values_are_refused(key, fitted):
    arrays, meta = scorer_arrays(fitted["linear"])
    with pytest.raises(ProblemError, match=key):
        scorer_of({**arrays, key: HOSTILE_SPREADS[key](arrays[key])}, meta)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"format": "qnroute.link-scorer/2"}, "format: found 'qnroute.link-scorer/2', expected qnroute.link-scorer/1"),
        ({"kind": "forest"}, "scorer: found 'forest', expected one of nominal"),
        ({"kind": ["mlp"]}, "scorer: found"),
        ({"kind": "linear"}, "options.hidden: unknown option.*options.degree: missing"),
        ({"options": 3}, "options: found int"),
        ({"options": {}}, "options.hidden: missing"),
        ({"columns": 0}, "columns: found 0"),
        ({"columns": True}, "columns: found True"),
        ({"columns": 10**9}, "columns: found 1000000000"),
        ({"extra": 1}, "extra: unknown field"),
    ],
)
def test_what_goes_with_the_arrays_is_checked(change, what, fitted):
    arrays, meta = scorer_arrays(fitted["mlp"])
    with pytest.raises(ProblemError, match=what):
        scorer_of(arrays, {**meta, **change})


@pytest.mark.parametrize(
    ("option", "value"),
    [("hidden", [12, "x"]), ("hidden", {"a": 1}), ("hidden", [10**9]), ("epochs", 1.5), ("batch", None)],
)
def test_options_of_a_file_are_checked(option, value, fitted):
    arrays, meta = scorer_arrays(fitted["mlp"])
    with pytest.raises(ProblemError, match=f"options.{option}"):
        scorer_of(arrays, {**meta, "options": {**meta["options"], option: value}})


def test_only_what_has_learned_is_taken_apart(fitted):
    with pytest.raises(ProblemError, match="learned nothing yet"):
        scorer_arrays(Linear())
    with pytest.raises(ProblemError, match="found int, expected a LinkScorer"):
        scorer_arrays(3)
    with pytest.raises(ProblemError, match="expected format, kind, options, columns"):
        scorer_of({}, None)
    with pytest.raises(ProblemError, match="expected arrays by name"):
        scorer_of([], scorer_arrays(fitted["linear"])[1])
