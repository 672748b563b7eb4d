"""What decisions within a slot are made from: what players know beforehand, and the desk with the decisions at hand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qnroute.simulation.horizon import Demands, Tuning
from qnroute.simulation.lean import lean
from qnroute.simulation.prospects import Belief
from qnroute.simulation.rules import Plan
from qnroute.simulation.search import youngest
from qnroute.simulation.slot import pair_quality

FEATURES = (
    "holding", "places", "waiting", "candidate", "gain", "price", "links", "age", "oldest", "spare", "others", "harm",
    "help", "left", "weight", "use", "dearest", "cheapest", "floor", "again", "rank", "fresh", "pressed", "ready",
    "fine", "dear", "cheap", "near",
)  # fmt: skip
"""Of a candidate: `gain`, its weight less the prices of its pairs, or of a pair to hold what its ends may ask for less
these and a place; `price`, their sum; `dearest` and `cheapest`, of one of them; `age` and `oldest`, in units of 15
slots; `spare`, the slots until its floor is missed; `others`, what the chances of those that wait change by, in
all, `harm` and `help` at worst and best, `pressed` how many lose; `again`, the chance of the request itself without
these pairs; `use`, the chance that a held pair serves somebody. `fine`, `dear`, `cheap`, `near` are `gain`,
`dearest`, `cheapest`, `others` in a small unit. Of the decision: whether pairs are to be held, places left, how
many wait and could be served; slots left, weight and floor of the request."""

MOST = 8.0  # of any feature

WAIT = 0  # the action; the candidate at place i is action i + 1
NOBODY, NOTHING = -1, -2  # in the place of a request: a pair to hold, no decision
WAYS = 3  # routes by which a request is offered to be served


class Sight(NamedTuple):
    """What the players know beforehand."""

    demands: Demands
    tuning: Tuning
    plan: Plan  # likely routes of each request
    belief: Belief


class Desk(NamedTuple):
    """Decisions at hand in R runs, with C candidates each at most, and room for finding them."""

    seen: np.ndarray  # (R, C + 1, F) float32
    mask: np.ndarray  # (R, C + 1) bool, what is possible
    route: np.ndarray  # (R, C, N + 1) int64, channels of each candidate
    length: np.ndarray  # (R, C) int64
    request: np.ndarray  # (R,) int64: at hand; NOBODY for a pair to hold, NOTHING where there is no decision
    settled: np.ndarray  # (Q,) int64, the last slot in which the request was told to wait
    rested: np.ndarray  # (R,) int64, the last slot in which no more pairs were to be held
    prices: np.ndarray  # (L, A) float64, see `horizon`
    quality: np.ndarray  # (C,) float64, what a channel offers in this slot
    paid: np.ndarray  # (WAYS, C) float64, what it costs in each way to look for a route
    passing: np.ndarray  # (C, 2) bool
    prospect: np.ndarray  # (Q,) float64, the chance that a request that waits is served in time
    chance: np.ndarray  # (routes of the plan,) float64, the same by each of its likely routes
    touched: np.ndarray  # (L,) bool, room
    worth: np.ndarray  # (C,) float64, of the candidates to hold


def desk_of(w, sight: Sight, candidates: int, ages: int) -> Desk:
    """An empty desk."""
    runs, channels, requests = len(w.seeds), len(w.link), len(w.source)
    longest = int(np.diff(w.nodes).max(initial=1))
    whole = lambda *shape: np.full(shape, -1, dtype=np.int64)  # noqa: E731
    return Desk(
        np.zeros((runs, candidates + 1, len(FEATURES)), dtype=np.float32),
        np.zeros((runs, candidates + 1), dtype=np.bool_),
        whole(runs, candidates, longest + 1), whole(runs, candidates), np.full(runs, NOTHING), whole(requests),
        whole(runs), np.zeros((len(w.tail), ages)), np.zeros(channels), np.zeros((WAYS, channels)),
        np.ones((channels, 2), dtype=np.bool_), np.zeros(requests), np.zeros(len(sight.plan.indptr) - 1),
        np.zeros(len(w.tail), dtype=np.bool_), np.zeros(candidates),
    )  # fmt: skip


@lean
def offered(w, s, run, link, work):
    """Note what a link has to offer now."""
    channel = youngest(w, s, link)
    work.youngest[link] = channel
    work.offer[link] = pair_quality(w, s, channel, s.slot[run]) if channel >= 0 else 0.0


@lean
def price_of(w, s, run, channel, desk):
    """The price of a channel's pair."""
    return desk.prices[w.link[channel], min(s.slot[run] - s.birth[channel], desk.prices.shape[1] - 1)]
