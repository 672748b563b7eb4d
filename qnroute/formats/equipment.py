"""What a network is to be built with: hardware, repeater stations, the length of a slot."""

from __future__ import annotations

from qnroute import hardware as presets
from qnroute.errors import ProblemError
from qnroute.fields import Positive, record
from qnroute.hardware import AnyPreset, Preset
from qnroute.network import Network
from qnroute.repeaters import insert_repeaters


@record
class Equipment:
    """Options of whoever loads a network.

    Attributes
    ----------
    hardware
        Makes p, fidelity and loss of every link and the swap of every node; None: only where a file says nothing.
    repeater_km
        Links longer than this get repeater stations.
    slot_s
        Length of a slot in seconds; None: what the preset says.
    """

    hardware: AnyPreset | None = None
    repeater_km: Positive | None = None
    slot_s: Positive | None = None

    @classmethod
    def of(cls, hardware: Preset | str | None, repeater_km: float | None, slot_s: float | None) -> Equipment:
        """The equipment that the options mean; faults name the option."""
        preset = None if hardware is None else presets.preset(hardware)
        try:
            return cls(preset, repeater_km, slot_s)
        except ProblemError as error:
            raise ProblemError([fault.removeprefix(f"{cls.__name__}.") for fault in error.faults]) from None

    @property
    def preset(self) -> Preset:
        """The preset that makes whatever has to be made."""
        return presets.preset(presets.STANDARD_PRESET) if self.hardware is None else self.hardware

    def equip(self, network: Network) -> Network:
        """A network that says everything itself, with stations and other hardware where they are wished."""
        self.require_slot_used()
        network = self.add_stations(network)
        return network if self.hardware is None else self.hardware.apply(network, slot_s=self.slot_s)

    def require_slot_used(self) -> None:
        """Refuse a slot for a network that says p of every link itself, unless something is built there."""
        if self.slot_s is not None and self.hardware is None and self.repeater_km is None:
            found = f"found {self.slot_s:g}, but the network gives p of every link itself"
            raise ProblemError(f"slot_s: {found}; give hardware or repeater stations, too, or leave it out")

    def add_stations(self, network: Network) -> Network:
        """`network` with repeater stations, if they are wished."""
        if self.repeater_km is None:
            return network
        return insert_repeaters(network, self.repeater_km, self.preset, slot_s=self.slot_s)
