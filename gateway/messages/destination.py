"""Where a message goes and how the broker is to treat it; made from a channel's row by `gateway.mqtt.topics`."""

import msgspec


class Destination(msgspec.Struct, frozen=True):
    """A topic with all that a publisher sets on it."""

    topic: str
    qos: int
    retain: bool
    expiry_s: int | None  # None: the broker keeps it without limit
    content_type: str
