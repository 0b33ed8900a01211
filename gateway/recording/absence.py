"""Finds out what the engine must send again: what the broker may not have kept for this gateway while it was away.

Theory of operation. The broker keeps messages in the gateway's session, up to its own limits, and drops the newest
beyond them without a word. So after a long absence messages may be missing, and after the loss of a session they are,
whoever took it: a broker that lost its disk, another client of our id, an expiry. When the gateway was last connected
is kept in a file beside the ledger. Each such absence is a work item, and an alarm as long as that is open; a shorter
one is a line of the log.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import msgspec

from gateway.messages.instants import rfc3339
from gateway.mqtt.service import ConnectionInfo
from gateway.mqtt.types import MqttCounters
from gateway.runtime.clock import US_PER_S, Clock
from gateway.runtime.replace import replace_file
from gateway.session.fact_types import WorkKind
from gateway.session.facts import AnyFact, WorkRaised
from gateway.session.worklist import WorkKey, work_key

_log = logging.getLogger("capgate")

CONTACT_FILE = "last-contact.json"
LONG_US = 4 * 3600 * US_PER_S  # an absence in which a queue that is sized as the how-to says may overflow
CHECK_S = 5.0
WRITE_US = 60 * US_PER_S  # how often the file is written
NOTED_US = 2 * WRITE_US  # a shorter absence is not worth a line; after a restart it is known to WRITE_US


class Cause(StrEnum):
    """Why messages may be missing; the `order` of the work item."""

    SESSION_LOST = "session_lost"
    LONG_ABSENCE = "long_absence"


class Contact(msgspec.Struct, frozen=True):
    """The content of the file."""

    root: str  # of the topics: another site's or mode's messages were never awaited
    at_us: int  # UTC: until then the gateway was connected


class Absence:
    """Watches the connection. `silence_s` is how long it may have been dead before that was noticed."""

    def __init__(
        self,
        path: Path,
        root: str,
        silence_s: float,
        connection: Callable[[], ConnectionInfo | None],
        counters: MqttCounters,
        clock: Clock,
        open_items: Callable[[], frozenset[WorkKey]],
    ) -> None:
        self._path = path
        self._root = root
        self._silence_us = round(silence_s * US_PER_S)
        self._connection = connection
        self._counters = counters
        self._clock = clock
        self._open_items = open_items
        self._epoch = 0  # of the connection that was seen last
        self._sessions_begun = 0  # up to then
        self._writes = True  # whether the file could be written the last time
        self._last_us = self._read()
        self._written_us = 0

    def check(self) -> Sequence[AnyFact]:
        """The facts to record now: a work item after an absence that may have cost messages."""
        now_us, info = self._clock.now().utc_us, self._connection()
        if info is None:
            return ()
        before_us, self._last_us = self._last_us, now_us
        if info.epoch == self._epoch:
            return ()
        is_kept = self._counters.sessions_begun == self._sessions_begun  # over connections between two checks too
        self._epoch, self._sessions_begun, self._written_us = info.epoch, self._counters.sessions_begun, 0
        return () if before_us is None else self._after(before_us, now_us, is_kept=is_kept)

    async def keep(self) -> None:
        """Write the last contact, once a minute; without the file the next start finds no absence.

        To be called when what `check` gave is recorded.
        """
        if self._last_us is not None and self._last_us - self._written_us >= WRITE_US:
            self._written_us = self._last_us
            try:
                await asyncio.to_thread(self._write, Contact(self._root, self._last_us))
            except OSError as error:
                if self._writes:
                    _log.warning("the last contact with the broker is not kept", extra={"reason": str(error)})
                self._writes = False
            else:
                self._writes = True

    async def run(self, record: Callable[[Sequence[AnyFact]], Awaitable[object]]) -> None:
        """Check every CHECK_S until cancelled. Raises what `record` raises."""
        while True:  # ends with the task
            if facts := self.check():
                await record(facts)
            await self.keep()
            await asyncio.sleep(CHECK_S / self._clock.speed)

    def _read(self) -> int | None:
        with suppress(OSError, msgspec.MsgspecError):
            contact = msgspec.json.decode(self._path.read_bytes(), type=Contact)
            return contact.at_us if contact.root == self._root else None
        return None

    def _write(self, contact: Contact) -> None:
        replace_file(self._path, msgspec.json.encode(contact), mode=0o666)

    def _after(self, last_us: int, now_us: int, *, is_kept: bool) -> Sequence[AnyFact]:
        """What an absence leaves to record; `is_kept`: the broker kept the session all the time."""
        since_us = min(last_us, now_us) - self._silence_us
        away_us = now_us - last_us
        if away_us < NOTED_US and is_kept:
            return ()
        extra = {"from": rfc3339(since_us), "to": rfc3339(now_us), "session_kept": is_kept}
        _log.warning("away from the broker", extra=extra)
        if is_kept and away_us < LONG_US:
            return ()
        cause = Cause.LONG_ABSENCE if is_kept else Cause.SESSION_LOST
        raised = WorkRaised(at_us=since_us, known_at_us=now_us, what=WorkKind.MESSAGES_MISSED, order=cause)
        return () if work_key(raised) in self._open_items() else (raised,)
