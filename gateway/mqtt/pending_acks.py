"""What waits for an answer of the broker: one future a packet id."""

import asyncio

from gateway.mqtt.types import Disconnected


class Answers:
    """The open questions of one connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._open: dict[int, tuple[asyncio.Future[int], float]] = {}  # answer, when asked; the oldest comes first

    def expect(self, packet_id: int) -> asyncio.Future[int]:
        """The future answer to a packet that is being sent."""
        future: asyncio.Future[int] = self._loop.create_future()
        self._open[packet_id] = (future, self._loop.time())
        return future

    def settle(self, packet_id: int, reason: int) -> None:
        """The broker answered."""
        future, _ = self._open.pop(packet_id, (None, 0.0))
        if future is not None and not future.done():
            future.set_result(reason)

    def fail(self, error: Disconnected) -> None:
        """The connection ended: nothing will be answered."""
        for future, _ in self._open.values():
            if not future.done():
                future.set_exception(error.again())
                future.exception()  # seen: whoever still waits gets it, others need no warning
        self._open.clear()

    def overdue(self) -> bool:
        """The oldest question has waited for too long."""
        oldest = next(iter(self._open.values()), None)
        return oldest is not None and self._loop.time() - oldest[1] > self._timeout_s
