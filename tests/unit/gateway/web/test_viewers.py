"""Browsers that come and go: each that leaves makes room, and one too many is told so."""

import asyncio
from contextlib import suppress
from pathlib import Path

from gateway.control.board import BoardAnswer
from gateway.control.requests import Board
from gateway.web.feed import MAX_VIEWERS
from tests.unit.gateway.web.page_app import serving
from tests.unit.gateway.web.page_client import Listening, ask


async def _board(request: Board) -> BoardAnswer:
    return BoardAnswer(
        gateway="gw-01", mode="test", now="2026-11-29T10:00:00Z", speed=1.0, time_zone="UTC", todo=0, chairs=(),
        trends={} if request.trends else None,
    )  # fmt: skip


async def view(server: Listening) -> asyncio.StreamWriter:
    """A browser that has got the board."""
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b"gw-01" in await reader.readuntil(b'"trends":{}}')
    return writer


async def eventually_view(server: Listening) -> asyncio.StreamWriter:
    """The same, once the server has heard of those that left."""
    async with asyncio.timeout(30):
        while True:
            with suppress(asyncio.IncompleteReadError):
                return await view(server)


async def test_who_leaves_makes_room(tmp_path: Path) -> None:
    async with serving(tmp_path, board=_board) as server:
        viewers = [await view(server) for _ in range(MAX_VIEWERS)]
        assert (await ask(server, "GET", "/events")).status == 503
        for viewer in viewers:
            viewer.transport.abort()
        again = [await eventually_view(server) for _ in range(MAX_VIEWERS)]
        for viewer in again:
            viewer.transport.abort()
