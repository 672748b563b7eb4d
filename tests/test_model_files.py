"""Models of links as files: round trips, and what is refused in one line."""

from __future__ import annotations

import dataclasses
import json
import pickle
import tracemalloc

import numpy as np
import pytest
from hostile import untouched
from link_tables import wandering
from tensor_files import parts, whole

from qnroute.errors import ProblemError, SolverError
from qnroute.learning import links
from qnroute.learning.links import KINDS, TARGETS, LinkModel, load_model, save_model
from qnroute.learning.links.telemetry import KNOWN, SEEN

TABLE = wandering(windows=14, links=8)[0]
QUICK = {
    "gradient-boosting": {"trees": 5, "leaves": 4},
    "mlp": {"hidden": (4,), "epochs": 2},
    "graph": {"hidden": 4, "epochs": 2},
}


def fitted(kind, seed=0):
    return LinkModel(kind, QUICK.get(kind, {}), seed).fit([TABLE])


def same_forecasts(one, other):
    mine, theirs = one.predict(TABLE, level=0.8), other.predict(TABLE, level=0.8)
    for target in TARGETS:
        pairs = zip(getattr(mine, target), getattr(theirs, target))
        assert all(np.array_equal(a, b) for a, b in pairs)


# --- what is kept ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_round_trip_changes_nothing(kind, tmp_path):
    model = fitted(kind, seed=3)
    model.save(tmp_path / "m.safetensors")
    back = load_model(tmp_path / "m.safetensors")
    assert (back.kind, dict(back.options), back.seed) == (kind, QUICK.get(kind, {}), 3)
    assert back.trained_ == model.trained_ and back.trained_["fingerprint"]
    same_forecasts(model, back)
    back.save(tmp_path / "again.safetensors")
    fitted(kind, seed=3).save(tmp_path / "anew.safetensors")
    bytes_ = [path.read_bytes() for path in tmp_path.iterdir()]
    assert len(bytes_) == 3 and len(set(bytes_)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_without_links_has_forecasts_of_none(kind):
    none = TABLE.between(0, 3)
    columns = {name: getattr(none, name)[:, :0] for name in SEEN} | {name: getattr(none, name)[:0] for name in KNOWN}
    found = fitted(kind).predict(dataclasses.replace(none, ends=(), **columns))
    assert all(part.shape == (0,) for target in TARGETS for part in getattr(found, target))


def test_another_seed_or_telemetry_is_another_file(tmp_path):
    fitted("linear").save(tmp_path / "a.safetensors")
    fitted("linear", seed=1).save(tmp_path / "b.safetensors")
    LinkModel("linear").fit([wandering(windows=14, links=8, seed=1)[0]]).save(tmp_path / "c.safetensors")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 3
    assert len({load_model(path).trained_["fingerprint"] for path in tmp_path.iterdir()}) == 2


def test_targets_that_were_not_learned_stay_unknown(tmp_path):
    import dataclasses

    nothing = np.full(TABLE.attempts.shape, np.nan)
    model = LinkModel("linear").fit([dataclasses.replace(TABLE, fidelity=nothing)])
    model.save(tmp_path / "m.safetensors")
    found = load_model(tmp_path / "m.safetensors").predict(TABLE)
    assert found.quality is None and found.fidelity is None and found.p is not None


def test_public_names_are_there():
    assert all(getattr(links, name) is not None for name in links.__all__)
    assert set(links.__all__) <= set(dir(links))
    assert len(set(links.__all__)) == len(links.__all__)


def test_only_what_was_learned_is_written(tmp_path):
    with untouched(tmp_path):
        with pytest.raises(ProblemError, match="call fit first"):
            save_model(tmp_path / "m.safetensors", LinkModel())
        with pytest.raises(ProblemError, match="nowhere"):
            fitted("nominal").save(tmp_path / "nowhere" / "m.safetensors")


def test_too_large_a_model_is_refused(tmp_path, monkeypatch):
    model = fitted("nominal")
    model.save(tmp_path / "m.safetensors")
    monkeypatch.setattr("qnroute.learning.links.model_files.MOST_BYTES", 1000)
    with pytest.raises(ProblemError, match="expected at most 1,000"):
        model.save(tmp_path / "m2.safetensors")
    with pytest.raises(ProblemError, match="found more than 1,000 bytes"):
        load_model(tmp_path / "m.safetensors")


def test_without_safetensors_the_cure_is_told(tmp_path, monkeypatch):
    import importlib.util

    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *r: None if name == "safetensors" else there(name))
    for call in (lambda: load_model(tmp_path / "m.safetensors"), lambda: fitted("nominal").save(tmp_path / "m")):
        with pytest.raises(SolverError, match=r'need safetensors: pip install "qnroute\[learn\]"'):
            call()


# --- what is refused ---


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for kind in ("linear", "gradient-boosting"):
        fitted(kind).save(folder / kind)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def told(**changes):
    """A change of the JSON that the header carries."""

    def change(content):
        header, data = parts(content)
        document = json.loads(header["__metadata__"]["qnroute"])
        for place, value in changes.items():
            *steps, last = place.split("__")
            inner = document
            for step in steps:
                inner = inner[step]
            if value is None:
                del inner[last]
            else:
                inner[last] = value
        header["__metadata__"]["qnroute"] = json.dumps(document)
        return whole(header, data)

    return change


def claimed(**changes):
    """A change of what the header says of an array."""

    def change(content):
        header, data = parts(content)
        for name, value in changes.items():
            header[name.replace("__", "/")] = value
        return whole(header, data)

    return change


def row(dtype="F64", shape=(1,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def meta(value):
    def change(content):
        header, data = parts(content)
        header["__metadata__"] = value
        return whole(header, data)

    return change


def valued(name, value):
    """The first number of an array is another."""

    def change(content):
        header, data = parts(content)
        begin = header[name]["data_offsets"][0]
        raw = np.array([value], {"F64": "<f8", "I32": "<i4", "I64": "<i8"}[header[name]["dtype"]]).tobytes()
        return whole(header, data[:begin] + raw + data[begin + len(raw) :])

    return change


def renamed(name, other):
    """An array has another name."""

    def change(content):
        header, data = parts(content)
        header[other] = header.pop(name)
        return whole(header, data)

    return change


OTHER = list(reversed(links.FEATURES))
BAD = {
    "empty": (lambda c: b"", "ends after 0 bytes"),
    "a few bytes": (lambda c: c[:5], "ends after 5 bytes"),
    "cut in the header": (lambda c: c[:100], "before its header is complete"),
    "cut in the arrays": (lambda c: c[:-20], "arrays: cut off"),
    "more at the end": (lambda c: c + b"x" * 8, "arrays: cut off or not as the header says"),
    "a table": (lambda c: b"source,target,window,attempts\n" * 99, "is it a model file?"),
    "a pickle": (lambda c: pickle.dumps({"a": 1}) * 9, "is it a model file?"),
    "a header of gigabytes": (lambda c: (2**33).to_bytes(8, "little") + c[8:], "found a length of 8,589,934,592"),
    "a header beyond all": (lambda c: b"\xff" * 8 + c[8:], "expected at most 1,048,576"),
    "a header that is no JSON": (lambda c: whole(b"{nonsense", b""), "header: line 1"),
    "a header that is no object": (lambda c: whole(b"[1, 2]", b""), "expected a JSON object"),
    "a header nested deep": (lambda c: whole(b"[" * 500_000, b""), "header: not read"),
    "a name given twice": (lambda c: whole(b'{"a": 1, "a": 2}', b""), "given 2 times"),
    "no metadata": (meta({}), "found no 'qnroute' among the metadata"),
    "metadata that are no object": (meta([1]), "found no 'qnroute'"),
    "metadata of others": (meta({"format": "pt"}), "expected a model of the format 'qnroute.scores/1'"),
    "metadata that are no JSON": (meta({"qnroute": "{"}), "metadata: line 1"),
    "metadata that are a list": (meta({"qnroute": "[]"}), "expected a JSON object with the format"),
    "another format": (told(format="qnroute.scores/2"), "format: found 'qnroute.scores/2'"),
    "an unknown field": (told(colour="red"), "colour"),
    "no seed": (told(seed=None), "seed: missing"),
    "a negative seed": (told(seed=-1), "seed: found -1"),
    "a seed that is NaN": (told(seed=float("nan")), "seed: found nan"),
    "another seed": (told(seed=7), "quality: options.random_state: found 0, expected 7"),
    "an unknown kind": (told(kind="oracle"), "kind: found 'oracle'"),
    "another kind": (told(kind="mlp"), "quality: kind: found linear, expected mlp"),
    "no features": (told(features=[]), "features: found 0, without nominal_p"),
    "other features": (told(features=[*links.FEATURES, "colour"]), "with colour; expected the 27 of this version"),
    "features in another order": (told(features=OTHER), "in another order"),
    "options unknown to the kind": (told(options={"trees": 3}), "options.trees: unknown option"),
    "options that are no object": (told(options=[1]), "options: found a list"),
    "other options": (told(options={"ridge": 2.0}), "options.ridge: found 1.0, expected 2.0"),
    "no scorers": (told(scorers={}), "scorers: found none"),
    "an unknown target": (told(scorers__colour={}), "scorers.colour: unknown target"),
    "one target less": (told(scorers__p=None), "unknown array"),
    "a scorer that is none": (told(scorers__p={}), "p: format: missing"),
    "a scorer's bad option": (told(scorers__p__options__ridge=-1.0), "p: options.ridge: found -1.0"),
    "a scorer of other columns": (told(scorers__p__columns=5), "p: fill: found shape"),
    "trained that is none": (told(trained={}), "trained.rows: missing"),
    "trained on no numbers": (told(trained__links="many"), "trained.links: found 'many'"),
    "a colourful dtype": (claimed(p__fill=row("BF16")), "header.p/fill: found 'BF16', expected an array of F64"),
    "a half dtype": (claimed(p__fill=row("F16")), "header.p/fill: found 'F16'"),
    "an array that is none": (claimed(p__fill=3), "header.p/fill: found 3"),
    "sides beyond all": (claimed(p__fill=row(shape=(10**12,))), "header.p/fill: shape"),
    "negative sides": (claimed(p__fill=row(shape=(-1,))), "header.p/fill: shape"),
    "many sides": (claimed(p__fill=row(shape=(1,) * 40)), "header.p/fill: shape"),
    "a size that is not there": (claimed(p__fill=row(shape=(2**30,), offsets=(0, 2**33))), "arrays: cut off"),
    "offsets that overlap": (claimed(p__fill=row()), "arrays: cut off or not as the header says"),
    "no offsets": (claimed(p__fill={"dtype": "F64", "shape": [1]}), "arrays: cut off or not as the header says"),
    "an array more": (renamed("p/fill", "p/zzz"), "p: fill: missing"),
    "a value that is NaN": (valued("p/coef", np.nan), "p: coef: found values that are not finite"),
    "a value beyond reason": (valued("p/coef", 1.6e308), "p: coef: found values beyond 1e+100"),
    "a field called self": (told(self=1), "self: unknown field"),
    "an array of no target": (renamed("p/fill", "p"), "p: unknown array"),
    "a value that is infinite": (valued("fidelity/spread.seen", np.inf), "fidelity: spread.seen: found values"),
    "a scale of 0": (valued("quality/scale", 0.0), "quality: scale: found values that are not positive"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_model_is_refused_in_a_line_and_little_room(name, good, tmp_path):
    change, words = BAD[name]
    path = tmp_path / "m.safetensors"
    path.write_bytes(change(good["linear"]))
    tracemalloc.start()
    try:
        with pytest.raises(ProblemError) as caught:
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and words in message and "\n" not in message and len(message) < 3000


@pytest.mark.parametrize(
    ("array", "value", "words"),
    [
        ("p/left", 0, "left: found nodes that do not come after their parent"),
        ("p/right", 10**9, "right: found nodes that do not come after their parent"),
        ("p/feature", 99, "feature: found values"),
        ("p/roots", 1, "roots"),
        ("p/threshold", np.nan, "threshold: found values that are not numbers"),
    ],
)
def test_trees_that_lead_nowhere_are_refused(array, value, words, good, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(valued(array, value)(good["gradient-boosting"]))
    with pytest.raises(ProblemError, match=words):
        load_model(path)


def test_a_flipped_byte_is_refused_or_does_no_harm(good, tmp_path):
    path, rng, refused = tmp_path / "m.safetensors", np.random.default_rng(0), 0
    content = good["gradient-boosting"]
    size = 8 + int.from_bytes(content[:8], "little")
    for turn in range(120):
        changed = bytearray(content)
        place = rng.integers(size) if turn % 2 else rng.integers(size, len(content))
        changed[place] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        try:
            forecast = load_model(path).predict(TABLE)
        except ProblemError as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error)
        else:
            found = [getattr(forecast, target) for target in TARGETS]
            assert all(np.isfinite(each.mean).all() for each in found if each is not None)
    assert 30 < refused < 120


@pytest.mark.parametrize("name", ["nowhere.safetensors", ".", "null\0byte"])
def test_a_file_that_cannot_be_read_is_told(name, tmp_path):
    with pytest.raises(ProblemError, match="cannot be read"):
        load_model(f"{tmp_path}/{name}")


def test_an_endless_file_is_given_up(monkeypatch):
    monkeypatch.setattr("qnroute.learning.links.model_files.MOST_BYTES", 2**22)
    with pytest.raises(ProblemError, match="/dev/zero: found more than"):
        load_model("/dev/zero")
