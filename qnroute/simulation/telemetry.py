"""What a network operator sees of a simulation: telemetry per link and window, as noisy as real measurements are.

Attempts, pairs made and pairs used are counted. Fidelities are estimated by parity checks, each of which gives one of
two outcomes. A slot stands for as long as a pair that is kept may take; the pairs checked are made besides, as part of
the calibration of the link, in proportion to those kept: checking costs nothing here, and a link that is not used is
not known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnroute.learning.links.telemetry import Telemetry
from qnroute.simulation.parameters import CHECKS, generator
from qnroute.simulation.policy import Policy, play
from qnroute.simulation.scenario import Case, Scenario
from qnroute.simulation.simulator import Simulator
from qnroute.simulation.world import Run


class Monitor:
    """Windows of one run of a simulator, from its first slot on.

    Parameters
    ----------
    checks
        Parity checks for each pair made, in the mean.
    """

    def __init__(self, *, checks: float = 10.0, run: int = 0):
        self._checks, self._run = checks, run
        self._start, self._seen = 0, np.zeros((1, 3), dtype=np.int64)
        self._rows: list[tuple[np.ndarray, ...]] = []

    def close(self, simulator: Simulator, excused: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
        """End the present window after the slots begun so far: its row, as `features.History.take` has it.

        `excused`, (2, m): attempts and pairs made that are not to count, of links taken for down.
        """
        links = simulator.world.links
        now = simulator.state.per_link[links[self._run] : links[self._run + 1]]
        attempts, made, used = (now - self._seen).T.astype(np.float64)
        if excused is not None:
            attempts, made = attempts - excused[0], made - excused[1]
        run, stop = simulator.runs[self._run], simulator.begun
        slots = max(stop - self._start, 1)
        rng = generator([run.seed % 2**53, len(self._rows)], CHECKS)
        samples = rng.poisson(self._checks * made)
        true = np.clip(mean_fidelity(run, self._start, stop), 0.0, 1.0)
        even = rng.binomial(samples, (2.0 * true + 1.0) / 3.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            fidelity = (3.0 * even / samples - 1.0) / 2.0
        network = run.network
        row = (attempts, made, fidelity, samples.astype(float), used / slots, network.p, network.fidelity)
        self._rows.append(row)
        self._seen, self._start = now.copy(), stop
        return row

    def telemetry(self, simulator: Simulator) -> Telemetry:
        """All windows closed so far."""
        network = simulator.runs[self._run].network
        names = network.node_ids
        ends = tuple((names[u], names[v]) for u, v in zip(network.source.tolist(), network.target.tolist()))
        columns = [np.array(values) for values in zip(*self._rows)] or [np.zeros((0, network.n_links))] * 7
        return Telemetry(network.name, ends, *columns, length_km=network.length_km, loss_db=network.loss_db)


def mean_fidelity(run: Run, start: int, stop: int) -> np.ndarray:
    """(m,) the true fidelity of fresh pairs, in the mean over slots start to stop - 1."""
    return _mean(run.series.fidelity, run, start, stop) if run.series.fidelity is not None else run.network.fidelity


def mean_p(run: Run, start: int, stop: int) -> np.ndarray:
    """(m,) the true chance of success, in the mean over slots start to stop - 1."""
    return _mean(run.series.p, run, start, stop)


def _mean(values: np.ndarray, run: Run, start: int, stop: int) -> np.ndarray:
    epochs = np.arange(start, max(stop, start + 1)) // run.series.slots_per_epoch
    return values[np.minimum(epochs, len(values) - 1)].mean(axis=0)


def observed(
    policy: Policy, cases: Sequence[Case], scenario: Scenario, *, window: int = 50, checks: float = 10.0
) -> list[Telemetry]:
    """Play cases through under a policy; the telemetry of each, of whole windows."""
    monitors = [Monitor(checks=checks, run=run) for run in range(len(cases))]

    def watch(simulator: Simulator) -> None:
        if simulator.slot % window == 0:
            for monitor in monitors:
                monitor.close(simulator)

    simulator = play(policy, cases, scenario, window=window, watch=watch)
    return [monitor.telemetry(simulator) for monitor in monitors]
