"""Consumes inbound messages; each is acknowledged only after its handler has returned, which is after the commit."""

import traceback
from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec

from gateway.mqtt.client import Connection
from gateway.mqtt.left_over import LeftOver
from gateway.mqtt.types import MqttCounters, MqttDown

Handler = Callable[[str, bytes], Awaitable[None]]


class Overheard(msgspec.Struct, frozen=True):
    """A subscription at QoS 0 to messages that are lost while the gateway is offline."""

    pattern: str  # topic filter, with `+` alone
    take: Callable[[str, bytes], None]  # must not block or raise
    with_retained: bool = False  # also retained messages

    def covers(self, topic: str) -> bool:
        """Whether the filter matches the topic."""
        levels, wanted = topic.split("/"), self.pattern.split("/")
        return len(levels) == len(wanted) and all(w in ("+", level) for w, level in zip(wanted, levels, strict=True))


class HandlerFailed(MqttDown):
    """A handler raised; the connection ends without an acknowledgement, so the broker sends the message again."""


async def consume(
    connection: Connection,
    topics: Collection[str],
    handler: Handler,
    left_over: LeftOver,
    counters: MqttCounters,
    overheard: Sequence[Overheard] = (),
) -> None:
    """Call `handler(topic, payload)` for every message of `topics`, one after the other, until the connection ends.

    Messages that `overheard` covers go to it instead; other retained ones are ignored, those of other topics dropped.
    Raises Disconnected, or HandlerFailed if the handler raised.
    """
    dropped = 0
    async for message in connection.messages():
        counters.inbound_dropped += connection.dropped - dropped
        dropped = connection.dropped
        heard = next((each for each in overheard if each.covers(message.topic)), None)
        if heard is not None and (heard.with_retained or not message.retain):
            heard.take(message.topic, message.payload)
        elif message.retain:
            counters.inbound_retained += 1
        elif message.topic not in topics:
            await left_over.drop(connection, message.topic)
        else:
            try:
                await handler(message.topic, message.payload)
            except Exception as error:  # the message was not recorded and must be delivered again
                raise HandlerFailed(f"{message.topic}: {_where(error)}") from error
            counters.inbound += 1
        message.ack()


def _where(error: Exception) -> str:
    """Kind and place of an error, without its text, which may quote the message."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, line {frame.lineno}"
