"""The server under every page: what a client may take, and that one client never costs the others."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from gateway.runtime.http import HttpLimits, HttpServer, Message, Receive, Send

STREAM_BYTES = 20_000_000
LIMITS = HttpLimits(connections=4, per_address=3, head_bytes=2048, timeout_s=lambda: 0.3)
POST = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n"


async def echo_or_stream(scope: Message, receive: Receive, send: Send) -> None:
    """Echoes a whole body, or sends more than the kernel takes for a client."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/stream":
        for _ in range(STREAM_BYTES // 100_000):
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
    body, more = b"", scope["path"] == "/echo"
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.body", "body": body})


@pytest_asyncio.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with HttpServer(echo_or_stream, ("127.0.0.1", 0), LIMITS) as serving:
        yield serving


async def echo(server: HttpServer) -> bytes:
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(POST + b"ping")
    answer = await reader.readuntil(b"0\r\n\r\n")
    writer.transport.abort()
    return answer


async def test_a_connection_serves_one_request_after_another(server: HttpServer) -> None:
    reader, writer = await asyncio.open_connection(*server.address)
    for _ in range(2):
        writer.write(POST + b"ping")
        assert b"\r\nping\r\n" in await reader.readuntil(b"0\r\n\r\n")
        await asyncio.sleep(2 * LIMITS.timeout_s())  # a client that waits between two requests is not late
    writer.transport.abort()


async def test_a_body_that_does_not_end_is_not_waited_for(server: HttpServer) -> None:
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(POST + b"pi")
    async with asyncio.timeout(5):
        assert b"pi" not in await reader.read()
    writer.transport.abort()


async def test_a_client_that_takes_nothing_is_dropped_and_the_others_are_served(server: HttpServer) -> None:
    reader, writer = await asyncio.open_connection(*server.address, limit=1)  # asyncio then stops to read
    writer.write(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"ping" in await echo(server)
    await asyncio.sleep(3 * LIMITS.timeout_s())
    assert len(await _all_of(reader)) < STREAM_BYTES
    writer.transport.abort()


async def test_one_address_never_holds_what_belongs_to_the_others() -> None:
    patient = HttpLimits(connections=4, per_address=3, head_bytes=2048, timeout_s=lambda: 60.0)
    async with HttpServer(echo_or_stream, ("127.0.0.1", 0), patient) as server:
        held = [await asyncio.open_connection(*server.address) for _ in range(3)]
        for reader, writer in held:  # one after the other is answered, and kept
            writer.write(POST + b"ping")
            await reader.readuntil(b"0\r\n\r\n")
            writer.write(POST + b"pi")
        reader, writer = await asyncio.open_connection(*server.address)
        async with asyncio.timeout(30):
            assert await _all_of(reader) == b""
        other, other_writer = await asyncio.open_connection(*server.address, local_addr=("127.0.0.2", 0))
        other_writer.write(POST + b"ping")
        async with asyncio.timeout(30):
            assert b"\r\nping\r\n" in await other.readuntil(b"0\r\n\r\n")
        for each in (writer, other_writer, *(each for _, each in held)):
            each.transport.abort()


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    """What still comes until the connection ends, in whichever way."""
    found = bytearray()
    try:
        while piece := await reader.read(1_000_000):
            found += piece
            if found.endswith(b"\r\n0\r\n\r\n"):
                break
    except ConnectionResetError:
        pass
    return bytes(found)
