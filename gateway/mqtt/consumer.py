"""Inbound messages: each is acknowledged only when its handler has returned, which is after the commit."""

import traceback
from collections.abc import Awaitable, Callable, Collection

import msgspec

from gateway.mqtt.client import Connection
from gateway.mqtt.left_over import LeftOver
from gateway.mqtt.types import MqttCounters, MqttDown

Handler = Callable[[str, bytes], Awaitable[None]]


class Overheard(msgspec.Struct, frozen=True):
    """What other clients say among themselves: taken at QoS 0 as it comes, and lost while nobody is connected."""

    pattern: str  # topic filter, with `+` alone
    take: Callable[[str, bytes], None]  # at once, and without raising anything

    def covers(self, topic: str) -> bool:
        """Whether the filter matches the topic."""
        levels, wanted = topic.split("/"), self.pattern.split("/")
        return len(levels) == len(wanted) and all(w in ("+", level) for w, level in zip(wanted, levels, strict=True))


class HandlerFailed(MqttDown):
    """A message could not be handled; the connection ends unacknowledged, and the broker sends it again."""


async def consume(
    connection: Connection,
    topics: Collection[str],
    handler: Handler,
    left_over: LeftOver,
    counters: MqttCounters,
    overheard: Overheard | None = None,
) -> None:
    """Hand every message of `topics` to `handler(topic, payload)`, one after the other, until the connection ends.

    What `overheard` covers goes there instead, what is of no other topic is dropped. Retained messages are ignored.
    Raises Disconnected, or HandlerFailed when the handler raised.
    """
    async for message in connection.messages():
        if message.retain:
            counters.inbound_retained += 1
        elif overheard is not None and overheard.covers(message.topic):
            overheard.take(message.topic, message.payload)
        elif message.topic not in topics:
            await left_over.drop(connection, message.topic)
        else:
            try:
                await handler(message.topic, message.payload)
            except Exception as error:  # whatever it was, the message is not ours yet and must come again
                raise HandlerFailed(f"{message.topic}: {_where(error)}") from error
            counters.inbound += 1
        message.ack()


def _where(error: Exception) -> str:
    """Kind and place of an error, without its text, which may quote the message."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, line {frame.lineno}"
