"""The types of a broker connection: settings, messages, answers, counters, errors. No MQTT library is imported here."""

from pathlib import Path
from typing import Self

import msgspec

from gateway.messages.destination import Destination

PORTS = {"mqtt": 1883, "mqtts": 8883}
REFUSED_FROM = 0x80  # reason codes from here on are failures (MQTT 5, 2.4)
NOBODY_LISTENS = 0x10  # a success: no matching subscribers
UNSUPPORTED_PROTOCOL = 0x84
BAD_CREDENTIALS = 0x86
NOT_AUTHORIZED = 0x87
PACKET_TOO_LARGE = 0x95
KEEPALIVE_TIMEOUT = 0x8D
TAKEN_OVER = 0x8E  # session taken over: another client connected with the same client id
KEEPALIVE_S = 15  # unless a site says otherwise


class TlsFiles(msgspec.Struct, frozen=True):
    """PEM files. `ca` verifies the broker; `certificate` and `key` are the client's, if the broker requires them."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None


class MqttSettings(msgspec.Struct, frozen=True):
    """How to reach the broker. The password stays in its file and is read at every connect."""

    host: str
    client_id: str
    port: int = PORTS["mqtt"]
    tls: TlsFiles | None = None
    username: str | None = None
    password_file: Path | None = None
    keepalive_s: int = KEEPALIVE_S  # a connection without traffic from the broker is closed within this time
    connect_timeout_s: float = 10.0
    ack_timeout_s: float = 15.0  # a PUBACK later than this ends the connection: only a new one repeats (4.4)
    session_expiry_s: int = 7 * 86_400  # how long the broker keeps inbound messages while offline; 0: not at all
    will_delay_s: int = 10  # a shorter outage is not announced


class OutgoingMessage(msgspec.Struct, frozen=True):
    """A message to publish. `expiry_s` and `content_type` are sent only with MQTT 5."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    content_type: str = ""
    expiry_s: int | None = None

    @classmethod
    def to(cls, destination: Destination, payload: bytes) -> Self:
        """A message with the settings of its destination."""
        return cls(
            destination.topic,
            payload,
            destination.qos,
            destination.retain,
            destination.content_type,
            destination.expiry_s,
        )


class PubAck(msgspec.Struct, frozen=True):
    """The broker accepted a QoS 1 message: reason 0, 0x10 (no subscriber), or UNPROVEN with 3.1.1."""

    reason: int

    @property
    def no_subscriber(self) -> bool:
        """Whether the topic has no subscriber."""
        return self.reason == NOBODY_LISTENS


class MqttCounters(msgspec.Struct):
    """Monotonic counters since the gateway's start; one mutable instance for all parts of gateway.mqtt."""

    connects: int = 0
    sessions_begun: int = 0  # connections for which the broker had no session of ours
    losses: int = 0
    connect_failures: int = 0
    published: int = 0  # outbox rows that the broker accepted
    no_subscriber: int = 0  # attempts that the broker accepted without a subscriber
    refused: int = 0  # attempts that the broker refused
    statuses: int = 0
    statuses_refused: int = 0
    subscriptions_refused: int = 0  # attempts
    telemetry_sent: int = 0
    telemetry_dropped: int = 0  # dropped from the full buffer, or expired
    inbound: int = 0  # handled and acknowledged
    inbound_dropped: int = 0  # statuses of other gateways, while too many waited
    inbound_unconfigured: int = 0  # dropped: of topics that an earlier configuration subscribed to
    inbound_retained: int = 0  # ignored: a stale "infusion ended" must not start a clock


class MqttDown(Exception):
    """There is no connection to the broker."""


class Unreachable(MqttDown):
    """The broker could not be reached, or did not answer in time."""


class Disconnected(MqttDown):
    """An established connection ended.

    `reason` is the broker's MQTT 5 reason code, None where it gave none. `by_broker`: its side ended it, not ours.
    """

    def __init__(self, detail: str, reason: int | None = None, *, by_broker: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.by_broker = by_broker

    def again(self) -> "Disconnected":
        """A copy for another waiter: a raised exception must not be shared, as it collects its traceback."""
        return Disconnected(str(self), self.reason, by_broker=self.by_broker)


class ConnectRefused(MqttDown):
    """The broker answered CONNECT with a failure; `reason` is the MQTT 5 code, also under 3.1.1."""

    def __init__(self, detail: str, reason: int) -> None:
        super().__init__(detail)
        self.reason = reason


class BadCredentials(ConnectRefused):
    """User name, password or certificate were refused, or the password file cannot be read."""


class BadTls(MqttDown):
    """The broker's certificate is not valid, or the client's TLS files cannot be used."""


class PublishRefused(Exception):
    """The broker refused a publish or a subscription; the connection goes on. `reason` is 0x80 or above."""

    def __init__(self, topic: str, reason: int) -> None:
        super().__init__(f"{topic}: 0x{reason:02x}")
        self.topic = topic
        self.reason = reason
