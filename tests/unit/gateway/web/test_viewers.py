"""Browsers that come and go: each that leaves makes room, and one too many is told so."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from gateway.control.board import BoardAnswer
from gateway.control.requests import Board
from gateway.ledger.access import Actor
from gateway.web import feed as feed_module
from gateway.web.feed import MAX_VIEWERS
from gateway.web.server import serve_page
from tests.broker.harness import free_port
from tests.unit.gateway.web.page_app import ELSEWHERE, cookie_of, serving, sign_in
from tests.unit.gateway.web.page_client import Answered, Listening, ask


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


async def _records_sign_ins(line: bytes, by: Actor) -> bytes:
    return b'{"ok":true,"done":"recorded"}'


class Address(NamedTuple):
    """Where a server listens."""

    address: tuple[str, int]


async def test_a_view_ends_with_the_sign_in_that_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "HEARTBEAT_S", 0.0)
    async with serving(tmp_path):  # for its account
        there = Address(("127.0.0.1", free_port()))
        plan = msgspec.structs.replace(ELSEWHERE, listen=there.address)
        page = asyncio.create_task(serve_page(plan, tmp_path, tmp_path / "gateway.toml", _board, _records_sign_ins))
        async with asyncio.timeout(60):
            cookie = cookie_of(await eventually_sign_in(there))
            reader, writer = await asyncio.open_connection(*there.address)
            writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\nCookie: %s\r\n\r\n" % cookie.encode())
            await reader.readuntil(b'"tick"')
            form = (await ask(there, "GET", "/chairs", cookie=cookie)).body.partition('data-form-token="')[2]
            await ask(there, "POST", "/sign-out", b"form_token=" + form[: form.index('"')].encode(), cookie=cookie)
            await reader.readuntil(b"\r\n0\r\n\r\n")  # the answer's end
            writer.transport.abort()
        page.cancel()
        await asyncio.wait([page])


async def eventually_sign_in(server: Listening) -> Answered:
    """A sign-in, once the server listens."""
    while True:
        with suppress(OSError):
            return await sign_in(server)
        await asyncio.sleep(0.01)
