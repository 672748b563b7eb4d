"""Decisions that know how unsure a predicted fidelity is: what a link or a route brings, times the chance that it may.

The fidelity F of a link is taken for normal with the predicted mean and standard deviation, cut off outside (1/4, 1],
where a Werner pair that is of use to anybody lies; links are independent. Two floors are met in practice. One on every
link (`chance_aware`): the chance is that of the link, and products of p * P(F >= floor) are expected numbers of usable
pairs. One on the route (`chance_routes`): the noises -ln w, w = (4 F - 1) / 3, add up along a route, and the sum of a
few is close to a gamma distribution of the same mean and variance, which is never below 0 and leans to the right as
noises do (a normal one was off by half as much again).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import gammainc, ndtr

from qnroute.allocation import Allocation, check, route_figures
from qnroute.costs import NOTHING
from qnroute.errors import ProblemError, SolverError
from qnroute.fidelity import TOLERANCE, noise, werner
from qnroute.fields import brief
from qnroute.learning.links.regret import only_links
from qnroute.models.path_packing import PathPacking
from qnroute.network import Network
from qnroute.problem import Problem
from qnroute.routes import RouteTable, enumerate_routes
from qnroute.settings import Settings
from qnroute.solvers.highs import solve_matrix

_LOW, _HIGH = 0.25, 1.0  # of F
_REACH = 9.0  # standard deviations around the mean that count
_NODES = 96  # of the quadrature


def chance_of(mean: Any, sd: Any, floor: Any) -> np.ndarray:
    """P(F >= floor), elementwise; what is within the judge's tolerance of the floor keeps it.

    Parameters
    ----------
    mean, sd
        Of the normal distribution before it is cut to (1/4, 1]; where `sd` is 0, F is its mean.
    floor
        At or below 1/4 every link keeps it.
    """
    mean, sd, floor = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (mean, sd, floor)))
    floor = np.clip(floor - TOLERANCE, _LOW, _HIGH)
    sure = (sd <= 0.0) | (mean + _REACH * sd < _LOW) | (mean - _REACH * sd > _HIGH)  # at one place
    scale = np.where(sure, 1.0, sd)
    low, at, high = ((x - mean) / scale for x in (_LOW, floor, _HIGH))

    def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Mass of the standard normal, from the side on which nothing cancels."""
        return np.where(a > 0.0, ndtr(-a) - ndtr(-b), ndtr(b) - ndtr(a))

    with np.errstate(invalid="ignore", divide="ignore"):
        unsure = between(at, high) / between(low, high)
    return np.where(sure, np.clip(mean, _LOW, _HIGH) >= floor, unsure)


def chance_aware(network: Network, fidelity_sd: Any, floor: float) -> Network:
    """The network whose p are p * P(F >= floor), for where a link below the floor is of no use.

    With it, ``expected-pairs`` is the expected number of usable pairs, and `link-selection` without scores weighs
    p * F by the chance. Links without any chance are left out of the network.

    Parameters
    ----------
    network
        With the predicted p and the mean of the predicted fidelity.
    fidelity_sd
        (m,) or one for all, >= 0.

    Raises
    ------
    ProblemError
        Standard deviations or a floor that are none.
    """
    chance = chance_of(network.fidelity, _spread(network, fidelity_sd), _floor(floor))
    some = network.p * chance > NOTHING
    return only_links(network.replace(p=np.where(some, network.p * chance, network.p)), some)


def noise_moments(mean: Any, sd: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the noise -ln w of links, (m,) each, by Gauss-Legendre quadrature; see `chance_of`."""
    mean, sd = np.broadcast_arrays(np.atleast_1d(np.asarray(mean, dtype=float)), np.asarray(sd, dtype=float))
    low, high = np.maximum(mean - _REACH * sd, _LOW), np.minimum(mean + _REACH * sd, _HIGH)
    at, weight = np.polynomial.legendre.leggauss(_NODES)
    fidelity = low[:, None] + 0.5 * (high - low)[:, None] * (at + 1.0)
    scale = np.where(sd > 0.0, sd, 1.0)[:, None]
    density = weight * np.exp(-0.5 * ((fidelity - mean[:, None]) / scale) ** 2)
    density /= density.sum(axis=1, keepdims=True)
    each = noise(fidelity)
    centre = (density * each).sum(axis=1)
    return centre, np.where(sd > 0.0, (density * (each - centre[:, None]) ** 2).sum(axis=1), 0.0)


def route_chance(noise_mean: Any, noise_var: Any, floor: Any) -> np.ndarray:
    """P(F(r) >= floor) of routes, elementwise, by a gamma distribution of the noise.

    Parameters
    ----------
    noise_mean, noise_var
        Sums over the links of each route of what `noise_moments` gives.
    floor
        On F(r) = (1 + 3 w) / 4; at or below 1/4 every route keeps it.
    """
    mean, var, floor = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (noise_mean, noise_var, floor)))
    w = werner(floor - TOLERANCE)
    budget = np.where(w > 0.0, -np.log(np.where(w > 0.0, w, 1.0)), np.inf)
    unsure = (var > 0.0) & (mean > 0.0)
    shape = np.where(unsure, mean, 1.0) ** 2 / np.where(unsure, var, 1.0)
    scale = np.where(unsure, var, 1.0) / np.where(unsure, mean, 1.0)
    return np.where(unsure, gammainc(shape, np.maximum(budget, 0.0) / scale), mean <= budget)


@dataclass(frozen=True)
class Chances:
    """What `chance_routes` found.

    Attributes
    ----------
    allocation
        Keeps every rule except floors, which its routes keep with some chance.
    expected
        What it is expected to bring: the sum over routes of weight * P(r) * chance(r).
    bound
        Proven: no allocation of the candidate routes is expected to bring more.
    outside
        What routes that were no candidates could add at most.
    """

    allocation: Allocation
    expected: float
    bound: float
    outside: float


def chance_routes(
    problem: Problem,
    fidelity_sd: Any,
    *,
    per_request: int = 64,
    least: float = 0.01,
    settings: Settings | None = None,
) -> Chances:
    """Route requests where floors are kept by chance, packing weight * P(r) * chance(r) exactly.

    Candidates are found with the floor loosened: a route that misses it in the mean may keep it.

    Parameters
    ----------
    problem
        Objective ``expected-pairs``; its network has the predicted p and the mean of the predicted fidelity.
    fidelity_sd
        (m,) or one for all, >= 0.
    per_request
        Candidates of each request, those of highest P(r).
    least
        Routes with less of a chance need not be candidates.

    Raises
    ------
    ProblemError
        Another task or objective, or arguments out of range.
    SolverError
        The packing was not solved to its end.
    """
    if problem.task != "allocation" or problem.objective.kind != "expected-pairs":
        kind = problem.objective.kind if problem.task == "allocation" else problem.task
        raise ProblemError(f"chance_routes: found {kind}, expected the objective expected-pairs")
    if not 0.0 < least < 1.0:
        raise ProblemError(f"least: found {brief(least)}, expected a number in (0, 1)")
    spread, settings = _spread(problem.network, fidelity_sd), settings or Settings()
    loose = _loosened(problem, spread, least)
    table = enumerate_routes(loose, per_request=per_request, settings=settings)
    value = table.value * _chances(problem, table, spread)
    kept = np.flatnonzero(value > 0.0)
    table = replace(table, value=value).taken(kept[np.lexsort((-value[kept], table.request[kept]))])
    model = PathPacking(problem, table)
    outcome = solve_matrix(model.matrix, settings)
    if outcome.values is None or outcome.stopped:
        raise SolverError(f"chance_routes: the packing ended with {outcome.stopped or 'no answer'}")
    allocation = model.decode(outcome.values)
    check(_without_floors(problem), allocation)
    expected = expected_worth(problem, allocation, spread)
    cut = np.where(_floors(problem) > _LOW, least * problem.weights, 0.0)
    outside = float(problem.most_routes @ np.maximum(table.rest, cut))
    return Chances(allocation, expected, max(outcome.bound, expected), outside)


def expected_worth(problem: Problem, allocation: Allocation, fidelity_sd: Any) -> float:
    """What an allocation is expected to bring under ``expected-pairs``: the sum of weight * P(r) * chance(r)."""
    network, spread = problem.network, _spread(problem.network, fidelity_sd)
    mean, var = noise_moments(network.fidelity, spread)
    total = []
    for number, route in enumerate(allocation.routes):
        figures = route_figures(problem, route, f"routes[{number}]")
        floor = problem.requests[problem.request_index[route.request]].min_fidelity
        at = [network.index[v] for v in route.nodes]
        links = [network.link_index[pair] for pair in itertools.pairwise(at)]
        if len(links) == 1:
            chance = chance_of(network.fidelity[links[0]], spread[links[0]], floor)
        else:
            chance = route_chance(mean[links].sum(), var[links].sum(), floor)
        total.append(figures.value * float(chance))
    return math.fsum(total)


def _chances(problem: Problem, table: RouteTable, spread: np.ndarray) -> np.ndarray:
    """(J,) the chance of each route to keep its request's floor; of one link alone without approximation."""
    mean, var = noise_moments(problem.network.fidelity, spread)
    route, link, _ = table.steps
    floor = _floors(problem)[table.request]
    chance = route_chance(np.bincount(route, mean[link], len(table)), np.bincount(route, var[link], len(table)), floor)
    alone = np.flatnonzero(table.hops == 1)
    direct = table.links[np.cumsum(table.hops)[alone] - 1]
    chance[alone] = chance_of(problem.network.fidelity[direct], spread[direct], floor[alone])
    return chance


def _loosened(problem: Problem, spread: np.ndarray, least: float) -> Problem:
    """The problem whose routes are all that have at least this chance.

    Its links have their mean noise, and its floors allow as much mean noise as leaves that chance to the most
    uncertain route that there could be: among routes of one mean noise above the budget, the more uncertain is the
    more likely to keep it.
    """
    from scipy.optimize import brentq

    network = problem.network
    mean, var = noise_moments(network.fidelity, spread)
    most = float(np.sort(var)[::-1][: problem.max_hops].sum())
    worst, requests = float(mean.max(initial=0.0)) * problem.max_hops + 1.0, []
    for request in problem.requests:
        floor = request.min_fidelity
        w = float(werner(floor))
        if floor > _LOW and most > 0.0:
            budget = max(-math.log(w), 1e-12)
            if float(route_chance(worst, most, floor)) >= least:
                floor = 0.0
            else:

                def lacking(centre: float, floor: float = floor) -> float:
                    return float(route_chance(centre, most, floor)) - least

                centre = brentq(lacking, budget, worst) if lacking(budget) > 0.0 else budget
                floor = min(floor, (1.0 + 3.0 * math.exp(-centre)) / 4.0)
        requests.append(replace(request, min_fidelity=floor))
    fidelity = np.clip((1.0 + 3.0 * np.exp(-mean)) / 4.0, np.nextafter(_LOW, 1.0), _HIGH)
    return problem.replace(network=network.replace(fidelity=fidelity), requests=requests)


def _without_floors(problem: Problem) -> Problem:
    return problem.replace(requests=[replace(request, min_fidelity=0.0) for request in problem.requests])


def _floors(problem: Problem) -> np.ndarray:
    return np.array([request.min_fidelity for request in problem.requests])


def _spread(network: Network, fidelity_sd: Any) -> np.ndarray:
    """(m,) standard deviations, finite and at least 0."""
    found = np.asarray(fidelity_sd, dtype=float)
    if found.shape not in ((), (network.n_links,)):
        raise ProblemError(f"fidelity_sd: found shape {found.shape}, expected one number or ({network.n_links},)")
    bad = ~(np.isfinite(found) & (found >= 0.0))
    if bad.any():
        raise ProblemError(f"fidelity_sd: found {found[bad].flat[0]!s}, expected numbers of at least 0")
    return np.broadcast_to(found, (network.n_links,))


def _floor(floor: float) -> float:
    if not 0.0 <= floor <= 1.0:
        raise ProblemError(f"floor: found {brief(floor)}, expected a number in [0, 1]")
    return float(floor)
