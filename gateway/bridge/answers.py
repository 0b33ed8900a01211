"""Waits for the gateways' answers to messages of the engine, matched by the message's id."""

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
    """One message under way, and what came of it so far."""

    def __init__(self, online: set[str]) -> None:
        self._online = online
        self._answers: dict[str, GatewayAnswer] = {}
        self._changed = asyncio.Event()

    def heard(self, gateway: str, answer: GatewayAnswer) -> None:
        """A gateway said something of it."""
        self._answers[gateway] = answer
        self._changed.set()

    def look_again(self) -> None:
        """Who is online changed."""
        self._changed.set()

    async def acknowledgement(self, deadline_s: float) -> Acknowledgement:
        """What the sender is to hear, at the loop's time `deadline_s` at the latest."""
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
                pass  # it is late: the next look decides


class Answers:
    """The messages under way; two with one id follow each other, for an answer could be either's."""

    def __init__(self) -> None:
        self.online: set[str] = set()  # gateways, by what they say of themselves
        self._under_way: dict[str, Expected] = {}
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def expect(self, message_id: str) -> AsyncGenerator[Expected]:
        """Begin to listen for what is said of the message; before it is published."""
        while message_id in self._under_way:
            self._freed.clear()
            await self._freed.wait()
        expected = self._under_way[message_id] = Expected(self.online)
        try:
            yield expected
        finally:
            del self._under_way[message_id]
            self._freed.set()

    def heard_result(self, gateway: str, payload: bytes) -> None:
        """A gateway's answer to some message; one that nobody waits for any more is passed over."""
        try:
            answer = msgspec.json.decode(payload, type=_Result).data
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        expected = self._under_way.get(answer.for_ or "")
        if expected is not None:
            expected.heard(gateway, answer)

    def heard_status(self, gateway: str, payload: bytes) -> None:
        """What a gateway says of itself at birth, or the broker in its place. Bridges say it likewise."""
        try:
            status = msgspec.json.decode(payload, type=_Status).data
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if status.state == "online" and not status.role:
            self.online.add(gateway)
        else:
            self.online.discard(gateway)
        for expected in self._under_way.values():
            expected.look_again()

    def forget(self) -> None:
        """The broker is gone: who is online is not known."""
        self.online.clear()
