"""The clairvoyant: how many requests any policy could have served, given the same luck and the same requests.

A linear program over routes in time. A column is a request, a slot, and the pairs that a route would use in that slot
to serve it at once or, before the request has arrived, to hold a pair for it. It maximizes the worth of what is served:

    each pair is used at most once, each request is served at most once, at most K pairs are held in any slot.

What is relaxed, so that no policy can do better: columns may be used in part; a stored pair may be given up at any time
at no cost, so that a channel has the newest of its successes (in the slot, a channel that holds a pair does not try),
where fidelity drifts at the quality of the best one still alive (`hindsight` says why that is enough);
memories have no limit; held pairs that serve nobody are not counted. Luck of swaps is known and kept. Columns are made
as prices call for them; the bound is one at any prices, so that it holds also where the time ends early.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qnroute.errors import ProblemError, SolverError
from qnroute.settings import Settings
from qnroute.simulation.frontier import labels_of, offers_of
from qnroute.simulation.hindsight import Columns, Prices, priced, successes
from qnroute.simulation.physics import Physics
from qnroute.simulation.world import Run, world_of

_SLIGHT = 1e-7  # reduced costs below this count in the bound, and are worth no column
_ENOUGH = 1e-4  # share of the bound at which more columns are not worth their time


@dataclass(frozen=True)
class Clairvoyance:
    """An upper bound on what any policy reaches.

    Attributes
    ----------
    bound
        On the sum of worths of served requests; with worth 1, on their number.
    value
        Of the linear program over the columns known: `bound` is at least the program's optimum, and that at least this.
    requests, columns
        How many there were.
    """

    bound: float
    value: float
    requests: int
    columns: int


def clairvoyant(
    run: Run,
    physics: Physics | None = None,
    *,
    slots: int,
    held: int = 8,
    worth: np.ndarray | None = None,
    gap: float = _ENOUGH,
    settings: Settings | None = None,
) -> Clairvoyance:
    """Bound what any policy could have reached in a run of so many slots.

    Parameters
    ----------
    held
        K of the policies that are to be bounded; 0 for policies that never pre-position.
    worth
        (Q,) of each request, at least 0; 1 if not given, so that the bound is on the number of served requests.
    gap
        Stop where `bound` is this close to `value`, relatively.
    settings
        Time limit and interruption; the bound holds whenever it ends.

    Raises
    ------
    ProblemError
        `worth` does not fit.
    """
    settings = settings or Settings()
    world = world_of([run], physics or Physics(), held=held)
    count, born = successes(world, 0, slots)
    worth = np.ones(len(run.demand)) if worth is None else np.asarray(worth, dtype=np.float64)
    if worth.shape != (len(run.demand),) or not (np.isfinite(worth) & (worth >= 0.0)).all():
        raise ProblemError(f"worth: expected {len(run.demand)} finite numbers, at least 0, one for each request")
    scale = float(worth.max(initial=0.0)) or 1.0  # tolerances are for worths near 1
    worth = worth / scale
    room = offers_of(world), labels_of(world)
    program = _Program(world, len(born), worth, slots)
    bound, value = float(worth.sum()), 0.0
    while not settings.stopped:
        columns, gain = priced(world, 0, slots, count, born, worth, program.prices, _SLIGHT, *room)
        bound = min(bound, program.value + float(gain.sum()))
        value = max(value, program.value)
        if not len(columns.request) or bound - value <= gap * bound:
            break
        program.add(columns)
        program.solve(settings)
    return Clairvoyance(scale * bound, scale * value, len(run.demand), program.size)


class _Program:
    """The columns known, in one HiGHS object that stays warm; rows of pairs and slots come with their first column."""

    def __init__(self, world, pairs: int, worth: np.ndarray, slots: int):
        import highspy

        self._highs = highspy.Highs()
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)
        self._highs.changeObjectiveSense(highspy.ObjSense.kMaximize)
        self._worth, self._arrival, self._held, self._slots = worth, world.arrival, world.held, slots
        requests = len(worth)
        self._row = np.full(requests + pairs + slots, -1, dtype=np.int32)  # requests, pairs, slots
        self._starts = requests, requests + pairs
        self._capacity = np.concatenate([np.ones(requests + pairs), np.full(slots, float(world.held))])
        self.size, self.value = 0, 0.0
        self.prices = self._priced(np.zeros(len(self._row)))

    def add(self, columns: Columns) -> None:
        """Take columns in."""
        import highspy

        requests, pairs = self._starts
        until = np.minimum(self._arrival[columns.request], self._slots)
        waits = np.maximum(until - columns.slot, 0)
        uses = np.diff(columns.indptr)
        sizes = 1 + uses + waits
        owner = np.repeat(np.arange(len(sizes)), sizes)
        start = np.cumsum(sizes) - sizes
        index = np.empty(int(sizes.sum()), dtype=np.int64)
        place = np.arange(len(index)) - start[owner]
        index[place == 0] = columns.request
        used = (place > 0) & (place <= uses[owner])
        index[used] = requests + columns.pair
        held = place > uses[owner]
        index[held] = pairs + (columns.slot[owner] + place - uses[owner] - 1)[held]
        self._add_rows(np.unique(index[self._row[index] < 0]))
        count = len(sizes)
        self._highs.addCols(
            count, self._worth[columns.request], np.zeros(count), np.full(count, highspy.kHighsInf), len(index),
            start.astype(np.int32), self._row[index], np.ones(len(index)),
        )  # fmt: skip
        self.size += count

    def _add_rows(self, new: np.ndarray) -> None:
        import highspy

        first, count = self._highs.getNumRow(), len(new)
        none = np.zeros(0)
        self._highs.addRows(
            count, np.full(count, -highspy.kHighsInf), self._capacity[new], 0, np.zeros(count, np.int32),
            none.astype(np.int32), none,
        )  # fmt: skip
        self._row[new] = first + np.arange(count)

    def solve(self, settings: Settings) -> None:
        """To the optimum over the columns known; prices and value stay where time runs out before."""
        import highspy

        from qnroute.solvers.highs import run

        self._highs.setOptionValue("simplex_strategy", 4)  # primal: the basis stays feasible
        run(self._highs, settings)
        if self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            if settings.stopped:
                return
            raise SolverError(f"clairvoyant: HiGHS ended with {self._highs.getModelStatus()}")
        dual = np.array(self._highs.getSolution().row_dual)
        price, known = np.zeros(len(self._row)), self._row >= 0
        price[known] = np.maximum(dual[self._row[known]], 0.0)
        self.prices = self._priced(price)
        self.value = float(price @ self._capacity)

    def _priced(self, price: np.ndarray) -> Prices:
        requests, pairs = self._starts
        places = np.concatenate([[0.0], np.cumsum(price[pairs:])])
        return Prices(price[requests:pairs].copy(), price[:requests].copy(), places)
