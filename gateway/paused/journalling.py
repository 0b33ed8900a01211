"""Keeps what comes while nothing is counted: answers of the units and messages of the engine, in the journal."""

import asyncio
import logging
from collections.abc import Callable

from drivers.reading import ReadFault, Reading
from gateway.ledger.errors import LedgerLocked
from gateway.recording.journal import Journal, JournalFull

_log = logging.getLogger("capgate")

WRITE_S = 2.0
FULL_S = 5.0  # before a message that found no room is tried again
MOST_UNWRITTEN = 6000


class Journalling:
    """What becomes of answers and messages. `doubted`: the answers' UTC is of a clock that is not believed."""

    def __init__(self, journal: Journal, *, doubted: bool = False) -> None:
        self._journal = journal
        self._doubted = doubted
        self._unwritten: list[Reading | ReadFault] = []

    def keep(self, answer: Reading | ReadFault) -> None:
        """Write an answer within WRITE_S; the oldest are dropped while that cannot be done."""
        self._unwritten.append(answer)
        del self._unwritten[:-MOST_UNWRITTEN]

    async def message(self, topic: str, payload: bytes) -> None:
        """Return once the message is on the disk, so that it is acknowledged then."""
        while True:
            try:
                return await asyncio.to_thread(self._journal.add_message, topic, payload)
            except (OSError, JournalFull, LedgerLocked) as error:
                _log.error("a message waits at the broker", extra={"reason": str(error) or "the journal is full"})
                await asyncio.sleep(FULL_S)

    async def until(self, is_over: Callable[[], bool]) -> None:
        """Write answers until `is_over`; the last ones too when it is cancelled."""
        try:
            while not is_over():
                await asyncio.sleep(WRITE_S)
                await self._write()
        finally:
            await self._write()

    async def _write(self) -> None:
        answers, self._unwritten = self._unwritten, []
        if answers:
            try:
                await asyncio.to_thread(self._journal.add_answers, answers, doubted=self._doubted)
            except OSError as error:
                _log.error("answers are not kept yet", extra={"reason": str(error)})
                self._unwritten = (answers + self._unwritten)[-MOST_UNWRITTEN:]
