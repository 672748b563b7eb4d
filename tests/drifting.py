"""Random cases of the slot twin whose links are not what they are believed to be."""

from __future__ import annotations

import random

from slot_twin import random_case


def drifting_case(seed):
    """`random_case`, with true fidelities of their own in each epoch, near the network's or far from them."""
    case, rng = random_case(seed), random.Random(seed + 2**32)
    far = rng.choice((0.02, 0.1, 0.5))
    case["true_fidelity"] = [
        [min(1.0, max(0.3, fresh + rng.uniform(-far, far))) for fresh in case["fidelity"]] for _ in case["p"]
    ]
    return case


def restless(twin, rng):
    """Now and then beliefs and active channels at random, to be said to `believe` and `activate`; None if nothing."""
    believed = active = None
    if rng.random() < 0.2:
        believed = [rng.choice((None, None, rng.uniform(0.3, 1.0), 1.0)) for _ in twin.links]
    if rng.random() < 0.2:
        active = [rng.random() < 0.7 for _ in twin.places]
    return believed, active
