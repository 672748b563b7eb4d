"""PPO: advantages and losses beside plain loops and TorchRL's; a policy that learns what there is to learn."""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import pytest
import torch
from slot_training import imitated_on, refined_on

from qnroute.learning.routing import ppo
from qnroute.learning.routing.advantages import among_group, by_critic, generalized
from qnroute.learning.routing.batch import Batch
from qnroute.learning.routing.expert import Expert
from qnroute.learning.routing.imitation import Course as Imitation
from qnroute.learning.routing.network import scores, tensors
from qnroute.learning.routing.one_slot import share_of_bound, visited
from qnroute.learning.routing.policy import IMPOSSIBLE, RoutePolicy, first_weights, shapes
from qnroute.learning.routing.pool import Pool, usual_problem
from qnroute.models.path_packing import PathPacking
from qnroute.settings import Settings
from qnroute.solvers.highs import solve_matrix


def torchrl(module):
    """A module of TorchRL, whose import warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(f"torchrl.objectives{module}")


# --- advantages ---


def plainly(rewards, values, after, done, discount, decay):
    """Sums of discounted deltas up to the end of the episode, each by itself."""
    T, E = rewards.shape
    found = np.zeros((T, E))
    for e in range(E):
        for t in range(T):
            weight = 1.0
            for s in range(t, T):
                follow = 0.0 if done[s, e] else (after[e] if s == T - 1 else values[s + 1, e])
                found[t, e] += weight * (rewards[s, e] + discount * follow - values[s, e])
                if done[s, e]:
                    break
                weight *= discount * decay
    return found


def drawn(seed, T=12, E=5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(T, E)), rng.normal(size=(T, E)), rng.normal(size=E), rng.random((T, E)) < 0.2


@pytest.mark.parametrize(("discount", "decay"), [(1.0, 1.0), (0.99, 0.95), (0.9, 0.0)])
def test_generalized_advantages_are_those_of_plain_sums(discount, decay):
    for seed in range(5):
        case = drawn(seed)
        np.testing.assert_allclose(generalized(*case, discount, decay), plainly(*case, discount, decay), atol=1e-12)


def test_generalized_advantages_are_torchrls():
    gae = torchrl(".value.functional").generalized_advantage_estimate
    rewards, values, after, done = drawn(9)
    following = np.concatenate([values[1:], after[None]])
    turned = [torch.from_numpy(x.T[..., None]) for x in (values, following, rewards, done)]
    theirs, _ = gae(0.97, 0.9, *turned, terminated=turned[-1])
    np.testing.assert_allclose(
        generalized(rewards, values, after, done, 0.97, 0.9), theirs[..., 0].numpy().T, atol=1e-6
    )


def test_advantages_by_a_critic_are_those_of_each_episode_alone():
    rng = np.random.default_rng(4)
    episode = rng.integers(0, 6, 40)
    reward, values = rng.normal(size=(2, 40))
    found = by_critic(reward, values, episode, 0.97, 0.9)
    for e in range(6):
        here = np.flatnonzero(episode == e)
        done = np.arange(len(here))[:, None] == len(here) - 1
        expected = plainly(reward[here, None], values[here, None], np.zeros(1), done, 0.97, 0.9)
        np.testing.assert_allclose(found[here], expected[:, 0], atol=1e-12)


def test_advantages_among_a_group_have_its_mean_taken_out():
    found = among_group(np.array([1.0, 3.0, 5.0, 5.0, 7.0, 7.0]), np.array([4, 4, 9, 9, 2, 2]))
    np.testing.assert_allclose(found, np.array([-1, 1, 0, 0, 0, 0]) / np.sqrt(2 / 6))
    assert among_group(np.ones(4), np.array([0, 0, 1, 1])).tolist() == [0.0] * 4
    assert among_group(np.zeros(0), np.zeros(0, int)).size == 0


# --- the loss ---


def steps(seed, n=64, actions=5):
    """Scores of what is possible, actions drawn from another policy, and advantages."""
    rng = np.random.default_rng(seed)
    mask = rng.random((n, actions)) < 0.7
    mask[:, 0] = True
    given = np.where(mask, rng.normal(size=(n, actions)), IMPOSSIBLE)
    old = np.where(mask, given + 0.3 * rng.normal(size=(n, actions)), IMPOSSIBLE)
    logs = torch.from_numpy(old).log_softmax(-1)
    action = torch.distributions.Categorical(logits=logs).sample()
    return (
        torch.from_numpy(given).requires_grad_(),
        action,
        logs.gather(-1, action[:, None])[:, 0],
        torch.from_numpy(rng.normal(size=n)),
        torch.from_numpy(mask),
    )


def test_the_clipped_loss_and_its_gradient_are_torchrls():
    module = torchrl("")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensordict import TensorDict
        from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential, TensorDictModule

        for seed in range(3):
            torch.manual_seed(seed)
            given, action, log_chance, advantage, _ = steps(seed)
            layer = torch.nn.Linear(given.shape[1], given.shape[1], bias=False, dtype=torch.float64)
            with torch.no_grad():
                layer.weight.copy_(torch.eye(given.shape[1]))
            actor = ProbabilisticTensorDictSequential(
                TensorDictModule(layer, in_keys=["seen"], out_keys=["logits"]),
                ProbabilisticTensorDictModule(
                    in_keys=["logits"], out_keys=["action"], distribution_class=torch.distributions.Categorical
                ),
            )
            theirs = module.ClipPPOLoss(actor, None, clip_epsilon=0.2, entropy_bonus=False, normalize_advantage=False)
            names = theirs.tensor_keys
            data = TensorDict(
                {
                    "seen": given.detach(), names.action: action, names.sample_log_prob: log_chance,
                    names.advantage: advantage[:, None],
                },
                [len(action)],
            )  # fmt: skip
            expected = theirs(data)["loss_objective"]
            (at_theirs,) = torch.autograd.grad(expected, next(iter(theirs.actor_network_params.values(True, True))))
            own = ppo.clipped_loss(given.detach() @ layer.weight.T, action, log_chance, advantage, 0.2)
            (at_own,) = torch.autograd.grad(own.policy, layer.weight)
            assert float(own.policy) == pytest.approx(float(expected), abs=1e-6)
            np.testing.assert_allclose(at_own.numpy(), at_theirs.numpy(), atol=1e-6)


def test_the_loss_of_a_critic_and_its_gradient_are_torchrls():
    module = torchrl("")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensordict import TensorDict
        from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential, TensorDictModule

        torch.manual_seed(0)
        seen, target = torch.randn(50, 4, dtype=torch.float64), torch.randn(50, dtype=torch.float64)
        critic = torch.nn.Linear(4, 1, dtype=torch.float64)
        actor = ProbabilisticTensorDictSequential(
            TensorDictModule(torch.nn.Linear(4, 3, dtype=torch.float64), in_keys=["seen"], out_keys=["logits"]),
            ProbabilisticTensorDictModule(
                in_keys=["logits"], out_keys=["action"], distribution_class=torch.distributions.Categorical
            ),
        )
        valued = TensorDictModule(critic, in_keys=["seen"], out_keys=["state_value"])
        theirs = module.ClipPPOLoss(actor, valued, critic_coeff=1.0, loss_critic_type="l2", normalize_advantage=False)
        names = theirs.tensor_keys
        data = TensorDict(
            {
                "seen": seen, names.action: torch.zeros(50, dtype=torch.long), names.sample_log_prob: torch.zeros(50),
                names.advantage: torch.zeros(50, 1), names.value_target: target[:, None],
            },
            [50],
        )  # fmt: skip
        expected = theirs(data)["loss_critic"]
        found = theirs.critic_network_params.flatten_keys(".")
        at_theirs = torch.autograd.grad(expected, [found["module.weight"], found["module.bias"]])
        own = ppo.value_loss(critic(seen)[:, 0], target)
        at_own = torch.autograd.grad(own, [critic.weight, critic.bias])
        assert float(own.detach()) == pytest.approx(float(expected.detach()), abs=1e-6)
        for one, other in zip(at_own, at_theirs):
            np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)


def test_the_parts_of_the_loss_by_hand():
    given, action, log_chance, advantage, mask = steps(7)
    anchor = torch.where(mask, torch.randn(given.shape, dtype=torch.float64), IMPOSSIBLE)
    found = ppo.clipped_loss(given, action, log_chance, advantage, 0.1, anchor.log_softmax(-1))
    policy = entropy = far = outside = 0.0
    for i in range(len(action)):
        chance, other = (np.exp(x[i].detach().numpy() - float(x[i].max())) for x in (given, anchor))
        chance, other = chance / chance.sum(), other / other.sum()
        ratio = chance[action[i]] / np.exp(float(log_chance[i]))
        policy -= min(ratio * advantage[i], np.clip(ratio, 0.9, 1.1) * advantage[i])
        some = chance > 0
        entropy -= (chance[some] * np.log(chance[some])).sum()
        far += (chance[some] * np.log(chance[some] / other[some])).sum()
        outside += abs(ratio - 1) > 0.1
    expected = np.array([float(policy), entropy, far, outside]) / len(action)
    np.testing.assert_allclose([float(part.detach()) for part in found], expected, rtol=1e-5)


# --- policies ---


def pools(count=6):
    return Pool.of(usual_problem, size=count, seed=100), Pool.of(usual_problem, size=count, seed=200)


def same(one, other):
    return all(np.array_equal(one.weights[name], other.weights[name]) for name in shapes())


def test_torch_and_numpy_say_the_same():
    rng = np.random.default_rng(0)
    weights = first_weights(rng)
    seen = rng.normal(size=(20, 9, 16)).astype(np.float32)
    mask = rng.random((20, 9)) < 0.5
    mask[:, 0] = True
    theirs = scores(tensors(weights), torch.from_numpy(seen), torch.from_numpy(mask)).detach().numpy()
    own = RoutePolicy(weights).scores(seen, mask)
    np.testing.assert_allclose(own, theirs, rtol=1e-5, atol=1e-5)
    assert (own[~mask] == np.float32(IMPOSSIBLE)).all()


def test_what_is_not_possible_and_the_order_of_candidates_make_no_difference():
    rng = np.random.default_rng(1)
    policy = RoutePolicy(first_weights(rng))
    seen, mask = rng.normal(size=(9, 16)).astype(np.float32), np.arange(9) < 6
    other = np.where(mask[:, None], seen, 7.0)
    np.testing.assert_allclose(policy.scores(other, mask), policy.scores(seen, mask), rtol=1e-5)
    order = rng.permutation(9)
    np.testing.assert_allclose(policy.scores(seen[order], mask[order]), policy.scores(seen, mask)[order], rtol=1e-4)


def test_imitation_agrees_with_the_expert_and_serves_more_than_it_began_with():
    learned, held = pools()
    told = []
    policy, _, rounds = imitated_on(learned, held, Imitation(rounds=2, epochs=20), doing=told.append)
    assert told == rounds and rounds[-1].agreed > 0.9 and rounds[0].states < rounds[1].states
    first = RoutePolicy(first_weights(np.random.default_rng(0)))
    assert share_of_bound(policy, held, candidates=8) > share_of_bound(first, held, candidates=8) + 0.05
    again, _, _ = imitated_on(learned, held, Imitation(rounds=2, epochs=20))
    assert same(policy, again)


def test_the_expert_alone_reaches_the_optimum():
    pool, _ = pools(3)
    rng = np.random.default_rng(0)
    states = visited(RoutePolicy(first_weights(rng)), pool, 1.0, rng, candidates=8)
    assert states.mask[np.arange(len(states.label)), states.label].all()
    batch = Batch(pool.lot, pool.plan, 3)
    view, expert = batch.start(np.arange(3), np.arange(3)), Expert(batch)
    while (here := np.flatnonzero(view.mask[:, 1:].any(axis=1))).size:
        actions = np.zeros(3, dtype=np.int64)
        actions[here] = expert.actions(here)
        batch.step(actions)
    best = [solve_matrix(PathPacking(i.problem, i.table).matrix, Settings()).bound for i in pool.instances]
    np.testing.assert_allclose(batch.state.worth, best, rtol=1e-9)
    assert expert.solved == 3


def test_refining_serves_more_than_a_policy_that_knows_little_and_never_less_than_it_began_with():
    learned, held = pools()
    first = RoutePolicy(first_weights(np.random.default_rng(3)))
    course = ppo.Course(updates=15, instances=6, episodes=8, learning_rate=3e-3, anchor=0.0, every=5)
    told = []
    better, most, updates = refined_on(first, learned, held, course, doing=told.append)
    assert (
        told == updates and [u.served is not None for u in updates] == [False] * 4 + [True] + ([False] * 4 + [True]) * 2
    )
    before, after = (share_of_bound(policy, held, candidates=8) for policy in (first, better))
    assert after > before + 0.02 and after == most == max(u.served for u in updates if u.served is not None)
    again, _, _ = refined_on(first, learned, held, course)
    assert same(better, again)
    useless = ppo.Course(updates=2, instances=2, episodes=2, learning_rate=1.0, every=1)
    kept, _, _ = refined_on(better, learned, held, useless)
    assert share_of_bound(kept, held, candidates=8) >= after


def test_an_anchor_keeps_the_policy_near():
    learned, held = pools(3)
    first = RoutePolicy(first_weights(np.random.default_rng(3)))
    far = []
    for anchor in (0.0, 10.0):
        course = ppo.Course(updates=6, instances=3, episodes=8, learning_rate=3e-3, anchor=anchor)
        far.append(refined_on(first, learned, held, course)[2][-1].divergence)
    assert far[1] < 0.3 * far[0]
