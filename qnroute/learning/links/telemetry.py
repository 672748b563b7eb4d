"""Telemetry: what was seen of each link in each window of time, cleaned, with what is missing kept as missing.

One table is one network: W windows of equal length by m links. Whatever cannot be true (more successes than attempts, a
fidelity above 1) is taken as missing, and a note says how often.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from qnroute.columns import read_only
from qnroute.errors import ProblemError

SEEN = ("attempts", "successes", "fidelity", "samples", "load", "nominal_p", "nominal_fidelity")
KNOWN = ("length_km", "loss_db")
LEAST_ESTIMATE = -0.5  # of a fidelity from parity checks, where all of few samples are odd
_LARGEST = 1e12


@dataclass(frozen=True, eq=False)
class Telemetry:
    """W windows of the m links of one network. NaN is missing.

    Attributes
    ----------
    name : of the network
    ends : (m,) pairs of node ids
    attempts, successes : (W, m) tries to make a pair, and pairs made
    fidelity : (W, m) mean of the fidelity samples of fresh pairs; single estimates may lie below 0
    samples : (W, m) how many there were, or what they are worth; missing beside a fidelity: it is exact
    load : (W, m) pairs used per slot, or whatever else tells how much a link was asked for
    nominal_p, nominal_fidelity : (W, m) as last calibrated
    length_km, loss_db : (m,)
    first : number of the first window
    notes : what was cleaned, a line each
    """

    name: str
    ends: tuple[tuple[str, str], ...]
    attempts: np.ndarray
    successes: np.ndarray
    fidelity: np.ndarray
    samples: np.ndarray
    load: np.ndarray
    nominal_p: np.ndarray
    nominal_fidelity: np.ndarray
    length_km: np.ndarray
    loss_db: np.ndarray
    first: int = 0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = np.shape(self.attempts)
        if len(shape) != 2 or shape[1] != len(self.ends):
            raise ProblemError(f"attempts: found shape {shape}, expected windows by {len(self.ends)} links")
        faults = []
        for names, expected in ((SEEN, shape), (KNOWN, shape[1:])):
            for name in names:
                values = np.array(getattr(self, name), dtype=np.float64)
                if values.shape != expected:
                    faults.append(f"{name}: found shape {values.shape}, expected {expected}")
                object.__setattr__(self, name, values)
        if faults:
            raise ProblemError(faults, source=f"telemetry {self.name}" if self.name else "telemetry")
        notes = tuple(self._clean())
        object.__setattr__(self, "notes", (*self.notes, *notes))
        for name in (*SEEN, *KNOWN):
            read_only(getattr(self, name))

    def _clean(self) -> Iterable[str]:
        """Take as missing what cannot be; says what."""
        attempts, successes = self.attempts, self.successes
        whole = np.floor
        fit = np.isnan(attempts) | ((attempts >= 0) & (attempts <= _LARGEST) & (whole(attempts) == attempts))
        yield from _missing("attempts", "not a whole number from 0", [attempts, successes], ~fit)
        fit = np.isnan(successes) | ((successes >= 0) & (whole(successes) == successes))
        yield from _missing("successes", "not a whole number from 0", [attempts, successes], ~fit)
        yield from _missing("successes", "above attempts", [attempts, successes], successes > attempts)
        alone = np.isnan(attempts) ^ np.isnan(successes)
        yield from _missing("attempts and successes", "one without the other", [attempts, successes], alone)
        fidelity, samples = self.fidelity, self.samples
        bad = (samples < 0.0) | (samples > _LARGEST)
        yield from _missing("samples", f"outside [0, {_LARGEST:g}]", [samples, fidelity], bad)
        for name, values, low, high in (
            ("fidelity", fidelity, LEAST_ESTIMATE, 1.0),
            ("load", self.load, 0.0, _LARGEST),
            ("nominal_p", self.nominal_p, 0.0, 1.0),
            ("nominal_fidelity", self.nominal_fidelity, 0.0, 1.0),
            ("length_km", self.length_km, 0.0, _LARGEST),
            ("loss_db", self.loss_db, 0.0, _LARGEST),
        ):
            yield from _missing(name, f"outside [{low:g}, {high:g}]", [values], (values < low) | (values > high))
        yield from _missing("fidelity", "of 0 samples", [fidelity], (samples == 0) & ~np.isnan(fidelity))
        samples[np.isnan(fidelity)] = 0.0
        for values in (self.nominal_p, self.nominal_fidelity):
            _carry(values)

    @property
    def n_windows(self) -> int:
        """Number of windows."""
        return len(self.attempts)

    @property
    def n_links(self) -> int:
        """Number of links."""
        return len(self.ends)

    def between(self, start: int, stop: int) -> Telemetry:
        """The windows start to stop - 1, counted from 0; notes are not repeated."""
        parts = {name: getattr(self, name)[start:stop] for name in SEEN}
        return replace(self, **parts, first=self.first + start, notes=())

    def missing(self) -> dict[str, float]:
        """The share of each column that is missing; of the fidelity, of windows without a sample."""
        columns = {name: getattr(self, name) for name in (*SEEN, *KNOWN) if name != "samples"}
        return {name: float(np.isnan(values).mean()) if values.size else 0.0 for name, values in columns.items()}

    def neighbours(self) -> sparse.csr_array:
        """(m, m) which links share a node; no link is its own neighbour."""
        return neighbours_of(self.ends)

    def fingerprint(self) -> str:
        """SHA-256 of all values."""
        digest = hashlib.sha256(repr((self.ends, self.first)).encode())
        for name in (*SEEN, *KNOWN):
            values = getattr(self, name)
            digest.update(f"{name}{values.shape}".encode() + np.where(np.isnan(values), np.nan, values).tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        return f"<Telemetry {self.name!r}: {self.n_windows} windows of {self.n_links} links>"


def neighbours_of(ends: Iterable[tuple[str, str]]) -> sparse.csr_array:
    """(m, m) pattern of links that share a node, of links given by their end nodes."""
    ends = list(ends)
    index: dict[str, int] = {}
    nodes = np.array([[index.setdefault(node, len(index)) for node in pair] for pair in ends]).reshape(-1, 2)
    links = np.repeat(np.arange(len(ends)), 2)
    incidence = sparse.csr_array((np.ones(len(links)), (links, nodes.ravel())), shape=(len(ends), len(index)))
    shared = sparse.csr_array(incidence @ incidence.T)
    shared.setdiag(0.0)
    shared.eliminate_zeros()
    shared.sort_indices()
    shared.data[:] = 1.0
    return shared


def _missing(name: str, why: str, columns: list[np.ndarray], bad: np.ndarray) -> Iterable[str]:
    if bad.any():
        for values in columns:
            values[bad] = np.nan
        yield f"{name}: {int(bad.sum())} {why}, taken as missing"


def _carry(values: np.ndarray) -> None:
    """Calibrations hold until the next one; before the first one nothing is known."""
    for row in range(1, len(values)):
        gap = np.isnan(values[row])
        values[row, gap] = values[row - 1, gap]
