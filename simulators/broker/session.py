"""The demo broker's session state of a client, and the matching of topic filters. Pure.

Instants (`now_s`, `expires_s`) are seconds on the broker's clock.
"""

from collections import deque
from collections.abc import Iterable, Mapping

import msgspec

from simulators.broker.packets import Prop, Properties, Publish, Subscription

FORWARDED = frozenset(
    {Prop.PAYLOAD_FORMAT, Prop.CONTENT_TYPE, Prop.RESPONSE_TOPIC, Prop.CORRELATION_DATA, Prop.USER, Prop.MESSAGE_EXPIRY}
)
LARGEST_PACKET_ID = 65_535


def matches(pattern: str, topic: str) -> bool:
    """Whether a topic filter matches a topic. A leading wildcard does not match `$` topics (4.7.2)."""
    if pattern == topic:
        return True
    wanted, given = pattern.split("/"), topic.split("/")
    if given[0].startswith("$") and wanted[0] in ("#", "+"):
        return False
    for level, part in enumerate(wanted):
        if part == "#":
            return True
        if level >= len(given) or part not in ("+", given[level]):
            return False
    return len(wanted) == len(given)


def valid_filter(pattern: str) -> bool:
    """Whether each wildcard occupies a whole level, and `#` only the last (4.7.1)."""
    parts = pattern.split("/")
    alone = all(part in ("+", "#") or not ("+" in part or "#" in part) for part in parts)
    return bool(pattern) and alone and "#" not in parts[:-1]


class StoredMessage(msgspec.Struct, frozen=True):
    """A stored message: retained or queued."""

    message: Publish
    expires_s: float | None

    @classmethod
    def since(cls, message: Publish, now_s: float) -> "StoredMessage":
        """The message, stored at `now_s`."""
        expiry_s = message.properties.get(Prop.MESSAGE_EXPIRY)
        return cls(message, now_s + expiry_s if isinstance(expiry_s, int) else None)

    def at(self, now_s: float) -> Publish | None:
        """The message to send at `now_s`, its expiry reduced by the waiting time (3.3.2.3.3); None if expired."""
        if self.expires_s is None:
            return self.message
        left_s = int(self.expires_s - now_s)
        if left_s <= 0:
            return None
        return msgspec.structs.replace(
            self.message, properties={**self.message.properties, Prop.MESSAGE_EXPIRY: left_s}
        )


class ClientSession:
    """Subscriptions, queue and messages in flight of one client id."""

    def __init__(self, client_id: str, max_queued: int) -> None:
        self.client_id = client_id
        self.subscriptions: dict[str, Subscription] = {}
        self.expiry_s = 0.0
        self.window = 20
        self.taken_qos2: set[int] = set()  # QoS 2 packet ids received and not yet released by the client
        self._queue: deque[StoredMessage] = deque()
        self._in_flight: dict[int, Publish] = {}
        self._max_queued = max_queued
        self._last_id = 0

    def wants(self, topic: str, sender: str) -> Subscription | None:
        """The matching subscription with the highest QoS, if any."""
        best: Subscription | None = None
        for pattern, subscription in self.subscriptions.items():
            if matches(pattern, topic) and not (subscription.no_local and sender == self.client_id):
                best = subscription if best is None or subscription.qos > best.qos else best
        return best

    def enqueue(self, message: Publish, now_s: float) -> bool:
        """Queue a QoS 1 message; False if the queue is full and the message is dropped."""
        if len(self._queue) >= self._max_queued:
            return False
        self._queue.append(StoredMessage.since(message, now_s))
        return True

    def sendable(self, now_s: float) -> Iterable[Publish]:
        """The queued messages that the receive maximum allows, now in flight with a packet id each."""
        while self._queue and len(self._in_flight) < self.window:
            message = self._queue.popleft().at(now_s)
            if message is not None:
                flying = msgspec.structs.replace(message, packet_id=self._next_id())
                self._in_flight[flying.packet_id] = flying
                yield flying

    def repeats(self) -> list[Publish]:
        """The messages in flight when the last connection ended, to be resent first (4.4)."""
        return [msgspec.structs.replace(message, dup=True) for message in self._in_flight.values()]

    def acknowledged(self, packet_id: int) -> None:
        """Remove an acknowledged message from those in flight."""
        self._in_flight.pop(packet_id, None)

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % LARGEST_PACKET_ID + 1
            if self._last_id not in self._in_flight:
                return self._last_id


def for_subscriber(message: Publish, subscription: Subscription, retained: bool) -> Publish:
    """The message with the subscription's QoS and retain flag. `retained`: it is sent because of a new subscription."""
    return Publish(
        message.topic,
        message.payload,
        min(message.qos, subscription.qos, 1),
        retained or (subscription.retain_as_published and message.retain),
        forwarded(message.properties),
    )


def forwarded(properties: Properties) -> Mapping[int, int | str | bytes | list[tuple[str, str]]]:
    """The properties that are forwarded to subscribers (3.3.2.3)."""
    return {name: value for name, value in properties.items() if name in FORWARDED}
