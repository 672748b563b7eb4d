"""An independent oracle for qnroute: random problems, exhaustive optima and a checker of results.

Written from the contract alone, on parsed JSON, without qnroute, so that agreement between the two means something.
"""

import math
import random
from collections import Counter
from itertools import combinations, pairwise

FLOOR_TOLERANCE = 1e-9
RELATIVE_TOLERANCE = 1e-6
OBJECTIVES = ("expected-pairs", "log-success", "link-sum")
STATUSES = ("optimal", "feasible", "heuristic", "time-limit", "infeasible")
RESULT_FIELDS = (
    "format",
    "problem",
    "method",
    "status",
    "objective",
    "bound",
    "gap",
    "seconds",
    "routes",
    "links",
    "seed",
    "options",
    "trace",
    "versions",
)


def random_problem(
    rng: random.Random,
    *,
    objective: str | None = None,
    max_nodes: int = 7,
    max_links: int = 9,
    max_requests: int = 4,
    max_total_routes: int = 9,
) -> dict:
    """Draw a small allocation problem; `objective` is its kind, drawn too if not given."""
    kind = objective or rng.choice(OBJECTIVES)
    problem = {
        "format": "qnroute.problem/1",
        "name": f"random-{rng.randrange(10**6)}",
        "network": _random_network(rng, max_nodes, max_links, scored=0.6 if kind == "link-sum" else 0.2),
        "requests": [],
    }
    if rng.random() < 0.5:
        problem["task"] = "allocation"
    if kind != "expected-pairs" or rng.random() < 0.5:
        problem["objective"] = {"kind": kind}
    if kind == "log-success" and rng.random() < 0.8:
        problem["objective"]["serve_reward"] = rng.choice((0.5, 1, 1.5, 2.0, 2.5, 3.5, 10))
    rules = {}
    for name, choices in {"degree": (None, None, 0, 1, 1, 1, 2, 2, 2), "max_hops": (None, 1, 2, 2, 3, 3, 4)}.items():
        if rng.random() < 0.5:
            rules[name] = rng.choice(choices)
    if rules or rng.random() < 0.3:
        problem["rules"] = rules
    for index in range(max(rng.randint(1, max_requests), rng.randint(1, max_requests))):
        spare = max_total_routes - sum(request.get("routes", 1) for request in problem["requests"])
        problem["requests"].append(_random_request(rng, problem, f"r{index + 1}", max(1, min(3, spare))))
    return problem


def random_link_selection(rng: random.Random, *, max_nodes: int = 7, max_links: int = 10) -> dict:
    """Draw a small problem of task ``link-selection``."""
    problem = {
        "format": "qnroute.problem/1",
        "name": f"selection-{rng.randrange(10**6)}",
        "task": "link-selection",
        "network": _random_network(rng, max_nodes, max_links, scored=0.6),
    }
    if rng.random() < 0.3:
        problem["requests"] = []
    if rng.random() < 0.7:
        problem["rules"] = {"degree": rng.choice((None, 0, 1, 1, 2, 2))}
    return problem


def _random_network(rng, max_nodes, max_links, *, scored):
    """Nodes and links; `scored` is the share of the links with a score."""
    size = max(rng.randint(3, max_nodes), rng.randint(3, max_nodes))
    names = rng.choice(([f"n{i}" for i in range(size)], [str(10 - i) for i in range(size)], list("ABCDEFGHIJ"[:size])))
    memory_share, degree_share = rng.choice((0.0, 0.3, 0.7)), rng.choice((0.0, 0.0, 0.3, 0.6))
    plane = rng.choice((None, None, ("lat", "lon"), ("x", "y")))
    nodes = []
    for name in names:
        node = {"id": name}
        if rng.random() < memory_share:
            node["memory"] = rng.choice((0, 1, 2, 2, 2, 3, 3, 4, 4, 5, 6))
        elif rng.random() < 0.3:
            node["memory"] = None
        if rng.random() < 0.7:
            node["swap"] = rng.choice((rng.choice((0.0, 1.0)), 1.0, 1.0, 0.5, 0.8, 0.9, round(rng.random(), 3)))
        if rng.random() < degree_share:
            node["degree"] = rng.choice((0, 1, 1, 1, 2, 2, 2, 3))
        nodes.append(node | {axis: round(rng.uniform(-60, 60), 2) for axis in plane or ()})
    pairs = list(combinations(names, 2))
    rng.shuffle(pairs)
    if rng.random() < 0.8:  # a random tree first, so that the graph is connected where links suffice
        tree = [(rng.choice(names[:i]), names[i]) for i in range(1, size)]
        pairs = tree + [pair for pair in pairs if pair not in tree]
    wanted = rng.randint(min(size - 2, max_links), max_links)
    return {
        "name": "random",
        "nodes": nodes,
        "links": [_random_link(rng, pair, rng.random() < scored) for pair in pairs[:wanted]],
    }


def _random_link(rng, pair, scored):
    source, target = rng.sample(pair, 2)
    link = {"source": source, "target": target, "p": rng.choice((1.0, 0.5, *(round(rng.uniform(0.05, 1), 3),) * 5))}
    if rng.random() < 0.8:
        link["fidelity"] = rng.choice((1.0, 1.0, 0.3, *(round(rng.uniform(0.75, 1), 3),) * 12))
    if rng.random() < 0.5:
        link["channels"] = rng.choice((1, 2, 2, 3))
    if scored:
        link["score"] = rng.choice((0.0, round(rng.uniform(-0.6, 0), 3), *(round(rng.uniform(0, 1.5), 3),) * 3))
    if rng.random() < 0.2:
        link |= {"length_km": rng.choice((0, 20, 12.5)), "loss_db": round(rng.uniform(0, 20), 2)}
    return link


def _random_request(rng, problem, name, most_routes):
    source, target = rng.sample([node["id"] for node in problem["network"]["nodes"]], 2)
    if problem["requests"] and rng.random() < 0.3:  # the same pair again, perhaps the other way round
        source, target = rng.sample([problem["requests"][-1][end] for end in ("source", "target")], 2)
    elif rng.random() < 0.2:
        source, target = rng.sample(sorted(rng.choice(list(_links(problem)))), 2)
    request = {"id": name, "source": source, "target": target}
    if rng.random() < 0.6:
        request["weight"] = rng.choice((1, 1.0, 2, 0.5, round(rng.uniform(0.1, 3), 3)))
    if rng.random() < 0.7:
        request["routes"] = rng.randint(1, most_routes)
    if rng.random() < 0.2:
        request |= {"arrival": rng.randint(0, 5), "deadline": rng.randint(5, 9)}
    if rng.random() < 0.6:
        exact = [route_figures(problem, request, nodes)[1] for nodes in simple_routes(problem, request)]
        direct = _links(problem).get(frozenset((source, target)))
        if direct:  # the floor as a person would write it: equal to the fidelity of the one-link route
            exact += [direct.get("fidelity", 1.0)] * len(exact)
        request["min_fidelity"] = rng.choice((0, 0.5, 0.6, 0.7, rng.choice((0.8, 0.999, 1)), *exact[:3], *exact[-3:]))
    return request


def simple_routes(problem: dict, request: dict) -> list[tuple[str, ...]]:
    """All simple paths of a request that meet the rules on one route: the fidelity floor and the number of hops."""
    near = {
        node["id"]: [b for pair in _links(problem) if node["id"] in pair for b in pair - {node["id"]}]
        for node in problem["network"]["nodes"]
    }
    most_hops = _rule(problem, "max_hops")
    found, open_paths = [], [(request["source"],)]
    while open_paths:
        path = open_paths.pop()
        if path[-1] == request["target"]:
            found.append(path)
        elif most_hops is None or len(path) - 1 < most_hops:
            open_paths += [(*path, node) for node in near[path[-1]] if node not in path]
    floor = request.get("min_fidelity", 0) - FLOOR_TOLERANCE
    return [path for path in found if route_figures(problem, request, path)[1] >= floor]


def route_figures(problem: dict, request: dict, nodes) -> tuple[float, float, float]:
    """Probability, fidelity and value (weight included) of a route; the value is -inf for ln 0."""
    links = _links(problem)
    steps = [links[frozenset(step)] for step in pairwise(nodes)]
    swap = {node["id"]: node.get("swap", 1.0) for node in problem["network"]["nodes"]}
    probability = math.prod(link["p"] for link in steps) * math.prod(swap[node] for node in nodes[1:-1])
    werner = math.prod((4 * link.get("fidelity", 1.0) - 1) / 3 for link in steps)
    objective = {"kind": "expected-pairs", "serve_reward": 10} | problem.get("objective", {})
    worth = {
        "expected-pairs": probability,
        "link-sum": sum(map(_score, steps)),
        "log-success": objective["serve_reward"] + (math.log(probability) if probability else -math.inf),
    }
    return probability, (1 + 3 * werner) / 4, request.get("weight", 1.0) * worth[objective["kind"]]


def _links(problem):
    return {frozenset((link["source"], link["target"])): link for link in problem["network"]["links"]}


def _score(link):
    return link["score"] if "score" in link else link["p"] * link.get("fidelity", 1.0)


def _rule(problem, name):
    rules = problem.get("rules", {})
    if rules.get("max_width", 1) != 1:
        raise ValueError("this oracle knows routes of width 1 only")
    return rules.get(name)


def _selects_links(problem):
    return problem.get("task", "allocation") == "link-selection"


def _capacities(problem):
    """What is limited and how much of it there is: {(what, where): amount}."""
    nodes, degree = problem["network"]["nodes"], _rule(problem, "degree")
    if _selects_links(problem):
        return {("degree", node["id"]): node.get("degree", 1 if degree is None else degree) for node in nodes}
    room = {("channels", link): fields.get("channels", 1) for link, fields in _links(problem).items()}
    room |= {("memory", node["id"]): node.get("memory") for node in nodes}
    room |= {("degree", node["id"]): node.get("degree", degree) for node in nodes}
    return {key: amount for key, amount in room.items() if amount is not None}


def _uses(nodes):
    """What one route takes of each capacity."""
    use = Counter(("channels", frozenset(step)) for step in pairwise(nodes))
    use.update(("degree", node) for node in nodes[:-1])
    use.update({("memory", node): 1 if node in (nodes[0], nodes[-1]) else 2 for node in nodes})
    return use


def optimum(problem: dict) -> tuple[float, list]:
    """The best value and one answer that has it, by exhaustive search.

    The answer is a list of ``(request id, nodes)``, for a link selection of ``(source, target)``. Routes and links
    worth <= 0 are left out: every limit is an upper one, so leaving them out never hurts.
    """
    if _selects_links(problem):
        return _best_links(problem)
    requests, room = problem.get("requests", []), _capacities(problem)
    slots = [*(request.get("routes", 1) for request in requests), 0]
    choices = []  # per request: (value, route, what it takes), best first
    for request in requests:
        valued = [(route_figures(problem, request, nodes)[2], nodes) for nodes in simple_routes(problem, request)]
        choices.append(
            [
                (value, (request["id"], nodes), [item for item in _uses(nodes).items() if item[0] in room])
                for value, nodes in sorted(valued, reverse=True)
                if value > 0
            ]
        )
    best = [0.0, []]

    def fits(use):
        return all(room[key] >= amount for key, amount in use)

    def at_most(k, first, left):
        """A bound on what is still to come: every free slot has the best route that would fit alone."""
        total = 0.0
        for index in range(k, len(choices)):
            total += left * next((value for value, _, use in choices[index][first:] if fits(use)), 0.0)
            first, left = 0, slots[index + 1]
        return total

    def search(k, first, left, value, chosen):
        """Give request k up to `left` more routes among its choices from `first` on, then fill the later requests."""
        if value > best[0]:
            best[:] = [value, chosen]
        if k == len(choices) or value + at_most(k, first, left) <= best[0]:
            return
        for index in range(first, len(choices[k]) if left else 0):
            worth, route, use = choices[k][index]
            if fits(use):
                for key, amount in use:
                    room[key] -= amount
                search(k, index, left - 1, value + worth, [*chosen, route])
                for key, amount in use:
                    room[key] += amount
        search(k + 1, 0, slots[k + 1], value, chosen)

    search(0, 0, slots[0], 0.0, [])
    return tuple(best)


def _best_links(problem):
    room, links = _capacities(problem), problem["network"]["links"]
    best = (0.0, [])
    for mask in range(1 << len(links)):
        chosen = [link for bit, link in enumerate(links) if mask >> bit & 1]
        value = sum(map(_score, chosen))
        used = Counter(("degree", link[end]) for link in chosen for end in ("source", "target"))
        if value > best[0] and not _overused(room, used):
            best = (value, [(link["source"], link["target"]) for link in chosen])
    return best


def violations(problem: dict, result: dict) -> list[str]:
    """Everything in which a result file breaks the contract; empty when it is right."""
    missing = [field for field in RESULT_FIELDS if field not in result]
    if missing:
        return [f"fields missing: {', '.join(missing)}"]
    faults, value = (_selection_faults if _selects_links(problem) else _allocation_faults)(problem, result)
    wrong = {
        f"objective: {value} recomputed, stated": value is not None and not _agree(result["objective"], value),
        "format:": result["format"] != "qnroute.result/1",
        f"problem: name {problem.get('name')!r} expected, not": result["problem"].get("name") != problem.get("name"),
        "seconds:": not _is_number(result["seconds"]) or result["seconds"] < 0,
        "trace: not [seconds, objective, bound]": any(len(entry) != 3 for entry in result["trace"] or ()),
    }
    faults += [f"{text} {result[text.split(':')[0]]!r}" for text, is_wrong in wrong.items() if is_wrong]
    return faults + _bound_faults(*(result[field] for field in ("status", "objective", "bound", "gap")))


def _allocation_faults(problem, result):
    """Faults of the routes, and the objective (None where a route is too broken to be valued)."""
    requests = {request["id"]: request for request in problem.get("requests", [])}
    room = _capacities(problem) | {("routes", name): request.get("routes", 1) for name, request in requests.items()}
    faults, values, used, most_hops = [], [], Counter(), _rule(problem, "max_hops") or math.inf
    for index, route in enumerate(result["routes"]):
        broken = _path_fault(problem, requests, route)
        if broken:
            faults.append(f"routes[{index}]: {broken}")
            values.append(math.nan)
            continue
        request, nodes = requests[route["request"]], route["nodes"]
        figures = dict(zip(("probability", "fidelity", "value"), route_figures(problem, request, nodes)))
        faults += [
            f"routes[{index}]: {name}: {route.get(name)} stated, {figure} recomputed"
            for name, figure in figures.items()
            if not _agree(route.get(name), figure)
        ]
        if figures["fidelity"] < request.get("min_fidelity", 0) - FLOOR_TOLERANCE:
            faults.append(f"routes[{index}]: min_fidelity: {figures['fidelity']} < {request['min_fidelity']}")
        if len(nodes) - 1 > most_hops:
            faults.append(f"routes[{index}]: max_hops: {len(nodes) - 1} > {most_hops}")
        if route.get("width", 1) != 1:
            faults.append(f"routes[{index}]: width: {route['width']} > 1")
        values.append(figures["value"])
        used.update(_uses(nodes) | Counter([("routes", request["id"])]))
    faults += _overused(room, used)
    faults += [f"links: no link: {pair}" for pair in result["links"] if frozenset(pair) not in _links(problem)]
    return faults, math.fsum(values) if all(map(math.isfinite, values)) else None


def _path_fault(problem, requests, route):
    """Why a route is no simple path of its request, or None."""
    request, nodes = requests.get(route.get("request")), route.get("nodes")
    if request is None:
        return f"unknown request {route.get('request')!r}"
    if not isinstance(nodes, list) or len(nodes) < 2:
        return f"nodes: no list of at least two: {nodes!r}"
    if (nodes[0], nodes[-1]) != (request["source"], request["target"]):
        return f"ends: {nodes[0]} to {nodes[-1]} for {request['source']} to {request['target']}"
    if len(set(nodes)) < len(nodes):
        return f"not simple: {nodes}"
    gaps = [step for step in pairwise(nodes) if frozenset(step) not in _links(problem)]
    return f"no link: {gaps}" if gaps else None


def _selection_faults(problem, result):
    """Faults of the selected links, and their sum (None where one is no link)."""
    links, chosen = _links(problem), [frozenset(pair) for pair in result["links"]]
    faults = ["routes: not empty for link-selection"] if result["routes"] else []
    faults += [f"links: no link: {sorted(pair)}" for pair in chosen if pair not in links]
    faults += [f"links: selected {count} times: {sorted(pair)}" for pair, count in Counter(chosen).items() if count > 1]
    faults += _overused(_capacities(problem), Counter(("degree", node) for pair in chosen for node in pair))
    return faults, math.fsum(_score(links[pair]) for pair in chosen) if links.keys() >= set(chosen) else None


def _overused(room, used):
    """Where more is used than there is; what is not in `room` is unlimited."""
    return [
        f"{what}: {sorted(where) if isinstance(where, frozenset) else where}: {amount} > {room[what, where]}"
        for (what, where), amount in used.items()
        if amount > room.get((what, where), math.inf)
    ]


def _bound_faults(status, objective, bound, gap):
    """Faults in status, bound and gap, given the stated objective."""
    faults = [] if status in STATUSES else [f"status: unknown {status!r}"]
    if status == "infeasible":
        faults.append("status: infeasible, but the empty answer is feasible")
    if not _is_number(objective) or not (bound is None or _is_number(bound)):
        return [*faults, f"objective or bound: no finite number: {objective!r}, {bound!r}"]
    if bound is None:
        fine = gap is None and status not in ("optimal", "feasible")
        return faults if fine else [*faults, f"gap or status: {gap}, {status} without a bound"]
    if bound < objective - RELATIVE_TOLERANCE * max(1, abs(objective)):
        faults.append(f"bound: {bound} below the objective {objective}")
    true_gap = (bound - objective) / max(abs(bound), 1e-9)
    if not _agree(gap, true_gap, absolute=1e-9):
        faults.append(f"gap: {gap} stated, {true_gap} recomputed")
    if status == "optimal" and true_gap > 1e-6:
        faults.append(f"status: optimal with gap {true_gap}")
    if status == "feasible" and true_gap <= 0:
        faults.append(f"status: feasible with gap {true_gap}")
    return faults


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _agree(stated, true, absolute=1e-12):
    return _is_number(stated) and math.isclose(stated, true, rel_tol=RELATIVE_TOLERANCE, abs_tol=absolute)
