"""The connection to the broker as the rest of the gateway uses it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from gateway.mqtt.credentials import read_credentials
from gateway.mqtt.packets import publish_packets
from gateway.mqtt.paho_client import Inbound, PahoConnection
from gateway.mqtt.types import (
    REFUSED_FROM,
    UNSUPPORTED_PROTOCOL,
    ConnectRefused,
    MqttSettings,
    OutgoingMessage,
    PubAck,
    PublishRefused,
)


class Connection:
    """One connection to the broker, made by `connect`. Every method raises Disconnected once it has ended."""

    def __init__(self, engine: PahoConnection) -> None:
        self._engine = engine
        self.protocol = "5.0" if engine.mqtt5 else "3.1.1"
        self.session_present = engine.session_present  # the broker still had our session
        self.window = engine.window  # QoS 1 messages the broker takes unacknowledged; more wait in here

    @property
    def ended(self) -> bool:
        """It is lost, or was closed."""
        return self._engine.ended

    def send(self, message: OutgoingMessage) -> asyncio.Future[int]:
        """Send at QoS 1. The future gives the PUBACK's reason, also a failure's, or raises Disconnected."""
        return self._engine.begin_publish(message)

    async def publish(self, message: OutgoingMessage) -> PubAck:
        """Send at QoS 1 and wait for the broker. Raises Refused with its reason code."""
        reason = await self.send(message)
        if reason >= REFUSED_FROM:
            raise PublishRefused(message.topic, reason)
        return PubAck(reason)

    @property
    def busy(self) -> bool:
        """Earlier bytes still wait for the network."""
        return self._engine.busy

    def publish_many(self, messages: Iterable[OutgoingMessage]) -> None:
        """Send all at QoS 0 in one go. While `busy` they only queue up, so do not call it then."""
        self._engine.send(publish_packets(messages, self._engine.mqtt5))

    async def subscribe(self, filters: Sequence[str], with_retained: bool = False) -> None:
        """Ask for the topics at QoS 1. Raises Refused.

        `with_retained` asks for what the broker retains as well; under MQTT 3.1.1 that comes in any case.
        """
        reason = await self._engine.begin_subscribe(filters, with_retained)
        if reason >= REFUSED_FROM:
            raise PublishRefused(", ".join(filters), reason)

    async def messages(self) -> AsyncIterator[Inbound]:
        """Inbound messages as they come; each must be acknowledged by its `ack`. Ends with Disconnected alone."""
        engine = self._engine
        while True:
            engine.check()
            if engine.inbox:
                yield engine.inbox.popleft()
            else:
                engine.arrived.clear()
                await engine.arrived.wait()

    async def disconnect(self) -> None:
        """Say goodbye, so that the broker discards the will."""
        await self._engine.say_goodbye()


@asynccontextmanager
async def connect(settings: MqttSettings, will: OutgoingMessage) -> AsyncGenerator[Connection]:
    """A connection by MQTT 5 or, if the broker refuses that, by 3.1.1, resuming the session of `settings.client_id`.

    Raises MqttDown (Unreachable, ConnectRefused, BadCredentials, BadTls). Leaving the context cuts the connection; the
    will stands unless `Connection.disconnect` was called.
    """
    credentials = await asyncio.to_thread(read_credentials, settings)
    engine = PahoConnection(settings, will, credentials, mqtt5=True)
    try:
        await engine.open()
    except ConnectRefused as refusal:
        if refusal.reason != UNSUPPORTED_PROTOCOL:
            raise
        engine = PahoConnection(settings, will, credentials, mqtt5=False)
        await engine.open()
    try:
        yield Connection(engine)
    finally:
        await engine.close()
