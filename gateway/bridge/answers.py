"""Correlates the gateways' result events with the engine's messages that wait for them, by message id."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec

from gateway.bridge.verdict import GatewayAnswer, verdict
from gateway.messages.inbound.acks import Acknowledgement


class _Result(msgspec.Struct, frozen=True):
    data: GatewayAnswer


class _StatusData(msgspec.Struct, frozen=True):
    state: str
    role: str = ""


class _Status(msgspec.Struct, frozen=True):
    data: _StatusData


class Expected:
    """A message that is published but not acknowledged yet, with the gateways' answers so far."""

    def __init__(self, online: set[str]) -> None:
        self._online = online
        self._answers: dict[str, GatewayAnswer] = {}
        self._changed = asyncio.Event()

    def add(self, gateway: str, answer: GatewayAnswer) -> None:
        """Record the answer of one gateway."""
        self._answers[gateway] = answer
        self._changed.set()

    def wake(self) -> None:
        """Evaluate the answers again, because the set of online gateways changed."""
        self._changed.set()

    async def acknowledgement(self, deadline_s: float) -> Acknowledgement:
        """Wait for the acknowledgement to return to the sender; `deadline_s` is a time of the event loop's clock."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            found = verdict(self._answers, self._online, late=loop.time() >= deadline_s)
            if found is not None:
                return found
            try:
                async with asyncio.timeout_at(deadline_s):
                    await self._changed.wait()
            except TimeoutError:
                pass  # the next verdict is taken with late=True


class Answers:
    """The messages that wait for answers. Of two with the same id the second waits: answers could not be told apart."""

    def __init__(self) -> None:
        self.online: set[str] = set()  # ids of gateways, by their retained status messages
        self._under_way: dict[str, Expected] = {}
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def expect(self, message_id: str) -> AsyncGenerator[Expected]:
        """Collect answers to the message while the context lasts. Enter it before the message is published."""
        while message_id in self._under_way:
            self._freed.clear()
            await self._freed.wait()
        expected = self._under_way[message_id] = Expected(self.online)
        try:
            yield expected
        finally:
            del self._under_way[message_id]
            self._freed.set()

    def on_result(self, gateway: str, payload: bytes) -> None:
        """Take a result event; ignored if it is malformed or no message waits for it."""
        try:
            answer = msgspec.json.decode(payload, type=_Result).data
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        expected = self._under_way.get(answer.for_ or "")
        if expected is not None:
            expected.add(gateway, answer)

    def on_status(self, gateway: str, payload: bytes) -> None:
        """Take a gateway's status message (birth or will). Those of bridges, which have a `role`, do not count."""
        try:
            status = msgspec.json.decode(payload, type=_Status).data
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if status.state == "online" and not status.role:
            self.online.add(gateway)
        else:
            self.online.discard(gateway)
        for expected in self._under_way.values():
            expected.wake()

    def forget(self) -> None:
        """Clear the online gateways when the connection to the broker ends."""
        self.online.clear()
