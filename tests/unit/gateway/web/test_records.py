"""The record of a session, over HTTP: who gets it, what it lets a browser do, what becomes of a bad request."""

from pathlib import Path

import pytest

from gateway.runtime.http import HttpServer
from gateway.web.files import LANGUAGE_COOKIE
from tests.unit.gateway.audit.record_story import HOSTILE, TOKEN, VISIT
from tests.unit.gateway.web.page_app import signed_in
from tests.unit.gateway.web.page_client import Answered, ask


async def record(server: HttpServer, cookie: str, token: str = TOKEN) -> Answered:
    return await ask(server, "GET", f"/record/{token}", cookie=cookie)


async def test_who_signed_in_gets_it_whole(tmp_path: Path, written: bytes) -> None:
    async with signed_in(tmp_path, written) as (server, cookie):
        answer = await record(server, cookie)
        assert answer.status == 200
        assert VISIT in answer.body
        assert answer.headers["cache-control"] == "no-store"


async def test_it_is_in_the_language_of_the_page(tmp_path: Path, written: bytes) -> None:
    async with signed_in(tmp_path, written) as (server, cookie):
        asked = await ask(server, "GET", f"/record/{TOKEN}", cookie=cookie, accept_language="de-CH")
        assert '<html lang="de">' in asked.body
        assert "Nachweis der Sitzung" in asked.body
        chosen = await ask(
            server, "GET", f"/record/{TOKEN}", cookie=f"{cookie}; {LANGUAGE_COOKIE}=es", accept_language="de-CH"
        )
        assert "registro de la sesión" in chosen.body


async def test_nobody_else_sees_any_of_it(tmp_path: Path, written: bytes) -> None:
    async with signed_in(tmp_path, written) as (server, _):
        assert (await ask(server, "GET", f"/record/{TOKEN}")).status == 401
        sent = await ask(server, "GET", f"/record/{TOKEN}", accept="text/html")
        assert (sent.status, sent.headers["location"]) == (303, f"/sign-in?next=/record/{TOKEN}")
        assert sent.body == ""


async def test_its_policy_allows_its_own_style_and_nothing_inline(tmp_path: Path, written: bytes) -> None:
    async with signed_in(tmp_path, written) as (server, cookie):
        answer = await record(server, cookie)
        policy = answer.headers["content-security-policy"]
        assert "style-src 'sha256-" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert HOSTILE.partition("{{")[0] not in answer.body


@pytest.mark.parametrize(
    "token",
    [
        TOKEN.lower(),
        VISIT,
        "0" * 9,
        "'%20OR%201=1",
        "%3Cscript%3E",
        "..%2F..%2Fetc",
        "%00",
        f"{TOKEN}%0A",
        "9" * 4000,
    ],
)
async def test_what_names_no_session_is_not_found(tmp_path: Path, written: bytes, token: str) -> None:
    async with signed_in(tmp_path, written) as (server, cookie):
        answer = await record(server, cookie, token)
        assert answer.status == 404
        assert "<" not in answer.body


async def test_a_record_that_takes_too_long_is_not_waited_for(tmp_path: Path, written: bytes) -> None:
    async with signed_in(tmp_path, written, timeout_s=0.0) as (server, cookie):
        assert (await record(server, cookie)).status == 503


@pytest.mark.parametrize("ledger", [b"", b"no database at all" * 100])
async def test_a_ledger_that_cannot_be_read_is_said(tmp_path: Path, ledger: bytes) -> None:
    async with signed_in(tmp_path, ledger) as (server, cookie):
        answer = await record(server, cookie)
        assert (answer.status, answer.body) == (
            500,
            "the ledger cannot be read; the gateway's log says why\n",
        )
