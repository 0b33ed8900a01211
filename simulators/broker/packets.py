"""MQTT 3.1.1 and 5.0 packets as the demo broker reads and writes them. Pure; section numbers are of MQTT 5.0."""

import struct
from collections.abc import Mapping
from enum import IntEnum

import msgspec

V311 = 4  # protocol levels as CONNECT carries them
V5 = 5

PropertyValue = int | str | bytes | list[tuple[str, str]]
Properties = Mapping[int, PropertyValue]
NO_PROPERTIES: Properties = {}


class Malformed(Exception):
    """The bytes are no packet of the protocol."""


class PacketType(IntEnum):
    """Control packet types (2.1.2)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class Prop(IntEnum):
    """The property identifiers this broker acts on or forwards (2.2.2.2)."""

    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    WILL_DELAY = 0x18
    RECEIVE_MAXIMUM = 0x21
    USER = 0x26
    SUBSCRIPTION_IDS_AVAILABLE = 0x29
    SHARED_AVAILABLE = 0x2A


class ReasonCode(IntEnum):
    """Reason codes this broker gives (2.4)."""

    SUCCESS = 0x00
    WITH_WILL = 0x04  # DISCONNECT reason: publish the will
    NOBODY_LISTENS = 0x10
    UNSPECIFIED = 0x80
    MALFORMED = 0x81
    UNSUPPORTED_PROTOCOL = 0x84
    BAD_CREDENTIALS = 0x86
    NOT_AUTHORIZED = 0x87
    SHUTTING_DOWN = 0x8B
    KEEPALIVE_TIMEOUT = 0x8D
    TAKEN_OVER = 0x8E
    BAD_FILTER = 0x8F
    NOT_SUBSCRIBED = 0x11


_BYTES = frozenset({0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A})
_U16 = frozenset({0x13, 0x21, 0x22, 0x23})
_U32 = frozenset({0x02, 0x11, 0x18, 0x27})
_TEXT = frozenset({0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F})
_BINARY = frozenset({0x09, 0x16})
_VARINT = 0x0B


def number(properties: Properties, name: int, default: int) -> int:
    """An integer property, or `default` if it is absent."""
    value = properties.get(name, default)
    return value if isinstance(value, int) else default


class Publish(msgspec.Struct, frozen=True):
    """A PUBLISH packet, received or to be sent."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES
    packet_id: int = 0
    dup: bool = False


class Connect(msgspec.Struct, frozen=True):
    """A CONNECT packet."""

    level: int
    client_id: str
    clean: bool
    keepalive_s: int
    properties: Properties
    will: Publish | None
    username: str | None
    password: bytes | None


class Subscription(msgspec.Struct, frozen=True):
    """One topic filter of a SUBSCRIBE with its options (3.8.3.1)."""

    pattern: str
    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


def split(buffer: bytearray) -> tuple[list[tuple[int, bytes]], int]:
    """The complete packets at the start of `buffer` as (first byte, body), and their length in bytes."""
    packets: list[tuple[int, bytes]] = []
    start = 0
    while True:
        length = 0
        at = start + 1
        for shift in (0, 7, 14, 21):
            if at >= len(buffer):
                return packets, start
            byte = buffer[at]
            length |= (byte & 0x7F) << shift
            at += 1
            if byte < 0x80:
                break
        else:
            raise Malformed("remaining length of more than four bytes")
        if at + length > len(buffer):
            return packets, start
        packets.append((buffer[start], bytes(buffer[at : at + length])))
        start = at + length


class Cursor:
    """Reads the fields of a packet's body in order. Raises Malformed past its end."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    @property
    def at_end(self) -> bool:
        """Whether the body is read completely."""
        return self._at >= len(self._body)

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self._at + count
        if end > len(self._body):
            raise Malformed("packet too short")
        taken = self._body[self._at : end]
        self._at = end
        return taken

    def rest(self) -> bytes:
        """All remaining bytes."""
        return self.take(len(self._body) - self._at)

    def byte(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """A two-byte integer."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """A four-byte integer."""
        return int.from_bytes(self.take(4), "big")

    def binary(self) -> bytes:
        """Binary data with a two-byte length prefix."""
        return self.take(self.u16())

    def text(self) -> str:
        """A UTF-8 string with a two-byte length prefix."""
        try:
            return self.binary().decode()
        except UnicodeDecodeError:
            raise Malformed("a string is not UTF-8") from None

    def varint(self) -> int:
        """A variable byte integer (1.5.5)."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise Malformed("variable byte integer of more than four bytes")

    def properties(self) -> Properties:
        """A property list with its length prefix (2.2.2)."""
        inner = Cursor(self.take(self.varint()))
        found: dict[int, PropertyValue] = {}
        users: list[tuple[str, str]] = []
        while not inner.at_end:
            name = inner.byte()
            if name == Prop.USER:
                users.append((inner.text(), inner.text()))
            else:
                found[name] = inner.property_value(name)
        if users:
            found[Prop.USER] = users
        return found

    def property_value(self, name: int) -> int | str | bytes:
        """The value of the property `name`, which determines its type."""
        if name in _BYTES:
            return self.byte()
        if name in _U16:
            return self.u16()
        if name in _U32:
            return self.u32()
        if name in _TEXT:
            return self.text()
        if name in _BINARY:
            return self.binary()
        if name == _VARINT:
            return self.varint()
        raise Malformed(f"unknown property 0x{name:02x}")


def parse_connect(body: bytes) -> Connect:
    """CONNECT (3.1). With an unknown protocol level all other fields are empty."""
    cursor = Cursor(body)
    if cursor.text() != "MQTT":
        raise Malformed("not MQTT")
    level = cursor.byte()
    if level not in (V311, V5):
        return Connect(level, "", True, 0, NO_PROPERTIES, None, None, None)
    flags = cursor.byte()
    keepalive_s = cursor.u16()
    properties = cursor.properties() if level == V5 else NO_PROPERTIES
    client_id = cursor.text()
    will = None
    if flags & 0x04:
        will_properties = cursor.properties() if level == V5 else NO_PROPERTIES
        will = Publish(cursor.text(), cursor.binary(), flags >> 3 & 3, bool(flags & 0x20), will_properties)
    username = cursor.text() if flags & 0x80 else None
    password = cursor.binary() if flags & 0x40 else None
    return Connect(level, client_id, bool(flags & 0x02), keepalive_s, properties, will, username, password)


def parse_publish(head: int, body: bytes, level: int) -> Publish:
    """PUBLISH (3.3)."""
    cursor = Cursor(body)
    qos = head >> 1 & 3
    topic = cursor.text()
    if qos == 3 or not topic or "+" in topic or "#" in topic:
        raise Malformed("bad topic or QoS in a PUBLISH")
    packet_id = cursor.u16() if qos else 0
    properties = cursor.properties() if level == V5 else NO_PROPERTIES
    return Publish(topic, cursor.rest(), qos, bool(head & 1), properties, packet_id, bool(head & 8))


def parse_subscribe(body: bytes, level: int) -> tuple[int, list[Subscription]]:
    """SUBSCRIBE (3.8): the packet id and the filters."""
    cursor = Cursor(body)
    packet_id = cursor.u16()
    if level == V5:
        cursor.properties()
    wanted: list[Subscription] = []
    while not cursor.at_end:
        pattern = cursor.text()
        options = cursor.byte()
        wanted.append(Subscription(pattern, options & 3, bool(options & 4), bool(options & 8), options >> 4 & 3))
    return packet_id, wanted


def parse_unsubscribe(body: bytes, level: int) -> tuple[int, list[str]]:
    """UNSUBSCRIBE (3.10): the packet id and the filters."""
    cursor = Cursor(body)
    packet_id = cursor.u16()
    if level == V5:
        cursor.properties()
    patterns: list[str] = []
    while not cursor.at_end:
        patterns.append(cursor.text())
    return packet_id, patterns


def packet(head: int, body: bytes) -> bytes:
    """A complete packet: first byte, remaining length, body."""
    return bytes((head,)) + _varint(len(body)) + body


def publish(message: Publish, level: int) -> bytes:
    """PUBLISH (3.3)."""
    topic = message.topic.encode()
    parts = [struct.pack(">H", len(topic)), topic]
    if message.qos:
        parts.append(struct.pack(">H", message.packet_id))
    if level == V5:
        parts.append(properties(message.properties))
    parts.append(message.payload)
    head = PacketType.PUBLISH << 4 | message.dup << 3 | message.qos << 1 | message.retain
    return packet(head, b"".join(parts))


def answer(kind: PacketType, packet_id: int, reason: int, level: int) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP. The reason is sent in MQTT 5 only, and omitted if 0 (3.4.2.1)."""
    head = kind << 4 | (2 if kind is PacketType.PUBREL else 0)
    body = struct.pack(">H", packet_id)
    return packet(head, body + bytes((reason,)) if level == V5 and reason else body)


def properties(values: Properties) -> bytes:
    """A property list with its length prefix."""
    if not values:
        return b"\x00"
    encoded = b"".join(_property(name, value) for name, value in values.items())
    return _varint(len(encoded)) + encoded


def _property(name: int, value: PropertyValue) -> bytes:
    if isinstance(value, list):
        return b"".join(bytes((name,)) + _text(key) + _text(text) for key, text in value)
    if isinstance(value, str):
        return bytes((name,)) + _text(value)
    if isinstance(value, bytes):
        return bytes((name,)) + struct.pack(">H", len(value)) + value
    width = 1 if name in _BYTES else 2 if name in _U16 else 4
    return bytes((name,)) + value.to_bytes(width, "big")


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack(">H", len(encoded)) + encoded


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        encoded.append(low | (0x80 if value else 0))
        if not value:
            return bytes(encoded)
