"""One task a line: the schedule says who, the driver asks, and what came goes on."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from drivers.driver import Driver

from drivers.reading import ReadFault, Reading
from gateway.schedule import LineSchedule

Deliver = Callable[[Reading | ReadFault], Awaitable[None]]


class PollStats:
    """How punctual a line's polls were. Plain counters, read by the metrics."""

    def __init__(self) -> None:
        self.polls = 0
        self.late = 0  # began more than a slot after they were due
        self.last_end_s = 0.0  # loop time; the watchdog's proof of progress


async def poll_line(
    schedule: LineSchedule, drivers: Mapping[str, Driver], deliver: Deliver, stats: PollStats, late_after_s: float
) -> None:
    """Poll a line's units for ever, one at a time. Seconds are the event loop's."""
    loop = asyncio.get_running_loop()
    while True:  # ends with the task
        unit, due_s = schedule.next(loop.time())
        await _sleep_until(loop, due_s)
        stats.polls += 1
        if loop.time() - due_s > late_after_s:
            stats.late += 1
        answer = await drivers[unit].read()
        schedule.done(unit, isinstance(answer, Reading), loop.time())
        await deliver(answer)
        stats.last_end_s = loop.time()


async def _sleep_until(loop: asyncio.AbstractEventLoop, when_s: float) -> None:
    """Sleep to an absolute instant: dues of one slot are equal, so that the loop wakes once for all of them."""
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
