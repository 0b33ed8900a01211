"""A paho client in its own thread, with blocking calls: shares no code with the gateway or its broker."""

import queue
import socket
import ssl
import struct
from typing import TypedDict, Unpack

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.broker.harness import HANGS_S, wait_until

SILENCE_S = 0.2  # without a message, after which a client counts as silent


class PahoOptions(TypedDict, total=False):
    """The connect options of a PahoClient."""

    clean: bool
    will: tuple[str, bytes]
    connect: dict[str, int]  # CONNECT properties
    will_delay_s: int
    manual_ack: bool
    tls: ssl.SSLContext


class SubscriptionOptions(TypedDict, total=False):
    """MQTT 5 subscription options, by paho's names."""

    noLocal: bool
    retainAsPublished: bool
    retainHandling: int


class PahoClient:
    """One connected client. By default its session ends with the connection (`clean`)."""

    def __init__(self, port: int, version: int, name: str, **options: Unpack[PahoOptions]) -> None:
        clean, will, will_delay_s = options.get("clean", True), options.get("will"), options.get("will_delay_s", 0)
        self.version = version
        old = version == paho.MQTTv311
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            name,
            clean if old else None,
            protocol=MQTTProtocolVersion(version),
            reconnect_on_failure=False,
        )
        self.client.manual_ack_set(options.get("manual_ack", False))
        if "tls" in options:
            self.client.tls_set_context(options["tls"])  # pyright: ignore[reportUnknownMemberType] - paho leaves it untyped
        self.messages: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self.acked: dict[int, int] = {}
        self.granted: dict[int, list[int]] = {}
        self.session_present: bool | None = None
        self.assigned_id = ""
        self.gone: int | None = None
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.on_publish = lambda _c, _u, mid, reason, _p: self.acked.update({mid: reason.value})
        self.client.on_subscribe = lambda _c, _u, mid, reasons, _p: self.granted.update(
            {mid: [reason.value for reason in reasons]}
        )
        self.client.on_connect = self._connected
        self.client.on_disconnect = self._disconnected
        if will is not None:
            delay = Properties(PacketTypes.WILLMESSAGE)
            if will_delay_s:
                delay.WillDelayInterval = will_delay_s
            self.client.will_set(will[0], will[1], 1, False, None if old else delay)
        properties = Properties(PacketTypes.CONNECT)
        for key, value in options.get("connect", {}).items():
            setattr(properties, key, value)
        if old:
            self.client.connect("127.0.0.1", port)
        else:
            self.client.connect("127.0.0.1", port, clean_start=clean, properties=properties)
        self.client.loop_start()
        wait_until(lambda: self.session_present is not None, "CONNACK")

    def _connected(
        self, _c: object, _u: object, flags: paho.ConnectFlags, _r: object, properties: Properties | None
    ) -> None:
        self.session_present = flags.session_present
        self.assigned_id = getattr(properties, "AssignedClientIdentifier", "")

    def _disconnected(self, _c: object, _u: object, _f: object, reason: ReasonCode, _p: object) -> None:
        self.gone = reason.value

    def publish(
        self, topic: str, payload: bytes, qos: int = 1, retain: bool = False, properties: Properties | None = None
    ) -> int:
        """Publish; returns the reason code of the PUBACK or PUBCOMP."""
        mid = self.client.publish(topic, payload, qos, retain, properties).mid
        wait_until(lambda: mid in self.acked, f"the broker acknowledges {topic}")
        return self.acked[mid]

    def subscribe(self, pattern: str, qos: int = 1, **options: Unpack[SubscriptionOptions]) -> list[int]:
        """Subscribe and return the granted QoS or reason of each filter."""
        wanted = SubscribeOptions(qos, **options) if self.version == paho.MQTTv5 else None
        _, mid = self.client.subscribe(pattern, 0 if wanted else qos, wanted)
        wait_until(lambda: mid in self.granted, f"SUBACK for {pattern}")
        return self.granted[mid or 0]

    def next(self) -> paho.MQTTMessage:
        """The next message. Raises queue.Empty after HANGS_S."""
        return self.messages.get(timeout=HANGS_S)

    def is_silent(self) -> bool:
        """Whether no message comes within SILENCE_S."""
        try:
            self.messages.get(timeout=SILENCE_S)
        except queue.Empty:
            return True
        return False

    def disconnect(self) -> None:
        """Send DISCONNECT, and stop the thread."""
        self.client.disconnect()
        self.client.loop_stop()

    def cut(self) -> None:
        """Close the socket without DISCONNECT."""
        connection = self.client.socket()
        if isinstance(connection, socket.socket):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)
        self.client.disconnect()
        self.client.loop_stop()
