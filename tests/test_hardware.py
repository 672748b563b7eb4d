import dataclasses
import itertools
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from qnroute import hardware
from qnroute.errors import ProblemError
from qnroute.fidelity import path_fidelity
from qnroute.hardware import Figure, preset, presets
from qnroute.network import Network

UNHURRIED = settings(deadline=None)  # slow imports and busy machines are no failures
NAMES = sorted(presets())
LENGTHS = st.floats(0, 2000)
ANY_PRESET = st.sampled_from(NAMES).map(preset)


def varied(name, **figures):
    """A preset with some figures changed."""
    base = preset(name)
    changed = {key: Figure(value, "made up", "here") for key, value in figures.items()}
    return dataclasses.replace(base, figures={**base.figures, **changed})


# --- the table ---


def test_every_figure_is_cited_and_every_preset_owns_up_to_its_assumptions():
    for item in presets().values():
        assert item.figures and item.model.endswith(".") and item.slot_reason
        assert all(math.isfinite(f.value) and f.citation and f.ref for f in item.figures.values())
        assert len(item.citations) == len({f.citation for f in item.figures.values()})
        assert item.slot_s > 0 and 0 < item.swap <= 1
    assert len({item.platform for item in presets().values()}) >= 7


def test_nodes_that_compute_swap_surely_and_say_how_many_qubits_they_have():
    assert {name: (preset(name).swap, preset(name).memory) for name in ("nv-centre", "ten-ion", "spdc")} == {
        "nv-centre": (1.0, 2),
        "ten-ion": (1.0, 10),
        "spdc": (0.5, None),
    }


def test_default_slots_come_from_the_memory_where_there_is_one():
    slots = {name: preset(name).slot_s for name in ("nv-centre", "trapped-ion", "neutral-atom", "rare-earth")}
    assert slots == {"nv-centre": 1.0, "trapped-ion": 0.085, "neutral-atom": 0.007, "rare-earth": 2.5e-5}


def test_the_catalog_cannot_be_spoilt():
    presets().clear()
    assert len(presets()) >= 7
    with pytest.raises(TypeError):
        preset("spdc").figures["rate_hz"] = Figure(1e9, "", "")


@pytest.mark.parametrize("name", ["NV_Centre", "trapped", "", None, 3])
def test_unknown_presets_are_refused_with_the_list(name):
    with pytest.raises(ProblemError, match="expected one of nv-centre, trapped-ion") as caught:
        preset(name)
    assert ("did you mean nv-centre?" in str(caught.value)) == (name == "NV_Centre")


def test_a_preset_passes_for_its_name():
    assert preset(preset("spdc")) is preset("spdc")


@pytest.mark.parametrize("name", NAMES)
def test_presets_go_to_json(name):
    row = json.loads(json.dumps(preset(name).to_dict(), allow_nan=False))
    assert row["id"] == name and set(row["figures"]) == set(preset(name).figures)


def test_figures_agree_with_the_survey_they_were_taken_from():
    folder = Path(os.environ.get("QNROUTE_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
    path = folder / "hardware" / "hardware.json"
    if not path.exists():
        pytest.skip(f"the survey of hardware figures is not at {path}")
    survey = json.loads(path.read_text(encoding="utf-8"))
    records = {row["id"]: row for part in ("links", "memories", "simulation_presets") for row in survey[part]}
    table = json.loads((Path(hardware.__file__).parent / "catalog" / "hardware.json").read_text(encoding="utf-8"))
    for row in table["presets"]:
        for name, cell in row["figures"].items():
            record = records[cell["source"]]
            section, field = cell["field"].split(".")
            confidence = record["confidence"]
            assert cell["value"] == record[section][field], (row["id"], name)
            assert "verified" in (confidence, confidence[field] if isinstance(confidence, dict) else None)


# --- links ---


@UNHURRIED
@given(ANY_PRESET, LENGTHS, LENGTHS)
def test_longer_fibres_are_never_better(item, one, other):
    near, far = item.link(min(one, other)), item.link(max(one, other))
    for figures in (near, far):
        assert 0 <= figures.p <= 1 and 0.25 <= figures.fidelity <= 1 and figures.rate_hz >= 0
    assert far.p <= near.p and far.rate_hz <= near.rate_hz and far.loss_db >= near.loss_db
    assert far.fidelity <= near.fidelity + 1e-12


@UNHURRIED
@given(ANY_PRESET, LENGTHS, st.floats(1e-9, 1e3), st.floats(1, 100))
def test_chances_accumulate_over_slots(item, length, slot, factor):
    short, long = item.link(length, slot_s=slot), item.link(length, slot_s=slot * factor)
    assert 1 - long.p == pytest.approx((1 - short.p) ** factor, abs=1e-9)
    assert (short.fidelity, short.rate_hz, short.loss_db) == (long.fidelity, long.rate_hz, long.loss_db)


@pytest.mark.parametrize("name", NAMES)
def test_tiny_chances_keep_their_digits(name):
    figures = preset(name).link(300.0, slot_s=1e-15)
    assert 0 < figures.p < 1e-15
    assert figures.p == pytest.approx(figures.rate_hz * 1e-15, rel=1e-2 if name == "repeater" else 1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_lengths_of_any_shape(name):
    lengths = np.array([[0.0, 10.0], [100.0, 1e5]])
    figures = preset(name).link(lengths)
    for column, i, j in itertools.product(range(4), range(2), range(2)):
        assert figures[column].shape == (2, 2)
        assert figures[column][i, j] == pytest.approx(preset(name).link(lengths[i, j])[column], rel=1e-12)
    assert preset(name).link([]).p.shape == (0,)
    assert preset(name).link(7, slot_s=1).p == preset(name).link(np.float32(7), slot_s=1.0).p


@pytest.mark.parametrize("length", [-1, math.nan, math.inf, "far", [1, -2], [[1], [2, 3]]])
def test_impossible_lengths_are_refused(length):
    with pytest.raises(ProblemError, match=r"link.length_km: found .*, expected"):
        preset("spdc").link(length)


@pytest.mark.parametrize("slot", [0, -1, math.nan, math.inf, "1", True])
def test_impossible_slots_are_refused(slot):
    with pytest.raises(ProblemError, match=r"slot_s: found .*, expected"):
        preset("spdc").link(10, slot_s=slot)


# --- two-click heralding ---


def clicks(eta, visibility, dark):
    """p and fidelity of one two-click attempt by listing every outcome: photons, modes, detectors, dark counts.

    The pair's weight in the state wanted is 1/4 where the photons say nothing about the qubits, 0 where they say the
    qubits are equal, (1 + V) / 2 where one photon of each mode was heard.
    """
    heralds = good = 0.0
    for first, second in itertools.product([None, 0, 1], repeat=2):  # mode of each photon, None: lost
        chance = math.prod((1 - eta) if mode is None else eta / 2 for mode in (first, second))
        real = [mode for mode in (first, second) if mode is not None]
        together = len(real) == 2 and first == second
        for detectors in itertools.product([0, 1], repeat=len(real)):
            spread = 0.5 ** len(real)
            if together:  # photons that agree in everything leave by the same port
                spread = (1 + visibility) / 4 if detectors[0] == detectors[1] else (1 - visibility) / 4
            seen = set(zip(real, detectors))
            for noise in itertools.product([False, True], repeat=4):
                lit = seen | {where for where, on in zip(itertools.product([0, 1], [0, 1]), noise) if on}
                if sorted(mode for mode, _ in lit) != [0, 1]:
                    continue
                weight = chance * spread * math.prod(dark if on else 1 - dark for on in noise)
                heralds += weight
                good += weight * (0.25 if len(real) < 2 else 0.0 if together else (1 + visibility) / 2)
    return heralds, good / heralds


@UNHURRIED
@given(st.floats(0.01, 1), st.floats(0, 1), st.floats(0, 0.2))
def test_two_clicks_against_every_outcome(eta, visibility, dark):
    item = varied("trapped-ion", p_photon_before_fibre=eta, visibility=visibility, dark_count_probability=dark)
    figures = item.link(0.0)
    p, fidelity = clicks(eta, visibility, dark)
    assert figures.rate_hz * item.figures["init_s"].value == pytest.approx(p, rel=1e-9)
    assert figures.fidelity == pytest.approx(fidelity, rel=1e-9)


@UNHURRIED
@given(st.floats(0.01, 1), st.floats(0, 1))
def test_two_clicks_without_dark_counts(eta, visibility):
    item = varied("nv-centre", p_photon_before_fibre=eta, visibility=visibility, dark_count_probability=0.0)
    figures = item.link(0.0)
    assert figures.rate_hz * 2e-6 == pytest.approx(eta**2 / 2)
    assert figures.fidelity == pytest.approx((1 + visibility) / 2)


@UNHURRIED
@given(st.floats(0.3, 1))
def test_imperfect_photons_swap_like_werner_states(fidelity):
    item = varied("ten-ion", photon_fidelity=fidelity, visibility=1.0, dark_count_probability=0.0)
    assert item.link(0.0).fidelity == pytest.approx(path_fidelity([fidelity, fidelity]))


def test_waiting_for_the_herald_costs_coherence():
    item = varied("nv-centre", dark_count_probability=0.0, visibility=1.0, T2_s=1e-3)
    waited = 21.4 / 214000
    assert item.link(21.4).fidelity == pytest.approx((1 + math.exp(-2 * waited / 1e-3)) / 2)
    assert item.link(1e4).fidelity == pytest.approx(0.5)  # a classical mixture is left


def test_far_away_only_dark_counts_herald():
    assert preset("nv-centre").link(2000).fidelity == pytest.approx(0.25, abs=1e-6)


def test_the_trapped_ion_figures_by_hand():
    eta = 0.111 * 10 ** (-0.25 * 25 / 20)
    figures = preset("trapped-ion").link(25)
    round_s = 3.6e-5 + 25 / 214000
    assert figures.loss_db == pytest.approx(6.25)
    assert figures.rate_hz == pytest.approx(eta**2 / 2 / round_s, rel=0.005)  # dark counts add a little
    assert figures.p == pytest.approx(1 - (1 - figures.rate_hz * round_s) ** (0.085 / round_s))
    assert 0.94 < figures.fidelity < (1 + 0.89) / 2


# --- the other models ---


def test_the_repeater_paper_is_reproduced():
    """Rabbie et al. 2022: L_max = 136.31 km and N_max = 6 at 1 Hz and F = 0.93 from the printed formulas."""
    item = preset("repeater")

    def rate_hz(length_km, repeaters):
        rounds_hz = 2e5 / length_km
        p = item.link(length_km, slot_s=1 / rounds_hz).p  # of one round
        return rounds_hz * p ** (repeaters + 1) * item.swap**repeaters

    fidelity = item.link(1.0).fidelity
    most = max(n for n in range(20) if path_fidelity([fidelity] * (n + 1)) >= 0.93)
    assert most == 6
    assert brentq(lambda length: rate_hz(length, most) - 1, 50, 300) == pytest.approx(136.31, abs=0.01)
    assert item.link(30).rate_hz == pytest.approx(rate_hz(30, 0))
    assert item.link(22).loss_db == pytest.approx(10 / math.log(10))


@pytest.mark.parametrize(
    ("name", "km", "rate_hz", "fidelity"),
    [
        ("neutral-atom", 33, 0.01, 0.622),
        ("atom-cavity", 0, 0.004, 0.987),
        ("rare-earth", 0, 1400, 0.804),
        ("spdc", 96, 257, 0.925),
        ("photon-pairs", 64, 7.1, 0.859),
        ("ion-230m", 0.52, 4e-5 / (3.6e-5 + 0.52 / 214000), 0.882),
    ],
)
def test_measured_links_are_what_was_measured(name, km, rate_hz, fidelity):
    figures = preset(name).link(km)
    assert figures.rate_hz == pytest.approx(rate_hz, rel=1e-4)
    assert figures.fidelity == pytest.approx(fidelity)
    if name != "ion-230m":  # 40 km more, 10 dB more; its attempts get slower, too
        assert preset(name).link(km + 40).rate_hz == pytest.approx(rate_hz / 10)


# --- whole networks ---


def line(lengths, **columns):
    count = len(lengths)
    return Network.from_columns(
        [f"n{i}" for i in range(count + 1)],
        np.arange(count),
        np.arange(count) + 1,
        name="line",
        notes=["read from a map"],
        length_km=np.array(lengths, dtype=float),
        **{"p": 0.5, **columns},
    )


def test_apply_builds_every_link_of_known_length():
    before = line(
        [10, 50, math.nan], fidelity=0.9, channels=[1, 2, 3], score=[1.0, 2.0, 3.0], memory=4, x=1.0, degree=2
    )
    after = preset("trapped-ion").apply(before, slot_s=0.01)
    made = preset("trapped-ion").link([10, 50], slot_s=0.01)
    np.testing.assert_array_equal(after.p, [*made.p, 0.5])
    np.testing.assert_array_equal(after.fidelity, [*made.fidelity, 0.9])
    np.testing.assert_array_equal(after.loss_db, [2.5, 12.5, math.nan])
    assert np.all(after.swap == 1.0)
    for name in ("length_km", "channels", "score", "memory", "degree", "x", "source", "target"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert (after.name, after.node_ids, after.notes[0]) == ("line", before.node_ids, "read from a map")
    assert "trapped-ion" in after.notes[1] and "slot 0.01 s" in after.notes[1]
    assert after.notes[2] == "length unknown, p and fidelity left as they were: n2-n3"
    assert np.all(before.p == 0.5)


def test_apply_drops_what_is_out_of_reach():
    after = preset("spdc").apply(line([10, 1e5, 20]))
    assert [after.link_name(e) for e in range(after.n_links)] == ["n0-n1", "n2-n3"]
    assert "dropped, out of reach of spdc: n1-n2" in after.notes
    after = preset("nv-centre").apply(line([10, 1e5, 500]))  # heralded, but by dark counts alone
    assert after.n_links == 2
    assert "dropped, out of reach of nv-centre: n1-n2" in after.notes
    assert "too long to stay entangled, fidelity 0.5 or less: n2-n3" in after.notes


def test_long_lists_of_links_are_cut():
    after = preset("spdc").apply(line([1e5] * 30))
    assert after.n_links == 0 and after.notes[-1].endswith("n19-n20 and 10 more")


def test_apply_stretches_map_distances_without_changing_them():
    before, item = line([10.0, 50.0]), preset("spdc")
    after = item.apply(before, route_factor=hardware.ROUTE_FACTOR)
    np.testing.assert_allclose(after.p, item.link(before.length_km * 1.59).p)
    np.testing.assert_array_equal(after.length_km, before.length_km)
    assert "1.59 km of fibre per km of link" in after.notes[-1]
    assert item.apply(after, route_factor=hardware.ROUTE_FACTOR) == after


def test_a_second_preset_replaces_the_note_of_the_first():
    after = preset("repeater").apply(preset("spdc").apply(line([10.0])))
    assert len(after.notes) == 2 and "repeater" in after.notes[1]


@pytest.mark.parametrize("given", [{"route_factor": 0}, {"route_factor": "long"}, {"slot_s": -1}, {"network": 3}])
def test_apply_refuses_nonsense(given):
    with pytest.raises(ProblemError, match=next(iter(given))):
        preset("spdc").apply(**{"network": line([1.0]), **given})
