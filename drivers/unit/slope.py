"""Values that change faster than the thing they measure can: a loose probe, a converter that started anew. Pure."""

from collections.abc import Mapping, Sequence

from drivers.decode.decoder import Decoder
from drivers.profile.types import DeviceProfile
from drivers.reading import CapReading, Measurement, Stamp

_US_PER_MIN = 60_000_000
_LEAST_US = 1_000_000  # polls may follow each other closely, and a sensor has noise
BELIEVED_AFTER = 5  # readings in a row that agree with each other: then it is the old value that is out of date


class Slope:
    """One value's course, by the boot clock."""

    def __init__(self, max_k_per_min: float) -> None:
        self._k_per_us = max_k_per_min / _US_PER_MIN
        self._last: float | None = None
        self._at_us = 0
        self._stray = 0.0
        self._stray_at_us = 0
        self._strays = 0

    def is_impossible(self, value: float, at_us: int) -> bool:
        """Take the value as just read: whether it cannot follow the one before."""
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
        """The points, by name and cap, whose new value cannot be. What has no value is no part of the course."""
        found: list[tuple[str, int | None]] = []
        for name, cap, slope in self._points:
            measurement = measurements[name] if cap is None else caps[cap - 1].temperatures.get(name)
            if measurement is None or measurement.value is None:
                continue
            if slope.is_impossible(measurement.value, at.boot_us):
                found.append((name, cap))
        return found
