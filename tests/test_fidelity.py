"""Werner algebra: by hand, against swapped density matrices, and the budgets that searches use for floors."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnroute.fidelity import (
    TOLERANCE,
    decayed,
    decayed_printed,
    fidelity_of,
    noise,
    noise_budget,
    path_fidelity,
    path_fidelity_printed,
    werner,
)

STEADY = settings(deadline=None, derandomize=True, database=None, max_examples=200)
FIDELITIES = st.floats(0.26, 1.0)
LISTS = st.lists(FIDELITIES, min_size=1, max_size=8)

PHI = np.array([1.0, 0.0, 0.0, 1.0]) / math.sqrt(2.0)
BELL = np.outer(PHI, PHI)


def werner_state(fidelity):
    """Density matrix of two qubits: Phi+ with probability F, each other Bell state with (1 - F) / 3."""
    return fidelity * BELL + (1.0 - fidelity) / 3.0 * (np.eye(4) - BELL)


def swapped(first, second):
    """The outer pair after the inner two of four qubits were found in Phi+."""
    joint = np.kron(first, second).reshape([2] * 8)
    inner = PHI.reshape(2, 2)
    left = np.einsum("bc,abcdefgh->adefgh", inner, joint)
    outer = np.einsum("fg,adefgh->adeh", inner, left).reshape(4, 4)
    return outer / np.trace(outer)


# --- by hand ---


@pytest.mark.parametrize(("fidelity", "parameter"), [(1.0, 1.0), (0.25, 0.0), (0.85, 0.8), (0.0, -1 / 3)])
def test_werner_parameter_by_hand(fidelity, parameter):
    assert werner(fidelity) == pytest.approx(parameter, abs=1e-15)
    assert fidelity_of(parameter) == pytest.approx(fidelity, abs=1e-15)


@pytest.mark.parametrize(
    ("links", "end_to_end"),
    [
        ([], 1.0),
        ([0.9], 0.9),
        ([0.90, 0.90], 61 / 75),  # A-C-D of the contract: w = (13/15)^2
        ([0.95, 0.96], 2_738 / 3_000),  # A-B-D: w = 14/15 * 71/75
        ([1.0, 1.0, 1.0], 1.0),
        ([0.25, 1.0], 0.25),
    ],
)
def test_path_fidelity_by_hand(links, end_to_end):
    assert path_fidelity(links) == pytest.approx(end_to_end, rel=1e-14)


def test_path_fidelity_takes_any_iterable():
    assert path_fidelity(f for f in (0.9, 0.9)) == path_fidelity(np.array([0.9, 0.9]))


def test_elementwise_on_arrays():
    given_values = np.array([[0.25, 1.0], [0.85, 0.7]])
    assert werner(given_values).shape == fidelity_of(given_values).shape == (2, 2)
    np.testing.assert_allclose(fidelity_of(werner(given_values)), given_values)
    np.testing.assert_allclose(werner([0.85, 1.0]), [0.8, 1.0])


def test_decay_by_hand():
    """w = 0.8 halves twice: 0.2, so F = 0.4; white noise stays white noise."""
    assert decayed(0.85, 0.5, 2) == pytest.approx(0.4)
    assert decayed(0.85, 0.5, 0) == pytest.approx(0.85)
    assert decayed(0.25, 0.5, 9) == pytest.approx(0.25)
    np.testing.assert_allclose(decayed(np.array([0.85, 1.0]), 0.5, np.array([1, 2])), [0.55, 0.4375])


def test_printed_variants_are_what_the_paper_prints():
    assert path_fidelity_printed([0.8, 0.6]) == pytest.approx((3 * 0.8 + 1) / 4 * (3 * 0.6 + 1) / 4)
    assert path_fidelity_printed([]) == 1.0
    assert decayed_printed(0.8, 0.5, 3) == pytest.approx(0.1)
    np.testing.assert_allclose(decayed_printed([0.8, 1.0], 0.5, [1, 2]), [0.4, 0.25])


def test_printed_variants_differ_from_werner_algebra():
    assert path_fidelity_printed([0.9, 0.9]) != pytest.approx(path_fidelity([0.9, 0.9]))
    assert decayed_printed(0.8, 0.5, 3) < 0.25 < decayed(0.8, 0.5, 3)


# --- against quantum mechanics ---


@pytest.mark.parametrize("fidelities", list(itertools.product([0.25, 0.4, 0.85, 0.99, 1.0], repeat=2)))
def test_swapping_density_matrices_gives_the_formula(fidelities):
    outer = swapped(*map(werner_state, fidelities))
    assert PHI @ outer @ PHI == pytest.approx(path_fidelity(fidelities), abs=1e-12)
    np.testing.assert_allclose(outer, werner_state(path_fidelity(fidelities)), atol=1e-12)  # again a Werner state


def test_swapping_three_times_gives_the_formula():
    chain = [0.95, 0.9, 0.97, 0.88]
    state = werner_state(chain[0])
    for fidelity in chain[1:]:
        state = swapped(state, werner_state(fidelity))
    assert PHI @ state @ PHI == pytest.approx(path_fidelity(chain), abs=1e-12)


# --- invariants ---


@STEADY
@given(LISTS)
def test_no_swap_improves_and_order_does_not_matter(links):
    total = path_fidelity(links)
    assert 0.25 - 1e-12 <= total <= min(links) + 1e-12
    assert path_fidelity(links[::-1]) == pytest.approx(total, rel=1e-12)
    assert path_fidelity([*links, 1.0]) == pytest.approx(total, rel=1e-12)


@STEADY
@given(FIDELITIES, st.floats(0.0, 1.0), st.integers(0, 20), st.integers(0, 20))
def test_waiting_in_two_steps_is_waiting_once(fidelity, rho, first, second):
    twice = decayed(decayed(fidelity, rho, first), rho, second)
    assert twice == pytest.approx(decayed(fidelity, rho, first + second), abs=1e-12)
    assert 0.25 - 1e-12 <= twice <= fidelity + 1e-12


@STEADY
@given(LISTS)
def test_noise_adds_along_a_route(links):
    assert np.all(noise(links) >= 0.0)
    assert fidelity_of(math.exp(-noise(links).sum())) == pytest.approx(path_fidelity(links), rel=1e-9)


def test_noise_of_a_perfect_pair_is_nothing():
    assert noise(1.0) == 0.0 and noise([1.0, 0.85]) == pytest.approx([0.0, -math.log(0.8)])


@STEADY
@given(LISTS)
def test_a_route_exactly_at_its_floor_is_inside_the_budget(links):
    assert noise(links).sum() <= noise_budget(path_fidelity(links))


@STEADY
@given(LISTS)
def test_a_route_below_its_floor_is_outside_the_budget(links):
    """What the judge refuses (beyond its tolerance) no search may find."""
    floor = path_fidelity(links) + 1.01 * TOLERANCE
    if floor > 0.25 + 1e-6:
        assert noise(links).sum() > noise_budget(floor)


@pytest.mark.parametrize("floor", [0.0, 0.1, 0.25])
def test_floors_at_or_below_white_noise_ask_for_nothing(floor):
    assert noise_budget(floor) == math.inf


def test_budget_shrinks_to_nothing_as_the_floor_rises():
    budgets = [noise_budget(floor) for floor in (0.3, 0.5, 0.9, 0.999, 1.0)]
    assert budgets == sorted(budgets, reverse=True)
    assert 0.0 <= budgets[-1] < 1e-8
