"""Models trained for decisions, from telemetry and what is usually asked of the network."""

from __future__ import annotations

import numpy as np
import pytest
from link_tables import wandering

import qnroute as qn
from qnroute import generate
from qnroute.errors import ProblemError
from qnroute.learning.links.features import features, outcomes
from qnroute.learning.links.instances import Course, Decisions, hindsight
from qnroute.learning.links.model import LinkModel
from qnroute.learning.links.model_files import load_model, save_model


def test_hindsight_against_its_formula_and_nearer_to_the_truth_than_what_was_seen():
    telemetry, p, f = wandering(30, 12, seed=3, attempts=12)
    for target, true in (("p", p), ("fidelity", f), ("quality", p * f)):
        y, noise = outcomes(telemetry, target)
        found, seen = hindsight(telemetry, target), ~np.isnan(y)
        assert np.mean((found - true)[seen] ** 2) < 0.7 * np.mean((y - true)[seen] ** 2)
        assert ((found >= 0.0) & (found <= 1.0)).all()
    y, noise = outcomes(telemetry, "p")
    s = np.empty_like(y)
    for t, e in np.ndindex(y.shape):
        others = [(0.5 ** (abs(u - t) / 2), u) for u in range(len(y)) if u != t]
        hits = sum(w * telemetry.successes[u, e] for w, u in others)
        s[t, e] = (hits + telemetry.nominal_p[t, e]) / (sum(w * telemetry.attempts[u, e] for w, u in others) + 1.0)
    wander = np.nanmean((y - s) ** 2 - noise)
    expected = np.where(np.isnan(y), s, s + wander / (wander + noise) * (y - s))
    assert wander > 0.0 and hindsight(telemetry, "p") == pytest.approx(expected)


def usual(telemetry, seed, *, task="allocation"):
    """What is asked of a network of which there is telemetry."""
    rng = np.random.default_rng(seed)
    ends = [telemetry.ends[i][:: rng.choice([-1, 1])] for i in rng.permutation(telemetry.n_links)]
    nodes = [{"id": name, "memory": 2} for name in sorted({name for pair in ends for name in pair})]
    network = qn.Network(nodes, [{"source": u, "target": v, "p": 0.5} for u, v in ends])
    if task == "link-selection":
        return [qn.Problem(network, task=task, rules={"degree": 1})]
    return [
        qn.Problem(network, generate.requests(network, 4, seed=k), objective={"kind": "log-success", "serve_reward": 3})
        for k in (seed, seed + 1)
    ]


@pytest.mark.parametrize(("kind", "task"), [("linear", "allocation"), ("mlp", "link-selection")])
def test_models_of_telemetry_are_trained_for_decisions(kind, task, tmp_path):
    tables = [wandering(24, 10, seed=seed, attempts=40)[0] for seed in (0, 1)]
    given = [usual(table, 5, task=task) for table in tables]
    options = {"hidden": (8,), "epochs": 4} if kind == "mlp" else {}
    decisions = Decisions(given, Course(squared=0.1, rate=0.03, epochs=6), windows=15)
    plain = LinkModel(kind, options).fit(tables)
    found, again = (LinkModel(kind, options).fit(tables, decisions=decisions) for _ in range(2))
    trained, made = found.scorers_[decisions.target], features(tables[0])[-1]
    assert trained.regret_[trained.epoch_] == min(trained.regret_)
    assert trained.loss_ == ("spo+" if trained.epoch_ else "squared")
    for target, each in found.scorers_.items():
        for name, values in each.arrays_.items():
            assert np.array_equal(values, again.scorers_[target].arrays_[name])
            if target != decisions.target:
                assert np.array_equal(values, plain.scorers_[target].arrays_[name])
    assert found.trained_ == plain.trained_
    assert trained.epoch_ > 0 and not np.array_equal(
        trained.predict(made), plain.scorers_[decisions.target].predict(made)
    )
    save_model(tmp_path / "one.safetensors", found)
    loaded = load_model(tmp_path / "one.safetensors").scorers_[decisions.target]
    assert loaded.loss_ == "spo+" and np.array_equal(loaded.predict(made), trained.predict(made))


def test_decisions_that_do_not_fit_the_telemetry_are_refused():
    table = wandering(24, 10, seed=0)[0]
    asked = usual(table, 5)
    good = Decisions([asked])
    expected = asked[0].replace(objective="expected-pairs")
    selected = usual(table, 5, task="link-selection")
    for given in ([[expected]], [asked, selected], [asked, []], []):
        with pytest.raises(ProblemError, match="problems: found"):
            Decisions(given)
    with pytest.raises(ProblemError, match=r"later: found 1\.0"):
        Decisions([asked], later=1.0)
    with pytest.raises(ProblemError, match="kind: found 'graph', expected linear or mlp"):
        LinkModel("graph").fit([table], decisions=good)
    with pytest.raises(ProblemError, match="found those of 1 networks, telemetry of 2"):
        LinkModel("linear").fit([table, table], decisions=good)
    with pytest.raises(ProblemError, match="found 3 windows"):
        LinkModel("linear").fit([table.between(0, 3)], decisions=good)
    with pytest.raises(ProblemError, match="targets: found quality, expected p"):
        LinkModel("linear").fit([table], targets=("quality",), decisions=good)
    with pytest.raises(ProblemError, match="has no telemetry"):
        LinkModel("linear").fit([wandering(24, 6)[0]], decisions=good)
