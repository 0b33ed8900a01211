"""Values judged by those before them: what stands still, what leaps, and a controller that hangs. Pure.

A value may stand still for the profile's `stuck_after_s` while coolant circulates (a screen once went on showing
temperatures while nothing cooled) and change by its `max_k_per_min` (a loose probe, a converter that started anew). One
that does not is no measurement: it gives a reason and no number. It is no evidence either: where circulation rests on a
flow that is frozen, it is unknown.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from drivers.decode.decoder import Decoder
from drivers.decode.values import Held
from drivers.profile.types import DeviceProfile
from drivers.reading import CapReading, Measurement, Quality, Reason, Stamp

BELIEVED_AFTER = 5  # readings in a row that agree with each other: then it is the old value that is out of date

_US_PER_S = 1_000_000
_US_PER_MIN = 60 * _US_PER_S
_LEAST_US = 1_000_000  # polls may follow each other closely, and a sensor has noise

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


class Stillness:
    """How long one value has not changed, by the boot clock."""

    def __init__(self, still_s: int) -> None:
        self._still_us = still_s * _US_PER_S
        self._held: Held | None = None
        self._since_us = 0

    def stands_still(self, held: Held, now: Stamp) -> bool:
        """Records the value read at `now`: whether it has been the same for longer than `still_s`."""
        if self._held is None or held != self._held:
            self._held, self._since_us = held, now.boot_us
        return now.boot_us - self._since_us > self._still_us

    def restart(self) -> None:
        """Begin anew with the next value."""
        self._held = None


class FrozenWatch:
    """Finds values that a profile expects to move while coolant circulates and do not, and a heartbeat that stopped."""

    def __init__(self, profile: DeviceProfile, decoder: Decoder) -> None:
        self._points = [
            (index, slot.point.name, slot.cap, Stillness(slot.point.stuck_after_s))
            for index, slot in enumerate(decoder.slots)
            if slot.point.stuck_after_s is not None
        ]
        heartbeat = profile.heartbeat
        self._heartbeat = Stillness(heartbeat.still_s) if heartbeat else None
        names = [slot.point.name for slot in decoder.slots]
        self._heartbeat_index = names.index(heartbeat.point) if heartbeat else 0

    def is_hung(self, slots: tuple[Held, ...], now: Stamp) -> bool:
        """Whether the controller's own counter stands still: then nothing that it says proves anything."""
        return self._heartbeat is not None and self._heartbeat.stands_still(slots[self._heartbeat_index], now)

    def frozen(
        self, slots: tuple[Held, ...], caps: tuple[CapReading, ...], now: Stamp
    ) -> Iterator[tuple[str, int | None]]:
        """The points, by name and cap, that have not moved for too long while their coolant circulated."""
        for index, name, cap, stillness in self._points:
            if not any(each.circulating for each in caps if cap in (None, each.cap)):
                stillness.restart()
            elif stillness.stands_still(slots[index], now):
                yield name, cap


class Slope:
    """How fast one value changes, by the boot clock."""

    def __init__(self, max_k_per_min: float) -> None:
        self._k_per_us = max_k_per_min / _US_PER_MIN
        self._last: float | None = None
        self._at_us = 0
        self._stray = 0.0
        self._stray_at_us = 0
        self._strays = 0

    def is_impossible(self, value: float, at_us: int) -> bool:
        """Records the value read at `at_us`: whether it cannot follow the one before."""
        if self._last is not None and abs(value - self._last) > self._reach(self._at_us, at_us):
            agrees = self._strays and abs(value - self._stray) <= self._reach(self._stray_at_us, at_us)
            self._strays = self._strays + 1 if agrees else 1
            self._stray, self._stray_at_us = value, at_us
            if self._strays < BELIEVED_AFTER:
                return True
        self._last, self._at_us, self._strays = value, at_us, 0
        return False

    def _reach(self, from_us: int, to_us: int) -> float:
        return self._k_per_us * max(to_us - from_us, _LEAST_US)


class SlopeWatch:
    """The points whose profile says how fast they can change."""

    def __init__(self, profile: DeviceProfile, decoder: Decoder) -> None:
        self._points = [
            (slot.point.name, slot.cap, Slope(slot.point.max_k_per_min))
            for slot in decoder.slots
            if slot.point.max_k_per_min is not None
        ]

    def impossible(
        self, measurements: Mapping[str, Measurement], caps: Sequence[CapReading], at: Stamp
    ) -> list[tuple[str, int | None]]:
        """The points, by name and cap, whose new value cannot be. Points without a value are left out."""
        found: list[tuple[str, int | None]] = []
        for name, cap, slope in self._points:
            measurement = measurements[name] if cap is None else caps[cap - 1].temperatures.get(name)
            if measurement is None or measurement.value is None:
                continue
            if slope.is_impossible(measurement.value, at.boot_us):
                found.append((name, cap))
        return found


class Plausibility:
    """Judges every reading of one unit by those before it."""

    def __init__(self, profile: DeviceProfile, decoder: Decoder) -> None:
        self._frozen = FrozenWatch(profile, decoder)
        self._slope = SlopeWatch(profile, decoder)
        flow = profile.circulating.flow
        self._flow = flow.point if flow else None

    def judge(self, measured: Measured, slots: tuple[Held, ...], at: Stamp) -> Measured:
        """The values just read, those that are implausible without a number."""
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
