"""A second program for docs/simulation.md: plain Python, written from that page alone, slow and simple on purpose.

`Twin` is the network in time; the functions after it are plain policies, called between `begin` and `finish`.
"""

from __future__ import annotations

import math
import random
from collections import deque

EXPIRED, HELD_EXPIRED, MADE, ARRIVED, USED, SERVED, SERVED_HELD, SWAP_FAILED, HELD, DROPPED = range(10)
BELOW_FLOOR, SWITCHED, BELIEVED = range(10, 13)
GENERATE, SWAP = 0, 1
TOLERANCE = 1e-9
WORD = 2**64 - 1  # arithmetic modulo 2^64
GOLDEN = 0x9E3779B97F4A7C15


class Refused(ValueError):
    """A decision that breaks a rule of the slot."""


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


def luck(seed, kind, slot, link, channel):
    """u(kind, t, link, channel) of the page, in [0, 1)."""
    key = mix((mix((seed + GOLDEN * (kind + 1)) & WORD) + GOLDEN * (slot + 1)) & WORD)
    return (mix((key + GOLDEN * (link * 2**20 + channel + 1)) & WORD) >> 11) * 2.0**-53


class Twin:
    """Links, memories, queue and held pairs, moved on slot by slot; `events` tells what happened.

    `p` is a list of epochs of p per link, `memory` has None for no limit, `demand` lists (source, target, arrival,
    deadline, floor, weight) by arrival, and `held` is K, the most held pairs at once. `true_fidelity` is a list of
    epochs, too, or None where it is always `fidelity`, the network's.
    """

    def __init__(
        self, *, links, channels, p, fidelity, memory, swap, decay, lifetime, min_fidelity, model, demand, held, seed,
        slots_per_epoch=1, true_fidelity=None,
    ):  # fmt: skip
        assert model in ("werner", "printed")
        assert [request[2] for request in demand] == sorted(request[2] for request in demand)
        self.links, self.channels, self.p = links, channels, p
        self.true_fidelity = [fidelity] if true_fidelity is None else true_fidelity
        self.believed = list(fidelity)  # of each link
        self.memory, self.swap, self.decay, self.lifetime = memory, swap, decay, lifetime
        self.min_fidelity, self.model, self.demand, self.most_held = min_fidelity, model, demand, held
        self.seed, self.slots_per_epoch = seed, slots_per_epoch
        self.places = [(link, k) for link, number in enumerate(channels) for k in range(number)]  # of each channel
        self.active = [True] * len(self.places)
        self.begun = False
        self.slot = 0
        self.queue = []  # request numbers, in the order in which they joined
        self.stored = {}  # channel -> birth slot
        self.held = {}  # number -> (low, high, quality when made, slot made)
        self.arrived = self.made_held = 0  # requests that have joined, held pairs made so far
        self.events = []  # (slot, event, a, b, c, fidelity)

    # --- the slot ---

    def begin(self):
        """Steps 1 to 3: expiry, generation, arrivals."""
        self.begun = True
        self._expire()
        self._generate()
        while self.arrived < len(self.demand) and self.demand[self.arrived][2] <= self.slot:
            self.queue.append(self.arrived)
            self._note(ARRIVED, self.arrived, -1, -1, self.demand[self.arrived][4])
            self.arrived += 1

    def serve(self, request, channels):
        """Step 4: serve a request by a route, channels from its source to its target; whether it is served."""
        if request not in self.queue:
            raise Refused(f"request {request} is not in the queue")
        source, target, arrival, _, floor, _ = self.demand[request]
        nodes = self.nodes_from(source, channels)
        if nodes[-1] != target:
            raise Refused(f"the route ends at node {nodes[-1]}, not at {target}")
        fidelity = self.fidelity_of_route(channels)
        if not self.keeps(fidelity, floor):
            raise Refused(f"fidelity {fidelity} is below the floor {floor}")
        fidelity = self.fidelity_of(self.true_quality_of_route(channels))
        if not self._join(channels, nodes, request, fidelity, floor):
            return False
        self.queue.remove(request)
        self._note(SERVED, request, self.slot - arrival, len(channels), fidelity)
        return True

    def serve_held(self, request, number):
        """Step 4: serve a request by a held pair between its two nodes."""
        if request not in self.queue:
            raise Refused(f"request {request} is not in the queue")
        if number not in self.held:
            raise Refused(f"pair {number} is not held")
        source, target, arrival, _, floor, _ = self.demand[request]
        if self.held[number][:2] != (min(source, target), max(source, target)):
            raise Refused(f"held pair {number} joins other nodes than request {request}")
        fidelity = self.fidelity_of_held(number)
        if not self.keeps(fidelity, floor):
            raise Refused(f"fidelity {fidelity} is below the floor {floor}")
        del self.held[number]
        self.queue.remove(request)
        self._note(SERVED_HELD, request, self.slot - arrival, number, fidelity)

    def preposition(self, channels):
        """Step 4: make a held pair by a route, channels from the lower end to the higher; whether it is held."""
        if len(self.held) >= self.most_held:
            raise Refused(f"{self.most_held} pairs are held already")
        nodes = self.nodes_from(self.lower_end(channels), channels)
        if nodes[0] > nodes[-1]:
            raise Refused("the route runs from its higher end to its lower")
        fidelity = self.fidelity_of_route(channels)
        if not self.keeps(fidelity, self.min_fidelity):
            raise Refused(f"fidelity {fidelity} is below the least {self.min_fidelity}")
        quality = self.true_quality_of_route(channels)
        fidelity = self.fidelity_of(quality)
        if not self._join(channels, nodes, -1, fidelity, self.min_fidelity):
            return False
        number = self.made_held
        self.made_held += 1
        self.held[number] = (nodes[0], nodes[-1], quality, self.slot)
        self._note(HELD, number, nodes[0], nodes[-1], fidelity)
        return True

    def finish(self):
        """Step 5, deadlines; then the next slot."""
        for request in list(self.queue):
            if self.demand[request][3] <= self.slot:
                self.queue.remove(request)
                self._note(DROPPED, request, -1, -1)
        self.slot += 1
        self.begun = False

    def activate(self, active):
        """Say of each channel whether it is active."""
        for channel, now in enumerate(active):
            if now != self.active[channel]:
                self.active[channel] = now
                self._note(SWITCHED, channel, int(now), self.slot + 1 if self.begun else self.slot)

    def believe(self, fidelity):
        """Say of each link what its fresh pairs are believed to have; None leaves it as it is."""
        for link, now in enumerate(fidelity):
            if now is not None and now != self.believed[link]:
                self.believed[link] = now
                self._note(BELIEVED, link, -1, -1, now)

    # --- fidelity ---

    def fidelity_of(self, quality):
        return (1.0 + 3.0 * quality) / 4.0 if self.model == "werner" else quality

    def fresh(self, link, slot):
        """True fidelity of the pairs of a link that are made in a slot."""
        return self.true_fidelity[min(slot // self.slots_per_epoch, len(self.true_fidelity) - 1)][link]

    def fidelity_of_pair(self, channel):
        """Own true fidelity of a stored pair now."""
        fresh, kept = self.fresh(self.link_of(channel), self.stored[channel]), self.decay ** self.age(channel)
        return (1.0 + 3.0 * ((4.0 * fresh - 1.0) / 3.0 * kept)) / 4.0 if self.model == "werner" else fresh * kept

    def quality_of_route(self, channels):
        """Believed quality: the product over the stored pairs, in the order given."""
        return self._product(channels, [self.believed[self.link_of(channel)] for channel in channels])

    def true_quality_of_route(self, channels):
        return self._product(channels, [self.fresh(self.link_of(each), self.stored[each]) for each in channels])

    def _product(self, channels, when_fresh):
        product = 1.0
        for channel, fresh in zip(channels, when_fresh):
            kept = self.decay ** self.age(channel)
            werner, printed = (4.0 * fresh - 1.0) / 3.0 * kept, (3.0 * fresh * kept + 1.0) / 4.0
            product *= werner if self.model == "werner" else printed
        return product

    def fidelity_of_route(self, channels):
        """End to end, as it is believed."""
        return self.fidelity_of(self.quality_of_route(channels))

    def fidelity_of_held(self, number):
        _, _, quality, made = self.held[number]
        return self.fidelity_of(quality * self.decay ** (self.slot - made))

    def keeps(self, fidelity, floor):
        return fidelity >= floor - TOLERANCE

    # --- where things are ---

    def link_of(self, channel):
        return self.places[channel][0]

    def age(self, channel):
        return self.slot - self.stored[channel]

    def qubits(self, node):
        """Qubits in use at a node."""
        pairs = [self.links[self.link_of(channel)] for channel in self.stored]
        pairs += [(low, high) for low, high, _, _ in self.held.values()]
        return sum(node in pair for pair in pairs)

    def has_room(self, node):
        return self.memory[node] is None or self.qubits(node) < self.memory[node]

    def nodes_from(self, start, channels):
        """Nodes of a route of stored pairs from `start`; refused unless it is a simple path."""
        nodes = [start]
        for channel in channels:
            if channel not in self.stored:
                raise Refused(f"channel {channel} has no stored pair")
            u, v = self.links[self.link_of(channel)]
            if nodes[-1] not in (u, v):
                raise Refused(f"channel {channel} does not start at node {nodes[-1]}")
            nodes.append(v if nodes[-1] == u else u)
        if len(nodes) < 2 or len(set(nodes)) < len(nodes):
            raise Refused(f"the route {channels} is no simple path")
        return nodes

    def lower_end(self, channels):
        """Where a route without a request starts: the free end of its first link; of a single link, the lower."""
        if not channels or any(channel not in self.stored for channel in channels):
            raise Refused(f"not a route of stored pairs: {channels}")
        ends = sorted(self.links[self.link_of(channels[0])])
        onward = self.links[self.link_of(channels[1])] if len(channels) > 1 else ()
        return ends[1] if ends[0] in onward else ends[0]

    # --- steps ---

    def _note(self, event, a, b, c, fidelity=math.nan):
        self.events.append((self.slot, event, a, b, c, fidelity))

    def _expire(self):
        for channel in sorted(self.stored):
            fidelity, age = self.fidelity_of_pair(channel), self.age(channel)
            if age > self.lifetime or not self.keeps(fidelity, self.min_fidelity):
                del self.stored[channel]
                self._note(EXPIRED, channel, age, -1, fidelity)
        for number in sorted(self.held):
            fidelity, age = self.fidelity_of_held(number), self.slot - self.held[number][3]
            if age > self.lifetime or not self.keeps(fidelity, self.min_fidelity):
                del self.held[number]
                self._note(HELD_EXPIRED, number, age, -1, fidelity)

    def _generate(self):
        p = self.p[min(self.slot // self.slots_per_epoch, len(self.p) - 1)]
        for i in range(len(self.links)):
            link = (self.slot + i) % len(self.links)
            for k in range(self.channels[link]):
                channel = self.places.index((link, k))
                if channel in self.stored or not self.active[channel]:
                    continue
                if not all(self.has_room(node) for node in self.links[link]):
                    continue
                if luck(self.seed, GENERATE, self.slot, link, k) < p[link]:
                    self.stored[channel] = self.slot
                    self._note(MADE, channel, -1, -1, self.fresh(link, self.slot))

    def _join(self, channels, nodes, request, fidelity, floor):
        """Use the pairs up, swap at the interior nodes, and look at the true fidelity; whether all is well."""
        for place, channel in enumerate(channels):
            self._note(USED, channel, self.age(channel), place, self.fidelity_of_pair(channel))
        for channel in channels:
            del self.stored[channel]
        for channel, node in zip(channels[:-1], nodes[1:-1]):
            if not luck(self.seed, SWAP, self.slot, *self.places[channel]) < self.swap[node]:
                self._note(SWAP_FAILED, request, node, len(channels))
                return False
        if not self.keeps(fidelity, floor):
            self._note(BELOW_FLOOR, request, -1, len(channels), fidelity)
            return False
        return True


# --- policies ---


def run(twin, policy, slots):
    """So many slots under a policy; the events."""
    for _ in range(slots):
        twin.begin()
        policy(twin)
        twin.finish()
    return twin.events


def by_weight(twin):
    """The queue, heaviest first, then in its order."""
    return sorted(twin.queue, key=lambda request: -twin.demand[request][5])


def shortest_path(twin):
    """One fixed route for each pair of nodes, whatever is stored."""
    for request in by_weight(twin):
        source, target, _, _, floor, _ = twin.demand[request]
        channels = [youngest(twin, link) for link in fixed_route(twin.links, source, target)]
        if channels and None not in channels and twin.keeps(twin.fidelity_of_route(channels), floor):
            twin.serve(request, channels)


def reactive(twin):
    """Fewest links among the stored routes that keep the floor, then highest quality."""
    for request in by_weight(twin):
        _serve_reactively(twin, request)


def highest_fidelity(twin):
    """Highest quality among all stored routes, then fewest links; served if it keeps the floor."""
    for request in by_weight(twin):
        source, target, _, _, floor, _ = twin.demand[request]
        routes = stored_routes(twin, source, target)
        best = min(routes, key=lambda route: (-twin.quality_of_route(route), len(route)), default=None)
        if best and twin.keeps(twin.fidelity_of_route(best), floor):
            twin.serve(request, best)


def spep(twin, chances, threshold, most_new, least_fidelity):
    """Algorithm 2 of paper C, then held pairs and reactive routes; chances: {(low, high): probability}."""
    if len(twin.held) < twin.most_held:
        _preposition(twin, chances, threshold, most_new, max(twin.min_fidelity, least_fidelity))
    for request in by_weight(twin):
        source, target, _, _, floor, _ = twin.demand[request]
        ends = (min(source, target), max(source, target))
        fitting = [
            (twin.fidelity_of_held(number), number)
            for number, (low, high, _, _) in twin.held.items()
            if (low, high) == ends and twin.keeps(twin.fidelity_of_held(number), floor)
        ]
        if fitting:
            twin.serve_held(request, min(fitting)[1])
        else:
            _serve_reactively(twin, request)


def _preposition(twin, chances, threshold, most_new, floor):
    already = {(low, high) for low, high, _, _ in twin.held.values()}
    candidates = []
    for (low, high), chance in chances.items():
        route = best_route(twin, low, high, floor) if chance > threshold and (low, high) not in already else None
        if route:
            candidates.append((-chance * twin.fidelity_of_route(route), (low, high), route))
    tries = 0
    for _, _, route in sorted(candidates):
        if tries < most_new and len(twin.held) < twin.most_held and all(channel in twin.stored for channel in route):
            twin.preposition(route)
            tries += 1


def _serve_reactively(twin, request):
    source, target, _, _, floor, _ = twin.demand[request]
    route = best_route(twin, source, target, floor)
    if route:
        twin.serve(request, route)


def best_route(twin, source, target, floor):
    """Fewest links, then highest quality, of the stored routes that keep a floor; None if none does."""
    routes = [
        route for route in stored_routes(twin, source, target) if twin.keeps(twin.fidelity_of_route(route), floor)
    ]
    return min(routes, key=lambda route: (len(route), -twin.quality_of_route(route)), default=None)


def stored_routes(twin, source, target):
    """All simple paths over links with a stored pair, as channels: of each link its youngest pair."""
    pairs = [youngest(twin, link) for link in range(len(twin.links))]
    found = []

    def extend(nodes, route):
        if nodes[-1] == target:
            found.append(route)
            return
        for link, (u, v) in enumerate(twin.links):
            if pairs[link] is not None and nodes[-1] in (u, v):
                onward = v if nodes[-1] == u else u
                if onward not in nodes:
                    extend([*nodes, onward], [*route, pairs[link]])

    extend([source], [])
    return found


def youngest(twin, link):
    """Channel of the youngest stored pair of a link, the lowest among equals; None if there is none."""
    there = [channel for channel in twin.stored if twin.link_of(channel) == link]
    return min(there, key=lambda channel: (-twin.stored[channel], channel), default=None)


def fixed_route(links, source, target):
    """Links of a shortest route from source to target, searched from the lower end in the order of links."""
    root, goal = min(source, target), max(source, target)
    reached, waiting = {root: []}, deque([root])
    while waiting:
        node = waiting.popleft()
        for link, (u, v) in enumerate(links):
            onward = v if node == u else u
            if node in (u, v) and onward not in reached:
                reached[onward] = [*reached[node], link]
                waiting.append(onward)
    route = reached.get(goal, [])
    return route if source == root else route[::-1]


def random_case(seed):
    """Arguments of a small random `Twin`: memories, epochs with outages, several channels, both models."""
    rng = random.Random(seed)
    n = rng.randint(2, 7)
    joined = {(rng.randrange(v), v) for v in range(1, n)}  # a tree, then more links
    joined |= {tuple(sorted(rng.sample(range(n), 2))) for _ in range(rng.randint(0, n))}
    links = [ends if rng.random() < 0.5 else ends[::-1] for ends in rng.sample(sorted(joined), len(joined))]
    demand = []
    for arrival in sorted(rng.randrange(60) for _ in range(rng.randint(0, 60))):
        deadline, floor = arrival + rng.randint(0, 12), rng.choice((0.0, rng.uniform(0.4, 0.95)))
        demand.append((*rng.sample(range(n), 2), arrival, deadline, floor, rng.choice((1.0, 1.0, 2.0, 0.5))))
    return {
        "links": links,
        "channels": [rng.randint(1, 3) for _ in links],
        "p": [[rng.choice((0.0, rng.random(), rng.random())) for _ in links] for _ in range(rng.randint(1, 5))],
        "fidelity": [rng.uniform(0.7, 1.0) for _ in links],
        "memory": [rng.choice((None, None, rng.randint(0, 6))) for _ in range(n)],
        "swap": [rng.choice((1.0, rng.uniform(0.3, 1.0))) for _ in range(n)],
        "decay": rng.choice((1.0, 0.96, rng.uniform(0.8, 1.0))),
        "lifetime": rng.choice((0, 1, 3, 15)),
        "min_fidelity": rng.choice((0.0, 0.5, 0.6)),
        "model": rng.choice(("werner", "printed")),
        "demand": demand,
        "held": rng.choice((0, 1, 3, 8)),
        "seed": rng.randrange(2**63),
        "slots_per_epoch": rng.choice((1, 7, 20)),
    }
