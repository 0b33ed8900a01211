"""Payloads to the engine, and those that it received."""

import asyncio

from tests.broker.paho_client import PahoClient


def payload(number: int) -> bytes:
    return f'{{"id":"n{number}","text":"grün"}}'.encode()


async def received(engine: PahoClient, count: int) -> list[tuple[str, bytes]]:
    messages = await asyncio.to_thread(lambda: [engine.next() for _ in range(count)])
    return [(message.topic, bytes(message.payload)) for message in messages]
