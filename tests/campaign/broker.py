"""The broker, as far as the gateway can see it: it takes messages, keeps a session for it, and may lose both."""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from gateway.mqtt.types import Disconnected, MqttSettings, OutgoingMessage, PubAck, Unreachable

SESSION_EXPIRY_US = 7 * 86_400 * 1_000_000
PUBACK_S = 0.05

Taken = Callable[[bool], None]  # the gateway has a message for good; False: it may have it, and the broker lost it


class InboundMessage:
    """A message for the gateway, repeated on the next connection until it is acknowledged."""

    retain = False

    def __init__(self, broker: "Broker", topic: str, payload: bytes, taken: Taken) -> None:
        self.topic = topic
        self.payload = payload
        self.taken = taken
        self.given_to: object = None  # the connection that has it
        self._broker = broker

    def ack(self) -> None:
        """The gateway has it for good."""
        self._broker.acknowledged(self)


class Broker:
    """`received` is called with every message that the gateway publishes at QoS 1, by topic and payload."""

    def __init__(self, now_us: Callable[[], int], received: Callable[[str, bytes], None]) -> None:
        self._now_us = now_us
        self.received = received
        self._queue: deque[InboundMessage] = deque()
        self._has_session = False
        self._left_us = 0
        self._connection: FakeConnection | None = None
        self.ended_s_by_number: dict[int, float] = {}  # when each connection ended, in the loop's time
        self.connections = 0
        self.connected_since_us: int | None = None
        self.down = False
        self.lose_pubacks = False

    # --- the engine's side

    def to_gateway(self, topic: str, payload: bytes, taken: Taken = lambda known: None) -> None:
        """A message of the engine; lost unless the broker keeps a session for the gateway."""
        self._expire()
        if self._has_session and not self.down:
            self._queue.append(InboundMessage(self, topic, payload, taken))
            if self._connection is not None:
                self._connection.arrived.set()

    # --- faults

    def cut(self) -> None:
        """The connection is lost."""
        if self._connection is not None:
            self._connection.end()

    def lose_session(self) -> None:
        """The broker forgets what it kept for the gateway."""
        self.cut()
        self._forget()

    # --- the gateway's side

    @asynccontextmanager
    async def connect(self, settings: MqttSettings, will: OutgoingMessage) -> AsyncGenerator["FakeConnection"]:
        """In place of gateway.mqtt.client.connect."""
        await asyncio.sleep(PUBACK_S)
        if self.down:
            raise Unreachable("no broker")
        self._expire()
        self.cut()
        connection = FakeConnection(self, session_present=self._has_session)
        self._connection, self._has_session = connection, True
        self.connections += 1
        self.connected_since_us = self._now_us()
        try:
            yield connection
        finally:
            connection.end()

    def inbox(self) -> deque[InboundMessage]:
        """What waits for the gateway, oldest first."""
        return self._queue

    def acknowledged(self, message: InboundMessage) -> None:
        """Called by the message."""
        if message in self._queue:
            self._queue.remove(message)
        message.taken(True)

    def ended(self, connection: "FakeConnection") -> None:
        """Called by the connection."""
        if self._connection is connection:
            self._connection, self._left_us = None, self._now_us()
            self.ended_s_by_number[self.connections] = asyncio.get_running_loop().time()
            self.connected_since_us = None

    @property
    def connected(self) -> bool:
        """Whether the gateway is connected."""
        return self._connection is not None

    def _expire(self) -> None:
        if self._connection is None and self._has_session and self._now_us() - self._left_us > SESSION_EXPIRY_US:
            self._forget()

    def _forget(self) -> None:
        for message in self._queue:
            if message.given_to is not None:
                message.taken(False)
        self._queue.clear()
        self._has_session = False


class FakeConnection:
    """What gateway.mqtt.client.Connection is to the rest of the gateway."""

    protocol = "5.0"
    window = 20
    busy = False
    dropped = 0

    def __init__(self, broker: Broker, *, session_present: bool) -> None:
        self.session_present = session_present
        self.ended = False
        self.arrived = asyncio.Event()
        self._broker = broker
        self._unanswered: dict[int, asyncio.Future[int]] = {}
        self._numbers = itertools.count()

    def end(self) -> None:
        """It is lost or closed."""
        if self.ended:
            return
        self.ended = True
        self._broker.ended(self)
        for future in self._unanswered.values():
            if not future.done():
                future.set_exception(Disconnected("lost"))
                future.exception()  # seen: whoever waits for it sees it too
        self._unanswered.clear()
        self.arrived.set()

    def send(self, message: OutgoingMessage) -> asyncio.Future[int]:
        """Send at QoS 1; the future gives the PUBACK's reason."""
        if self.ended:
            raise Disconnected("lost")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        number = next(self._numbers)
        self._unanswered[number] = future
        self._broker.received(message.topic, message.payload)
        if not self._broker.lose_pubacks:
            loop.call_later(PUBACK_S, self._answer, number)
        return future

    def _answer(self, number: int) -> None:
        future = self._unanswered.pop(number, None)
        if future is not None and not future.done():
            future.set_result(0)

    async def publish(self, message: OutgoingMessage) -> PubAck:
        """Send at QoS 1 and wait for the broker."""
        return PubAck(await self.send(message))

    def publish_many(self, messages: Iterable[OutgoingMessage]) -> None:
        """QoS 0: nobody here wants it."""

    async def subscribe(self, filters: Sequence[str], with_retained: bool = False, qos: int = 1) -> None:
        """Everything is granted."""
        await asyncio.sleep(PUBACK_S)

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """None of them was there."""
        await asyncio.sleep(PUBACK_S)

    async def messages(self) -> AsyncIterator[InboundMessage]:
        """Inbound messages as they come."""
        while True:
            if self.ended:
                raise Disconnected("lost")
            message = next((each for each in self._broker.inbox() if each.given_to is not self), None)
            if message is None:
                self.arrived.clear()
                await self.arrived.wait()
            else:
                message.given_to = self
                yield message

    async def disconnect(self) -> None:
        """Say goodbye."""
        self.end()
