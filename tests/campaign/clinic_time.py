"""Virtual time of a campaign: the clinic's true time on a virtual event loop, and what a machine's clocks show of it.

Theory of operation. The event loop never waits (tests/virtual_time.py). The clinic's time runs `rate` times as fast as
the loop's: slowly while something is at stake, fast through the nights, so that the gateway's own timers (which count
seconds of the loop) fire seldom where nothing can happen. Jobs of the ledger's thread run in the loop itself, at once
or after the disk's delay, so that one seed is one run.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from drivers.reading import Stamp
from gateway.runtime.kernel_clock import Kept
from tests.virtual_time import VirtualTimeLoop

T = TypeVar("T")

US_PER_S = 1_000_000
EPOCH_US = 1_767_571_200_000_000  # 2026-01-05T00:00:00Z, a Monday
BUSY_RATE = 12.0  # a minute's mark each 5 s of the loop, which is as often as the relay asks what is due again
IDLE_RATE = 600.0


class CampaignLoop(VirtualTimeLoop):
    """The loop. `before_job` and `after_job` are the disk's say in each job of a thread; they may raise."""

    def __init__(self) -> None:
        super().__init__()
        self.job_delay_s: Callable[[], float] = lambda: 0.0
        self.after_job: Callable[[], None] = lambda: None

    def run_in_executor(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, executor: Executor | None, func: Callable[..., T], *args: object
    ) -> asyncio.Future[T]:
        """Runs the job now; its outcome is known after the disk's delay."""
        future: asyncio.Future[T] = self.create_future()

        def finish() -> None:
            if future.done():
                return
            if failure is not None:
                future.set_exception(failure)
            else:
                future.set_result(results[0])

        failure: BaseException | None = None
        results: list[T] = []
        try:
            results.append(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits the job
            failure = error
        self.after_job()
        delay_s = self.job_delay_s()
        if delay_s > 0:
            self.call_later(delay_s, finish)
        else:
            self.call_soon(finish)
        return future


class ClinicTime:
    """The true time, UTC microseconds."""

    def __init__(self, loop: CampaignLoop) -> None:
        self._loop = loop
        self._base_s = loop.time()
        self._base_us = EPOCH_US
        self._rate = IDLE_RATE

    def now_us(self) -> int:
        """This instant."""
        return self._base_us + round((self._loop.time() - self._base_s) * self._rate * US_PER_S)

    async def wait_until(self, at_us: int, rate: float) -> None:
        """Let the clinic's time run at `rate` until `at_us`; returns at once if that is past."""
        self._set_rate(rate)
        while (left_us := at_us - self.now_us()) > 0:
            await asyncio.sleep(max(left_us / US_PER_S / rate, 1e-6))

    def _set_rate(self, rate: float) -> None:
        self._base_us, self._base_s, self._rate = self.now_us(), self._loop.time(), rate


class Machine:
    """The edge box's clocks: the wall clock with its error, and the boot clock."""

    def __init__(self, time: ClinicTime) -> None:
        self._time = time
        self._booted_us = time.now_us() - 60 * US_PER_S
        self.boots = 1
        self.wall_error_us = 0

    def boot_us(self) -> int:
        """Since the machine started."""
        return self._time.now_us() - self._booted_us

    def wall_us(self) -> int:
        """What the wall clock says."""
        return self._time.now_us() + self.wall_error_us

    def reboot(self) -> None:
        """The boot clock begins anew."""
        self._booted_us = self._time.now_us() - 30 * US_PER_S
        self.boots += 1


class ProcessClock:
    """The clock of one process of the gateway, made as the product's own: stamps go on by the boot clock."""

    speed = BUSY_RATE
    released_us = 0

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._offset_us = machine.wall_us() - machine.boot_us()
        self._boot = f"boot-{machine.boots}"

    def now(self) -> Stamp:
        """This instant by both clocks."""
        boot_us = self._machine.boot_us()
        return Stamp(self._offset_us + boot_us, boot_us, self._boot)

    def kept(self) -> Kept:
        return Kept(synchronised=True)

    def step_us(self) -> int:
        """How far the wall clock stands from the stamps."""
        return self._machine.wall_us() - self._machine.boot_us() - self._offset_us

    def align(self) -> None:
        """Take the wall clock's word for the stamps again."""
        self._offset_us += self.step_us()

    def resume(self, stamp: Stamp) -> None:
        """Go on from a stamp that an earlier process of this boot gave."""
        if stamp.boot == self._boot:
            self._offset_us = stamp.utc_us - stamp.boot_us
