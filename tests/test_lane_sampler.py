"""Our annealer as a dimod sampler: dimod's conformance suite, known optima, and what callers may ask of it."""

from __future__ import annotations

import os
import signal
import unittest
from pathlib import Path

import dimod
import dimod.testing
import numpy as np
import pytest
from helpers import ROOT

from qnroute.errors import SolverError
from qnroute.models import read_instance
from qnroute.settings import Settings
from qnroute.solvers import PathAnnealSampler
from qnroute.solvers.annealing import Schedule, draws, sampler_called, temperatures

DATA = Path(os.environ.get("QNROUTE_DATA", ROOT.parent / "shared" / "data")) / "known-optima"
needs_data = pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there")


@dimod.testing.load_sampler_bqm_tests(PathAnnealSampler)
class TestConformance(unittest.TestCase):
    """What dimod asks of every sampler."""

    def test_its_interface(self):
        dimod.testing.assert_sampler_api(PathAnnealSampler())


def random_model(seed, n=12, vartype="SPIN"):
    rng = np.random.default_rng(seed)
    return dimod.BinaryQuadraticModel(
        {i: rng.normal() for i in range(n)},
        {(i, j): rng.normal() for i in range(n) for j in range(i) if rng.random() < 0.4},
        rng.normal(),
        vartype,
    )


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
def test_it_finds_ground_states(vartype):
    for seed in range(10):
        model = random_model(seed, vartype=vartype)
        found = PathAnnealSampler().sample(model, num_sweeps=200, seed=1)
        dimod.testing.assert_response_energies(found, model)
        assert found.vartype is model.vartype and len(found) == 64
        assert found.first.energy == pytest.approx(dimod.ExactSolver().sample(model).first.energy)


def test_the_same_seed_gives_the_same_samples():
    model = random_model(3, 30)
    one, same, other, new = (
        PathAnnealSampler().sample(model, num_sweeps=5, num_reads=20, seed=seed, workers=workers)
        for seed, workers in ((1, 1), (1, 4), (2, 1), (None, 1))
    )
    assert np.array_equal(one.record.sample, same.record.sample)
    assert not np.array_equal(one.record.sample, other.record.sample) and isinstance(new.info["seed"], int)


def test_the_scale_of_a_model_does_not_matter():
    model = random_model(4, 20)
    least = PathAnnealSampler().sample(model, seed=1).first.energy
    for scale in (1e-100, 1e100):
        scaled = model.copy()
        scaled.scale(scale)
        assert PathAnnealSampler().sample(scaled, seed=1).first.energy == pytest.approx(scale * least)


def test_it_begins_where_it_is_told_and_stops_when_it_is_told():
    model = random_model(5, 20, "BINARY")
    best = PathAnnealSampler().sample(model, seed=1).first
    start = dimod.SampleSet.from_samples_bqm(best.sample, model)
    stay = PathAnnealSampler().sample(model, num_sweeps=1, beta_range=(1e6, 1e6), initial_states=start, seed=1)
    assert max(stay.record.energy) == pytest.approx(best.energy)
    assert len(PathAnnealSampler().sample(model, num_reads=10_000, target_energy=best.energy, workers=1)) < 10_000
    assert len(PathAnnealSampler().sample(model, num_reads=1_000_000, time_limit=0.3)) < 1_000_000


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(bad):
    for model in (
        dimod.BinaryQuadraticModel({"a": bad}, {}, 0.0, "BINARY"),
        dimod.BinaryQuadraticModel({}, {("a", "b"): bad}, 0.0, "SPIN"),
        dimod.BinaryQuadraticModel({"a": 1.0}, {}, bad, "BINARY"),
    ):
        with pytest.raises(SolverError, match="not finite"):
            PathAnnealSampler().sample(model)


@pytest.mark.parametrize("sample", ["sample", "sample_cqm"])
def test_the_first_ctrl_c_ends_the_search_and_keeps_what_there_is(sample):
    model = random_model(6, 40)
    cqm = dimod.ConstrainedQuadraticModel()
    cqm.set_objective(model)
    stated = {"sample": model, "sample_cqm": cqm}[sample]
    seen = []

    def pressed(state, energy):
        seen.append(energy)
        signal.raise_signal(signal.SIGINT)

    found = getattr(PathAnnealSampler(), sample)(stated, num_reads=1_000_000, seed=1, callback=pressed)
    assert found.info["stopped"] == "interrupted" and 0 < len(found) < 1_000_000
    assert found.first.energy == pytest.approx(min(seen)) and len(found.info["trace"]) == len(seen)


WRONG = [
    ("num_reads", 0), ("num_reads", 2.5), ("num_sweeps", 0), ("beta_range", (1.0, np.nan)), ("beta_range", (2.0, 1.0)),
    ("beta_range", (1.0, 2.0, 3.0)), ("workers", -1), ("time_limit", np.nan), ("time_limit", -1.0), ("seed", 0.5),
    ("initial_states", {"nobody": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_arguments_out_of_range_are_refused_by_name(name, value):
    cqm = dimod.ConstrainedQuadraticModel()
    cqm.set_objective(random_model(1))
    for sample, model in (("sample", random_model(1)), ("sample_cqm", cqm)):
        with pytest.raises(SolverError, match=f"^{name}: "):
            getattr(PathAnnealSampler(), sample)(model, **{name: value})


def test_arguments_as_other_samplers_take_them():
    model = random_model(2)
    cqm = dimod.ConstrainedQuadraticModel()
    cqm.set_objective(model)
    state = dict.fromkeys(range(12), 1)
    for sample, stated in (("sample", model), ("sample_cqm", cqm)):
        how = {"initial_states": state, "beta_range": np.array([0.1, 3.0]), "seed": -1, "num_sweeps": 5}
        assert len(getattr(PathAnnealSampler(), sample)(stated, **how)) == 64
        with pytest.warns(dimod.exceptions.SamplerUnknownArgWarning):
            getattr(PathAnnealSampler(), sample)(stated, num_sweeps=1, nonsense=1)


def test_next_to_nothing_is_sampled_all_the_same():
    tiny = dimod.BinaryQuadraticModel({"a": 1e-310, "b": -1e-310}, {}, 0.0, "BINARY")
    assert len(PathAnnealSampler().sample(tiny, seed=1)) == 64


KNOWN = {
    "qubo/gka1a.sparse": -3414, "qubo/gka1b.sparse": -133, "qubo/gka2b.sparse": -121, "qubo/gka1c.sparse": -5058,
    "qubo/bqp50-1.sparse": -2098, "qubo/bqp50-2.sparse": -3702, "qubo/bqp100-1.sparse": -7970,
    "maxcut/g05_60.0": 536, "maxcut/g05_60.1": 532, "maxcut/pm1s_80.0": 79, "maxcut/G11.txt": 564,
}  # fmt: skip


@needs_data
@pytest.mark.parametrize("name", KNOWN)
def test_published_optima_are_reached(name):
    instance = read_instance(DATA / name)
    how = {"num_sweeps": 2000, "num_reads": 128, "target_energy": instance.value(KNOWN[name])}
    found = PathAnnealSampler().sample(instance.quadratic.to_bqm(), seed=1, **how)
    assert instance.value(found.first.energy) == pytest.approx(KNOWN[name])


@needs_data
@pytest.mark.parametrize("name", KNOWN)
def test_they_are_reached_by_simulated_annealing_at_our_temperatures(name):
    instance = read_instance(DATA / name)
    schedule = Schedule(*temperatures(instance.quadratic), 2000)
    reads = draws(instance.quadratic.to_bqm(), sampler_called("neal"), schedule, 200, Settings(seed=1))
    best = (float(np.max(instance.quadratic.energies(x) * -1.0)) for x in reads)
    assert any(instance.value(-each) == pytest.approx(KNOWN[name]) for each in best)


@pytest.mark.parametrize("seed", range(3))
def test_planted_optima_are_reached_where_no_files_are_at_hand(seed):
    """Loops on a torus, one edge of each turned: all up is best for every loop, and so for their sum (gauged)."""
    rng, side, loops = np.random.default_rng(seed), 16, 200
    gauge, model, least = rng.choice([-1, 1], (side, side)), dimod.BinaryQuadraticModel("SPIN"), 0
    for _ in range(loops):
        (x, y), (w, h) = rng.integers(0, side, 2), rng.integers(1, 4, 2)
        corners = [(x + i, y) for i in range(w)] + [(x + w, y + i) for i in range(h)]
        corners += [(x + w - i, y + h) for i in range(w)] + [(x, y + h - i) for i in range(h)]
        ring = [(int(a % side), int(b % side)) for a, b in corners]
        turned, least = int(rng.integers(len(ring))), least - (len(ring) - 2)
        for k, (one, other) in enumerate(zip(ring, ring[1:] + ring[:1])):
            model.add_quadratic(one, other, float(gauge[one] * gauge[other] * (1 if k == turned else -1)))
    assert model.energy({spin: int(gauge[spin]) for spin in model.variables}) == least
    found = PathAnnealSampler().sample(model, seed=1, num_sweeps=2000, num_reads=1024, target_energy=least)
    assert found.first.energy == least
