"""Hardware presets: the p, fidelity and rate that a platform makes of a fibre of given length.

The figures stand in ``catalog/hardware.json``, each with its source; here is only what is computed from them.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, ParamSpec, TypeVar

import numpy as np
import pydantic
from numpy.typing import ArrayLike

from qnroute import fields
from qnroute.fidelity import fidelity_of, werner
from qnroute.fields import Positive, checked, chosen
from qnroute.network import Network

# Fibre length over great-circle distance, for networks whose lengths were measured on the map: median and
# quartiles over the 50 links longer than 5 km of the SURFnet core, whose fibre lengths are published.
ROUTE_FACTOR = 1.59
ROUTE_FACTOR_QUARTILES = (1.42, 1.83)

STANDARD_PRESET = "repeater"  # Rabbie et al., npj Quantum Inf. 8, 5 (2022): made for fibre networks as they exist
SEPARABLE = 0.5  # a Werner state of this fidelity or less is not entangled
WORTHLESS = 0.25  # fidelity of a fully mixed pair; the contract wants links above it
NAMED = 20  # links spelled out in one note

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Figure(NamedTuple):
    """One figure with the paper it comes from; its unit is in its name."""

    value: float
    citation: str
    ref: str


class LinkFigures(NamedTuple):
    """What one channel of a link gives; numbers, or arrays in the shape of the lengths asked for."""

    p: np.ndarray | float  # probability of a pair in one slot
    fidelity: np.ndarray | float  # of a fresh pair, when its herald arrives
    rate_hz: np.ndarray | float  # pairs per second of a channel that never rests
    loss_db: np.ndarray | float  # of the whole fibre


def _lengths(length_km: Any) -> np.ndarray:
    try:
        length = np.asarray(length_km, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"found {fields.brief(length_km)}, expected numbers") from None
    wrong = length[~(np.isfinite(length) & (length >= 0))]
    if wrong.size:
        raise ValueError(f"found {wrong[0]!s}, expected a finite number at least 0")
    return length


Lengths = Annotated[ArrayLike, pydantic.PlainValidator(_lengths)]  # arrives as an array of float64


@dataclass(frozen=True)
class Preset:
    """A hardware platform: figures with their sources, and the model that makes links of them.

    Attributes
    ----------
    id, platform, title
        Short name, kind of hardware, one line for people.
    protocol
        Which of the link models of this module applies.
    swap
        Success probability of one swap: 1 for processing nodes, 1/2 for linear optics.
    slot_s, slot_reason
        Default length of a slot in seconds, and why.
    figures
        Name (with unit) to `Figure`.
    model
        What is assumed rather than measured.
    """

    id: str
    platform: str
    title: str
    protocol: str
    swap: float
    slot_s: float
    slot_reason: str
    figures: Mapping[str, Figure]
    model: str

    @property
    def memory(self) -> int | None:
        """Qubits of one node, where its paper says so; a suggestion for `Node.memory`."""
        return int(self.figures["qubits"].value) if "qubits" in self.figures else None

    @property
    def citations(self) -> tuple[str, ...]:
        """The papers behind the figures, in order, each once."""
        return tuple(dict.fromkeys(f"{figure.citation} [{figure.ref}]" for figure in self.figures.values()))

    @checked
    def link(self, length_km: Lengths, *, slot_s: Positive | None = None) -> LinkFigures:
        """What one channel over `length_km` of fibre gives.

        Parameters
        ----------
        length_km
            Fibre length in km between the two ends, any shape.
        slot_s
            Length of a slot in seconds; the preset's `slot_s` if not given.

        Returns
        -------
        LinkFigures
            ``p = 1 - (1 - p_attempt) ** (slot / attempt time)``. Attempts need not be whole: one that is under way
            when a slot ends goes on in the next. Measured rates count as a Poisson stream.

        Raises
        ------
        ProblemError
            A length is negative or not finite, or the slot is not a positive number.
        """
        slot, length = slot_s or self.slot_s, length_km
        values = {name: figure.value for name, figure in self.figures.items()}
        # meant to happen: long fibres underflow to p = 0, fibres of length 0 repeat without pause, slots may be ages
        with np.errstate(divide="ignore", over="ignore", under="ignore"):
            stream = _PROTOCOLS[self.protocol](values, length)
            p = -np.expm1(slot * stream.log_miss_hz)
        shaped = (np.broadcast_to(column, length.shape) + 0.0 for column in (p, stream.fidelity, stream.rate_hz))
        return LinkFigures(*(column[()] for column in (*shaped, _loss_db(values, length))))

    @checked
    def apply(self, network: Network, *, slot_s: Positive | None = None, route_factor: Positive = 1.0) -> Network:
        """`network` built with this hardware: p, fidelity and loss of every link of known length, swap of every node.

        Parameters
        ----------
        slot_s
            Length of a slot in seconds; the preset's `slot_s` if not given.
        route_factor
            Fibre per km of link length; `ROUTE_FACTOR` for lengths measured on the map. The lengths stay as they are.

        Returns
        -------
        Network
            Links out of reach (p underflows to 0, or fidelity not above 0.25) are dropped, links of unknown length
            keep what they have; the notes name both and say where p and fidelity come from.
        """
        slot = slot_s or self.slot_s
        known = ~np.isnan(network.length_km)
        made = self.link(network.length_km[known] * route_factor, slot_s=slot)
        columns = {name: getattr(network, name).copy() for name in ("p", "fidelity", "loss_db")}
        for name, values in columns.items():
            values[known] = getattr(made, name)
        kept = ~known | ((columns["p"] > 0) & (columns["fidelity"] > WORTHLESS))
        remarks = {
            f"dropped, out of reach of {self.id}": ~kept,
            "too long to stay entangled, fidelity 0.5 or less": kept & known & (columns["fidelity"] <= SEPARABLE),
            "length unknown, p and fidelity left as they were": ~known,
        }
        columns |= {name: getattr(network, name) for name in ("channels", "length_km", "score")}
        return Network.from_columns(
            network.node_ids,
            network.source[kept],
            network.target[kept],
            name=network.name,
            notes=self._notes(network, remarks, slot, route_factor),
            swap=self.swap,
            **{name: getattr(network, name) for name in ("memory", "degree", "lat", "lon", "x", "y")},
            **{name: values[kept] for name, values in columns.items()},
        )

    def _notes(self, network: Network, remarks: Mapping[str, np.ndarray], slot: float, factor: float) -> list[str]:
        origin = "p and fidelity from hardware preset"
        notes = [note for note in network.notes if not note.startswith(origin)]  # those of an earlier preset are stale
        stretched = f", {factor:g} km of fibre per km of link" if factor != 1 else ""
        notes.append(f"{origin} {self.id} ({self.title}), slot {slot:g} s{stretched}")
        places = {remark: network.link_names(np.flatnonzero(links)) for remark, links in remarks.items()}
        return notes + [f"{remark}: {links}" for remark, links in places.items() if links]

    def to_dict(self) -> dict[str, Any]:
        """Everything about the preset, as plain JSON values."""
        plain = {name: getattr(self, name) for name in ("id", "platform", "title", "protocol", "model")}
        plain |= {name: getattr(self, name) for name in ("swap", "memory", "slot_s", "slot_reason")}
        return {**plain, "figures": {name: figure._asdict() for name, figure in self.figures.items()}}


def presets() -> dict[str, Preset]:
    """Every preset of the catalog, by id."""
    return dict(_catalog())


def preset(name: str | Preset) -> Preset:
    """The preset called `name` (a preset is returned as it is).

    Raises
    ------
    ProblemError
        No such preset; the message lists those there are.
    """
    if isinstance(name, Preset):
        return name
    return chosen("hardware", name, _catalog())


AnyPreset = Annotated[Preset | str, pydantic.PlainValidator(preset)]  # an argument that is a preset or its name


@functools.cache
def _catalog() -> Mapping[str, Preset]:
    text = importlib.resources.files("qnroute.catalog").joinpath("hardware.json").read_text(encoding="utf-8")
    table = json.loads(text)
    return MappingProxyType({row["id"]: _read(row, table["sources"]) for row in table["presets"]})


def _read(row: Mapping[str, Any], sources: Mapping[str, Mapping[str, str]]) -> Preset:
    figures = {name: Figure(float(cell["value"]), **sources[cell["source"]]) for name, cell in row["figures"].items()}
    slot = row["slot"]  # the name of a figure, or a choice in seconds
    return Preset(
        **{name: row[name] for name in ("id", "platform", "title", "protocol", "slot_reason", "model")},
        swap=1.0 if row["swap"] == "deterministic" else figures[row["swap"]].value,
        slot_s=figures[slot].value if isinstance(slot, str) else slot,
        figures=MappingProxyType(figures),
    )


# --- link models: figures and fibre length in, a stream of pairs out ---


class _Stream(NamedTuple):
    rate_hz: np.ndarray
    log_miss_hz: np.ndarray  # logarithm of the probability that nothing comes, per second
    fidelity: np.ndarray | float


def _attempts(p: np.ndarray, attempt_s: np.ndarray, fidelity: np.ndarray | float) -> _Stream:
    return _Stream(p / attempt_s, np.log1p(-p) / attempt_s, fidelity)


def _two_click(f: Mapping[str, float], length_km: np.ndarray) -> _Stream:
    """Two photons meet half way and one click is heard in each of their two modes.

    The set-up (midpoint, detectors that do not count photons, visibility, dark counts) is the double-click link of
    arXiv:2207.10579; the sums over what may have clicked are written out here. With eta the probability that a node's
    photon is detected, d that of a dark count per detector and mode, V the visibility and w the Werner parameter of
    two node-photon pairs swapped, a herald comes from

    - two photons in different modes, eta^2 / 2: the pair wanted, its coherence times V;
    - two photons in one mode on one detector and a dark count, eta^2 / 2 * (1 + V) d: a classical mixture;
    - at most one photon and one or two dark counts, 4 eta (1 - eta) d + 4 (1 - eta)^2 d^2: a fully mixed pair;

    each times (1 - d)^2, since the other detectors are silent. Without dark counts p = eta^2 / 2 and F = (1 + V) / 2.
    Both qubits dephase with T2 while photon and herald travel.
    """
    travel_s = length_km / f["speed_of_light_km_s"]
    eta = f["p_photon_before_fibre"] * f.get("detector_efficiency", 1.0) * 10 ** (-_loss_db(f, length_km) / 20)
    visibility, dark = f.get("visibility", 1.0), f.get("dark_count_probability", 0.0)
    swapped = werner(f.get("photon_fidelity", 1.0)) ** 2
    wanted = eta**2 / 2
    bunched = wanted * (1 + visibility) * dark
    blind = 4 * eta * (1 - eta) * dark + 4 * ((1 - eta) * dark) ** 2
    heralds = wanted + bunched + blind
    mixed = ((wanted + bunched) * (1 - swapped) + blind) / 4  # common to the pair wanted and its phase-flipped twin
    ends = mixed + wanted * swapped * (1 + visibility) / 2, mixed + wanted * swapped * (1 - visibility) / 2
    weights = (np.divide(end, heralds, out=np.full_like(heralds, WORTHLESS), where=heralds > 0) for end in ends)
    fidelity = _dephased(*weights, travel_s, f["T2_s"])
    return _attempts((1 - dark) ** 2 * heralds, f["init_s"] + travel_s, fidelity)


def _multiplexed(f: Mapping[str, float], length_km: np.ndarray) -> _Stream:
    """Rounds of M modes, one herald enough: rate c / L * (1 - (1 - e^(-L / L_att) / 2)^M), as printed.

    Rabbie et al., npj Quantum Inf. 8, 5 (2022): R(L, N) for N = 0 repeaters.
    """
    log_miss = f["modes"] * np.log1p(-f["bsm_success"] * np.exp(-length_km / f["attenuation_length_km"]))
    rounds_hz = f["speed_of_light_km_s"] / length_km
    return _Stream(rounds_hz * -np.expm1(log_miss), rounds_hz * log_miss, f["fidelity"])


def _measured_attempt(f: Mapping[str, float], length_km: np.ndarray) -> _Stream:
    """A measured success per attempt, moved to another length by the fibre loss and the travelling time."""
    p = np.minimum(f["p_success"] * _gain(f, length_km), 1.0)
    travel_s = length_km / f["speed_of_light_km_s"]
    extra_s = np.maximum(length_km - f["fibre_km"], 0) / f["speed_of_light_km_s"]
    fidelity = _dephased(f["fidelity"], (1 - f["fidelity"]) / 3, extra_s, f["T2_s"])
    return _attempts(p, f["init_s"] + travel_s, fidelity)


def _measured_rate(f: Mapping[str, float], length_km: np.ndarray) -> _Stream:
    """A measured rate, moved to another length by the fibre loss; the fidelity stays."""
    rate_hz = f["rate_hz"] * _gain(f, length_km)
    return _Stream(rate_hz, -rate_hz, _pair_fidelity(f))


_PROTOCOLS: Mapping[str, Callable[[Mapping[str, float], np.ndarray], _Stream]] = {
    "two-click": _two_click,
    "multiplexed": _multiplexed,
    "measured-attempt": _measured_attempt,
    "measured-rate": _measured_rate,
}


def _gain(f: Mapping[str, float], length_km: np.ndarray) -> np.ndarray:
    """Transmission relative to the fibre measured; every photon of a pair crosses its share of the length."""
    return 10 ** (-f["loss_db_per_km"] * (length_km - f.get("fibre_km", 0.0)) / 10)


def _loss_db(f: Mapping[str, float], length_km: np.ndarray) -> np.ndarray:
    """Loss of the whole fibre; an attenuation length is where e^-1 of the light is left."""
    if "attenuation_length_km" in f:
        return length_km * (10 / math.log(10) / f["attenuation_length_km"])
    return length_km * f["loss_db_per_km"]


def _dephased(
    fidelity: np.ndarray | float, flipped: np.ndarray | float, wait_s: np.ndarray, coherence_s: float
) -> np.ndarray:
    """Fidelity of a pair of which weight `flipped` has the opposite phase, after both qubits wait and dephase."""
    coherence = np.exp(-2 * wait_s / coherence_s)
    return (fidelity * (1 + coherence) + flipped * (1 - coherence)) / 2


def _pair_fidelity(f: Mapping[str, float]) -> float:
    """Bell-state fidelity as measured, or from the figure reported instead."""
    if "pair_visibility" in f:  # the Werner parameter is the visibility
        return float(fidelity_of(f["pair_visibility"]))
    if "teleportation_fidelity" in f:  # average f = (2 F + 1) / 3: Horodecki, Phys. Rev. A 60, 1888 (1999)
        return (3 * f["teleportation_fidelity"] - 1) / 2
    return f["fidelity"]


# --- for the modules that build networks with a preset, too ---
