"""A second program for route choice as a game: plain Python, written from what the compiled one says of itself.

Routes stay routes and capacities stay where they are; nothing is kept up to date that can be added up anew.
"""

from __future__ import annotations

import math
from collections import Counter
from copy import deepcopy
from itertools import pairwise

from qnroute.allocation import Allocation, Route, route_figures
from qnroute.fields import UNLIMITED
from qnroute.models import PathPacking
from qnroute.routes import enumerate_routes


class Item:
    """One use of a candidate route; `uses` is what it takes of each place, and `gain` its value at bid prices."""

    def __init__(self, problem, name, nodes, value):
        self.route, self.value = Route(name, nodes), value
        figures = route_figures(problem, self.route)
        assert math.isclose(value, figures.value, rel_tol=1e-9, abs_tol=1e-12)
        self.success, self.fidelity, self.hops = figures.probability, figures.fidelity, len(nodes) - 1
        self.uses = Counter(("channels", frozenset(pair)) for pair in pairwise(nodes))
        self.uses.update(("degree", node) for node in nodes[:-1])
        self.uses.update({("memory", node): 2 if node in nodes[1:-1] else 1 for node in nodes})


class Choice:
    """A problem as items: `groups` lists those of each request that has any, `room` what there is of each place.

    Where requests come again and again, so often in all, each route is one item.
    """

    def __init__(self, problem, per_request=8, comes=0):
        network, self.table = problem.network, enumerate_routes(problem, per_request=per_request)
        names, bounds = network.node_ids, problem.degree_bounds.tolist()
        room = {("channels", frozenset((names[u], names[v]))): c for u, v, c in edges(network)}
        room |= {("memory", name): most for name, most in zip(names, network.memory.tolist())}
        room |= {("degree", name): most for name, most in zip(names, bounds)}
        self.problem, self.room = problem, {place: most for place, most in room.items() if most < UNLIMITED}
        self.groups, self.most, self.rest = [], [], []
        for k, request in enumerate(problem.requests):
            group = []
            for j in range(len(self.table)):
                if self.table.request[j] == k:
                    item = Item(problem, request.id, self.table.route(j).nodes, float(self.table.value[j]))
                    alone = [most // item.uses[place] for place, most in self.room.items() if item.uses[place]]
                    times = min([request.routes, *alone])
                    group += [deepcopy(item) for _ in range(min(times, 1) if comes else times)]
            if group:
                self.groups.append(group)
                self.most.append(request.routes)
                self.rest.append(float(self.table.rest[k]))
        self.items = [item for group in self.groups for item in group]
        self._reduce(comes)
        self.most = [min(most, len(self.items)) for most in self.most]  # no more than there are items at all
        best = [group[0].value for group in self.groups]
        self.unit = sum(best) / len(best) if best else 1.0

    def _reduce(self, comes):
        """Numbers of a place are divided by what they have in common; places that all items fit in are left out."""
        for place in list(self.room):
            common = math.gcd(*(item.uses[place] for item in self.items)) or 1
            self.room[place] //= common
            for item in self.items:
                item.uses[place] //= common
            amounts = [item.uses[place] for item in self.items]
            if (comes * max(amounts) if comes else sum(amounts)) <= self.room[place]:
                del self.room[place]
        for item in self.items:
            item.uses = {place: amount for place, amount in item.uses.items() if amount and place in self.room}

    def places(self):
        """The places in the order in which the path packing names them."""
        rows = PathPacking(self.problem, self.table).rows
        network = self.problem.network
        called = {network.link_name(e): frozenset((network.node_ids[u], network.node_ids[v]))
                  for e, (u, v, _) in enumerate(edges(network))}  # fmt: skip
        listed = [("channels", called[name]) for name in rows["channels"].axes[0][1]]
        listed += [(what, name) for what in ("memory", "degree") for name in rows[what].axes[0][1]]
        return [place for place in listed if place in self.room]

    def price(self, prices, chosen):
        """Give prices to places and the relaxation's choice to items, both as lists."""
        self.prices = dict(zip(self.places(), prices, strict=True))
        for item, share in zip(self.items, chosen, strict=True):
            item.chosen = share
            item.gain = item.value - sum(self.prices[place] * amount for place, amount in item.uses.items())
        return self


def edges(network):
    return zip(network.source.tolist(), network.target.tolist(), network.channels.tolist())


def cut(x):
    """Features without bounds end at 4 units."""
    return max(min(x, 4.0), -4.0)


class Game:
    """One episode of a priced `Choice`."""

    def __init__(self, choice):
        self.choice, self.taken = choice, []
        rank = [max((i.chosen + 1e-3) * i.value / math.sqrt(i.hops) for i in group) for group in choice.groups]
        self.to_come = sorted(range(len(rank)), key=lambda k: -rank[k])  # the first is at hand
        self.more = list(choice.most)
        self._pass_over()

    @property
    def over(self):
        return not self.to_come

    @property
    def group(self):
        """Items of the request at hand."""
        return self.choice.groups[self.to_come[0]]

    def left(self, place):
        return self.choice.room[place] - sum(item.uses.get(place, 0) for item in self.taken)

    def fits(self, item):
        free = all(self.left(place) >= amount for place, amount in item.uses.items())
        return free and not any(item is other for other in self.taken)

    def _pass_over(self):
        while self.to_come and not (self.more[self.to_come[0]] and any(map(self.fits, self.group))):
            self.to_come.pop(0)

    def possible(self, action):
        return action == 0 or (0 < action <= len(self.group) and self.fits(self.group[action - 1]))

    @property
    def promise(self):
        """The best that every route still to be taken could gain, and all that is left at its price."""
        if self.over:
            return 0.0
        paid = sum(price * self.left(place) for place, price in self.choice.prices.items())
        tops = [(k, max(0.0, *(item.gain for item in self.choice.groups[k]))) for k in self.to_come]
        return paid + sum(top * self.more[k] for k, top in tops)

    @property
    def worth(self):
        return sum(item.value for item in self.taken)

    def act(self, action, shaped, shown=1000):
        """Reward, whether the episode is over, and whether the action was refused, as if so many routes were shown."""
        if self.over:
            return 0.0, True, False
        before, refused = self.standing(shaped), action > shown or not self.possible(action)
        if action == 0 or refused:
            self.to_come.pop(0)
        else:
            self.taken.append(self.group[action - 1])
            self.more[self.to_come[0]] -= 1
        self._pass_over()
        return (self.standing(shaped) - before) / self.choice.unit, self.over, refused

    def standing(self, shaped):
        return self.worth + (self.promise if shaped else 0.0)

    def best(self):
        """The most that any play from here on ends with."""
        if self.over:
            return self.worth
        ends = []
        for action in range(len(self.group) + 1):
            if self.possible(action):
                other = self.copy()
                other.act(action, False)
                ends.append(other.best())
        return max(ends)

    def copy(self):
        other = object.__new__(Game)
        other.choice, other.taken, other.to_come, other.more = (
            self.choice, list(self.taken), list(self.to_come), list(self.more))  # fmt: skip
        return other

    def allocation(self):
        return Allocation(tuple(item.route for item in self.taken))

    def view(self, shown):
        """Features and mask of waiting and of the first `shown` candidates, zero where there is nothing to take."""
        seen, mask = [[0.0] * 16 for _ in range(shown + 1)], [True] + [False] * shown
        if self.over:
            return seen, mask
        choice, group, rows = self.choice, self.group, enumerate(self.group[:shown], 1)
        top = max(0.0, *(item.gain for item in group))
        left = len(self.to_come) / len(choice.groups)
        certain = sum(item.chosen for item in group)
        later = [item for k in self.to_come[1:] for item in choice.groups[k]]
        seen[0][9], seen[0][13], seen[0][14] = cut(-top / choice.unit), left, certain
        for at, item in rows:
            mask[at] = self.fits(item)
            if mask[at]:
                expected = {p: sum(other.chosen * other.uses.get(p, 0) for other in later) for p in item.uses}
                seen[at] = [*self._alone(item, top), *self._among(item, expected), left, certain, 1.0]
        return seen, mask

    def _alone(self, item, top):
        """Value, of_best, density, hops, success, fidelity, reduced, price, chosen, behind."""
        unit = self.choice.unit
        return [
            cut(item.value / unit), item.value / self.group[0].value, cut(item.value / math.sqrt(item.hops) / unit),
            item.hops / 10, item.success, item.fidelity, max(item.gain / unit, -4.0),
            cut((item.value - item.gain) / unit), item.chosen, cut((item.gain - top) / unit),
        ]  # fmt: skip

    def _among(self, item, expected):
        """Spare, pressure, harm: what others are expected to use, against what is left of the places of the item."""
        spare, pressure, harm = 1.0, 0.0, 0.0
        for place, amount in item.uses.items():
            left, others = self.left(place), expected[place]
            spare = min(spare, (left - amount) / self.choice.room[place])
            pressure = max(pressure, others / left)
            lost = min(max(others - (left - amount), 0.0), amount)  # of what others expect, once the item is taken
            harm += self.choice.prices[place] * lost
        return [spare, cut(pressure), cut(harm / self.choice.unit)]
