"""Acts over HTTP: under whose name they go, who may do which, and what is refused before the gateway hears of it."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from gateway.ledger.access import Actor
from gateway.ledger.errors import LedgerBroken
from gateway.web.server import serve_page
from tests.broker.harness import free_port
from tests.unit.gateway.web.page_app import SCREEN, cookie_of, form_token_of, no_board, serving, sign_in
from tests.unit.gateway.web.page_client import Answered, Listening, ask

NOTE = {"act": "note", "token": "9RX2M7KQ4", "text": "cap refitted", "reason": "as seen"}


class Address(NamedTuple):
    """Where a server listens."""

    address: tuple[str, int]


class Told:
    """The control service's place: what it was told, besides of sign-ins, and what it answers."""

    def __init__(self, answer: bytes = b'{"ok":true,"recorded":["note_added"],"changed":[]}') -> None:
        self.lines: list[dict[str, Any]] = []
        self.by: list[Actor] = []
        self.answer = answer

    async def __call__(self, line: bytes, by: Actor) -> bytes:
        told = json.loads(line)
        if told["request"] != "took":
            self.lines.append(told)
            self.by.append(by)
        return self.answer


async def tell(server: Listening, fields: object, cookie: str | None = None, token: str | None = None) -> Answered:
    """An act of the nurse m.curie, or with another cookie or form token."""
    signed_in = cookie_of(await sign_in(server)) if cookie is None else cookie
    own = await form_token_of(server, signed_in)
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return await ask(server, "POST", "/acts", body, cookie=signed_in, x_form_token=own if token is None else token)


@pytest.mark.requirement("REQ-ACCESS-3")
async def test_an_act_goes_under_the_name_of_who_signed_in(tmp_path: Path) -> None:
    told = Told()
    async with serving(tmp_path, tell=told) as server:
        answer = await tell(server, {**NOTE, "person": "somebody else", "request": "swap"})
    assert (answer.status, json.loads(answer.body)["recorded"]) == (200, ["note_added"])
    assert told.lines == [{**NOTE, "request": "tell", "person": "m.curie"}]
    assert told.by == [Actor("page:m.curie", "nurse")]


async def test_what_the_gateway_refuses_is_passed_on(tmp_path: Path) -> None:
    told = Told(b'{"ok":false,"error":"no such session","accepted":"none is open"}')
    async with serving(tmp_path, tell=told) as server:
        answer = await tell(server, NOTE)
    assert (answer.status, json.loads(answer.body)["error"]) == (409, "no such session")


@pytest.mark.requirement("REQ-ACCESS-2")
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({**NOTE, "act": "finalise"}, 403),
        ({**NOTE, "act": "swap"}, 403),
        ({**NOTE, "act": "reload"}, 403),
        ({**NOTE, "act": ["note"]}, 403),
        ({"reason": "none"}, 403),
        (b"[]", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b'{"act":"note","text":"\xed\xa0\x80"}', 400),
    ],
)
async def test_what_a_nurse_may_not_do_is_not_passed_on(tmp_path: Path, fields: object, status: int) -> None:
    told = Told()
    async with serving(tmp_path, tell=told) as server:
        assert (await tell(server, fields)).status == status
    assert told.lines == []


async def test_nobody_tells_without_a_sign_in_or_from_another_page(tmp_path: Path) -> None:
    told = Told()
    async with serving(tmp_path, tell=told) as server:
        assert (await tell(server, NOTE, cookie="capgate=made-up")).status == 401
        assert (await tell(server, NOTE, token="made-up")).status == 403
        assert (await tell(server, NOTE, token="")).status == 403
    assert told.lines == []


async def test_a_broken_ledger_is_said(tmp_path: Path) -> None:
    async def broken(line: bytes, by: Actor) -> bytes:
        raise LedgerBroken("the disk is gone")

    async with serving(tmp_path, tell=broken) as server:
        assert (await tell(server, NOTE)).status == 503


async def test_a_broken_ledger_ends_the_page_and_with_it_the_gateway(tmp_path: Path) -> None:
    async def broken(line: bytes, by: Actor) -> bytes:
        raise LedgerBroken("the disk is gone")

    async with serving(tmp_path, tell=broken):  # for its account
        there = Address(("127.0.0.1", free_port()))
        plan = msgspec.structs.replace(SCREEN, listen=there.address)
        page = asyncio.create_task(serve_page(plan, tmp_path, tmp_path / "gateway.toml", no_board, broken))
        while not page.done():
            with suppress(OSError):
                await tell(there, NOTE)
            await asyncio.sleep(0.01)
        with pytest.raises(ExceptionGroup) as ended:
            await page
        assert ended.group_contains(LedgerBroken)


async def test_screens_that_ask_wait_for_each_other_and_acts_wait_for_none(tmp_path: Path) -> None:
    asked, go_on = [0, 0], asyncio.Event()

    async def slow(line: bytes, by: Actor) -> bytes:
        if b'"tell"' in line or b'"took"' in line:
            return Told().answer
        asked[0] += 1
        asked[1] = max(asked)
        await go_on.wait()
        asked[0] -= 1
        return b'{"ok":true,"todo":[]}'

    async with serving(tmp_path, tell=slow) as server:
        screens = [asyncio.create_task(ask(server, "GET", "/api/todo")) for _ in range(8)]
        assert (await tell(server, NOTE)).status == 200
        go_on.set()
        assert {each.status for each in await asyncio.gather(*screens)} == {200}
    assert asked == [0, 1], "one at a time"
