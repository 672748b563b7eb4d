"""Writing whole or not at all, reading bytes, and what JSON lets through."""

from __future__ import annotations

import io
import os
import sys
from types import SimpleNamespace

import pytest

from qnroute.errors import ProblemError
from qnroute.formats import json_text
from qnroute.formats.reading import decode, decode_loosely, read_bytes
from qnroute.formats.writing import write_text


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path):
    place = tmp_path / "out.json"
    place.write_text("old")
    place.chmod(0o640)
    write_text(place, "new \N{GREEK SMALL LETTER PHI}")
    assert place.read_text(encoding="utf-8") == "new \N{GREEK SMALL LETTER PHI}"
    assert place.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["out.json"]


def test_a_symbolic_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    place = tmp_path / "out.json"
    place.write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProblemError, match=r"out\.json: cannot be written: No space left on device") as caught:
        write_text(place, "new")
    assert "\n" not in str(caught.value)
    assert place.read_text() == "old" and os.listdir(tmp_path) == ["out.json"]


@pytest.mark.parametrize("place", ["missing/out.json", "", "a\0b", "."])
def test_places_that_cannot_be_written(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProblemError, match="cannot be written"):
        write_text(place, "x")
    assert os.listdir(tmp_path) == []


def test_devices_are_written_to_and_not_replaced():
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(ProblemError, match="No space left"):
        write_text("/dev/full", "x")
    write_text("/dev/null", "x")
    assert not os.path.isfile("/dev/null")


def test_text_that_is_no_unicode_is_refused(tmp_path):
    with pytest.raises(ProblemError, match="cannot be written"):
        write_text(tmp_path / "out", "\ud800")


def test_a_dash_is_standard_output_and_input(capsys, monkeypatch):
    write_text("-", "text")
    assert capsys.readouterr().out == "text"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"more")))
    assert read_bytes("-") == b"more"


@pytest.mark.parametrize("place", ["nosuch.json", ".", "a\0b", "x" * 5000, ""])
def test_places_that_cannot_be_read(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProblemError, match="cannot be read") as caught:
        read_bytes(place)
    assert "\n" not in str(caught.value)


def test_decoding():
    assert decode(b"\xef\xbb\xbf{}") == decode("\ufeff{}") == "{}"
    with pytest.raises(ProblemError, match="byte 1: found 0xff, expected UTF-8 text"):
        decode(b"a\xff")
    assert decode_loosely(b"K\xf6ln") == ("Köln", ["doubtful: the text is not UTF-8 and was read as Latin-1"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        (" \n", "the file is empty"),
        ('{"a": [1, 2', "line 1, column 12: the JSON text ends before it is complete"),
        ('{"a": "unfinished', "line 1, column 7: the JSON text ends before it is complete"),
        ('{"a": 1}\n]', "line 2, column 1: not JSON: extra data"),
        ("{'a': 1}", "line 1, column 2: not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_json(text, message):
    with pytest.raises(ProblemError, match=message):
        json_text.parse(text)


def test_repeated_fields_are_placed():
    document, faults = json_text.parse('{"a": [{"b": 1}, {"b": 1, "b": 2, "c": {"d": 1, "d": 1, "d": 1}}], "a2": 0}')
    assert document["a"][1]["b"] == 2
    assert faults == ["a[1].b: given 2 times, expected once", "a[1].c.d: given 3 times, expected once"]


def test_numbers_out_of_range_come_through_as_infinite():
    document, _ = json_text.parse(f"[1e999, -1e999, {'9' * 5000}, {'9' * 20}]")
    assert document == [float("inf"), float("-inf"), float("inf"), int("9" * 20)]


def test_tables_stand_one_row_on_a_line():
    document = {
        "name": "n",
        "empty": [],
        "rows": [{"id": "a", "x": [1, 2]}, {"id": "b"}],
        "inner": {"rows": [[1], [2]]},
    }
    text = json_text.render(document)
    assert json_text.parse(text) == (document, [])
    assert '    {"id": "a", "x": [1, 2]},\n    {"id": "b"}\n' in text
