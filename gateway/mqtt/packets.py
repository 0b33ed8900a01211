"""Encodes QoS 0 PUBLISH packets, the hot path, and computes the size of QoS 1 ones. Pure.

Section numbers are those of the MQTT 5.0 specification.
"""

import struct
from collections.abc import Iterable

from gateway.mqtt.types import OutgoingMessage

PUBLISH_QOS0 = 0x30  # 3.3.1: type 3, no DUP, QoS 0, not retained
LONGEST_VARINT = 4
PAYLOAD_IS_UTF8 = b"\x01\x01"  # 3.3.2.3.2
MESSAGE_EXPIRY = struct.Struct(">BI")  # 3.3.2.3.3: identifier 2, seconds
CONTENT_TYPE = struct.Struct(">BH")  # 3.3.2.3.9: identifier 3, length


def publish_packets(messages: Iterable[OutgoingMessage], mqtt5: bool) -> bytes:
    """All `messages` as consecutive QoS 0 PUBLISH packets, whatever their `qos`."""
    parts: list[bytes] = []
    for message in messages:
        topic = message.topic.encode()
        properties = _properties(message) if mqtt5 else b""
        length = 2 + len(topic) + len(properties) + len(message.payload)
        parts += (
            bytes((PUBLISH_QOS0 | message.retain,)) + varint(length) + len(topic).to_bytes(2, "big"),
            topic,
            properties,
            message.payload,
        )
    return b"".join(parts)


def qos1_overhead(message: OutgoingMessage, mqtt5: bool) -> int:
    """The largest size of a QoS 1 PUBLISH packet without its payload, bytes."""
    properties = _properties(message) if mqtt5 else b""
    return 1 + LONGEST_VARINT + 2 + len(message.topic.encode()) + 2 + len(properties)


def _properties(message: OutgoingMessage) -> bytes:
    encoded = b"" if message.expiry_s is None else MESSAGE_EXPIRY.pack(2, message.expiry_s)
    if message.content_type:
        content_type = message.content_type.encode()
        encoded += PAYLOAD_IS_UTF8 + CONTENT_TYPE.pack(3, len(content_type)) + content_type
    return varint(len(encoded)) + encoded


def varint(value: int) -> bytes:
    """A variable byte integer (1.5.5), below 268 435 456."""
    if value < 0x80:
        return bytes((value,))
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
