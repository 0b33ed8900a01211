"""Safe mode: after too many crashes the gateway reads and keeps what comes, and counts nothing until somebody says so.

Neither the ledger nor a session is touched. Answers of the units and messages of the engine go to the journal, on the
disk; the next start records and counts them. It ends by `capgate unit reload`, or by a restart of the service.
"""

import asyncio

import msgspec

from gateway.control.answers import DoneAnswer, RefusalAnswer
from gateway.control.requests import Reload, RequestRefused, read_request
from gateway.ledger.access import Actor
from gateway.monitoring.alarms import AlarmInputs
from gateway.monitoring.health import Uncounted
from gateway.paused.journalling import Journalling
from gateway.recording.journal import Journal
from gateway.runtime.crashes import Crashes


class SafeMode:
    """What becomes of answers, messages and requests in safe mode. `doubted`: the clock is not believed either."""

    def __init__(self, crashes: Crashes, journal: Journal, *, doubted: bool = False) -> None:
        self._crashes = crashes.lately
        self._journalling = Journalling(journal, doubted=doubted)
        self.keep = self._journalling.keep
        self.message = self._journalling.message
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

    async def over(self) -> None:
        """Write answers until somebody ends safe mode; the last ones too when it is cancelled."""
        await self._journalling.until(self._over.is_set)

    async def answer(self, line: bytes, actor: Actor) -> bytes:
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
