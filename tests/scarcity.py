"""Small problems with too little of everything, where relaxations are off the optimum and careless proofs go wrong."""

from __future__ import annotations

import itertools

import numpy as np
import oracle


def scarce(rng):
    """A problem with too little of everything and nearly equal values, where relaxations are off the optimum."""
    names = list("ABCDEFGH"[: rng.randint(5, 7)])
    pairs = list(itertools.combinations(names, 2))
    pairs = rng.sample(pairs, rng.randint(len(names), min(len(pairs), 12)))
    choices, memory = rng.choice([(0.9,), (0.8, 0.9), (0.5, 0.9, 1.0)]), rng.choice([(None,), (2,), (3,), (2, 3, 4)])
    requests = []
    for k in range(rng.randint(3, 6)):
        source, target = rng.sample(names, 2)
        weight = rng.choice((1, 1, 1, round(rng.uniform(0.8, 1.2), 3)))
        requests.append(
            {"id": f"r{k}", "source": source, "target": target, "weight": weight, "routes": rng.choice((1, 1, 2))}
        )
    return {
        "format": "qnroute.problem/1",
        "name": "scarce",
        "network": {
            "nodes": [{"id": name, "memory": rng.choice(memory)} for name in names],
            "links": [{"source": u, "target": v, "p": rng.choice(choices)} for u, v in pairs],
        },
        "requests": requests,
        "objective": rng.choice(
            [{"kind": "expected-pairs"}, {"kind": "log-success", "serve_reward": rng.choice((1, 2, 10))},
             {"kind": "link-sum"}]
        ),
        "rules": {"degree": rng.choice((None, None, 1, 2))},
    }  # fmt: skip


def either(rng):
    """A document and its optimum."""
    document = scarce(rng) if rng.random() < 0.6 else oracle.random_problem(rng, max_links=11, max_requests=5)
    return document, oracle.optimum(document)[0]


def priced_problems(rng, number):
    """Documents with their optima; link-sum is not for this method."""
    while number:
        document, best = either(rng)
        if document.get("objective", {}).get("kind") != "link-sum":
            number -= 1
            yield document, best


def gadget(d_weight, ladder_p, side_p, small):
    """Three hubs with room for one passing route each, four requests on them, and request T beside.

    a, b and c need two hubs each and d all three, so that one of the four can be served: the relaxation serves half of
    a, b and c. T has 64 equal routes over hub h2 and a ladder, and one over w that needs no hub.
    """
    nodes = [{"id": hub, "memory": 2} for hub in ("h1", "h2", "h3")]
    nodes += [{"id": "sT", "memory": 1}, {"id": "tT", "memory": 1}, {"id": "w"}]
    links = [("h1", "h2", 1.0), ("h2", "h3", 1.0), ("sT", "h2", ladder_p), ("sT", "w", side_p), ("w", "tT", 1.0)]
    requests = [{"id": "T", "source": "sT", "target": "tT", "weight": small}]
    ends = {"a": ("h1", "h2"), "b": ("h2", "h3"), "c": ("h1", "h3"), "d": ("h1", "h3")}
    for name, hubs in ends.items():
        nodes += [{"id": f"s{name}"}, {"id": f"t{name}"}]
        links += [(f"s{name}", hubs[0], 1.0), (f"t{name}", hubs[1], 1.0)]
        requests.append({"id": name, "source": f"s{name}", "target": f"t{name}"})
    requests[-1] |= {"weight": d_weight, "min_fidelity": 0.95}
    before = "h2"
    for i in range(6):
        nodes += [{"id": f"{kind}{i}"} for kind in "nud"]
        links += [(before, f"{way}{i}", 1.0) for way in "ud"] + [(f"{way}{i}", f"n{i}", 1.0) for way in "ud"]
        before = f"n{i}"
    links.append((before, "tT", 1.0))
    rows = [{"source": u, "target": v, "p": p} for u, v, p in links]
    rows.append({"source": "h1", "target": "h3", "p": 1.0, "fidelity": 0.9})  # too noisy for d
    network = {"nodes": nodes, "links": rows}
    return {"format": "qnroute.problem/1", "name": "gadget", "network": network, "requests": requests}


GADGET = gadget(d_weight=1.2, ladder_p=1.0, side_p=0.5, small=0.05)


def drawn_cuts(rng, resources):
    """Sets of limited resources and earlier cuts, of cuts more often than not."""
    limited, earlier = np.flatnonzero(np.isfinite(resources.capacity)), len(resources.capacity) - resources.plain
    pool = [*limited.tolist(), *limited[limited >= resources.plain].tolist() * (resources.plain // max(earlier, 1))]
    return [np.unique(rng.sample(pool, min(rng.randint(2, 9), len(pool)))) for _ in range(rng.choice((0, 1, 20)))]
