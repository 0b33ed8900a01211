"""Inbound messages: each is acknowledged only when its handler has returned, which is after the commit."""

import traceback
from collections.abc import Awaitable, Callable

from gateway.mqtt.client import Connection
from gateway.mqtt.types import MqttCounters, MqttDown

Handler = Callable[[str, bytes], Awaitable[None]]


class HandlerFailed(MqttDown):
    """A message could not be handled; the connection ends unacknowledged, and the broker sends it again."""


async def consume(connection: Connection, handler: Handler, counters: MqttCounters) -> None:
    """Hand every message to `handler(topic, payload)`, one after the other, until the connection ends.

    Retained messages are ignored. Raises Disconnected, or HandlerFailed when the handler raised.
    """
    async for message in connection.messages():
        if message.retain:
            counters.inbound_retained += 1
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
