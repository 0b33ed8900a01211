"""Who is refused before any page is asked, and what every answer tells the browser."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse

from gateway.config.web import PageFiles, PagePlan
from gateway.runtime.http import HttpServer
from gateway.web.guard import MAX_BODY_BYTES, Guard
from gateway.web.server import LIMITS
from tests.unit.gateway.web.page_client import ask

PRIVATE = PagePlan(("127.0.0.1", 9480), names=("wall.north.example",))
PUBLIC = PagePlan(("10.20.0.5", 9480), names=("wall.north.example",), tls=PageFiles(Path("c"), Path("k")))


@asynccontextmanager
async def guarded(plan: PagePlan = PRIVATE) -> AsyncGenerator[HttpServer]:
    async with HttpServer(Guard(PlainTextResponse("passed"), plan), ("127.0.0.1", 0), LIMITS) as server:
        yield server


@pytest.mark.parametrize("host", ["localhost:9480", "127.0.0.1", "[::1]:80", "Wall.north.example:9480"])
async def test_the_page_goes_by_its_own_names(host: str) -> None:
    async with guarded() as server:
        assert (await ask(server, "GET", "/", host=host)).status == 200


@pytest.mark.parametrize("host", ["evil.example", "wall.north.example.evil.example", "10.20.0.5", "[::1", "@"])
async def test_a_name_that_was_rebound_to_loopback_is_refused(host: str) -> None:
    async with guarded() as server:
        assert (await ask(server, "GET", "/", host=host)).status == 403


@pytest.mark.parametrize(("host", "status"), [("10.20.0.5:9480", 200), ("evil.example", 403)])
async def test_beyond_loopback_addresses_and_own_names_are_served(host: str, status: int) -> None:
    async with guarded(PUBLIC) as server:
        assert (await ask(server, "GET", "/", host=host)).status == status


async def test_without_a_host_there_is_no_answer() -> None:
    async with guarded() as server:
        assert (await ask(server, "GET", "/", host="")).status == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
async def test_other_methods_do_not_exist(method: str) -> None:
    async with guarded() as server:
        assert (await ask(server, method, "/")).status == 405


@pytest.mark.requirement("REQ-NETWORK-5")
@pytest.mark.parametrize(
    "origin",
    ["", "null", "http://evil.example", "https://localhost", "http://localhost:81", "http://127.0.0.1", "http://["],
)
async def test_a_post_from_another_page_is_refused(origin: str) -> None:
    async with guarded() as server:
        assert (await ask(server, "POST", "/", b"x", origin=origin)).status == 403
        assert (await ask(server, "POST", "/", b"x")).status == 200


@pytest.mark.parametrize(
    ("length", "status"),
    [("", 411), ("-1", 400), (str(MAX_BODY_BYTES + 1), 413), ("9" * 15, 413), ("0" * 12 + "99999", 413)],
)
async def test_a_body_says_its_length_and_is_small(length: str, status: int) -> None:
    async with guarded() as server:
        assert (await ask(server, "POST", "/", b"x", content_length=length)).status == status


async def test_a_body_in_chunks_is_refused_whatever_length_it_says() -> None:
    async with guarded() as server:
        chunks = b"1\r\nx\r\n0\r\n\r\n"
        assert (await ask(server, "POST", "/", chunks, transfer_encoding="chunked")).status == 411


async def test_every_answer_forbids_what_the_page_does_not_need() -> None:
    async with guarded() as server:
        for answer in (await ask(server, "GET", "/"), await ask(server, "GET", "/", host="evil.example")):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["cache-control"] == "no-store"
            assert "strict-transport-security" not in answer.headers


async def test_over_tls_the_browser_is_told_to_stay_there() -> None:
    async with guarded(PUBLIC) as server:
        assert "strict-transport-security" in (await ask(server, "GET", "/")).headers
