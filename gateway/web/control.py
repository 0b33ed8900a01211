"""The control service behind the page: one question at a time, acts at once, and a broken ledger ends the page."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from gateway.control.answers import Answer
from gateway.ledger.access import Actor, Looked, Took
from gateway.ledger.errors import LedgerError

Tell = Callable[[bytes, Actor], Awaitable[bytes]]
MOST_NAMED = 1000  # sessions in one request
SCREEN = Actor("page:")  # nobody is signed in at it


class Control:
    """Passes lines to the service.

    Screens that ask without end wait for each other, not the gateway for them, nor whoever is signed in.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._one_at_a_time = {is_screen: asyncio.Lock() for is_screen in (True, False)}
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def failed(self) -> None:
        """Wait until recording is no longer possible. Raises LedgerError then."""
        await self._failure

    async def ask(self, line: bytes, by: Actor = SCREEN) -> bytes | None:
        """The answer to a question; None where recording is no longer possible."""
        async with self._one_at_a_time[by == SCREEN]:
            return await self.tell(line, by)

    async def leave_trace(self, looked: Looked, sessions: Sequence[str], by: Actor) -> bool:
        """Record that somebody is about to read identifiers of these sessions' patients; False: it cannot be."""
        for start in range(0, len(sessions), MOST_NAMED):
            asked = {"request": "looked", "looked": looked, "sessions": sessions[start : start + MOST_NAMED]}
            if not await self.recorded(msgspec.json.encode(asked), by):
                return False
        return True

    async def took(self, what: Took, person: str, by: Actor, address: str = "") -> bool:
        """Record that a person takes something, or signs in; False: it cannot be."""
        asked = {"request": "took", "what": what, "person": person, "address": address}
        return await self.recorded(msgspec.json.encode(asked), by)

    async def recorded(self, line: bytes, by: Actor) -> bool:
        """Whether what the line says was recorded."""
        answer = await self.tell(line, by)
        return answer is not None and msgspec.json.decode(answer, type=Answer).ok

    async def tell(self, line: bytes, by: Actor) -> bytes | None:
        """The answer to an act; None where recording is no longer possible."""
        try:
            return await self._tell(line, by)
        except LedgerError as error:
            if not self._failure.done():
                self._failure.set_exception(error)
                self._failure.exception()  # seen: whoever waits gets it, and without them nothing is to be logged
            return None
