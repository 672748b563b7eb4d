"""Decision-focused learning: oracles against brute force, losses against their theory, training by what it is for."""

from __future__ import annotations

import math
import random

import numpy as np
import oracle
import pytest
from helpers import problem_of

import qnroute as qn
from qnroute import generate
from qnroute.allocation import check, value
from qnroute.errors import ProblemError
from qnroute.learning.links import scorer, scorer_arrays, scorer_of, warm
from qnroute.learning.links.decisions import LEAST, Instance, decision_focused, pooled_regret
from qnroute.learning.links.layers import gradient, said
from qnroute.learning.links.losses import perturbed, spo_plus
from qnroute.learning.links.opened import closed, inputs, opened
from qnroute.learning.links.oracles import PackingOracle, RoutingOracle, SelectionOracle


def selection(seed, n=8, probability=0.5, degree=2):
    network = generate.erdos_renyi(n, probability, seed=seed, p=(0.3, 0.9))
    return SelectionOracle(qn.Problem(network, task="link-selection", rules={"degree": degree}))


def log_success(rng):
    """A small problem and its document, its rewards such that routes are worth it, or not."""
    document = oracle.random_problem(rng, objective="log-success", max_total_routes=5)
    for node in document["network"]["nodes"]:
        node["swap"] = max(node.get("swap", 1.0), 0.3)
    return document, problem_of(document)


def packed(rng, n=9, asking=4, per_request=6):
    network = generate.erdos_renyi(n, 0.4, seed=rng.integers(2**31), p=(0.3, 0.9), swap=0.9, memory=(2, 4), channels=1)
    objective = {"kind": "log-success", "serve_reward": 3.0}
    asked = generate.requests(network, asking, seed=rng.integers(2**31), weight=(0.5, 2.0))
    return PackingOracle(qn.Problem(network, asked, objective=objective), per_request=per_request)


def agreed(found, problem, allocation, c):
    """The decision is feasible, and counts what its allocation is worth."""
    check(problem, allocation)
    assert found.worth(c) == pytest.approx(value(problem, allocation), rel=1e-9, abs=1e-9)


def test_the_selection_oracle_against_exhaustive_search():
    rng = random.Random("selection oracle")
    for _ in range(40):
        document = oracle.random_link_selection(rng)
        made = SelectionOracle(problem_of(document))
        for _ in range(3):  # the same program, with the cuts and the basis of before
            c = np.array([rng.uniform(-1.0, 1.0) for _ in range(made.n_links)])
            for link, score in zip(document["network"]["links"], c.tolist()):
                link["score"] = score
            found = made.best(c)
            assert found.worth(c) == pytest.approx(oracle.optimum(document)[0], abs=1e-9)
            agreed(found, problem_of(document), made.allocation(c), c)


@pytest.mark.parametrize("kind", [PackingOracle, RoutingOracle])
def test_routing_oracles_against_exhaustive_search(kind):
    rng, used = random.Random("routing oracles"), 0
    for _ in range(25):
        document, problem = log_success(rng)
        made = kind(problem, per_request=10_000) if kind is PackingOracle else kind(problem)
        for _ in range(2):
            c = np.array([rng.choice((0.0, -rng.expovariate(1.5))) for _ in range(made.n_links)])
            for link, log in zip(document["network"]["links"], c.tolist()):
                link["p"] = math.exp(log)
            best = oracle.optimum(document)[0]
            found = made.best(c)
            assert found.worth(c) == pytest.approx(best, rel=1e-6, abs=1e-6)
            agreed(found, problem_of(document), made.allocation(c), c)
            used += best > 0.0
    assert used > 20


def test_routing_cuts_coefficients_at_certainty():
    rng = np.random.default_rng(0)
    network = generate.erdos_renyi(7, 0.5, seed=1, p=0.5, swap=0.9)
    made = RoutingOracle(qn.Problem(network, generate.requests(network, 3, seed=2), objective="log-success"))
    c = rng.normal(0.0, 0.5, network.n_links)
    for one, other in zip(made.best(c), made.best(np.minimum(c, 0.0))):
        assert np.array_equal(one, other)


def test_candidates_have_coefficients_of_any_sign():
    rng = np.random.default_rng(1)
    for _ in range(10):
        made = packed(rng)
        z = every_packing(made)
        for _ in range(3):
            c = rng.normal(-0.3, 1.0, made.n_links)
            worth = z @ (made._constant + c @ made._over)
            assert made.best(c).worth(c) == pytest.approx(worth.max(), rel=1e-9, abs=1e-9)


def every_packing(made):
    """(S, J) all ways to use candidate routes, each of them once at most."""
    matrix = made._model.matrix
    a, found = matrix.a.toarray(), [np.zeros(len(matrix.cost))]
    assert (matrix.upper == 1.0).all()
    for j in range(len(matrix.cost)):
        more = [z.copy() for z in found]
        for z in more:
            z[j] = 1.0
        found += [z for z in more if (a @ z <= matrix.row_upper + 1e-9).all()]
    return np.array(found)


def test_with_too_many_nodes_or_cuts_answers_are_the_same(monkeypatch):
    rng = np.random.default_rng(2)
    plain, hasty = (packed(np.random.default_rng(3), n=14, asking=9, per_request=15) for _ in range(2))
    cut, uncut = selection(1, 14, 0.3), selection(1, 14, 0.3)
    uncut._program._cuts = None
    branched = {"count": 0}
    solve = warm.WarmProgram._packed

    def counted(self, cost):
        branched["count"] += 1
        return solve(self, cost)

    monkeypatch.setattr(warm.WarmProgram, "_packed", counted)
    for _ in range(20):
        c, s = rng.normal(-0.5, 0.7, plain.n_links), rng.normal(0.3, 0.7, cut.n_links)
        expected = plain.best(c).worth(c), cut.best(s).worth(s)
        with monkeypatch.context() as patch:
            patch.setattr(warm, "_MOST_NODES", 1)
            patch.setattr(warm, "_MOST_CUTS", 0)
            found = hasty.best(c).worth(c), uncut.best(s).worth(s)
            again = cut.best(s).worth(s)
        assert (*found, again) == pytest.approx((*expected, expected[1]), rel=1e-7, abs=1e-9)
    assert branched["count"] > 3


def test_what_does_not_fit_is_refused():
    network = generate.erdos_renyi(5, 0.9, seed=1)
    problem = qn.Problem(network, generate.requests(network, 2, seed=1))
    for kind in (PackingOracle, RoutingOracle):
        with pytest.raises(ProblemError, match="found expected-pairs, expected the objective log-success"):
            kind(problem)
    with pytest.raises(ProblemError, match="found allocation, expected the task link-selection"):
        SelectionOracle(problem)
    made = selection(1)
    with pytest.raises(ProblemError, match=f"expected {made.n_links} finite coefficients"):
        made.best(np.zeros(3))
    with pytest.raises(ProblemError, match="Instance: found shapes"):
        Instance(np.zeros((2, 2)), np.zeros(2), made)
    with pytest.raises(ProblemError, match=r"Instance.true: found values that are not finite"):
        Instance(np.zeros((made.n_links, 2)), np.full(made.n_links, np.nan), made)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"loss": "sp+"}, "loss: found 'sp"),
        ({"squared": -1.0}, "squared: found -1"),
        ({"patience": 0}, "patience: found 0"),
        ({"rates": 1.0}, "rates: unknown, expected one of loss, squared"),
    ],
)
def test_a_course_that_does_not_fit_is_refused(options, fault):
    made = selection(1)
    one = Instance(np.zeros((made.n_links, 2)), np.ones(made.n_links), made)
    with pytest.raises(ProblemError, match=fault):
        decision_focused(fitted([one]), [one], [one], **options)


def test_scorers_that_are_no_layers_are_refused():
    made = selection(1)
    one = Instance(np.random.default_rng(0).normal(size=(made.n_links, 2)), np.ones(made.n_links), made)
    with pytest.raises(ProblemError, match="validation: found none"):
        decision_focused(fitted([one]), [one], [])
    for start, fault in (
        (fitted([one], "nominal", fidelity=1), "scorer: found Nominal, expected linear or mlp"),
        (fitted([one], degree=2), "degree: found 2, expected 1"),
        (scorer("linear"), "scorer: found Linear that learned nothing yet"),
    ):
        with pytest.raises(ProblemError, match=fault):
            decision_focused(start, [one], [one])


ORACLES = [lambda rng: selection(int(rng.integers(1000))), packed]


@pytest.mark.parametrize("made", ORACLES)
def test_spo_plus_is_convex_no_less_than_regret_and_nothing_at_the_truth(made):
    rng = np.random.default_rng(5)
    for _ in range(15):
        asked = made(rng)
        true, one, other = rng.normal(-0.2, 0.8, (3, asked.n_links))
        best = asked.best(true)
        assert spo_plus(asked, true, true, best)[0] == pytest.approx(0.0, abs=1e-9)
        low, high = (spo_plus(asked, end, true, best) for end in (one, other))
        for share in (0.2, 0.5, 0.9):
            middle = spo_plus(asked, (1 - share) * one + share * other, true, best)[0]
            assert middle <= (1 - share) * low[0] + share * high[0] + 1e-9
        assert low[0] >= best.worth(true) - asked.best(one).worth(true) - 1e-9
        assert high[0] >= low[0] + low[1] @ (other - one) - 1e-9  # a subgradient lies below


@pytest.mark.parametrize("made", ORACLES)
def test_slopes_of_losses_against_finite_differences(made):
    rng, step, found = np.random.default_rng(6), 1e-6, 0
    for _ in range(6):
        asked = made(rng)
        true, predicted, along = rng.normal(-0.2, 0.8, (3, asked.n_links))
        noise, best = rng.normal(0.0, 0.5, (20, asked.n_links)), asked.best(true)
        for loss in (lambda c: spo_plus(asked, c, true, best), lambda c: perturbed(asked, c, noise, best)):  # noqa: B023
            ahead, behind = loss(predicted + step * along)[0], loss(predicted - step * along)[0]
            expected = (ahead - behind) / (2 * step)
            assert loss(predicted)[1] @ along == pytest.approx(expected, rel=1e-4, abs=1e-4)
            found += abs(expected) > 0.1
    assert found > 6


def test_the_perturbed_loss_is_of_a_smooth_maximum():
    asked, rng = selection(3), np.random.default_rng(7)
    true, predicted, along = rng.normal(0.2, 0.8, (3, asked.n_links))
    noise, best = rng.normal(0.0, 0.5, (1500, asked.n_links)), asked.best(true)
    slope, step = perturbed(asked, predicted, noise, best)[1] @ along, 0.05
    ahead, behind = (perturbed(asked, predicted + s * along, noise, best)[0] for s in (step, -step))
    assert slope == pytest.approx((ahead - behind) / (2 * step), rel=0.05)
    assert not np.array_equal(
        perturbed(asked, predicted, noise[:700], best)[1], perturbed(asked, predicted, noise[700:], best)[1]
    )


def fitted(instances, name="linear", **options):
    """A scorer of least squared error over the links of all instances."""
    features = np.concatenate([instance.features for instance in instances])
    return scorer(name, **options).fit(features, np.concatenate([instance.true for instance in instances]))


def with_gaps(rng, n=80):
    """Features of which some are missing, and what is to be said."""
    X = rng.normal(2.0, 3.0, (n, 3))
    y = np.abs(X[:, 0]) + 0.5 * X[:, 1]
    X[rng.random(X.shape) < 0.1] = np.nan
    X[0, 0] = 1e4  # further out than a scorer looks
    return X, y


MAPS = [("linear", {}), ("mlp", {"hidden": (5,), "epochs": 3}), ("mlp", {"hidden": (6, 4), "epochs": 3})]


@pytest.mark.parametrize(("name", "options"), MAPS)
def test_opened_scorers_say_the_same_and_close_again(name, options):
    X, y = with_gaps(np.random.default_rng(8))
    start = scorer(name, **options).fit(X, y)
    found = opened(start, 2.5)
    assert found.shift + found.gain * said(found.layers, inputs(start, X)) == pytest.approx(start.predict(X), abs=1e-9)
    again = closed(start, found)
    assert set(again) == set(start.arrays_)
    for key, values in start.arrays_.items():
        assert again[key].dtype == values.dtype and again[key] == pytest.approx(values, rel=1e-12)


@pytest.mark.parametrize(("name", "options"), MAPS)
def test_gradients_of_layers_against_finite_differences(name, options):
    rng = np.random.default_rng(8)
    X, y = with_gaps(rng)
    start = scorer(name, **options).fit(X, y)
    layers, z, along = opened(start, 2.5).layers, inputs(start, X), rng.normal(size=len(X))
    slope = gradient(layers, z, along)
    assert {key: values.shape for key, values in slope.items()} == {key: v.shape for key, v in layers.items()}
    for key, index in [(name, at) for name in slope for at in list(np.ndindex(slope[name].shape))[:4]]:
        ends = []
        for step in (1e-6, -1e-6):
            moved = {**layers, key: layers[key].copy()}
            moved[key][index] += step
            ends.append(along @ said(moved, z))
        assert slope[key][index] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-5)


def misjudged(rng, count):
    """Links of which the better half has less of what the worse half has more of: a line of least squares errs."""
    found = []
    for _ in range(count):
        asked = selection(int(rng.integers(2**31)), 8, 0.6, degree=1)
        good, x = rng.random(asked.n_links) < 0.5, rng.uniform(-1.0, 1.0, asked.n_links)
        found.append(Instance(np.c_[good, x].astype(float), np.where(good, 2.0 - x, 4.0 * x - 4.0), asked))
    return found


@pytest.mark.parametrize("loss", ["spo+", "perturbed"])
def test_decision_losses_lower_the_regret_of_a_misspecified_line(loss):
    rng = np.random.default_rng(10)
    learned, kept, held = (misjudged(rng, count) for count in (40, 20, 60))
    start = fitted(learned)
    before = {name: values.copy() for name, values in start.arrays_.items()}
    options = {"loss": loss, "squared": 0.0, "rate": 0.03, "epochs": 8, "samples": 2, "seed": 3}
    found = decision_focused(start, learned, kept, **options)
    assert all(np.array_equal(start.arrays_[name], values) for name, values in before.items())
    assert found.regret_[0] == pytest.approx(pooled_regret(start, kept))
    assert found.regret_[found.epoch_] == min(found.regret_) == pytest.approx(pooled_regret(found, kept))
    assert pooled_regret(found, held) < 0.1 * pooled_regret(start, held)
    again = decision_focused(start, learned, kept, **options)
    assert again.regret_ == found.regret_ and np.array_equal(again.arrays_["coef"], found.arrays_["coef"])
    features = np.concatenate([instance.features for instance in held])
    low, high = found.interval(features, level=0.8)
    true = np.concatenate([instance.true for instance in held])
    assert 0.7 < ((low <= true) & (true <= high)).mean() < 0.9
    arrays, meta = scorer_arrays(found)
    assert meta["loss"] == found.loss_ == loss and "loss" not in scorer_arrays(start)[1]
    loaded = scorer_of(arrays, meta)
    assert loaded.loss_ == loss and np.array_equal(loaded.predict(features), found.predict(features))
    for wrong in ({**meta, "loss": "hinge"}, {**meta, "loss": ["spo+"]}, {**meta, "kind": "graph"}):
        with pytest.raises(ProblemError, match="expected"):
            scorer_of(arrays, wrong)
    assert found.fit(features, true).loss_ == "squared"


def test_what_makes_decisions_worse_is_not_kept():
    rng = np.random.default_rng(11)
    asked = [selection(seed) for seed in range(4)]
    features = [rng.uniform(size=(one.n_links, 2)) for one in asked]
    exact = [Instance(x, x @ [2.0, -1.0], one) for x, one in zip(features, asked)]
    start = fitted(exact, ridge=1e-9)
    found = decision_focused(start, exact, exact, rate=1.0, epochs=9, patience=2)
    assert found.epoch_ == 0 and len(found.regret_) == 3 and found.regret_[0] == pytest.approx(0.0, abs=1e-9)
    assert found is not start and found.loss_ == "squared"
    assert all(np.array_equal(found.arrays_[name], values) for name, values in start.arrays_.items())


def test_slopes_of_logarithms_end_where_they_do():
    rng = np.random.default_rng(12)
    asked = packed(rng)
    values = np.array([LEAST / 2, 0.3, 0.9, 1.2, *rng.uniform(0.05, 0.95, asked.n_links - 4)])
    one = Instance(np.zeros((asked.n_links, 2)), rng.uniform(0.1, 0.9, asked.n_links), asked, log=True)
    step = 1e-7
    expected = (one.coefficients(values + step) - one.coefficients(values - step)) / (2 * step)
    assert one.slope(values) == pytest.approx(expected, rel=1e-5)
    assert one.slope(values)[[0, 3]].tolist() == [0.0, 0.0] and one.worth(one.true) == pytest.approx(
        one.best.worth(one.told)
    )
