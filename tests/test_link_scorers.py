"""Scorers of links: scikit-learn's protocol, and each kind against what it should say."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys

import numpy as np
import pytest
from link_cases import links, quick, windows
from sklearn.utils.estimator_checks import check_estimator

from qnroute.errors import ProblemError, SolverError
from qnroute.learning.links import SCORERS, Boosting, Empirical, GraphNetwork, Linear, Mlp, Nominal, scorer
from qnroute.learning.links.boosting import trees_of
from qnroute.learning.links.lessons import Lesson, merged, parted
from qnroute.learning.links.mlp import forward
from qnroute.learning.links.scorers import options_of
from qnroute.learning.links.standard import standardized
from qnroute.learning.links.trees import said_by_trees

CHECKED = [
    Nominal(),
    Empirical(),
    Linear(),
    Linear(degree=2),
    Boosting(trees=10),
    Mlp(hidden=(8,), epochs=25, learning_rate=0.05, batch=64),
    GraphNetwork(hidden=8, epochs=25, learning_rate=0.03, batch=64),
]


# --- every scorer ---


@pytest.mark.parametrize("one", CHECKED, ids=lambda one: type(one).__name__)
def test_passes_the_checks_of_scikit_learn(one):
    found = check_estimator(one, on_skip=None, on_fail="raise")
    assert {check["check_name"] for check in found if check["status"] != "passed"} <= {"check_array_api_input"}
    assert len(found) > 45


@pytest.mark.parametrize("name", SCORERS)
def test_same_seed_same_arrays(name):
    case, near = links(0, 300), windows(300, 10)
    groups = np.arange(300) % 50
    one, same, other = (
        quick(name, random_state=seed).fit(*case[:2], groups=groups, neighbours=near) for seed in (3, 3, 4)
    )
    assert all(np.array_equal(values, same.arrays_[key]) for key, values in one.arrays_.items())
    assert not np.array_equal(one.arrays_["spread.scores"], other.arrays_["spread.scores"])
    assert not any(values.flags.writeable for values in one.arrays_.values())


@pytest.mark.parametrize("name", SCORERS)
def test_missing_features_are_no_hindrance(name):
    case = links(1, 400)
    x = case.x.copy()
    x[np.random.default_rng(0).random(x.shape) < 0.2] = np.nan
    x[:, 5] = np.nan
    one = quick(name).fit(x, case.y)
    mean, sd = one.predict(np.vstack([x, case.x, np.full((1, 6), np.nan)]), return_std=True)
    assert mean.shape == sd.shape == (801,) and np.isfinite(mean).all() and (sd > 0).all()


@pytest.mark.parametrize("name", ["linear", "gradient-boosting", "mlp", "graph"])
def test_learns_the_mean(name):
    case, new = links(2, 3000), links(3, 1000)
    said = quick(name, **{"epochs": 30} if name in ("mlp", "graph") else {}).fit(case.x, case.y).predict(new.x)
    assert np.mean((said - new.mean) ** 2) < 0.1 * new.mean.var()


def test_rows_of_no_weight_do_not_count():
    case = links(4, 200)
    weight = (np.arange(200) < 150).astype(float)
    wrong = np.where(weight > 0, case.y, 1e6)
    for name in ("linear", "gradient-boosting", "graph"):
        one = quick(name).fit(case.x, wrong, sample_weight=weight)
        assert np.abs(one.predict(case.x)).max() < 10
        assert one.interval(case.x)[1].max() < 1e3


def test_options_are_checked():
    case = links(0, 60)
    with pytest.raises(ProblemError, match=r"degree: found 4, .*; ridge: found 0"):
        Linear(degree=4, ridge=0.0).fit(case.x, case.y)
    with pytest.raises(ProblemError, match=r"calibration: found 1\.0"):
        Nominal(calibration=1.0).fit(case.x, case.y)
    with pytest.raises(ProblemError, match=r"hidden\[1\]: found 0"):
        Mlp(hidden=(4, 0)).fit(case.x, case.y)
    with pytest.raises(ValueError, match=r"6 feature\(s\).*minimum of 8 is required by Nominal"):
        Nominal(fidelity=7).fit(case.x, case.y)
    with pytest.raises(ProblemError, match="degree: found 3, which makes 5455 columns of 30 features"):
        Linear(degree=3).fit(np.ones((50, 30)), np.ones(50))
    with pytest.raises(ProblemError, match="with which the training diverges"):
        quick("mlp", learning_rate=1e30, holdout=0).fit(case.x, case.y)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"sample_weight": np.zeros(60)}, "sample_weight: found zero for all rows"),
        ({"noise": -np.ones(60)}, r"noise: found values outside \[0, 1e\+15\]"),
        ({"noise": np.full(60, np.nan)}, "noise: found values outside"),
        ({"noise": np.ones(59)}, r"noise: found shape \(59,\), expected \(60,\)"),
        ({"noise": "much"}, r"noise: found shape \(\)|noise: found str"),
        ({"groups": np.ones((60, 2))}, r"groups: found shape \(60, 2\)"),
        ({"neighbours": windows(50, 5)}, r"neighbours: found shape \(50, 50\)"),
        ({"neighbours": 3}, "neighbours: found int"),
        ({"neighbours": (np.zeros(61, int), np.zeros(0))}, "expected integers"),
        ({"neighbours": (np.full(61, 2), np.array([0, 1]))}, "no ascent from 0"),
        ({"neighbours": (np.r_[np.zeros(60, int), 1], np.array([60]))}, "outside 0 to 59"),
    ],
)
def test_what_goes_with_the_rows_is_checked(given, what):
    case = links(0, 60)
    with pytest.raises(ProblemError, match=what):
        quick("graph").fit(case.x, case.y, **given)


@pytest.mark.parametrize("name", SCORERS)
@pytest.mark.parametrize(
    "what", ["one row", "two rows", "all the same", "one weight", "far out", "tiny", "large", "noise", "alone"]
)
def test_odd_rows_are_learned_from_without_a_warning(name, what):
    rng = np.random.default_rng(0)
    n = {"one row": 1, "two rows": 2}.get(what, 60)
    x, given = rng.normal(size=(n, 6)), {}
    y = x[:, 0].copy()
    if what == "all the same":
        x[:], y[:] = 1.0, 0.0
    if what == "far out":
        x[7], y[7] = 1e12, 1e6
    if what in ("tiny", "large"):
        x, y = (x * 1e-200, y * 1e-200) if what == "tiny" else (x * 1e59, y * 1e14)
    if what == "one weight":
        given = {"sample_weight": np.arange(n) == 3}
    if what == "noise":
        given = {"noise": 10.0 ** rng.uniform(-12, 12, n)}
    if what == "alone":
        given = {"neighbours": windows(n, n + 1)}
    mean, sd = (
        quick(name, **{"epochs": 2} if name in ("mlp", "graph") else {}).fit(x, y, **given).predict(x, return_std=True)
    )
    assert np.isfinite(mean).all() and np.isfinite(sd).all()


def test_numbers_beyond_reason_are_refused():
    case = links(0, 60)
    with pytest.raises(ProblemError, match=r"X: found 1e\+61, expected numbers of at most 1e\+60 either way"):
        Linear().fit(np.where(case.x > 1, 1e61, case.x), case.y)
    with pytest.raises(ProblemError, match="y: found"):
        Linear().fit(case.x, case.y * 1e16)
    with pytest.raises(ProblemError, match="X: found"):
        Linear().fit(case.x, case.y).predict(case.x * 1e61)


def test_a_ridge_too_small_for_the_features_is_told(monkeypatch):
    def singular(*_):
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(np.linalg, "solve", singular)
    case = links(0, 60)
    with pytest.raises(ProblemError, match="ridge: found 1e-300, too small"):
        Linear(ridge=1e-300).fit(case.x, case.y)


@pytest.mark.parametrize("holdout", [0.0, 0.3])
def test_training_that_diverges_is_told(holdout):
    case = links(0, 200)
    with pytest.raises(ProblemError, match=r"learning_rate: found 1e\+30, with which the training diverges"):
        Mlp(learning_rate=1e30, holdout=holdout, epochs=3).fit(case.x, case.y)


def test_rows_held_back_count_alike():
    """What tells when to stop is the mean over all of them, however many there are."""
    from qnroute.learning.links import mlp

    seen, n = [], 30_000
    rng = np.random.default_rng(0)
    real = mlp.taught

    def spy(begin, loss, batches, held, course):
        seen.extend(len(rows) for rows in held)
        return real(begin, loss, batches, held, course)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlp, "taught", spy)
        Mlp(hidden=(2,), epochs=1, holdout=0.5, calibration=0.2).fit(rng.normal(size=(n, 1)), rng.normal(size=n))
    assert seen == [12_000]


def test_scorers_by_name():
    assert options_of("linear") == {"degree": 1, "ridge": 1.0, "calibration": 0.2, "random_state": 0}
    assert isinstance(scorer("linear", degree=2), Linear)
    with pytest.raises(ProblemError, match=r"scorer: found 'liner'.*did you mean linear\?"):
        scorer("liner")
    with pytest.raises(ProblemError, match=r"linear\.depth: unknown option, expected one of degree, ridge"):
        scorer("linear", depth=3)


def test_without_the_libraries_it_says_what_to_install(monkeypatch):
    for use in ("l.LinkScorer", "l.scorer('mlp')"):
        code = f"import sys; sys.modules['sklearn'] = None; import qnroute.learning.links as l; {use}"
        made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert 'SolverError: link scorers need scikit-learn: pip install "qnroute[learn]"' in made.stderr
    real, case = importlib.util.find_spec, links(0, 60)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else real(name, *rest))
    for name in ("mlp", "graph"):
        with pytest.raises(SolverError, match=r'needs torch: pip install "qnroute\[learn\]"'):
            quick(name).fit(case.x, case.y)


# --- lessons ---


def test_parts_keep_groups_together():
    rng = np.random.default_rng(0)
    group, rows = rng.integers(0, 20, 300), np.sort(rng.permutation(300)[:200])
    first, second = parted(rows, group, 0.25, rng)
    assert np.array_equal(np.sort(np.concatenate([first, second])), rows)
    assert not set(group[first]) & set(group[second])
    assert len(set(group[second])) == round(0.25 * len(set(group[rows])))
    first, second = parted(rows, np.zeros(300, int), 0.25, rng)  # of one group: row by row
    assert second.size == 50 and first.size == 150


def test_equal_rows_of_a_small_lesson_are_one():
    x = np.array([[1.0, np.nan], [2.0, 0.0], [1.0, np.nan], [1.0, np.nan]])
    y, weight = np.array([1.0, 1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0, 4.0])
    one = merged(Lesson(x, y, weight, None, None))
    assert sorted(zip(one.y, one.weight)) == [(1.0, 2.0), (1.0, 4.0), (2.0, 4.0)]
    apart = merged(Lesson(x, y, weight, np.arange(4), None))
    assert sorted(apart.weight) == [1, 2, 3, 4]


# --- each kind ---


def test_nominal_says_the_product():
    case = links(5, 100)
    assert np.array_equal(Nominal().fit(case.x, case.y).predict(case.x), case.x[:, 0] * case.x[:, 1])
    swapped = Nominal(p=3, fidelity=2).fit(case.x, case.y).predict(case.x)
    assert np.array_equal(swapped, case.x[:, 3] * case.x[:, 2])


def test_empirical_shrinks_as_the_closed_form_has_it():
    rng = np.random.default_rng(0)
    truth = rng.normal(0.5, 0.1, 4000)
    x = np.column_stack([truth + 0.2 * rng.normal(size=4000), np.full(4000, 8.0), rng.uniform(size=4000)])
    y = truth + 0.1 * rng.normal(size=4000)
    one = Empirical(calibration=0.0).fit(x, y)
    off = x[:, 0] - y.mean()
    share = off @ (y - y.mean()) / (off @ off)  # least squares: w / (w + kappa)
    assert one.arrays_["kappa"][0] == pytest.approx(8 * (1 - share) / share, rel=1e-5)
    assert share == pytest.approx(0.01 / (0.01 + 0.04), rel=0.1)
    assert np.allclose(one.predict(x), y.mean() + share * off, atol=1e-7)
    unseen = np.array([[np.nan, 8.0, 0.3], [0.9, np.nan, 0.3], [0.9, 0.0, 0.3], [0.9, -1.0, np.nan]])
    assert np.allclose(one.predict(unseen), y.mean())
    assert np.allclose(Empirical(prior=2).fit(x, y).predict(unseen)[:3], 0.3)


def test_empirical_weighs_by_how_much_was_seen():
    rng = np.random.default_rng(1)
    truth, tries = rng.beta(4, 4, 20_000), rng.integers(1, 60, 20_000)
    x = np.column_stack([rng.binomial(tries, truth) / tries, tries])
    one = Empirical().fit(x, truth)
    assert one.arrays_["kappa"][0] == pytest.approx(8.0, rel=0.1)  # a beta's a + b is what its prior is worth


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_linear_is_scikit_learn_s_ridge(degree):
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import PolynomialFeatures

    case = links(6, 500)
    x, weight = case.x.copy(), np.random.default_rng(0).uniform(0.5, 2.0, 500)
    x[::7, 4] = np.nan
    one = Linear(degree=degree, ridge=3.0, calibration=0.0).fit(x, case.y, sample_weight=weight)
    z = standardized(one.arrays_, x)
    assert z.shape == (500, 7) and np.array_equal(z[:, 6], np.isnan(x[:, 4]))
    terms = np.column_stack([PolynomialFeatures(degree, include_bias=False).fit_transform(z[:, :6]), z[:, 6]])
    ridge = Ridge(alpha=3.0).fit(terms, case.y, sample_weight=weight)
    assert np.allclose(one.predict(x), ridge.predict(terms), atol=1e-9)
    assert one.arrays_["coef"].size == math.comb(6 + degree, degree) - 1 + 1


def test_linear_learns_from_some_rows_where_all_would_take_too_long(monkeypatch):
    monkeypatch.setattr("qnroute.learning.links.linear._PRODUCTS", 200 * 27**2)
    case = links(7, 2000)
    said = Linear(degree=2).fit(case.x, case.y).predict(case.x)
    assert np.corrcoef(said, case.mean)[0, 1] > 0.9


def test_trees_say_what_scikit_learn_s_say():
    from sklearn.ensemble import HistGradientBoostingRegressor

    rng = np.random.default_rng(0)
    case = links(8, 1500)
    x = np.where(rng.random(case.x.shape) < 0.1, np.nan, case.x)
    x[:, 2] = case.x[:, 2]  # never missing while it learns
    grown = HistGradientBoostingRegressor(max_iter=25, early_stopping=False).fit(x, case.y)
    new = np.where(rng.random(case.x.shape) < 0.3, np.nan, links(9, 1500).x)
    new[:3] = [[np.nan] * 6, [1e300] * 6, [-1e300] * 6]
    assert np.abs(said_by_trees(trees_of(grown, 6), new) - grown.predict(new)).max() < 1e-9
    del grown._predictors
    with pytest.raises(SolverError, match="the trees of this scikit-learn cannot be read"):
        trees_of(grown, 6)


def test_features_that_few_rows_have_are_left_to_themselves(monkeypatch):
    """Bins are made of some rows alone; scikit-learn fails where none of them has the feature."""
    monkeypatch.setattr("qnroute.learning.links.boosting._BINNED", 500)
    case = links(8, 1200)
    x = np.where((np.arange(1200) % 10 > 0)[:, None] & (np.arange(6) > 3), np.nan, case.x)
    one, other = quick("gradient-boosting"), quick("gradient-boosting")
    one.fit(x, case.y)
    assert set(one.arrays_["feature"]) <= {-1, 0, 1, 2, 3}
    monkeypatch.undo()
    assert {4, 5} & set(other.fit(x, case.y).arrays_["feature"])


def test_boosting_grows_the_trees_it_is_asked_for():
    from sklearn.ensemble import HistGradientBoostingRegressor

    case = links(10, 1500)
    one = Boosting(trees=15, leaves=8, fewest=30, penalty=2.0, learning_rate=0.2, bins=64, calibration=0.0)
    peer = HistGradientBoostingRegressor(
        max_iter=15, max_leaf_nodes=8, min_samples_leaf=30, l2_regularization=2.0, learning_rate=0.2, max_bins=64
    ).set_params(early_stopping=False, random_state=0)
    assert np.allclose(one.fit(case.x, case.y).predict(case.x), peer.fit(case.x, case.y).predict(case.x), atol=1e-9)


def test_perceptron_says_without_torch_what_it_says_with_it():
    import torch

    case = links(11, 400)
    one = quick("mlp", hidden=(9, 5)).fit(case.x, case.y)
    weights = {name: torch.from_numpy(values.astype(float)) for name, values in one.arrays_.items() if name[0] in "Wb"}
    z = torch.from_numpy(standardized(one.arrays_, case.x, limit=10.0))
    said = one.arrays_["shift"] + one.arrays_["gain"] * forward(weights, z).numpy()
    assert np.allclose(one.predict(case.x), said, atol=1e-12) and len(weights) == 6


def test_perceptron_stops_where_the_part_held_back_no_longer_gains():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(600, 6)), rng.normal(size=600)
    stopped = quick("mlp", hidden=(64,), epochs=60, patience=2, holdout=0.4).fit(x, y)
    learned = quick("mlp", hidden=(64,), epochs=60, holdout=0.0).fit(x, y)
    assert stopped.predict(x).std() < 0.5 * learned.predict(x).std()  # there is nothing to learn


def graph_twin(one: GraphNetwork, x: np.ndarray, near: np.ndarray | None) -> list[float]:
    """What the network says, link by link, from a dense matrix of neighbours."""
    a = {name: values.astype(float) for name, values in one.arrays_.items()}
    z = (x - a["mean"]) / a["scale"]
    states = [np.maximum(row @ a["W0"] + a["b0"], 0) for row in z]
    for r in range(1, one.rounds + 1):
        before = list(states)
        for i, own in enumerate(before):
            around = [before[j] for j in range(len(x)) if near is not None and near[i, j]]
            mean = sum(around) / len(around) if around else np.zeros_like(own)
            states[i] = own + np.maximum(own @ a[f"S{r}"] + mean @ a[f"N{r}"] + a[f"c{r}"], 0)
    return [float((a["shift"] + a["gain"] * (h @ a["W1"] + a["b1"]))[0]) for h in states]


@pytest.mark.parametrize("rounds", [1, 2])
def test_graph_network_is_its_dense_twin(rounds):
    case, rng = links(12, 120), np.random.default_rng(0)
    pattern = rng.random((120, 120)) < 0.03
    one = quick("graph", rounds=rounds).fit(case.x, case.y, neighbours=windows(120, 6))
    assert np.abs(standardized(one.arrays_, case.x)).max() < 10  # where features are cut
    near = windows(120, 6)
    near.data[:] = 0.0  # only the pattern counts
    for given, dense in ((None, None), (near, windows(120, 6).toarray() > 0)):
        assert np.allclose(one.predict(case.x, neighbours=given), graph_twin(one, case.x, dense), atol=1e-12)
    indptr, indices = np.r_[0, np.cumsum(pattern.sum(axis=1))], np.nonzero(pattern)[1]
    said = one.predict(case.x, neighbours=(indptr, indices))
    assert np.allclose(said, graph_twin(one, case.x, pattern), atol=1e-12)


def test_graph_network_is_trained_on_what_it_says():
    import torch

    from qnroute.learning.links import graph
    from qnroute.learning.links.adjacency import neighbours_of

    case, near = links(13, 90), windows(90, 9)
    one = quick("graph").fit(case.x, case.y, neighbours=near)
    z = standardized(one.arrays_, case.x).astype(np.float32)
    ones = np.ones(90, np.float32)
    batches = graph._batches(
        z, np.arange(90, dtype=np.float32), (ones, ones), neighbours_of(near, 90), 30, np.random.default_rng(0)
    )
    assert [len(batch.y) for batch in batches] == [36, 36, 18]  # blocks of 9 are not cut
    weights = {name: torch.tensor(one.arrays_[name], requires_grad=True) for name in one._shapes(6)}
    said = one.predict(case.x, neighbours=near)
    for batch in batches:
        found = graph._forward(weights, batch, 2, graph._around())
        rows = batch.y.numpy().astype(int)
        assert np.allclose(one.arrays_["shift"] + one.arrays_["gain"] * found.detach().numpy(), said[rows], atol=1e-5)
    found.sum().backward()
    slope, weights["N1"].grad = weights["N1"].grad.clone(), None
    dense = torch.tensor(batch.around[0].toarray())
    replaced = type("Dense", (), {"apply": staticmethod(lambda h, _: dense @ h)})
    graph._forward(weights, batch, 2, replaced).sum().backward()
    assert slope.abs().max() > 0 and torch.allclose(slope, weights["N1"].grad, rtol=1e-4, atol=1e-5)


def test_graph_network_looks_at_its_neighbours():
    rng, near = np.random.default_rng(0), windows(2000, 8)
    x = rng.normal(size=(2000, 4))
    y = x[:, 0] + near @ x[:, 1]
    scores = [
        quick("graph", epochs=25, batch=128).fit(x, y, neighbours=given).predict(x, neighbours=given)
        for given in (near, None)
    ]
    with_them, alone = (np.corrcoef(said, y)[0, 1] ** 2 for said in scores)
    assert with_them > 0.9 and alone < 0.5


def test_a_distribution_is_what_predict_and_interval_say():
    x, y = np.random.default_rng(3).random((90, 4)), np.random.default_rng(4).random(90)
    made = scorer("linear").fit(x, y)
    mean, sd, low, high = made.distribution(x, level=0.8)
    for found, said in zip((mean, sd), made.predict(x, return_std=True)):
        np.testing.assert_array_equal(found, said)
    for found, said in zip((low, high), made.interval(x, level=0.8)):
        np.testing.assert_array_equal(found, said)
