"""While nothing is counted the page says why and what to do, takes no act, and tells the screens that are open."""

import asyncio
from ipaddress import ip_network

import msgspec
import pytest

from gateway.config.web import PagePlan
from gateway.control.answers import RefusalAnswer
from gateway.monitoring.health import Uncounted
from gateway.runtime.http import HttpServer
from gateway.session.wording import Language
from gateway.web.catalogue import texts_of
from gateway.web.server import LIMITS
from gateway.web.uncounted import uncounted_app
from tests.unit.gateway.web.asgi import called

PLAN = PagePlan(("127.0.0.1", 9480), screens=(ip_network("127.0.0.0/8"),))
REFUSAL = msgspec.json.encode(RefusalAnswer(error="nothing can be recorded", accepted="every request, later"))


@pytest.mark.parametrize("why", Uncounted)
@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("address", ["/", "/chairs", "/session/9RX2M7KQ4", "/api/todo", "/sign-in"])
async def test_every_address_says_what_is_the_matter_and_what_to_do(
    why: Uncounted, language: Language, address: str
) -> None:
    app = uncounted_app(PLAN, why, lambda: REFUSAL)
    answer = await called(app, "GET", address, headers={"accept-language": language})
    texts = texts_of(language)
    assert answer.status == 503
    for key in (f"uncounted.{why}", f"uncounted-do.{why}", "uncounted.acts"):
        assert texts[key].replace("'", "&#39;") in answer.body
    assert 'http-equiv="refresh"' in answer.body, "it comes back by itself"


async def test_an_act_is_refused_with_the_reason() -> None:
    answer = await called(uncounted_app(PLAN, Uncounted.DISK, lambda: REFUSAL), "POST", "/acts", b'{"act":"bind"}')
    assert (answer.status, answer.body) == (503, REFUSAL.decode())


async def test_what_the_page_is_made_of_is_served_and_foreign_hosts_are_not() -> None:
    app = uncounted_app(PLAN, Uncounted.DISK, lambda: REFUSAL)
    sheet = (await called(app, "GET", "/")).body.partition('rel="stylesheet" href="')[2].partition('"')[0]
    assert (await called(app, "GET", sheet)).status == 200
    assert (await called(app, "GET", "/", headers={"host": "evil.example"})).status == 403


async def test_screens_that_are_open_are_told() -> None:
    app = uncounted_app(PLAN, Uncounted.SAFE_MODE, lambda: REFUSAL)
    async with HttpServer(app, ("127.0.0.1", 0), LIMITS) as server:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert b"text/event-stream" in await reader.readuntil(b"\r\n\r\n")
        assert b'data: {"uncounted":"safe-mode"}\n\n' in await reader.readuntil(b"\n\n")
        writer.close()
