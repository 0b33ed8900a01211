"""What the MQTT side counts, for metrics and the page. Plain numbers that only grow, since the gateway's start."""

import msgspec


class MqttCounters(msgspec.Struct):
    """Mutable: the parts of gateway.mqtt add to one instance."""

    connects: int = 0
    losses: int = 0
    connect_failures: int = 0
    published: int = 0  # outbox rows the broker took
    no_subscriber: int = 0  # attempts that reached the broker while nobody was subscribed
    refused: int = 0  # attempts that the broker refused
    statuses: int = 0
    statuses_refused: int = 0
    telemetry_sent: int = 0
    telemetry_dropped: int = 0  # pushed out of the full buffer, or too old when the link was there
    inbound: int = 0  # handled and acknowledged
    inbound_retained: int = 0  # ignored: a stale "infusion ended" must not start a clock
