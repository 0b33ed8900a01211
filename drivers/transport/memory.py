"""A null modem in memory, for tests: a connector for a line, and the far end for a test or a simulated unit.

A fault maps what the far end sends to what arrives and when; each send uses up the next fault.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from drivers.errors import LineDown
from drivers.transport.base import ByteLink, Connector

Arrival = tuple[float, bytes]  # seconds after the send, and the bytes that arrive
Fault = Callable[[bytes], Sequence[Arrival]]


def dropped(data: bytes) -> Sequence[Arrival]:
    """Nothing arrives."""
    return ()


def late(delay_s: float) -> Fault:
    """All arrives `delay_s` later."""
    return lambda data: ((delay_s, data),)


def corrupted(bit: int) -> Fault:
    """One bit arrives flipped; bit 0 is the lowest of the first byte."""

    def fault(data: bytes) -> Sequence[Arrival]:
        damaged = bytearray(data)
        damaged[bit // 8 % len(damaged)] ^= 1 << bit % 8
        return ((0.0, bytes(damaged)),)

    return fault


def doubled(data: bytes) -> Sequence[Arrival]:
    """All arrives twice."""
    return ((0.0, data + data),)


def behind(noise: bytes) -> Fault:
    """All arrives, behind noise."""
    return lambda data: ((0.0, noise + data),)


def dribbled(pause_s: float) -> Fault:
    """All arrives byte by byte."""
    return lambda data: [(place * pause_s, data[place : place + 1]) for place in range(len(data))]


class FarEnd:
    """The unit's side. Set `on_request` to a function that takes each request's bytes; `send` answers."""

    def __init__(self) -> None:
        self.on_request: Callable[[bytes], None] = lambda data: None
        self.faults: deque[Fault] = deque()
        self.refuses = False  # whether the next attempt to open fails
        self.openings = 0
        self._link: _MemoryLink | None = None

    def send(self, data: bytes, after_s: float = 0.0) -> None:
        """Send bytes; they are lost if the line is not open when they arrive."""
        fault = self.faults.popleft() if self.faults else late(0.0)
        loop = asyncio.get_running_loop()
        for delay_s, arriving in fault(data):
            loop.call_later(after_s + delay_s, self._deliver, arriving)

    def hang_up(self, reason: str = "unplugged", *, closed: bool = False) -> None:
        """Break the link, as by unplugging the adapter, or close the connection."""
        if self._link is not None:
            self._link.inbox.lost(reason, closed=closed)
            self._link = None

    def open(self) -> ByteLink:
        """Open the link; called through the connector."""
        if self.refuses:
            raise LineDown("no such line")
        self.openings += 1
        self._link = _MemoryLink(self)
        return self._link

    def _deliver(self, data: bytes) -> None:
        if self._link is not None:
            self._link.inbox.received(data)


class _MemoryLink(ByteLink):
    silence_may_be_a_hang = True

    def __init__(self, far_end: FarEnd) -> None:
        super().__init__()
        self._far_end = far_end

    def write(self, data: bytes) -> None:
        self.inbox.check()
        self._far_end.on_request(data)

    def close(self) -> None:
        self.inbox.lost("closed")


def null_modem() -> tuple[Connector, FarEnd]:
    """A new line in memory: its connector, and its far end."""
    far_end = FarEnd()

    async def connect() -> ByteLink:
        return far_end.open()

    return connect, far_end
