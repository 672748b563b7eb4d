"""Policies as plain Python on the slot twin, and the best that one slot can give, by trying everything."""

from __future__ import annotations

import math

from slot_twin import best_route, by_weight, youngest


def greedy(twin):
    """Again and again the request whose reactive route is worth most for the root of its links."""
    waiting = by_weight(twin)
    while waiting:
        worth = []
        for request in waiting:
            source, target, _, _, floor, weight = twin.demand[request]
            route = best_route(twin, source, target, floor)
            worth.append((weight / math.sqrt(len(route)) if route else 0.0, route))
        place = max(range(len(waiting)), key=lambda i: worth[i][0])
        if not worth[place][0]:
            return
        twin.serve(waiting.pop(place), worth[place][1])


def static(twin, p, candidates):
    """The first of the likeliest routes of the empty network whose links all hold pairs and that keeps the floor."""
    for request in by_weight(twin):
        source, target, _, _, floor, _ = twin.demand[request]
        for links in likeliest(twin, p, source, target)[:candidates]:
            channels = [youngest(twin, link) for link in links]
            if None not in channels and twin.keeps(twin.fidelity_of_route(channels), floor):
                twin.serve(request, channels)
                break


def likeliest(twin, p, source, target):
    """All simple paths as links, by the product of p and of the swaps."""

    def chance(links):
        nodes, product = [source], 1.0
        for link in links:
            nodes.append(sum(twin.links[link]) - nodes[-1])
            product *= p[link]
        return product * math.prod(twin.swap[node] for node in nodes[1:-1])

    return sorted(paths(twin.links, source, target), key=chance, reverse=True)


def paths(ends, source, target):
    """All simple paths between two nodes, as positions in a list of ends; two of these may join the same nodes."""
    found = []

    def extend(nodes, path):
        if nodes[-1] == target:
            found.append(path)
            return
        for place, (u, v) in enumerate(ends):
            onward = {u: v, v: u}.get(nodes[-1])
            if onward is not None and onward not in nodes:
                extend([*nodes, onward], [*path, place])

    extend([source], [])
    return found


def best_value(twin):
    """The largest sum of weight times swaps over all sets of routes that the slot allows, and each request's routes."""
    stored = sorted(twin.stored)
    ends, options = [twin.links[twin.link_of(channel)] for channel in stored], []
    for request in twin.queue:
        source, target, _, _, floor, _ = twin.demand[request]
        found = []
        for path in paths(ends, source, target):
            channels = [stored[place] for place in path]
            if twin.keeps(twin.fidelity_of_route(channels), floor):
                found.append((value(twin, request, channels), frozenset(channels)))
        options.append(sorted(found, key=lambda option: -option[0]))
    rest = [0.0]
    for found in reversed(options):
        rest.append(rest[-1] + (found[0][0] if found else 0.0))
    rest.reverse()  # what the requests from here on can give at most
    best = 0.0

    def go_on(place, used, so_far):
        nonlocal best
        best = max(best, so_far)
        if place == len(options) or so_far + rest[place] <= best:
            return
        for worth, channels in options[place]:
            if not channels & used:
                go_on(place + 1, used | channels, so_far + worth)
        go_on(place + 1, used, so_far)

    go_on(0, frozenset(), 0.0)
    return best


def value(twin, request, channels):
    """Weight times the product of the swaps of a route."""
    source, _, _, _, _, weight = twin.demand[request]
    return weight * math.prod(twin.swap[node] for node in twin.nodes_from(source, channels)[1:-1])
