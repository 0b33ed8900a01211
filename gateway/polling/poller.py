"""The polling task of one line: takes the next unit from the schedule, polls it, and delivers the result."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from drivers.reading import FaultKind, ReadFault, Reading
from drivers.unit.driver import Driver
from gateway.monitoring.counters import UnitCounters
from gateway.polling.schedule import LineSchedule
from gateway.runtime.logs import Outage

Deliver = Callable[[Reading | ReadFault], Awaitable[None]]

# Faults without back-off, as they cost no timeout: the unit is busy, or reports its failure at once; a line that is
# down fails at once too, and has a back-off of its own for reopening.
_NO_TIME_LOST = frozenset({FaultKind.BUSY, FaultKind.DEVICE_FAILURE, FaultKind.LINE_DOWN, FaultKind.NEEDS_CONSENT})


class Polled(msgspec.Struct, frozen=True):
    """A unit to poll, with the counters of its polls and its log of outages."""

    driver: Driver
    counters: UnitCounters
    outage: Outage


class PollProgress:
    """When the last poll of any line ended, in the event loop's seconds; it shows that polling goes on."""

    def __init__(self) -> None:
        self.last_poll_s: float | None = None


async def poll_line(
    schedule: LineSchedule,
    units: Mapping[str, Polled],
    deliver: Deliver,
    progress: PollProgress,
    rest: Callable[[], None] | None = None,
) -> None:
    """Poll a line's units until cancelled, one at a time, and `rest` after each poll. Raises what `deliver` raises."""
    loop = asyncio.get_running_loop()
    while True:  # ends with the task
        unit, due_s = schedule.next(loop.time())
        await _sleep_until(loop, due_s)
        polled = units[unit]
        began_s = loop.time()
        answer = await polled.driver.read()
        ended_s = loop.time()
        if rest is not None:
            rest()
        match answer:
            case Reading():
                polled.counters.ok(ended_s - began_s, answer.observed_at.utc_us)
                polled.outage.back()
            case ReadFault():
                polled.counters.fault(answer.kind)
                polled.outage.lost(f"{answer.kind}: {answer.detail}")
        schedule.done(unit, isinstance(answer, Reading) or answer.kind in _NO_TIME_LOST, ended_s)
        await deliver(answer)
        progress.last_poll_s = ended_s


async def _sleep_until(loop: asyncio.AbstractEventLoop, when_s: float) -> None:
    """Sleep until an absolute loop time: polls of one slot have equal times, so the loop wakes once for all of them."""
    if when_s <= loop.time():
        await asyncio.sleep(0)
        return
    woken = loop.create_future()
    timer = loop.call_at(when_s, _wake, woken)
    try:
        await woken
    finally:
        timer.cancel()


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
