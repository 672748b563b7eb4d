"""A second program for requests that come one by one: plain Python, by routes and places, nothing kept up to date."""

from __future__ import annotations

import math
from functools import cache

from routing_twin import Choice

LEVELS = 5
REFUSE = 0


def cut(x):
    """Features without bounds end at 8."""
    return max(min(x, 8.0), -8.0)


class Twin:
    """What is known of a stream: routes of each pair once, prices and expected use of places as given."""

    def __init__(self, stream, price, used):
        choice = Choice(stream.instance.problem, per_request=8, comes=int(stream.demand.count[0]))
        self.rate = stream.demand.rate.tolist()
        self.low, self.high, self.count = (part[0].item() for part in stream.demand[1:])
        self.pairs, self.room = choice.groups, choice.room
        self.price, self.used = (dict(zip(self.room, part, strict=True)) for part in (price, used))
        best = sum(rate * items[0].value for rate, items in zip(self.rate, self.pairs, strict=True))
        self.unit = best * (self.low + self.high) / 2
        self.worth = cache(self._worth)

    def weights(self):
        step = (self.high - self.low) / LEVELS
        return [self.low + step * (level + 0.5) for level in range(LEVELS)]

    def dual(self, left, count):
        """What expected demand gains at the prices and what is left costs: a bound on the program's value."""
        gain = 0.0
        for rate, items in zip(self.rate, self.pairs):
            open_ = [item for item in items if fits(item, left)]
            for weight in self.weights():
                gain += rate / LEVELS * max([0.0, *(weight * item.value - self.cost(item) for item in open_)])
        return count * gain + sum(self.price[place] * units for place, units in left.items())

    def cost(self, item, but=None):
        return sum(self.price[place] * amount for place, amount in item.uses.items() if place != but)

    def _worth(self, place, t, x):
        """Of x units of a place with t requests to come, all other places at their prices."""
        if t == 0 or x == 0:
            return 0.0
        now = self.worth(place, t - 1, x)
        total = now
        for rate, items in zip(self.rate, self.pairs):
            for weight in self.weights():
                net = {item: weight * item.value - self.cost(item, place) for item in items}
                without = max([0.0, *(net[item] for item in items if not item.uses.get(place))])
                gains = [0.0]
                for item in items:
                    if 0 < (amount := item.uses.get(place, 0)) <= x:
                        gains.append(net[item] - without - now + self.worth(place, t - 1, x - amount))
                total += rate / LEVELS * max(gains)
        return total


def fits(item, left):
    return all(left[place] >= amount for place, amount in item.uses.items())


class Online:
    """One episode: `asked` are the requests as (pair, weight), `left` what there is of each place."""

    def __init__(self, twin, asked):
        self.twin, self.asked, self.left, self.at, self.had = twin, asked, dict(twin.room), 0, 0.0
        self._pass_over()

    @property
    def over(self):
        return self.at >= len(self.asked)

    @property
    def items(self):
        return self.twin.pairs[self.asked[self.at][0]]

    def _pass_over(self):
        while not self.over and not any(fits(item, self.left) for item in self.items):
            self.at += 1

    def possible(self, action):
        return action == REFUSE or (0 < action <= len(self.items) and fits(self.items[action - 1], self.left))

    @property
    def promise(self):
        return sum(self.twin.worth(place, len(self.asked) - self.at, x) for place, x in self.left.items())

    def act(self, action, shaped):
        """Reward, and whether the action was refused."""
        before, had = self.promise, self.had
        refused = not self.possible(action)
        if action != REFUSE and not refused:
            item = self.items[action - 1]
            self.had += self.asked[self.at][1] * item.value
            self.left = {place: units - item.uses.get(place, 0) for place, units in self.left.items()}
        self.at += 1
        self._pass_over()
        return (self.had - had + shaped * (self.promise - before)) / self.twin.unit, refused

    def lost(self, item):
        """What each place that an item uses loses by it."""
        t = len(self.asked) - self.at - 1
        return {
            place: self.twin.worth(place, t, self.left[place]) - self.twin.worth(place, t, self.left[place] - amount)
            for place, amount in item.uses.items()
        }

    def view(self, price, used, shown=8):
        """Features and mask of refusal and of the candidates; `price` and `used` of places as they are now."""
        price, used = (dict(zip(self.twin.price, part)) for part in (price, used))
        seen, mask = [[0.0] * 23 for _ in range(shown + 1)], [True] + [False] * shown
        if self.over:
            return seen, mask
        twin, (k, weight) = self.twin, self.asked[self.at]
        t = len(self.asked) - self.at - 1
        share, unit = t / len(self.asked), twin.unit
        whole = sum(twin.price[place] * units for place, units in twin.room.items())
        pace = sum(twin.price[place] * units for place, units in self.left.items()) / whole if whole else 1.0
        level = (weight - twin.low) / (twin.high - twin.low)
        common = {5: level, 15: share, 16: cut(t / 100), 17: cut(twin.rate[k] * t / 4), 18: pace - share}
        nets = {}
        for at, item in enumerate(self.items, 1):
            if fits(item, self.left):
                mask[at], value, lost = True, weight * item.value / unit, self.lost(item)
                nets[at] = cut(value - sum(lost.values()) / unit)
                spare = [(self.left[p] - a) / twin.room[p] for p, a in item.uses.items()]
                units = [self.left[p] - a for p, a in item.uses.items()]
                pressing = [twin.used[p] * t / len(self.asked) / self.left[p] for p in item.uses]
                own = [
                    cut(value), item.value / self.items[0].value, cut(value / math.sqrt(item.hops)), item.hops / 10,
                    item.success, 0.0, cut(value - twin.cost(item) / unit), cut(twin.cost(item) / unit), nets[at],
                    cut(sum(lost.values()) / unit), 0.0, cut(max([0.0, *lost.values()]) / unit), min([1.0, *spare]),
                    min([32.0, *units]) / 4, cut(max([0.0, *pressing])), 0.0, 0.0, 0.0, 0.0,
                    cut(value - (due := sum(price[p] * a for p, a in item.uses.items()) / unit)), cut(due),
                    cut(max([0.0, *(used[p] / self.left[p] for p in item.uses)])), 1.0,
                ]  # fmt: skip
                seen[at] = own
        top = max(0.0, *nets.values())
        for at in [0, *nets]:
            for place, x in common.items():
                seen[at][place] = x
            seen[at][10] = cut((nets[at] if at else 0.0) - top)
        return seen, mask
