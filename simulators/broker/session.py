"""What the demo broker keeps of a client between connections, and how filters match topics. Pure.

Instants (`now_s`, `expires_s`) are seconds of whatever clock the broker uses.
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
    """Whether a topic filter covers a topic. Wildcards never reach `$` topics (4.7.2)."""
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
    """Whether wildcards stand alone in their level, `#` in the last (4.7.1)."""
    parts = pattern.split("/")
    alone = all(part in ("+", "#") or not ("+" in part or "#" in part) for part in parts)
    return bool(pattern) and alone and "#" not in parts[:-1]


class Held(msgspec.Struct, frozen=True):
    """A message that is kept: retained or queued."""

    message: Publish
    expires_s: float | None

    @classmethod
    def since(cls, message: Publish, now_s: float) -> "Held":
        """`message`, kept from `now_s` on."""
        expiry_s = message.properties.get(Prop.MESSAGE_EXPIRY)
        return cls(message, now_s + expiry_s if isinstance(expiry_s, int) else None)

    def at(self, now_s: float) -> Publish | None:
        """The message as it may be sent at `now_s`: its expiry less the time it waited (3.3.2.3.3), or None."""
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
        self.taken_qos2: set[int] = set()  # QoS 2 packet ids taken and not yet released by the client
        self._queue: deque[Held] = deque()
        self._in_flight: dict[int, Publish] = {}
        self._max_queued = max_queued
        self._last_id = 0

    def wants(self, topic: str, sender: str) -> Subscription | None:
        """The subscription with the highest QoS that covers `topic`, if any."""
        best: Subscription | None = None
        for pattern, subscription in self.subscriptions.items():
            if matches(pattern, topic) and not (subscription.no_local and sender == self.client_id):
                best = subscription if best is None or subscription.qos > best.qos else best
        return best

    def enqueue(self, message: Publish, now_s: float) -> bool:
        """Keep a QoS 1 message for the client; False when the queue is full and it is dropped."""
        if len(self._queue) >= self._max_queued:
            return False
        self._queue.append(Held.since(message, now_s))
        return True

    def sendable(self, now_s: float) -> Iterable[Publish]:
        """Messages that the receive maximum lets out now, each put in flight under an id of its own."""
        while self._queue and len(self._in_flight) < self.window:
            message = self._queue.popleft().at(now_s)
            if message is not None:
                flying = msgspec.structs.replace(message, packet_id=self._next_id())
                self._in_flight[flying.packet_id] = flying
                yield flying

    def repeats(self) -> list[Publish]:
        """What was in flight when the last connection ended, to be sent again first (4.4)."""
        return [msgspec.structs.replace(message, dup=True) for message in self._in_flight.values()]

    def acknowledged(self, packet_id: int) -> None:
        """The client took that message."""
        self._in_flight.pop(packet_id, None)

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % LARGEST_PACKET_ID + 1
            if self._last_id not in self._in_flight:
                return self._last_id


def for_subscriber(message: Publish, subscription: Subscription, retained: bool) -> Publish:
    """`message` as this subscription gets it. `retained`: it comes from the store, not from a publisher just now."""
    return Publish(
        message.topic,
        message.payload,
        min(message.qos, subscription.qos, 1),
        retained or (subscription.retain_as_published and message.retain),
        forwarded(message.properties),
    )


def forwarded(properties: Properties) -> Mapping[int, int | str | bytes | list[tuple[str, str]]]:
    """The properties that travel with a message to its subscribers (3.3.2.3)."""
    return {name: value for name, value in properties.items() if name in FORWARDED}
