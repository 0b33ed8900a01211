"""Adapts the MQTT library so that no message is lost. A PahoConnection serves one connection and is not reused.

Theory of operation. aiomqtt connects paho's protocol code to the event loop; three of its behaviours would lose
messages, so `PahoConnection` replaces them: it drops PUBACK reason codes, leaves publishes waiting when the connection
ends, and acknowledges inbound messages before they are recorded. And paho queues publishes while offline and sends them
later by itself; hence a new instance for each connection, and the outbox as the only queue.

Three events end a wait for the broker: its answer, the end of the connection (`_lose`, whichever part notices it), and
the settings' `ack_timeout_s`, after which the connection is closed, since MQTT repeats a message only on a new
connection.

QoS 0 batches bypass paho's publish: their packets are built by hand and leave in a single send.

Private names of paho and aiomqtt used here are tested against two brokers in tests/broker; both versions are pinned.
"""

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.ledger.batch import UNPROVEN
from gateway.mqtt.credentials import Credentials
from gateway.mqtt.packets import qos1_overhead
from gateway.mqtt.paho_glue import (
    LastLoggedError,
    connect_properties,
    last_will,
    publish_properties,
    refusal,
    subscribe_options,
    translated,
)
from gateway.mqtt.pending_acks import PendingAcks
from gateway.mqtt.types import KEEPALIVE_TIMEOUT, PACKET_TOO_LARGE, Disconnected, MqttSettings, OutgoingMessage

LARGEST_INBOX = 1000  # inbound QoS 0 messages waiting; later ones are dropped
LARGEST_PACKET = 268_435_460  # MQTT's own limit, bytes
OUR_WINDOW = 20  # most publishes in flight, unless the broker sets a lower limit
TICK_S = 1.0
DISCONNECT_WAIT_S = 1.0


class Inbound:
    """A message from the broker, which repeats it on the next connection unless `ack` was called."""

    __slots__ = ("_connection", "_packet_id", "payload", "qos", "retain", "topic")

    def __init__(self, connection: "PahoConnection", message: paho.MQTTMessage) -> None:
        self.topic = message.topic
        self.payload = bytes(message.payload)
        self.qos = message.qos
        self.retain = message.retain
        self._connection = connection
        self._packet_id = message.mid

    def ack(self) -> None:
        """Acknowledge it to the broker. To be called after the commit; no effect once the connection is lost."""
        if self.qos:
            self._connection.acknowledge(self._packet_id, self.qos)


class PahoConnection(aiomqtt.Client):
    """One connection by aiomqtt. Methods that use the broker raise Disconnected once it has ended."""

    def __init__(
        self, settings: MqttSettings, will: OutgoingMessage | None, credentials: Credentials, mqtt5: bool
    ) -> None:
        self._last_error = LastLoggedError()
        super().__init__(
            settings.host,
            settings.port,
            username=settings.username,
            password=credentials.password,
            tls_context=credentials.tls,
            identifier=settings.client_id,
            protocol=aiomqtt.ProtocolVersion.V5 if mqtt5 else aiomqtt.ProtocolVersion.V311,
            clean_session=None if mqtt5 else settings.session_expiry_s == 0,
            clean_start=False if mqtt5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
            properties=connect_properties(settings) if mqtt5 else None,
            will=None if will is None else last_will(will, settings.will_delay_s, mqtt5),
            keepalive=settings.keepalive_s,
            timeout=settings.connect_timeout_s,
            logger=self._last_error.logger,
        )
        self._client.manual_ack_set(True)
        self._client.connect_timeout = settings.connect_timeout_s
        self.mqtt5 = mqtt5
        self.session_present = False
        self.window = OUR_WINDOW
        self.largest_packet = LARGEST_PACKET  # the broker's limit, bytes
        self.inbox: deque[Inbound] = deque()
        self.dropped = 0  # inbound QoS 0 messages that found the inbox full
        self.arrived = asyncio.Event()  # a message arrived, or the connection ended
        self._pending_acks = PendingAcks(self._loop, settings.ack_timeout_s)
        self._ack_timeout_s = settings.ack_timeout_s
        self._end: Disconnected | None = None
        self._loop_thread = threading.get_ident()
        self._disconnected.add_done_callback(self._on_library_error)

    async def open(self) -> None:
        """Connect within the timeout. Raises MqttDown and leaves nothing open, also when cancelled."""
        connecting = self._loop.run_in_executor(None, self._client_connect)
        try:
            async with asyncio.timeout(self.timeout):
                await asyncio.shield(connecting)
                await self._connected
        except BaseException as error:
            if connecting.done():
                await self.close()
            else:  # paho still connects in its thread: close when it is done
                connecting.add_done_callback(self._abandon)
            down = translated(error, self.timeout)
            if down is not None:
                raise down from error
            raise
        self.check()

    async def close(self) -> None:
        """Close the connection, if it is still open, and wait for the library's helper task."""
        self._cut("closed")
        if self._misc_task is not None:
            self._misc_task.cancel()
            await asyncio.wait((self._misc_task,))

    @property
    def ended(self) -> bool:
        """Whether the connection was lost or closed."""
        return self._end is not None

    def check(self) -> None:
        """Raise Disconnected if the connection has ended."""
        if self._end is not None:
            raise self._end.again()

    @property
    def busy(self) -> bool:
        """Whether bytes sent earlier are still queued for the socket."""
        self.check()
        return self._client.want_write()

    def begin_publish(self, message: OutgoingMessage) -> asyncio.Future[int]:
        """Send at QoS 1; the future gives the PUBACK's reason code.

        A message above the broker's limit would end the connection at every retry, so it is refused here.
        """
        self.check()
        if len(message.payload) > self.largest_payload(message):
            refused: asyncio.Future[int] = self._loop.create_future()
            refused.set_result(PACKET_TOO_LARGE)
            return refused
        properties = publish_properties(message) if self.mqtt5 else None
        info = self._client.publish(message.topic, message.payload, message.qos, message.retain, properties)
        return self._expect(info.rc, info.mid)

    def largest_payload(self, message: OutgoingMessage) -> int:
        """The largest payload of such a message, bytes."""
        return self.largest_packet - qos1_overhead(message, self.mqtt5)

    def begin_subscribe(self, filters: Sequence[str], with_retained: bool, qos: int) -> asyncio.Future[int]:
        """Subscribe; the future gives the worst reason code of all filters."""
        self.check()
        if self.mqtt5:
            options = subscribe_options(with_retained, qos)
            code, mid = self._client.subscribe([(pattern, options) for pattern in filters])
        else:
            code, mid = self._client.subscribe([(pattern, qos) for pattern in filters])
        return self._expect(code, mid or 0)

    def begin_unsubscribe(self, filters: Sequence[str]) -> asyncio.Future[int]:
        """Unsubscribe; the future answer is the worst reason of all filters, 0 under MQTT 3.1.1."""
        self.check()
        code, mid = self._client.unsubscribe(list(filters))
        return self._expect(code, mid or 0)

    def send(self, packets: bytes) -> None:
        """Send complete encoded packets that get no acknowledgement."""
        self.check()
        self._client._packet_queue(paho.PUBLISH, packets, 0, 1)  # pyright: ignore[reportPrivateUsage] as QoS 1: paho then reports nothing per packet
        self._flush()

    def acknowledge(self, packet_id: int, qos: int) -> None:
        """Send the PUBACK of an inbound message."""
        if self._end is None:
            self._client.ack(packet_id, qos)
            self._flush()

    async def send_disconnect(self) -> None:
        """Send DISCONNECT, and wait a moment until it is sent."""
        self.check()
        self._client.disconnect()
        self._flush()
        with suppress(TimeoutError):
            async with asyncio.timeout(DISCONNECT_WAIT_S):
                while self._end is None:
                    self.arrived.clear()
                    await self.arrived.wait()

    def _expect(self, code: int, packet_id: int) -> asyncio.Future[int]:
        """The future acknowledgement of a packet given to paho, whose return code was `code`."""
        if code != paho.MQTT_ERR_SUCCESS:
            raise Disconnected(paho.error_string(code))
        future = self._pending_acks.expect(packet_id)
        self._flush()
        return future

    def _flush(self) -> None:
        """Write queued bytes to the socket now; the event loop's writer sends the rest."""
        self._client.loop_write()

    def _abandon(self, connecting: asyncio.Future[None]) -> None:
        connecting.exception()  # retrieved, so that asyncio does not warn: the attempt was given up
        self._cut("abandoned")
        if self._misc_task is not None:
            self._misc_task.cancel()

    def _cut(self, detail: str) -> None:
        self._client._sock_close()  # pyright: ignore[reportPrivateUsage] the public way out waits for the network
        self._lose(Disconnected(detail))

    def _lose(self, end: Disconnected) -> None:
        """The only place where a connection ends: fail everything that waits for it."""
        if self._end is not None:
            return
        self._end = end
        if not self._connected.done():
            self._connected.set_exception(self._last_error.as_error())
            self._connected.exception()  # retrieved, so that asyncio does not warn after a timeout
        if not self._disconnected.done():
            self._disconnected.set_result(None)
        self._pending_acks.fail(end)
        self.arrived.set()

    def _on_library_error(self, disconnected: asyncio.Future[None]) -> None:
        """Called when aiomqtt caught an exception in paho, which then reports no disconnect."""
        error = None if disconnected.cancelled() else disconnected.exception()
        if error is not None:
            self._cut(str(error))

    # The methods below override aiomqtt's callbacks, which paho calls; the signatures are theirs.

    def _client_connect(self) -> None:
        super()._client_connect()
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else the first PUBACK takes 42 ms

    def _on_connect(
        self,
        client: paho.Client,
        userdata: object,
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if self._connected.done():
            return
        if reason_code.is_failure:
            self._connected.set_exception(refusal(reason_code))
            return
        self.session_present = flags.session_present
        self.window = min(OUR_WINDOW, int(getattr(properties, "ReceiveMaximum", OUR_WINDOW)))
        self.largest_packet = int(getattr(properties, "MaximumPacketSize", LARGEST_PACKET))
        client._max_inflight_messages = self.window  # pyright: ignore[reportPrivateUsage] the setter refuses while connected
        half_s = max(1, client.keepalive // 2)  # paho gives a silent broker up after two of them
        client._keepalive = half_s  # pyright: ignore[reportPrivateUsage] as above
        self._connected.set_result(None)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: object,
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._lose(Disconnected(str(reason_code), reason_code.value, by_broker=True))
        else:
            by_broker = reason_code.value != KEEPALIVE_TIMEOUT
            self._lose(Disconnected(self._last_error.text or str(reason_code), by_broker=by_broker))

    def _on_publish(
        self, client: paho.Client, userdata: object, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        self._pending_acks.settle(mid, reason_code.value if self.mqtt5 else UNPROVEN)

    def _on_subscribe(
        self,
        client: paho.Client,
        userdata: object,
        mid: int,
        reason_codes: list[ReasonCode],
        properties: Properties | None = None,
    ) -> None:
        self._pending_acks.settle(
            mid, max((code.value for code in reason_codes), default=0)
        )  # 3.1.1 has none of UNSUBACK

    _on_unsubscribe = _on_subscribe

    def _on_message(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        if message.qos or len(self.inbox) < LARGEST_INBOX:
            self.inbox.append(Inbound(self, message))
            self.arrived.set()
        else:
            self.dropped += 1

    def _on_socket_register_write(self, client: paho.Client, userdata: object, sock: socket.socket) -> None:
        if threading.get_ident() == self._loop_thread:
            self._loop.call_soon(self._watch_writable, sock)
        else:
            self._loop.call_soon_threadsafe(self._watch_writable, sock)

    def _watch_writable(self, sock: socket.socket) -> None:
        if self._client.want_write() and sock.fileno() >= 0:  # else it was sent, or closed, in the meantime
            self._loop.add_writer(sock.fileno(), self._flush)

    async def _misc_loop(self) -> None:
        while self._client.loop_misc() == paho.MQTT_ERR_SUCCESS:
            await asyncio.sleep(min(TICK_S, self._ack_timeout_s / 4))
            if self._pending_acks.overdue():
                self._cut(f"no PUBACK within {self._ack_timeout_s:g} s")
