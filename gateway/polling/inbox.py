"""Bounded queues of poll results between pollers and recording, so that no poll waits for the disk.

Each unit has a queue of its own, its results are recorded in order, and those of different units share commits. At most
MOST_WAITING results of a unit wait to be recorded. When its queue is full the poller waits: its unit, and others on the
line, are not polled until there is room (back-pressure). Such a gap is logged and counted; as no poll was made in it,
`gateway.session.observe` attributes it to the gateway and not to the unit.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from drivers.reading import ReadFault, Reading
from gateway.ledger.errors import LedgerError
from gateway.runtime.clock import Clock
from gateway.runtime.logs import Outage

_log = logging.getLogger("capgate.lines")

MOST_WAITING = 8


class Inbox:
    """The queues of all units. `run` it while they are polled; `held_back` counts polls that waited for room."""

    def __init__(
        self, units: Iterable[str], clock: Clock, take: Callable[[Reading | ReadFault], Awaitable[None]]
    ) -> None:
        self.held_back = 0
        self._behind = False  # whether a queue was full, and not all are empty since
        self._take = take
        self._queues = {unit: asyncio.Queue[Reading | ReadFault](MOST_WAITING) for unit in units}
        self._recording = Outage(_log, clock, "keeping up with the units")

    async def put(self, answer: Reading | ReadFault) -> None:
        """Queue a poll's result; waits while its unit's queue is full."""
        queue = self._queues[answer.unit]
        if queue.full():
            self.held_back += 1
            self._behind = True
            self._recording.lost(f"{MOST_WAITING} answers of {answer.unit} are not recorded yet")
        await queue.put(answer)

    async def run(self) -> None:
        """Record the results until cancelled. Raises LedgerError, as polling without recording must stop."""
        async with asyncio.TaskGroup() as group:
            for unit, queue in self._queues.items():
                group.create_task(self._take_all(unit, queue), name=f"answers of {unit}")

    async def emptied(self) -> None:
        """Returns once all queues are empty."""
        for queue in self._queues.values():
            await queue.join()

    async def _take_all(self, unit: str, queue: asyncio.Queue[Reading | ReadFault]) -> None:
        failed = False
        while True:  # ends with the task
            answer = await queue.get()
            try:
                await self._take(answer)
                failed = False
            except LedgerError:
                raise
            except Exception:  # noqa: BLE001 - a defect with one result must not stop the next
                if not failed:  # only the first of consecutive failures is logged
                    _log.exception("an answer met a defect", extra={"unit": unit})
                failed = True
            finally:
                queue.task_done()
            if self._behind and all(each.empty() for each in self._queues.values()):
                self._behind = False
                self._recording.back()
