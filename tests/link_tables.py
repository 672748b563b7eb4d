"""Made-up telemetry for tests: links whose p and fidelity wander, seen through counts and parity checks."""

from __future__ import annotations

import numpy as np

from qnroute.learning.links.telemetry import Telemetry


def wandering(windows=40, links=12, *, seed=0, attempts=30, tested=0.3, sd=0.8, correlation=20.0, name="made up"):
    """Telemetry of a ring of links, and the true (W, m) p and fidelity of each window."""
    rng = np.random.default_rng(seed)
    keep = np.exp(-1.0 / correlation)
    walk = np.zeros((2, windows, links))
    for t in range(1, windows):
        walk[:, t] = keep * walk[:, t - 1] + np.sqrt(1 - keep**2) * sd * rng.standard_normal((2, links))
    nominal_p, nominal_f = rng.uniform(0.2, 0.9, links), rng.uniform(0.85, 0.98, links)
    odds = nominal_p / (1 - nominal_p) * np.exp(walk[0])
    p = odds / (1 + odds)
    werner = np.exp(np.log((4 * nominal_f - 1) / 3) * np.exp(0.7 * walk[1]))
    f = (1 + 3 * werner) / 4
    tries = rng.integers(0, attempts + 1, (windows, links))
    made = rng.binomial(tries, p)
    samples = rng.binomial(made, tested)
    even = rng.binomial(samples, (2 * f + 1) / 3)
    with np.errstate(invalid="ignore", divide="ignore"):
        fidelity = (3 * even / samples - 1) / 2
    ends = tuple((f"n{e}", f"n{(e + 1) % links}") for e in range(links))
    still = lambda values: np.tile(values, (windows, 1))  # noqa: E731
    table = Telemetry(
        name, ends, tries, made, fidelity, samples, rng.uniform(0, 1, (windows, links)), still(nominal_p),
        still(nominal_f), rng.uniform(1, 50, links), rng.uniform(0.2, 10, links),
    )  # fmt: skip
    return table, p, f
