"""What a policy may know of links in a closed loop: as calibrated, learned from its own telemetry, or the truth.

The truth is what others are measured against; no honest policy has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from qnroute.learning.links.features import History
from qnroute.learning.links.model import LinkModel, NothingSeen
from qnroute.learning.links.telemetry import Telemetry
from qnroute.learning.links.watching import OutageFilter, PageHinkley, surprise
from qnroute.simulation.scenario import Case
from qnroute.simulation.simulator import Simulator
from qnroute.simulation.telemetry import Monitor

_LEAST, _MOST = 1e-4, 1.0 - 1e-9  # of p
_LEAST_FIDELITY = 0.2500001
_LEAST_ROWS = 50  # of a run's own telemetry, and two for each link: of fewer, recent rates know more than a model


class Outlook(NamedTuple):
    """What is expected of the m links of a run in the next window."""

    p: np.ndarray
    p_sd: np.ndarray
    fidelity: np.ndarray
    fidelity_sd: np.ndarray


class Knowledge(Protocol):
    """Knows the links of one run."""

    def start(self, simulator: Simulator, run: int) -> None:
        """Make ready for a run."""

    def seen(self, simulator: Simulator, tries: np.ndarray, made: np.ndarray) -> np.ndarray:
        """(m,) the chance of each link in the next slot, after what it did in this one."""

    def window_ends(self, simulator: Simulator) -> None:
        """Learn from the window that ends with this slot."""

    def outlook(self) -> Outlook:
        """What is expected until the next window ends."""


@dataclass
class Failures:
    """How failing links are known: ``watched`` by an outage filter, ``known`` as they are, or ``ignored``."""

    how: str = "watched"
    mtbf: float = 1000.0
    mttr: float = 50.0


class Calibrated:
    """p and F as calibrated once; paper A's plug-in p F, never updated."""

    def __init__(self, case: Case, failures: Failures):
        self._network, self._how = case.run.network, failures

    def start(self, simulator: Simulator, run: int) -> None:
        """See `Knowledge`."""
        self._up = _Up(self._how, self._network.n_links, run)

    def seen(self, simulator: Simulator, tries: np.ndarray, made: np.ndarray) -> np.ndarray:
        """See `Knowledge`."""
        return self._network.p * self._up.update(simulator, tries, made, self._network.p)

    def window_ends(self, simulator: Simulator) -> None:
        """Nothing is learned."""

    def outlook(self) -> Outlook:
        """See `Knowledge`."""
        sure = np.zeros(self._network.n_links)
        return Outlook(self._network.p * self._up.now, sure, self._network.fidelity, sure)


class Informed:
    """The truth: p and fidelities of every slot, outages with them."""

    def __init__(self, case: Case, failures: Failures):
        self._case = case

    def start(self, simulator: Simulator, run: int) -> None:
        """See `Knowledge`."""
        self._run, self._slot, self._place = simulator.runs[run], simulator.slot, run

    def seen(self, simulator: Simulator, tries: np.ndarray, made: np.ndarray) -> np.ndarray:
        """See `Knowledge`."""
        self._slot = simulator.slot
        if self._run.series.fidelity is not None:
            simulator.believe(self._fidelity(self._slot), self._place)
        return self._run.series.at(self._slot + 1)

    def window_ends(self, simulator: Simulator) -> None:
        """There is nothing to learn."""

    def outlook(self) -> Outlook:
        """See `Knowledge`."""
        sure = np.zeros(self._run.network.n_links)
        return Outlook(self._run.series.at(self._slot + 1), sure, self._fidelity(self._slot + 1), sure)

    def _fidelity(self, slot: int) -> np.ndarray:
        series = self._run.series
        if series.fidelity is None:
            return self._run.network.fidelity
        return series.fidelity[min(slot // series.slots_per_epoch, len(series.fidelity) - 1)]


@dataclass
class Note:
    """What a window brought: errors of the predictions, and what was done about them."""

    slot: int
    surprise: float
    alarm: bool
    retrained: bool
    down: int


class Learned:
    """Predicted from telemetry of the run itself, by a model trained before or on the way.

    Parameters
    ----------
    kind, options
        Of the `LinkModel`.
    model
        One trained before, on other networks; it is used until it is retrained. If it is of that kind, its options and
        seed are those of the models to come, unless options are given.
    base
        Telemetry of other networks, to which that of the run is added when it is retrained.
    retrain
        Windows after which the model is retrained, 0 for never.
    alarm
        Standard deviations of surprise, summed up over windows, at which it is retrained at once.
    """

    def __init__(
        self,
        case: Case,
        failures: Failures,
        *,
        kind: str,
        options: Mapping[str, Any] | None = None,
        model: LinkModel | None = None,
        base: Sequence[Telemetry] = (),
        retrain: int = 10,
        alarm: float = 10.0,
        checks: float = 10.0,
    ):
        self._network, self._how, self.model, self._base = case.run.network, failures, model, tuple(base)
        alike = options is None and model is not None and model.kind == kind
        self._recipe = (kind, model.options, model.seed) if alike else (kind, dict(options or {}))
        self._retrain, self._checks = retrain, checks
        self._drift = PageHinkley(allowed=1.0, threshold=alarm)
        self.notes: list[Note] = []

    def start(self, simulator: Simulator, run: int) -> None:
        """See `Knowledge`."""
        network, m = self._network, self._network.n_links
        self._run, self._up = run, _Up(self._how, m, run)
        self._monitor = Monitor(checks=self._checks, run=run)
        self._history = History(network.length_km, network.loss_db)
        self._neighbours = self._monitor.telemetry(simulator).neighbours()
        self._outlook = Outlook(network.p, np.full(m, np.nan), network.fidelity, np.zeros(m))
        self._excused, self._since = np.zeros((2, m)), 0

    def seen(self, simulator: Simulator, tries: np.ndarray, made: np.ndarray) -> np.ndarray:
        """See `Knowledge`."""
        up = self._up.update(simulator, tries, made, self._outlook.p)
        self._excused[:, up < 0.5] += np.stack([tries, made])[:, up < 0.5]
        return self._outlook.p * up

    def window_ends(self, simulator: Simulator) -> None:
        """Predict anew, and retrain where it is due."""
        row = self._monitor.close(simulator, excused=self._excused)
        self._excused[:] = 0.0
        self._history.take(*row)
        known = ~np.isnan(self._outlook.p_sd)  # not so in the first window: a calibration does not say how sure it is
        how_far = surprise(
            row[1], np.where(known, row[0], 0.0), self._outlook.p, np.where(known, self._outlook.p_sd, 0.0)
        )
        alarm, self._since = self._drift.update(how_far), self._since + 1
        due = self._retrain > 0 and (self._since >= self._retrain or (alarm and self._since > 1))
        trained = self._trained(simulator) if due else None
        if trained is not None:
            self.model, self._since = trained, 0
        down = int((self._up.now < 0.5).sum())
        self.notes.append(Note(simulator.slot + 1, how_far, alarm, trained is not None, down))
        self._outlook = self._predicted()

    def telemetry(self, simulator: Simulator) -> Telemetry:
        """What was seen in the windows that have ended."""
        return self._monitor.telemetry(simulator)

    def _trained(self, simulator: Simulator) -> LinkModel | None:
        """A model of what was seen so far; None where that is too little to learn from."""
        tables = [*self._base, self.telemetry(simulator)]
        own = tables[-1]
        if not self._base and np.count_nonzero(own.attempts[1:] > 0) < max(_LEAST_ROWS, 2 * own.n_links):
            return None
        try:
            return LinkModel(*self._recipe).fit(tables, targets=("p", "fidelity"))
        except NothingSeen:
            return None

    def _predicted(self) -> Outlook:
        X = self._history.features()
        if self.model is None:
            return _smoothed(X)
        found, said = self.model.forecast(X, self._neighbours), _smoothed(X)
        if found.p is not None:
            said = said._replace(p=np.clip(found.p.mean, _LEAST, _MOST), p_sd=found.p.sd)
        if found.fidelity is not None:
            fidelity = np.clip(found.fidelity.mean, _LEAST_FIDELITY, 1.0)
            said = said._replace(fidelity=fidelity, fidelity_sd=found.fidelity.sd)
        return said

    def outlook(self) -> Outlook:
        """See `Knowledge`."""
        return self._outlook._replace(p=self._outlook.p * self._up.now)


def _smoothed(X: np.ndarray) -> Outlook:
    """Before anything was trained: recent rates as the features have them."""
    from qnroute.learning.links.features import FEATURES, PARITY

    at = FEATURES.index
    p, tries = np.clip(X[:, at("rate_4")], _LEAST, _MOST), X[:, at("attempts_4")]
    fidelity, samples = np.clip(X[:, at("fidelity_16")], _LEAST_FIDELITY, 1.0), X[:, at("samples_16")]
    even = (2.0 * fidelity + 1.0) / 3.0
    return Outlook(
        p, np.sqrt(p * (1.0 - p) / (tries + 1.0)), fidelity, np.sqrt(PARITY * even * (1.0 - even) / (samples + 10.0))
    )


class _Up:
    """(m,) the chance that links are up."""

    def __init__(self, failures: Failures, links: int, run: int):
        self._how, self._run, self.now = failures.how, run, np.ones(links)
        self._filter = OutageFilter(links, mtbf=failures.mtbf, mttr=failures.mttr)

    def update(self, simulator: Simulator, tries: np.ndarray, made: np.ndarray, p: np.ndarray) -> np.ndarray:
        if self._how == "watched":
            self.now = self._filter.update(tries, made, p)
        elif self._how == "known":
            self.now = (simulator.runs[self._run].series.at(simulator.slot + 1) > 0.0).astype(float)
        return self.now
