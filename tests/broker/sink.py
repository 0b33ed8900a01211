"""A simulated engine that records every message, reconnects by itself, and sends receipts."""

import json
import threading
from types import TracebackType
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.broker.gateway_side import INBOUND
from tests.broker.harness import wait_until

TOPIC = "ehr/gw/charge/json"


class Sink:
    """A client with the persistent session "engine". `answers` False: it sends no receipts."""

    def __init__(self, port: int, *, version: int = paho.MQTTv5, name: str = "engine", answers: bool = True) -> None:
        self.heard: list[bytes] = []
        self._answers = answers
        self._port = port
        self._old = version == paho.MQTTv311
        self._subscribed = threading.Event()
        self._name, self._version = name, version
        self._client = self._made()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.disconnect()

    def connect(self) -> None:
        """Connect, again or for the first time; returns once subscribed."""
        self._subscribed.clear()
        self._client = self._made()  # a new one, since a stopped paho client leaks sockets when restarted
        if self._old:
            self._client.connect("127.0.0.1", self._port)
        else:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 3600
            self._client.connect("127.0.0.1", self._port, clean_start=False, properties=properties)
        self._client.loop_start()
        wait_until(self._subscribed.is_set, "the engine subscribes")

    def disconnect(self) -> None:
        """Disconnect; the session is kept."""
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, text: str) -> None:
        """Publish an inbound message to the gateway."""
        self._client.publish(INBOUND, text, 1)

    def once(self) -> list[int]:
        """The numbers of the messages, in the order of their first arrival."""
        return list(dict.fromkeys(number_of(each) for each in self.heard))

    def _made(self) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            self._name,
            clean_session=False if self._old else None,
            protocol=MQTTProtocolVersion(self._version),
        )
        client.reconnect_delay_set(1, 1)
        client.on_connect = self._connected
        client.on_subscribe = self._granted
        client.on_message = self._message
        return client

    def _granted(self, *_: object) -> None:
        self._subscribed.set()

    def _connected(self, client: paho.Client, *_: object) -> None:
        client.subscribe(TOPIC, 1)

    def _message(self, client: paho.Client, _: object, message: paho.MQTTMessage) -> None:
        payload = bytes(message.payload)
        self.heard.append(payload)
        if self._answers:
            client.publish(INBOUND, f"ack e{number_of(payload)}", 1)


def number_of(payload: bytes) -> int:
    """The number in a message of `charge`."""
    return int(json.loads(payload)["number"])


def charge(number: int) -> bytes:
    """A message with its number."""
    return json.dumps({"number": number, "text": "grün"}, ensure_ascii=False).encode()
