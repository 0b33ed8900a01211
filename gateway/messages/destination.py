"""The topic, QoS, retain, expiry and content type of a message; made from CHANNELS by `gateway.mqtt.topics`."""

import msgspec


class Destination(msgspec.Struct, frozen=True):
    """A topic with all that a publisher sets on it."""

    topic: str
    qos: int
    retain: bool
    expiry_s: int | None  # None: the broker keeps it without limit
    content_type: str
