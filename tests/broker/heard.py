"""Messages to the engine, and what it got of them."""

import asyncio

from tests.broker.caller import Caller


def payload(number: int) -> bytes:
    return f'{{"id":"n{number}","text":"grün"}}'.encode()


async def heard(engine: Caller, count: int) -> list[tuple[str, bytes]]:
    messages = await asyncio.to_thread(lambda: [engine.next() for _ in range(count)])
    return [(message.topic, bytes(message.payload)) for message in messages]
