"""Constrained models by our annealer: against all states, with the flags that Leap gives, and refusals by name."""

from __future__ import annotations

import dimod
import dimod.testing
import numpy as np
import pytest

import qnroute as qn
from qnroute import generate
from qnroute.errors import SolverError
from qnroute.models import RouteChoiceQubo
from qnroute.settings import Settings
from qnroute.solvers import PathAnnealSampler
from qnroute.solvers.constrained import Constrained
from qnroute.solvers.highs import solve_matrix


def drawn(seed):
    """Binary, spin and integer variables, an objective with squares, hard and soft constraints of all senses."""
    rng = np.random.default_rng(seed)
    cqm, variables = dimod.ConstrainedQuadraticModel(), []
    for i in range(int(rng.integers(4, 8))):
        low, high = int(rng.integers(-2, 1)), int(rng.integers(1, 5))
        integer = dimod.Integer(f"x{i}", lower_bound=low, upper_bound=high)
        variables.append([dimod.Binary(f"x{i}"), dimod.Spin(f"x{i}"), integer][int(rng.choice([0, 0, 0, 1, 2]))])
    objective = dimod.quicksum(float(rng.normal()) * x for x in variables) + float(rng.normal())
    for i, x in enumerate(variables):
        for other in variables[: i + 1]:
            if rng.random() < 0.3 and (x is not other or x.vartype(x.variables[0]) is dimod.INTEGER):
                objective += float(rng.normal()) * x * other
    cqm.set_objective(objective)
    for _ in range(int(rng.integers(1, 4))):
        left = dimod.quicksum(int(rng.integers(-3, 4)) * x for x in variables if rng.random() < 0.6) + variables[0]
        soft = {"weight": float(2.0 * rng.random()), "penalty": "linear"} if rng.random() < 0.3 else {}
        room = int(rng.integers(-2, 5))
        cqm.add_constraint([left <= room, left >= room, left == room][int(rng.integers(3))], **soft)
    return cqm


def kept(samples):
    return samples.filter(lambda each: each.is_feasible)


def test_the_best_feasible_state_is_found():
    none = 0
    for seed in range(60):
        cqm = drawn(seed)
        best, found = kept(dimod.ExactCQMSolver().sample_cqm(cqm)), PathAnnealSampler().sample_cqm(cqm, seed=1)
        assert len(found) == 64 and set(found.variables) == set(cqm.variables)
        if not len(best):
            none += 1
            assert not len(kept(found))
            continue
        assert kept(found).first.energy == pytest.approx(best.first.energy), seed
        flags = found.record.is_feasible
        assert flags.tolist() == sorted(flags.tolist(), reverse=True)  # those that keep all constraints come first
        assert np.all(np.diff(found.record.energy[flags]) >= 0.0)
    assert 5 <= none <= 30


def test_flags_say_what_each_sample_keeps():
    cqm = drawn(7)
    found = PathAnnealSampler().sample_cqm(cqm, seed=1, num_sweeps=2)
    labels = found.info["constraint_labels"]
    for sample, satisfied in zip(found.samples(sorted_by=None), found.record.is_satisfied):
        over = cqm.violations(sample)
        assert [over[label] <= 1e-6 for label in labels] == satisfied.tolist()
    if not cqm.num_soft_constraints():
        dimod.testing.assert_sampleset_energies_cqm(found, cqm)


def test_squared_soft_equalities_and_discrete_variables():
    cqm = dimod.ConstrainedQuadraticModel()
    colours = {(v, c): dimod.Binary((v, c)) for v in range(4) for c in range(3)}
    for v in range(4):
        cqm.add_discrete([(v, c) for c in range(3)], label=f"colour of {v}")
    cqm.set_objective(dimod.quicksum(colours[v, c] * colours[(v + 1) % 4, c] for v in range(4) for c in range(3)))
    cqm.add_constraint(
        dimod.quicksum(colours[v, 0] for v in range(4)) == 3, weight=0.25, penalty="quadratic", label="three"
    )
    found = PathAnnealSampler().sample_cqm(cqm, seed=1)
    best = kept(dimod.ExactCQMSolver().sample_cqm(cqm))
    assert kept(found).first.energy == pytest.approx(best.first.energy) == 0.25
    assert len(Constrained(cqm).model(1.0).block) == 5  # four blocks


def test_a_route_choice_comes_to_its_optimum():
    reached = 0
    for seed in range(5):
        network = generate.random_geometric(40, 25.0, seed=seed, p=(0.5, 0.95), channels=(1, 2))
        qubo = RouteChoiceQubo(qn.Problem(network, generate.requests(network, 25, seed=seed)))
        best = solve_matrix(qubo.model.matrix, Settings()).bound
        found = kept(PathAnnealSampler().sample_cqm(qubo.to_cqm(), seed=1, num_sweeps=300))
        assert len(found) and -found.first.energy >= 0.99 * best
        chosen = found.record.sample[:1][:, np.argsort([int(v) for v in found.variables])]
        assert qubo.read(chosen).feasible.all()
        reached += -found.first.energy >= best - 1e-7
    assert reached >= 4


def test_penalties_grow_until_rules_are_kept():
    rng = np.random.default_rng(1)
    weights, prices = rng.integers(10, 40, 12), rng.integers(1, 100, 12)
    cqm, items = dimod.ConstrainedQuadraticModel(), dimod.BinaryArray([f"i{i}" for i in range(12)])
    cqm.set_objective(-dimod.quicksum(int(p) * x for p, x in zip(prices, items)))
    cqm.add_constraint(dimod.quicksum(0.1 * int(w) * x for w, x in zip(weights, items)) <= 9.0)
    cqm.add_constraint(dimod.quicksum(items) >= 3)
    best = kept(dimod.ExactCQMSolver().sample_cqm(cqm)).first.energy
    assert kept(PathAnnealSampler().sample_cqm(cqm, seed=2)).first.energy == pytest.approx(best)


def test_the_same_seed_gives_the_same_samples_and_searches_stop():
    cqm, seen = drawn(next(seed for seed in range(3, 99) if not drawn(seed).num_soft_constraints())), []
    one, same, other = (
        PathAnnealSampler().sample_cqm(cqm, seed=seed, workers=workers, num_sweeps=3)
        for seed, workers in ((1, 1), (1, 3), (2, 1))
    )
    assert np.array_equal(one.record.sample, same.record.sample)
    assert not np.array_equal(one.record.sample, other.record.sample)
    best = kept(one).first

    def told(sample, energy):
        seen.append((sample, energy))
        return True

    few = PathAnnealSampler().sample_cqm(cqm, seed=1, num_reads=10_000, callback=told, workers=1)
    assert len(few) < 10_000 and len(seen) == 1
    assert cqm.check_feasible(seen[0][0]) and seen[0][1] == pytest.approx(kept(few).first.energy)
    least = PathAnnealSampler().sample_cqm(cqm, seed=1, num_reads=10_000, target_energy=best.energy)
    assert len(least) < 10_000 and kept(least).first.energy <= best.energy
    limited = PathAnnealSampler().sample_cqm(cqm, seed=1, num_reads=1_000_000, time_limit=0.2)
    assert limited.info["stopped"] == "time-limit" and len(limited) < 1_000_000
    start = dimod.SampleSet.from_samples_cqm(best.sample, cqm)
    cold = {"num_sweeps": 1, "beta_range": (1e6, 1e6)}
    stay = PathAnnealSampler().sample_cqm(cqm, initial_states=start, seed=1, **cold)
    assert kept(stay).first.energy <= best.energy + 1e-9


def test_what_cannot_be_stated_is_refused_by_name():
    x, y = dimod.Binary("x"), dimod.Binary("y")

    def model(objective, *constraints):
        cqm = dimod.ConstrainedQuadraticModel()
        cqm.set_objective(objective)
        for each in constraints:
            cqm.add_constraint(each, label="c")
        return cqm

    cases = {
        "'r' is real": model(dimod.Real("r") + x),
        "'i': from 0 to": model(dimod.Integer("i") + x),
        "'c' has products": model(x, x * y <= 0),
        "'c': a number is not finite": model(x, np.inf * x + y <= 1),
        "linear is not finite": model(np.nan * x),
    }
    for message, cqm in cases.items():
        with pytest.raises(SolverError, match=message):
            PathAnnealSampler().sample_cqm(cqm)
    with pytest.raises(SolverError, match="initial_states: no value for variable 'y'"):
        start = dimod.SampleSet.from_samples({"x": 1}, "BINARY", 0.0)
        PathAnnealSampler().sample_cqm(model(x + y), initial_states=start)


def test_empty_models():
    nothing = PathAnnealSampler().sample_cqm(dimod.ConstrainedQuadraticModel(), num_reads=3)
    assert len(nothing) == 3 and not len(nothing.variables)
    free = dimod.ConstrainedQuadraticModel()
    free.add_variable("BINARY", "x")
    free.set_objective(-1.0 * dimod.Binary("x"))
    assert PathAnnealSampler().sample_cqm(free, label="mine").first.sample == {"x": 1}


def test_rounding_excludes_nothing_that_dimod_lets_pass():
    for sense in ("<=", "=="):
        whole = dimod.ConstrainedQuadraticModel()
        j = dimod.Integer("j", lower_bound=0, upper_bound=3)
        whole.set_objective(-j)
        whole.add_constraint_from_model(0.1 * j, sense, 0.3)
        assert PathAnnealSampler().sample_cqm(whole, seed=1).first.sample == {"j": 3}
        both = dimod.ConstrainedQuadraticModel()
        both.set_objective(-dimod.Binary("a") - dimod.Binary("b"))
        both.add_constraint_from_model(0.1 * dimod.Binary("a") + 0.2 * dimod.Binary("b"), sense, 0.3)
        found = PathAnnealSampler().sample_cqm(both, seed=1)
        assert found.first.sample == {"a": 1, "b": 1} and found.record.is_feasible[0]


def test_variables_of_one_value_have_it():
    cqm = dimod.ConstrainedQuadraticModel()
    i = dimod.Integer("i", lower_bound=3, upper_bound=3)
    cqm.set_objective(i)
    cqm.add_constraint(i == 3)
    found = PathAnnealSampler().sample_cqm(cqm, num_reads=2)
    assert found.first.sample == {"i": 3} and found.first.energy == 3.0 and found.record.is_feasible.all()


def test_squared_excess_and_empty_ranges_are_refused():
    squared = dimod.ConstrainedQuadraticModel()
    squared.set_objective(-4 * dimod.quicksum(dimod.Binary(v) for v in "abc"))
    squared.add_constraint(dimod.Binary("a") + dimod.Binary("b") <= 0, weight=1.0, penalty="quadratic", label="soft")
    with pytest.raises(SolverError, match="constraint 'soft': excess is charged as it is"):
        PathAnnealSampler().sample_cqm(squared)
    empty = dimod.ConstrainedQuadraticModel()
    empty.add_variable("INTEGER", "i", lower_bound=0.2, upper_bound=0.8)
    with pytest.raises(SolverError, match="variable 'i': there is no whole number within its bounds"):
        PathAnnealSampler().sample_cqm(empty)
