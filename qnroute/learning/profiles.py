"""How often something happened in a slot of the day, counted on while it goes on."""

from __future__ import annotations

import numpy as np

from qnroute.learning.series import days


class Profile:
    """Sums per slot of day and pair, of what was learned and of what a run has seen since.

    Neighbouring slots count with weights that fall linearly to zero: with `neighbours` w, the slot j away weighs
    1 - |j|/(w + 1). All are divided by their sum, so that a profile is in events per day.

    Parameters
    ----------
    found
        (T, P) what happened.
    clock
        The slot of row 0.
    slots_per_day
        D.
    neighbours
        w, at most (D - 1)/2 of them; what lies farther is left out.
    """

    def __init__(self, found: np.ndarray, clock: int, slots_per_day: int, neighbours: int):
        self.slots_per_day = slots_per_day
        reach = min(neighbours, (slots_per_day - 1) // 2)
        kernel = 1 - np.abs(np.arange(-reach, reach + 1)) / (reach + 1)
        self.offsets = range(-reach, reach + 1)
        self.kernel = kernel / kernel.sum()
        self.total = np.zeros((slots_per_day, found.shape[1]))  # (D, P) events
        self.days = np.zeros(slots_per_day)  # (D,) how often each slot of day was seen
        of_day = days(clock, len(found), slots_per_day)
        np.add.at(self.total, of_day, found)
        np.add.at(self.days, of_day, 1.0)

    def smooth(self, values: np.ndarray) -> np.ndarray:
        """(D, ...) the weighted sum over neighbouring slots of day."""
        return sum(weight * np.roll(values, -offset, axis=0) for offset, weight in zip(self.offsets, self.kernel))

    def going_on(self, found: np.ndarray, clock: int) -> Running:
        """The same, counting on through the rows of a run."""
        return Running(self, found, clock)


class Running:
    """A profile as it is known in each slot of a run."""

    def __init__(self, profile: Profile, found: np.ndarray, clock: int):
        self.profile, self.rows, self.clock = profile, len(found), clock
        d = profile.slots_per_day
        n_days = -(-len(found) // d)
        grid = np.zeros((n_days * d, found.shape[1]))
        grid[: len(found)] = found
        grid = np.cumsum(grid.reshape(n_days, d, -1), axis=0).reshape(n_days * d, -1)
        # d rows of nothing in front: a slot of day that the run has not seen yet
        self.sums = np.concatenate([np.zeros((d, found.shape[1])), grid[: len(found)]])
        self.base = profile.smooth(profile.total)
        self.base_days = profile.smooth(profile.days)

    def at(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Events (T, P) and days (T, 1) of the slot `step` after each row, from what was seen up to that row."""
        d = self.profile.slots_per_day
        rows = np.arange(self.rows)
        of_day = (self.clock + rows + step) % d
        events, seen = self.base[of_day], self.base_days[of_day]
        for offset, weight in zip(self.profile.offsets, self.profile.kernel):
            # such a slot was last seen so many rows ago: the least whole number of days that leads to no future
            back = d * max(-(-(step + offset) // d), 0) - step - offset
            events += weight * self.sums[d - back : d - back + self.rows]
            seen += weight * np.maximum((rows - back) // d + 1, 0)
        return events, seen[:, None]
