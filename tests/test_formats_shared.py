"""Real files, untouched: each loads or is refused in one line, and mutilated ones never do anything else."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from qnroute.errors import ProblemError
from qnroute.formats import load_demands, load_network
from qnroute.formats.cleaning import clean
from qnroute.formats.foreign import read_content
from qnroute.formats.raw import RawNetwork

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("QNROUTE_DATA", ROOT.parent / "shared" / "data")) / "topologies"
OWN = Path(__file__).parent / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no shared data at {SHARED}; set QNROUTE_DATA")

ORIGINALS = {  # nodes, links
    "itz/Abilene.gml": (11, 14),
    "itz/Abilene.graphml": (11, 14),
    "itz/Garr201201.gml": (61, 75),
    "itz/Kdl.gml": (754, 895),
    "itz/Pern.gml": (127, 129),
    "quantum/SurfnetCore.gml": (54, 64),
    "quantum/SurfnetFiberdata.gml": (332, 404),
    "quantum/chicago-starlight.json": (9, 10),
    "sndlib/abilene.txt": (12, 15),
    "sndlib/abilene.xml": (12, 15),
    "sndlib/geant.txt": (22, 36),
    "sndlib/janos-us.txt": (26, 42),
    "sndlib/pdh.txt": (11, 34),
    "totem-geant-topology-anonymised.xml": (23, 37),
}


@needs_shared
@pytest.mark.parametrize("name", ORIGINALS)
def test_originals(name):
    network = load_network(SHARED / "originals" / name)
    assert (network.n_nodes, network.n_links) == ORIGINALS[name]
    assert network.notes and not any("\n" in note for note in network.notes)


@needs_shared
def test_every_other_original_is_refused_in_one_line():
    files = [path for path in (SHARED / "originals").rglob("*") if path.is_file()]
    others = [path for path in files if path.relative_to(SHARED / "originals").as_posix() not in ORIGINALS]
    for path in others:
        with pytest.raises(ProblemError) as caught:
            load_network(path)
        assert "\n" not in str(caught.value)


@needs_shared
def test_every_node_link_file_loads():
    files = sorted(path for path in SHARED.glob("*/*.json"))
    assert files
    for path in files:
        network = load_network(path)
        assert network.n_nodes and network.n_links and network.notes, path


@needs_shared
def test_both_formats_of_one_network_agree():
    gml, graphml = (load_network(SHARED / "originals/itz" / f"Abilene.{kind}") for kind in ("gml", "graphml"))
    assert gml.to_dict() == graphml.to_dict()
    text, xml = (load_network(SHARED / "originals/sndlib" / f"abilene.{kind}") for kind in ("txt", "xml"))
    assert text.to_dict() == xml.to_dict()
    demands = [load_demands(SHARED / "originals/sndlib" / f"abilene.{kind}").requests for kind in ("txt", "xml")]
    assert demands[0] == demands[1] and len(demands[0]) == 132


@needs_shared
def test_the_traps_of_the_originals_are_noted():
    def notes(name: str) -> str:
        return "\n".join(load_network(SHARED / "originals" / name).notes)

    assert "degrees.minutes" in notes("sndlib/pdh.txt")
    assert "the two directions of 42 links" in notes("sndlib/janos-us.txt")
    assert "0.01 dB/km, less than any fibre" in notes("quantum/chicago-starlight.json")
    assert "shorter than the great circle" in notes("quantum/SurfnetCore.gml")
    assert "88 names differ only in their case" in notes("quantum/SurfnetFiberdata.gml")
    assert "not connected" in notes("quantum/SurfnetFiberdata.gml")
    assert "28 nodes standing for a link of more than two sites" in notes("itz/Kdl.gml")
    assert "the parallels of 12 links into channels" in notes("itz/Garr201201.gml")
    assert "the position 0, 0 of 23 nodes" in notes("totem-geant-topology-anonymised.xml")


INSERTS = (b'"', b"[", b"]", b"{", b"}", b"<", b">", b"(", b")", b"1e999", b"NaN", b"-1", b"\0", b"&amp;", b"null")
INSERTS += (b"<!DOCTYPE a>", b"9" * 400, b"\n", b"\xff\xfe", b"id", b"node [", b"edge [", b'"p": 2, ')


def mutilated(content: bytes, rng: random.Random) -> bytes:
    """Cut off, cut out, doubled or spiced with what parsers do not like."""
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        i, kind = rng.randrange(len(changed) + 1), rng.randrange(5)
        if kind == 0:
            changed = changed[:i]
        elif kind == 1:
            changed[i : i + rng.randint(1, 30)] = b""
        elif kind == 2:
            changed[i:i] = rng.randbytes(rng.randint(1, 4))
        elif kind == 3:
            changed[i:i] = rng.choice(INSERTS)
        else:
            j = rng.randrange(len(changed) + 1)
            changed[i:i] = changed[j : j + rng.randint(1, 200)]
    return bytes(changed)


def read_or_refuse(content: bytes, suffix: str) -> bool:
    """Whether it was read; anything but a network or a `ProblemError` of one line fails the test."""
    try:
        found = read_content(content, name="it", suffix=suffix)
        if isinstance(found, RawNetwork):
            network = clean(found)
            assert not any("\n" in note for note in network.notes)
        return True
    except ProblemError as error:
        assert "\n" not in str(error) and len(str(error)) < 20_000
        return False


@pytest.mark.parametrize("path", sorted(OWN.iterdir()), ids=lambda path: path.name)
def test_mutilated_files_are_read_or_refused(path):
    rng = random.Random(path.name)
    outcomes = {read_or_refuse(mutilated(path.read_bytes(), rng), path.suffix) for _ in range(300)}
    assert False in outcomes


@pytest.mark.parametrize("path", sorted(OWN.iterdir()), ids=lambda path: path.name)
def test_truncated_files_are_refused(path):
    content = path.read_bytes().rstrip()
    for end in range(1, len(content) - 1, max(1, len(content) // 60)):
        read = read_or_refuse(content[:end], path.suffix)
        assert not read or path.name == "tiny_sndlib.txt"  # its sections stand alone


@needs_shared
def test_mutilated_originals_are_read_or_refused():
    rng = random.Random(7)
    small = [SHARED / "originals" / name for name in ORIGINALS]
    small = [(path.read_bytes(), path.suffix) for path in small if path.stat().st_size < 30_000]
    for _ in range(600):
        content, suffix = rng.choice(small)
        read_or_refuse(mutilated(content, rng), suffix)
