"""Safe mode: after too many crashes the gateway reads and keeps what comes, and counts nothing until somebody says so.

Neither the ledger nor a session is touched. Answers of the units and messages of the engine go to the journal, on the
disk; the next start records and counts them. It ends by `capgate unit reload`, or by a restart of the service.
"""

import asyncio
import logging

import msgspec

from drivers.reading import ReadFault, Reading
from gateway.control.answers import DoneAnswer, RefusalAnswer
from gateway.control.requests import Reload, RequestRefused, read_request
from gateway.ledger.errors import LedgerLocked
from gateway.monitoring.alarms import AlarmInputs
from gateway.monitoring.health import Uncounted
from gateway.recording.journal import Journal, JournalFull
from gateway.runtime.crashes import Crashes

_log = logging.getLogger("capgate")

WRITE_S = 2.0
FULL_S = 5.0  # before a message that found no room is tried again
MOST_UNWRITTEN = 6000


class SafeMode:
    """What becomes of answers, messages and requests in safe mode."""

    def __init__(self, crashes: Crashes, journal: Journal) -> None:
        self._crashes = crashes.lately
        self._journal = journal
        self._unwritten: list[Reading | ReadFault] = []
        self._over = asyncio.Event()

    @property
    def reason(self) -> str:
        """Why nothing is counted."""
        last = f", the last by {self._crashes[-1].what}" if self._crashes else ""
        return f"safe mode after {len(self._crashes)} crashes{last}"

    @property
    def kind(self) -> Uncounted:
        """Why, as the page says it."""
        return Uncounted.SAFE_MODE

    def inputs(self) -> AlarmInputs:
        """The alarm."""
        return AlarmInputs(safe_mode=self.reason)

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

    async def over(self) -> None:
        """Write answers until somebody ends safe mode; the last ones too when it is cancelled."""
        try:
            while not self._over.is_set():
                await asyncio.sleep(WRITE_S)
                await self._write()
        finally:
            await self._write()

    async def answer(self, line: bytes) -> bytes:
        """The answer to a request: only `reload` is carried out."""
        try:
            is_reload = isinstance(read_request(line), Reload)
        except RequestRefused:
            is_reload = False
        if is_reload:
            self._over.set()
            return msgspec.json.encode(DoneAnswer(done="safe mode ends: what was kept is recorded and counted now"))
        return self.refusal()

    def refusal(self) -> bytes:
        """The answer to every other request."""
        accepted = "capgate unit reload, which ends it"
        return msgspec.json.encode(RefusalAnswer(error=f"{self.reason}: nothing is counted", accepted=accepted))

    async def _write(self) -> None:
        answers, self._unwritten = self._unwritten, []
        if answers:
            try:
                await asyncio.to_thread(self._journal.add_answers, answers)
            except OSError as error:
                _log.error("answers are not kept yet", extra={"reason": str(error)})
                self._unwritten = (answers + self._unwritten)[-MOST_UNWRITTEN:]
