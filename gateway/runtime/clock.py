"""The only module that reads a clock.

Durations come from the boot clock (CLOCK_BOOTTIME: never stepped, also runs during suspend). Stamps are UTC, taken from
the wall clock once and advanced by the boot clock, so that a step of the wall clock does not affect open sessions; the
step itself is measured and recorded (P25). A process that is started again within one boot, after a crash or an update,
may continue the stamps of the one before it; only across boots are they taken from the wall clock.
"""

import contextlib
import time
from pathlib import Path
from typing import Protocol

from drivers.reading import Stamp
from gateway.runtime.kernel_clock import Kept, kernel_clock

US_PER_S = 1_000_000
RELEASED_US = 1_793_491_200 * US_PER_S  # 2026-11-01: no clock that is right shows less; RELEASING.md renews it
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BOOT_DIGITS = 8  # of the boot's id: enough to distinguish two boots of one machine


class Clock(Protocol):
    """The gateway's source of time. `speed` is gateway seconds per second of the event loop."""

    speed: float
    released_us: int  # a wall clock that shows less is wrong: this version did not exist then

    def now(self) -> Stamp:
        """The current instant by both clocks."""
        ...

    def kept(self) -> Kept:
        """How the machine says that its wall clock is kept."""
        ...

    def step_us(self) -> int:
        """The wall clock minus the stamps: by how much it was stepped since the last `align`, microseconds."""
        ...

    def align(self) -> None:
        """Set the stamps to the wall clock again; only while no session is open."""
        ...

    def resume(self, stamp: Stamp) -> None:
        """Continue from a stamp of an earlier process of this boot; one of another boot is ignored."""
        ...


class SystemClock:
    """The machine's clocks."""

    speed = 1.0
    released_us = RELEASED_US

    def __init__(self) -> None:
        self._boot = _boot_id()
        self._offset_us = _wall_us() - _boot_us()

    def kept(self) -> Kept:
        """What the kernel says."""
        return kernel_clock()

    def now(self) -> Stamp:
        """This instant by both clocks."""
        boot_us = _boot_us()
        return Stamp(self._offset_us + boot_us, boot_us, self._boot)

    def step_us(self) -> int:
        """How far the wall clock stands from the stamps."""
        return _wall_us() - _boot_us() - self._offset_us

    def align(self) -> None:
        """Take the wall clock's word for the stamps again."""
        self._offset_us += self.step_us()

    def resume(self, stamp: Stamp) -> None:
        """Go on from a stamp that an earlier process of this boot gave."""
        if stamp.boot and stamp.boot == self._boot:
            self._offset_us = stamp.utc_us - stamp.boot_us


class ScaledClock:
    """A clock that runs `speed` times as fast from the instant it was made; for demos and simulations."""

    released_us = 0

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._system = SystemClock()
        self._start = self._system.now()

    def now(self) -> Stamp:
        """The current scaled instant; both clocks are scaled alike."""
        elapsed_us = round((self._system.now().boot_us - self._start.boot_us) * self.speed)
        return Stamp(self._start.utc_us + elapsed_us, self._start.boot_us + elapsed_us)

    def kept(self) -> Kept:
        """Always kept: no wall clock could contradict it."""
        return Kept(synchronised=True)

    def step_us(self) -> int:
        """Always 0: a scaled clock follows no wall clock."""
        return 0

    def align(self) -> None:
        """No effect: there is no wall clock."""

    def resume(self, stamp: Stamp) -> None:
        """No effect: scaled time starts again with every process."""


def _wall_us() -> int:
    return time.time_ns() // 1000


def _boot_id() -> str:
    """The id of this boot; "" if the system has none."""
    with contextlib.suppress(OSError):
        return _BOOT_ID.read_text(encoding="ascii").strip()[:_BOOT_DIGITS]
    return ""


def _boot_us() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
