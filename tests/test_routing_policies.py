"""Files of policies, recipes, `qnroute train ppo`, and the method that follows a policy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from hostile import refused, untouched
from safetensors.numpy import load_file
from tensor_files import parts, whole

import qnroute as qn
from qnroute import generate
from qnroute.allocation import check
from qnroute.cli import run
from qnroute.errors import ProblemError
from qnroute.learning.routing.episodes import FEATURES
from qnroute.learning.routing.policy import RoutePolicy, first_weights, shapes
from qnroute.learning.routing.policy_files import BUILT_IN, load_policy, save_policy
from qnroute.learning.routing.pool import usual_problem
from qnroute.learning.routing.problems import SEEN, drawn, mixed
from qnroute.learning.routing.recipes import BUILT_IN as RECIPE
from qnroute.learning.routing.recipes import SMOKE, Recipe, load_recipe, trained


@pytest.fixture
def policy():
    return RoutePolicy(first_weights(np.random.default_rng(0)), {"seed": 0})


# --- files ---


def test_a_file_comes_back_to_the_last_bit_and_is_safetensors(policy, tmp_path):
    save_policy(tmp_path / "p.safetensors", policy)
    back = load_policy(tmp_path / "p.safetensors")
    assert all(np.array_equal(back.weights[name], policy.weights[name]) for name in shapes()) and back.told == {
        "seed": 0
    }
    save_policy(tmp_path / "q.safetensors", back)
    assert (tmp_path / "p.safetensors").read_bytes() == (tmp_path / "q.safetensors").read_bytes()
    theirs = load_file(tmp_path / "p.safetensors")
    assert all(np.array_equal(theirs[name], policy.weights[name]) for name in shapes()) and len(theirs) == len(shapes())


def changed(**document):
    def change(content):
        header, data = parts(content)
        told = json.loads(header["__metadata__"]["qnroute"]) | document
        header["__metadata__"]["qnroute"] = json.dumps(told)
        return whole(header, data)

    return change


def array(name, **row):
    def change(content):
        header, data = parts(content)
        header[name] = {**header.get(name, {}), **row}
        return whole(header, data)

    return change


BAD = {
    "empty": (lambda c: b"", "found 0 bytes"),
    "cut in the header": (lambda c: c[:50], "that are no policy"),
    "cut in the arrays": (lambda c: c[:-4], "no float32 array within the file"),
    "huge": (lambda c: c + b"0" * 3_000_000, "that are no policy"),
    "no JSON": (lambda c: whole(b"{nonsense", b""), "header: is no JSON"),
    "nested deep": (lambda c: whole(b"[" * 100_000, b""), "header: is no JSON"),
    "a list": (lambda c: whole(b"[]", b""), "header: expected a JSON object"),
    "no metadata": (lambda c: whole({}, b""), "found no 'qnroute'"),
    "metadata that are no JSON": (lambda c: whole({"__metadata__": {"qnroute": "{"}}, b""), "metadata: is no JSON"),
    "another format": (changed(format="qnroute.policy/2"), "format: expected 'qnroute.policy/1'"),
    "other features": (changed(features=list(FEATURES)[1:]), "features: are not those of this version"),
    "an array more": (array("zzz", dtype="F32", shape=[1], data_offsets=[0, 4]), "zzz: unknown array"),
    "another shape": (array("b1", shape=[2]), "b1: is no float32 array"),
    "a shape turned": (array("B1", shape=[1, 32]), "B1: found shape"),
    "another type": (array("b1", dtype="F64"), "b1: is no float32 array"),
    "beyond the end": (array("b1", data_offsets=[10**12, 10**12 + 4]), "b1: is no float32 array"),
    "sides beyond all": (array("b1", shape=[10**30]), "b1: is no float32 array"),
    "a value that is none": (
        lambda c: c[:-4] + np.array([np.nan], "<f4").tobytes(),
        "found values that are not finite",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_policy_is_refused_in_a_line(name, policy, tmp_path):
    change, words = BAD[name]
    path = tmp_path / "p.safetensors"
    save_policy(path, policy)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ProblemError) as caught:
        load_policy(path)
    assert words in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_the_policy_that_comes_with_the_package_was_made_by_its_recipe():
    told = load_policy().told
    assert told["recipe"] == load_recipe().to_dict() and BUILT_IN.stat().st_size < 2_000_000
    assert 0.98 < told["served"]["imitation"] <= told["served"]["ppo"] < 1.0
    assert (BUILT_IN.parent / "MODEL_CARD.md").read_text().startswith("# ")


# --- recipes ---


def test_recipes_are_read_and_checked(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text("[ppo]\nupdates = 3\nlearning_rate = 1\n")
    found = load_recipe(path)
    assert found.ppo.updates == 3 and found.ppo.learning_rate == 1 and found.imitation == Recipe().imitation
    for text, words in (
        ("updates = ", "is no TOML"),
        ("[sac]\n", "sac: unknown, expected some of problems, imitation, ppo"),
        ("ppo = 3\n", "ppo: expected a table"),
        ("[ppo]\nupdate = 3\n", "ppo.update: unknown, expected one of updates"),
        ("[ppo]\nupdates = 0\n", "ppo.updates: found 0, expected a whole number from 1"),
        ("[ppo]\nupdates = 2.5\n", "ppo.updates: found 2.5, expected a whole number"),
        ("[ppo]\nclip = nan\n", "ppo.clip: found nan, expected a number above 0"),
        ("[ppo]\nclip = true\n", "ppo.clip: found True, expected a number above 0"),
        ("[ppo]\nclip = 0\n", "ppo.clip: found 0, expected a number above 0"),
        ("[ppo]\ndiscount = 1.5\n", "ppo.discount: found 1.5, expected a number from 0 to 1"),
        ("[imitation]\nexpert = 7\n", "imitation.expert: found 7, expected a number from 0 to 1"),
        ("[ppo]\nepisodes = 1\n", "ppo.episodes: found 1, expected 2 or more, or a critic"),
        ("[problems]\nseed = -1\n", "problems.seed: found -1, expected a whole number from 0"),
    ):
        path.write_text(text)
        with pytest.raises(ProblemError, match=words):
            load_recipe(path)
    path.write_text("[imitation]\nrounds = 0\nepochz = 2\n[ppo]\nclip = 0\nupdates = 0\n")
    with pytest.raises(ProblemError) as raised:
        load_recipe(path)
    assert all(name in str(raised.value) for name in ("rounds", "epochz", "clip", "updates"))
    assert load_recipe(RECIPE).problems.seed == 1_000_000


def test_same_seed_same_problem_and_all_topologies_are_drawn():
    one, other = mixed(7), mixed(7)
    assert one.network.p.tolist() == other.network.p.tolist() and one.requests == other.requests
    names = {mixed(seed).network.name.rsplit("-", 2)[0] for seed in range(30)}
    assert names == set(SEEN)
    for topology in (*SEEN, "watts-strogatz", "waxman"):
        assert drawn(topology, 20, np.random.default_rng(0), 1).n_nodes == 20


def test_the_same_recipe_gives_the_same_weights():
    told = []
    one, other = (trained(SMOKE, doing=told.append) for _ in range(2))
    assert all(np.array_equal(one.weights[name], other.weights[name]) for name in shapes())
    assert one.told == other.told and told[: len(told) // 2] == told[len(told) // 2 :]


# --- the command ---


def test_training_by_command(tmp_path, capsys):
    out = tmp_path / "p.safetensors"
    assert run(["train", "ppo", "--smoke", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "imitation: " in said and "update 6: " in said and "held apart, share of the bound: " in said
    assert load_policy(out).told["recipe"] == SMOKE.to_dict()
    with untouched(tmp_path):
        refused(capsys, ["train", "ppo", "--out", tmp_path / "p.txt"], "expected a name ending in .safetensors")
        refused(capsys, ["train", "ppo", "--out", "/proc/nowhere/p.safetensors"], "cannot be written")
        refused(
            capsys, ["train", "ppo", "--smoke", "--recipe", "r.toml", "--out", out], "--smoke is a recipe of its own"
        )
        refused(capsys, ["train", "ppo", "--recipe", tmp_path / "r.toml", "--out", out], "r.toml: cannot be read")


def test_ctrl_c_keeps_the_best_so_far(tmp_path):
    out = tmp_path / "p.safetensors"
    (tmp_path / "r.toml").write_text(
        "[problems]\nlearned = 10\nheld = 4\n[imitation]\nrounds = 1\nepochs = 1\n[ppo]\nupdates = 100000\n"
    )
    command = [sys.executable, "-m", "qnroute", "train", "ppo", "--recipe", str(tmp_path / "r.toml"), "--out", str(out)]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        for line in process.stdout:
            if line.startswith("update 3"):
                process.send_signal(signal.SIGINT)
                break
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and "held apart" in rest and "interrupted" in errors
    assert load_policy(out).told["served"]["ppo"] > 0.0


def test_a_reader_who_goes_does_not_end_the_training(tmp_path):
    """As `| head -1` does: the pipe is closed after the first line."""
    out = tmp_path / "p.safetensors"
    command = [sys.executable, "-m", "qnroute", "train", "ppo", "--smoke", "--out", str(out)]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert "learn from" in process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=100) == 0 and process.stderr.read() == ""
    assert load_policy(out).told["recipe"] == SMOKE.to_dict()


# --- the method ---


def test_the_method_is_valid_repeatable_and_within_its_bound():
    for seed in range(4):
        problem = mixed(seed)
        best = qn.solve(problem, "exact")
        one, other = (qn.solve(problem, "ppo", samples=5, seed=3) for _ in range(2))
        check(problem, one.allocation)
        assert one.allocation == other.allocation
        assert one.objective <= best.objective * (1 + 1e-9) and one.bound >= best.objective * (1 - 1e-9)
        assert one.objective >= qn.solve(problem, "ppo").objective


def test_the_built_in_policy_is_worth_its_name():
    """Near the optimum on problems never trained on; how near is for benchmarks to say."""
    shares = []
    for seed in range(10):
        problem = usual_problem(900 + seed)
        shares.append(qn.solve(problem, "ppo").objective / qn.solve(problem, "exact").objective)
    assert np.mean(shares) > 0.985


def test_weights_of_ones_own_are_followed(policy, tmp_path):
    path = tmp_path / "p.safetensors"
    save_policy(path, policy)
    problem = usual_problem(1)
    assert qn.solve(problem, "ppo", weights=str(path)).objective != qn.solve(problem, "ppo").objective
    with pytest.raises(ProblemError, match="nowhere"):
        qn.solve(problem, "ppo", weights=str(tmp_path / "nowhere"))


def test_problems_with_nothing_to_choose():
    network = generate.erdos_renyi(6, 0.6, seed=1)
    nothing = qn.Problem(network.replace(p=1e-9), generate.requests(network, 2, seed=1))
    for problem in (
        nothing.replace(objective={"kind": "log-success", "serve_reward": 1.0}),
        nothing.replace(requests=[]),
    ):
        found = qn.solve(problem, "ppo", samples=3)
        assert not found.allocation.routes and found.objective == 0.0 and found.bound == pytest.approx(0.0, abs=1e-12)


def test_answering_takes_neither_torch_nor_safetensors(tmp_path):
    script = (
        "import sys, qnroute as qn\n"
        "from qnroute.learning.routing.pool import usual_problem\n"
        "print(qn.solve(usual_problem(0), 'ppo').objective)\n"
        "print([name for name in ('torch', 'safetensors', 'gymnasium', 'sklearn') if name in sys.modules])\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert found.stdout.splitlines()[1] == "[]"
