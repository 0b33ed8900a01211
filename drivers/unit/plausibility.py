"""What a reading's past says against it: values that stand still or leap, and a controller that hangs. Pure.

A doubtful value is never evidence: where circulation rests on a flow that is frozen, nobody knows whether it
circulates. What cannot be, and what a unit may only be repeating, is taken away: a reason, and no number.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from drivers.decode.decoder import Decoder
from drivers.decode.values import Held
from drivers.profile.types import DeviceProfile
from drivers.reading import CapReading, Measurement, Quality, Reason, Stamp
from drivers.unit.frozen import FrozenWatch
from drivers.unit.slope import SlopeWatch

Change = Callable[[str, int | None, Measurement], Measurement]


class Measured(NamedTuple):
    """The values of a reading."""

    caps: tuple[CapReading, ...]
    measurements: dict[str, Measurement]

    def changed(self, change: Change) -> "Measured":
        """All values through `change`. A unit's temperature that a cap shares stays the unit's: its cap is None."""
        changed = {name: change(name, None, each) for name, each in self.measurements.items()}
        caps = tuple(
            msgspec.structs.replace(
                cap,
                temperatures={
                    name: changed[name] if name in changed else change(name, cap.cap, each)
                    for name, each in cap.temperatures.items()
                },
            )
            for cap in self.caps
        )
        return Measured(caps, changed)


class Plausibility:
    """What is known of one unit's values so far."""

    def __init__(self, profile: DeviceProfile, decoder: Decoder) -> None:
        self._frozen = FrozenWatch(profile, decoder)
        self._slope = SlopeWatch(profile, decoder)
        flow = profile.circulating.flow
        self._flow = flow.point if flow else None

    def weighed(self, measured: Measured, slots: tuple[Held, ...], at: Stamp) -> Measured:
        """The values as they may be used."""
        frozen = set(self._frozen.frozen(slots, measured.caps, at))
        if self._frozen.is_hung(slots, at):
            measured = measured.changed(lambda _name, _cap, each: _frozen(each))
            measured = measured._replace(caps=tuple(_unknown(cap) for cap in measured.caps))
        elif frozen:
            measured = measured.changed(lambda name, cap, each: _frozen(each) if (name, cap) in frozen else each)
            measured = measured._replace(
                caps=tuple(
                    _unknown(cap) if frozen & {(self._flow, cap.cap), (self._flow, None)} else cap
                    for cap in measured.caps
                )
            )
        leaps = self._slope.impossible(measured.measurements, measured.caps, at)
        if leaps:
            measured = measured.changed(lambda name, cap, each: _impossible(each) if (name, cap) in leaps else each)
        return measured


def _frozen(measurement: Measurement) -> Measurement:
    if measurement.value is None:
        return measurement
    return Measurement(None, measurement.unit, Quality.BAD, Reason.FROZEN)


def _impossible(measurement: Measurement) -> Measurement:
    return Measurement(None, measurement.unit, Quality.BAD, Reason.IMPOSSIBLE_SLOPE)


def _unknown(cap: CapReading) -> CapReading:
    return msgspec.structs.replace(cap, circulating=None)
