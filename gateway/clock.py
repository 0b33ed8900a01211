"""The only module that reads a clock. Durations come from the boot clock, stamps are UTC."""

import time
from typing import Protocol

from drivers.reading import Stamp

US_PER_S = 1_000_000


class Clock(Protocol):
    """Where the gateway gets its time. `speed` is gateway seconds per second of the event loop."""

    speed: float

    def now(self) -> Stamp:
        """This instant by both clocks."""
        ...


class SystemClock:
    """The machine's clocks: CLOCK_REALTIME for stamps, CLOCK_BOOTTIME (runs on through suspend) for durations."""

    speed = 1.0

    def now(self) -> Stamp:
        """This instant by both clocks."""
        return Stamp(time.time_ns() // 1000, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000)


class ScaledClock:
    """A clock that runs `speed` times as fast, from the instant it was made; for demos and simulations."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._base = SystemClock()
        self._start = self._base.now()

    def now(self) -> Stamp:
        """This scaled instant; both clocks are scaled alike."""
        elapsed_us = round((self._base.now().boot_us - self._start.boot_us) * self.speed)
        return Stamp(self._start.utc_us + elapsed_us, self._start.boot_us + elapsed_us)
