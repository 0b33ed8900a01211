"""Plausibility of values compared with earlier ones: frozen, leaping, or from a hung controller. Pure.

While coolant circulates, a value may stay unchanged for at most the profile's `stuck_after_s` (a display once went on
showing temperatures while nothing cooled), and may change by at most `max_k_per_min` (loose sensor, restarted
converter). An implausible value is replaced by a reason. If a frozen flow is the evidence for circulation, circulation
is unknown.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from drivers.decode.decoder import Decoder
from drivers.decode.values import SlotValue
from drivers.profile.types import DeviceProfile
from drivers.reading import CapReading, Measurement, Quality, Reason, Stamp

BELIEVED_AFTER = 5  # rejected readings in a row that agree with each other are accepted: the old value is outdated

_US_PER_S = 1_000_000
_US_PER_MIN = 60 * _US_PER_S
_LEAST_US = 1_000_000  # shortest time base of a slope, since sensors are noisy

Change = Callable[[str, int | None, Measurement], Measurement]


class Measured(NamedTuple):
    """The measurements and caps of a reading."""

    caps: tuple[CapReading, ...]
    measurements: dict[str, Measurement]

    def changed(self, change: Change) -> "Measured":
        """A copy with `change` applied to all values; for a unit's temperature shared by a cap, `cap` is None."""
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
    """How long one value has been unchanged, by the boot clock."""

    def __init__(self, still_s: int) -> None:
        self._still_us = still_s * _US_PER_S
        self._held: SlotValue | None = None
        self._since_us = 0

    def is_unchanged(self, held: SlotValue, now: Stamp) -> bool:
        """Record the value read at `now`; True if it has been unchanged for longer than `still_s`."""
        if self._held is None or held != self._held:
            self._held, self._since_us = held, now.boot_us
        return now.boot_us - self._since_us > self._still_us

    def restart(self) -> None:
        """Restart the time at the next value."""
        self._held = None


class FrozenWatch:
    """Detects values that are frozen while coolant circulates, and a stopped heartbeat."""

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

    def is_hung(self, slots: tuple[SlotValue, ...], now: Stamp) -> bool:
        """Whether the heartbeat counter has stopped, so that none of the unit's values is evidence."""
        return self._heartbeat is not None and self._heartbeat.is_unchanged(slots[self._heartbeat_index], now)

    def frozen(
        self, slots: tuple[SlotValue, ...], caps: tuple[CapReading, ...], now: Stamp
    ) -> Iterator[tuple[str, int | None]]:
        """The points, as (name, cap), that are frozen although their coolant circulates."""
        for index, name, cap, stillness in self._points:
            if not any(each.circulating for each in caps if cap in (None, each.cap)):
                stillness.restart()
            elif stillness.is_unchanged(slots[index], now):
                yield name, cap


class Slope:
    """The rate of change of one value, by the boot clock."""

    def __init__(self, max_k_per_min: float) -> None:
        self._k_per_us = max_k_per_min / _US_PER_MIN
        self._last: float | None = None
        self._at_us = 0
        self._stray = 0.0
        self._stray_at_us = 0
        self._strays = 0

    def is_impossible(self, value: float, at_us: int) -> bool:
        """Record the value read at `at_us`; True if it changed faster than allowed."""
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
    """Detects leaps of the points that have a `max_k_per_min`."""

    def __init__(self, profile: DeviceProfile, decoder: Decoder) -> None:
        self._points = [
            (slot.point.name, slot.cap, Slope(slot.point.max_k_per_min))
            for slot in decoder.slots
            if slot.point.max_k_per_min is not None
        ]

    def impossible(
        self, measurements: Mapping[str, Measurement], caps: Sequence[CapReading], at: Stamp
    ) -> list[tuple[str, int | None]]:
        """The points, as (name, cap), whose value leaped. Points without a value are left out."""
        found: list[tuple[str, int | None]] = []
        for name, cap, slope in self._points:
            measurement = measurements[name] if cap is None else caps[cap - 1].temperatures.get(name)
            if measurement is None or measurement.value is None:
                continue
            if slope.is_impossible(measurement.value, at.boot_us):
                found.append((name, cap))
        return found


class Plausibility:
    """The plausibility check of one unit, over successive readings."""

    def __init__(self, profile: DeviceProfile, decoder: Decoder) -> None:
        self._frozen = FrozenWatch(profile, decoder)
        self._slope = SlopeWatch(profile, decoder)
        flow = profile.circulating.flow
        self._flow = flow.point if flow else None

    def judge(self, measured: Measured, slots: tuple[SlotValue, ...], at: Stamp) -> Measured:
        """The measured values, with a reason instead of each implausible one."""
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
