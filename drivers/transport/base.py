"""The interface of a transport: an open link, which sends bytes at once and collects received bytes in an inbox.

The event loop calls the link, the link fills its inbox, and the inbox wakes the waiting exchange: there are no stream
readers and no threads between the wire and the line.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from enum import StrEnum

import msgspec

from drivers.direction import Direction
from drivers.errors import LineDown

CONNECT_TIMEOUT_S = 5.0
_MAX_GATHERED = 4096  # bytes: several of the longest frames; bounds the memory if a line never stops sending


class Parity(StrEnum):
    """The parity bit of a serial character."""

    NONE = "none"
    EVEN = "even"
    ODD = "odd"


class Handshake(StrEnum):
    """Flow control of a serial line."""

    NONE = "none"
    RTSCTS = "rtscts"
    XONXOFF = "xonxoff"


class SerialSettings(msgspec.Struct, frozen=True):
    """The settings of a serial line."""

    baud: int = 9600
    bits: int = 8  # 7 or 8
    parity: Parity = Parity.NONE
    stop: int = 1  # 1 or 2
    handshake: Handshake = Handshake.NONE

    def __str__(self) -> str:
        return f"{self.baud} {self.bits}{self.parity[0].upper()}{self.stop}"


Tap = Callable[[Direction, bytes], None]
"""Called with all that goes over a link, at once."""


class Inbox:
    """The received bytes of one link: collected while an exchange waits, else counted and discarded."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._down: str | None = None
        self.is_closed = False  # the link is lost because the far end closed its connection
        self.buffer = bytearray()
        self.listening = False
        self.unasked_bytes = 0
        self.tap: Tap | None = None
        self.last_byte_at = self._loop.time()

    @property
    def is_lost(self) -> bool:
        """Whether the link is broken or closed."""
        return self._down is not None

    def received(self, data: bytes) -> None:
        """Take received bytes; called by the link."""
        self.last_byte_at = self._loop.time()
        if self.tap is not None:
            self.tap(Direction.RX, data)
        if not self.listening:
            self.unasked_bytes += len(data)
            return
        self.buffer += data
        excess = len(self.buffer) - _MAX_GATHERED
        if excess > 0:
            del self.buffer[:excess]
            self.unasked_bytes += excess
        self._wake()

    def asked(self, data: bytes) -> None:
        """Report a request's bytes to the tap; called by the line when it sends them."""
        if self.tap is not None:
            self.tap(Direction.TX, data)

    def lost(self, reason: str, *, closed: bool = False) -> None:
        """Mark the link as broken, or as closed by the far end; called by the link. The first reason is kept."""
        if self._down is None:
            self._down = reason
            self.is_closed = closed
        self._wake()

    def check(self) -> None:
        """Raises LineDown if the link is broken."""
        if self._down is not None:
            raise LineDown(self._down)

    async def more(self, deadline: float) -> bool:
        """Wait for the next bytes; False if none came by `deadline` (loop time).

        Raises LineDown if the link is broken and nothing came before that.
        """
        self.check()
        if self._loop.time() >= deadline:
            return False
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_at(deadline, self._wake)
        size = len(self.buffer)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None
        if len(self.buffer) > size:
            return True  # also where the far end closed right behind it
        self.check()
        return False

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class ByteLink(ABC):
    """One open line."""

    silence_may_be_a_hang = False  # whether to reconnect after a series of exchanges without any answer

    def __init__(self) -> None:
        self.inbox = Inbox()

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send at once. Raises LineDown if the link is broken or the previous request is still unsent."""

    @abstractmethod
    def close(self) -> None:
        """Close at once, discarding unsent bytes. May be called repeatedly."""


Connector = Callable[[], Awaitable[ByteLink]]
"""Opens the link anew. Raises LineDown, saying what to look at."""


def tapped(opens: Connector, tap: Tap) -> Connector:
    """The connector `opens`, with `tap` on every link that it opens, from the first byte on."""

    async def connect() -> ByteLink:
        link = await opens()
        link.inbox.tap = tap
        return link

    return connect
