"""Answers of polls on their way to the ledger: no poll waits for the disk, and nothing grows without end.

Each unit has a queue of its own, its answers are taken in their order, and those of different units share commits. At
most MOST_WAITING answers of a unit wait to be recorded. At that bound the next one waits in the poller's hand: its
unit, and what shares its line, is not asked until there is room. That gap is the gateway's own: it is logged and
counted, and the reading after it, by whose stamp it is seen, blames no unit for it (`gateway.session.observe`).
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
    """The answers of a gateway's units. `run` it while they are polled; `held_back` polls waited for room."""

    def __init__(
        self, units: Iterable[str], clock: Clock, take: Callable[[Reading | ReadFault], Awaitable[None]]
    ) -> None:
        self.held_back = 0
        self._behind = False  # since then some unit had too many
        self._take = take
        self._queues = {unit: asyncio.Queue[Reading | ReadFault](MOST_WAITING) for unit in units}
        self._recording = Outage(_log, clock, "keeping up with the units")

    async def put(self, answer: Reading | ReadFault) -> None:
        """Let the answer be taken in its turn; waits while its unit has too many."""
        queue = self._queues[answer.unit]
        if queue.full():
            self.held_back += 1
            self._behind = True
            self._recording.lost(f"{MOST_WAITING} answers of {answer.unit} are not recorded yet")
        await queue.put(answer)

    async def run(self) -> None:
        """Have the answers taken, until cancelled. Raises LedgerError: what cannot be recorded must not be polled."""
        async with asyncio.TaskGroup() as group:
            for unit, queue in self._queues.items():
                group.create_task(self._take_all(unit, queue), name=f"answers of {unit}")

    async def emptied(self) -> None:
        """Returns once every answer was taken."""
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
            except Exception:  # noqa: BLE001 - a defect met over one answer must not stop the next
                if not failed:  # it is logged whole, but once
                    _log.exception("an answer met a defect", extra={"unit": unit})
                failed = True
            finally:
                queue.task_done()
            if self._behind and all(each.empty() for each in self._queues.values()):
                self._behind = False
                self._recording.back()
