"""Training as a craft: compiled gradients beside torch's, critics, snapshots, checkpoints that outlive a kill, logs."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from hostile import refused, untouched
from rich.console import Console
from slot_training import imitated_on, refined_on
from tensor_files import parts, whole

from qnroute.cli import run
from qnroute.cli.training_view import TrainingView, in_words, sparkline
from qnroute.errors import ProblemError
from qnroute.learning.event_files import EventFile, crc32c
from qnroute.learning.routing import imitation, network, ppo
from qnroute.learning.routing.checkpoints import Keeper, Snapshot, load_checkpoint, save_checkpoint
from qnroute.learning.routing.choices import drawn
from qnroute.learning.routing.clipped import clipped_slopes, log_chances
from qnroute.learning.routing.network import Learner, scores, tensors
from qnroute.learning.routing.policy import IMPOSSIBLE, RoutePolicy, first_weights
from qnroute.learning.routing.pool import Pool, usual_problem
from qnroute.learning.routing.ragged import ragged_scores
from qnroute.learning.routing.recipes import SMOKE, load_recipe
from qnroute.learning.routing.scalars import scalars
from qnroute.learning.training import require_device


def states(seed, n=40, width=7, features=16):
    rng = np.random.default_rng(seed)
    mask = rng.random((n, width)) < 0.5
    mask[np.arange(n), rng.integers(0, width, n)] = True
    return rng.normal(size=(n, width, features)).astype(np.float32), mask, rng


# --- compiled functions beside torch's ---


@pytest.mark.parametrize(("features", "hidden"), [(16, 32), (5, 8)])
def test_ragged_scores_and_their_gradients_are_torchs(features, hidden):
    seen, mask, rng = states(1, features=features)
    rows, pull = rng.permutation(len(mask))[:25], rng.normal(size=(25, mask.shape[1])).astype(np.float32)
    first = first_weights(rng, features, hidden)
    found = []
    for kind in ("ragged", "plain"):
        weights = tensors({name: value + np.float32(0.1) for name, value in first.items()})
        x, some, at = (torch.from_numpy(part) for part in (seen, mask, rows))
        said = ragged_scores(weights, x, some, at) if kind == "ragged" else scores(weights, x[at], some[at])
        (said * torch.from_numpy(pull * mask[rows])).sum().backward()
        found.append([said.detach().numpy(), *(weights[name].grad.numpy() for name in first)])
    for own, theirs in zip(*found):
        np.testing.assert_allclose(own, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs[theirs > IMPOSSIBLE]).max())


@pytest.mark.parametrize(("entropy", "anchor"), [(0.0, 0.0), (0.3, 0.0), (0.01, 2.0)])
def test_compiled_slopes_are_those_of_the_clipped_loss(entropy, anchor):
    _, mask, rng = states(2, n=200)
    given = np.where(mask, 2 * rng.normal(size=mask.shape), IMPOSSIBLE).astype(np.float32)
    old = np.where(mask, given + rng.normal(size=mask.shape), IMPOSSIBLE).astype(np.float32)
    action, chance = drawn(old, mask, rng)
    advantage = rng.normal(size=len(mask)).astype(np.float32)
    near = log_chances(old[::-1], mask[::-1])[::-1].copy() * mask
    found, slope = clipped_slopes(given, mask, action, chance, advantage, near, 0.2, entropy, anchor)
    said = torch.from_numpy(given).requires_grad_()
    loss = ppo.clipped_loss(
        said, *(torch.from_numpy(x) for x in (action, chance, advantage)), 0.2, torch.from_numpy(near)
    )
    (loss.policy - entropy * loss.entropy + anchor * loss.divergence).backward()
    np.testing.assert_allclose(found, [float(part.detach()) for part in loss], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slope, said.grad.numpy(), rtol=1e-4, atol=1e-7)
    assert 0.1 < found[3] < 0.9  # some steps are clipped, some not


def test_log_chances_are_those_of_a_softmax():
    _, mask, rng = states(3)
    given = np.where(mask, 5 * rng.normal(size=mask.shape), IMPOSSIBLE).astype(np.float32)
    theirs = torch.from_numpy(given).log_softmax(-1).numpy()
    np.testing.assert_allclose(log_chances(given, mask), np.where(mask, theirs, 0.0), rtol=1e-5, atol=1e-5)


def test_actions_are_drawn_as_often_as_they_should():
    mask = np.tile([True, False, True, True], (40_000, 1))
    given = np.tile(np.log([0.2, 9.0, 0.5, 0.3]), (40_000, 1)).astype(np.float32)
    action, chance = drawn(given, mask, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(action, minlength=4) / 40_000, [0.2, 0, 0.5, 0.3], atol=0.01)
    np.testing.assert_allclose(np.exp(chance), np.array([0.2, 0, 0.5, 0.3])[action], rtol=1e-5)
    sure = drawn(np.array([[0.0, 500.0]], np.float32), np.ones((1, 2), bool), np.random.default_rng(0))
    assert sure[0].tolist() == [1] and sure[1].tolist() == [0.0]


# --- loops ---


@pytest.fixture(scope="module")
def pools():
    return Pool.of(usual_problem, size=4, seed=300), Pool.of(usual_problem, size=3, seed=400)


def first():
    return RoutePolicy(first_weights(np.random.default_rng(3)))


def same(one, other):
    return all(np.array_equal(one.weights[name], other.weights[name]) for name in one.weights)


RECIPE = SMOKE.to_dict()
COURSE = ppo.Course(updates=5, instances=3, episodes=4, learning_rate=3e-3, every=2, batch=64)


@pytest.mark.parametrize("critic", [0.0, 1e-3])
def test_refining_goes_on_from_any_checkpoint_to_the_same_weights(pools, critic, tmp_path):
    course, kept = COURSE._replace(critic=critic, warmup=2), []
    through, most, updates = refined_on(first(), *pools, course, keep=kept.append)
    assert [found.number for found in kept] == [u.number for u in updates] == [1, 2, 3, 4, 5]
    for found in kept[:-1]:
        save_checkpoint(tmp_path / "c", found, RECIPE)
        back, more = load_checkpoint(tmp_path / "c", RECIPE), []
        again, reached, rest = refined_on(first(), *pools, course, resumed=back, keep=more.append)
        assert same(again, through) and reached == most and rest == updates[found.number :]
        assert all(np.array_equal(value, kept[-1].arrays[name]) for name, value in more[-1].arrays.items())


def test_imitation_goes_on_from_any_snapshot_to_the_same_weights(pools):
    course, kept = imitation.Course(rounds=3, epochs=2), []
    through, most, rounds = imitated_on(*pools, course, keep=kept.append)
    for found in kept:
        again, reached, rest = imitated_on(*pools, course, resumed=found)
        assert same(again, through) and reached == most and rest == rounds[found.number :]


def test_what_is_stopped_at_once_has_weights_all_the_same(pools):
    stop = threading.Event()
    stop.set()
    policy, most, rounds = imitated_on(*pools, imitation.Course(rounds=3, epochs=1), interrupted=stop)
    assert len(rounds) == 1 and most == rounds[0].served
    kept, reached, updates = refined_on(policy, *pools, COURSE, interrupted=stop)
    assert same(kept, policy) and reached == most and not updates


def test_a_critic_learns_before_the_policy_moves(pools):
    course, kept = COURSE._replace(critic=3e-3, warmup=3, updates=12, every=100), []
    _, _, updates = refined_on(first(), *pools, course, keep=kept.append)
    held, moved = kept[2].part("policy"), kept[3].part("policy")
    assert all(np.array_equal(held[name], value) for name, value in first().weights.items())
    assert not np.array_equal(held["A0"], moved["A0"])
    assert updates[-1].critic < 0.5 * updates[0].critic
    assert all(u.critic is None for u in refined_on(first(), *pools, COURSE)[2])


def test_the_critics_value_is_the_mean_score_of_what_is_possible():
    seen, mask, _ = states(5)
    critic = Learner(first().weights)
    said = RoutePolicy(critic.answering().weights).scores(seen, mask)
    expected = np.where(mask, said, 0.0).sum(axis=1) / mask.sum(axis=1)
    np.testing.assert_allclose(critic.values_of(*map(torch.from_numpy, (seen, mask))), expected, rtol=1e-4, atol=1e-5)


def test_on_other_devices_torch_does_the_same(pools, monkeypatch):
    """Its functions are those of a GPU; on the CPU they come to the same but for rounding."""
    course = COURSE._replace(updates=2, critic=1e-3, warmup=0, learning_rate=1e-4)
    kept = [[], []]
    refined_on(first(), *pools, course, keep=kept[0].append)
    monkeypatch.setattr(network, "COMPILED", ())
    refined_on(first(), *pools, course, keep=kept[1].append)
    own, theirs = (found[0].part("policy") for found in kept)
    for name, begin in first().weights.items():
        if name != "b1":  # it changes no choice, so that its slope is rounding
            moved = np.abs(own[name] - begin).mean()
            assert moved > 0.0 and np.abs(own[name] - theirs[name]).mean() < 0.05 * moved


def test_devices_that_are_none_are_refused():
    require_device("cpu")
    with pytest.raises(ProblemError, match="device: found 'tpu!', expected cpu, cuda or cuda:NUMBER"):
        require_device("tpu!")


# --- checkpoints ---


def saved(path):
    snapshot = Snapshot.of(
        "ppo", 3, {"policy": {"A0": np.arange(6.0)}, "best": {"A0": np.ones(2)}}, {"most": 0.1 + 0.2}
    )
    save_checkpoint(path, snapshot, RECIPE)
    return snapshot


def test_a_checkpoint_comes_back_to_the_last_bit(tmp_path):
    snapshot = saved(tmp_path / "c")
    back = load_checkpoint(tmp_path / "c", RECIPE)
    assert (back.stage, back.number, back.told) == ("ppo", 3, {"most": 0.1 + 0.2})
    assert list(back.part("policy")) == ["A0"] and np.array_equal(back.part("policy")["A0"], np.arange(6.0))
    assert np.array_equal(back.part("best")["A0"], snapshot.part("best")["A0"])


def renamed(content):
    header, data = parts(content)
    header["policy/B0"] = header.pop("policy/A0")
    return whole(header, data)


def retold(content):
    header, data = parts(content)
    told = json.loads(header["__metadata__"]["qnroute"])
    header["__metadata__"]["qnroute"] = json.dumps({**told, "number": told["number"] - 1})
    return whole(header, data)


BAD = {
    "empty": lambda c: b"",
    "another number": retold,
    "cut in the header": lambda c: c[:40],
    "cut in the arrays": lambda c: c[:-8],
    "changed": lambda c: c[:-1] + bytes([c[-1] ^ 1]),
    "an array renamed": renamed,
    "another file": lambda c: b"[ppo]\nupdates = 3\n",
    "no metadata": lambda c: whole({}, b""),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_whole_checkpoint_is_refused_in_a_line(name, tmp_path):
    path = tmp_path / "c"
    saved(path)
    path.write_bytes(BAD[name](path.read_bytes()))
    with pytest.raises(ProblemError) as caught:
        load_checkpoint(path, RECIPE)
    assert "is no whole checkpoint" in str(caught.value) and str(path) in str(caught.value)


def test_what_was_passed_over_is_written_where_a_training_ends_early(tmp_path):
    keeper = Keeper(tmp_path / "c", RECIPE, resume=False, every=3)
    for number in range(1, 6):
        keeper.keep(Snapshot.of("ppo", number, {"best": {"A0": np.full(2, float(number))}}, {}))
        written = number // 3 * 3
        assert not written or load_checkpoint(tmp_path / "c", RECIPE).number == written
    keeper.finish()
    found = load_checkpoint(tmp_path / "c", RECIPE)
    assert found.number == 5 and found.part("best")["A0"].tolist() == [5.0, 5.0]
    (tmp_path / "c").unlink()
    keeper.finish()
    assert not (tmp_path / "c").exists()


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    saved(tmp_path / "c")
    other = {**RECIPE, "ppo": {**RECIPE["ppo"], "clip": 0.3}}
    with pytest.raises(ProblemError, match=r"another recipe: ppo\.clip is 0\.2 in the checkpoint, 0\.3 in the recipe"):
        load_checkpoint(tmp_path / "c", other)


SMALL = """
[problems]
learned = 8
held = 4
[imitation]
rounds = 3
epochs = 2
[ppo]
updates = 8
instances = 4
episodes = 4
every = 3
"""


def killed_at(line, command):
    """Run it, and kill it without a warning where it says this."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        for said in process.stdout:
            if said.startswith(line):
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.read()
    assert process.returncode == -signal.SIGKILL


def test_a_training_that_was_killed_twice_ends_at_the_same_weights(tmp_path, capsys):
    recipe, kept, out, through = (tmp_path / name for name in ("r.toml", "c", "p.safetensors", "q.safetensors"))
    recipe.write_text(SMALL)
    args = ["train", "ppo", "--recipe", str(recipe), "--checkpoint", str(kept), "--every", "2"]
    command = [sys.executable, "-m", "qnroute", *args, "--out", str(out)]
    killed_at("imitation", command)
    assert load_checkpoint(kept, load_recipe(recipe).to_dict()).stage == "imitation"
    killed_at("update 5", [*command, "--resume"])
    assert load_checkpoint(kept, load_recipe(recipe).to_dict()).number in (4, 6)
    assert not out.exists()
    assert run([*args, "--out", str(out), "--resume"]) == 0
    assert run([*args[:4], "--out", str(through), "--checkpoint", str(tmp_path / "d")]) == 0
    assert out.read_bytes() == through.read_bytes()
    assert kept.read_bytes() == (tmp_path / "d").read_bytes()  # the last weights too, not only the best
    capsys.readouterr()
    recipe.write_text(SMALL.replace("updates = 8", "updates = 9"))
    with untouched(tmp_path):
        refused(capsys, [*args, "--out", out], "is there already: --resume goes on from it")
        refused(capsys, [*args, "--out", out, "--resume"], "ppo.updates is 8 in the checkpoint, 9 in the recipe")


def test_bad_options_are_refused_in_a_line(tmp_path, capsys):
    out = ["train", "ppo", "--smoke", "--out", tmp_path / "p.safetensors"]
    with untouched(tmp_path):
        refused(capsys, [*out, "--resume"], "--resume: expected --checkpoint FILE as well")
        refused(capsys, [*out, "--every", "3"], "--every: expected --checkpoint FILE as well")
        refused(capsys, [*out, "--checkpoint", out[-1]], "expected another file than that of --out")
        refused(capsys, [*out, "--checkpoint", tmp_path / "c", "--resume"], "cannot be read")
        refused(capsys, [*out, "--device", "tpu"], "device: found 'tpu', expected cpu, cuda or cuda:NUMBER")


# --- what is told ---


ROUND = imitation.Round(1, 400, 0.5, 0.9, 0.97)
UPDATES = [
    ppo.Update(i, 0.9 + i / 100, -0.1, 0.5, 0.01, 0.1, 2.0 / i, 0.98 if i == 2 else None, 700) for i in (1, 2, 3)
]


def records(content):
    """The messages of an event file, each checked."""
    while content:
        (length,), data = struct.unpack("<Q", content[:8]), content[12:]
        for body, sum_ in ((content[:8], content[8:12]), (data[:length], data[length : length + 4])):
            crc = crc32c(body)
            assert struct.unpack("<I", sum_)[0] == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
        yield data[:length]
        content = data[length + 4 :]


def test_event_files_are_tensorboards(tmp_path):
    """The bytes are those of TensorBoard's own messages; the checksum is that of the standard's example."""
    assert crc32c(b"123456789") == 0xE3069283
    with EventFile(tmp_path / "new") as log:
        log.write(300, {"ppo/value": 0.5})
    (path,) = (tmp_path / "new").iterdir()
    begin, event = records(path.read_bytes())
    assert path.name.startswith("events.out.tfevents.") and begin[9:] == b"\x1a\x0dbrain.Event:2"
    assert event[9:] == bytes.fromhex("10ac022a120a100a0970706f2f76616c7565150000003f")
    with pytest.raises(ProblemError, match="cannot be written"):
        EventFile(path)


def test_scalars_are_named_by_their_part():
    assert scalars(ROUND) == {
        "imitation/states": 400.0, "imitation/loss": 0.5, "imitation/agreed": 0.9, "imitation/served": 0.97
    }  # fmt: skip
    assert "ppo/served" in scalars(UPDATES[1]) and "ppo/served" not in scalars(UPDATES[0])
    assert scalars(UPDATES[1])["ppo/critic"] == 1.0


def test_sparklines_rise_with_what_they_show():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([3.0, 3.0]) == "▁▁" and sparkline([]) == "" and len(sparkline(range(100))) == 40


def test_a_terminal_shows_a_table_others_get_lines(capsys):
    with TrainingView(SMOKE, Console(force_terminal=True, width=100, file=sys.stderr)) as view:
        for found in ("problems", ROUND, *UPDATES):
            view.told(found)
    said = capsys.readouterr()
    assert "PPO, update 3 of 6" in said.err and "served, held apart" in said.err and "█" in said.err
    assert "value loss" in said.err and "decisions/s" in said.err and "left of this part" in said.err
    assert said.out.splitlines() == ["problems", *(in_words(found, SMOKE.unit) for found in (ROUND, *UPDATES))]
    assert "value loss 2.0000" in in_words(UPDATES[0], "") and "held apart 98.000 %" in in_words(UPDATES[1], "")


def test_weights_that_are_no_numbers_are_never_kept(pools):
    """A rate at which weights overflow: imitation says so, refining gives back what it began with."""
    with pytest.raises(ProblemError, match="learning_rate: weights are no numbers any more"):
        imitated_on(*pools, imitation.Course(rounds=2, epochs=3, learning_rate=9e8))
    begin = first()
    told = []
    policy, _, _ = refined_on(begin, *pools, COURSE._replace(learning_rate=1e30), doing=told.append)
    assert "weights are no numbers after update" in told[-1]
    assert all(np.isfinite(value).all() for value in policy.weights.values())


def test_what_cannot_be_kept_or_logged_loses_no_weights(tmp_path, monkeypatch, capsys):
    """A disk that is full at the second checkpoint, and one that takes no log."""
    from qnroute.learning.routing import checkpoints
    from qnroute.learning.routing.policy_files import load_policy

    saved, full = [], OSError(28, "No space left on device")

    def once(*given):
        if saved:
            raise ProblemError("cannot be written: No space left on device", source="c")
        saved.append(checkpoints.write_bytes)

    monkeypatch.setattr(checkpoints, "write_bytes", lambda *given: once(*given))
    out = tmp_path / "p.safetensors"
    code = run(["train", "ppo", "--smoke", "--out", str(out), "--checkpoint", str(tmp_path / "c")])
    assert code != 0 and "No space left" in capsys.readouterr().err and load_policy(out).told["served"]

    def fails(self, event):
        if event[-1:] != b"2":  # all but the version
            raise full

    monkeypatch.undo()
    monkeypatch.setattr(EventFile, "_write", fails)
    other = tmp_path / "q.safetensors"
    assert run(["train", "ppo", "--smoke", "--out", str(other), "--logs", str(tmp_path / "logs")]) == 0
    said = capsys.readouterr()
    assert "goes on without a log" in said.out + said.err and load_policy(other).told["served"]["ppo"] > 0.0


@pytest.mark.parametrize("name", ["-", "."])
def test_checkpoints_are_files(name, tmp_path, capsys):
    assert run(["train", "ppo", "--smoke", "--out", str(tmp_path / "p.safetensors"), "--checkpoint", name]) != 0
    assert "expected a file" in capsys.readouterr().err
