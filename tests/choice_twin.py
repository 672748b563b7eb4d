"""What is to be decided within a slot, in plain Python: candidates by trying all routes, and what is seen of them."""

from __future__ import annotations

import math

from qnroute.simulation.desk import MOST


class Twin:
    """One run of a simulator with the table that compiled decisions are made from; looks, and changes nothing."""

    def __init__(self, simulator, table, run):
        self.w, self.s, self.sight, self.desk, self.run = simulator.world, simulator.state, table.sight, table.desk, run
        self.slot = int(self.s.slot[run])
        self.gone = set()  # channels as if they held no pair

    # --- pairs ---

    def channels(self, link):
        some = range(self.w.first[link], self.w.first[link + 1])
        return [c for c in some if self.s.birth[c] >= 0 and c not in self.gone]

    def quality(self, channel):
        law, age = self.w.law, self.slot - self.s.birth[channel]
        return self.s.believed[self.w.link[channel]] * law.decays[age] + law.shift

    def price(self, channel):
        age = min(self.slot - self.s.birth[channel], self.desk.prices.shape[1] - 1)
        return self.desk.prices[self.w.link[channel], age]

    def links(self):
        return range(self.w.links[self.run], self.w.links[self.run + 1])

    def routes(self, source, longest, channels_of):
        """All simple routes from a node, as (end, channels)."""
        found = []

        def extend(node, nodes, route):
            if route:
                found.append((node, tuple(route)))
            if len(route) == longest:
                return
            for e in self.links():
                if node in (self.w.tail[e], self.w.head[e]):
                    there = int(self.w.tail[e] + self.w.head[e] - node)
                    if there not in nodes:
                        for channel in channels_of(e):
                            extend(there, [*nodes, there], [*route, channel])

        extend(source, [source], [])
        return found

    # --- candidates ---

    def to_serve(self, k):
        """(price, links, quality) of all routes that keep a request's floor, by route."""
        found = {}
        for end, route in self.routes(int(self.w.source[k]), self.w.nodes[self.run + 1], self.channels):
            quality = math.prod(self.quality(c) for c in route)
            if end == self.w.target[k] and quality >= self.w.need[k]:
                found[route] = sum(max(self.price(c), 0.0) + 1e-9 for c in route), len(route), quality
        return found

    def to_hold(self):
        """The worth of all routes that may be held, by the links; from their lower node on."""

        def stalest(link):
            some = self.channels(link)
            return [min(some, key=lambda c: self.s.birth[c])] if some else []

        found = {}
        for source in range(self.w.nodes[self.run], self.w.nodes[self.run + 1]):
            for end, route in self.routes(source, self.sight.tuning.longest, stalest):
                quality = math.prod(self.quality(c) for c in route)
                if source < end and quality >= self.w.law.least:
                    price = sum(self.price(c) for c in route)
                    tuning = self.sight.tuning
                    found[route] = tuning.trust * self.use(source, end, quality) - tuning.place - price
        return found

    def use(self, low, high, quality):
        """The chance that a held pair serves a forecast request."""
        demands, run, s = self.sight.demands, self.run, self.s
        held = range(run * self.w.held, run * self.w.held + s.holding[run])
        if any((s.low[i], s.high[i]) == (low, high) for i in held):
            return 0.0
        for j in range(demands.first[run], demands.first[run + 1]):
            if demands.key[j] == low * len(self.w.memory) + high:
                left = 1.0
                for step, chance in enumerate(demands.ahead[min(self.slot, len(demands.ahead) - 1), j]):
                    then = quality * self.w.law.decays[step + 1] if step < self.w.law.lifetime else -1.0
                    if then < self.w.law.least:
                        break
                    kept = sum(floor <= then for floor in demands.floors[run]) / len(demands.floors[run])
                    left *= 1.0 - chance * kept
                return 1.0 - left
        return 0.0

    # --- chances ---

    def waiting(self):
        start = self.w.requests[self.run]
        return [k for k in self.s.queue[start : start + self.s.queued[self.run]] if self.s.served[k] < 0]

    def prospect(self, k):
        plan = self.sight.plan
        several = range(plan.routes[k], plan.routes[k + 1])
        return max((self.chance(k, plan.links[plan.indptr[r] : plan.indptr[r + 1]]) for r in several), default=0.0)

    def chance(self, k, links):
        """The chance that a route of links serves a request in time."""
        w, s, law, p = self.w, self.s, self.w.law, self.sight.belief.chance
        left, need = int(w.deadline[k]) - self.slot, w.need[k]
        budget = -math.log(need) + 1e-9 if need > 0.0 else math.inf
        best = {e: max(self.channels(e), key=lambda c: s.birth[c], default=None) for e in links}
        noise = {e: -math.log(max(s.believed[e] + law.shift, 1e-12)) for e in links}
        fade = sum(-math.log(max(s.believed[e] * law.decays[1] + law.shift, 1e-12)) - noise[e] for e in links)
        held = sum(noise[e] if best[e] is None else -math.log(self.quality(best[e])) for e in links)
        ages = [self.slot - s.birth[c] for c in best.values() if c is not None]
        missing = [e for e in links if best[e] is None]
        swaps, node = 1.0, w.source[k]
        for e in links[:-1]:
            node = w.tail[e] + w.head[e] - node
            swaps *= w.swap[node]
        if not missing and held <= budget:
            return swaps
        if left <= 0:
            return 0.0
        made = lambda some, slots: math.prod(1.0 - (1.0 - min(p[e], 1.0 - 1e-12)) ** slots for e in some)  # noqa: E731
        soon, wait = 0.0, 0.0
        spare, room = (budget - held) / fade if fade > 0.0 else math.inf, law.lifetime - max(ages, default=0)
        if missing and spare > 0.0 and room > 0:
            wait = min(left, room, spare)
            soon = made(missing, max(wait, 1.0)) if budget - held - 0.5 * fade * min(wait, spare) >= 0.0 else 0.0
        fresh = sum(noise.values())
        span = 1.0 + max(min((budget - fresh) / fade if fade > 0.0 else math.inf, law.lifetime), 0.0)
        tries, again = max(left - wait, 0.0) / span, min(made(links, span), 1.0 - 1e-12)
        later = (1.0 - (1.0 - again) ** tries) if budget >= fresh else 0.0
        return swaps * (soon + (1.0 - soon) * later)

    # --- features ---

    def seen(self, route, place, k):
        """By name, what is seen of a candidate for request `k`, or of a pair to hold."""
        w, s = self.w, self.s
        prices, ages = [self.price(c) for c in route], [self.slot - s.birth[c] for c in route]
        quality, fade = math.prod(self.quality(c) for c in route), -math.log(w.law.decays[1])
        need = w.need[k] if k is not None else w.law.least
        before = {other: self.prospect(other) for other in self.waiting()}
        self.gone = set(route)
        after = {other: self.prospect(other) for other in before}
        self.gone = set()
        change = [float(w.weight[other]) * (after[other] - before[other]) for other in before if other != k]
        found = {
            "candidate": 1.0, "price": sum(prices), "links": len(route) / 4.0, "age": sum(ages) / (15.0 * len(route)),
            "oldest": max(ages) / 15.0, "dearest": max(prices), "cheapest": min(prices), "rank": place / 8.0,
            "spare": min(math.log(quality / need) / fade, 15.0) / 15.0 if need > 0.0 and fade > 0.0 else 1.0,
            "fresh": ages.count(0) / len(route), "others": sum(change), "harm": min([0.0, *change]),
            "help": max([0.0, *change]), "pressed": sum(x < -0.01 for x in change) / 4.0, "again": after.get(k, 0.0),
        }  # fmt: skip
        if k is None:
            inner = [int(w.tail[w.link[c]]) for c in route] + [int(w.head[w.link[c]]) for c in route]
            low, high = sorted(node for node in set(inner) if inner.count(node) == 1)
            found["use"] = self.use(low, high, quality)
            tuning = self.sight.tuning
            found["gain"] = tuning.trust * found["use"] - tuning.place - sum(prices)
        else:
            found["gain"] = float(w.weight[k]) - sum(prices)
        fine = lambda x: min(max(25.0 * x, -4.0), 4.0)  # noqa: E731
        found |= {"fine": fine(found["gain"]), "dear": fine(max(prices)), "cheap": fine(min(prices))}
        found["near"] = fine(found["others"])
        return self.common(k) | found

    def common(self, k):
        """What is seen of the decision itself."""
        w, s, waiting = self.w, self.s, self.waiting()
        found = {
            "holding": float(k is None), "places": (w.held - s.holding[self.run]) / max(w.held, 1),
            "waiting": len(waiting) / 8.0, "ready": sum(self.prospect(x) > 0.999 for x in waiting) / 4.0,
        }  # fmt: skip
        if k is not None:
            found |= {"left": (w.deadline[k] - self.slot) / 12.0, "weight": w.weight[k], "floor": w.need[k]}
        return found


def clipped(values):
    """As features are: within what may be seen."""
    return {name: min(max(float(value), -MOST), MOST) for name, value in values.items()}
