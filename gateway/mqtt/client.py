"""The interface of the broker connection for the rest of the gateway."""

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

    def __init__(self, client: PahoConnection) -> None:
        self._client = client
        self.protocol = "5.0" if client.mqtt5 else "3.1.1"
        self.session_present = client.session_present  # whether the broker resumed the MQTT session
        self.window = client.window  # QoS 1 messages that may be unacknowledged; more are queued here

    @property
    def ended(self) -> bool:
        """Whether the connection was lost or closed."""
        return self._client.ended

    @property
    def dropped(self) -> int:
        """The number of inbound QoS 0 messages that were dropped because too many waited."""
        return self._client.dropped

    def send(self, message: OutgoingMessage) -> asyncio.Future[int]:
        """Send at QoS 1. The future gives the PUBACK's reason code, also of a failure, or raises Disconnected."""
        return self._client.begin_publish(message)

    async def publish(self, message: OutgoingMessage) -> PubAck:
        """Send at QoS 1 and wait for the broker. Raises PublishRefused with its reason code."""
        reason = await self.send(message)
        if reason >= REFUSED_FROM:
            raise PublishRefused(message.topic, reason)
        return PubAck(reason)

    def largest_payload(self, message: OutgoingMessage) -> int:
        """The largest payload of such a message, bytes; a larger one is refused (0x95) without being sent."""
        return self._client.largest_payload(message)

    @property
    def busy(self) -> bool:
        """Whether bytes sent earlier are still queued for the socket."""
        return self._client.busy

    def publish_many(self, messages: Iterable[OutgoingMessage]) -> None:
        """Send all at QoS 0 in one call. Do not call it while `busy`: they would only be queued."""
        self._client.send(publish_packets(messages, self._client.mqtt5))

    async def subscribe(self, filters: Sequence[str], with_retained: bool = False, qos: int = 1) -> None:
        """Subscribe. At QoS 0 the broker queues nothing while the gateway is offline. Raises PublishRefused.

        `with_retained` asks for retained messages too; MQTT 3.1.1 sends them in any case.
        """
        reason = await self._client.begin_subscribe(filters, with_retained, qos)
        if reason >= REFUSED_FROM:
            raise PublishRefused(", ".join(filters), reason)

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """End subscriptions, those that there are. What a broker refuses it goes on sending."""
        await self._client.begin_unsubscribe(filters)

    async def messages(self) -> AsyncIterator[Inbound]:
        """Inbound messages; each must be acknowledged by its `ack`. Ends only by raising Disconnected."""
        client = self._client
        while True:
            client.check()
            if client.inbox:
                yield client.inbox.popleft()
            else:
                client.arrived.clear()
                await client.arrived.wait()

    async def disconnect(self) -> None:
        """Send DISCONNECT, so that the broker discards the will."""
        await self._client.send_disconnect()


@asynccontextmanager
async def connect(settings: MqttSettings, will: OutgoingMessage | None) -> AsyncGenerator[Connection]:
    """A connection by MQTT 5 or, if the broker refuses that, by 3.1.1, resuming the session of `settings.client_id`.

    Raises MqttDown (Unreachable, ConnectRefused, BadCredentials, BadTls). Leaving the context closes the connection;
    the broker then publishes the will unless `Connection.disconnect` was called.
    """
    credentials = await asyncio.to_thread(read_credentials, settings)
    client = PahoConnection(settings, will, credentials, mqtt5=True)
    try:
        await client.open()
    except ConnectRefused as refusal:
        if refusal.reason != UNSUPPORTED_PROTOCOL:
            raise
        client = PahoConnection(settings, will, credentials, mqtt5=False)
        await client.open()
    try:
        yield Connection(client)
    finally:
        await client.close()
