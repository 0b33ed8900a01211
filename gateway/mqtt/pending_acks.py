"""Packets that await the broker's acknowledgement: one future for each packet id."""

import asyncio

from gateway.mqtt.types import Disconnected


class PendingAcks:
    """The unacknowledged packets of one connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._futures: dict[int, tuple[asyncio.Future[int], float]] = {}  # with the loop time of sending, oldest first

    def expect(self, packet_id: int) -> asyncio.Future[int]:
        """The future reason code of a packet that is being sent."""
        future: asyncio.Future[int] = self._loop.create_future()
        self._futures[packet_id] = (future, self._loop.time())
        return future

    def settle(self, packet_id: int, reason: int) -> None:
        """Resolve the packet's future with the broker's reason code."""
        future, _ = self._futures.pop(packet_id, (None, 0.0))
        if future is not None and not future.done():
            future.set_result(reason)

    def fail(self, error: Disconnected) -> None:
        """Make every future raise `error`, as the connection ended."""
        for future, _ in self._futures.values():
            if not future.done():
                future.set_exception(error.again())
                future.exception()  # retrieved, so that asyncio does not warn about futures without a waiter
        self._futures.clear()

    def overdue(self) -> bool:
        """Whether the oldest packet has waited longer than the timeout."""
        oldest = next(iter(self._futures.values()), None)
        return oldest is not None and self._loop.time() - oldest[1] > self._timeout_s
