"""Hand-made QoS 0 packets, against bytes written out from the specification."""

import pytest

from gateway.mqtt.packets import publish_packets, varint
from gateway.mqtt.types import OutgoingMessage


def test_a_packet_of_3_1_1_is_topic_and_payload_alone() -> None:
    packet = publish_packets([OutgoingMessage("a/b", b"hi", content_type="text/plain", expiry_s=5)], mqtt5=False)
    assert packet == bytes.fromhex("30 07 0003 612f62 6869")


def test_a_packet_of_5_0_carries_expiry_format_and_content_type() -> None:
    packet = publish_packets([OutgoingMessage("a/b", b"hi", content_type="x/y", expiry_s=120)], mqtt5=True)
    assert packet == bytes.fromhex("30 15 0003 612f62 0d 02 00000078 01 01 03 0003 782f79 6869")


def test_a_packet_without_properties_says_so() -> None:
    assert publish_packets([OutgoingMessage("a", b"")], mqtt5=True) == bytes.fromhex("30 04 0001 61 00")


def test_a_batch_is_its_packets_in_order() -> None:
    one, two = OutgoingMessage("a", b"1"), OutgoingMessage("b", b"2", retain=True)
    assert publish_packets([one, two], mqtt5=True) == publish_packets([one], True) + publish_packets([two], True)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"), (2_097_152, "80808001")],
)
def test_lengths_are_variable_byte_integers(value: int, encoded: str) -> None:
    assert varint(value) == bytes.fromhex(encoded)
